"""What an exchange installs."""

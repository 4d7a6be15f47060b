"""What the registry does, without the wire: intake, matching, verdicts, quotas."""

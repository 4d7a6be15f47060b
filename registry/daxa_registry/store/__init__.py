"""What the registry keeps. Everybody but ``bootstrap`` knows only :mod:`.interface`."""

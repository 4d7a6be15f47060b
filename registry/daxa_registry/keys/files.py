"""Writing files that hold secrets: 0600, never over something that is there."""

from __future__ import annotations

import os
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode


def write_secret(path: Path, data: bytes) -> None:
    """Makes the file, readable by its owner alone. Raises ConfigurationError INVALID_FILE where it exists."""
    _write(path, data, 0o600)


def write_public(path: Path, data: bytes) -> None:
    """Makes the file, readable by all. Raises ConfigurationError INVALID_FILE where it exists."""
    _write(path, data, 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, "a file that is not there yet") from None
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())

"""Writing the files of a ceremony and of a deployment: secrets 0600, folders with them 0700, over what is there only by
:func:`replace_file`."""

from __future__ import annotations

import os
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode


def write_secret(path: Path, data: bytes) -> None:
    """Makes the file, readable by its owner alone. Raises ConfigurationError INVALID_FILE where it cannot be made or exists."""
    _write(path, data, 0o600)


def write_public(path: Path, data: bytes) -> None:
    """Makes the file, readable by all. Raises ConfigurationError INVALID_FILE where it cannot be made or exists."""
    _write(path, data, 0o644)


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Puts the whole file in the place of what is there: a reader sees the one or the other. Raises as :func:`write_secret`."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    _write(beside, data, mode)
    try:
        beside.replace(path)
    except OSError as error:
        raise _refuse(path, f"a file that can be replaced, got {type(error).__name__}") from None


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file that only grows; made where it is not there. Raises ConfigurationError INVALID_FILE."""
    try:
        with path.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise _refuse(path, f"a file that can be written, got {type(error).__name__}") from None


def make_private_folder(path: Path) -> Path:
    """Makes the folder, and those above it, for its owner alone; one that is there stays as it is.

    Raises ConfigurationError INVALID_FILE where it cannot be made.
    """
    try:
        for folder in (*reversed(path.parents), path):
            if not folder.exists():
                folder.mkdir(mode=0o700)
        if not path.is_dir():
            raise FileExistsError
    except OSError as error:
        raise _refuse(path, f"a folder that can be made, got {type(error).__name__}") from None
    return path


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except FileExistsError:
        raise _refuse(path, "a file that is not there yet") from None
    except OSError as error:
        raise _refuse(path, f"a file that can be written, got {type(error).__name__}") from None


def _refuse(path: Path, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_FILE, path.name, expected)

"""A spool in the eyes of ``daxa-client doctor``: what waits, what was lost, what was set aside; nothing of it is changed.

It may be the spool of a gateway that runs, and belong to another user. So it is opened for reading alone, and never made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode, Unavailable

from ._sealed_file import FAILURES, is_broken
from ._spool import VERSION, SpoolState, state_of


def look(path: Path) -> SpoolState | None:
    """What is in it; None where there is none yet. Raises DaxaError where it is torn, newer, or cannot be read."""
    if not path.exists():
        return None
    # Where there is no log beside it nobody has it open, and SQLite needs to lock nothing.
    how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5)) as database:
            if int(database.execute("PRAGMA user_version").fetchone()[0]) > VERSION:
                raise ConfigurationError(
                    ErrorCode.INVALID_FILE, path.name, "a spool of this client's version, not newer"
                )
            return state_of(database)
    except FAILURES as error:
        if is_broken(error):
            raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, "a spool that is not torn") from None
        told = getattr(error, "sqlite_errorname", type(error).__name__)
        raise Unavailable(ErrorCode.UNAVAILABLE, path.name, f"a file that can be read, got {told}") from None


def losses(path: Path, found: SpoolState | None) -> Iterator[str]:
    """What somebody has to look at: each loss with its number, and files that were set aside."""
    if found is not None:
        for number, what in (
            (found.dropped, "dropped because it was full"),
            (found.unreadable, "could not be read and are set aside"),
            (found.refused, "are set aside in batches that the registry can never take"),
            (found.discarded, "of those set aside had to make room"),
            (found.reports_lost, "reports of what was done are lost"),
        ):
            if number:
                yield f"{number} {what}"
    for kept in sorted(path.parent.glob(f"{path.name}.*-[0-9]*")):
        if not kept.name.endswith(("-wal", "-shm")):
            yield f"{kept.name} was set aside"

"""A spool in the eyes of ``daxa-client doctor``: what waits, what was lost, what was set aside; nothing of it is changed.

It may be the spool of a gateway that runs, and belong to another user. So it is opened for reading alone, and never made.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode, Unavailable

from ._mending import problem
from ._sealed_file import FAILURES, is_broken
from ._spool import VERSION, SpoolState, state_of
from .texts import Language


def look(path: Path) -> SpoolState | None:
    """What is in it; None where there is none yet. Raises DaxaError where it is torn, newer, or cannot be
    read, and where it could not be made."""
    if not path.exists():
        _check_folder(path.parent)
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


def _check_folder(folder: Path) -> None:
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            ErrorCode.INVALID_CONFIGURATION, "client.toml: gateway.state", "a folder that can be made and written in"
        )


def losses(path: Path, found: SpoolState | None, language: Language) -> Iterator[str]:
    """What somebody has to look at: each loss with its number, and files that were set aside."""
    if found is not None:
        for number, name in (
            (found.dropped, "DROPPED"),
            (found.unreadable, "UNREADABLE"),
            (found.refused, "REFUSED"),
            (found.discarded, "DISCARDED"),
            (found.reports_lost, "REPORTS_LOST"),
        ):
            if number:
                yield f"{number} {problem(name, language)}"
    for kept in sorted(path.parent.glob(f"{path.name}.*-[0-9]*")):
        if not kept.name.endswith(("-wal", "-shm")):
            yield f"{kept.name} {problem('SET_ASIDE', language)}"

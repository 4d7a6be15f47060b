"""SQLite's log is copied back beside a writer that never pauses."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

from daxa_registry.store.sqlite_checkpoint import Checkpoints

PAGE = 4_096
PAGES = 5
"""In a commit."""
LONGEST_LOG = 1 << 30
"""Nobody copies it; a machine that is busy lets it grow for a while."""


def writer(path: Path) -> sqlite3.Connection:
    """As the store opens it, but that SQLite itself never copies: who copies is who is looked at."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, body BLOB)")
    return connection


def commit(connection: sqlite3.Connection, checkpoints: Checkpoints) -> None:
    """One transaction of some PAGES pages."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO kept (body) VALUES (zeroblob(?))", [(PAGE - 100,)] * PAGES)
    connection.execute("COMMIT")
    checkpoints.wrote(connection)


def beginnings(log: Path) -> bytes:
    """The salt in the log's header: another one each time that the log begins anew."""
    with log.open("rb") as file:
        return file.read(24)[16:]


def test_the_log_begins_anew_under_a_writer_that_never_pauses(tmp_path: Path) -> None:
    """Again and again; and all that was written is there."""
    path, log = tmp_path / "log.sqlite", tmp_path / "log.sqlite-wal"
    commits = 0
    seen: set[bytes] = set()
    with contextlib.closing(writer(path)) as connection, contextlib.closing(Checkpoints(str(path))) as checkpoints:
        until = time.monotonic() + 60
        while len(seen) < 4 and log.stat().st_size < LONGEST_LOG and time.monotonic() < until:
            commit(connection, checkpoints)
            commits += 1
            seen.add(beginnings(log))
        assert len(seen) == 4
    with contextlib.closing(sqlite3.connect(path)) as again:
        assert again.execute("SELECT count(*) FROM kept").fetchone() == (commits * PAGES,)


def test_a_reader_that_stays_holds_nobody_up(tmp_path: Path) -> None:
    """What it still reads cannot be copied over; the log grows, and begins anew once the reader is gone."""
    path, log = tmp_path / "log.sqlite", tmp_path / "log.sqlite-wal"
    with contextlib.closing(writer(path)) as connection, contextlib.closing(Checkpoints(str(path))) as checkpoints:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                commit(connection, checkpoints)
                first = beginnings(log)
            assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
            reader.execute("COMMIT")
        until = time.monotonic() + 60
        while beginnings(log) == first and time.monotonic() < until:
            commit(connection, checkpoints)
        assert beginnings(log) != first

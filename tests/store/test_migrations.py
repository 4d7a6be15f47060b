"""A migration that is killed half way, or that the disk does not take, leaves the database as it was: the next one does it."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

import deployment
from daxa_core.errors import ConfigurationError
from daxa_registry.store import postgres_schema
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.sqlite import SqliteStore
from daxa_registry.store.sqlite_schema import MIGRATIONS

WAIT_SECONDS = 60
HOURS = 3_000
OLD_FILE, OLD_DATABASE = 7, 2
"""The versions before the migration that counts hours by member, which writes much."""
KILLED = """
import os, signal, sys
from daxa_registry.store import sqlite, sqlite_schema

connect = sqlite.SqliteStore._connect

def dying(path):
    connection = connect(path)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    connection.execute("PRAGMA cache_size=5")  # so that what is not committed is in the file
    return connection

sqlite.SqliteStore._connect = staticmethod(dying)
old = int(sys.argv[2])
sqlite_schema.MIGRATIONS = (*sqlite_schema.MIGRATIONS[:old], sqlite_schema.MIGRATIONS[old] + "; SELECT die();")
sqlite.SqliteStore(sys.argv[1])
"""
LIMITED = """
import resource, sys
from daxa_core.errors import DaxaError
from daxa_registry.store.sqlite import SqliteStore

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    SqliteStore(sys.argv[1])
except DaxaError as error:
    sys.exit(str(error))
"""
HELD_UP = """
import sys
from daxa_registry.store import postgres_rows, postgres_schema
from daxa_registry.store.postgres import PostgresStore

old, known = int(sys.argv[2]), postgres_schema.MIGRATIONS
postgres_rows.SETTINGS["lock_timeout"] = "0"
postgres_schema.MIGRATIONS = (*known[:old], known[old] + "; SELECT pg_advisory_lock(7)")
PostgresStore(sys.argv[1])
"""


def old_file(path: Path, journal: str) -> list[str]:
    """A registry's file of an older version, in which the next migration has much to write: all that it holds."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode={journal}")
        for script in MIGRATIONS[:OLD_FILE]:
            database.executescript(script)
        database.execute(f"PRAGMA user_version={OLD_FILE}")
        database.executemany(
            "INSERT INTO presence (address, member, device, subject, manner, network, first, hours, count)"
            " VALUES (?1, 1, 1, ?1, 1, 1, ?1, x'01', 1)",
            [(hour,) for hour in range(1, HOURS + 1)],
        )
        database.commit()
    return held(path)


def held(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [*database.iterdump(), *map(str, database.execute("PRAGMA user_version"))]


def check_it_goes_on(path: Path) -> None:
    """The next start migrates it."""
    SqliteStore(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert database.execute("SELECT count(*), sum(active) FROM activity").fetchone() == (HOURS, HOURS)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_file_whose_migration_is_killed_is_as_it_was(tmp_path: Path, journal: str) -> None:
    """SIGKILL when all is written and nothing committed."""
    path = tmp_path / "registry.sqlite"
    before = old_file(path, journal)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(OLD_FILE)], capture_output=True, timeout=WAIT_SECONDS
    )
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, b"")
    assert held(path) == before
    check_it_goes_on(path)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_file_whose_migration_the_disk_does_not_take_is_as_it_was(tmp_path: Path, journal: str) -> None:
    """The system lets no file grow further; it is told what to do."""
    path = tmp_path / "registry.sqlite"
    before = old_file(path, journal)
    limit = str(path.stat().st_size if journal == "DELETE" else 20_000)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), limit], capture_output=True, text=True, timeout=WAIT_SECONDS
    )
    assert (
        "INVALID_CONFIGURATION: database: a disk that takes it; what was there is as it was, got SQLITE_" in done.stderr
    )
    assert held(path) == before
    check_it_goes_on(path)


@pytest.fixture
def old_database(postgres_url: str) -> str:
    """A registry's PostgreSQL of an older version."""
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("CREATE TABLE schema_version (version bigint NOT NULL)")
        for version in range(1, OLD_DATABASE + 1):
            database.execute(postgres_schema.MIGRATIONS[version - 1])
            database.execute("INSERT INTO schema_version VALUES (%s)", (version,))
        database.execute("INSERT INTO presence VALUES (1, 1, 1, 1, 1, 1, 1, 1000, '\\x81', 2)")
        database.execute("INSERT INTO activity VALUES (1000, 1), (1007, 1)")
    return postgres_url


def rows(url: str) -> list[object]:
    """The version, the last migration's table and who wrote last."""
    with psycopg.connect(url) as database:
        queries = ("SELECT max(version) FROM schema_version", "SELECT * FROM activity ORDER BY 1", "SELECT * FROM turn")
        return [database.execute(query).fetchall() for query in queries]


def test_a_postgresql_database_whose_migration_is_killed_is_as_it_was(old_database: str) -> None:
    """The server finds that nobody is there to commit it."""
    before = rows(old_database)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event='advisory' AND datname=%s"
    name = urlsplit(old_database).path[1:]
    with psycopg.connect(old_database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7)")
        with subprocess.Popen([sys.executable, "-c", HELD_UP, old_database, str(OLD_DATABASE)]) as process:
            try:
                deployment.wait_for(lambda: other.execute(waiting, (name,)).fetchall() or process.poll() is not None)
                assert process.poll() is None
            finally:
                process.kill()
        other.execute("SELECT pg_advisory_unlock(7)")
        deployment.wait_for(lambda: not other.execute(waiting, (name,)).fetchall())
    assert before[0] == [(OLD_DATABASE,)]
    assert rows(old_database) == before
    PostgresStore(old_database).close()
    assert rows(old_database)[:2] == [[(len(postgres_schema.MIGRATIONS),)], [(1_000, 1, 1), (1_007, 1, 1)]]


def test_a_postgresql_database_whose_server_is_full_is_as_it_was(
    old_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told what to do, and the next start migrates."""
    before = rows(old_database)
    full = "; DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE='53100'; END $$"
    with monkeypatch.context() as patched:
        known = postgres_schema.MIGRATIONS
        patched.setattr(postgres_schema, "MIGRATIONS", (*known[:OLD_DATABASE], known[OLD_DATABASE] + full))
        with pytest.raises(ConfigurationError, match="database: a server whose disk has room; nothing was changed"):
            PostgresStore(old_database)
    assert rows(old_database) == before
    PostgresStore(old_database).close()
    assert rows(old_database)[0] == [(len(postgres_schema.MIGRATIONS),)]

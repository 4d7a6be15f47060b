"""What is no registry's database is told in one line that says what to do, and stays as it was, on either store."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from daxa_core.errors import ConfigurationError, Unavailable
from daxa_registry.bootstrap import open_store
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.sqlite import SqliteStore
from daxa_registry.store.sqlite_schema import MIGRATIONS

INCOMPLETE = "an empty database, or a registry's with all its tables and no others; restore a backup into an empty one"
TORN = "a registry's SQLite file that is whole; this one is not: restore a backup into a new one"


def scripted(path: Path, script: str) -> bytes:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    return path.read_bytes()


NEWER = f"schema version up to {len(MIGRATIONS)}, this one is 99: use the program that made it"


def registry(path: Path) -> bytes:
    SqliteStore(path).close()
    return path.read_bytes()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("CREATE TABLE customer (name); INSERT INTO customer VALUES ('a')", INCOMPLETE),
        ("PRAGMA user_version=7", INCOMPLETE),
        ("CREATE TABLE node (id)", INCOMPLETE),
        ("CREATE TABLE x (y); PRAGMA user_version=99", NEWER),
    ],
)  # fmt: skip
def test_a_file_of_another_program_or_half_a_migration_is_refused_untouched(
    tmp_path: Path, script: str, told: str
) -> None:
    """Not a byte of it changes: not the journal's mode, not a table more."""
    path = tmp_path / "registry.sqlite"
    before = scripted(path, script)
    with pytest.raises(ConfigurationError, match=f"^INVALID_CONFIGURATION: database: {told}"):
        SqliteStore(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_registrys_file_that_lost_a_table_is_refused(tmp_path: Path) -> None:
    """Its version says that it is whole; it would fail at the first statement that needs it."""
    path = tmp_path / "registry.sqlite"
    registry(path)
    scripted(path, "DROP TABLE cosignature")
    with pytest.raises(ConfigurationError, match=INCOMPLETE):
        SqliteStore(path)


def test_a_torn_file_and_one_that_is_no_database_are_told_as_such(tmp_path: Path) -> None:
    """Cut in half, or text: restore a backup."""
    whole = registry(tmp_path / "whole.sqlite")
    for name, content in (("half", whole[: len(whole) // 2]), ("text", b"no database at all " * 100)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=TORN):
            SqliteStore(tmp_path / name)
        assert (tmp_path / name).read_bytes() == content


def test_a_path_where_no_file_can_be_is_told_with_sqlites_own_word(tmp_path: Path) -> None:
    """A folder of that name."""
    with pytest.raises(ConfigurationError, match="database: a path where a file can be written, got SQLITE_CANTOPEN"):
        SqliteStore(tmp_path)


def test_a_file_that_another_database_took_the_place_of_is_written_by_nobody(tmp_path: Path) -> None:
    """Not where the move failed; then neither by who has it open, who is told to wait, nor by who opens it anew."""
    path = tmp_path / "registry.sqlite"
    with contextlib.closing(SqliteStore(path)) as store:
        with pytest.raises(RuntimeError), store.moving():
            raise RuntimeError
        store.member_id("upbit")
        with store.moving() as moved:
            assert moved == path
        with pytest.raises(Unavailable, match="UNAVAILABLE: store: the database that this was moved to") as caught:
            store.member_id("bithumb")
        assert caught.value.retry_after is not None
        assert store.members() == {1: "upbit"}
    with pytest.raises(ConfigurationError, match="the one that this was moved to by migrate-store"):
        SqliteStore(path)


def test_who_makes_nothing_is_told_what_is_not_there_or_not_served_yet(tmp_path: Path, postgres_url: str) -> None:
    """A wrong path would be an empty registry, whose copy is believed in until it is needed; no copy migrates what it is of."""
    wrong, older, there = tmp_path / "wrong.sqlite", tmp_path / "older.sqlite", tmp_path / "there.sqlite"
    scripted(older, f"{MIGRATIONS[0]}; PRAGMA user_version=1")
    for database in (str(wrong), ":memory:", postgres_url):
        with pytest.raises(ConfigurationError, match="^INVALID_CONFIGURATION: database: a registry's database that is"):
            open_store(database, make=False)
    before = older.read_bytes()
    with pytest.raises(ConfigurationError, match=f"schema version {len(MIGRATIONS)}, this one is 1: use the program"):
        open_store(str(older), make=False)
    assert [found.name for found in tmp_path.iterdir()] == ["older.sqlite"]
    assert older.read_bytes() == before
    with psycopg.connect(postgres_url) as database:
        assert database.execute("SELECT count(*) FROM pg_tables WHERE schemaname='public'").fetchone() == (0,)
    for database in (str(there), postgres_url):
        open_store(database).close()
        open_store(database, make=False).close()
    with psycopg.connect(postgres_url) as database:
        database.execute("UPDATE schema_version SET version=1 WHERE version=(SELECT max(version) FROM schema_version)")
        database.execute("DELETE FROM schema_version WHERE version>1")
    with pytest.raises(ConfigurationError, match=r"schema version \d+, this one is 1: use the program that serves it"):
        open_store(postgres_url, make=False)


def test_a_registry_does_not_move_out_of_postgresql(postgres_url: str) -> None:
    """The other way there are backups."""
    with (
        contextlib.closing(PostgresStore(postgres_url)) as store,
        pytest.raises(ConfigurationError, match="^INVALID_CONFIGURATION: --from: an SQLite file"),
        store.moving(),
    ):
        raise AssertionError("not reached")


@pytest.mark.parametrize(
    "database",
    ["postgresql:/u:hush@db/registry", "postgres:registry", "host=db dbname=registry password=hush", "password = hush"],
)
def test_what_was_meant_for_postgresql_does_not_become_a_file(tmp_path: Path, database: str) -> None:
    """A slash too few would be a new, empty registry, in a folder that is named by the password."""
    with pytest.raises(ConfigurationError, match="database: a path, or a URL that begins with postgresql://") as caught:
        open_store(str(tmp_path / database))
    assert "hush" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE leaf",
        "ALTER TABLE verdict DROP COLUMN judged",
        "DELETE FROM turn",
        "DROP TABLE schema_version; CREATE TABLE schema_version (version text); INSERT INTO schema_version VALUES ('1.2')",
        "DROP TABLE schema_version; CREATE TABLE schema_version (installed_rank int)",
    ],
)
def test_a_postgresql_database_that_lost_something_or_is_anothers_is_refused(postgres_url: str, script: str) -> None:
    """Whatever its version says."""
    PostgresStore(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute(script)
    with pytest.raises(ConfigurationError, match=INCOMPLETE):
        PostgresStore(postgres_url)


def test_a_postgresql_database_in_another_encoding_is_refused(postgres_server: str) -> None:
    """Texts come back as bytes from one that has none."""
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(ConfigurationError, match="database: a database in UTF8: createdb"):
                PostgresStore(urlunsplit(urlsplit(postgres_server)._replace(path="/plain")))
        finally:
            server.execute("DROP DATABASE plain WITH (FORCE)")

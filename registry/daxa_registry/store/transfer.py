"""Whole databases between stores: every store writes itself into one SQLite file and takes itself from one.

Such a file is a registry's database like any other: a program of a later version migrates it forward, ``sqlite-utils`` opens it.

>>> copy_out(postgres, Path("registry.sqlite"))                    # doctest: +SKIP
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from daxa_core.errors import ConfigurationError, ErrorCode, Unavailable

from .database import Database
from .sqlite_schema import TABLES, columns, not_empty, opened

if TYPE_CHECKING:
    from .postgres_rows import PostgresConnection

AT_ONCE = 5_000


def copy_out(connection: PostgresConnection, path: Path) -> None:
    """Writes all tables into a new file, as they are at one moment; nobody waits. Raises Unavailable for the disk's errors."""
    with _told(path), closing(opened(path)) as target:
        target.execute("PRAGMA synchronous=OFF")
        target.execute("BEGIN IMMEDIATE")
        with connection.raw.transaction():
            connection.raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for table, names in columns().items():
                marks = ",".join("?" * len(names))
                statement = f"INSERT INTO {table} ({','.join(names)}) VALUES ({marks})"  # noqa: S608 - our own schema
                target.executemany(statement, _rows(connection, table, names))
        target.execute("COMMIT")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        told = getattr(error, "sqlite_errorname", type(error).__name__)
        raise Unavailable(ErrorCode.UNAVAILABLE, path.name, f"a disk that takes it, got {told}") from None


def _rows(connection: PostgresConnection, table: str, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    query = f"COPY (SELECT {', '.join(names)} FROM {table}) TO STDOUT (FORMAT BINARY)"  # noqa: S608 - our own schema
    types = connection.types_of(table, names)
    with connection.raw.cursor().copy(query) as copy:
        copy.set_types(types)
        yield from copy.rows()


def same(one: Path, other: Path) -> bool:
    """Whether two such files hold the same rows in every table. Raises Unavailable where they cannot be read or sorted."""
    with (
        _told(other),
        closing(sqlite3.connect(f"{one.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as database,
    ):
        database.execute("ATTACH ? AS other", (f"{other.absolute().as_uri()}?mode=ro",))
        for table, names in columns().items():
            here, there = (f"SELECT {', '.join(names)} FROM {base}.{table}" for base in ("main", "other"))  # noqa: S608
            for left, right in ((here, there), (there, here)):
                if database.execute(f"{left} EXCEPT {right} LIMIT 1").fetchone():
                    return False
    return True


def check_empty(database: Database, there: Collection[str]) -> None:
    """Raises ConfigurationError where one of our tables holds anything; ``there`` are the database's tables."""
    for table in TABLES:
        if table in there and database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608 - fixed names
            raise not_empty()


def copy_in(database: Database, path: Path) -> None:
    """Takes all tables from a file, inside the caller's transaction. Raises ConfigurationError where there is anything yet."""
    check_empty(database, TABLES)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as source:
        for table, names in columns().items():
            for rows in _pages(source, path, f"SELECT {', '.join(names)} FROM {table}"):  # noqa: S608 - our own schema
                database.insert(f"{table} ({', '.join(names)})", rows)


def _pages(source: sqlite3.Connection, path: Path, query: str) -> Iterator[list[tuple[object, ...]]]:
    try:
        if not source.in_transaction:
            source.execute("BEGIN")  # one moment of a file that is in use
        cursor = source.execute(query)
        while rows := cursor.fetchmany(AT_ONCE):
            yield rows
    except sqlite3.Error:
        wanted = "a registry's database that is whole; nothing of it was put anywhere"
        raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, wanted) from None

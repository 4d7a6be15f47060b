"""Whole databases between stores: every store writes itself into one SQLite file and takes itself from one.

Such a file is a registry's database like any other: a program of a later version migrates it forward, ``sqlite-utils`` opens it.

>>> copy_out(postgres, Path("registry.sqlite"))                    # doctest: +SKIP
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .database import Database
from .sqlite_schema import TABLES, not_empty, opened

if TYPE_CHECKING:
    from .postgres_rows import PostgresConnection

AT_ONCE = 5_000


def columns_of(database: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns, which are the same on every store."""
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def copy_out(connection: PostgresConnection, path: Path) -> None:
    """Writes all tables into a new file, as they are at one moment; nobody waits for it."""
    with closing(opened(path)) as target:
        target.execute("PRAGMA synchronous=OFF")
        target.execute("BEGIN IMMEDIATE")
        with connection.raw.transaction():
            connection.raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            for table in TABLES:
                columns = columns_of(target, table)
                marks = ",".join("?" * len(columns))
                statement = f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own schema
                target.executemany(statement, _rows(connection, table, columns))
        target.execute("COMMIT")


def _rows(connection: PostgresConnection, table: str, columns: list[str]) -> Iterator[tuple[object, ...]]:
    query = f"COPY (SELECT {', '.join(columns)} FROM {table}) TO STDOUT (FORMAT BINARY)"  # noqa: S608 - our own schema
    types = connection.types_of(table, columns)
    with connection.raw.cursor().copy(query) as copy:
        copy.set_types(types)
        yield from copy.rows()


def copy_in(database: Database, path: Path) -> None:
    """Takes all tables from a file, inside the caller's transaction. Raises ConfigurationError where there is anything yet."""
    for table in TABLES:
        if database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():  # noqa: S608 - fixed names
            raise not_empty()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as source:
        source.execute("BEGIN")  # one moment of a file that is in use
        for table in TABLES:
            columns = columns_of(source, table)
            cursor = source.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our own schema
            while rows := cursor.fetchmany(AT_ONCE):
                database.insert(f"{table} ({', '.join(columns)})", rows)

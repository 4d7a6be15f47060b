"""Many rows to a statement: SQLite works on all of them without the interpreter's lock.

``executemany`` lets go of the lock for every row, and on a busy server another thread takes it each time.

>>> insert(database, "node (id, kind)", [(1, 2), (3, 4)])                # doctest: +SKIP
>>> update(database, "node", ("subjects=subjects+",), [(1, 5)])          # doctest: +SKIP
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain

ROWS = 100
"""Rows to a statement; what is left over goes row by row, so that there are few different statements."""

Row = Sequence[object]


def insert(database: sqlite3.Connection, into: str, rows: Sequence[Row]) -> None:
    """Inserts rows ``into`` a table with its columns."""
    if rows:
        _run(database, f"INSERT INTO {into} VALUES ", "", len(rows[0]), rows)  # noqa: S608 - fixed names


def update(database: sqlite3.Connection, table: str, changes: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Updates rows by id: each is the id and one value for each of ``changes``, such as ``count=count+``. One row an id."""
    if rows:
        setting = ", ".join(f"{change}v.column{place}" for place, change in enumerate(changes, 2))
        head = f"UPDATE {table} SET {setting} FROM (VALUES "  # noqa: S608 - fixed names
        _run(database, head, f") AS v WHERE {table}.id=v.column1", len(rows[0]), rows)


@cache
def _statement(head: str, tail: str, width: int, rows: int) -> str:
    one = f"({','.join('?' * width)})"
    return f"{head}{','.join([one] * rows)}{tail}"


def _run(database: sqlite3.Connection, head: str, tail: str, width: int, rows: Sequence[Row]) -> None:
    whole = len(rows) - len(rows) % ROWS
    many = _statement(head, tail, width, ROWS)
    for start in range(0, whole, ROWS):
        database.execute(many, list(chain.from_iterable(rows[start : start + ROWS])))
    if whole < len(rows):
        database.executemany(_statement(head, tail, width, 1), rows[whole:])

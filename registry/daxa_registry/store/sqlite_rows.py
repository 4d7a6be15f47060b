"""A connection to SQLite as :mod:`.database` describes it, with many rows to a statement: SQLite works on all of them without
the interpreter's lock.

``executemany`` lets go of the lock for every row, and on a busy server another thread takes it each time.

>>> database.insert("node (id, kind)", [(1, 2), (3, 4)])                # doctest: +SKIP
>>> database.update("node", ("subjects=subjects+",), [(1, 5)])          # doctest: +SKIP
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain

from .database import Row

ROWS = 100
"""Rows to a statement; what is left over goes row by row, so that there are few different statements."""
AT_ONCE = 500
"""Values to a list."""


class SqliteConnection(sqlite3.Connection):
    """A :class:`~daxa_registry.store.database.Database`."""

    def select(self, query: str, values: Iterable[object], *before: object) -> Iterator[tuple]:  # type: ignore[type-arg]
        listed = list(values)
        for start in range(0, len(listed), AT_ONCE):
            part = listed[start : start + AT_ONCE]
            yield from self.execute(query.format(",".join("?" * len(part))), [*before, *part])

    def named(self, query: str, fingerprints: Iterable[bytes], *before: object) -> Iterator[tuple]:  # type: ignore[type-arg]
        listed = sorted(fingerprints)  # as they stand in the index
        for start in range(0, len(listed), AT_ONCE):
            part = listed[start : start + AT_ONCE]
            yield from self.execute(query.format(_one_of(len(before) + 1, len(part))), [*before, *part])

    def insert(self, into: str, rows: Sequence[Row]) -> None:
        if rows:
            self._run(f"INSERT INTO {into} VALUES ", "", rows)  # noqa: S608 - fixed names

    def update(
        self, table: str, changes: tuple[str, ...], rows: Sequence[Row], keys: tuple[str, ...] = ("id",)
    ) -> None:
        if rows:
            setting = ", ".join(f"{change}v.column{place}" for place, change in enumerate(changes, len(keys) + 1))
            where = " AND ".join(f"{table}.{key}=v.column{place}" for place, key in enumerate(keys, 1))
            self._run(f"UPDATE {table} SET {setting} FROM (VALUES ", f") AS v WHERE {where}", rows)  # noqa: S608 - the same

    def _run(self, head: str, tail: str, rows: Sequence[Row]) -> None:
        whole = len(rows) - len(rows) % ROWS
        many = _statement(head, tail, len(rows[0]), ROWS)
        for start in range(0, whole, ROWS):
            self.execute(many, list(chain.from_iterable(rows[start : start + ROWS])))
        if whole < len(rows):
            self.executemany(_statement(head, tail, len(rows[0]), 1), rows[whole:])


@cache
def _one_of(first: int, number: int) -> str:
    marks = [f"?{place}" for place in range(first, first + number)]
    heads = ",".join(f"substr({mark}, 1, 8)" for mark in marks)
    return f"substr(n.fingerprint, 1, 8) IN ({heads}) AND n.fingerprint IN ({','.join(marks)})"


@cache
def _statement(head: str, tail: str, width: int, rows: int) -> str:
    one = f"({','.join('?' * width)})"
    return f"{head}{','.join([one] * rows)}{tail}"

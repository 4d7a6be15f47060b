"""What the SQL of this package asks of a database: the same statements run on SQLite and on PostgreSQL.

A statement is written in what both understand: ``?`` and ``?1`` stand for parameters, ``{}`` for a list of values, rows are
changed with ``ON CONFLICT``, and nothing is compared or cast by rules that only one of them has. What differs, many rows
at once, is a method here.

>>> database.execute("SELECT head FROM member WHERE id=?", (1,)).fetchone()             # doctest: +SKIP
(7,)
>>> dict(database.select("SELECT id, name FROM member WHERE id IN ({})", [1, 2]))       # doctest: +SKIP
{1: 'upbit', 2: 'bithumb'}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from daxa_core.errors import ErrorCode, Unavailable

Row = Sequence[object]

NODE = "substr(n.fingerprint, 1, 8)=substr({0}, 1, 8) AND n.fingerprint={0}"
"""The condition that a row ``n`` of nodes has one fingerprint: by what SQLite's index holds of it, and by all of it."""


class Found(Protocol):
    """What a statement answered."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left, one by one."""


class Database(Protocol):
    """One connection to a database. What fails raises the database's own error, which no store lets out."""

    def execute(self, statement: str, parameters: Sequence[object] = (), /) -> Found:
        """Runs one statement."""

    def executemany(self, statement: str, rows: Iterable[Row], /) -> Any:
        """Runs one statement for each row."""

    def select(self, query: str, values: Iterable[object], *before: object) -> Iterator[Any]:
        """The rows of a query with ``IN ({})``, for any number of values; ``before``: the parameters ahead of them."""

    def named(self, query: str, fingerprints: Iterable[bytes], *before: object) -> Iterator[Any]:
        """The rows of a query with ``{}`` where the condition stands that a row ``n`` of nodes has one of the fingerprints."""

    def insert(self, into: str, rows: Sequence[Row]) -> None:
        """Inserts new rows ``into`` a table with its columns, such as ``node (id, kind)``."""

    def update(
        self, table: str, changes: tuple[str, ...], rows: Sequence[Row], keys: tuple[str, ...] = ("id",)
    ) -> None:
        """Updates rows by their keys: each is the keys and one value for each of ``changes``, such as ``count=count+``.

        One row for each key.
        """


def disk_full() -> Unavailable:
    """What is told where a database cannot grow."""
    wanted = "a disk that takes more of the database: there is no room, or it may not be written to; try again"
    return Unavailable(ErrorCode.UNAVAILABLE, "store", wanted, retry_after=1.0)

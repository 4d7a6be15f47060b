"""A connection to PostgreSQL as :mod:`.database` describes it: lists as arrays, new rows by COPY, changed rows by ``unnest``.

A connection that broke is opened again at the next use outside a transaction; what was under way in it is lost, and told.

>>> connection = PostgresConnection("postgresql:///registry")                     # doctest: +SKIP
>>> connection.execute("SELECT head FROM member WHERE id=?", (1,)).fetchone()      # doctest: +SKIP
(7,)
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import cache
from typing import Any

import psycopg
from psycopg import conninfo, pq
from psycopg.types.numeric import Int8BinaryDumper

from .database import Found, Row

FEW = 32
"""Rows up to which one statement is quicker than COPY, which needs more than one answer of the server."""
SETTINGS = {
    # The statements of intake look up what they name; a plan that reads a whole table is right for a small table alone, and
    # would stay in force when it has grown.
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "synchronous_commit": "on",
    "lock_timeout": "5s",
    # Whatever the server's own defaults are: who has waited for the turn must see what was written in the one before, and a
    # commit that waits for the standby must not be cut short.
    "default_transaction_isolation": r"read\ committed",
    "statement_timeout": "0",
    "idle_session_timeout": "0",
    # A node that hangs with its turn taken would stop all the others.
    "idle_in_transaction_session_timeout": "60s",
}
"""In force from the first statement: a ``SET`` would itself be subject to the server's own limit."""
OPTIONS = {
    "application_name": "daxa-registry", "target_session_attrs": "read-write", "connect_timeout": "5",
    # A server whose machine is lost says no goodbye: without these a node would wait for it for hours.
    "keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3", "tcp_user_timeout": "10000",
}  # fmt: skip
MOMENT_SECONDS = 0.05
"""A look-up waits so long for a connection that broke: time for a server that is there."""
_NUMBERED = re.compile(r"\?(\d+)")


class PostgresConnection:
    """A :class:`~daxa_registry.store.database.Database`, for one thread at a time."""

    def __init__(self, url: str, **settings: str) -> None:
        """Connects, with those of :data:`SETTINGS` otherwise. Raises psycopg.Error where it cannot."""
        self._url = url
        self._settings = SETTINGS | settings
        self._types: dict[str, dict[str, str]] = {}
        self._warnings: list[str] = []
        self._connecting: Future[psycopg.Connection] | None = None
        self.raw = self._connect()

    def _connect(self) -> psycopg.Connection:
        asked = conninfo.conninfo_to_dict(self._url)
        settings = [str(asked.get("options", "")), *(f"-c {name}={value}" for name, value in self._settings.items())]
        url = conninfo.make_conninfo("", **(OPTIONS | asked | {"options": " ".join(settings).strip()}))
        connection = psycopg.connect(url, autocommit=True)
        # One type for every whole number: a statement is then prepared once, not once for each size of its numbers.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.add_notice_handler(self._noticed)
        return connection

    def _noticed(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.sqlstate or "")

    def ready(self) -> None:
        """Opens the connection again where it broke. Raises psycopg.Error."""
        if self.raw.closed:
            self.raw = self._connect()

    def ready_soon(self) -> None:
        """As :meth:`ready`, but waits no longer than a moment: raises psycopg.OperationalError while a thread connects.

        A server that is down says so at once; one whose machine is lost says nothing, for ``connect_timeout`` each time.
        """
        if not self.raw.closed:
            return
        made = self._connecting
        if made is None:
            made = Future()
            threading.Thread(target=_keep, args=(self._connect, made), name="connecting", daemon=True).start()
            self._connecting = made  # not where no thread could be had: nobody would end it
            wait([made], MOMENT_SECONDS)
        if not made.done():
            raise psycopg.OperationalError
        self._connecting = None
        self.raw = made.result()

    @property
    def in_transaction(self) -> bool:
        """Whether there is anything to roll back."""
        return not self.raw.closed and self.raw.info.transaction_status != pq.TransactionStatus.IDLE

    def commit(self) -> None:
        """Raises psycopg.Error also where no statement failed and what was written is not there, or may go with the server."""
        self._warnings.clear()
        done = self.raw.execute("COMMIT")
        if done.statusmessage != "COMMIT":
            # An error before it was swallowed: the server has rolled back, and says no more.
            raise psycopg.errors.InFailedSqlTransaction
        if self._warnings:  # somebody ended the wait for the standby: it is committed here, and may not be there
            raise psycopg.OperationalError

    def close(self) -> None:
        """Closes the connection, and the one that is being made."""
        self.raw.close()
        if self._connecting is not None:
            self._connecting.add_done_callback(_discard)

    def execute(self, statement: str, parameters: Sequence[object] = (), /) -> Found:
        query, numbered = _translated(statement)
        if numbered:
            return self.raw.execute(query, {f"p{i}": value for i, value in enumerate(parameters, 1)}, binary=True)
        return self.raw.execute(query, parameters or None, binary=True)

    def executemany(self, statement: str, rows: Iterable[Row], /) -> None:
        with self.raw.cursor() as cursor:
            cursor.executemany(_translated(statement)[0], rows)

    def select(self, query: str, values: Iterable[object], *before: object) -> Iterator[Any]:
        listed = list(values)
        if listed:
            # A fingerprint is looked up in its own partition, which it names; as one of an array it would be in all of them.
            kind = "bytea" if isinstance(listed[0], bytes) else "bigint"
            there = "IN (SELECT unnest(?::bytea[]))" if kind == "bytea" else "= ANY(?::bigint[])"
            # All rows at once: one at a time, each is a call of psycopg's own.
            yield from self.execute(query.replace("IN ({})", there), [*before, _array(kind, listed)]).fetchall()

    def named(self, query: str, fingerprints: Iterable[bytes], *before: object) -> Iterator[Any]:
        return self.select(query.replace("{}", "n.fingerprint IN ({})"), fingerprints, *before)

    def insert(self, into: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        table, columns = _named(into)
        types = self.types_of(table, columns)
        names = ", ".join(columns)
        if len(rows) <= FEW:
            arrays = ", ".join(f"%s::{one}[]" for one in types)
            statement = f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608 - fixed names
            self.raw.execute(statement, _columns(types, rows))
            return
        with self.raw.cursor().copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def update(
        self, table: str, changes: tuple[str, ...], rows: Sequence[Row], keys: tuple[str, ...] = ("id",)
    ) -> None:
        if not rows:
            return
        known = self._types_of(table)
        columns = [*keys, *(change.partition("=")[0] for change in changes)]
        arrays = ", ".join(f"%s::{known[column]}[]" for column in columns)
        names = ", ".join(f"column{place}" for place in range(1, len(columns) + 1))
        setting = ", ".join(f"{change}v.column{place}" for place, change in enumerate(changes, len(keys) + 1))
        where = " AND ".join(f"{table}.{key}=v.column{place}" for place, key in enumerate(keys, 1))
        statement = f"UPDATE {table} SET {setting} FROM unnest({arrays}) AS v({names}) WHERE {where}"  # noqa: S608 - fixed names
        self.raw.execute(statement, _columns([known[column] for column in columns], rows))

    def types_of(self, table: str, columns: Sequence[str]) -> list[str]:
        """The types of those columns, as PostgreSQL names them."""
        return [self._types_of(table)[column] for column in columns]

    def _types_of(self, table: str) -> dict[str, str]:
        known = self._types.get(table)
        if known is None:
            rows = self.raw.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid=%s::regclass AND attnum>0",
                (table,),
            )
            known = self._types[table] = dict(rows.fetchall())
        return known


def _keep(connect: Callable[[], psycopg.Connection], made: Future[psycopg.Connection]) -> None:
    try:
        made.set_result(connect())
    except BaseException as error:  # noqa: BLE001 - whoever asks next is told
        made.set_exception(error)


def _discard(made: Future[psycopg.Connection]) -> None:
    if made.exception() is None:
        made.result().close()


def _columns(types: Sequence[str], rows: Sequence[Row]) -> list[object]:
    return [_array(one, column) for one, column in zip(types, zip(*rows, strict=True), strict=True)]


def _array(kind: str, values: Sequence[Any]) -> object:
    """Whole numbers and bytes as a literal: psycopg would take an array's type from the sizes of the numbers in it, and quotes
    bytes one by one."""
    if kind == "bigint":
        return "{" + ",".join(["NULL" if value is None else str(int(value)) for value in values]) + "}"
    if kind == "bytea":
        return "{" + ",".join(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]) + "}"
    return list(values)


@cache
def _named(into: str) -> tuple[str, list[str]]:
    table, _, columns = into.partition("(")
    return table.strip(), [column.strip() for column in columns.rstrip(") ").split(",")]


@cache
def _translated(statement: str) -> tuple[str, bool]:
    """The statement with psycopg's marks, and whether its parameters are numbered."""
    escaped = statement.replace("%", "%%")
    if _NUMBERED.search(escaped):
        return (_NUMBERED.sub(r"%(p\1)s", escaped)), True
    return (escaped.replace("?", "%s")), False

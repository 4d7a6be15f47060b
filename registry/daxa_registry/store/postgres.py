"""The store of several nodes: one PostgreSQL, whose tables every node reads, and writes in turn.

Every transaction that writes locks the one row of ``turn`` first. So the log has one order, sequences and ids have no gaps, no
two transactions can wait for each other, and a node that was not the last to write knows that what it remembers is old. A node
that dies lets go of its turn when the server sees its connection end; what it had not committed was never there.

    >>> store = PostgresStore("postgresql://registry@db.example/registry")       # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode

from .database import Database
from .interface import HUB_SIZE, StoredVerdict, Superseded
from .postgres_opening import not_opened, unavailable
from .postgres_rows import PostgresConnection
from .postgres_schema import MIGRATIONS, migrate
from .postgres_signals import Signals
from .sql_store import SqlStore
from .sqlite_schema import check_tables, incomplete
from .transfer import check_empty, copy_in, copy_out


class PostgresStore(SqlStore):
    """A :class:`~daxa_registry.store.interface.Store` on a database that other nodes work on too."""

    _errors = psycopg.Error
    _reader: PostgresConnection
    _counter: PostgresConnection | None = None
    _teller: PostgresConnection | None = None
    _unavailable = staticmethod(unavailable)

    def __init__(self, url: str, *, hub_size: int = HUB_SIZE, make: bool = True) -> None:
        """Connects and migrates; or, without ``make``, takes what is there.

        Raises ConfigurationError where there is no such database, or one from the future; or then one that is not of this
        program's version.
        """
        with contextlib.ExitStack() as opened:
            try:
                self._connection = opened.enter_context(contextlib.closing(PostgresConnection(url)))
                if self._connection.raw.info.parameter_status("server_encoding") != "UTF8":
                    wanted = "a database in UTF8: createdb -E UTF8 -T template0"
                    raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
                migrate(self._connection.raw, make=make)
                check_tables(self._connection)
                if len(self._connection.execute("SELECT node FROM turn").fetchall()) != 1:
                    raise incomplete()
                self._reader = opened.enter_context(contextlib.closing(PostgresConnection(url)))
                self._remember(self._connection, hub_size)
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                raise incomplete() from None
            except psycopg.Error as error:
                raise not_opened(error) from None
            opened.pop_all()
        self._url, self._node = url, str(uuid.uuid4())
        self._signals = Signals(url, self._node)
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._tell_lock = threading.Lock()
        self._moved: dict[int, int] = {}
        self._before_turn: Callable[[], None] = lambda: None

    def _begin(self) -> bool:
        self._connection.ready()
        self._moved = {}
        self._connection.execute("BEGIN")
        [last] = self._connection.execute("SELECT node FROM turn FOR UPDATE").fetchone()
        if last != self._node:
            self._check_version()
            self._connection.execute("UPDATE turn SET node=?", (self._node,))
        return bool(last != self._node)

    def _check_version(self) -> None:
        """Whoever migrates takes the turn, so a node that has it, and whose it was last, need not look."""
        [version] = self._connection.execute("SELECT max(version) FROM schema_version").fetchone()
        if version != len(MIGRATIONS):
            raise Superseded.by(version, len(MIGRATIONS))

    def _on_others(self) -> None:
        self._before_turn()

    def _commit(self) -> None:
        if self._moved:
            self._signals.tell_heads(self._connection, self._moved)
        self._connection.commit()

    def _roll_back(self, error: BaseException) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            self._connection.close()  # the server is no longer the one to write to: the next connection finds that

    def _counter_now(self) -> Database:
        if self._counter is None:
            self._counter = PostgresConnection(self._url)
        self._counter.ready()
        return self._counter

    def close(self) -> None:
        self._signals.close()
        with self._write_lock, self._read_lock, self._count_lock, self._tell_lock:
            for connection in (self._counter, self._teller):
                if connection is not None:
                    connection.close()
            self._reader.close()
            self._connection.close()

    def _reader_now(self) -> Database:
        self._reader.ready_soon()  # look-ups are made by the thread that serves everybody
        return self._reader

    # between nodes

    def append_verdict(self, verdict: StoredVerdict) -> None:
        super().append_verdict(verdict)
        self._moved[verdict.member] = verdict.sequence

    def share(
        self,
        before_turn: Callable[[], None],
        on_heads: Callable[[dict[int, int]], None],
        on_notice: Callable[[str], None],
        on_superseded: Callable[[Superseded], None] = lambda error: None,
    ) -> None:
        self._before_turn, self._on_superseded = before_turn, on_superseded
        self._signals.listen(on_heads, on_notice, lambda: {member: self.head(member) for member in self.members()})

    def notify(self, notice: str) -> None:
        # Not by the connection of look-ups: it may wait for a commit of this kind that waits for a standby.
        with self._tell_lock:
            try:
                if self._teller is None:
                    self._teller = PostgresConnection(self._url, synchronous_commit="off")
                self._teller.ready()
                self._signals.tell_notice(self._teller, notice)
            except psycopg.Error as error:
                raise unavailable(error) from error

    @contextmanager
    def only_here(self, work: str) -> Iterator[bool]:
        with self._reading() as reader:
            [mine] = reader.execute("SELECT pg_try_advisory_lock(hashtext(?))", (work,)).fetchone()
        try:
            yield bool(mine)
        finally:
            if mine:
                with contextlib.suppress(DaxaError), self._reading() as reader:
                    reader.execute("SELECT pg_advisory_unlock(hashtext(?))", (work,))

    # whole

    @staticmethod
    def check_empty(url: str) -> None:
        """Raises ConfigurationError where the database holds anything of a registry's. Nothing is made or migrated."""
        try:
            with contextlib.closing(PostgresConnection(url)) as connection:
                query = "SELECT tablename FROM pg_tables WHERE schemaname=current_schema()"
                check_empty(connection, {name for (name,) in connection.execute(query).fetchall()})
        except psycopg.Error as error:
            raise not_opened(error) from None

    def save(self, path: Path) -> None:
        try:
            with contextlib.closing(PostgresConnection(self._url)) as connection:
                copy_out(connection, path)
        except psycopg.Error as error:
            raise unavailable(error) from error

    def load(self, path: Path) -> None:
        self._inside()
        copy_in(self._connection, path)
        self._connection.execute(
            "SELECT setval(pg_get_serial_sequence('member', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM member), false)"
        )
        self._loaded()

    def moving(self) -> AbstractContextManager[Path]:
        wanted = "an SQLite file: a registry moves from there to PostgreSQL"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "--from", wanted)

"""The embedded store: one SQLite file in WAL mode, durable at every commit.

One connection writes, one reads; each is used under its own lock, so neither waits for the other. What the writer knows of
the file is remembered in memory (:mod:`.sql_store`). The absorbing of sightings is in :mod:`.sqlite_absorb`.

    >>> store = SqliteStore(":memory:")
    >>> with store.transaction():
    ...     store.member_id("upbit")
    1
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlite_utils

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, Unavailable

from .database import Database, disk_full
from .interface import HUB_SIZE, Superseded
from .sql_store import SqlStore
from .sqlite_checkpoint import LONGEST_PAGES, Checkpoints
from .sqlite_rows import SqliteConnection
from .sqlite_schema import MIGRATIONS, MOVED, check_tables, incomplete, migrate, not_served, retire
from .transfer import check_empty, copy_in

BUSY_SECONDS = 5.0
PATIENT_SECONDS = 60.0
"""Who works beside a registry that takes in all that it can may come to its turn late: SQLite keeps no queue."""


def unavailable(error: Exception) -> Unavailable:
    """The typed error for one of SQLite's: its class is told, its text never (it may quote a statement)."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        wanted = "the database that this was moved to: change registry.toml and start again"
        return Unavailable(ErrorCode.UNAVAILABLE, "store", wanted, retry_after=30.0)
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return disk_full()
    if isinstance(error, sqlite3.OperationalError):
        wanted = "a database that can be written to; try again"
        return Unavailable(ErrorCode.UNAVAILABLE, "store", wanted, retry_after=1.0)
    return Unavailable(ErrorCode.INTERNAL, "store", f"a statement that fits the schema, got {type(error).__name__}")


def not_opened(error: sqlite3.Error) -> DaxaError:
    """Why a file cannot be opened: what SQLite calls it, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return unavailable(error)
    if code == sqlite3.SQLITE_ERROR:
        return incomplete()
    wanted = f"a path where a file can be written, got {getattr(error, 'sqlite_errorname', type(error).__name__)}"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        wanted = f"a disk that takes it; what was there is as it was, got {getattr(error, 'sqlite_errorname', '')}"
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        wanted = "a registry's SQLite file that is whole; this one is not: restore a backup into a new one"
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)


class SqliteStore(SqlStore):
    """A :class:`~daxa_registry.store.interface.Store` on one file, or in memory for one run."""

    _errors = sqlite3.Error
    _reader: SqliteConnection
    _counter: SqliteConnection | None = None
    _unavailable = staticmethod(unavailable)

    def __init__(self, path: str | Path, *, hub_size: int = HUB_SIZE, cache_mib: int = 256, make: bool = True) -> None:
        """Opens or makes the file and migrates it; or, without ``make``, opens what is there.

        Raises ConfigurationError for what is no registry's, or a later program's; or then for one that is not there, or not of
        this program's version.
        """
        memory = str(path) == ":memory:"
        if not make and not Path(path).is_file():
            raise not_served(0, len(MIGRATIONS))
        with contextlib.ExitStack() as opened:
            try:
                self._connection = opened.enter_context(contextlib.closing(self._connect(str(path))))
                if not make:
                    self._connection.execute(f"PRAGMA busy_timeout={PATIENT_SECONDS * 1_000:.0f}")
                migrate(sqlite_utils.Database(self._connection, execute_plugins=False), make=make)
                check_tables(self._connection)
                self._tune(self._connection, cache_mib)
                self._reader = self._connection
                if not memory:
                    self._reader = opened.enter_context(contextlib.closing(self._connect(str(path))))
                    self._tune(self._reader, cache_mib // 4)
                [self._written] = self._connection.execute("PRAGMA data_version").fetchone()
                self._remember(self._connection, hub_size)
            except sqlite3.Error as error:
                raise not_opened(error) from None
            opened.pop_all()
        self._write_lock = threading.RLock()
        self._read_lock = self._write_lock if memory else threading.RLock()
        self._checkpoints = None if memory else Checkpoints(str(path))

    @staticmethod
    def _connect(path: str) -> SqliteConnection:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, factory=SqliteConnection
        )
        assert isinstance(connection, SqliteConnection)
        return connection

    @staticmethod
    def _tune(connection: SqliteConnection, cache_mib: int) -> None:
        # Not before the file is known to be a registry's: the journal's mode is written into it.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{max(cache_mib, 2) * 1024}")
        connection.execute("PRAGMA temp_store=MEMORY")
        # What is deleted is overwritten at once, whatever this SQLite was built to do.
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={LONGEST_PAGES}")

    def _begin(self) -> bool:
        self._connection.execute("BEGIN IMMEDIATE")
        # One file is one process's; where a second one writes after all, nothing is done by what was remembered before.
        [written] = self._connection.execute("PRAGMA data_version").fetchone()
        if written == self._written:
            return False
        [version] = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (len(MIGRATIONS), MOVED):  # of one that was moved its own triggers tell
            raise Superseded.by(version, len(MIGRATIONS))
        self._written = written
        return True

    def _commit(self) -> None:
        self._connection.execute("COMMIT")
        if self._checkpoints is not None:
            self._checkpoints.wrote(self._connection)

    def _roll_back(self, error: BaseException) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _counter_now(self) -> Database:
        if self._counter is None:
            self._counter = self._connect(str(self._file()))
            self._tune(self._counter, cache_mib=2)
        return self._counter

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        with self._write_lock, self._read_lock, self._count_lock:
            if self._counter is not None:
                self._counter.close()
            self._reader.close()
            self._connection.close()

    # whole

    def _file(self) -> Path:
        return Path(
            str(self._connection.execute("SELECT file FROM pragma_database_list WHERE name='main'").fetchone()[0])
        )

    @staticmethod
    def check_empty(path: str | Path) -> None:
        """Raises ConfigurationError where a file holds anything of a registry's. Nothing is made or migrated."""
        if not Path(path).exists():
            return
        uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True, factory=SqliteConnection)) as connection:
                there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
                check_empty(connection, there)
        except sqlite3.Error as error:
            raise not_opened(error) from None

    def save(self, path: Path) -> None:
        # A connection of its own: those that serve are not kept busy, and the pages are those of one moment.
        try:
            with (
                contextlib.closing(sqlite3.connect(f"{self._file().as_uri()}?mode=ro", uri=True)) as source,
                contextlib.closing(sqlite3.connect(path)) as target,
            ):
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM member").fetchone()
                source.backup(target)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def load(self, path: Path) -> None:
        self._inside()
        copy_in(self._connection, path)
        self._loaded()

    @contextmanager
    def moving(self) -> Iterator[Path]:
        with self.transaction():
            yield self._file()
            retire(self._connection)

"""A file of the member's own: SQLite, 0600, what is in it sealed; safe against crashes, forks, full disks and newer versions.

A torn file is set aside as ``….broken-N`` and one of a newer version as ``….newer-N``, with one log line, and a new one is made.
What can still be read of it is handed to ``salvage``, once: where that cannot be done now, as on a full disk, the file is called
``….unread`` until it was, and is tried again. Of several processes that meet the damage one sets the file aside. Whatever else
the disk does is raised as Unavailable with nothing changed. The connection is closed before a fork and opened again when it is
next needed, because SQLite's does not survive one.
"""

from __future__ import annotations

import fcntl
import glob
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from daxa_core.errors import ErrorCode, Unavailable
from daxa_core.pseudonym import derive_key

from . import _forks
from ._complaints import Complaints

_NONCE_BYTES = 12
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises: where a name in a torn schema is no text, its error's own message cannot be decoded."""


_TRIES = 3
_LOCKED_SECONDS = 5.0
_LOCKED_AT_LAST_SECONDS = 60.0
_PARTS = ("", "-wal", "-shm")
_UNREAD = ".unread"
_SECONDS_BETWEEN_SALVAGES = 60.0
_SALVAGED = "CREATE TABLE IF NOT EXISTS salvaged (name TEXT PRIMARY KEY);"
"""Which files that were set aside are in this one: renaming them and writing to this one are not one step."""


class Unreadable(Exception):
    """A sealed value that this member's secret does not open: torn, changed, or another's."""


class Torn(sqlite3.DatabaseError):
    """The file contradicts itself where SQLite does not notice: an index without its row, a row that cannot be deleted."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class SealedFile:
    """One database file with its sealing key. Thread-safe; several processes may share the file."""

    def __init__(
        self,
        path: Path,
        secret: bytes,
        name: str,
        schema: str,
        version: int,
        complaints: Complaints,
        salvage: Callable[[sqlite3.Connection, sqlite3.Connection], None] | None = None,
    ) -> None:
        """Opens nothing yet. ``name`` is how a person knows it; ``salvage`` copies what it can from a file set aside to the new
        one, within a transaction of the new one, and raises what that one raises."""
        self.path, self.name = path, name
        self._schema, self._version, self._salvage = schema + (_SALVAGED if salvage else ""), version, salvage
        self._complaints = complaints
        self._key = derive_key(f"daxa 2026-11 {name} sealing key v1", secret)
        self._cipher: Any = None
        self._invalid: type[Exception] = Unreadable  # what the cipher raises, once it is loaded
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._locked_seconds = _LOCKED_SECONDS
        self._next_salvage = 0.0
        self._inode = self.openings = 0
        """``openings``: how often the file was opened; where it was made anew, it was opened again."""
        _forks.register(self)

    @contextmanager
    def transaction(self, writes: bool = True) -> Iterator[sqlite3.Connection]:
        """Everything inside is on the disk together when the block ends, or nothing. Raises Unavailable naming the file."""
        with self._lock:
            try:
                database = self._begun("BEGIN IMMEDIATE" if writes else "BEGIN")
                try:
                    yield database
                    database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:
                        database.execute("ROLLBACK")
                    raise
            except (*FAILURES, OSError) as error:
                if isinstance(error, FAILURES) and is_broken(error):
                    with suppress(*FAILURES, OSError):
                        self._set_aside("broken")
                        self._connected()
                raise self._unavailable(error) from None

    def patient(self) -> None:
        """From now on waits longer for other processes to let go of the file: for the last write, which nobody repeats."""
        with self._lock:
            self._locked_seconds = _LOCKED_AT_LAST_SECONDS
            self._disconnect()

    def close(self) -> None:
        """Closes the connection; it is opened again where the file is used again."""
        with self._lock:
            self._disconnect()

    def before_fork(self) -> None:
        """A connection does not survive a fork: it is closed, and nobody opens another until :meth:`after_fork`."""
        self._lock.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """Ends what :meth:`before_fork` began."""
        self._lock.release()

    def seal(self, data: bytes, label: bytes) -> bytes:
        """The data so that nobody reads or changes it, or puts it under another label, without the member's secret."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + bytes(self._sealing().encrypt(nonce, data, label))

    def unseal(self, sealed: object, label: bytes) -> bytes:
        """What was sealed under that label. Raises Unreadable."""
        if not isinstance(sealed, bytes) or len(sealed) < _NONCE_BYTES:
            raise Unreadable
        cipher = self._cipher or self._sealing()
        try:
            opened: bytes = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label)
        except (self._invalid, ValueError):
            raise Unreadable from None
        return opened

    def _sealing(self) -> Any:
        if self._cipher is None:  # loaded when first needed: it is a third of the time that the client takes to start
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

            self._invalid = InvalidTag
            self._cipher = ChaCha20Poly1305(self._key)
        return self._cipher

    # the file; the lock is held

    def _begun(self, begin: str) -> sqlite3.Connection:
        while True:
            database = self._connected()
            database.execute(begin)
            # Somebody else may have set the file aside or deleted it: what is written to it then would be lost.
            if self._is_there():
                return database
            database.execute("ROLLBACK")
            self._disconnect()

    def _is_there(self) -> bool:
        try:
            return os.stat(self.path).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._opened()
            self._next_salvage = 0.0
        if self._salvage is not None and time.monotonic() >= self._next_salvage:
            self._salvage_all(self._db, self._salvage)
        return self._db

    def _opened(self) -> sqlite3.Connection:
        for _ in range(_TRIES):
            try:
                database = self._open()
                if int(database.execute("PRAGMA user_version").fetchone()[0]) <= self._version:
                    return database
                database.close()
                why = "newer"
            except FAILURES as error:
                if not is_broken(error):
                    raise
                why = "broken"
            self._set_aside(why)
        raise FileExistsError  # somebody makes such files again and again

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            self._inode = os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
        database = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=self._locked_seconds
        )
        self.openings += 1
        try:
            version = int(database.execute("PRAGMA user_version").fetchone()[0])
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=FULL")
            if version <= self._version:
                database.executescript(f"BEGIN IMMEDIATE; {self._schema} PRAGMA user_version={self._version}; COMMIT;")
        except BaseException:
            database.close()
            raise
        return database

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process sets the file aside or reads one that was."""
        lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _set_aside(self, why: str) -> None:
        """Renames the file, unless another process has: the one that is there now would be its new one. Raises OSError."""
        self._disconnect()
        with self._alone():
            if not self._is_there():
                return
            number = 1
            while True:
                kept = self.path.with_name(f"{self.path.name}.{why}-{number}")
                unread = kept.with_name(kept.name + _UNREAD)
                if not kept.exists() and not unread.exists():
                    break
                number += 1
            _rename(self.path, kept if self._salvage is None else unread)
        self._complaints.say(f"{self.name} {why}", f"the {self.name} file is {_WHY[why]}; it is kept as {kept.name}")

    def _salvage_all(
        self, database: sqlite3.Connection, salvage: Callable[[sqlite3.Connection, sqlite3.Connection], None]
    ) -> None:
        """Of each file that was set aside and not read yet, what can be read."""
        self._next_salvage = float("inf")
        names = f"{glob.escape(self.path.name)}.*{_UNREAD}"
        if not any(self.path.parent.glob(names)):
            return
        try:
            with self._alone():
                for unread in sorted(self.path.parent.glob(names)):
                    name = f"{unread.name} {unread.stat().st_ino}"
                    with closing(sqlite3.connect(unread, isolation_level=None, timeout=5)) as old:
                        database.execute("BEGIN IMMEDIATE")
                        if not database.execute("SELECT 1 FROM salvaged WHERE name=?", (name,)).fetchone():
                            with suppress(
                                *FAILURES
                            ):  # whoever still writes to it has done so, or sees that it is not there
                                old.execute("BEGIN IMMEDIATE")
                            salvage(old, database)
                            database.execute("INSERT INTO salvaged VALUES (?)", (name,))
                        database.execute("COMMIT")
                    _rename(unread, unread.with_name(unread.name.removesuffix(_UNREAD)))
        except (OSError, *FAILURES) as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            self._next_salvage = time.monotonic() + _SECONDS_BETWEEN_SALVAGES
            told = f"{type(error).__name__} while reading the one that was set aside; it is tried again"
            self._complaints.say(f"{self.name} salvage", f"the {self.name} file: {told}")

    def _unavailable(self, error: Exception) -> Unavailable:
        told = getattr(error, "sqlite_errorname", type(error).__name__)
        return Unavailable(ErrorCode.UNAVAILABLE, self.name, f"a disk that takes it, got {told}")


_WHY = {"broken": "torn", "newer": "of a newer version than this program"}


def _rename(path: Path, other: Path) -> None:
    """A database with what SQLite keeps beside it."""
    for suffix in _PARTS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(other.with_name(other.name + suffix))


def is_broken(error: Exception) -> bool:
    """Whether the file itself is wrong; a lock or a full disk passes."""
    return isinstance(error, UnicodeDecodeError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN

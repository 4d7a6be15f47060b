"""The fingerprint cache: what was evaluated once is not asked again, across restarts.

The file is 0600, and what it is searched by is keyed BLAKE3 of the canonical bytes under a key derived from the member's secret,
so the file alone does not give the addresses away. It belongs to one set of parameters: fingerprints under another key are
dropped when it is opened. It is bounded; what was not used for longest goes first. Several processes may share it.

A file that cannot be read is set aside as ``….broken`` and made anew; a disk that is full or gone only makes the client slower.

    >>> cache = FingerprintCache(None, secret=bytes(32), parameters_digest=bytes(32))
    >>> cache.put({b"canonical": b"f" * 32})
    >>> cache.get([b"canonical", b"another"])
    {b'canonical': b'ffffffffffffffffffffffffffffffff'}
"""

from __future__ import annotations

import hmac
import itertools
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from blake3 import blake3

from daxa_core.model import FINGERPRINT_BYTES
from daxa_core.pseudonym import derive_key

from . import _forks
from ._sealed_file import FAILURES

LOG = logging.getLogger("daxa_client")
IN_MEMORY = 25_000
ON_DISK = 5_000_000
_SEARCH_CONTEXT = "daxa 2026-05 fingerprint cache search key v1"
_TAG_CONTEXT = "daxa 2026-05 fingerprint cache tag v1"
_TAG_BYTES = 8
_SECONDS_BETWEEN_COMPLAINTS = 3_600.0
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_SCHEMA = """
CREATE TABLE IF NOT EXISTS fingerprint (
  digest BLOB PRIMARY KEY, parameters BLOB NOT NULL, element BLOB NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fingerprint_used ON fingerprint (used);
"""


def _is_broken(error: Exception) -> bool:
    """Whether the file itself is wrong; a lock or a full disk passes."""
    return isinstance(error, UnicodeDecodeError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


class FingerprintCache:
    """Fingerprints by canonical bytes, which carry their kind. Thread-safe; never raises for what the disk does."""

    def __init__(
        self,
        path: Path | None,
        secret: bytes,
        parameters_digest: bytes,
        in_memory: int = IN_MEMORY,
        on_disk: int = ON_DISK,
    ) -> None:
        """``path`` None keeps nothing across restarts; the bounds are numbers of fingerprints."""
        bound = secret + parameters_digest
        self._search_key = derive_key(_SEARCH_CONTEXT, bound)
        self._tag_key = derive_key(_TAG_CONTEXT, bound)
        self._parameters = parameters_digest
        self._memory: dict[bytes, bytes] = {}
        """What was used last stands last."""
        self._in_memory, self._on_disk = in_memory, on_disk
        self._lock = threading.Lock()
        self._path = path
        self._complained = -_SECONDS_BETWEEN_COMPLAINTS
        self._used = self._stored = 0
        self._touched: set[bytes] = set()
        self._db: sqlite3.Connection | None = None
        _forks.register(self)
        with self._lock:
            self._db = self._open() if path else None

    def get(self, canonicals: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those that are known, by their canonical bytes."""
        found: dict[bytes, bytes] = {}
        with self._lock:
            for canonical in canonicals:
                digest = blake3(canonical, key=self._search_key).digest()
                element = self._memory.pop(digest, None)
                if element is not None:
                    self._memory[digest] = element
                else:
                    element = self._read(digest)
                if element is not None:
                    found[canonical] = element
        return found

    def put(self, fingerprints: Mapping[bytes, bytes]) -> None:
        """Keeps fingerprints by their canonical bytes."""
        with self._lock:
            rows = []
            for canonical, element in fingerprints.items():
                digest = blake3(canonical, key=self._search_key).digest()
                self._remember(digest, element)
                rows.append((digest, self._parameters, element + self._tag(digest, element), self._used + 1))
            if self._db is None or not rows:
                return
            try:
                self._write(rows)
            except FAILURES as error:
                self._failed(error)

    def close(self) -> None:
        """Closes the file; what is asked afterwards is answered from memory."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def before_fork(self) -> None:
        """Waits until nobody uses the file; a child process must not use this object any more."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Ends what :meth:`before_fork` began."""
        self._lock.release()

    def _tag(self, digest: bytes, element: bytes) -> bytes:
        # A flipped bit would be a fingerprint that silently never matches, and nobody could see why.
        return blake3(digest + element, key=self._tag_key).digest(length=_TAG_BYTES)

    def _remember(self, digest: bytes, element: bytes) -> None:
        self._memory.pop(digest, None)
        if len(self._memory) >= self._in_memory:
            for oldest in list(itertools.islice(self._memory, max(self._in_memory // 10, 1))):
                del self._memory[oldest]
        self._memory[digest] = element

    def _read(self, digest: bytes) -> bytes | None:
        if self._db is None:
            return None
        try:
            row = self._db.execute("SELECT element FROM fingerprint WHERE digest=?", (digest,)).fetchone()
        except FAILURES as error:
            self._failed(error)
            return None
        if row is None or not isinstance(row[0], bytes):
            return None
        element, tag = row[0][:FINGERPRINT_BYTES], row[0][FINGERPRINT_BYTES:]
        if not hmac.compare_digest(tag, self._tag(digest, element)):
            return None
        self._remember(digest, element)
        self._touched.add(digest)
        return element

    def _write(self, rows: list[tuple[bytes, bytes, bytes, int]]) -> None:
        assert self._db is not None
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._used += 1
            self._touch(self._touched)
            self._touched = set()
            self._db.executemany("INSERT OR REPLACE INTO fingerprint VALUES (?,?,?,?)", rows)
            self._stored += len(rows)
            if self._stored > self._on_disk:
                self._touch(self._memory)
                self._db.execute(
                    "DELETE FROM fingerprint WHERE digest IN (SELECT digest FROM fingerprint ORDER BY used LIMIT"
                    " max(0, (SELECT count(*) FROM fingerprint) - ?))",
                    (self._on_disk * 9 // 10,),
                )
                self._stored = int(self._db.execute("SELECT count(*) FROM fingerprint").fetchone()[0])
            self._db.execute("COMMIT")
        except FAILURES:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _touch(self, digests: Iterable[bytes]) -> None:
        """These were used lately."""
        assert self._db is not None
        statement = "UPDATE fingerprint SET used=? WHERE digest=?"
        self._db.executemany(statement, ((self._used, digest) for digest in digests))

    # the file

    def _open(self) -> sqlite3.Connection | None:
        for anew in (False, True):
            database: sqlite3.Connection | None = None
            try:
                if anew:
                    self._set_aside()
                database = self._connect()
                self._prepare(database)
            except (OSError, *FAILURES) as error:
                if database is not None:
                    database.close()
                if anew or isinstance(error, OSError) or not _is_broken(error):
                    self._complain(f"the fingerprint cache cannot be kept on disk ({type(error).__name__})")
                    return None
            else:
                return database
        return None

    def _connect(self) -> sqlite3.Connection:
        path = self._path
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=3)

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.executescript(_SCHEMA)
        database.execute("DELETE FROM fingerprint WHERE parameters <> ?", (self._parameters,))
        row = database.execute("SELECT coalesce(max(used), 0), count(*) FROM fingerprint").fetchone()
        self._used, self._stored = int(row[0]), int(row[1])

    def _set_aside(self) -> None:
        assert self._path is not None
        LOG.warning("the fingerprint cache could not be read; it is set aside and made anew")
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._path.replace(self._path.with_name(self._path.name + ".broken"))

    def _failed(self, error: Exception) -> None:
        """Goes on without the disk for now, or, where the file is broken, with a new one."""
        if not _is_broken(error):
            self._complain(f"the fingerprint cache could not be used ({type(error).__name__})")
            return
        if self._db is not None:
            self._db.close()
            self._db = None
        try:
            self._set_aside()
            self._db = self._open()
        except OSError as problem:
            self._complain(f"the fingerprint cache cannot be kept on disk ({type(problem).__name__})")

    def _complain(self, text: str) -> None:
        """One line an hour, not one for each look-up."""
        now = time.monotonic()
        if now - self._complained >= _SECONDS_BETWEEN_COMPLAINTS:
            self._complained = now
            LOG.warning("%s; the client goes on without it", text)

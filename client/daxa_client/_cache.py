"""The fingerprint cache: what was evaluated once is not asked again, across restarts.

The file is 0600 and its keys are keyed BLAKE3 of the canonical bytes under a secret of the member's, so that the file alone
does not give the addresses away. It is bounded; the oldest go first. A file that cannot be read is set aside.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from blake3 import blake3

from daxa_core.pseudonym import derive_key

LOG = logging.getLogger("daxa_client")
_CONTEXT = "daxa 2026-05 fingerprint cache v1"
IN_MEMORY = 200_000
ON_DISK = 5_000_000


class FingerprintCache:
    """Fingerprints by canonical bytes, for one version of the key. Thread-safe; a full or broken disk only makes it slower."""

    def __init__(
        self, path: Path | None, secret: bytes, key_version: int, in_memory: int = IN_MEMORY, on_disk: int = ON_DISK
    ) -> None:
        """``path`` None keeps nothing across restarts."""
        self._key = derive_key(_CONTEXT, secret)
        self._version = key_version
        self._memory: OrderedDict[bytes, bytes] = OrderedDict()
        self._in_memory, self._on_disk = in_memory, on_disk
        self._lock = threading.Lock()
        self._db = self._open(path) if path else None

    def _open(self, path: Path) -> sqlite3.Connection | None:
        for attempt in range(2):
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=NORMAL")
                database.execute(
                    "CREATE TABLE IF NOT EXISTS fingerprint (digest BLOB PRIMARY KEY, version INTEGER NOT NULL,"
                    " element BLOB NOT NULL, serial INTEGER NOT NULL) WITHOUT ROWID"
                )
                database.execute("CREATE INDEX IF NOT EXISTS fingerprint_serial ON fingerprint (serial)")
                database.execute("DELETE FROM fingerprint WHERE version <> ?", (self._version,))
                row = database.execute("SELECT coalesce(max(serial), 0), count(*) FROM fingerprint").fetchone()
                self._serial, self._stored = int(row[0]), int(row[1])
            except sqlite3.DatabaseError:
                if attempt == 0:
                    LOG.warning("the fingerprint cache could not be read; it is set aside and made anew")
                    path.replace(path.with_name(path.name + ".broken"))
            except OSError as error:
                LOG.warning("no fingerprint cache on disk: %s", type(error).__name__)
                return None
            else:
                return database
        return None

    def _digest(self, canonical: bytes) -> bytes:
        return blake3(canonical, key=self._key).digest()

    def get(self, canonicals: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those that are known, by their canonical bytes."""
        found: dict[bytes, bytes] = {}
        with self._lock:
            for canonical in canonicals:
                digest = self._digest(canonical)
                element = self._memory.get(digest)
                if element is not None:
                    self._memory.move_to_end(digest)
                elif self._db is not None:
                    element = self._read(digest)
                if element is not None:
                    found[canonical] = element
        return found

    def _read(self, digest: bytes) -> bytes | None:
        assert self._db is not None
        try:
            row = self._db.execute("SELECT element FROM fingerprint WHERE digest=?", (digest,)).fetchone()
        except sqlite3.Error:
            return None
        if row is None:
            return None
        self._remember(digest, row[0])
        return bytes(row[0])

    def _remember(self, digest: bytes, element: bytes) -> None:
        self._memory[digest] = element
        if len(self._memory) > self._in_memory:
            self._memory.popitem(last=False)

    def put(self, fingerprints: Mapping[bytes, bytes]) -> None:
        """Keeps fingerprints by their canonical bytes."""
        with self._lock:
            rows = []
            for canonical, element in fingerprints.items():
                digest = self._digest(canonical)
                self._remember(digest, element)
                rows.append((digest, element))
            if self._db is None or not rows:
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(
                    "INSERT OR REPLACE INTO fingerprint VALUES (?,?,?,?)",
                    ((digest, self._version, element, self._serial + i) for i, (digest, element) in enumerate(rows, 1)),
                )
                self._serial += len(rows)
                self._stored += len(rows)
                if self._stored > self._on_disk:
                    self._db.execute(
                        "DELETE FROM fingerprint WHERE serial <= ?", (self._serial - self._on_disk * 9 // 10,)
                    )
                    self._stored = int(self._db.execute("SELECT count(*) FROM fingerprint").fetchone()[0])
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                LOG.warning("the fingerprint cache was not written: %s", type(error).__name__)
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

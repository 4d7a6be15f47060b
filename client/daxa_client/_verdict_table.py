"""The member's verdicts on its own disk and in memory: a look-up by raw key costs less than a microsecond, after a restart too.

The file holds each key's newest verdict by fingerprint, the raw keys that this host has seen, both sealed, and the cursor that
belongs to them in the same transaction. One process writes it; others that share the state folder read it (:meth:`refresh`).

When the table has to be built again (:meth:`restart`: another registry, another fingerprinting key, a digest that differs), what
was there goes on being answered until the new one is whole (:meth:`confirm`): a revoked key is not clear in between, nor is a
change told twice.

    >>> import tempfile
    >>> table = VerdictTable(Path(tempfile.mkdtemp()) / "verdicts.sqlite", secret=bytes(32), parameters_digest=bytes(32))
    >>> table.load()
    >>> _ = table.learn([(b"f" * 32, "key")])
    >>> _ = table.take([Verdict(b"f" * 32, Level.WARN, sequence=1)])
    >>> table.verdict("key").level.name, table.verdict("another").level.name, table.cursor
    ('WARN', 'CLEAR', 1)
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from daxa_core import codec
from daxa_core.canonical import canonical_key
from daxa_core.errors import DaxaError
from daxa_core.model import Level, Verdict
from daxa_core.pseudonym import verdict_digest

from ._complaints import Complaints
from ._sealed_file import SealedFile, Unreadable

VERSION = 1
KEY_DAYS = 120
LEARNT = 100_000
_DAY = 86_400
_KEY_PREFIX = 6
_NONE = Verdict(b"")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS verdict (
  fingerprint BLOB NOT NULL, generation INTEGER NOT NULL, sequence INTEGER NOT NULL, level INTEGER NOT NULL,
  change INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (fingerprint, generation)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdict_change ON verdict (change);
CREATE TABLE IF NOT EXISTS raw_key (fingerprint BLOB PRIMARY KEY, day INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
Change = tuple[str | None, Verdict]
"""A verdict with the raw key that it is about, in canonical form; None while this host has not seen that key."""


class VerdictTable:
    """One member's verdicts. Thread-safe; one process writes."""

    def __init__(
        self, path: Path, secret: bytes, parameters_digest: bytes, complaints: Complaints | None = None
    ) -> None:
        self._file = SealedFile(path, secret, "verdicts", _SCHEMA, VERSION, complaints or Complaints())
        self._parameters = parameters_digest
        self._by_key: dict[str, Verdict] = {}
        self.after_fork()
        self.cursor = self._change = 0
        self._learnt: set[int] = set()
        self._learnt_at = (0, 0)
        """Hashes of fingerprints whose raw keys are known to be in the file, on a day: of most of what is submitted."""
        self._built = self._shown = 0
        """Generations: the one that is written, and the one that is answered; two only while the table is built again."""

    def after_fork(self) -> None:
        """In a child process: what is in memory is still right, a lock that was held is not."""
        self._lock = threading.Lock()

    def verdict(self, key: str) -> Verdict:
        """The verdict on a raw key: CLEAR with no fingerprint where there is none or where it holds no longer. Never raises."""
        try:
            found = self._by_key.get(key)
            if found is None:
                lower = key.lower()  # a UUID or hexadecimal in capitals is the same key
                if lower == key:
                    return _NONE
                found = self._by_key.get(lower)
                if found is None or _canonical_text(key) != lower:
                    return _NONE
            if 0 < found.valid_until < time.time():
                return _NONE
        except (AttributeError, TypeError):
            return _NONE
        return found

    def __len__(self) -> int:
        """How many raw keys have a verdict."""
        return len(self._by_key)

    def close(self) -> None:
        """Closes the file; what is in memory is still answered."""
        self._file.close()

    # the one that writes

    def load(self) -> None:
        """Reads the file into memory; begins anew where it belongs to another fingerprinting key. Raises Unavailable."""
        with self._lock, self._file.transaction() as database:
            self._read_meta(database)
            if _meta(database, "parameters") != self._parameters:
                # Every key has another fingerprint now; what was there is still answered by raw key until confirmed.
                _set(database, "parameters", self._parameters)
                self._begin_anew(database)
            self._by_key = dict(_named(self._read_since(database, -1)))
            limit = int(time.time()) // _DAY - KEY_DAYS
            database.execute(
                "DELETE FROM raw_key WHERE day<? AND fingerprint NOT IN (SELECT fingerprint FROM verdict)", (limit,)
            )

    def take(self, verdicts: Sequence[Verdict]) -> list[Change]:
        """Verdicts as they come, in order: kept with the cursor in one transaction. Raises Unavailable.

        Answers what is new to those who ask: nothing while the table is built again.
        """
        if not verdicts:
            return []
        newest = {verdict.key: verdict for verdict in verdicts}
        with self._lock, self._file.transaction() as database:
            change = self._next_change(database)
            rows = [
                (v.key, self._built, v.sequence, int(v.level), change, self._file.seal(_encode(v), v.key))
                for v in newest.values()
            ]
            database.executemany("INSERT OR REPLACE INTO verdict VALUES (?,?,?,?,?,?)", rows)
            _set(database, "cursor", verdicts[-1].sequence)
            names = {key: self._raw_key(database, key) for key in newest}
            changes = [(names[verdict.key], verdict) for verdict in verdicts if self._built == self._shown]
            self.cursor = verdicts[-1].sequence
            self._by_key.update(_named(changes))
        return changes

    def learn(self, pairs: Iterable[tuple[bytes, str]]) -> list[Change]:
        """Raw keys behind fingerprints, as they are submitted; answers what was already decided on those new to this host.

        Raises Unavailable.
        """
        today = int(time.time()) // _DAY
        if (today, self._file.openings) != self._learnt_at or len(self._learnt) > LEARNT:
            self._learnt, self._learnt_at = set(), (today, self._file.openings)
        pairs = [(fingerprint, key) for fingerprint, key in pairs if hash(fingerprint) not in self._learnt]
        if not pairs:
            return []
        changes = self._learn(pairs, today)
        if self._learnt_at == (today, self._file.openings):
            self._learnt.update(hash(fingerprint) for fingerprint, _ in pairs)
        return changes

    def _learn(self, pairs: Sequence[tuple[bytes, str]], today: int) -> list[Change]:
        with self._lock, self._file.transaction() as database:
            fresh = {}
            for fingerprint, key in pairs:
                row = database.execute("SELECT day FROM raw_key WHERE fingerprint=?", (fingerprint,)).fetchone()
                if row is None:
                    fresh[fingerprint] = _canonical_text(key)
                elif row[0] < today - KEY_DAYS // 8:
                    database.execute("UPDATE raw_key SET day=? WHERE fingerprint=?", (today, fingerprint))
            if not fresh:
                return []
            sealed = [(print_, today, self._file.seal(text.encode(), print_)) for print_, text in fresh.items()]
            database.executemany("INSERT OR REPLACE INTO raw_key VALUES (?,?,?)", sealed)
            change = self._next_change(database)
            changes: list[Change] = []
            for fingerprint, text in fresh.items():
                place = (fingerprint, self._shown)
                row = database.execute(
                    "SELECT body FROM verdict WHERE fingerprint=? AND generation=?", place
                ).fetchone()
                verdict = self._open(fingerprint, row[0]) if row else None
                if verdict is not None:
                    changes.append((text, verdict))
                    database.execute(
                        "UPDATE verdict SET change=? WHERE fingerprint=? AND generation=?", (change, *place)
                    )
            self._by_key.update(_named(changes))
        return changes

    def restart(self) -> None:
        """Begins to build the table again, from sequence 0. Raises Unavailable."""
        with self._lock, self._file.transaction() as database:
            self._begin_anew(database)

    def stale_keys(self) -> list[str]:
        """While the table is built again: the raw keys that are answered from what was there before. Raises Unavailable."""
        return [] if self._built == self._shown else list(self._by_key)

    def confirm(self) -> list[Change]:
        """What was built since :meth:`restart` is whole, and answered from now on; how that differs from before.

        A key that has no verdict any more is CLEAR with no fingerprint. Raises Unavailable.
        """
        if self._built == self._shown:
            return []
        with self._lock, self._file.transaction() as database:
            database.execute("DELETE FROM verdict WHERE generation<>?", (self._built,))
            _set(database, "shown", self._built)
            self._shown = self._built
            return self._replace(self._read_since(database, -1))

    def digest(self) -> bytes:
        """That of ``GetVerdictDigest`` at the cursor, over what was built since :meth:`restart`. Raises Unavailable."""
        query = "SELECT sequence, level, fingerprint FROM verdict WHERE generation=? ORDER BY sequence"
        with self._lock, self._file.transaction(writes=False) as database:
            rows = database.execute(query, (self._built,)).fetchall()
        return verdict_digest((sequence, Level(level), key) for sequence, level, key in rows)

    # those that read

    def refresh(self) -> list[Change]:
        """What another process has written since the last time. Raises Unavailable."""
        with self._lock, self._file.transaction(writes=False) as database:
            shown, since = self._shown, self._change
            self._read_meta(database)
            whole = shown != self._shown
            changes = self._read_since(database, -1 if whole else since)
            if whole:
                return self._replace(changes)
            self._by_key.update(_named(changes))
        return changes

    # within a transaction

    def _read_meta(self, database: sqlite3.Connection) -> None:
        self.cursor, self._change = int(_meta(database, "cursor") or 0), int(_meta(database, "change") or 0)
        self._built, self._shown = int(_meta(database, "built") or 0), int(_meta(database, "shown") or 0)

    def _read_since(self, database: sqlite3.Connection, change: int) -> list[Change]:
        """What is answered and was changed after that change."""
        rows = database.execute(
            "SELECT v.fingerprint, v.body, k.body FROM verdict v LEFT JOIN raw_key k ON k.fingerprint=v.fingerprint"
            " WHERE v.change>? AND v.generation=? ORDER BY v.sequence",
            (change, self._shown),
        ).fetchall()
        opened = ((self._text(print_, sealed), self._open(print_, body)) for print_, body, sealed in rows)
        return [(key, verdict) for key, verdict in opened if verdict is not None]

    def _begin_anew(self, database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM verdict WHERE generation<>?", (self._shown,))
        self._built = max(self._built, self._shown) + 1
        self.cursor = 0
        if not database.execute("SELECT 1 FROM verdict LIMIT 1").fetchone():
            self._shown = self._built  # there is nothing to go on answering
        for name, value in (("built", self._built), ("shown", self._shown), ("cursor", 0)):
            _set(database, name, value)

    def _next_change(self, database: sqlite3.Connection) -> int:
        self._change += 1
        _set(database, "change", self._change)
        return self._change

    def _raw_key(self, database: sqlite3.Connection, fingerprint: bytes) -> str | None:
        row = database.execute("SELECT body FROM raw_key WHERE fingerprint=?", (fingerprint,)).fetchone()
        return self._text(fingerprint, row[0]) if row else None

    def _text(self, fingerprint: bytes, sealed: bytes | None) -> str | None:
        try:
            return None if sealed is None else self._file.unseal(sealed, fingerprint).decode()
        except (Unreadable, UnicodeDecodeError):
            return None

    def _open(self, fingerprint: bytes, body: bytes) -> Verdict | None:
        try:
            return _decode(self._file.unseal(body, fingerprint))
        except Exception:  # noqa: BLE001 - a row that is torn comes again when the digests are compared
            return None

    def _replace(self, changes: list[Change]) -> list[Change]:
        """All that is answered from now on; what of it differs from before."""
        before, self._by_key = self._by_key, dict(_named(changes))
        gone: list[Change] = [(key, _NONE) for key in before if key not in self._by_key]
        return [(key, verdict) for key, verdict in changes if key is None or before.get(key) != verdict] + gone


def _encode(verdict: Verdict) -> bytes:
    """With the envelope that proves it to others, where there is one; it was verified before it came here."""
    if verdict.envelope is not None:
        return b"\1" + codec.encode_envelope(verdict.envelope)
    return b"\0" + codec.encode_verdict(verdict)


def _decode(body: bytes) -> Verdict:
    if body[:1] == b"\0":
        return codec.decode_verdict(body[1:])
    envelope = codec.read_envelope(codec.decode_envelope(body[1:]))
    return codec.decode_verdict(envelope.payload, envelope)


def _named(changes: Iterable[Change]) -> Iterator[tuple[str, Verdict]]:
    return ((key, verdict) for key, verdict in changes if key is not None)


def _meta(database: sqlite3.Connection, name: str) -> Any:
    row = database.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
    return None if row is None else row[0]


def _set(database: sqlite3.Connection, name: str, value: bytes | int) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))


def _canonical_text(key: str) -> str:
    try:
        return canonical_key(key)[_KEY_PREFIX:].decode("ascii")
    except DaxaError:
        return key

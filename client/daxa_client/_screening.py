"""Screening: a member's whole inventory of keys, used or not, held against the published sets of leaks, at home.

The registry learns that this member fetched the sets, and which keys it asks about exactly; not which it has, nor how many. The
evaluators learn how many keys are new since the last time. What a file may hold its keys in is :mod:`._inventory`'s to say.
Refused: a file in which no line holds a key. A key that has the shape of no exchange's is evaluated all the same, and its line is
told, for a key that was cut out of its line wrongly is leaked and matches nothing.

An inventory is cut into blocks where its content says so, so that a line put in or taken out changes one block; what a block's
keys are evaluated to is kept under a digest that only this member can make, and a known block is not taken apart again.

    >>> with LeakClient(config) as client, ScreeningCache.beside(config) as cache:                # doctest: +SKIP
    ...     result = screen(client, cache, open("keys.csv", "rb"))
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from blake3 import blake3

from daxa_core.canonical import canonical_key
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, InvalidInput, Unavailable
from daxa_core.leak_set import VALUE_BITS, Shape, checked, decode, value_of
from daxa_core.pseudonym import derive_key

from ._config import ClientConfig
from ._inventory import CONTINUED, Inventory, shaped
from ._leaks import LeakClient, LeakReport, PublishedSet
from ._sealed_file import FAILURES

BLOCK_LINES = 1_024
MOST_LINES = 4_096
AT_ONCE = 400_000
"""How many leaked keys are in memory at once; of more, the inventory is gone through again."""
KEPT_RUNS = 8
_BLOCK_CONTEXT = "daxa 2026-11 screening block v3"
_TAG_BYTES = 8
_NO_KEY = 0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS block (digest BLOB PRIMARY KEY, used INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunk (name BLOB PRIMARY KEY, body BLOB NOT NULL, used INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A key of the inventory that is leaked: its line, in JSON its place among the keys; itself; the leaks, exactly confirmed."""

    line: int
    key: str = field(repr=False)
    leaks: tuple[LeakReport, ...]


@dataclass(frozen=True, slots=True)
class Screened:
    """What a screening found. ``refused`` are lines that hold no key, ``unshaped`` those whose key is of no exchange's shape:
    what was cut out of a line wrongly, perhaps. ``fetched_bytes`` and ``evaluated`` are of what was not known before."""

    hits: tuple[Hit, ...]
    keys: int
    refused: tuple[int, ...]
    unshaped: tuple[int, ...]
    sets: int
    evaluated: int
    fetched_bytes: int
    doubtful: int


class ScreeningCache:
    """What blocks of an inventory evaluate to, and chunks of published sets. One file, 0600; without a path, in memory.

    It holds no key: eight bytes of each fingerprint, under digests that take this member's secret.
    """

    def __init__(self, path: Path | None, secret: bytes, parameters_digest: bytes) -> None:
        """Raises Unavailable where the file cannot be used; one that is torn is removed, for all of it can be had again."""
        self._key = derive_key(_BLOCK_CONTEXT, secret + parameters_digest)
        self._path = path
        try:
            self._db = self._open()
        except (*FAILURES, OSError) as error:
            torn = isinstance(error, sqlite3.DatabaseError | UnicodeDecodeError)
            if path is None or not torn or isinstance(error, sqlite3.OperationalError):
                raise _unusable(error) from None
            try:
                for end in ("", "-wal", "-shm"):
                    path.with_name(path.name + end).unlink(missing_ok=True)
                self._db = self._open()
            except (*FAILURES, OSError) as again:
                raise _unusable(again) from None
        (self._run,) = self._row("SELECT coalesce(max(used), 0) + 1 FROM block") or (1,)

    @classmethod
    def beside(cls, config: ClientConfig) -> ScreeningCache:
        """The one beside the member's fingerprint cache; in memory where there is none."""
        path = None if config.cache is None else config.cache.with_name(config.cache.name + ".screening")
        return cls(path, config.account_secret, config.parameters.digest)

    def __enter__(self) -> ScreeningCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Unavailable):
            self._row("DELETE FROM block WHERE used <= ?", self._run - KEPT_RUNS)
            self._row("DELETE FROM chunk WHERE used <= ?", self._run - KEPT_RUNS)
        self._db.close()

    def _open(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            os.chmod(self._path, 0o600)
        database = sqlite3.connect(self._path or ":memory:", isolation_level=None, timeout=5)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute("PRAGMA cache_size=-2048")
            database.executescript(_SCHEMA)
        except FAILURES:
            database.close()
            raise
        return database

    def _row(self, statement: str, *parameters: object) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(statement, parameters).fetchone()
        except FAILURES as error:
            raise _unusable(error) from None
        return row

    def digest(self, layout: bytes, records: Sequence[bytes]) -> bytes:
        """What a block is known by."""
        head = len(layout).to_bytes(2, "big") + layout
        return blake3(head + b"".join(records), key=self._key).digest(length=24)

    def values(self, digest: bytes) -> array[int] | None:
        """What the records of a block evaluate to, if that is known, and after them the places of those of no shape."""
        row = self._row("SELECT body, used FROM block WHERE digest=?", digest)
        if row is None:
            return None
        body, tag = row[0][:-_TAG_BYTES], row[0][-_TAG_BYTES:]
        if len(body) % 8 or not hmac.compare_digest(tag, self._tag(digest, body)):  # a flipped bit hides a leak
            return None
        if row[1] != self._run:
            with suppress(Unavailable):
                self._row("UPDATE block SET used=? WHERE digest=?", self._run, digest)
        return array("Q", body)

    def keep(self, digest: bytes, values: array[int]) -> None:
        """Keeps what a block evaluates to."""
        body = values.tobytes()
        with suppress(Unavailable):  # a full disk makes the next screening slower, not this one wrong
            tagged = body + self._tag(digest, body)
            self._row("INSERT OR REPLACE INTO block VALUES (?,?,?)", digest, self._run, tagged)

    def chunk(self, name: bytes) -> bytes | None:
        """A chunk that was fetched before and is whole."""
        row = self._row("SELECT body FROM chunk WHERE name=?", name)
        if row is not None:
            with suppress(Unavailable):
                self._row("UPDATE chunk SET used=? WHERE name=?", self._run, name)
        try:
            return checked(row[0], name) if row else None
        except DaxaError:
            return None

    def keep_chunk(self, name: bytes, chunk: bytes) -> None:
        """Keeps a chunk."""
        with suppress(Unavailable):
            self._row("INSERT OR REPLACE INTO chunk VALUES (?,?,?)", name, chunk, self._run)

    def begin(self) -> None:
        """One transaction for many blocks."""
        if not self._db.in_transaction:
            self._row("BEGIN")

    def commit(self) -> None:
        """Ends what :meth:`begin` began."""
        for end in ("COMMIT", "ROLLBACK"):
            if self._db.in_transaction:
                with suppress(Unavailable):
                    self._row(end)

    def _tag(self, digest: bytes, body: bytes) -> bytes:
        return blake3(digest + body, key=self._key).digest(length=_TAG_BYTES)


def _unusable(error: Exception) -> Unavailable:
    wanted = f"a file that is whole, on a disk that takes it, got {type(error).__name__}; it may be removed"
    return Unavailable(ErrorCode.UNAVAILABLE, "screening cache", wanted)


@dataclass(slots=True)
class _Leaked:
    """Some chunks of some sets, decoded, and what to look for first: the upper bits that all of them have."""

    parts: list[tuple[Shape, array[int]]]
    shift: int
    first: set[int]

    @classmethod
    def of(cls, parts: list[tuple[Shape, array[int]]]) -> _Leaked:
        bits = min(shape.bits for shape, _ in parts)
        first = {value >> (shape.bits - bits) for shape, values in parts for value in values}
        return cls(parts, VALUE_BITS - bits, first)

    def has(self, value: int) -> bool:
        for shape, values in self.parts:
            wanted = value >> (VALUE_BITS - shape.bits)
            place = bisect_left(values, wanted)
            if place < len(values) and values[place] == wanted:
                return True
        return False


def screen(
    client: LeakClient,
    cache: ScreeningCache,
    inventory: BinaryIO,
    tell: Callable[[str], None] = lambda line: None,
    at_once: int = AT_ONCE,
) -> Screened:
    """Holds the inventory (a file that seeks) against every published set.

    Chunks that were fetched and blocks that were evaluated stay, whatever happens afterwards, so that it goes on from there.
    Raises CryptoError INVALID_CHUNK where a chunk comes torn twice, InvalidInput INVALID_VALUE where the inventory is none
    (``header``, ``inventory``), and what :class:`LeakClient` raises.
    """
    fetched = 0
    run = _Run(client, cache, inventory, tell)
    sets = client.sets()
    found: dict[int, str] = {}
    waiting: list[tuple[Shape, array[int]]] = []
    for place, one in enumerate(sets):
        for number in range(one.shape.chunks):
            chunk = cache.chunk(one.chunks[number])
            if chunk is None:
                chunk = _fetch(client, one, number)
                fetched += len(chunk)
                cache.keep_chunk(one.chunks[number], chunk)
                tell(f"fetched chunk {number + 1} of {one.shape.chunks} of set {place + 1} of {len(sets)}")
            waiting.append((one.shape, decode(one.shape, number, chunk)))
            if sum(len(values) for _, values in waiting) >= at_once:
                found |= run.through(_Leaked.of(waiting))
                waiting = []
    if waiting or not sets:
        found |= run.through(_Leaked.of(waiting) if waiting else _Leaked([], 0, set()))
    if not run.keys and (run.refused or run.silent):
        wanted = "a key in one line or more, in UTF-8 or UTF-16: as text, as CSV with a column of keys, or as JSON"
        raise InvalidInput(ErrorCode.INVALID_VALUE, "inventory", wanted)
    hits, doubtful = _confirmed(client, found)
    told = tuple(run.refused), tuple(run.unshaped)
    return Screened(hits, run.keys, *told, len(sets), run.evaluated, fetched, doubtful)


def _fetch(client: LeakClient, one: PublishedSet, number: int) -> bytes:
    try:
        return client.chunk(one, number)
    except CryptoError:  # torn on the way, perhaps: once more
        return client.chunk(one, number)


def _confirmed(client: LeakClient, found: dict[int, str]) -> tuple[tuple[Hit, ...], int]:
    """The hits that are exactly so, and how many were not."""
    if not found:
        return (), 0
    canonical = {line: canonical_key(key) for line, key in found.items()}
    distinct = list(dict.fromkeys(canonical.values()))
    prints = dict(zip(distinct, client.fingerprints(distinct), strict=True))
    leaked = client.confirm(list(prints.values()))
    hits = [
        Hit(line, key, tuple(leaked[prints[canonical[line]]]))
        for line, key in sorted(found.items())
        if prints[canonical[line]] in leaked
    ]
    return tuple(hits), len(found) - len(hits)


class _Run:
    """Goes through an inventory, as often as it takes."""

    def __init__(
        self, client: LeakClient, cache: ScreeningCache, inventory: BinaryIO, tell: Callable[[str], None]
    ) -> None:
        self._client = client
        self._cache = cache
        self._inventory = Inventory(inventory)
        self.silent = self._inventory.silent
        self._tell = tell
        self.keys = self.evaluated = 0
        self.refused: list[int] = []
        self.unshaped: list[int] = []

    def through(self, leaked: _Leaked) -> dict[int, str]:
        """The lines whose key looks leaked, with the key."""
        self.keys, self.refused, self.unshaped = 0, [], []
        found: dict[int, str] = {}
        shift, first = leaked.shift, leaked.first
        line = self._inventory.first
        self._cache.begin()
        try:
            for records in self._blocks():
                values, unshaped = self._values(records)
                for place, value in enumerate(values):
                    if value >> shift in first and value != _NO_KEY and leaked.has(value):
                        found[line + place] = self._inventory.key(records[place])
                missing = values.count(_NO_KEY)
                if missing:
                    none = [place for place, value in enumerate(values) if value == _NO_KEY]
                    self.refused += [line + place for place in none if records[place] != CONTINUED]
                self.unshaped += [line + place for place in unshaped]
                self.keys += len(values) - missing
                line += len(records)
        finally:
            self._cache.commit()
        return found

    def _blocks(self) -> Iterator[list[bytes]]:
        """Ends a block where its last record says so, so that an insertion moves no other block's borders."""
        crc, records = zlib.crc32, []
        for record in self._inventory.records():
            records.append(record)
            if not crc(record) & (BLOCK_LINES - 1) or len(records) >= MOST_LINES:
                yield records
                records = []
        if records:
            yield records

    def _values(self, records: list[bytes]) -> tuple[array[int], array[int]]:
        """What each evaluates to, and the places of those whose key has no exchange's shape."""
        digest = self._cache.digest(self._inventory.layout, records)
        known = self._cache.values(digest)
        if known is not None and len(known) >= len(records):
            return known[: len(records)], known[len(records) :]
        values, unshaped = array("Q", [_NO_KEY]) * len(records), array("Q")
        canonical: dict[int, bytes] = {}
        for place, record in enumerate(records):
            with suppress(DaxaError):
                key = self._inventory.key(record)
                canonical[place] = canonical_key(key)
                if not shaped(key):
                    unshaped.append(place)
        if canonical:
            self._cache.commit()  # another screening's lock does not wait for evaluators
            distinct = list(dict.fromkeys(canonical.values()))
            prints = dict(zip(distinct, self._client.fingerprints(distinct), strict=True))
            self.evaluated += len(distinct)
            for place, one in canonical.items():
                values[place] = value_of(prints[one]) or 1
        self._cache.keep(digest, values + unshaped)
        self._cache.commit()  # what was evaluated stays, whatever comes
        self._cache.begin()
        self._tell(f"evaluated {self.evaluated:,} keys")
        return values, unshaped

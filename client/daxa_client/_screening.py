"""Screening: a member's whole inventory of keys, used or not, held against the published sets of leaks, at home.

The registry learns that this member fetched the sets, and which keys it asks about exactly; not which it has, nor how many. The
evaluators learn how many keys are new since the last time. An inventory is a file with a key a line, or a CSV (by ``,``, ``;``,
``|`` or tab) whose header names the column of keys; in UTF-16 too, where it begins with its mark. Refused: a table whose header
names none or two as surely, for another column's words match nothing; a file in which no line holds a key.

It is cut into blocks where its content says so, so that a line put in or taken out changes one block; what a block's keys are
evaluated to is kept under a digest that only this member can make, and a known block is not taken apart again.

    >>> with LeakClient(config) as client, ScreeningCache.beside(config) as cache:                # doctest: +SKIP
    ...     result = screen(client, cache, open("keys.csv", "rb"))
"""

from __future__ import annotations

import codecs
import csv
import hmac
import os
import sqlite3
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from blake3 import blake3

from daxa_core.canonical import canonical_key
from daxa_core.dump import DELIMITERS, columns_of
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, InvalidInput, Unavailable
from daxa_core.leak_set import VALUE_BITS, Shape, checked, decode, value_of
from daxa_core.packed import refuse_packed
from daxa_core.pseudonym import derive_key

from ._config import ClientConfig
from ._leaks import LeakClient, LeakReport, PublishedSet

BLOCK_LINES = 1_024
MOST_LINES = 4_096
MAX_LINE_BYTES = 4_096
AT_ONCE = 400_000
"""How many leaked keys are in memory at once; of more, the inventory is gone through again."""
KEPT_RUNS = 8
_BLOCK_CONTEXT = "daxa 2026-11 screening block v2"
_TAG_BYTES = 8
_NO_KEY = 0
_READ_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS block (digest BLOB PRIMARY KEY, used INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunk (name BLOB PRIMARY KEY, body BLOB NOT NULL, used INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A key of the inventory that is leaked: its line, itself, and the leaks, exactly confirmed."""

    line: int
    key: str = field(repr=False)
    leaks: tuple[LeakReport, ...]


@dataclass(frozen=True, slots=True)
class Screened:
    """What a screening found. ``refused`` are lines that hold no key; ``fetched`` and ``evaluated`` what was not known before."""

    hits: tuple[Hit, ...]
    keys: int
    refused: tuple[int, ...]
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
        except (sqlite3.Error, OSError) as error:
            if (
                path is None
                or not isinstance(error, sqlite3.DatabaseError)
                or isinstance(error, sqlite3.OperationalError)
            ):
                raise _unusable(error) from None
            try:
                for end in ("", "-wal", "-shm"):
                    path.with_name(path.name + end).unlink(missing_ok=True)
                self._db = self._open()
            except (sqlite3.Error, OSError) as again:
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
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _row(self, statement: str, *parameters: object) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._db.execute(statement, parameters).fetchone()
        except sqlite3.Error as error:
            raise _unusable(error) from None
        return row

    def digest(self, column: int, delimiter: str, lines: Sequence[bytes]) -> bytes:
        """What a block is known by."""
        return blake3(column.to_bytes(2, "big") + delimiter.encode() + b"".join(lines), key=self._key).digest(length=24)

    def values(self, digest: bytes) -> array[int] | None:
        """What the lines of a block evaluate to, if that is known."""
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
    refuse_packed(inventory, "inventory")
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
    if run.refused and not run.keys:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "inventory", "a key in one line or more, in UTF-8 or UTF-16")
    hits, doubtful = _confirmed(client, found)
    return Screened(hits, run.keys, tuple(run.refused), len(sets), run.evaluated, fetched, doubtful)


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
        self._inventory = inventory
        self._tell = tell
        inventory.seek(0)
        self._utf_16 = inventory.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        self._skipped, head = 0, ""
        for line in self._lines():
            head = line[:MAX_LINE_BYTES].decode("latin-1").strip("\r\n ")
            if head and not head.startswith("sep="):
                break
            self._skipped += 1
        columns, self._delimiter = columns_of(head)
        surest = [place for rank, place in columns if rank == columns[0][0]]
        if len(surest) > 1 or (not columns and any(delimiter in head for delimiter in DELIMITERS)):
            wanted = "a first line that names one column of keys, such as api_key or access_key; or a key a line and nothing else"
            raise InvalidInput(ErrorCode.INVALID_VALUE, "header", wanted)
        self._column = surest[0] if columns else 0
        self._skipped += bool(columns)
        self.keys = self.evaluated = 0
        self.refused: list[int] = []

    def through(self, leaked: _Leaked) -> dict[int, str]:
        """The lines whose key looks leaked, with the key."""
        self.keys, self.refused = 0, []
        found: dict[int, str] = {}
        shift, first = leaked.shift, leaked.first
        line = self._skipped + 1
        self._cache.begin()
        try:
            for lines in self._blocks():
                values = self._values(lines)
                for place, value in enumerate(values):
                    if value >> shift in first and value != _NO_KEY and leaked.has(value):
                        found[line + place] = _key(lines[place], self._column, self._delimiter)
                missing = values.count(_NO_KEY)
                if missing:
                    self.refused += [line + place for place, value in enumerate(values) if value == _NO_KEY]
                self.keys += len(values) - missing
                line += len(lines)
        finally:
            self._cache.commit()
        return found

    def _blocks(self) -> Iterator[list[bytes]]:
        """Ends a block where its last line says so, so that an insertion moves no other block's borders."""
        crc, lines = zlib.crc32, []
        for line in islice(self._lines(), self._skipped, None):
            lines.append(line)
            if not crc(line) & (BLOCK_LINES - 1) or len(lines) >= MOST_LINES:
                yield lines
                lines = []
        if lines:
            yield lines

    def _lines(self) -> Iterator[bytes]:
        """The inventory's lines, in UTF-8 and without a mark; of one that is too long, enough to show that it is."""
        self._inventory.seek(0)
        decode = codecs.getincrementaldecoder("utf-16")("replace").decode
        rest, first = b"", True
        while block := self._inventory.read(_READ_BYTES):
            data = rest + (decode(block).encode() if self._utf_16 else block)
            *lines, rest = (data.removeprefix(_BOM) if first else data).split(b"\n")
            first = False
            rest = rest[: MAX_LINE_BYTES + 1]
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest

    def _values(self, lines: list[bytes]) -> array[int]:
        digest = self._cache.digest(self._column, self._delimiter, lines)
        values = self._cache.values(digest)
        if values is not None and len(values) == len(lines):
            return values
        values = array("Q", [_NO_KEY]) * len(lines)
        canonical: dict[int, bytes] = {}
        for place, line in enumerate(lines):
            with suppress(DaxaError):
                canonical[place] = canonical_key(_key(line, self._column, self._delimiter))
        if canonical:
            self._cache.commit()  # another screening's lock does not wait for evaluators
            distinct = list(dict.fromkeys(canonical.values()))
            prints = dict(zip(distinct, self._client.fingerprints(distinct), strict=True))
            self.evaluated += len(distinct)
            for place, one in canonical.items():
                values[place] = value_of(prints[one]) or 1
        self._cache.keep(digest, values)
        self._cache.commit()  # what was evaluated stays, whatever comes
        self._cache.begin()
        self._tell(f"evaluated {self.evaluated:,} keys")
        return values


def _key(line: bytes, column: int, delimiter: str) -> str:
    """The key in a line; empty where there is none."""
    if len(line) > MAX_LINE_BYTES:
        return ""
    text = line.decode("latin-1").strip("\r\n ")
    if delimiter not in text and '"' not in text:
        return text.strip() if column == 0 else ""
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return ""
    return cells[column].strip() if column < len(cells) else ""

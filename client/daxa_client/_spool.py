"""The spool: sightings on the member's own disk between ``observe()`` and the registry's answer.

What was seen in one hour is one row until it is sent, its count added up. :meth:`Spool.seal` makes rows into batches that carry
their batch id, so a batch that is sent twice, by whoever, counts once. :meth:`Spool.done` lets go of it. A batch never changes,
but for one that is still here when the registry, where it may be, no longer knows its id: what was seen must not be lost, nor be
counted twice, so each of its sightings counts one from then on. How many were lowered is counted.

The file is 0600; each row and batch is sealed with ChaCha20-Poly1305 under a key derived from the member's secret. It is bounded:
past its bound the oldest goes first, for what is new is worth more, and what goes is counted. Several processes may share it.
A file that is torn or of a newer version is set aside and reported, what can be read of it is sent, and a full disk is an
error of the call, with nothing changed; so the caller still has what it wanted to keep. What the registry can never take, and
what cannot be read, is set aside in it, and counted, also when it has to make room.

    >>> import tempfile
    >>> spool = Spool(Path(tempfile.mkdtemp()) / "spool.sqlite", bytes(32))
    >>> spool.add([RawSighting("k", "203.0.113.7", 495_000, count=2), RawSighting("k", "203.0.113.7", 495_000)], due=0)
    >>> [batch.sightings[0].count for batch in spool.seal(now=1)]
    [3]
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blake3 import blake3

from daxa_core.model import (
    BATCH_HOURS,
    BATCH_ID_BYTES,
    MAX_COUNT,
    MAX_SIGHTINGS,
    SECONDS_PER_HOUR,
    Device,
    Manner,
    RawSighting,
)
from daxa_core.pseudonym import derive_key

from . import _journal as journal
from . import _report_store as report_store
from . import _totals as totals
from ._complaints import Complaints
from ._journal import Journal
from ._observer import Change
from ._report_store import ReportStore
from ._salvage import ADD, salvage
from ._sealed_file import SealedFile, Torn, Unreadable
from ._workers import Worker
from ._yielding import yielding

VERSION = 1
MEGABYTES = 512
KNOWN_SECONDS = (BATCH_HOURS - 12) * SECONDS_PER_HOUR
"""A batch that was made longer ago may be forgotten before it is there: it waits behind a few others, up to an hour for each."""
_SHARE_DROPPED = 20  # a twentieth at a time
# What a row raises that was torn, or written by a client of another version.
_UNREADABLE = (Unreadable, ValueError, TypeError, LookupError, RecursionError)
DEVICES = 5_000
_JSON = json.JSONDecoder()
_MANNERS = {int(manner): manner for manner in Manner}
_TAG_CONTEXT = "daxa 2026-11 spool tag v1"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS sighting (
  id INTEGER PRIMARY KEY, tag BLOB NOT NULL UNIQUE, due INTEGER NOT NULL, count INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS sighting_due ON sighting (due, id);
CREATE TABLE IF NOT EXISTS batch (batch_id BLOB PRIMARY KEY, place INTEGER NOT NULL, rows INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS aside (id INTEGER PRIMARY KEY, reason TEXT NOT NULL, rows INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL);
{totals.SCHEMA}
{report_store.SCHEMA}
{journal.SCHEMA}
"""


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """Up to 1,000 sightings and the id under which they go to the registry, every time."""

    batch_id: bytes
    sightings: tuple[RawSighting, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How much waits and since when (seconds since the epoch, 0 if nothing), and what was lost or could not be read so far.

    ``lowered`` are those that were sent with a count of one, as the registry may have had them and have forgotten that;
    ``refused`` those of batches that the registry can never take. Both those and the ``unreadable`` are set aside in the file;
    ``discarded`` are those of them that had to make room since. ``reports`` wait; ``reports_lost`` had to make room or could not
    be read.
    """

    waiting: int
    oldest: int
    bytes: int
    dropped: int
    unreadable: int
    lowered: int
    refused: int
    discarded: int
    reports: int
    reports_lost: int


class Spool:
    """Sightings that are on the disk and not yet at the registry. Thread-safe."""

    def __init__(
        self, path: Path, secret: bytes, megabytes: int = MEGABYTES, complaints: Complaints | None = None
    ) -> None:
        """``megabytes`` bounds the file; past it, the oldest goes first."""
        self._most_bytes = megabytes << 20
        self._tag_key = derive_key(_TAG_CONTEXT, secret)
        self._complaints = complaints or Complaints()
        self._devices: dict[Device, Device] = {}
        self._file = SealedFile(path, secret, "spool", _SCHEMA, VERSION, self._complaints, self._salvage)
        self._journal = Journal(self._file)
        self.reports = ReportStore(self._file, secret, self._complaints)
        """What was done about verdicts, until the registry was told."""

    def patient(self) -> None:
        """From now on waits for up to a minute, not seconds, while other processes have the file."""
        self._file.patient()

    def close(self) -> None:
        """Closes the file. What is in it stays."""
        self._file.close()

    def add(
        self,
        sightings: Iterable[RawSighting],
        due: int,
        mark: tuple[str, str] | None = None,
        instead_of: bytes | None = None,
    ) -> None:
        """Keeps them, to be sent when it is ``due`` (seconds since the epoch); all of them or, where it raises, none.

        ``mark`` is a name and a value kept in the same transaction: how far a log file was read, so that no line is read twice.
        They are kept ``instead_of`` what :meth:`note` has of that process. Raises Unavailable.
        """
        rows = [self._row(raw, due) for raw in yielding(list(sightings))]
        with self._file.transaction() as database:
            database.executemany(ADD, rows)
            if instead_of is not None:
                self._journal.forget(database, instead_of)
            if mark is not None:
                database.execute("INSERT OR REPLACE INTO mark VALUES (?,?)", mark)
            self._bound(database)

    def note(self, process: bytes, changes: Iterable[Change], anew: bool) -> None:
        """Keeps what a process has in memory and will add later, in case it ends before; ``anew`` forgets what it noted before.

        Raises Unavailable.
        """
        texts = [
            b"[%d,%d]" % (one.number, one.times)
            if one.seen is None
            else b"[%d,%d,%b]" % (one.number, one.times, _encode(one.seen))
            for one in yielding(list(changes))
        ]
        self._journal.write(process, texts, anew)

    def take_over(self, due: int, worker: Worker) -> None:
        """Adds what processes have noted that live no more. Raises Unavailable."""
        for process in self._journal.processes():
            if not worker.lives(process):
                with self._file.transaction() as database:
                    for found in self._journal.read(database, process):
                        try:
                            if isinstance(found, bytes):
                                raise ValueError
                            database.execute(ADD, self._row(_decode(*found), due))
                        except _UNREADABLE:
                            self._set_aside(database, "unreadable row", 1, found if isinstance(found, bytes) else b"")
                    self._journal.forget(database, process)
        worker.sweep()

    def mark(self, name: str) -> str | None:
        """The value last kept under that name. Raises Unavailable."""
        with self._file.transaction(writes=False) as database:
            row = database.execute("SELECT value FROM mark WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def seal(self, now: float, batches: int = 1, skip: Iterable[bytes] = ()) -> list[SpooledBatch]:
        """The next batches to send, oldest first: those that were made before, then new ones of what is due.

        ``skip`` are ids of batches that the caller has in hand. Raises Unavailable.
        """
        in_hand = set(skip)
        out: list[SpooledBatch] = []
        with self._file.transaction() as database:
            made = database.execute("SELECT batch_id, rows FROM batch ORDER BY place").fetchall()
            for batch_id, rows in made:
                if len(out) < batches and batch_id not in in_hand:
                    batch = self._read(database, batch_id, rows, now)
                    out += [batch] if batch else []
            while len(out) < batches:
                batch = self._make(database, now)
                if batch is None:
                    break
                out.append(batch)
        return out

    def hasten(self, now: float) -> None:
        """Makes all of it due. Raises Unavailable."""
        with self._file.transaction() as database:
            database.execute("UPDATE sighting SET due=? WHERE due>?", (int(now), int(now)))

    def done(self, batch_id: bytes, refused: str = "") -> None:
        """Lets go of a batch that the registry has answered; ``refused`` keeps it aside, with that reason. Raises Unavailable."""
        with self._file.transaction() as database:
            if refused:
                for (rows,) in database.execute("SELECT rows FROM batch WHERE batch_id=?", (batch_id,)).fetchall():
                    totals.add_up(database, "refused", rows)
                database.execute(
                    "INSERT INTO aside (reason, rows, body) SELECT ?, rows, batch_id || body FROM batch WHERE batch_id=?",
                    (refused, batch_id),
                )
            database.execute("DELETE FROM batch WHERE batch_id=?", (batch_id,))

    def empty(self) -> bool:
        """Whether nothing waits: without counting what does. Raises Unavailable."""
        with self._file.transaction(writes=False) as database:
            query = "SELECT EXISTS (SELECT 1 FROM sighting) OR EXISTS (SELECT 1 FROM batch)"
            return not database.execute(query).fetchone()[0]

    def state(self) -> SpoolState:
        """What is in it. Raises Unavailable."""
        with self._file.transaction(writes=False) as database:
            return state_of(database)

    # within a transaction

    def _salvage(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        unread = salvage(old, new, self._file.unseal)
        if unread:
            text = f"{unread} sightings of a spool that was set aside cannot be read and stay there; the rest is sent"
            self._complaints.say("unread", text)

    def _row(self, raw: RawSighting, due: int) -> tuple[bytes, int, int, bytes]:
        body = _encode(raw)
        tag = blake3(body, key=self._tag_key).digest(length=16)
        return tag, due, raw.count, self._file.seal(body, tag)

    def _make(self, database: sqlite3.Connection, now: float) -> SpooledBatch | None:
        """A batch of what is due, in place of its rows."""
        sightings: list[RawSighting] = []
        texts: list[bytes] = []
        place = 0
        while not sightings:
            found = database.execute(
                "SELECT id, tag, due, count, body FROM sighting WHERE due<=? ORDER BY due, id LIMIT ?",
                (int(now), MAX_SIGHTINGS),
            ).fetchall()
            if not found:
                return None
            place = found[0][2]
            for _, tag, _, count, sealed in yielding(found):
                try:
                    text = self._file.unseal(sealed, tag)
                    values, _ = _JSON.raw_decode(text.decode())
                    sightings.append(_decode(values, count, self._devices))
                    texts.append(b"[%b,%d]" % (text, count))
                except _UNREADABLE:
                    self._set_aside(database, "unreadable row", 1, sealed)
            first, last = min(found)[0], max(found)[0]
            if last - first + 1 == len(found):  # as they came: all of them at once
                gone = database.execute("DELETE FROM sighting WHERE id BETWEEN ? AND ?", (first, last)).rowcount
            else:
                gone = database.executemany("DELETE FROM sighting WHERE id=?", [(row[0],) for row in found]).rowcount
            if gone != len(found):
                raise Torn("rows that are read and cannot be deleted would be sent for ever")
        batch_id = secrets.token_bytes(BATCH_ID_BYTES)
        body = self._body(batch_id, now, texts)
        database.execute("INSERT INTO batch VALUES (?,?,?,?)", (batch_id, place, len(sightings), body))
        return SpooledBatch(batch_id, tuple(sightings))

    def _body(self, batch_id: bytes, now: float, texts: Iterable[bytes]) -> bytes:
        """When it was made, then its sightings."""
        return self._file.seal(zlib.compress(b"[%d,%b]" % (now, b",".join(texts)), 1), batch_id)

    def _read(self, database: sqlite3.Connection, batch_id: bytes, rows: int, now: float) -> SpooledBatch | None:
        row = database.execute("SELECT body FROM batch WHERE batch_id=?", (batch_id,)).fetchone()
        if row is None:
            raise Torn("a batch that is listed is not there")
        body = row[0]
        try:
            made, *listed = json.loads(zlib.decompress(self._file.unseal(body, batch_id)))
            if now - made > KNOWN_SECONDS:
                listed = self._lower(database, batch_id, listed, now)
            return SpooledBatch(
                batch_id, tuple([_decode(values, count, self._devices) for values, count in yielding(listed)])
            )
        except (*_UNREADABLE, zlib.error):
            self._set_aside(database, "unreadable batch", rows, body)
            database.execute("DELETE FROM batch WHERE batch_id=?", (batch_id,))
            return None

    def _lower(self, database: sqlite3.Connection, batch_id: bytes, listed: list[Any], now: float) -> list[Any]:
        """The batch as if made now, each of its sightings once: a registry that knows its id still takes none of it."""
        lowered = sum(count > 1 for _, count in listed)
        listed = [[values, 1] for values, _ in listed]
        body = self._body(batch_id, now, [json.dumps(one, separators=(",", ":")).encode() for one in listed])
        database.execute("UPDATE batch SET body=? WHERE batch_id=?", (body, batch_id))
        totals.add_up(database, "lowered", lowered)
        text = "a batch waited longer than the registry knows one again: its sightings are sent with a count of one"
        self._complaints.say("old batch", text)
        return listed

    def _set_aside(self, database: sqlite3.Connection, reason: str, rows: int, body: bytes) -> None:
        database.execute("INSERT INTO aside (reason, rows, body) VALUES (?,?,?)", (reason, rows, body))
        totals.add_up(database, "unreadable", rows)
        self._complaints.say(reason, f"the spool has an {reason}: it is set aside, and the rest is sent")

    def _bound(self, database: sqlite3.Connection) -> None:
        """Past the bound the oldest goes: what was set aside, then batches, then rows."""
        while _used(database) > self._most_bytes:
            lost = 0
            aside = database.execute("SELECT count(*), coalesce(sum(rows), 0) FROM aside").fetchone()
            if aside[0]:
                database.execute("DELETE FROM aside")
                totals.add_up(database, "discarded", aside[1])
                self._complaints.say(
                    "aside", f"the spool is full: {aside[1]} sightings that were set aside in it are gone"
                )
            else:
                number = int(database.execute("SELECT count(*) FROM batch").fetchone()[0])
                oldest = "SELECT batch_id FROM batch ORDER BY place LIMIT ?"
                share = (max(number // _SHARE_DROPPED, 1),)
                if number:
                    lost = database.execute(
                        f"SELECT sum(rows) FROM batch WHERE batch_id IN ({oldest})",  # noqa: S608 - no value in it
                        share,
                    ).fetchone()[0]
                    database.execute(f"DELETE FROM batch WHERE batch_id IN ({oldest})", share)  # noqa: S608
                else:
                    number = int(database.execute("SELECT count(*) FROM sighting").fetchone()[0])
                    if not number:
                        return
                    lost = database.execute(
                        "DELETE FROM sighting WHERE id IN (SELECT id FROM sighting ORDER BY id LIMIT ?)",
                        (max(number // _SHARE_DROPPED, 1),),
                    ).rowcount
            if lost:
                totals.add_up(database, "dropped", lost)
                self._complaints.say("spool full", f"the spool is full: its oldest {lost} sightings were dropped")


def _used(database: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def state_of(database: sqlite3.Connection) -> SpoolState:
    """What is in a spool's open file. Raises sqlite3.Error."""
    one = database.execute("SELECT count(*), coalesce(min(due), 0) FROM sighting").fetchone()
    two = database.execute("SELECT coalesce(sum(rows), 0), coalesce(min(place), 0) FROM batch").fetchone()
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master").fetchall()}
    reports = database.execute("SELECT count(*) FROM report").fetchone()[0] if "report" in tables else 0
    numbers = totals.read(database)
    return SpoolState(
        waiting=one[0] + two[0],
        oldest=min((time_ for time_ in (one[1], two[1]) if time_), default=0),
        bytes=_used(database),
        dropped=numbers["dropped"],
        unreadable=numbers["unreadable"],
        lowered=numbers["lowered"],
        refused=numbers["refused"],
        discarded=numbers["discarded"],
        reports=reports,
        reports_lost=numbers["reports_lost"],
    )


def _encode(raw: RawSighting) -> bytes:
    """Everything but the count, the same bytes for the same combination."""
    device = None if raw.device is None else [raw.device.user_agent, raw.device.ja4, raw.device.headers]
    holder = None if raw.holder is None else raw.holder.hex()
    values = [raw.key, raw.address, raw.hour, int(raw.manner), device, holder, raw.account]
    return json.dumps(values, separators=(",", ":")).encode()


def _decode(values: Any, count: int, devices: dict[Device, Device] | None = None) -> RawSighting:
    """``devices`` has the one object that stands for each: few stacks stand behind many sightings."""
    key, address, hour, manner, parts, holder, account = values
    device = None
    if parts is not None:
        device = Device(parts[0], parts[1], tuple([(name, value) for name, value in parts[2]]))
        if devices is not None:
            if len(devices) >= DEVICES:
                devices.clear()
            device = devices.setdefault(device, device)
    how = _MANNERS[manner]
    count = 1 if how is Manner.DECLARED else min(count, MAX_COUNT)
    held = None if holder is None else bytes.fromhex(holder)
    return RawSighting(key, address, hour, how, count, device, held, account)

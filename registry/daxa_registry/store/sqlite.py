"""The embedded store: one SQLite file in WAL mode, durable at every commit.

One connection writes, one reads; each is used under its own lock, so neither waits for the other. What the writer knows of
the file is cached in memory, and forgotten when a transaction fails. The absorbing of sightings is in :mod:`.sqlite_absorb`.

    >>> store = SqliteStore(":memory:")
    >>> with store.transaction():
    ...     store.member_id("upbit")
    1
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from daxa_core.errors import ErrorCode, Unavailable
from daxa_core.model import Kind, Level, Refusal, Sighting
from daxa_registry.decision.graph import Neighbourhood, Population
from daxa_registry.decision.quiet import Glance

from .interface import HUB_SIZE, Absorbed, CheckElements, Standing, StoredBatch, StoredVerdict
from .sqlite_absorb import Absorber
from .sqlite_checkpoint import LONGEST_PAGES, Checkpoints
from .sqlite_graph import GraphReader
from .sqlite_ladder import LadderTables
from .sqlite_log import LogTables
from .sqlite_schema import migrate

BUSY_SECONDS = 5.0
MANY = 500


def unavailable(error: sqlite3.Error) -> Unavailable:
    """The typed error for one of SQLite's: its class is told, its text never (it may quote a statement)."""
    if isinstance(error, sqlite3.OperationalError):
        wanted = "a database that can be written to; try again"
        return Unavailable(ErrorCode.UNAVAILABLE, "store", wanted, retry_after=1.0)
    return Unavailable(ErrorCode.INTERNAL, "store", f"a statement that fits the schema, got {type(error).__name__}")


class SqliteStore(LadderTables, LogTables):
    """A :class:`~daxa_registry.store.interface.Store` on one file, or in memory for one run."""

    def __init__(self, path: str | Path, *, hub_size: int = HUB_SIZE, cache_mib: int = 256) -> None:
        """Opens or makes the file and migrates it. Raises ConfigurationError for a schema from the future."""
        memory = str(path) == ":memory:"
        try:
            self._writer = self._connect(str(path), cache_mib)
            migrate(Database(self._writer, execute_plugins=False))
            self._reader = self._writer if memory else self._connect(str(path), cache_mib // 4)
        except sqlite3.Error as error:
            raise unavailable(error) from error
        self._write_lock = threading.RLock()
        self._read_lock = self._write_lock if memory else threading.RLock()
        self._checkpoints = None if memory else Checkpoints(str(path))
        self._writing: int | None = None  # the thread that a transaction is open on
        self._members: dict[str, int] = dict(self._writer.execute("SELECT name, id FROM member"))
        self._absorber = Absorber(self._writer, hub_size)
        self._graph = GraphReader(self._writer, hub_size, self._absorber.activity.unusual)

    @staticmethod
    def _connect(path: str, cache_mib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{max(cache_mib, 2) * 1024}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint={LONGEST_PAGES}")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                self._writing = threading.get_ident()
                yield
                self._absorber.finish()
                self._writer.execute("COMMIT")
                self._writing = None
            except BaseException as error:
                self._writing = None
                self._forget()
                if isinstance(error, sqlite3.Error):
                    raise unavailable(error) from error
                raise
            if self._checkpoints is not None:
                self._checkpoints.wrote(self._writer)

    def _forget(self) -> None:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._members = dict(self._writer.execute("SELECT name, id FROM member"))
            self._absorber.forget()
            self._graph.forget()
            self._frontier = None
        except sqlite3.Error as error:
            raise unavailable(error) from error

    def close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._writing == threading.get_ident():  # a transaction sees what it has written itself
            yield self._writer
            return
        with self._read_lock:
            try:
                yield self._reader
            except sqlite3.Error as error:
                raise unavailable(error) from error

    # who

    def member_id(self, name: str) -> int:
        known = self._members.get(name)
        if known is None:
            with self._write_lock:
                try:
                    cursor = self._writer.execute("INSERT INTO member (name) VALUES (?)", (name,))
                except sqlite3.Error as error:
                    raise unavailable(error) from error
                known = self._members[name] = int(cursor.lastrowid or 0)
        return known

    # batches

    def find_batch(self, member: int, batch_id: bytes) -> StoredBatch | None:
        row = self._writer.execute(
            "SELECT digest, accepted, refusals, sequences FROM batch WHERE member=? AND batch_id=?", (member, batch_id)
        ).fetchone()
        if row is None:
            return None
        refusals = tuple(Refusal(*item) for item in json.loads(row[2]))
        return StoredBatch(row[0], row[1], refusals, tuple(json.loads(row[3])))

    def save_batch(self, member: int, batch_id: bytes, batch: StoredBatch, received_at: int) -> None:
        refusals = json.dumps([[r.index, r.code, r.field, r.expected] for r in batch.refusals])
        self._writer.execute(
            "INSERT INTO batch VALUES (?,?,?,?,?,?,?)",
            (member, batch_id, batch.digest, batch.accepted, refusals, json.dumps(batch.sequences), received_at),
        )

    def drop_batches(self, received_before: int, limit: int) -> int:
        return self._writer.execute(
            "DELETE FROM batch WHERE (member, batch_id) IN"
            " (SELECT member, batch_id FROM batch WHERE received_at < ? LIMIT ?)",
            (received_before, limit),
        ).rowcount

    # matching

    def absorb(self, member: int, sightings: Sequence[Sighting], check: CheckElements) -> Absorbed:
        return self._absorber.absorb(member, sightings, check)

    def withdraw(self, member: int, key: bytes, first_hour: int, last_hour: int) -> tuple[int, frozenset[int]]:
        return self._absorber.withdraw(member, key, first_hour, last_hour)

    def infrastructure(self, kind: Kind, fingerprint: bytes, name: str, until: int) -> int:
        self._absorber.flush()
        row = self._writer.execute(
            "INSERT INTO node (kind, fingerprint, infrastructure, name) VALUES (?1,?2,?3,?4)"
            " ON CONFLICT (fingerprint, kind) DO UPDATE SET infrastructure=?3, name=?4 RETURNING id",
            (int(kind), fingerprint, until, name),
        ).fetchone()
        self._absorber.forget()
        self._graph.forget()
        return int(row[0])

    def all_subjects(self) -> Iterator[int]:
        with self._write_lock:
            rows = self._writer.execute("SELECT id FROM subject WHERE seen > 0 ORDER BY id").fetchall()
        return (row[0] for row in rows)

    def glances(self, subjects: Iterable[int]) -> Iterator[Glance]:
        return self._absorber.glances(subjects)

    def subjects_on(self, addresses: Iterable[int]) -> frozenset[int]:
        self._absorber.flush()
        return self._graph.subjects_on(addresses)

    def neighbourhoods(self, subjects: Sequence[int]) -> Iterator[Neighbourhood]:
        self._absorber.flush()
        self._graph.changed(self._absorber.changed_places)
        self._absorber.changed_places.clear()
        return self._graph.neighbourhoods(subjects)

    def population(self) -> Population:
        return self._graph.population()

    # verdicts

    def append_verdict(self, verdict: StoredVerdict) -> None:
        self._absorber.flush()
        updated = self._writer.execute(
            "UPDATE member SET head=? WHERE id=? AND head=?", (verdict.sequence, verdict.member, verdict.sequence - 1)
        ).rowcount
        if updated != 1:
            raise AssertionError("a verdict's sequence must be its member's next")
        self._writer.execute(
            "INSERT INTO verdict VALUES (?,?,?,?,?,?,?,?,?,?)",
            (verdict.member, verdict.sequence, verdict.subject, int(verdict.level), verdict.decided_at, verdict.body,
             verdict.evidence, verdict.before, int(verdict.act or 0), verdict.judged),
        )  # fmt: skip
        self._writer.execute(
            "UPDATE subject SET level=?, sequence=? WHERE id=?", (int(verdict.level), verdict.sequence, verdict.subject)
        )
        record = self._absorber.record(verdict.subject)
        if record is not None:
            record.level, record.sequence = verdict.level, verdict.sequence

    def standings(self, subjects: Iterable[int]) -> Mapping[int, Standing]:
        out: dict[int, Standing] = {}
        wanted: list[int] = []
        for subject in subjects:
            record = self._absorber.record(subject)
            if record is None:
                wanted.append(subject)
            else:
                out[subject] = Standing(subject, record.member, record.fingerprint, record.level, record.sequence)
        if wanted:
            self._absorber.flush()
        for start in range(0, len(wanted), MANY):
            part = wanted[start : start + MANY]
            marks = ",".join("?" * len(part))
            for row in self._writer.execute(
                "SELECT s.id, s.member, n.fingerprint, s.level, s.sequence FROM subject s JOIN node n ON n.id=s.key"  # noqa: S608 - question marks only
                f" WHERE s.id IN ({marks})",
                part,
            ):
                out[row[0]] = Standing(row[0], row[1], row[2], Level(row[3]), row[4])
        return out

    def head(self, member: int) -> int:
        with self._reading() as reader:
            row = reader.execute("SELECT head FROM member WHERE id=?", (member,)).fetchone()
        return int(row[0]) if row else 0

    def current_verdicts(self, member: int, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        out: dict[bytes, bytes] = {}
        with self._reading() as reader:
            for key in keys:
                row = reader.execute(
                    "SELECT v.body FROM node n JOIN subject s ON s.key=n.id AND s.member=?2"
                    " JOIN verdict v ON v.member=s.member AND v.sequence=s.sequence WHERE n.fingerprint=?1 AND n.kind=1",
                    (key, member),
                ).fetchone()
                if row:
                    out[key] = row[0]
        return out

    def verdicts_after(self, member: int, sequence: int, limit: int) -> list[tuple[int, bytes]]:
        with self._reading() as reader:
            return reader.execute(
                "SELECT sequence, body FROM verdict WHERE member=? AND sequence>? ORDER BY sequence LIMIT ?",
                (member, sequence, limit),
            ).fetchall()

    def newest_verdicts(self, member: int, first: int, last: int, until: int) -> list[tuple[int, Level, bytes]]:
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT v.sequence, v.level, n.fingerprint FROM verdict v JOIN subject s ON s.id=v.subject"
                " JOIN node n ON n.id=s.key WHERE v.member=?1 AND v.sequence BETWEEN ?2 AND min(?3, ?4) AND NOT EXISTS"
                " (SELECT 1 FROM verdict w WHERE w.subject=v.subject AND w.sequence>v.sequence AND w.sequence<=?4)"
                " ORDER BY v.sequence",
                (member, first, last, until),
            ).fetchall()
        return [(sequence, Level(level), key) for sequence, level, key in rows]

    def verdicts_at(self, member: int, sequences: Sequence[int]) -> list[bytes]:
        query = "SELECT body FROM verdict WHERE member=? AND sequence=?"
        rows = [self._writer.execute(query, (member, sequence)).fetchone() for sequence in sequences]
        return [row[0] for row in rows if row]

    def levels(self) -> Mapping[Level, int]:
        with self._reading() as reader:
            found = dict(reader.execute("SELECT level, count(*) FROM subject WHERE seen>0 GROUP BY level"))
        return {level: found.get(int(level), 0) for level in Level}

    def contradictions(self) -> Mapping[str, tuple[int, int]]:
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT m.name, coalesce(sum(EXISTS (SELECT 1 FROM subject o WHERE o.key=s.key AND o.member<>s.member"
                " AND o.seen>0 AND o.id<s.id)), 0), count(s.id) FROM member m"
                " LEFT JOIN subject s ON s.member=m.id AND s.seen>0 GROUP BY m.id"
            ).fetchall()
        return {name: (false, claims) for name, false, claims in rows}

    def counts(self) -> Mapping[str, int]:
        with self._reading() as reader:
            out = {
                name: int(reader.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608 - fixed names
                for name in ("member", "subject", "presence", "verdict", "batch", "leaf")
            }
            kinds = dict(reader.execute("SELECT kind, count(*) FROM node GROUP BY kind"))
        return out | {f"node_{kind.name}": kinds.get(int(kind), 0) for kind in Kind}

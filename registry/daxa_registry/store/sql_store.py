"""The part of a store that is the same statements on every database: who, batches, matching, verdicts.

A store of one database opens it, says how a transaction begins and ends, and adds to this nothing but its connections. What
the writer knows of the database is remembered in memory, and forgotten before the next transaction when one failed, or when
somebody else has written meanwhile.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import ClassVar

from daxa_core.errors import Unavailable
from daxa_core.model import Kind, Level, Refusal, Sighting
from daxa_registry.decision.graph import Neighbourhood, Population
from daxa_registry.decision.quiet import Glance

from .database import NODE, Database
from .interface import Absorbed, CheckElements, Claims, Expired, Standing, StoredBatch, StoredVerdict, Superseded
from .sqlite_absorb import Absorber
from .sqlite_graph import GraphReader
from .sqlite_ladder import LadderTables
from .sqlite_leaks import LeakTables
from .sqlite_log import LogTables
from .sqlite_memory import Record
from .sqlite_schema import TABLES
from .sqlite_withdraw import vacate


class SqlStore(LadderTables, LogTables, LeakTables):
    """What :class:`~daxa_registry.store.interface.Store` asks for, but for opening, transactions and closing."""

    _errors: ClassVar[type[Exception]]
    """What the database itself raises."""
    _reader: Database
    _write_lock: AbstractContextManager[bool]
    _read_lock: AbstractContextManager[bool]
    _writing: int | None = None
    """The thread that a transaction is open on."""
    _on_superseded: Callable[[Superseded], None] = staticmethod(lambda error: None)

    def _remember(self, writer: Database, hub_size: int) -> None:
        """What is asked through that connection from now on; nothing of it is known yet."""
        self._writer = writer
        self._members: dict[str, int] = dict(writer.execute("SELECT name, id FROM member"))
        self._newcomers: dict[str, int] = {}
        self._absorber = Absorber(writer, hub_size)
        self._graph = GraphReader(writer, hub_size, self._absorber.activity.unusual)
        self._stale = False
        self._count_lock = threading.Lock()

    def _forget(self) -> None:
        """Drops everything remembered and unwritten: what the database says is all that is so."""
        self._newcomers.clear()
        self._members = dict(self._writer.execute("SELECT name, id FROM member"))
        self._absorber.forget()
        self._graph.forget()
        self._frontier = None
        self._prefixes_at_hand = self._taken_back_at_hand = None

    def _loaded(self) -> None:
        """All that is there came in this transaction: nothing of it is so for anybody outside before the end."""
        self._forget()
        self._newcomers, self._members = self._members, {}

    # transactions

    def _begin(self) -> bool:
        """Begins to write; whether anybody else may have written since this store did."""
        raise NotImplementedError

    def _commit(self) -> None:
        """Raises the database's error where what was written may not be there."""
        raise NotImplementedError

    def _roll_back(self, error: BaseException) -> None:
        """Ends a transaction that failed so."""
        raise NotImplementedError

    @staticmethod
    def _unavailable(error: Exception) -> Unavailable:
        """The typed error for one of the database's: its class is told, its text never (it may quote values)."""
        raise NotImplementedError

    def _on_others(self) -> None:
        """Somebody else has written, and what was remembered is forgotten. Inside a transaction."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._write_lock:
            try:
                others = self._begin()
                self._writing = threading.get_ident()
                if others or self._stale:
                    self._forget()
                    self._on_others()
                    self._stale = False
                yield
                self._absorber.finish()
                self._commit()
                self._members |= self._newcomers
                self._newcomers.clear()
            except BaseException as error:
                # What was remembered in this transaction may never have been.
                self._stale = True
                self._graph.failed()
                with suppress(self._errors):
                    self._roll_back(error)
                if isinstance(error, self._errors):
                    raise self._unavailable(error) from error
                if isinstance(error, Superseded):
                    self._on_superseded(error)
                raise
            finally:
                self._writing = None

    def _at_hand(self) -> bool:
        """Whether this thread is inside a transaction, and what is remembered is so."""
        return self._writing == threading.get_ident()

    def _inside(self) -> None:
        """For what looks at that: it is right on no other thread, and nobody's while no transaction is open."""
        if not self._at_hand():
            raise AssertionError("inside a transaction only, on the thread that opened it")

    def _reader_now(self) -> Database:
        return self._reader

    @contextmanager
    def _reading(self) -> Iterator[Database]:
        if self._at_hand():  # a transaction sees what it has written itself
            yield self._writer
            return
        with self._read_lock:
            try:
                yield self._reader_now()
            except self._errors as error:
                raise self._unavailable(error) from error

    def _counter_now(self) -> Database:
        """The connection for what goes through whole tables."""
        raise NotImplementedError

    @contextmanager
    def _counting(self) -> Iterator[Database]:
        """For what goes through whole tables, as metrics ask: no look-up waits behind it."""
        if self._at_hand() or self._reader is self._writer:
            with self._reading() as reader:
                yield reader
            return
        with self._count_lock:
            try:
                yield self._counter_now()
            except self._errors as error:
                raise self._unavailable(error) from error

    # between nodes: there are none, unless a store says so

    def share(
        self,
        before_turn: Callable[[], None],
        on_heads: Callable[[dict[int, int]], None],
        on_notice: Callable[[str], None],
        on_superseded: Callable[[Superseded], None] = lambda error: None,
    ) -> None:
        """Nobody else writes; but a newer program may take the database over."""
        self._on_superseded = on_superseded

    def notify(self, notice: str) -> None:
        """Nobody is there to be told."""

    def only_here(self, work: str) -> AbstractContextManager[bool]:
        return nullcontext(True)

    # who

    def member_id(self, name: str) -> int:
        # A number that an open transaction gave is nobody else's to use: when that fails, another member may get it.
        inside = self._at_hand()
        known = self._members.get(name) or (self._newcomers.get(name) if inside else None)
        if known is not None:
            return known
        if not inside:
            with self.transaction():
                return self.member_id(name)
        self._writer.execute("INSERT INTO member (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
        [known] = self._writer.execute("SELECT id FROM member WHERE name=?", (name,)).fetchone()
        self._newcomers[name] = int(known)
        return int(known)

    # batches

    def find_batch(self, member: int, batch_id: bytes) -> StoredBatch | None:
        query = "SELECT digest, accepted, refusals, sequences FROM batch WHERE member=? AND batch_id=?"
        with self._reading() as reader:
            row = reader.execute(query, (member, batch_id)).fetchone()
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

    def expire(self, before_hour: int, limit: int) -> Expired:
        return self._absorber.expire(before_hour, limit)

    def infrastructure(self, kind: Kind, fingerprint: bytes, name: str, until: int) -> int:
        self._absorber.flush()
        declared = (int(kind), fingerprint, until, name)
        there = f"{NODE.format('?2').replace('n.', '')} AND kind=?1"
        row = self._writer.execute(
            f"UPDATE node SET infrastructure=?3, name=?4 WHERE {there} RETURNING id",  # noqa: S608 - fixed names
            declared,
        ).fetchone()
        row = (
            row
            or self._writer.execute(
                "INSERT INTO node (id, kind, fingerprint, infrastructure, name)"
                " VALUES ((SELECT coalesce(max(id), 0) + 1 FROM node),?1,?2,?3,?4) RETURNING id",
                declared,
            ).fetchone()
        )
        if not until:
            vacate(self._writer, row)
        self._absorber.forget()
        self._graph.forget()
        return int(row[0])

    def all_subjects(self) -> Iterator[int]:
        with self._counting() as reader:
            rows = reader.execute("SELECT id FROM subject WHERE seen > 0 ORDER BY id").fetchall()
        return (row[0] for row in rows)

    def glances(self, subjects: Iterable[int]) -> Iterator[Glance]:
        self._inside()
        return self._absorber.glances(subjects)

    def subjects_on(self, addresses: Iterable[int]) -> frozenset[int]:
        self._inside()
        self._absorber.flush()
        return self._graph.subjects_on(addresses)

    def neighbourhoods(self, subjects: Sequence[int]) -> Iterator[Neighbourhood]:
        self._inside()
        self._absorber.flush()
        self._graph.changed(self._absorber.changed_places, self._absorber.changed_subjects)
        self._absorber.changed_places.clear()
        self._absorber.changed_subjects.clear()
        return self._graph.neighbourhoods(subjects)

    def population(self) -> Population:
        self._inside()
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
        records, wanted = self._remembered(subjects)
        out = {r.id: Standing(r.id, r.member, r.fingerprint, r.level, r.sequence) for r in records}
        query = (
            "SELECT s.id, s.member, n.fingerprint, s.level, s.sequence FROM subject s JOIN node n ON n.id=s.key"
            " WHERE s.id IN ({})"
        )
        if wanted:
            with self._reading() as reader:
                for row in reader.select(query, wanted):
                    out[row[0]] = Standing(row[0], row[1], row[2], Level(row[3]), row[4])
        return out

    def sequences(self, subjects: Iterable[int]) -> Mapping[int, int]:
        records, wanted = self._remembered(subjects)
        out = {record.id: record.sequence for record in records if record.sequence}
        if wanted:
            with self._reading() as reader:
                out |= dict(reader.select("SELECT id, sequence FROM subject WHERE sequence > 0 AND id IN ({})", wanted))
        return out

    def _remembered(self, subjects: Iterable[int]) -> tuple[list[Record], list[int]]:
        """The subjects that are at hand, and those that are not: these are now written as well."""
        records: list[Record] = []
        wanted: list[int] = []
        at_hand = self._at_hand()
        for subject in subjects:
            record = self._absorber.record(subject) if at_hand else None
            if record is None:
                wanted.append(subject)
            else:
                records.append(record)
        if wanted and at_hand:
            self._absorber.flush()
        return records, wanted

    def head(self, member: int) -> int:
        with self._reading() as reader:
            row = reader.execute("SELECT head FROM member WHERE id=?", (member,)).fetchone()
        return int(row[0]) if row else 0

    def current_verdicts(self, member: int, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        query = (
            "SELECT n.fingerprint, v.body FROM node n JOIN subject s ON s.key=n.id AND s.member=?"
            " JOIN verdict v ON v.member=s.member AND v.sequence=s.sequence WHERE n.kind=1 AND {}"
        )
        with self._reading() as reader:
            return dict(reader.named(query, keys, member))

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
                " JOIN node n ON n.id=s.key WHERE v.member=?1 AND v.sequence BETWEEN ?2 AND ?3 AND v.sequence<=?4 AND NOT EXISTS"
                " (SELECT 1 FROM verdict w WHERE w.subject=v.subject AND w.sequence>v.sequence AND w.sequence<=?4)"
                " ORDER BY v.sequence",
                (member, first, last, until),
            ).fetchall()
        return [(sequence, Level(level), key) for sequence, level, key in rows]

    def verdicts_at(self, member: int, sequences: Sequence[int]) -> list[bytes]:
        query = "SELECT sequence, body FROM verdict WHERE member=? AND sequence IN ({})"
        with self._reading() as reader:
            found = dict(reader.select(query, sequences, member))
        return [found[sequence] for sequence in sequences if sequence in found]

    def levels(self) -> Mapping[Level, int]:
        with self._counting() as reader:
            found = dict(reader.execute("SELECT level, count(*) FROM subject WHERE seen>0 GROUP BY level"))
        return {level: found.get(int(level), 0) for level in Level}

    def claims(self) -> Mapping[str, Claims]:
        with self._counting() as reader:
            names = reader.execute("SELECT id, name FROM member ORDER BY id").fetchall()
            keys = dict(reader.execute("SELECT member, count(*) FROM subject WHERE seen>0 GROUP BY member"))
            rows = reader.execute(
                "SELECT s.member, count(DISTINCT s.key), count(DISTINCT o.member) FROM subject s"
                " JOIN subject o ON o.key=s.key AND o.member<>s.member WHERE s.seen>0 AND o.seen>0 GROUP BY s.member"
            )
            contradicted = {member: (number, others) for member, number, others in rows}
        return {name: Claims(keys.get(member, 0), *contradicted.get(member, (0, 0))) for member, name in names}

    def rows(self) -> Mapping[str, int]:
        return self._rows_of(TABLES)

    def _rows_of(self, tables: Sequence[str]) -> dict[str, int]:
        with self._counting() as reader:
            return {
                table: int(reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - fixed names
                for table in tables
            }

    def counts(self) -> Mapping[str, int]:
        out = self._rows_of(("member", "subject", "presence", "verdict", "batch", "leaf", "leak", "leaked"))
        with self._counting() as reader:
            kinds = dict(reader.execute("SELECT kind, count(*) FROM node GROUP BY kind"))
        return out | {f"node_{kind.name}": kinds.get(int(kind), 0) for kind in Kind}

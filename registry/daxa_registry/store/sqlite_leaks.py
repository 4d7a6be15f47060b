"""Leaks: one row for each, and their keys as a table of fingerprints that is joined to the graph when it is asked.

The upper eight bytes of every key of a leak in force are remembered, sorted: first sight of a key costs no query of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType

import numpy as np

from daxa_core.leaks import Confidence, LeakState, Tlp
from daxa_core.model import Kind
from daxa_registry.decision.graph import Leaks

from .database import NODE, Database
from .leak_interface import StoredLeak, Tester
from .sqlite_absorb import Absorber

_COLUMNS = (
    "number, leak_id, reporter, name, source, found_at, tlp, opened_at, confidence, state, keys, loaded_at, digest,"
    " applied, lowering"
)
_PREFIX = ">u8"
_IN_FORCE = int(LeakState.IN_FORCE)
_NODE_OF_KEY = f"node n ON {NODE.format('l.fingerprint')} AND n.kind=1"


def _read(row: tuple) -> StoredLeak:  # type: ignore[type-arg]
    number, leak_id, reporter, name, source, found_at, tlp, opened_at, confidence, state, *rest = row
    keys, loaded_at, digest, applied, lowering = rest
    return StoredLeak(
        number, leak_id, reporter, name, source, found_at, Tlp(tlp), opened_at, Confidence(confidence), LeakState(state),
        keys, loaded_at, digest, applied, bool(lowering),
    )  # fmt: skip


class LeakTables:
    """The part of :class:`~daxa_registry.store.sql_store.SqlStore` that keeps leaks."""

    _writer: Database
    _absorber: Absorber
    _prefixes: tuple[list[tuple[int, bytes]], np.ndarray] | None = None
    _prefixes_by_digest: Mapping[bytes, np.ndarray] = MappingProxyType({})
    _prefixes_at_hand: np.ndarray | None = None
    """Those of every leak in force, as long as this store alone has written: transactions read and write it, nobody else."""
    _taken_back_at_hand: Mapping[int, bool] | None = None
    """By leak that is taken back just now, whether it was verified; at hand likewise."""

    def _reading(self) -> AbstractContextManager[Database]:
        raise NotImplementedError

    def _counting(self) -> AbstractContextManager[Database]:
        raise NotImplementedError

    def _at_hand(self) -> bool:
        raise NotImplementedError

    # writing

    def open_leak(self, leak: StoredLeak) -> StoredLeak:
        marks = ",".join("?" * len(self._fields(leak)))
        self._writer.execute(
            f"INSERT INTO leak ({_COLUMNS}) VALUES ((SELECT coalesce(max(number), 0) + 1 FROM leak),{marks})",  # noqa: S608
            self._values(leak),
        )
        row = self._writer.execute(f"SELECT {_COLUMNS} FROM leak WHERE leak_id=?", (leak.leak_id,)).fetchone()  # noqa: S608
        return _read(row)

    @staticmethod
    def _fields(leak: StoredLeak) -> tuple:  # type: ignore[type-arg]
        return (
            leak.leak_id, leak.reporter, leak.name, leak.source, leak.found_at, leak.tlp, leak.opened_at, leak.confidence,
            leak.state, leak.keys, leak.loaded_at, leak.digest, leak.applied, leak.lowering,
        )  # fmt: skip

    def _values(self, leak: StoredLeak) -> tuple:  # type: ignore[type-arg]
        return tuple(int(value) if isinstance(value, int) else value for value in self._fields(leak))

    def save_leak(self, leak: StoredLeak) -> None:
        _, *names = _COLUMNS.split(", ")
        setting = ", ".join(f"{name}=?" for name in names)
        self._writer.execute(f"UPDATE leak SET {setting} WHERE number=?", (*self._values(leak), leak.number))  # noqa: S608
        self._prefixes_at_hand = self._taken_back_at_hand = None

    def add_leaked(self, leak: int, fingerprints: Sequence[bytes]) -> int:
        query = "SELECT fingerprint FROM leaked WHERE leak=? AND fingerprint IN ({})"
        known = {row[0] for row in self._writer.select(query, fingerprints, leak)}
        fresh = [one for one in dict.fromkeys(fingerprints) if one not in known]
        self._writer.insert("leaked (fingerprint, leak)", [(one, leak) for one in fresh])
        return len(fresh)

    def prepare_leak(self, leak: int, digest: bytes) -> None:
        self._prefixes_by_digest = {**self._prefixes_by_digest, digest: self._prefixes_of(leak)}

    def drop_leaked(self, leak: int, limit: int) -> int:
        return self._writer.execute(
            "DELETE FROM leaked WHERE leak=?1 AND fingerprint IN"
            " (SELECT fingerprint FROM leaked WHERE leak=?1 ORDER BY fingerprint LIMIT ?2)",
            (leak, limit),
        ).rowcount

    # reading

    def leak(self, leak_id: bytes) -> StoredLeak | None:
        with self._reading() as reader:
            row = reader.execute(f"SELECT {_COLUMNS} FROM leak WHERE leak_id=?", (leak_id,)).fetchone()  # noqa: S608
        return _read(row) if row else None

    def leaks(self) -> list[StoredLeak]:
        with self._reading() as reader:
            return [_read(row) for row in reader.execute(f"SELECT {_COLUMNS} FROM leak ORDER BY number")]  # noqa: S608

    def leaked(self, leak: int, after: bytes, limit: int) -> list[bytes]:
        query = "SELECT fingerprint FROM leaked WHERE leak=? AND fingerprint>? ORDER BY fingerprint LIMIT ?"
        with self._reading() as reader:
            return [row[0] for row in reader.execute(query, (leak, after, limit))]

    def leaked_subjects(self, leak: int, after: int) -> list[int]:
        query = (
            f"SELECT s.id FROM leaked l JOIN {_NODE_OF_KEY} JOIN subject s ON s.key=n.id"  # noqa: S608 - fixed names
            " WHERE l.leak=? AND s.id>? AND (s.seen>0 OR s.account IS NOT NULL) ORDER BY s.id"
        )
        self._write_pending()
        with self._counting() as reader:
            return [row[0] for row in reader.execute(query, (leak, after))]

    def leaks_of(self, subjects: Sequence[int]) -> Mapping[int, Leaks]:
        found: dict[int, tuple[bool, set[int]]] = {}
        if not len(self._known_prefixes()):
            return {}
        self._write_pending()
        query = (
            "SELECT s.id, l.confidence, l.reporter FROM subject s JOIN node n ON n.id=s.key"
            " JOIN leaked d ON d.fingerprint=n.fingerprint JOIN leak l ON l.number=d.leak"
            " WHERE l.state=? AND n.kind=1 AND s.id IN ({})"
        )
        with self._reading() as reader:
            for subject, confidence, reporter in reader.select(query, subjects, _IN_FORCE):
                verified, reporters = found.get(subject, (False, set()))
                reporters.add(reporter)
                found[subject] = (verified or confidence == Confidence.VERIFIED, reporters)
        return {subject: Leaks(verified, frozenset(who)) for subject, (verified, who) in found.items()}

    def taken_back(self, subjects: Sequence[int]) -> Mapping[int, bool]:
        verified = self._taken_back_at_hand if self._at_hand() else None
        if verified is None:
            gone = [leak for leak in self.leaks() if leak.lowering and leak.applied is not None]
            verified = {leak.number: leak.was_verified() for leak in gone}
        if self._at_hand():
            self._taken_back_at_hand = verified
        if not verified:
            return {}
        self._write_pending()
        query = (
            "SELECT s.id, l.number FROM subject s JOIN node n ON n.id=s.key JOIN leaked d ON d.fingerprint=n.fingerprint"
            " JOIN leak l ON l.number=d.leak WHERE l.lowering<>0 AND s.id>l.applied AND n.kind=1 AND s.id IN ({})"
        )
        found: dict[int, bool] = {}
        with self._reading() as reader:
            for subject, number in reader.select(query, subjects):
                found[subject] = found.get(subject, False) or verified[number]
        return found

    def of_leaked_keys(self, subjects: Iterable[int]) -> frozenset[int]:
        prefixes = self._known_prefixes()
        if not len(prefixes):
            return frozenset()
        known = [record for subject in subjects if (record := self._absorber.record(subject)) is not None]
        if not known:
            return frozenset()
        asked = np.frombuffer(b"".join(record.fingerprint[:8] for record in known), _PREFIX)
        places = np.minimum(np.searchsorted(prefixes, asked), len(prefixes) - 1)
        return frozenset(known[place].id for place in np.flatnonzero(prefixes[places] == asked))

    def leaks_with(self, keys: Sequence[bytes]) -> Mapping[bytes, list[int]]:
        query = (
            "SELECT d.fingerprint, l.number FROM leaked d JOIN leak l ON l.number=d.leak"
            " WHERE l.state=? AND d.fingerprint IN ({})"
        )
        found: dict[bytes, list[int]] = {}
        with self._reading() as reader:
            for key, number in reader.select(query, keys, _IN_FORCE):
                found.setdefault(key, []).append(number)
        return {key: sorted(numbers) for key, numbers in found.items()}

    def leak_matches(self, leak: int) -> Mapping[int, tuple[int, int]]:
        query = (
            f"SELECT s.member, count(*) FROM leaked l JOIN {_NODE_OF_KEY}"  # noqa: S608 - fixed names
            " JOIN subject s ON s.key=n.id AND s.seen>0 WHERE l.leak=? GROUP BY s.member"
        )
        with self._counting() as reader:
            leaked = dict(reader.execute(query, (leak,)))
            if not leaked:
                return {}
            keys = dict(reader.execute("SELECT member, count(*) FROM subject WHERE seen>0 GROUP BY member"))
        return {member: (number, keys.get(member, 0)) for member, number in leaked.items()}

    def leak_overlaps(self, leak: int) -> Mapping[int, int]:
        query = (
            "SELECT o.leak, count(*) FROM leaked l JOIN leaked o ON o.fingerprint=l.fingerprint AND o.leak<>l.leak"
            " JOIN leak k ON k.number=o.leak WHERE l.leak=? AND k.state=? GROUP BY o.leak ORDER BY o.leak"
        )
        with self._counting() as reader:
            return dict(reader.execute(query, (leak, _IN_FORCE)))

    def only_refused(self, member: str, keys: Sequence[bytes]) -> frozenset[bytes]:
        query = (
            "SELECT n.fingerprint FROM member m JOIN subject s ON s.member=m.id JOIN node n ON n.id=s.key AND n.kind=1"
            " WHERE m.name=? AND s.seen=0 AND s.account IS NULL AND {}"
        )
        with self._reading() as reader:
            return frozenset(row[0] for row in reader.named(query, keys, member))

    def testers(self, least: int, limit: int) -> list[Tester]:
        tried = (
            "SELECT p.{0} AS node, count(DISTINCT s.key) AS keys, count(DISTINCT s.member) AS members, max(p.first) AS newest"
            " FROM presence p JOIN subject s ON s.id=p.subject WHERE p.manner=2 AND {1}"
            " GROUP BY p.{0} HAVING count(DISTINCT s.key) >= ? AND count(DISTINCT p.address) >= {2}"
        )
        used = "EXISTS (SELECT 1 FROM subject t JOIN presence q ON q.subject=t.id WHERE t.key=s.key AND q.manner=1{})"
        # A key that is used nowhere expired, and its holder's bot goes on with a stack like many others'.
        foreign = f"p.device<>0 AND {used.format('')} AND NOT {used.format(' AND q.device=p.device')}"
        addresses = tried.format("address", f"NOT {used.format(' AND q.address=p.address')}", 1)
        stacks = (
            f"WITH tried AS ({tried.format('device', foreign, 2)}), used AS (SELECT p.device, count(DISTINCT s.key) AS keys"  # noqa: S608
            " FROM presence p JOIN subject s ON s.id=p.subject WHERE p.manner=1 AND p.device IN (SELECT node FROM tried)"
            " GROUP BY p.device) SELECT t.node, t.keys, t.members, t.newest FROM tried t LEFT JOIN used u ON u.device=t.node"
            " WHERE t.keys > coalesce(u.keys, 0)"
        )
        with self._counting() as reader:
            return [
                Tester(kind, *row)
                for kind, query in ((Kind.ADDRESS, addresses), (Kind.DEVICE, stacks))
                for row in reader.execute(f"{query} ORDER BY 2 DESC, 1 LIMIT ?", (least, limit))
            ]

    def _known_prefixes(self) -> np.ndarray:
        """Read anew where another leak is in force than before: another node may have brought it, or a failure taken it back."""
        if self._at_hand() and self._prefixes_at_hand is not None:
            return self._prefixes_at_hand
        in_force = self._in_force()
        found = self._prefixes
        if found is None or found[0] != in_force:
            # What a digest names never changes, so that a leak is read once, and ahead of its commit.
            known = self._prefixes_by_digest
            parts = [known[digest] if digest in known else self._prefixes_of(number) for number, digest in in_force]
            self._prefixes_by_digest = {
                digest: part for (_, digest), part in zip(in_force, parts, strict=True) if digest
            }
            found = self._prefixes = in_force, np.unique(np.concatenate([np.empty(0, _PREFIX), *parts]))
        if self._at_hand():
            self._prefixes_at_hand = found[1]
        return found[1]

    def _in_force(self) -> list[tuple[int, bytes]]:
        """The leaks in force, each with the digest of its keys."""
        with self._reading() as reader:
            query = "SELECT number, digest FROM leak WHERE state=? ORDER BY number"
            return [(number, digest) for number, digest in reader.execute(query, (_IN_FORCE,))]

    def _prefixes_of(self, leak: int) -> np.ndarray:
        query = "SELECT substr(fingerprint, 1, 8) FROM leaked WHERE leak=?"
        with self._counting() as reader:
            return np.frombuffer(b"".join(row[0] for row in reader.execute(query, (leak,))), _PREFIX)

    def _write_pending(self) -> None:
        """What the writer has not written yet, inside its own transaction: a join sees what is in the file."""
        if self._at_hand():
            self._absorber.flush()

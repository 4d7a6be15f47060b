"""What the writer has read of the file or written to it, by fingerprint and by id; each of its tables is bounded.

What is dropped is taken apart a little with each transaction. At once it would hold up everybody's batch for as long as twenty
batches take; and left alone it would stay, for an edge and its record name each other, until a collection of everything.

A batch's unknown fingerprints, subjects and addresses are read with one query for hundreds of them. An address whose edges are
not written yet always has its ledger here, so a ledger is only ever read when the file is complete for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from daxa_core.errors import DaxaError
from daxa_core.model import Kind, Level, Manner, Sighting

from .database import Database
from .hours import unpack
from .sqlite_memory import Edge, Ledger, Record
from .sqlite_withdraw import Left

KINDS = ((Kind.KEY, "key"), (Kind.ADDRESS, "address"), (Kind.NETWORK, "network"), (Kind.DEVICE, "device"),
         (Kind.HOLDER, "holder"))  # fmt: skip
_PLACES = (0, 1, 2, 6, 7)
"""Where these stand in a Sighting."""
_MANNERS = {int(manner): manner for manner in Manner}
NODES_KEPT = 400_000
EDGES_KEPT = 200_000
SUBJECTS_KEPT = 100_000
ADDRESSES_KEPT = 200_000
FREED = 1_000
"""Entries taken apart with each transaction, besides FREED_FOR_NEW for each that is new: a millisecond's work."""
FREED_FOR_NEW = 4

EdgesByPrint = dict[tuple[bytes, bytes, bytes | None], Edge]
"""By key, address and device."""


class Recall:
    """The writer's memory; see :class:`.sqlite_absorb.Absorber`, which alone changes it."""

    def __init__(self, connection: Database, hub_size: int) -> None:
        self._db = connection
        self._hub_size = hub_size
        self._dropped: list[dict[Any, Any]] = []
        self._begin()

    def forget(self) -> None:
        """Drops all of it."""
        self._drop_subjects()
        self._dropped += [*self.nodes, self.on_address, self.ledgers]
        self._begin()

    def _begin(self) -> None:
        self._size = 0
        self.nodes: list[dict[bytes, int]] = [{} for _ in range(len(Kind) + 1)]  # by the kind's number
        self._edges: dict[int, tuple[EdgesByPrint, EdgesByPrint, EdgesByPrint]] = {}
        self.records: dict[tuple[int, int], Record] = {}
        self.by_id: dict[int, Record] = {}
        self.on_address: dict[int, int] = {}
        self.ledgers: dict[int, Ledger | None] = {}
        self.refused_keys: dict[int, bool] = {}

    def shrink(self) -> None:
        """Drops what has grown past its bound. Only after everything was written."""
        for place, nodes in enumerate(self.nodes):
            if len(nodes) > NODES_KEPT:
                self._dropped.append(nodes)
                self.nodes[place] = {}
        edges = sum(len(t) for three in self._edges.values() for t in three)
        size = edges + len(self.by_id) + len(self.ledgers)
        if len(self.by_id) > SUBJECTS_KEPT or edges > EDGES_KEPT:
            self._drop_subjects()
        if len(self.ledgers) > ADDRESSES_KEPT:
            self._dropped += [self.ledgers, self.on_address]
            self.ledgers, self.on_address = {}, {}
        self._take_apart(FREED + FREED_FOR_NEW * max(size - self._size, 0))
        self._size = size

    def _drop_subjects(self) -> None:
        edges = [table for three in self._edges.values() for table in three]
        self._dropped += [*edges, self.records, self.refused_keys, self.by_id]
        self._edges, self.records, self.by_id, self.refused_keys = {}, {}, {}, {}

    def _take_apart(self, entries: int) -> None:
        while self._dropped and entries > 0:
            table = self._dropped[-1]
            while table and entries > 0:
                _, value = table.popitem()
                if isinstance(value, Record):
                    value.edges.clear()
                entries -= 1
            if not table:
                self._dropped.pop()

    def let_go(self, left: Left) -> None:
        """Drops these subjects and addresses, and which keys failed. Only after everything was written."""
        for address in left.addresses:
            self.ledgers.pop(address, None)
            self.on_address.pop(address, None)
        for key in [key for key, refused in self.refused_keys.items() if refused]:
            del self.refused_keys[key]
        gone = {record for subject in left.subjects if (record := self.by_id.pop(subject, None)) is not None}
        for record in gone:
            del self.records[record.key, record.member]
        for member in {record.member for record in gone}:
            for table in self.edges_of(member):
                for prints in [prints for prints, edge in table.items() if edge.record in gone]:
                    del table[prints]
        for record in gone:
            record.edges.clear()

    def let_go_nodes(self, nodes: Iterable[tuple[Kind, bytes]]) -> None:
        """Drops the numbers of fingerprints that are no longer stored."""
        for kind, print_ in nodes:
            self.nodes[kind].pop(print_, None)

    def edges_of(self, member: int) -> tuple[EdgesByPrint, EdgesByPrint, EdgesByPrint]:
        """A member's edges by manner: used, rejected, declared."""
        return self._edges.setdefault(member, ({}, {}, {}))

    def born(self, node: int, kind: Kind) -> None:
        """A node that was made just now: all that can be known of it is."""
        if kind is Kind.ADDRESS:
            self.on_address[node] = 0
            self.ledgers[node] = Ledger()
        elif kind is Kind.KEY:
            self.refused_keys[node] = False

    def ledger(self, address: int) -> Ledger | None:
        """The ledger of an address; None past the hub size."""
        if address not in self.ledgers:
            self.learn_places([address])
        return self.ledgers[address]

    def subjects_on(self, address: int) -> int:
        """How many subjects were seen on an address, those not yet written included."""
        if address not in self.on_address:
            self.learn_places([address])
        return self.on_address[address]

    def key_refused(self, key: int) -> bool:
        """Whether a key ever failed, at any member."""
        known = self.refused_keys.get(key)
        if known is None:
            row = self._db.execute(
                "SELECT 1 FROM subject s JOIN presence p ON p.subject=s.id WHERE s.key=? AND p.manner=2 LIMIT 1", (key,)
            ).fetchone()
            known = self.refused_keys[key] = row is not None
        return known

    # reading

    def learn(
        self, member: int, sightings: Sequence[Sighting], check: Callable[[Sequence[bytes]], Mapping[bytes, DaxaError]]
    ) -> Mapping[bytes, DaxaError]:
        """Reads all that the file has of these sightings' nodes, subjects, edges and addresses.

        Answers the fingerprints that no stored node has and that may not be stored.
        """
        missing: list[tuple[Kind, list[bytes]]] = []
        for (kind, _), place in zip(KINDS, _PLACES, strict=True):
            nodes = self.nodes[kind]
            # Asked one by one: a set less the keys of a dict is worked out by walking through the whole dict.
            prints = {sighting[place] for sighting in sightings}
            missing.append((kind, [print_ for print_ in prints if isinstance(print_, bytes) and print_ not in nodes]))
        wanted = dict.fromkeys(print_ for _, prints_ in missing for print_ in prints_)
        query = "SELECT n.kind, n.fingerprint, n.id FROM node n WHERE {}"
        for number, print_, node in self._db.named(query, wanted):
            self.nodes[number][print_] = node
        unknown = [print_ for kind, prints_ in missing for print_ in prints_ if print_ not in self.nodes[kind]]
        keys, addresses = self.nodes[Kind.KEY], self.nodes[Kind.ADDRESS]
        self._learn_subjects(member, {s.key: keys[s.key] for s in sightings if s.key in keys})
        self.learn_places(addresses[s.address] for s in sightings if s.address in addresses)
        return check(unknown) if unknown else {}

    def _learn_subjects(self, member: int, keys: Mapping[bytes, int]) -> None:
        wanted = {key: print_ for print_, key in keys.items() if (key, member) not in self.records}
        found: list[int] = []
        query = (
            "SELECT s.id, s.key, s.account, s.holder, n.fingerprint, s.seen, s.hours, s.level, s.sequence"
            " FROM subject s LEFT JOIN node n ON n.id=s.holder WHERE s.member=? AND s.key IN ({})"
        )
        for subject, key, account, holder, holder_print, seen, hours, level, sequence in self._db.select(
            query, wanted, member
        ):
            record = self.records[key, member] = self.by_id[subject] = Record(subject, key, wanted[key], member)
            record.account, record.holder, record.holder_print = account, holder, holder_print
            record.seen, record.hours = seen, hours
            record.level, record.sequence = Level(level), sequence
            found.append(subject)
        for subject, row, address, device, manner, network, first, hours in self._db.select(
            "SELECT subject, id, address, device, manner, network, first, hours FROM presence WHERE subject IN ({})",
            found,
        ):
            record = self.by_id[subject]
            record.keep(Edge(record, address, device, _MANNERS[manner], network, row, first, unpack(hours)))

    def learn_places(self, addresses: Iterable[int]) -> None:
        """Reads the ledgers of those addresses that are not at hand."""
        calm: list[int] = []
        missing = {address for address in addresses if address not in self.ledgers}
        for address, subjects in self._db.select("SELECT id, subjects FROM node WHERE id IN ({})", missing):
            self.on_address.setdefault(address, subjects)
            if self.on_address[address] > self._hub_size:
                self.ledgers[address] = None
            else:
                self.ledgers[address] = Ledger()
                calm.append(address)
        query = (
            "SELECT p.address, p.manner, p.first, p.hours, s.member, s.key, s.account, s.holder"
            " FROM presence p JOIN subject s ON s.id=p.subject WHERE p.address IN ({})"
        )
        for address, manner, first, hours, member, key, account, holder in self._db.select(query, calm):
            ledger = self.ledgers[address]
            assert ledger is not None
            if manner == Manner.REJECTED:
                ledger.refused = True
            elif manner == Manner.USED:
                bits = unpack(hours)
                who = holder or (member, account or b"key %d" % key)
                for hour in {first, first + bits.bit_length() - 1}:
                    ledger.note(who, hour)

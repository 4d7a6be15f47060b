"""Taking sightings into SQLite: nodes, subjects and presences, with every counter kept as the rows are.

One writer owns the tables, so ids are counted here and rows are written in bulk by :meth:`Absorber.flush`. What is cached is
what the file holds plus what this transaction has not flushed yet; after a failed transaction all of it is forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from daxa_core.errors import DaxaError
from daxa_core.model import Kind, Manner, Refusal, Sighting

from .hours import merge, pack, unpack, without
from .interface import STEPS, Absorbed

_FIELDS = ((Kind.KEY, "key"), (Kind.ADDRESS, "address"), (Kind.NETWORK, "network"), (Kind.DEVICE, "device"),
           (Kind.HOLDER, "holder"))  # fmt: skip
_USED, _REJECTED, _DECLARED = Manner.USED, Manner.REJECTED, Manner.DECLARED
NODES_CACHED = 2_000_000
EDGES_CACHED = 500_000
SUBJECTS_CACHED = 250_000

Edge = tuple[int, int, int, int]
"""address, device, subject, manner"""


@dataclass(slots=True)
class _Record:
    """A subject as the writer knows it, with where it was seen and with what."""

    id: int
    key: int
    member: int
    account: bytes | None
    holder: int | None
    seen: int = 0
    hours: int = 0
    addresses: set[int] = field(default_factory=set)
    devices: set[int] = field(default_factory=set)
    rejected: set[int] = field(default_factory=set)


class Absorber:
    """The writer's half of the SQLite store; used by one thread, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, hub_size: int) -> None:
        self._db = connection
        self._hub_size = hub_size
        self.changed_places: set[int] = set()
        self.forget()

    def forget(self) -> None:
        """Drops every cache and everything unflushed: what the file says is all that is so."""
        self._nodes: dict[Kind, dict[bytes, int]] = {kind: {} for kind in Kind}
        self._records: dict[tuple[int, int], _Record] = {}
        self._edges: dict[Edge, list[int]] = {}
        self._on_address: dict[int, int] = {}
        self._clear_pending()
        self._next = {
            table: int(self._db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0])  # noqa: S608
            for table in ("node", "subject", "presence")
        }
        self.changed_places.clear()

    def _clear_pending(self) -> None:
        self._new_nodes: dict[int, list[object]] = {}
        self._node_counts: dict[int, list[int]] = {}
        self._new_subjects: dict[int, _Record] = {}
        self._new_by_key: dict[int, list[int]] = {}
        self._dirty_subjects: dict[int, _Record] = {}
        self._new_edges: dict[Edge, list[int]] = {}
        self._new_hours: dict[int, list[int]] = {}
        self._counts: dict[int, int] = {}
        self._new_pairs: set[tuple[int, int]] = set()

    # taking in

    def absorb(self, member: int, sightings: Sequence[Sighting], check_element: Callable[[bytes], None]) -> Absorbed:
        """As :meth:`daxa_registry.store.interface.Store.absorb`."""
        subjects: list[int | None] = []
        refusals: list[Refusal] = []
        moved: set[int] = set()
        grown: set[int] = set()
        nodes = self._nodes
        keys, places, networks, devices, holders = (nodes[kind] for kind, _ in _FIELDS)
        for index, sighting in enumerate(sightings):
            key, address = keys.get(sighting.key), places.get(sighting.address)
            network = networks.get(sighting.network)
            device = devices.get(sighting.device) if sighting.device else 0
            holder = holders.get(sighting.holder) if sighting.holder else 0
            if key is None or address is None or network is None or device is None or holder is None:
                try:
                    key, address, network, device, holder = self._resolve(sighting, check_element)
                except DaxaError as error:
                    refusals.append(Refusal(index, error.code, error.field, error.expected))
                    subjects.append(None)
                    continue
            record = self._records.get((key, member)) or self._record(key, member)
            subjects.append(record.id)
            if (sighting.account and sighting.account != record.account) or (holder and holder != record.holder):
                record.account = sighting.account or record.account
                record.holder = holder or record.holder
                self._dirty_subjects[record.id] = record
                self.changed_places.update(record.addresses)
                moved.add(record.id)
            edge = (address, device, record.id, int(sighting.manner))
            state = self._edges.get(edge) or self._edge(edge, record)
            if state is None:
                self._add(edge, record, network, sighting, moved, grown)
                continue
            if sighting.manner is not _DECLARED:
                row = state[0]
                self._counts[row] = self._counts.get(row, 0) + sighting.count
            offset = sighting.hour - state[1]
            if offset < 0 or not state[2] >> offset & 1:
                self._extend(edge, state, record, sighting, moved)
        return Absorbed(tuple(subjects), tuple(refusals), frozenset(moved), frozenset(grown))

    def _resolve(self, sighting: Sighting, check_element: Callable[[bytes], None]) -> tuple[int, int, int, int, int]:
        """The ids of all five nodes; unknown ones are checked first, all of them, and only then made."""
        found: list[int] = []
        unknown: list[tuple[int, Kind, bytes]] = []
        for kind, name in _FIELDS:
            fingerprint = getattr(sighting, name)
            if not fingerprint:
                found.append(0)
                continue
            known = self._nodes[kind].get(fingerprint)
            if known is None:
                row = self._db.execute(
                    "SELECT id FROM node WHERE fingerprint=? AND kind=?", (fingerprint, int(kind))
                ).fetchone()
                if row is None:
                    try:
                        check_element(fingerprint)
                    except DaxaError as error:
                        raise type(error)(error.code, name, error.expected) from None
                    unknown.append((len(found), kind, fingerprint))
                    known = 0
                else:
                    known = self._nodes[kind][fingerprint] = row[0]
            found.append(known)
        for place, kind, fingerprint in unknown:
            found[place] = number = self._next["node"]
            self._next["node"] += 1
            self._new_nodes[number] = [number, int(kind), fingerprint, 0, 0, 0]
            self._nodes[kind][fingerprint] = number
        key, address, network, device, holder = found
        return key, address, network, device, holder

    def _record(self, key: int, member: int) -> _Record:
        row = None
        if key not in self._new_nodes:
            row = self._db.execute(
                "SELECT id, account, holder, seen, hours FROM subject WHERE key=? AND member=?", (key, member)
            ).fetchone()
        if row is None:
            record = _Record(self._next["subject"], key, member, None, None)
            self._next["subject"] += 1
            self._new_subjects[record.id] = record
            self._new_by_key.setdefault(key, []).append(record.id)
        else:
            record = _Record(row[0], key, member, row[1], row[2], row[3], row[4])
            for address, device, manner in self._db.execute(
                "SELECT DISTINCT address, device, manner FROM presence WHERE subject=?", (record.id,)
            ):
                record.addresses.add(address)
                record.devices.add(device)
                if manner == _REJECTED:
                    record.rejected.add(device)
        self._records[key, member] = record
        return record

    def _edge(self, edge: Edge, record: _Record) -> list[int] | None:
        """What is stored of an edge as [row, first, bits], or None where it is new."""
        if edge[0] not in record.addresses or edge[1] not in record.devices:
            return None
        row = self._db.execute(
            "SELECT id, first, hours FROM presence WHERE address=? AND device=? AND subject=? AND manner=?", edge
        ).fetchone()
        if row is None:
            return None
        state = self._edges[edge] = [row[0], row[1], unpack(row[2])]
        return state

    def _add(
        self, edge: Edge, record: _Record, network: int, sighting: Sighting, moved: set[int], grown: set[int]
    ) -> None:
        address, device, _, _ = edge
        row = self._next["presence"]
        self._next["presence"] += 1
        self._edges[edge] = state = [row, sighting.hour, 1]
        self._new_edges[edge] = [network, sighting.count, *state]
        if address not in record.addresses:
            record.addresses.add(address)
            count = self._subjects_on_address(address) + 1
            self._on_address[address] = count
            self._count(address, 0)
            if count in STEPS:
                grown.add(address)
        if device:
            if device not in record.devices:
                self._count(device, 0)
            if self._new_pair(address, device):
                self._count(device, 1)
            if sighting.manner is _REJECTED and device not in record.rejected:
                record.rejected.add(device)
                self._count(device, 2)
        record.devices.add(device)
        if sighting.manner is not _REJECTED:
            record.seen = 1
        self._settle(edge, record, 1, sighting.hour, moved)

    def _extend(self, edge: Edge, state: list[int], record: _Record, sighting: Sighting, moved: set[int]) -> None:
        state[1], state[2] = merge(state[1], state[2], sighting.hour, 1)
        fresh = self._new_edges.get(edge)
        if fresh is not None:
            fresh[3], fresh[4] = state[1], state[2]
        else:
            self._new_hours[state[0]] = state
        self._settle(edge, record, 1, sighting.hour, moved)

    def _settle(self, edge: Edge, record: _Record, bits: int, first: int, moved: set[int]) -> None:
        """After a new hour on an edge: the subject's counter, whom it moved, and which place it changed."""
        address, device, subject, manner = edge
        if manner == _USED:
            for other in record.devices:
                if other != device and (address, other, subject, manner) in self._edges:
                    _, other_first, other_bits = self._edges[address, other, subject, manner]
                    offset = first - other_first
                    if offset >= 0 and other_bits >> offset & 1:
                        bits = 0
            record.hours += bits
        self._dirty_subjects[record.id] = record
        self.changed_places.add(address)
        moved.add(subject)
        if manner == _REJECTED:
            moved.update(self._siblings(record))

    def _siblings(self, record: _Record) -> list[int]:
        """The same key's subjects at other members, written or not yet."""
        found = list(self._new_by_key.get(record.key, ()))
        if record.key not in self._new_nodes:
            found += [row[0] for row in self._db.execute("SELECT id FROM subject WHERE key=?", (record.key,))]
        return found

    def _subjects_on_address(self, address: int) -> int:
        count = self._on_address.get(address)
        if count is None:
            count = 0
            if address not in self._new_nodes:
                row = self._db.execute("SELECT subjects FROM node WHERE id=?", (address,)).fetchone()
                count = int(row[0])
        return count

    def _new_pair(self, address: int, device: int) -> bool:
        pair = (address, device)
        if pair in self._new_pairs:
            return False
        self._new_pairs.add(pair)
        if address in self._new_nodes or device in self._new_nodes:
            return True
        row = self._db.execute("SELECT 1 FROM presence WHERE address=? AND device=? LIMIT 1", pair).fetchone()
        return row is None

    def _count(self, node: int, which: int, by: int = 1) -> None:
        """Counters of a node: 0 its subjects, 1 its addresses, 2 its refused subjects."""
        fresh = self._new_nodes.get(node)
        if fresh is not None:
            fresh[3 + which] = int(str(fresh[3 + which])) + by
        else:
            self._node_counts.setdefault(node, [0, 0, 0])[which] += by

    # writing

    def flush(self) -> None:
        """Writes everything pending with one statement a table and kind of change."""
        many = self._db.executemany
        if self._new_nodes:
            many(
                "INSERT INTO node (id, kind, fingerprint, subjects, addresses, rejected) VALUES (?,?,?,?,?,?)",
                self._new_nodes.values(),
            )
        if self._node_counts:
            many(
                "UPDATE node SET subjects=subjects+?, addresses=addresses+?, rejected=rejected+? WHERE id=?",
                ((*counts, node) for node, counts in self._node_counts.items()),
            )
        if self._new_subjects:
            many(
                "INSERT INTO subject (id, key, member, account, holder, seen, hours, addresses) VALUES (?,?,?,?,?,?,?,?)",
                (
                    (r.id, r.key, r.member, r.account, r.holder, r.seen, r.hours, len(r.addresses))
                    for r in self._new_subjects.values()
                ),
            )
        dirty = [r for r in self._dirty_subjects.values() if r.id not in self._new_subjects]
        if dirty:
            many(
                "UPDATE subject SET account=?, holder=?, seen=?, hours=?, addresses=? WHERE id=?",
                ((r.account, r.holder, r.seen, r.hours, len(r.addresses), r.id) for r in dirty),
            )
        if self._new_edges:
            counts = self._counts
            many(
                "INSERT INTO presence (id, address, device, subject, manner, network, first, hours, count)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    (row, *edge, network, first, pack(bits), count + counts.pop(row, 0))
                    for edge, (network, count, row, first, bits) in self._new_edges.items()
                ),
            )
        if self._new_hours:
            many(
                "UPDATE presence SET first=?, hours=?, count=count+? WHERE id=?",
                (
                    (first, pack(bits), self._counts.pop(row, 0), row)
                    for row, (_, first, bits) in self._new_hours.items()
                ),
            )
        if self._counts:
            many("UPDATE presence SET count=count+? WHERE id=?", ((n, row) for row, n in self._counts.items()))
        self._clear_pending()
        self._shrink()

    def _shrink(self) -> None:
        for cache in self._nodes.values():
            if len(cache) > NODES_CACHED:
                cache.clear()
        if len(self._edges) > EDGES_CACHED:
            self._edges.clear()
        if len(self._records) > SUBJECTS_CACHED:
            self._records.clear()
        if len(self._on_address) > NODES_CACHED:
            self._on_address.clear()

    # taking back

    def withdraw(self, member: int, key: bytes, first_hour: int, last_hour: int) -> tuple[int, frozenset[int]]:
        """As :meth:`daxa_registry.store.interface.Store.withdraw`."""
        self.flush()
        row = self._db.execute(
            "SELECT s.id FROM node n JOIN subject s ON s.key=n.id AND s.member=? WHERE n.fingerprint=? AND n.kind=1",
            (member, key),
        ).fetchone()
        if row is None:
            return 0, frozenset()
        subject = int(row[0])
        changed = 0
        addresses: set[int] = set()
        for presence, address, first, hours in self._db.execute(
            "SELECT id, address, first, hours FROM presence WHERE subject=?", (subject,)
        ).fetchall():
            bits = unpack(hours)
            left_first, left = without(first, bits, first_hour, last_hour)
            if left == bits:
                continue
            changed += 1
            addresses.add(address)
            if left:
                # The count of single hours is not kept: what is left of it is in proportion to the hours left.
                share = left.bit_count() / bits.bit_count()
                self._db.execute(
                    "UPDATE presence SET first=?, hours=?, count=max(1, cast(count*? AS INTEGER)) WHERE id=?",
                    (left_first, pack(left), share, presence),
                )
            else:
                self._db.execute("DELETE FROM presence WHERE id=?", (presence,))
        touched = {subject}
        for address in addresses:
            touched.update(
                row[0]
                for row in self._db.execute(
                    "SELECT DISTINCT subject FROM presence WHERE address=? LIMIT ?", (address, self._hub_size)
                )
            )
        self._recount(subject, addresses)
        self._db.execute("DELETE FROM subject WHERE id=? AND sequence=0 AND addresses=0", (subject,))
        self.forget()
        self.changed_places.update(addresses)
        return changed, frozenset(touched)

    def _recount(self, subject: int, addresses: set[int]) -> None:
        """Counters after a deletion, from the rows that are left."""
        for address in addresses:
            self._db.execute(
                "UPDATE node SET subjects=(SELECT count(DISTINCT subject) FROM presence WHERE address=?1) WHERE id=?1",
                (address,),
            )
        places: dict[int, int] = {}
        used = 0
        rows = self._db.execute("SELECT address, manner, first, hours FROM presence WHERE subject=?", (subject,))
        for address, manner, first, hours in rows:
            if manner == _USED:
                # One absolute bit set per address, so that two devices in one hour are one hour.
                places[address] = places.get(address, 0) | unpack(hours) << first % 100_000
            else:
                places.setdefault(address, 0)
            used |= manner != _REJECTED
        self._db.execute(
            "UPDATE subject SET seen=?, hours=?, addresses=? WHERE id=?",
            (int(used), sum(bits.bit_count() for bits in places.values()), len(places), subject),
        )

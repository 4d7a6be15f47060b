"""Taking sightings into SQLite: nodes, subjects and presences, with every counter kept as the rows are.

One writer owns the tables, so ids are counted here, and rows are written in bulk by :meth:`Absorber.flush`: many to a statement,
because each statement lets go of the interpreter's lock and has to win it back. A sighting of a known edge costs one look-up;
what a batch brings that is not remembered is read from the file for the whole batch at once (:mod:`.sqlite_recall`).
After a failed transaction everything is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from daxa_core.errors import DaxaError
from daxa_core.model import Kind, Manner, Refusal, Sighting
from daxa_registry.decision.graph import UNKNOWN_DEVICE
from daxa_registry.decision.quiet import Glance

from .database import Database
from .doubtful import Walk
from .hours import merge, pack
from .interface import STEPS, Absorbed, CheckElements, Expired
from .retention import expire
from .sqlite_activity import Activity
from .sqlite_memory import Edge, Ledger, Record, few, glance_at
from .sqlite_recall import KINDS, Recall
from .sqlite_withdraw import Left, forget_holders, withdraw

_USED, _REJECTED, _DECLARED = Manner.USED, Manner.REJECTED, Manner.DECLARED


class Absorber:
    """The writer's half of the SQLite store; used by one thread, inside a transaction."""

    def __init__(self, connection: Database, hub_size: int) -> None:
        self._db = connection
        self._hub_size = hub_size
        self.changed_places: set[int] = set()
        self.changed_subjects: set[int] = set()
        self._recall = Recall(connection, hub_size)
        self.activity = Activity(connection)
        self._new_nodes: dict[int, list[object]] = {}
        self._more_subjects: dict[int, int] = {}
        self._identified: dict[int, Record] = {}
        self._left_holders: set[int] = set()
        self._new_subjects: dict[int, Record] = {}
        self._new_by_key: dict[int, list[int]] = {}
        self._dirty: list[Record] = []
        self._new_edges: list[Edge] = []
        self._changed: list[Edge] = []
        self._counted: list[Edge] = []
        self.forget()

    def forget(self) -> None:
        """Drops everything remembered and everything unwritten: what the file says is all that is so."""
        self._recall.forget()
        self.activity.forget()
        self._clear_pending()
        self._next = {
            table: int(self._db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0])  # noqa: S608
            for table in ("node", "subject", "presence")
        }
        # Where the numbers of presences that are gone would be given again, a walk through all of them would pass new ones by.
        self._next["presence"] = max(self._next["presence"], Walk.of(self._db).reached + 1)
        self.changed_places.clear()
        self.changed_subjects.clear()

    def _clear_pending(self) -> None:
        self._new_nodes.clear()
        self._more_subjects.clear()
        self._identified.clear()
        self._left_holders.clear()
        self._new_subjects.clear()
        self._new_by_key.clear()
        self._dirty.clear()
        self._new_edges.clear()
        self._changed.clear()
        self._counted.clear()

    # what is remembered

    def record(self, subject: int) -> Record | None:
        """A subject that is at hand."""
        return self._recall.by_id.get(subject)

    def glances(self, subjects: Iterable[int]) -> Iterator[Glance]:
        """As :meth:`daxa_registry.store.interface.Store.glances`."""
        recall = self._recall
        records = [record for subject in subjects if (record := recall.by_id.get(subject)) is not None]
        # Those forgotten since are read again: a look at all their neighbourhoods would cost many times more.
        recall.learn_places(edge.address for record in records if few(record) for edge in record.edges.values())
        for record in records:
            glance = glance_at(record, recall.ledgers, recall.key_refused(record.key))
            if glance is not None:
                yield glance

    # taking in

    def absorb(self, member: int, sightings: Sequence[Sighting], check: CheckElements) -> Absorbed:
        """As :meth:`daxa_registry.store.interface.Store.absorb`."""
        used, rejected, declared = self._recall.edges_of(member)
        edges: list[Edge | None] = []
        for key, address, _, _, manner, _, device, _, _ in sightings:
            table = used if manner is _USED else rejected if manner is _REJECTED else declared
            edges.append(table.get((key, address, device)))
        missed = [sighting for sighting, edge in zip(sightings, edges, strict=True) if edge is None]
        bad: Mapping[bytes, DaxaError] = self._recall.learn(member, missed, check) if missed else {}
        subjects: list[int | None] = []
        refusals: list[Refusal] = []
        moved: set[int] = set()
        grown: set[int] = set()
        counted = self._counted
        for index, (sighting, known) in enumerate(zip(sightings, edges, strict=True)):
            key, address, _, hour, manner, count, device, holder, account = sighting
            try:
                if known is None:
                    edge = self._edge(member, sighting, bad)
                    table = used if manner is _USED else rejected if manner is _REJECTED else declared
                    table[key, address, device] = edge
                else:
                    edge = known
                record = edge.record
                if (account and account != record.account) or (holder and holder != record.holder_print):
                    self._identify(record, sighting, check, moved)
            except DaxaError as error:
                refusals.append(Refusal(index, error.code, error.field, error.expected))
                subjects.append(None)
                continue
            subjects.append(record.id)
            offset = hour - edge.first
            if offset >= 0 and edge.bits >> offset & 1:
                if manner is not _DECLARED:
                    if not edge.pending:
                        counted.append(edge)
                    edge.pending += count
            else:
                self._hour(edge, hour, count, moved, grown)
        return Absorbed(tuple(subjects), tuple(refusals), frozenset(moved), frozenset(grown))

    def _edge(self, member: int, sighting: Sighting, bad: Mapping[bytes, DaxaError]) -> Edge:
        """The stored edge of a sighting that was learnt, or a new one without hours. Its subject has its account and holder."""
        key, address, network, _, manner, _, device, holder, account = sighting
        if bad:
            prints = (key, address, network, device, holder)
            for fingerprint, (_, name) in zip(prints, KINDS, strict=True):
                error = bad.get(fingerprint) if fingerprint else None
                if error is not None:
                    raise type(error)(error.code, name, error.expected)
        _, keys, addresses, networks, devices, _ = self._recall.nodes
        key_id = keys.get(key) or self._node(key, Kind.KEY)
        address_id = addresses.get(address) or self._node(address, Kind.ADDRESS)
        device_id = (devices.get(device) or self._node(device, Kind.DEVICE)) if device else UNKNOWN_DEVICE
        records = self._recall.records
        record = records.get((key_id, member))
        if record is None:
            record = records[key_id, member] = Record(self._next["subject"], key_id, key, member)
            self._next["subject"] += 1
            self._recall.by_id[record.id] = record
            self._new_subjects[record.id] = record
            self._new_by_key.setdefault(key_id, []).append(record.id)
        if not record.edges:
            record.account = account or record.account
            if holder:
                self._hold(record, holder)
            self._identified[record.id] = record
        edge = record.edges.get((address_id, device_id, 1 if manner is _USED else int(manner)))
        if edge is not None:
            return edge  # with its network: a node for another one would be named by nobody
        network_id = networks.get(network) or self._node(network, Kind.NETWORK)
        return Edge(record, address_id, device_id, manner, network_id, 0, 0, 0)

    def _node(self, fingerprint: bytes, kind: Kind) -> int:
        """The id of a new node."""
        number = self._recall.nodes[kind][fingerprint] = self._next["node"]
        self._next["node"] += 1
        self._new_nodes[number] = [number, int(kind), fingerprint, 0]
        self._recall.born(number, kind)
        return number

    def _hold(self, record: Record, holder: bytes) -> None:
        """The subject's holder from now on, who was learnt or is new."""
        node = self._recall.nodes[Kind.HOLDER].get(holder) or self._node(holder, Kind.HOLDER)
        if record.holder is not None and node != record.holder:
            self._left_holders.add(record.holder)
        record.holder, record.holder_print = node, holder

    def _identify(self, record: Record, sighting: Sighting, check: CheckElements, moved: set[int]) -> None:
        """Another account or holder than before: whoever meets the subject sees another person."""
        holder = sighting.holder
        if holder and holder not in self._recall.nodes[Kind.HOLDER]:
            for error in self._recall.learn(record.member, [sighting], check).values():
                raise type(error)(error.code, "holder", error.expected)
        before = record.account, record.holder
        record.account = sighting.account or record.account
        if holder:
            self._hold(record, holder)
        if before == (record.account, record.holder):
            return
        self._identified[record.id] = record
        self._touch(record)
        self.flush()  # for the ledgers are read anew from the file
        for address in record.addresses:
            self._recall.ledgers.pop(address, None)
        self.changed_places.update(record.addresses)
        self.changed_subjects.add(record.id)
        moved.add(record.id)

    def _hour(self, edge: Edge, hour: int, count: int, moved: set[int], grown: set[int]) -> None:
        """An hour that the edge did not have."""
        record, address, manner = edge.record, edge.address, edge.manner
        ledger = self._recall.ledger(address)
        if not edge.bits:
            edge.first, edge.bits, edge.pending = hour, 1, count
            edge.row = self._next["presence"]
            self._next["presence"] += 1
            self._new_edges.append(edge)
            edge.changed = True
            self._arrive(edge, ledger, grown)
        else:
            edge.first, edge.bits = merge(edge.first, edge.bits, hour, 1)
            if manner is not _DECLARED:
                edge.pending += count
            if not edge.changed:
                edge.changed = True
                self._changed.append(edge)
        if manner is _USED:
            self.activity.add(record.member, hour)
            if not self._on_another_device(edge, hour):
                record.hours += 1
            if ledger is not None and ledger.note(record.identity, hour) and ledger.lasting in STEPS:
                grown.add(address)
        elif manner is _REJECTED:
            self._recall.refused_keys[record.key] = True
            if ledger is not None and not ledger.refused:
                ledger.refused = True
                grown.add(address)
            moved.update(self._siblings(record))
        self._touch(record)
        self.changed_places.add(address)
        moved.add(record.id)

    def _arrive(self, edge: Edge, ledger: Ledger | None, grown: set[int]) -> None:
        """Counters for an edge that is new."""
        record, address = edge.record, edge.address
        if address not in record.addresses:
            count = self._recall.on_address[address] = self._recall.subjects_on(address) + 1
            fresh = self._new_nodes.get(address)
            if fresh is not None:
                fresh[3] = count
            else:
                self._more_subjects[address] = self._more_subjects.get(address, 0) + 1
            if count > self._hub_size:
                self._recall.ledgers[address] = ledger = None
            if count in STEPS and (ledger is None or ledger.refused):
                grown.add(address)
        record.keep(edge)
        if edge.manner is not _REJECTED:
            record.seen = 1

    @staticmethod
    def _on_another_device(edge: Edge, hour: int) -> bool:
        """Whether the subject was used there in that hour already, with another device."""
        record = edge.record
        if len(record.devices) > 1:
            for device in record.devices:
                if device != edge.device:
                    other = record.edges.get((edge.address, device, int(_USED)))
                    if other is not None and hour >= other.first and other.bits >> (hour - other.first) & 1:
                        return True
        return False

    def _siblings(self, record: Record) -> list[int]:
        """The same key's subjects at other members, written or not yet."""
        found = list(self._new_by_key.get(record.key, ()))
        if record.key not in self._new_nodes:
            found += [row[0] for row in self._db.execute("SELECT id FROM subject WHERE key=?", (record.key,))]
        return found

    def _touch(self, record: Record) -> None:
        if not record.dirty:
            record.dirty = True
            self._dirty.append(record)

    # writing

    def flush(self) -> None:
        """Writes everything pending."""
        db = self._db
        if self._new_nodes:
            db.insert("node (id, kind, fingerprint, subjects)", list(self._new_nodes.values()))
        db.update("node", ("subjects=subjects+",), list(self._more_subjects.items()))
        if self._dirty:
            fresh, old = [], []
            for r in self._dirty:
                r.dirty = False
                row = (r.id, r.seen, r.hours, len(r.addresses))
                if r.id in self._new_subjects:
                    fresh.append((*row, r.account, r.holder, r.key, r.member))
                    self._identified.pop(r.id, None)
                else:
                    old.append(row)
            db.insert("subject (id, seen, hours, addresses, account, holder, key, member)", fresh)
            db.update("subject", ("seen=", "hours=", "addresses="), old)
        # Apart, because it is seldom: SQLite writes the index of whatever a statement names.
        db.update("subject", ("account=", "holder="), [(r.id, r.account, r.holder) for r in self._identified.values()])
        if self._left_holders:
            self._recall.let_go_nodes(forget_holders(db, self._left_holders))
        if self._new_edges:
            rows = []
            for e in self._new_edges:
                e.changed = False
                hours = pack(e.bits)
                r = e.record
                rows.append(
                    (e.row, e.address, r.member, e.device, r.id, int(e.manner), e.network, e.first, hours, e.pending)
                )
                e.pending = 0
            columns = "(id, address, member, device, subject, manner, network, first, hours, count)"
            db.insert(f"presence {columns}", rows)
        if self._changed:
            changed = []
            for e in self._changed:
                e.changed = False
                changed.append((e.row, e.address, e.first, pack(e.bits), e.pending))
                e.pending = 0
            db.update("presence", ("first=", "hours=", "count=count+"), changed, ("id", "address"))
        if self._counted:
            counts = []
            for e in self._counted:
                if e.pending:
                    counts.append((e.row, e.address, e.pending))
                    e.pending = 0
            db.update("presence", ("count=count+",), counts, ("id", "address"))
        self.activity.flush()
        self._clear_pending()

    def finish(self) -> None:
        """Writes everything pending at the end of a transaction, and forgets what has grown past its bounds."""
        self.flush()
        self._recall.shrink()

    # taking back

    def expire(self, before_hour: int, limit: int) -> Expired:
        """As :meth:`daxa_registry.store.interface.Store.expire`."""
        self.flush()
        expired, left = expire(self._db, before_hour, limit)
        self._let_go(left)
        return expired

    def withdraw(self, member: int, key: bytes, first_hour: int, last_hour: int) -> tuple[int, frozenset[int]]:
        """As :meth:`daxa_registry.store.interface.Store.withdraw`."""
        self.flush()
        changed, touched, left = withdraw(self._db, self._hub_size, member, key, first_hour, last_hour)
        self._let_go(left)
        return changed, touched

    def _let_go(self, left: Left) -> None:
        """Drops what is remembered of what left. Numbers are not given again, whoever had them."""
        self._recall.let_go_nodes(left.nodes)
        if left.subjects:
            self._recall.let_go(left)
            self.activity.take_back(left.hours)
            self.changed_places.update(left.addresses)
            self.changed_subjects.update(left.subjects)

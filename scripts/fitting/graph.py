"""Raw sightings to the graph that decisions see, in memory, with the bounds of the SQL store.

The same canonical forms as on the live path matter here only in what they make equal: an IPv6 address is its /64, a network
is a /24 or /48. Past ``HUB`` subjects an address hands out, of a member with many there, only those who share a device with the
subject asked for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from daxa_core.model import SECONDS_PER_HOUR, Manner
from daxa_registry.decision.graph import UNKNOWN_DEVICE, Neighbourhood, Place, Population, Presence, Subject, Tried
from daxa_registry.decision.places import PlaceFacts, facts_of
from daxa_registry.decision.rarity import common_stacks
from daxa_registry.decision.rhythm import unusual_hours
from daxa_registry.store.interface import of_each_member
from simulation import Simulation
from simulation.traffic import KIND_NAMES

HUB = 256
MANNERS = {"use": Manner.USED, "auth_fail": Manner.REJECTED, "allowlist": Manner.DECLARED}


class Names:
    """Numbers for texts, from 1."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def __call__(self, text: Any) -> int:
        return self.numbers.setdefault(text, len(self.numbers) + 1)


def address_of(text: str) -> tuple[str, str]:
    """The canonical address and its network, as texts."""
    if ":" not in text:
        return text, text.rpartition(".")[0]
    number = int(ipaddress.IPv6Address(text))
    return f"{number >> 64:x}/64", f"{number >> 80:x}/48"


Edges = dict[tuple[int, int, int, int, Manner], tuple[int, int, int]]


class Graph:
    """A registry's graph of everything that was sighted. ``edges`` map (member, key, address, device, manner) to
    (first hour, bit set of hours from it, requests)."""

    def __init__(
        self,
        edges: Edges,
        network_of: dict[int, int],
        accounts: dict[tuple[int, int], bytes],
        people: dict[tuple[int, int], int],
        infrastructure: set[int],
    ) -> None:
        self.network_of = network_of
        self.infrastructure = infrastructure
        self._build(edges, accounts, people)

    @classmethod
    def from_sightings(
        cls,
        sightings: Iterable[Mapping[str, Any]],
        declared: Iterable[Mapping[str, Any]] = (),
        members: Names | None = None,
        keys: Names | None = None,
    ) -> Graph:
        """``sightings`` in the format of ``backtest``, in any order; ``declared`` as in its ``--declared`` file; ``members`` and
        ``keys`` for who wants to know their numbers."""
        members, keys = members or Names(), keys or Names()
        addresses, networks, devices, holders = (Names() for _ in range(4))
        where: dict[str, tuple[int, int]] = {}
        edges: Edges = {}
        accounts: dict[tuple[int, int], bytes] = {}
        people: dict[tuple[int, int], int] = {}
        for line in sightings:
            text = line["ip"]
            place = where.get(text)
            if place is None:
                address, network = address_of(text)
                place = where[text] = (addresses(address), networks(network))
            member, key = members(line["exchange"]), keys(line["key"])
            if line["account"] is not None:
                accounts[(member, key)] = line["account"].encode()
            if line["holder"] is not None:
                people[(member, key)] = holders(line["holder"])
            device = devices(line["device"]) if line["device"] else 0
            hour = line["ts"] // SECONDS_PER_HOUR
            at = (member, key, place[0], device, MANNERS[line["kind"]])
            first, hours, count = edges.get(at, (hour, 0, 0))
            low = min(first, hour)
            edges[at] = (low, hours << (first - low) | 1 << (hour - low), count + line["count"])
        network_of = dict(where.values())
        infrastructure = {addresses(address_of(text)[0]) for service in declared for text in service["ips"]}
        return cls(edges, network_of, accounts, people, infrastructure)

    @classmethod
    def from_simulation(cls, simulation: Simulation) -> Graph:
        """The same from a simulation's columns, without the detour over text. Keys and members count from 1."""
        world, table = simulation.world, simulation.table
        addresses, networks = Names(), Names()
        canonical = []
        network_of = {}
        for text in world.book.texts:
            address, network = address_of(text)
            number = addresses(address)
            canonical.append(number)
            network_of[number] = networks(network)
        address_column = np.asarray(canonical, dtype=np.int64)[table.ip]
        hour = simulation.ts // SECONDS_PER_HOUR
        order = np.lexsort((hour, table.kind, table.device, address_column, table.key, table.reporter))
        columns = [c[order] for c in (table.reporter, table.key, address_column, table.device, table.kind)]
        hour, count = hour[order], table.count[order]
        fresh = np.ones(len(order), dtype=np.bool_)
        if len(order) > 1:
            fresh[1:] = False
            for column in columns:
                fresh[1:] |= column[1:] != column[:-1]
        starts = np.flatnonzero(fresh)
        heads = zip(*(column[starts].tolist() for column in columns), strict=True)
        counts = np.add.reduceat(count, starts).tolist() if len(starts) else []
        ends = [*starts[1:].tolist(), len(order)]
        hours = hour.tolist()
        manners = tuple(MANNERS[name] for name in KIND_NAMES)
        edges: Edges = {}
        for (reporter, key, address, device, kind), start, end, total in zip(
            heads, starts.tolist(), ends, counts, strict=True
        ):
            first, bits = hours[start], 0
            for h in hours[start:end]:
                bits |= 1 << (h - first)
            edges[(reporter + 1, key + 1, address, device + 1, manners[kind])] = (first, bits, total)
        accounts = {
            (k.exchange + 1, n + 1): str(k.account).encode() for n, k in enumerate(world.keys) if k.account >= 0
        }
        people = {}
        for number in np.unique(table.key[simulation.holder_known]).tolist():
            entry = world.keys[number]
            people[(entry.exchange + 1, number + 1)] = entry.person + 1
        infrastructure = {canonical[ip] for service in world.declared for ip in service.addresses}
        return cls(edges, network_of, accounts, people, infrastructure)

    def _build(
        self,
        edges: Edges,
        accounts: dict[tuple[int, int], bytes],
        people: dict[tuple[int, int], int],
    ) -> None:
        use_hours: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
        for (member, key, address, _, manner), (start, bits, _) in edges.items():
            spots = use_hours.setdefault((member, key), {})
            if manner is Manner.USED:
                first, hours = spots.get(address, (start, 0))
                low = min(first, start)
                spots[address] = (low, hours << (first - low) | bits << (start - low))
        self.subjects: dict[tuple[int, int], Subject] = {}
        for number, ((member, key), spots) in enumerate(sorted(use_hours.items()), 1):
            total = sum(hours.bit_count() for _, hours in spots.values())
            self.subjects[(member, key)] = Subject(
                number, member, key, accounts.get((member, key)), people.get((member, key)), total, len(spots)
            )
        self.of_subject: dict[int, list[Presence]] = {}
        self.of_key: dict[int, list[Presence]] = {}
        self.of_address: dict[int, list[Presence]] = {}
        self.rejected: dict[int, list[Presence]] = {}  # by device
        self.newest = 0
        came: dict[int, int] = {}
        active: dict[int, dict[int, int]] = {}
        for (member, key, address, device, manner), (first, hours, count) in edges.items():
            subject = self.subjects[(member, key)]
            presence = Presence(subject, address, self.network_of[address], device, manner, first, hours, count)
            self.newest = max(self.newest, presence.last)
            came[subject.id] = min(came.get(subject.id, first), first)
            self.of_subject.setdefault(subject.id, []).append(presence)
            self.of_key.setdefault(key, []).append(presence)
            self.of_address.setdefault(address, []).append(presence)
            if manner is Manner.REJECTED:
                self.rejected.setdefault(device, []).append(presence)
        for (member, _, _, _, manner), (first, hours, _) in edges.items():
            counted = active.setdefault(member, {})
            while manner is Manner.USED and hours:
                low_bit = hours & -hours
                hour = first + low_bit.bit_length() - 1
                counted[hour] = counted.get(hour, 0) + 1
                hours ^= low_bit
        self.population = Population(*unusual_hours(active), common_stacks(self._stacks()))
        # As a store numbers them: by the first hour, then in the order in which they were met.
        self._came = {subject: place for place, subject in enumerate(sorted(came, key=came.__getitem__))}
        self.tenants: dict[int, dict[int, int]] = {}
        for address, presences in self.of_address.items():
            self.tenants[address] = {p.subject.id: p.subject.member for p in presences}
        self._facts: dict[tuple[int, frozenset[int]], PlaceFacts] = {}
        self._refused: dict[int, tuple[Tried, ...]] = {}

    def _stacks(self) -> dict[int, tuple[int, dict[int, int]]]:
        keys: dict[int, int] = {}
        users: dict[int, dict[int, int]] = {}
        for subject in self.subjects.values():
            used = [p.device for p in self.of_subject[subject.id] if p.manner is Manner.USED]
            keys[subject.member] = keys.get(subject.member, 0) + bool(used)
            counted = users.setdefault(subject.member, {})
            for device in set(used) - {UNKNOWN_DEVICE}:
                counted[device] = counted.get(device, 0) + 1
        return {member: (count, users[member]) for member, count in keys.items()}

    def place(self, address: int, devices: frozenset[int]) -> Place:
        """One address as the subject with these devices there may see it."""
        tenants = self.tenants[address]
        presences = self.of_address[address]
        crowded = len(tenants) > HUB
        if crowded:
            by: dict[int, list[Presence]] = {}
            for presence in presences:
                by.setdefault(presence.subject.member, []).append(presence)
            presences = [p for member in sorted(by) for p in self._of_member(by[member], devices)]
        in_use = {p.subject.id for p in self.of_address[address] if p.manner is Manner.USED} if crowded else ()
        by_member: dict[int, int] = {}
        for subject in in_use:
            by_member[tenants[subject]] = by_member.get(tenants[subject], 0) + 1
        return Place(
            address,
            self.network_of[address],
            len(tenants),
            crowded,
            address in self.infrastructure,
            tuple(presences),
            tuple(sorted(by_member.items())),
        )

    def _of_member(self, presences: list[Presence], devices: frozenset[int]) -> list[Presence]:
        """One member's part of a hub, as the store shows it: the subjects that came first."""
        most = of_each_member(HUB)
        if len({p.subject.id for p in presences}) <= most:
            return presences
        near = [p for p in presences if p.device in devices]
        shown = set(sorted({p.subject.id for p in near}, key=self._came.__getitem__)[:most])
        return [p for p in near if p.subject.id in shown]

    def neighbourhood(self, subject: Subject) -> tuple[Neighbourhood, dict[int, PlaceFacts]]:
        """What a decision on the subject may look at, and the facts of its places (kept between calls)."""
        own = self.of_subject[subject.id]
        elsewhere = [p for p in self.of_key[subject.key] if p.subject.member != subject.member]
        places: dict[int, Place] = {}
        facts: dict[int, PlaceFacts] = {}
        for address in dict.fromkeys(p.address for p in (*own, *elsewhere)):
            devices = frozenset(p.device for p in (*own, *elsewhere) if p.address == address)
            at = (address, devices if len(self.tenants[address]) > HUB else frozenset())
            known = self._facts.get(at)
            if known is None:
                places[address] = self.place(address, devices)
                known = self._facts[at] = facts_of(places[address], self.population)
            facts[address] = known
        return Neighbourhood(subject, tuple(own), tuple(elsewhere), places, stacks=self._tried(own, elsewhere)), facts

    def _tried(self, own: list[Presence], elsewhere: list[Presence]) -> dict[int, tuple[Tried, ...]]:
        """As the store: what was refused with the stacks with which this key was."""
        familiar = {p.device for p in own if p.manner is Manner.USED}
        asked = [p for p in own if p.device not in familiar] + elsewhere
        return {p.device: self._refused_with(p.device) for p in asked if p.manner is Manner.REJECTED and p.device}

    def _refused_with(self, device: int) -> tuple[Tried, ...]:
        known = self._refused.get(device)
        if known is None:
            rows = []
            for p in self.rejected.get(device, ()):
                users, others = set(), set()
                for q in self.of_key[p.subject.key]:
                    if q.manner is Manner.USED:
                        (users if q.device == device else others).add(q.subject.member)
                if users or others:
                    rows.append(
                        Tried(p.subject.key, p.first, p.last, p.subject.member, frozenset(users), frozenset(others))
                    )
            known = self._refused[device] = tuple(rows)
        return known

    def judged(self) -> Iterator[Subject]:
        """The subjects that a back-test answers for: seen in use or declared."""
        for subject in self.subjects.values():
            if any(p.manner is not Manner.REJECTED for p in self.of_subject[subject.id]):
                yield subject

"""Whom a key meets again: the people of its addresses, counted by person over all of them.

An operator who rotates over a pool takes the same people along; on each address alone there is too little to see. So the
hours of each person met on two addresses or more are joined and compared with the key's own hours on all of them. A *shadow*
is a person found on three of the key's addresses or more (two, with the same client stack) that hold half of its hours in
company. Nobody is asked for being there at the same time: a pool is where one comes when another has left; that strangers on a
renumbered line do so too is why it takes three addresses and half of the hours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from daxa_registry.decision.overlap import Span, join, meet
from daxa_registry.decision.places import PARTNER_HOURS, PARTNER_RATIO, Entry, PlaceFacts, Tenancy, persons

MAX_MET = 64
SHADOW_ADDRESSES = 3
SHADOW_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Travel:
    """What one member's people are to the key over all its addresses; bit sets are over the people met."""

    member: int
    hours: float  # hours of the key in the company of each, summed
    away: float  # the same, times the share of their time that they spend where the key is never
    again: int  # met on two addresses or more
    shadows: int
    partners: int  # shadows that keep the key's hours
    weight: float  # shadows, weighted by how surely they are other people; then sums over them
    counts: tuple[float, float, float, float, float, float]
    log_hours: float
    log_hours2: float


@dataclass(frozen=True, slots=True)
class Travels:
    """All members' people; ``known`` are the bits of known holders."""

    by_member: tuple[Travel, ...]
    known: int

    def persons(self, bits: list[int]) -> int:
        """How many people at least."""
        return persons(self.known, bits)


NOBODY = Travels((), 0)
NO_COUNTS = (0.0,) * 6


class _Met:
    """A person met, by what was seen of it on one address; ``again`` adds another."""

    __slots__ = ("addresses", "alike", "anywhere", "mine", "span")

    def __init__(self, entry: Entry, alike: bool, hours: int) -> None:
        self.addresses = 1
        self.alike = int(alike)
        self.mine = hours
        self.anywhere = entry.anywhere
        self.span = entry.span

    def again(self, entry: Entry, alike: bool, hours: int) -> None:
        self.addresses += 1
        self.alike += alike
        self.mine += hours
        self.anywhere = max(self.anywhere, entry.anywhere)
        self.span = join(self.span, entry.span.first, entry.span.hours)


class _Member:
    """One member's people, and the key's own hours on the addresses where that member has people."""

    __slots__ = ("met", "mine")

    def __init__(self) -> None:
        self.met: dict[int | tuple[int, bytes], _Met] = {}
        self.mine: list[Tenancy] = []


def travels_of(
    stops: Sequence[tuple[PlaceFacts, Tenancy]], holder: int | None, home: int, unusual: Span | None
) -> Travels:
    """Who was met where. ``stops`` are the key's addresses in company, ``unusual`` the hours not to compare.

    What is kept for one member depends on no other.
    """
    members: dict[int, _Member] = {}
    for place, tenancy in stops:
        person, devices, hours = tenancy.person, tenancy.devices, tenancy.hours
        for entry in _roster(place, tenancy):
            if entry.person == person:
                continue
            group = members.get(entry.member)
            if group is None:
                group = members[entry.member] = _Member()
            if not group.mine or group.mine[-1] is not tenancy:
                group.mine.append(tenancy)
            alike = not entry.devices.isdisjoint(devices)
            found = group.met.get(entry.identity)
            if found is None:
                group.met[entry.identity] = _Met(entry, alike, hours)
            else:
                found.again(entry, alike, hours)
    if not members:
        return NOBODY
    numbers: dict[int | tuple[int, bytes], int] = {}
    known = 0
    travels = []
    for member in sorted(members):
        group = members[member]
        stays = away = 0.0
        again: list[tuple[int, bool, _Met]] = []
        for identity, one in group.met.items():
            stays += one.mine
            away += one.mine * max(1.0 - one.span.hours.bit_count() / max(one.anywhere, 1), 0.0)
            if one.addresses >= 2:
                number = numbers.setdefault(identity, len(numbers))
                named = isinstance(identity, int)
                if named:
                    known |= 1 << number
                again.append((1 << number, member == home or (named and holder is not None), one))
        if again:
            travels.append(_travel(member, stays, away, again, group.mine, unusual))
        else:
            travels.append(Travel(member, stays, away, 0, 0, 0, 0.0, NO_COUNTS, 0.0, 0.0))
    return Travels(tuple(travels), known)


def _roster(place: PlaceFacts, tenancy: Tenancy) -> Sequence[Entry]:
    """Who may have come along: all of a member with few people there, of one with many those with one of the key's devices."""
    if not place.by_device:
        return place.roster
    found = {id(entry): entry for device in sorted(tenancy.devices) for entry in place.by_device.get(device, ())}
    return [*place.roster, *found.values()]


def _travel(
    member: int,
    hours: float,
    away: float,
    group: list[tuple[int, bool, _Met]],
    tenancies: list[Tenancy],
    unusual: Span | None,
) -> Travel:
    """One member's people of whom some were met again: ``group``, each with its bit and whether it surely is somebody else."""
    again = shadows = partners = 0
    total = sum(tenancy.hours for tenancy in tenancies)
    found: list[tuple[int, bool, _Met]] = []
    for bit, sure, one in group:
        again |= bit
        often = one.addresses >= SHADOW_ADDRESSES or one.alike >= 2
        if often and one.mine >= SHADOW_SHARE * total:
            shadows |= bit
            found.append((bit, sure, one))
    found.sort(key=lambda item: (-item[2].mine, -item[2].addresses))
    unsure = sum(not sure for _, sure, _ in found)
    weight = log_hours = log_hours2 = 0.0
    sums = [0.0] * 6
    mine: Span | None = None
    for tenancy in tenancies if found else ():
        mine = join(mine, tenancy.first, tenancy.bits)
    for bit, sure, one in found[:MAX_MET]:
        w = 1.0 if sure else (unsure - 1) / unsure
        counts = meet(mine, one.span, unusual) if mine is not None else None
        if counts is None:
            continue
        c0, q0, c24, q24 = counts[:4]
        if c0 >= PARTNER_HOURS and math.log((c0 + 1) / (q0 + 1)) - math.log((c24 + 1) / (q24 + 1)) >= PARTNER_RATIO:
            partners |= bit
        weight += w
        sums = [a + w * b for a, b in zip(sums, counts, strict=True)]
        log = math.log(one.span.hours.bit_count())
        log_hours += w * log
        log_hours2 += w * log * log
    counts6 = (sums[0], sums[1], sums[2], sums[3], sums[4], sums[5])
    return Travel(member, hours, away, again, shadows, partners, weight, counts6, log_hours, log_hours2)

"""Whom a key meets again: the people of its addresses, counted by person over all of them.

An operator who rotates over a pool takes the same people along; on each address alone there is too little to see. So the
hours of each person met on two addresses or more are joined and compared with the key's own hours on all of them. A *shadow*
is a person found on three of the key's addresses or more (two, with the same client stack) that hold half of its hours in
company. Nobody is asked for being there at the same time: a pool is where one comes when another has left; that strangers on a
renumbered line do so too is why it takes three addresses and half of the hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Subject
from daxa_registry.decision.overlap import Counts, Span, join, meet
from daxa_registry.decision.places import (
    PARTNER_HOURS,
    PARTNER_RATIO,
    Entry,
    Identity,
    PlaceFacts,
    Tenancy,
    away_of,
    identity_of,
    persons,
)

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
    counts: Counts
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
NO_COUNTS: Counts = (0.0,) * 8


Seen = tuple[Entry, Tenancy]
"""A person on one of the key's addresses, and the key there."""


class _Met:
    """A person met on several addresses, by what was seen of it on each."""

    __slots__ = ("addresses", "alike", "anywhere", "mine", "span")

    def __init__(self, seen: list[Seen]) -> None:
        self.addresses = len(seen)
        self.alike = self.mine = self.anywhere = 0
        span: Span | None = None
        for entry, tenancy in seen:
            self.alike += not entry.devices.isdisjoint(tenancy.devices)
            self.mine += tenancy.hours
            self.anywhere = max(self.anywhere, entry.anywhere)
            span = join(span, entry.span.first, entry.span.hours)
        assert span is not None
        self.span = span


class _Member:
    """One member's people: hours of the key in the company of those who were met once, and the others. ``mine`` is the key on the
    addresses where that member has people."""

    __slots__ = ("again", "away", "mine", "stays")

    def __init__(self) -> None:
        self.stays = self.away = 0.0
        self.again: dict[Identity, list[Seen]] = {}
        self.mine: list[Tenancy] = []


def travels_of(stops: Sequence[tuple[PlaceFacts, Tenancy]], subject: Subject, unusual: Span | None) -> Travels:
    """Who was met where. ``stops`` are the key's addresses in company, ``unusual`` the hours not to compare.

    What is kept for one member depends on no other.
    """
    own = identity_of(subject)
    twice = met_twice(place.who for place, _ in stops)
    members: dict[int, _Member] = {}
    for place, tenancy in stops:
        hours = tenancy.hours
        for member, entries in _roster(place, tenancy):
            group = members.get(member)
            if group is None:
                group = _Member()
            for entry in entries:
                identity = entry.identity
                if identity == own:
                    continue
                if identity in twice:
                    group.again.setdefault(identity, []).append((entry, tenancy))
                else:
                    group.stays += hours
                    group.away += hours * entry.away
            if len(entries) > 1 or entries[0].identity != own:
                group.mine.append(tenancy)
                members[member] = group
    if not members:
        return NOBODY
    numbers: dict[Identity, int] = {}
    known = 0
    travels = []
    for member in sorted(members):
        group = members[member]
        stays, away = group.stays, group.away
        again: list[tuple[int, bool, _Met]] = []
        for identity, seen in group.again.items():
            one = _Met(seen)
            stays += one.mine
            away += one.mine * away_of(one.span, one.anywhere)
            if one.addresses < 2:  # seen there with other client stacks than the key's
                continue
            number = numbers.setdefault(identity, len(numbers))
            named = isinstance(identity, int)
            if named:
                known |= 1 << number
            sure = member == subject.member or (named and subject.holder is not None)
            again.append((1 << number, sure, one))
        if again:
            travels.append(_travel(member, stays, away, again, group.mine, unusual))
        else:
            travels.append(Travel(member, stays, away, 0, 0, 0, 0.0, NO_COUNTS, 0.0, 0.0))
    return Travels(tuple(travels), known)


def met_twice(places: Iterable[frozenset[Identity]]) -> set[Identity]:
    """Who is in two of those places or more."""
    met: set[Identity] = set()
    twice: set[Identity] = set()
    for who in places:
        twice |= met & who
        met |= who
    return twice


def _roster(place: PlaceFacts, tenancy: Tenancy) -> Iterable[tuple[int, Sequence[Entry]]]:
    """Who may have come along: all of a member with few people there, of one with many those with one of the key's devices."""
    if not place.by_device:
        return place.roster
    found: dict[int, dict[int, Entry]] = {}
    for device in sorted(tenancy.devices):
        for entry in place.by_device.get(device, ()):
            found.setdefault(entry.member, {})[entry.person] = entry
    return [*place.roster, *((member, list(entries.values())) for member, entries in found.items())]


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
    sums = [0.0] * 8
    mine: Span | None = None
    for tenancy in tenancies if found else ():
        mine = join(mine, tenancy.first, tenancy.bits)
    for bit, sure, one in found[:MAX_MET]:
        w = 1.0 if sure else (unsure - 1) / unsure
        met = meet(mine, one.span, unusual) if mine is not None else None
        if met is None:
            continue
        c0, q0, c24, q24 = met[:4]
        if c0 >= PARTNER_HOURS and math.log((c0 + 1) / (q0 + 1)) - math.log((c24 + 1) / (q24 + 1)) >= PARTNER_RATIO:
            partners |= bit
        weight += w
        sums = [a + w * b for a, b in zip(sums, met, strict=True)]
        log = math.log(one.span.hours.bit_count())
        log_hours += w * log
        log_hours2 += w * log * log
    c0, q0, c24, q24, n0, n24, c168, q168 = sums
    counts = (c0, q0, c24, q24, n0, n24, c168, q168)
    return Travel(member, hours, away, again, shadows, partners, weight, counts, log_hours, log_hours2)

"""One operator, many people: what the company that a key keeps on its addresses says.

An operator's address is one of several. So the features are not averages over all addresses: each address with other people
gets an *attention*, larger where the key spends its hours and where the company looks driven by one hand, and sums over
co-tenants are pooled with it. Pooling before dividing keeps rings that rotate over many addresses whole, each of which
alone has too little data. Whom a key meets on several addresses, and where its company spends the rest of its time, is
counted by person over all addresses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Population, Presence, Subject
from daxa_registry.decision.places import PlaceFacts, Share, Tenancy, persons, spread

SMOOTH = 3.0
MAX_PLACES = 24
NOTHING = (1.0, 1.0, *(0.0,) * 11, 1.0, *(0.0,) * 4)


@dataclass(frozen=True, slots=True)
class Travel:
    """What one member's people are to the key over all its addresses; bit sets are over the people met."""

    member: int
    weight: float
    away: float
    met: int
    again: int  # met near in time on two addresses or more


@dataclass(frozen=True, slots=True)
class Company:
    """The addresses that matter, ready to be counted without some members."""

    subject: Subject
    hours: int
    alone: int
    stops: tuple[tuple[PlaceFacts, Tenancy, float], ...]
    travels: tuple[Travel, ...]
    known: int
    members: frozenset[int]
    last_hour: int
    hub_subjects: int
    infrastructure: int

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of one operator, in the order of ``FEATURES``."""
        if not self.stops:
            return NOTHING
        return _pooled(self, gone)


def company_of(
    used: Sequence[Presence], subject: Subject, facts: Mapping[int, PlaceFacts], population: Population
) -> Company:
    """Where the key was used in company."""
    addresses = dict.fromkeys(presence.address for presence in used)
    stops: list[tuple[PlaceFacts, Tenancy, float]] = []
    members: set[int] = set()
    hours = alone = last = infrastructure = 0
    for address in addresses:
        place = facts[address]
        tenancy = place.tenants.get(subject.id)
        if tenancy is None:
            continue
        hours += tenancy.hours
        if place.infrastructure:
            infrastructure = max(infrastructure, place.subjects)
            continue
        if not tenancy.shares:
            if not place.crowded:
                alone += tenancy.hours
            continue
        last = max(last, tenancy.last)
        stops.append((place, tenancy, _rarity(tenancy.devices, population)))
        members.update(share.member for share in tenancy.shares)
        members.update(member for member, _ in place.everyone)
    if not stops:
        return Company(subject, hours, alone, (), (), 0, frozenset(), 0, 0, infrastructure)
    stops.sort(key=lambda stop: (-stop[1].hours, stop[0].address))
    del stops[MAX_PLACES:]
    hub = max((place.subjects for place, _, _ in stops if place.crowded), default=0)
    travels, known = _travels(stops)
    return Company(subject, hours, alone, tuple(stops), travels, known, frozenset(members), last, hub, infrastructure)


def _rarity(devices: frozenset[int], population: Population) -> float:
    best = 0.0
    for device in devices:
        common = population.devices.get(device) if device else None
        if common is not None:
            best = max(best, math.log((population.subjects + 1.0) / (common.subjects + 1.0)))
    return best


def _travels(stops: list[tuple[PlaceFacts, Tenancy, float]]) -> tuple[tuple[Travel, ...], int]:
    """Who was met where, by person: [hours of the key there, hours of theirs there, theirs anywhere, near, met]."""
    people: dict[tuple[int, int | tuple[int, bytes]], list[int]] = {}
    for place, tenancy, _ in stops:
        shares = {share.member: share for share in tenancy.shares}
        for entry in place.roster:
            share = shares.get(entry.member)
            if share is None or not share.others & entry.person:
                continue
            found = people.get((entry.member, entry.identity))
            if found is None:
                found = people[(entry.member, entry.identity)] = [0, 0, 0, 0]
            found[0] += tenancy.hours
            found[1] += entry.here
            found[2] = max(found[2], entry.anywhere)
            found[3] += share.near & entry.person != 0
    numbers: dict[int | tuple[int, bytes], int] = {}
    known = 0
    sums: dict[int, list[float]] = {}
    bits: dict[int, list[int]] = {}
    for (member, identity), (mine, here, anywhere, near) in people.items():
        number = numbers.setdefault(identity, len(numbers))
        if isinstance(identity, int):
            known |= 1 << number
        total = sums.setdefault(member, [0.0, 0.0])
        sets = bits.setdefault(member, [0, 0])
        total[0] += mine
        total[1] += mine * max(1.0 - here / max(anywhere, 1), 0.0)
        sets[0] |= 1 << number
        if near >= 2:
            sets[1] |= 1 << number
    return tuple(Travel(m, sums[m][0], sums[m][1], *bits[m]) for m in sorted(sums)), known


def _pooled(company: Company, gone: frozenset[int]) -> tuple[float, ...]:
    rows = []
    total = 0.0
    alone = company.alone
    home = company.subject.member
    for place, tenancy, rare in company.stops:
        shares = [share for share in tenancy.shares if share.member not in gone] if gone else tenancy.shares
        if not shares:
            alone += tenancy.hours
            continue
        row = _row(place, tenancy, shares, gone, home, rare)
        if row[0] < 2:
            alone += tenancy.hours
            continue
        attention = tenancy.hours * math.exp(min(max(row[2], -1.0), 3.0)) / max(row[1], 4.0) ** 0.7
        total += attention
        rows.append((attention, row))
    if not rows:
        return NOTHING
    if len(rows) == 1:
        sums = rows[0][1]
    else:
        sums = [0.0] * len(rows[0][1])
        for attention, row in rows:
            portion = attention / total
            sums = [a + portion * b for a, b in zip(sums, row, strict=True)]
    (
        people,
        crowd,
        _,
        c0,
        q0,
        c24,
        q24,
        n0,
        n24,
        weight,
        same,
        partners,
        lh,
        lh2,
        away,
        declared,
        before,
        rare,
        stack_people,
        hours,
        days,
    ) = sums
    lockstep = math.log((c0 + SMOOTH) / (q0 + SMOOTH)) - math.log((c24 + SMOOTH) / (q24 + SMOOTH))
    focal = sum(row[-2] for attention, row in rows if attention >= 0.25 * total / len(rows))
    mine = max(company.hours, 1)
    travel_weight = travel_away = 0.0
    again = []
    for travel in company.travels:
        if travel.member not in gone:
            travel_weight += travel.weight
            travel_away += travel.away
            again.append(travel.again)
    elsewhere = travel_away / travel_weight if travel_weight else away / weight if weight else 0.0
    return (
        people,
        max(crowd, people),
        lockstep,
        math.log((n0 + SMOOTH) / (n24 + SMOOTH)),
        c0 / (c0 + q0 + SMOOTH),
        partners,
        partners / max(people - 1.0, 1.0),
        spread(weight, lh, lh2),
        same / weight if weight else 0.0,
        stack_people,
        rare,
        elsewhere,
        declared,
        alone / mine,
        focal / mine,
        float(persons(company.known, again)) if again else 0.0,
        hours / max(days, 1.0),
        before / weight if weight else 0.0,
    )


def _row(
    place: PlaceFacts, tenancy: Tenancy, shares: Sequence[Share], gone: frozenset[int], home: int, rare: float
) -> list[float]:
    others, alike, partners = [], [], []
    own_others = own_same = own_partners = tenancy.person
    weight = c0 = q0 = c24 = q24 = n0 = n24 = same = lh = lh2 = away = before = 0.0
    for s in shares:
        if s.member == home:
            own_others |= s.others
            own_same |= s.same
            own_partners |= s.partners
        else:
            others.append(s.others)
            alike.append(s.same)
            partners.append(s.partners)
        weight += s.weight
        c0 += s.c0
        q0 += s.q0
        c24 += s.c24
        q24 += s.q24
        n0 += s.n0
        n24 += s.n24
        same += s.same_weight
        lh += s.log_hours
        lh2 += s.log_hours2
        away += s.away
        before += s.before
    others.append(own_others)
    alike.append(own_same)
    partners.append(own_partners)
    known = place.known
    people = persons(known, others)
    crowd = persons(known, [bits for member, bits in place.everyone if member not in gone])
    if place.crowded:
        crowd = max(crowd, place.subjects - sum(count for member, count in place.by_member if member in gone))
    declarers = [bits & ~tenancy.person for member, bits in place.declarers if member not in gone]
    declared = persons(known, declarers) if declarers else 0
    per = max(weight, 1.0)
    c0, q0, c24, q24 = c0 / per, q0 / per, c24 / per, q24 / per
    lockstep = math.log((c0 + SMOOTH) / (q0 + SMOOTH)) - math.log((c24 + SMOOTH) / (q24 + SMOOTH))
    return [
        people,
        crowd,
        lockstep,
        c0,
        q0,
        c24,
        q24,
        n0 / per,
        n24 / per,
        weight,
        same,
        persons(known, partners) - 1,
        lh,
        lh2,
        away,
        declared,
        before,
        rare if same else 0.0,
        persons(known, alike) - 1,
        tenancy.hours,
        (tenancy.last - tenancy.first + 1) / 24.0,
    ]

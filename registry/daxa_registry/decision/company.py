"""One operator, many people: what the company that a key keeps on its addresses says.

An operator's address is one of several. So the features are not averages over all addresses: each address with other people
gets an *attention*, larger where the key spends its hours and where the company looks driven by one hand, and sums over
co-tenants are pooled with it. Pooling before dividing keeps rings that rotate over many addresses whole, each of which
alone has too little data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Population, Presence, Subject
from daxa_registry.decision.places import PlaceFacts, Share, Tenancy, persons, spread

SMOOTH = 3.0
MAX_PLACES = 24
NOTHING = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Company:
    """The addresses that matter, ready to be counted without some members."""

    subject: Subject
    hours: int
    alone: int
    stops: tuple[tuple[PlaceFacts, Tenancy, float], ...]
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
            if len(place.everyone) <= 1 and not place.crowded:
                alone += tenancy.hours
            continue
        last = max(last, tenancy.last)
        stops.append((place, tenancy, _rarity(tenancy.devices, population)))
        members.update(share.member for share in tenancy.shares)
        members.update(member for member, _ in place.everyone)
    stops.sort(key=lambda stop: (-stop[1].hours, stop[0].address))
    hub = max((place.subjects for place, _, _ in stops if place.crowded), default=0)
    return Company(subject, hours, alone, tuple(stops[:MAX_PLACES]), frozenset(members), last, hub, infrastructure)


def _rarity(devices: frozenset[int], population: Population) -> float:
    best = 0.0
    for device in devices:
        common = population.devices.get(device) if device else None
        if common is not None:
            best = max(best, math.log((population.subjects + 1.0) / (common.subjects + 1.0)))
    return best


def _pooled(company: Company, gone: frozenset[int]) -> tuple[float, ...]:
    rows = []
    total = 0.0
    alone = company.alone
    home = company.subject.member
    for place, tenancy, rare in company.stops:
        shares = [share for share in tenancy.shares if share.member not in gone]
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
    n = len(rows[0][1])
    sums = [0.0] * n
    for attention, row in rows:
        portion = attention / total
        for i in range(n):
            sums[i] += portion * row[i]
    (people, crowd, _, c0, q0, c24, q24, weight, same, partners, lh, lh2, here, anywhere, declared, before, rare, hours, days) = sums
    lockstep = math.log((c0 + SMOOTH) / (q0 + SMOOTH)) - math.log((c24 + SMOOTH) / (q24 + SMOOTH))
    focal = sum(row[17] for attention, row in rows if attention >= 0.25 * total / len(rows))
    return (
        people,
        max(crowd, people),
        lockstep,
        partners,
        spread(weight, lh, lh2),
        same / weight if weight else 0.0,
        rare,
        max(1.0 - here / anywhere, 0.0) if anywhere else 0.0,
        declared,
        alone / max(company.hours, 1),
        focal / max(company.hours, 1),
        0.0,
        hours / max(days, 1.0),
        before / weight if weight else 0.0,
    )


def _row(
    place: PlaceFacts, tenancy: Tenancy, shares: list[Share], gone: frozenset[int], home: int, rare: float
) -> tuple[float, ...]:
    others, alike, partners = [], [], []
    own_others = own_same = own_partners = tenancy.person
    weight = c0 = q0 = c24 = q24 = same = lh = lh2 = here = anywhere = before = 0.0
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
        same += s.same_weight
        lh += s.log_hours
        lh2 += s.log_hours2
        here += s.here
        anywhere += s.anywhere
        before += s.before
    others.append(own_others)
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
    return (
        people,
        crowd,
        lockstep,
        c0,
        q0,
        c24,
        q24,
        weight,
        same,
        persons(known, partners) - 1,
        lh,
        lh2,
        here,
        anywhere,
        declared,
        before,
        rare if same else 0.0,
        tenancy.hours,
        (tenancy.last - tenancy.first + 1) / 24.0,
    )

"""One operator, many people: what the company that a key keeps on its addresses says.

An operator's address is one of several. So the features are not averages over all addresses: each address with other people
gets an *attention*, larger where the key spends its hours and where the company looks driven by one hand, and sums over
co-tenants are pooled with it. Pooling before dividing keeps rings that rotate over many addresses whole, each of which
alone has too little data. Whom a key meets on several addresses, and where its company spends the rest of its time, is
counted by person over all addresses.

One operator drives all keys alike, and that shows in all pairs of people on his address, of which there are many more than of
those with one key in them. So as far as a key's company runs its own client stack, how they keep each other's hours counts
with how they keep the key's (``concord``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Population, Presence, Subject
from daxa_registry.decision.places import (
    HUB_PERSONS,
    NO_SUMS,
    PlaceFacts,
    Sums,
    Tenancy,
    identity_of,
    persons,
    spread,
    unusual_span,
)
from daxa_registry.decision.travel import NOBODY, Travels, travels_of

SMOOTH = 3.0
MAX_PLACES = 12
PAIRS_WEIGHT = 0.5
"""Of how hours are kept, what all pairs say weighs so much where all run the key's client stack."""
NOTHING = (1.0, 1.0, *(0.0,) * 11, 1.0, *(0.0,) * 5)


class Stop:
    """An address in company, and what was counted on it without some members."""

    __slots__ = ("heard", "place", "rows", "tenancy")

    def __init__(self, place: PlaceFacts, tenancy: Tenancy) -> None:
        self.place, self.tenancy = place, tenancy
        heard = [share.member for share in tenancy.shares]
        heard += [member for member, _ in place.everyone]
        heard += [member for member, _ in place.declarers]
        if place.crowded:
            heard += [member for member, _ in place.by_member]
        self.heard = frozenset(heard)
        self.rows: dict[frozenset[int], list[float]] = {}

    def row(self, gone: frozenset[int], home: int) -> list[float]:
        gone &= self.heard
        row = self.rows.get(gone)
        if row is None:
            row = self.rows[gone] = _row(self.place, self.tenancy, gone, home)
        return row


@dataclass(frozen=True, slots=True)
class Company:
    """The addresses that matter, ready to be counted without some members."""

    home: int  # the subject's own member
    hours: int
    alone: int
    stops: Sequence[Stop]
    travels: Travels
    members: frozenset[int]  # whose people are there, are counted in its crowd, or declared it
    heard: frozenset[int]  # all on whom the features depend
    last_hour: int
    hub_subjects: int
    infrastructure: int
    whole: tuple[float, ...] = NOTHING  # the features with nobody left out

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of one operator, in the order of ``FEATURES``."""
        return _pooled(self.home, self.hours, self.alone, self.stops, self.travels, gone) if gone else self.whole


def company_of(
    used: Sequence[Presence], subject: Subject, facts: Mapping[int, PlaceFacts], population: Population
) -> Company:
    """Where the key was used in company."""
    there: dict[int, int] = {}
    last_there: dict[int, int] = {}
    for presence in used:
        address = presence.address
        there[address] = there.get(address, 0) + presence.hours.bit_count()
        last_there[address] = max(last_there.get(address, 0), presence.last)
    addresses = list(there)
    if len(addresses) > MAX_PLACES:
        # A store's numbers come last: two stores of the same sightings should look at the same addresses. Only what its own
        # member said is asked, or another could choose where to look.
        requests = Counter[int]()
        for presence in used:
            requests[presence.address] += presence.count
        own = {at: dict(facts[at].by_member).get(subject.member, 0) for at in addresses}
        addresses.sort(key=lambda at: (-there[at], -last_there[at], -requests[at], own[at], at))
        del addresses[MAX_PLACES:]
    stops: list[Stop] = []
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
        if not tenancy.shares and len(place.who) < 2:
            if not place.crowded:
                alone += tenancy.hours
            continue
        last = max(last, tenancy.last)
        stops.append(Stop(place, tenancy))
        members.update(share.member for share in tenancy.shares)
        members.update(member for member, _ in place.everyone)
        members.update(member for member, bits in place.declarers if bits & ~tenancy.person)
        if place.crowded:
            members.update(member for member, _ in place.by_member)
    home = subject.member
    hub = max((stop.place.subjects for stop in stops if _is_hub(stop.place)), default=0)
    if _alone(stops, subject):
        return Company(home, hours, alone, (), NOBODY, frozenset(), frozenset(), last, hub, infrastructure)
    met = [(stop.place, stop.tenancy) for stop in stops]
    heard = frozenset().union(*[stop.heard for stop in stops])
    travels = travels_of(met, subject.holder, home, unusual_span(population))
    whole = _pooled(home, hours, alone, stops, travels, frozenset())
    if whole is NOTHING and not any(_is_hub(stop.place) for stop in stops):
        # Nobody was there at the same time or moved along, so nobody is either when some members are left out. On a hub more
        # may count without the member that made it one.
        return Company(home, hours, alone, (), travels, frozenset(), frozenset(), last, hub, infrastructure)
    return Company(home, hours, alone, stops, travels, frozenset(members), heard, last, hub, infrastructure, whole)


def _alone(stops: Sequence[Stop], subject: Subject) -> bool:
    """Nobody was ever there at the same time, and nobody else is met on two of the addresses."""
    met: set[int | tuple[int, bytes]] = set()
    own = identity_of(subject)
    for stop in stops:
        if stop.tenancy.shares:
            return False
        twice = met & stop.place.who
        if len(twice) > (own in twice):
            return False
        met |= stop.place.who
    return True


def _is_hub(place: PlaceFacts) -> bool:
    if place.crowded or len(place.who) <= HUB_PERSONS:  # no more persons than identities
        return place.crowded
    return persons(place.known, [bits for _, bits in place.everyone]) > HUB_PERSONS


def _pooled(
    home: int, own_hours: int, alone: int, stops: Sequence[Stop], travels: Travels, gone: frozenset[int]
) -> tuple[float, ...]:
    rows = []
    total = most = 0.0
    focus: Stop | None = None
    group = _group(travels, gone)
    for stop in stops:
        row = stop.row(gone, home)
        people, crowd = row[0], row[1]
        if people < 2 and (crowd < 2 or crowd > HUB_PERSONS or not group.shadows):
            if crowd <= HUB_PERSONS:
                alone += stop.tenancy.hours
            continue
        attention = stop.tenancy.hours * math.exp(min(max(row[2], -1.0), 3.0)) / max(crowd, 4.0) ** 0.7
        total += attention
        rows.append((attention, row))
        if attention > most and people >= 2 and crowd <= HUB_PERSONS:
            most, focus = attention, stop
    if not rows:
        return NOTHING
    if len(rows) == 1:
        sums = rows[0][1]
    else:
        sums = [0.0] * len(rows[0][1])
        for attention, row in rows:
            portion = attention / total
            sums = [a + portion * b for a, b in zip(sums, row, strict=True)]
    people, crowd, _, partners, alike, declared, hours, days = sums[:8]
    weight, c0, q0, c24, q24, n0, n24, same, lh, lh2, away, before = sums[8:]
    focal = sum(row[6] for attention, row in rows if attention >= 0.25 * total / len(rows))
    mine = max(own_hours, 1)
    lockstep = _lockstep(c0, q0, c24, q24)
    nearness = math.log((n0 + SMOOTH) / (n24 + SMOOTH))
    concord = c0 / (c0 + q0 + SMOOTH)
    uneven = spread(weight, lh, lh2)
    surprise = _surprise(weight, c0, c24)
    if group.shadows >= 2:
        people = max(people, group.shadows + 1.0)
        lockstep, nearness = max(lockstep, group.lockstep), max(nearness, group.nearness)
        concord, partners = max(concord, group.concord), max(partners, group.partners)
        uneven = min(uneven, group.uneven)
        surprise = max(surprise, group.surprise)
    alike_share = same / weight if weight else 0.0
    if focus is not None and alike_share:
        together, apart = focus.place.pairs.without(gone & focus.heard)
        concord += PAIRS_WEIGHT * alike_share * (together / (together + apart + SMOOTH) - concord)
    elsewhere = group.elsewhere if group.elsewhere is not None else away / weight if weight else 0.0
    return (
        people,
        max(crowd, people),
        lockstep,
        nearness,
        concord,
        partners,
        min(partners / max(people - 1.0, 1.0), 1.0),
        surprise,
        uneven,
        alike_share,
        alike,
        elsewhere,
        declared,
        alone / mine,
        focal / mine,
        group.again,
        group.shadows,
        hours / max(days, 1.0),
        before / weight if weight else 0.0,
    )


def _surprise(weight: float, c0: float, c24: float) -> float:
    """How many standard errors the hours kept together lie above what the daily rhythm gives: ``c0`` and ``c24`` are per
    co-tenant, of whom there are ``weight``. A small excess over many hours and people is no accident."""
    together, expected = weight * c0, weight * c24
    return (together - expected) / math.sqrt(expected + 1.0)


def _lockstep(c0: float, q0: float, c24: float, q24: float) -> float:
    return math.log((c0 + SMOOTH) / (q0 + SMOOTH)) - math.log((c24 + SMOOTH) / (q24 + SMOOTH))


@dataclass(frozen=True, slots=True)
class _Group:
    again: float
    shadows: float
    partners: float
    lockstep: float
    nearness: float
    concord: float
    uneven: float
    surprise: float
    elsewhere: float | None


def _group(travels: Travels, gone: frozenset[int]) -> _Group:
    hours = away = weight = lh = lh2 = 0.0
    again: list[int] = []
    shadows: list[int] = []
    partners: list[int] = []
    sums = [0.0] * 6
    for one in travels.by_member:
        if one.member in gone:
            continue
        hours += one.hours
        away += one.away
        if one.again:
            again.append(one.again)
        if one.shadows:
            shadows.append(one.shadows)
            partners.append(one.partners)
            weight += one.weight
            sums = [a + b for a, b in zip(sums, one.counts, strict=True)]
            lh += one.log_hours
            lh2 += one.log_hours2
    elsewhere = away / hours if hours else None
    met = float(travels.persons(again)) if again else 0.0
    if not shadows:
        return _Group(met, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, elsewhere)
    c0, q0, c24, q24, n0, n24 = (value / max(weight, 1.0) for value in sums)
    return _Group(
        met,
        float(travels.persons(shadows)),
        float(travels.persons(partners)),
        _lockstep(c0, q0, c24, q24),
        math.log((n0 + SMOOTH) / (n24 + SMOOTH)),
        c0 / (c0 + q0 + SMOOTH),
        spread(weight, lh, lh2),
        _surprise(weight, c0, c24),
        elsewhere,
    )


def _row(place: PlaceFacts, tenancy: Tenancy, gone: frozenset[int], home: int) -> list[float]:
    """One address: people, crowd, lockstep, partners, people with the stack, declarers, hours, days; then the sums,
    those of pairs per party. In a hub only kin counts."""
    known = place.known
    everyone = place.everyone
    crowd = persons(
        known, [bits for member, bits in everyone if member not in gone] if gone else [b for _, b in everyone]
    )
    if place.crowded:
        crowd = max(crowd, place.subjects - sum(count for member, count in place.by_member if member in gone))
    hub = crowd > HUB_PERSONS
    shares = [share for share in tenancy.shares if share.member not in gone] if gone else tenancy.shares
    if not shares and (hub or crowd < 2):
        return [1, crowd]
    others, alike, partners = [], [], []
    own_others = own_same = own_partners = tenancy.person
    sums: Sums | list[float] = NO_SUMS
    for share in shares:
        company = share.same | share.partners if hub else share.others
        if share.member == home:
            own_others |= company
            own_same |= share.same
            own_partners |= share.partners
        else:
            others.append(company)
            alike.append(share.same)
            partners.append(share.partners)
        more = share.kin if hub else share.company
        sums = more if sums is NO_SUMS else [a + b for a, b in zip(sums, more, strict=True)]
    others.append(own_others)
    people = persons(known, others)
    if people < 2 and (hub or crowd < 2):
        return [people, crowd]
    alike.append(own_same)
    partners.append(own_partners)
    declarers = (
        [bits & ~tenancy.person for member, bits in place.declarers if member not in gone] if place.declarers else ()
    )
    weight, c0, q0, c24, q24, n0, n24, same, lh, lh2, away, before = sums
    per = max(weight, 1.0)
    c0, q0, c24, q24 = c0 / per, q0 / per, c24 / per, q24 / per
    return [
        people,
        crowd,
        _lockstep(c0, q0, c24, q24) if weight else 0.0,
        persons(known, partners) - 1,
        persons(known, alike) - 1,
        persons(known, declarers) if declarers else 0,
        tenancy.hours,
        (tenancy.last - tenancy.first + 1) / 24.0,
        *(weight, c0, q0, c24, q24, n0 / per, n24 / per, same, lh, lh2, away, before),
    ]

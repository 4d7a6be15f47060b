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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import NamedTuple

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
from daxa_registry.decision.travel import NOBODY, Travels, met_twice, travels_of

SMOOTH = 3.0
MAX_PLACES = 12
FOCAL = 0.25
"""An address is focal with that share of the average attention."""
PAIRS_WEIGHT = 0.5
"""Of how hours are kept, what all pairs say weighs so much where all run the key's client stack."""
NOBODY_GONE: frozenset[int] = frozenset()
NOTHING = (1.0, 1.0, *(0.0,) * 11, 1.0, *(0.0,) * 8)


class Stop:
    """An address in company, and what was counted on it without some members."""

    __slots__ = ("heard", "members", "place", "rows", "tenancy")

    def __init__(self, place: PlaceFacts, tenancy: Tenancy) -> None:
        self.place, self.tenancy = place, tenancy
        self.members = self.heard = place.members
        if place.declarers:
            self.heard |= {member for member, _ in place.declarers}
            self.members |= {member for member, bits in place.declarers if bits & ~tenancy.person}
        self.rows: dict[frozenset[int], list[float]] = {}

    def row(self, gone: frozenset[int], home: int) -> list[float]:
        gone &= self.heard
        row = self.rows.get(gone)
        if row is None:
            row = self.rows[gone] = _row(self.place, self.tenancy, gone, home)
        return row


@dataclass(slots=True)
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

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of one operator, in the order of ``FEATURES``."""
        if not self.stops:
            return NOTHING
        return _pooled(self.home, self.hours, self.alone, self.stops, self.travels, gone)


def company_of(
    used: Sequence[Presence], subject: Subject, facts: Mapping[int, PlaceFacts], population: Population
) -> Company:
    """Where the key was used in company."""
    addresses = list(dict.fromkeys([presence.address for presence in used]))
    if len(addresses) > MAX_PLACES:
        addresses = _most_used(used, subject, facts)
    stops: list[Stop] = []
    hours = alone = infrastructure = unseen = 0
    for address in addresses:
        place = facts[address]
        tenancy = place.tenants.get(subject.id)
        if tenancy is None:
            if place.crowded and not place.infrastructure:  # one of those of whom too many are there to look at each
                unseen = max(unseen, place.subjects)
            continue
        hours += tenancy.hours
        if place.infrastructure:
            infrastructure = max(infrastructure, place.subjects)
            continue
        if not tenancy.shares and len(place.who) < 2:
            if not place.crowded:
                alone += tenancy.hours
            continue
        stops.append(Stop(place, tenancy))
    home = subject.member
    hub = max((stop.place.subjects for stop in stops if _is_hub(stop.place)), default=0)
    hub = max(hub, unseen)
    if _alone(stops, subject):
        return Company(home, hours, alone, (), NOBODY, frozenset(), frozenset(), 0, hub, infrastructure)
    met = any(stop.row(NOBODY_GONE, home)[0] >= 2 for stop in stops)
    travels = NOBODY
    if met or len(stops) > 1:
        seen = [(stop.place, stop.tenancy) for stop in stops]
        travels = travels_of(seen, subject, unusual_span(population))
    members = frozenset().union(*[stop.members for stop in stops])
    company = Company(
        home, hours, alone, stops, travels, members, frozenset().union(*[stop.heard for stop in stops]),
        _last_hour(home, stops, travels, members - {home}), hub, infrastructure,
    )  # fmt: skip
    if met or any(_is_hub(stop.place) for stop in stops) or company.without(NOBODY_GONE) is not NOTHING:
        return company
    # Nobody was there at the same time or moved along, so nobody is either when some members are left out. On a hub more may
    # count without the member that made it one.
    return Company(home, hours, alone, (), NOBODY, frozenset(), frozenset(), 0, hub, infrastructure)


def _most_used(used: Sequence[Presence], subject: Subject, facts: Mapping[int, PlaceFacts]) -> list[int]:
    """The addresses that are looked at of a key with many.

    A store's numbers come last: two stores of the same sightings should look at the same addresses. Only what its own member
    said is asked, or another could choose where to look.
    """
    hours, requests, last = Counter[int](), Counter[int](), Counter[int]()
    for presence in used:
        at = presence.address
        hours[at] += presence.hours.bit_count()
        requests[at] += presence.count
        last[at] = max(last[at], presence.last)
    own = {at: dict(facts[at].by_member).get(subject.member, 0) for at in hours}
    return sorted(hours, key=lambda at: (-hours[at], -last[at], -requests[at], own[at], at))[:MAX_PLACES]


def _alone(stops: Sequence[Stop], subject: Subject) -> bool:
    """Nobody was ever there at the same time, and nobody else is met on two of the addresses."""
    if any(stop.tenancy.shares for stop in stops):
        return False
    return met_twice(stop.place.who for stop in stops) <= {identity_of(subject)}


def _is_hub(place: PlaceFacts) -> bool:
    return place.crowded or place.crowd(NOBODY_GONE) > HUB_PERSONS


def _pooled(
    home: int, own_hours: int, alone: int, stops: Sequence[Stop], travels: Travels, gone: frozenset[int]
) -> tuple[float, ...]:
    group = _group(travels, sum([stop.tenancy.hours for stop in stops]), gone)
    kept, more_alone = _kept(home, stops, gone, group.shadows > 0)
    if not kept:
        return NOTHING
    alone += more_alone
    rows = [(attention, row) for attention, row, _ in kept]
    total = sum([attention for attention, _ in rows])
    most = 0.0
    focus: Stop | None = None
    for attention, row, stop in kept:
        if attention > most and row[0] >= 2 and row[1] <= HUB_PERSONS:
            most, focus = attention, stop
    if len(rows) == 1:
        sums = rows[0][1]
    else:
        sums = [0.0] * len(rows[0][1])
        for attention, row in rows:
            portion = attention / total
            sums = [a + portion * b for a, b in zip(sums, row, strict=True)]
    people, crowd, _, partners, alike, declared, hours, days, rarity, log_hours = sums[:10]
    weight, c0, q0, c24, q24, n0, n24, same, lh, lh2, away, before, c168, q168 = sums[10:]
    focal = sum([row[6] for attention, row in rows if attention >= FOCAL * total / len(rows)])
    mine = max(own_hours, 1)
    lockstep = _lockstep(c0, q0, c24, q24)
    timetable = _timetable(c24, q24, c168, q168)
    nearness = math.log((n0 + SMOOTH) / (n24 + SMOOTH))
    concord = c0 / (c0 + q0 + SMOOTH)
    uneven = spread(log_hours, weight, lh, lh2)
    surprise = _surprise(weight, c0, c24)
    if group.shadows >= 2:
        people = max(people, group.shadows + 1.0)
        if group.lockstep > lockstep:
            lockstep, timetable = group.lockstep, group.timetable
        nearness = max(nearness, group.nearness)
        concord, partners = max(concord, group.concord), max(partners, group.partners)
        uneven = min(uneven, group.uneven)
        surprise = max(surprise, group.surprise)
    alike_share = same / weight if weight else 0.0
    one_hand = 0.0
    if focus is not None:
        pairs = together, apart, *_ = focus.place.pairs.without(gone & focus.heard)
        one_hand = _lockstep(*pairs)
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
        timetable,
        rarity,
        one_hand,
    )


def _kept(
    home: int, stops: Sequence[Stop], gone: frozenset[int], shadows: bool
) -> tuple[list[tuple[float, list[float], Stop]], int]:
    """The addresses where somebody else counts, each with its attention; and the hours on those where the holder is alone."""
    kept = []
    alone = 0
    for stop in stops:
        row = stop.row(gone, home)
        people, crowd = row[0], row[1]
        if people < 2 and (crowd < 2 or crowd > HUB_PERSONS or not shadows):
            if crowd <= HUB_PERSONS:
                alone += stop.tenancy.hours
            continue
        attention = stop.tenancy.hours * math.exp(min(max(row[2], -1.0), 3.0)) / max(crowd, 4.0) ** 0.7
        kept.append((attention, row, stop))
    return kept, alone


def _last_hour(home: int, stops: Sequence[Stop], travels: Travels, foreign: Iterable[int]) -> int:
    """When the key was last where its company counts; a housemate at home is not what a verdict on a server rests on.

    Without any one of the ``foreign`` members as well, if anything is left then: what one alone says goes on has not gone on.
    """
    if len(stops) == 1:  # whoever is left out, it is there or nowhere
        return stops[0].tenancy.last
    last = []
    for gone in (NOBODY_GONE, *(frozenset((member,)) for member in foreign)):
        kept, _ = _kept(home, stops, gone, any(one.shadows for one in travels.by_member if one.member not in gone))
        least = FOCAL * sum([attention for attention, _, _ in kept]) / max(len(kept), 1)
        last += [max([stop.tenancy.last for attention, _, stop in kept if attention >= least])] if kept else []
    return min(last, default=0)


def _surprise(weight: float, c0: float, c24: float) -> float:
    """How many standard errors the hours kept together lie above what the daily rhythm gives: ``c0`` and ``c24`` are per
    co-tenant, of whom there are ``weight``. A small excess over many hours and people is no accident."""
    together, expected = weight * c0, weight * c24
    return (together - expected) / math.sqrt(expected + 1.0)


def _lockstep(c0: float, q0: float, c24: float, q24: float) -> float:
    return math.log((c0 + SMOOTH) / (q0 + SMOOTH)) - math.log((c24 + SMOOTH) / (q24 + SMOOTH))


def _timetable(c24: float, q24: float, c168: float, q168: float) -> float:
    """How much more two keys keep each other's hours a week apart than a day apart; 0 as far as nothing is a week old."""
    day = (c24 + SMOOTH) / (q24 + SMOOTH)
    share = 2 * SMOOTH * day / (1 + day)
    return math.log((c168 + share) / (q168 + 2 * SMOOTH - share)) - math.log(day)


class _Group(NamedTuple):
    """What those who move along say, without some members. A tuple, because there is one for each view."""

    again: float
    shadows: float
    partners: float
    lockstep: float
    timetable: float
    nearness: float
    concord: float
    uneven: float
    surprise: float
    elsewhere: float | None


def _group(travels: Travels, own_hours: int, gone: frozenset[int]) -> _Group:
    hours = away = weight = lh = lh2 = 0.0
    again: list[int] = []
    shadows: list[int] = []
    partners: list[int] = []
    sums = [0.0] * 8
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
            sums = list(map(add, sums, one.counts))
            lh += one.log_hours
            lh2 += one.log_hours2
    elsewhere = away / hours if hours else None
    met = float(travels.persons(again)) if again else 0.0
    if not shadows:
        return _Group(met, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, elsewhere)
    c0, q0, c24, q24, n0, n24, c168, q168 = (value / max(weight, 1.0) for value in sums)
    return _Group(
        met,
        float(travels.persons(shadows)),
        float(travels.persons(partners)),
        _lockstep(c0, q0, c24, q24),
        _timetable(c24, q24, c168, q168),
        math.log((n0 + SMOOTH) / (n24 + SMOOTH)),
        c0 / (c0 + q0 + SMOOTH),
        spread(math.log(max(own_hours, 1)), weight, lh, lh2),
        _surprise(weight, c0, c24),
        elsewhere,
    )


def _row(place: PlaceFacts, tenancy: Tenancy, gone: frozenset[int], home: int) -> list[float]:
    """One address: people, crowd, lockstep, partners, people with the stack, declarers, hours, days, rarity, ln(hours);
    then the sums, those of pairs per party. In a hub only kin counts."""
    known = place.known
    crowd = place.crowd(gone)
    hub = crowd > HUB_PERSONS
    shares = [share for share in tenancy.shares if share.member not in gone] if gone else tenancy.shares
    if not shares and (hub or crowd < 2):
        return [1, crowd]
    others: list[int] = []
    alike: list[int] = []
    partners: list[int] = []
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
            if share.same:
                alike.append(share.same)
            if share.partners:
                partners.append(share.partners)
        more = share.kin if hub else share.company
        sums = more if sums is NO_SUMS else list(map(add, sums, more))
    others.append(own_others)
    people = persons(known, others)
    if people < 2 and (hub or crowd < 2):
        return [people, crowd]
    alike.append(own_same)
    partners.append(own_partners)
    declarers = (
        [bits & ~tenancy.person for member, bits in place.declarers if member not in gone] if place.declarers else ()
    )
    weight, c0, q0, c24, q24, n0, n24, same, lh, lh2, away, before, c168, q168 = sums
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
        tenancy.rarity,
        math.log(tenancy.hours),
        *(weight, c0, q0, c24, q24, n0 / per, n24 / per, same, lh, lh2, away, before, c168 / per, q168 / per),
    ]

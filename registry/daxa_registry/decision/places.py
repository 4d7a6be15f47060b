"""Facts of one address: who meets whom there, counted so that any member's part can be taken out again exactly.

``facts_of`` does all the pairwise work of an address once. What it keeps for each subject are sums *per member* over the
co-tenants that this member reported; evidence without a member is then evidence without its sums, and equals what the graph
would have given had that member reported nothing there. Nothing kept for one pair depends on a third party.

People: a known holder is one person everywhere, an account without holder is one person at its own exchange. ``persons``
is max(known holders, the largest exchange's holders and accounts): a person has one account at an exchange, so an account
without holder adds a person only inside its own exchange. Two parties are surely different people if they are two parties
of one exchange, or two known holders; at another exchange one of u parties without holder may be the subject itself, so
they weigh (u - 1)/u.

On a crowded address (more subjects than the store's hub size) a place holds, of a member with many subjects there, only those
that share a device with the subject asked for; then the facts are for that subject's devices, and must be cached with them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daxa_core.model import Manner
from daxa_registry.decision.graph import UNKNOWN_DEVICE, Place, Population, Presence, Subject
from daxa_registry.decision.overlap import Span, join, pairs_of

HOME_SHARE = 0.2
PARTNER_HOURS = 4
PARTNER_RATIO = 0.7
NEWCOMER_HOURS = 24
HUB_PERSONS = 64
SMALL_PLACE = 24
CROWD_SPREAD = 1.0
"""How far the logarithms of the hours of a crowd's people lie apart: what ``spread`` supposes of those it knows little of."""


# Sums over parties, each weighted by how surely it is another person: the weights; c0, q0, c24, q24, n0, n24 of ``overlap``;
# the weights of those with one of the subject's devices; ln(hours there) and its square; the share of their hours that they
# spend elsewhere; the weights of those who were there a day or more before the subject; c168, q168.
Sums = tuple[float, float, float, float, float, float, float, float, float, float, float, float, float, float]
NO_SUMS: Sums = (0.0,) * 14


Identity = int | tuple[int, bytes]
"""Who a person is, everywhere: see :func:`identity_of`."""
_USED, _REJECTED = Manner.USED, Manner.REJECTED
_OF_KEY = itemgetter(0, 1, 2)


class Share(NamedTuple):
    """What one member's parties are to one subject on one address. Bit sets are over the address's persons.

    ``company`` are sums over all who were there at the same time, ``kin`` over those of them who have one of the subject's
    devices or keep its hours: all that counts in a hub.
    """

    member: int
    others: int  # persons there at the same time
    same: int  # those of them with one of the subject's devices
    partners: int  # those of them who keep the subject's hours beyond the daily rhythm
    company: Sums
    kin: Sums


class Pairings:
    """All pairs of parties on an address: whether one hand shows in all of them. One key's own pairs are few.

    ``sums``, by the members of the two, has c0, q0, c24 and q24 of ``overlap``, weighted as ``Sums`` are; ``parties``, by its
    member and those whose people it meets, how many parties meet anybody.
    """

    __slots__ = ("_known", "parties", "sums")

    def __init__(
        self, sums: Mapping[tuple[int, int], Sequence[float]], parties: Mapping[tuple[int, frozenset[int]], int]
    ) -> None:
        self.sums, self.parties = sums, parties
        self._known: dict[frozenset[int], Sequence[float]] = {}

    def without(self, gone: frozenset[int]) -> Sequence[float]:
        """c0, q0, c24 and q24 of the average party with all whom it meets, as if those members had reported nothing."""
        known = self._known.get(gone)
        if known is None:
            left = [sums for (one, other), sums in self.sums.items() if one not in gone and other not in gone]
            met = sum(count for (one, among), count in self.parties.items() if one not in gone and among - gone)
            known = [sum(column) / met for column in zip(*left, strict=True)] if met and left else NO_SUMS[:4]
            self._known[gone] = known
        return known


NO_PAIRS = Pairings({}, {})


class Tenancy(NamedTuple):
    """One subject on one address: its own hours and what each member's parties are to it there."""

    member: int
    person: int  # bit of the subject's own person
    first: int
    last: int
    hours: int  # hours of use
    bits: int  # the hours themselves, bit 0 is ``first``
    devices: frozenset[int]
    rarity: float  # of the client stack that it uses here, the commonest if several: ``Population.rarity``
    shares: tuple[Share, ...]


class Failed(NamedTuple):
    """A key that was refused on an address, when first and last (hours), and which other members say that it lives there: without
    them it is a stranger."""

    key: int
    first: int
    last: int
    vouchers: frozenset[int]


@dataclass(frozen=True, slots=True)
class Refused:
    """Keys that failed on this address with one device though the member that refused them knows nothing of them there."""

    by_member: tuple[tuple[int, tuple[Failed, ...]], ...]

    @property
    def of_strangers(self) -> bool:
        """Whether nobody says of one of them that it lives there."""
        return any(not row.vouchers for _, rows in self.by_member for row in rows)


class Entry(NamedTuple):
    """A party on an address: the person's bit here, who it is everywhere, its hours here, how many anywhere, and the share of
    them that is elsewhere."""

    member: int
    person: int
    identity: Identity
    devices: frozenset[int]
    span: Span
    anywhere: int
    away: float


Roster = tuple[tuple[int, tuple[Entry, ...]], ...]
"""By member."""


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """All that decisions need of one address. ``everyone`` and ``declarers`` are (member, bit set of persons)."""

    address: int
    network: int
    subjects: int
    by_member: tuple[tuple[int, int], ...]
    crowded: bool
    infrastructure: bool
    known: int  # bit set: which persons are known holders
    members: frozenset[int]  # who reported anybody here, at any time
    everyone: tuple[tuple[int, int], ...]
    declarers: tuple[tuple[int, int], ...]
    tenants: Mapping[int, Tenancy]
    roster: Roster  # the parties of each member with no more than SMALL_PLACE, if there are two parties here
    by_device: Mapping[int, tuple[Entry, ...]]  # the parties of members with more, by device
    who: frozenset[Identity]  # the parties' identities
    refused: Mapping[int, Refused]  # by device
    pairs: Pairings = NO_PAIRS
    _crowds: dict[frozenset[int], int] = field(default_factory=dict, compare=False, repr=False)

    def crowd(self, gone: frozenset[int]) -> int:
        """How many people were ever here at least, without what those members reported; whoever is here asks for the same."""
        known = self._crowds.get(gone)
        if known is None:
            known = persons(self.known, [bits for member, bits in self.everyone if member not in gone])
            if self.crowded:
                known = max(known, sum(count for member, count in self.by_member if member not in gone))
            self._crowds[gone] = known
        return known


class _Tenant:
    """One subject that was used here, while the facts are gathered."""

    __slots__ = ("devices", "party", "span", "subject")

    def __init__(self, subject: Subject, party: _Party, span: Span, device: int) -> None:
        self.subject, self.party, self.span, self.devices = subject, party, span, {device}


class _Party:
    """One person at one member, while the facts are gathered."""

    __slots__ = ("anywhere", "devices", "holder", "identity", "member", "person", "span", "tenants")

    def __init__(self, member: int, holder: int | None, identity: Identity) -> None:
        self.member, self.holder, self.identity = member, holder, identity
        self.person = 0
        self.tenants: list[_Tenant] = []

    def gather(self) -> None:
        """What its subjects, one or more, come to together."""
        first, *others = self.tenants
        self.span, self.devices, self.anywhere = first.span, first.devices, first.subject.hours
        for tenant in others:
            self.span = join(self.span, tenant.span.first, tenant.span.hours)
            self.devices = self.devices | tenant.devices
            self.anywhere += tenant.subject.hours


def facts_of(place: Place, population: Population) -> PlaceFacts:
    """The facts of one address; of ``population`` they use the unusual hours and how common client stacks are."""
    if len(place.presences) == 1 and place.presences[0].manner is _USED:
        return _facts_of_one(place, place.presences[0], population)
    parties: dict[tuple[int, Identity], _Party] = {}
    declared: list[_Party] = []
    refusals: list[Presence] = []
    lives: dict[int, set[int]] = {}
    gathered: dict[int, _Tenant] = {}
    for presence in place.presences:
        subject, _, _, device, manner, first, hours, _ = presence
        if manner is _REJECTED:
            refusals.append(presence)
            continue
        tenant = gathered.get(subject.id)
        if tenant is not None and manner is _USED:
            tenant.span = join(tenant.span, first, hours)
            tenant.devices.add(device)
            continue
        identity = identity_of(subject)
        party = parties.get((subject.member, identity))
        if party is None:
            party = parties[subject.member, identity] = _Party(subject.member, subject.holder, identity)
        if manner is _USED:
            tenant = gathered[subject.id] = _Tenant(subject, party, Span(first, hours), device)
            party.tenants.append(tenant)
        else:
            declared.append(party)
            lives.setdefault(subject.key, set()).add(subject.member)
    known = _number_persons(parties.values())
    present = [party for party in parties.values() if party.tenants]
    for party in present:
        party.gather()
    shares, pairs = _shares(present, unusual_span(population))
    roster, by_device = _roster(present)
    tenants: dict[int, Tenancy] = {}
    for tenant in gathered.values():
        subject, party, span = tenant.subject, tenant.party, tenant.span
        mine = span.hours.bit_count()
        if mine >= HOME_SHARE * max(subject.hours, mine):
            lives.setdefault(subject.key, set()).add(subject.member)
        tenants[subject.id] = Tenancy(
            party.member, 1 << party.person, span.first, span.last, mine, span.hours, frozenset(tenant.devices),
            population.rarity(tenant.devices), shares.get(id(party), ()),
        )  # fmt: skip
    return PlaceFacts(
        place.address,
        place.network,
        place.subjects,
        place.by_member,
        place.crowded,
        place.infrastructure,
        known,
        frozenset([party.member for party in present] + [member for member, _ in place.by_member if place.crowded]),
        _members_bits(present),
        _members_bits(declared),
        tenants,
        roster,
        by_device,
        frozenset(party.identity for party in present),
        _refused(refusals, lives),
        pairs,
    )


def _facts_of_one(place: Place, presence: Presence, population: Population) -> PlaceFacts:
    """As :func:`facts_of`, for most addresses: one key, with one client stack."""
    subject = presence.subject
    tenancy = Tenancy(
        subject.member,
        1,
        presence.first,
        presence.last,
        presence.hours.bit_count(),
        presence.hours,
        frozenset((presence.device,)),
        population.rarity((presence.device,)),
        (),
    )
    return PlaceFacts(
        place.address,
        place.network,
        place.subjects,
        place.by_member,
        place.crowded,
        place.infrastructure,
        0 if subject.holder is None else 1,
        frozenset((subject.member,)),
        ((subject.member, 1),),
        (),
        {subject.id: tenancy},
        (),
        {},
        frozenset((identity_of(subject),)),
        {},
    )


def identity_of(subject: Subject) -> Identity:
    """Who the subject's person is, everywhere: the known holder, or else the account at its own exchange."""
    if subject.holder is not None:
        return subject.holder
    return subject.member, subject.account or b"key %d" % subject.key


def away_of(here: Span, anywhere: int) -> float:
    """The share of a party's hours that it does not spend here."""
    return max(1.0 - here.hours.bit_count() / max(anywhere, 1), 0.0)


def unusual_span(population: Population) -> Span | None:
    """The hours that no comparison counts."""
    return Span(population.unusual_first, population.unusual) if population.unusual else None


def _roster(present: list[_Party]) -> tuple[Roster, dict[int, tuple[Entry, ...]]]:
    """Who may be met again, whole for members with few people here, by device for those with many: each member's people are
    known by their own number, so that no other member's crowd hides them."""
    if len(present) < 2:
        return (), {}
    of_member: dict[int, list[Entry]] = {}
    for p in present:
        devices = frozenset(p.devices - {UNKNOWN_DEVICE})
        entry = Entry(p.member, 1 << p.person, p.identity, devices, p.span, p.anywhere, away_of(p.span, p.anywhere))
        of_member.setdefault(p.member, []).append(entry)
    roster: list[tuple[int, tuple[Entry, ...]]] = []
    by_device: dict[int, list[Entry]] = {}
    for member, entries in of_member.items():
        if len(entries) <= SMALL_PLACE:
            roster.append((member, tuple(entries)))
            continue
        for entry in entries:
            for device in entry.devices:
                by_device.setdefault(device, []).append(entry)
    return tuple(roster), {device: tuple(entries) for device, entries in by_device.items()}


def _number_persons(parties: Iterable[_Party]) -> int:
    """Numbers the persons of an address; the same known holder at two members is one. Returns the known ones as bits."""
    holders: dict[int, int] = {}
    known = 0
    for count, party in enumerate(parties):
        if party.holder is None:
            party.person = count
        else:
            party.person = holders.setdefault(party.holder, count)
            known |= 1 << party.person
    return known


def _members_bits(parties: list[_Party]) -> tuple[tuple[int, int], ...]:
    bits: dict[int, int] = {}
    for party in parties:
        bits[party.member] = bits.get(party.member, 0) | 1 << party.person
    return tuple(sorted(bits.items()))


def _shares(parties: list[_Party], unusual: Span | None) -> tuple[dict[int, tuple[Share, ...]], Pairings]:
    if len(parties) < 2:
        return {}, NO_PAIRS
    spans = [party.span for party in parties]
    pairs = pairs_of(spans, unusual)
    if pairs is None:
        return {}, NO_PAIRS
    holder = np.array([-1 if p.holder is None else p.holder for p in parties])
    member = np.array([p.member for p in parties])
    unknown = (holder[:, None] < 0) | (holder[None, :] < 0)
    apart = pairs.overlap & (unknown | (holder[:, None] != holder[None, :]))
    unsure = apart & unknown & (member[:, None] != member[None, :])
    n = len(parties)
    same = _same_device([party.devices for party in parties]) & apart
    ratio = np.log((pairs.c0 + 1) / (pairs.q0 + 1)) - np.log((pairs.c24 + 1) / (pairs.q24 + 1))
    partner = apart & (pairs.c0 >= PARTNER_HOURS) & (ratio >= PARTNER_RATIO)
    hours = np.array([span.hours.bit_count() for span in spans], dtype=np.float64)
    away = np.array([1 - h / max(p.anywhere, h) for p, h in zip(parties, hours, strict=True)], dtype=np.float64)
    log_hours = np.log(hours)
    first = np.array([span.first for span in spans])
    before = (first[None, :] <= first[:, None] - NEWCOMER_HOURS).astype(np.float64)
    one = np.ones((n, n))
    layers = np.stack(
        [
            *(one, pairs.c0, pairs.q0, pairs.c24, pairs.q24, pairs.n0, pairs.n24, same.astype(np.float64)),
            *(one * log_hours, one * log_hours**2, one * away, before, pairs.c168, pairs.q168),
        ]
    )
    person = [party.person for party in parties]
    collected: list[list[Share]] = [[] for _ in range(n)]
    between: dict[tuple[int, int], Sequence[float]] = {}
    for m in sorted(set(member.tolist())):
        columns = np.flatnonzero(member == m)
        there = apart[:, columns]
        rows = np.flatnonzero(there.any(axis=1))
        if not len(rows):
            continue
        part = np.ix_(rows, columns)
        doubt = unsure[part]
        open_count = doubt.sum(axis=1, keepdims=True)
        weight = apart[part] * np.where(doubt, (open_count - 1) / np.maximum(open_count, 1), 1.0)
        block = layers[:, rows[:, None], columns[None, :]]
        sums_of = (block * weight).sum(axis=2)
        for one in set(member[rows].tolist()):
            between[one, m] = sums_of[1:5, member[rows] == one].sum(axis=1).tolist()
        company = sums_of.T.tolist()
        related = same[part] | partner[part]
        kin = (block * (weight * related)).sum(axis=2).T.tolist() if related.any() else None
        who = [person[j] for j in columns]
        bits = [_bit_sets(table[part], who) for table in (apart, same, partner)]
        for at, i in enumerate(rows.tolist()):
            sums = tuple(kin[at]) if kin is not None else NO_SUMS
            collected[i].append(Share(m, bits[0][at], bits[1][at], bits[2][at], tuple(company[at]), sums))
    met = Counter(
        (party.member, frozenset(share.member for share in shares))
        for party, shares in zip(parties, collected, strict=True)
        if shares
    )
    return {id(party): tuple(collected[i]) for i, party in enumerate(parties)}, Pairings(between, met)


def _bit_sets(table: npt.NDArray[np.bool_], persons: list[int]) -> list[int]:
    """Each row of flags as a bit set over persons."""
    if not table.any():
        return [0] * len(table)
    width = max(persons) + 1
    wide = np.zeros((len(table), width), dtype=np.bool_)
    wide[:, persons] = table
    packed = np.packbits(wide, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _same_device(devices: list[set[int]]) -> npt.NDArray[np.bool_]:
    n = len(devices)
    users: dict[int, list[int]] = {}
    for i, known in enumerate(devices):
        for device in known:
            if device:
                users.setdefault(device, []).append(i)
    same = np.zeros((n, n), dtype=np.bool_)
    for who in users.values():
        if len(who) > 1:
            same[np.ix_(who, who)] = True
    return same


def _refused(refusals: list[Presence], lives: Mapping[int, set[int]]) -> dict[int, Refused]:
    """By device. ``lives`` says by key which members have a fifth of its hours here, or have it declared."""
    by_device: dict[int, dict[int, list[Failed]]] = {}
    for presence in refusals:
        subject = presence.subject
        vouchers = lives.get(subject.key, ())
        if subject.member not in vouchers:
            rows = by_device.setdefault(presence.device, {}).setdefault(subject.member, [])
            rows.append(Failed(subject.key, presence.first, presence.last, frozenset(vouchers)))
    return {
        device: Refused(tuple((member, tuple(sorted(rows, key=_OF_KEY))) for member, rows in sorted(members.items())))
        for device, members in by_device.items()
    }


def persons(known: int, bits: tuple[int, ...] | list[int]) -> int:
    """How many people at least: ``bits`` has one set of persons per member."""
    if len(bits) == 1:
        return bits[0].bit_count()
    if not known:
        return max([members.bit_count() for members in bits], default=0)
    union = most = 0
    for members in bits:
        union |= members
        count = members.bit_count()
        if count > most:
            most = count
    return max((union & known).bit_count(), most)


def spread(own: float, count: float, total: float, squares: float) -> float:
    """The standard deviation of ``own`` and ``count`` other numbers with that sum and sum of squares; of few it is drawn to
    that of a crowd, for two that are alike by accident are no pattern."""
    among = count + 1.0
    mean = (total + own) / among
    apart = max(squares + own * own - among * mean * mean, 0.0)
    return math.sqrt((apart + CROWD_SPREAD**2) / (among + 1.0))

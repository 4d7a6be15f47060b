"""Facts of one address: who meets whom there, counted so that any member's part can be taken out again exactly.

``facts_of`` does all the pairwise work of an address once. What it keeps for each subject are sums *per member* over the
co-tenants that this member reported; evidence without a member is then evidence without its sums, and equals what the graph
would have given had that member reported nothing there. Nothing kept for one pair depends on a third party.

People: a known holder is one person everywhere, an account without holder is one person at its own exchange. ``persons``
is max(known holders, the largest exchange's holders and accounts): a person has one account at an exchange, so an account
without holder adds a person only inside its own exchange. Two parties are surely different people if they are two parties
of one exchange, or two known holders; at another exchange one of u parties without holder may be the subject itself, so
they weigh (u - 1)/u.

On a crowded address (more subjects than the store's hub size) a place holds only those that share a device with the subject
asked for; then the facts are for that subject's devices, and must be cached with them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa_core.model import Manner
from daxa_registry.decision.graph import Place, Population, Presence
from daxa_registry.decision.overlap import Pairs, Span, join, pairs_of

REFUSED_TOGETHER_HOURS = 48
PARTNER_HOURS = 4
PARTNER_RATIO = 0.7
NEWCOMER_HOURS = 24
NEAR_HOURS = 2
ROSTER = 40


@dataclass(frozen=True, slots=True)
class Share:
    """What one member's parties are to one subject on one address. Bit sets are over the address's persons."""

    member: int
    others: int  # persons there at the same time
    same: int  # those of them with one of the subject's devices
    partners: int  # those of them who keep the subject's hours beyond the daily rhythm
    near: int  # those of them who were there within NEAR hours of the subject, twice at least
    weight: float  # parties, weighted by how surely they are other people
    c0: float
    q0: float
    c24: float
    q24: float
    n0: float
    n24: float
    same_weight: float
    log_hours: float  # sum of ln(hours there), and of its square
    log_hours2: float
    away: float  # sum of the shares of their hours that the co-tenants spend elsewhere
    before: float  # parties that were there a day or more before the subject


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One subject on one address: its own hours and what each member's parties are to it there."""

    member: int
    person: int  # bit of the subject's own person
    first: int
    last: int
    hours: int  # hours of use
    bits: int  # the hours themselves, bit 0 is ``first``
    devices: frozenset[int]
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A key that failed on this address with one device: which other strange keys failed so within two days."""

    first: int
    last: int
    by_member: tuple[tuple[int, int], ...]  # member, bit set over the address's refused keys, this one's included


@dataclass(frozen=True, slots=True)
class Entry:
    """A party on an address: the person's bit here, who it is everywhere, and its hours here and anywhere."""

    member: int
    person: int
    identity: int | tuple[int, bytes]
    here: int
    anywhere: int


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
    everyone: tuple[tuple[int, int], ...]
    declarers: tuple[tuple[int, int], ...]
    tenants: Mapping[int, Tenancy]
    roster: tuple[Entry, ...]  # empty where there are more than ROSTER parties
    refused: Mapping[tuple[int, int], Refused]  # by (key, device)


class _Party:
    """One person at one member, while the facts are gathered."""

    __slots__ = ("anywhere", "devices", "holder", "identity", "member", "person", "span", "subjects")

    def __init__(self, member: int, holder: int | None, identity: int | tuple[int, bytes]) -> None:
        self.member, self.holder, self.identity = member, holder, identity
        self.person = 0
        self.span: Span | None = None
        self.devices: set[int] = set()
        self.subjects: dict[int, int] = {}
        self.anywhere = 0


def facts_of(place: Place, population: Population) -> PlaceFacts:
    """The facts of one address; of ``population`` they use the unusual hours."""
    parties: dict[tuple[int, object], _Party] = {}
    declared: list[_Party] = []
    refusals: list[Presence] = []
    used_keys: set[int] = set()
    spans: dict[int, Span] = {}
    devices: dict[int, set[int]] = {}
    of_subject: dict[int, _Party] = {}
    for presence in place.presences:
        subject = presence.subject
        if presence.manner is Manner.REJECTED:
            refusals.append(presence)
            continue
        identity: int | tuple[int, bytes] = (
            subject.holder
            if subject.holder is not None
            else (subject.member, subject.account or b"key %d" % subject.key)
        )
        party = parties.get((subject.member, identity))
        if party is None:
            party = parties[(subject.member, identity)] = _Party(subject.member, subject.holder, identity)
        if presence.manner is Manner.DECLARED:
            declared.append(party)
            continue
        used_keys.add(subject.key)
        party.span = join(party.span, presence.first, presence.hours)
        party.devices.add(presence.device)
        party.subjects[subject.id] = subject.hours
        spans[subject.id] = join(spans.get(subject.id), presence.first, presence.hours)
        devices.setdefault(subject.id, set()).add(presence.device)
        of_subject[subject.id] = party
    known = _number_persons(list(parties.values()))
    present = [party for party in parties.values() if party.span is not None]
    shares = _shares(present, Span(population.unusual_first, population.unusual) if population.unusual else None)
    roster: tuple[Entry, ...] = ()
    if 1 < len(present) <= ROSTER:
        roster = tuple(
            Entry(p.member, 1 << p.person, p.identity, p.span.hours.bit_count(), p.anywhere)
            for p in present
            if p.span is not None
        )
    tenants: dict[int, Tenancy] = {}
    for subject_id, party in of_subject.items():
        span = spans[subject_id]
        tenants[subject_id] = Tenancy(
            party.member,
            1 << party.person,
            span.first,
            span.last,
            span.hours.bit_count(),
            span.hours,
            frozenset(devices[subject_id]),
            shares.get(id(party), ()),
        )
    return PlaceFacts(
        place.address,
        place.network,
        place.subjects,
        place.by_member,
        place.crowded,
        place.infrastructure,
        known,
        _members_bits(present),
        _members_bits(declared),
        tenants,
        roster,
        _refused(refusals, used_keys),
    )


def _number_persons(parties: list[_Party]) -> int:
    """Numbers the persons of an address; the same known holder at two members is one. Returns the known ones as bits."""
    holders: dict[int, int] = {}
    known = 0
    for count, party in enumerate(parties):
        if party.holder is None:
            party.person = count
        else:
            party.person = holders.setdefault(party.holder, count)
            known |= 1 << party.person
        party.anywhere = sum(party.subjects.values())
    return known


def _members_bits(parties: list[_Party]) -> tuple[tuple[int, int], ...]:
    bits: dict[int, int] = {}
    for party in parties:
        bits[party.member] = bits.get(party.member, 0) | 1 << party.person
    return tuple(sorted(bits.items()))


def _shares(parties: list[_Party], unusual: Span | None) -> dict[int, tuple[Share, ...]]:
    if len(parties) < 2:
        return {}
    spans = [party.span for party in parties if party.span is not None]
    pairs = pairs_of(spans, unusual)
    holder = np.array([-1 if p.holder is None else p.holder for p in parties])
    member = np.array([p.member for p in parties])
    unknown = (holder[:, None] < 0) | (holder[None, :] < 0)
    apart = pairs.overlap & (unknown | (holder[:, None] != holder[None, :]))
    unsure = apart & unknown & (member[:, None] != member[None, :])
    n = len(parties)
    same = _same_device([party.devices for party in parties]) & apart
    ratio = np.log((pairs.c0 + 1) / (pairs.q0 + 1)) - np.log((pairs.c24 + 1) / (pairs.q24 + 1))
    partner = apart & (pairs.c0 >= PARTNER_HOURS) & (ratio >= PARTNER_RATIO)
    near = apart & (pairs.n0 >= NEAR_HOURS)
    hours = np.array([span.hours.bit_count() for span in spans], dtype=np.float64)
    away = np.array([1 - h / max(p.anywhere, h) for p, h in zip(parties, hours, strict=True)], dtype=np.float64)
    log_hours = np.log(hours)
    first = np.array([span.first for span in spans])
    before = first[None, :] <= first[:, None] - NEWCOMER_HOURS
    members = sorted(set(member.tolist()))
    collected: list[list[Share]] = [[] for _ in range(n)]
    for m in members:
        column = member == m
        open_count = (unsure & column).sum(axis=1, keepdims=True)
        weight = (apart & column) * np.where(unsure, (open_count - 1) / np.maximum(open_count, 1), 1.0)
        sums = _sums(weight, pairs, same, log_hours, away, before)
        bit_columns = [(1 << parties[j].person, j) for j in np.flatnonzero(column)]
        for i in np.flatnonzero((apart & column).any(axis=1)):
            others = alike = partners = close = 0
            row_apart, row_same, row_partner, row_near = apart[i], same[i], partner[i], near[i]
            for bit, j in bit_columns:
                if row_apart[j]:
                    others |= bit
                    if row_same[j]:
                        alike |= bit
                    if row_partner[j]:
                        partners |= bit
                    if row_near[j]:
                        close |= bit
            collected[i].append(Share(m, others, alike, partners, close, *sums[i]))
    return {id(party): tuple(collected[i]) for i, party in enumerate(parties)}


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


def _sums(
    weight: npt.NDArray[np.float64],
    pairs: Pairs,
    same: npt.NDArray[np.bool_],
    log_hours: npt.NDArray[np.float64],
    away: npt.NDArray[np.float64],
    before: npt.NDArray[np.bool_],
) -> list[list[float]]:
    columns = np.stack(
        [
            weight.sum(axis=1),
            (weight * pairs.c0).sum(axis=1),
            (weight * pairs.q0).sum(axis=1),
            (weight * pairs.c24).sum(axis=1),
            (weight * pairs.q24).sum(axis=1),
            (weight * pairs.n0).sum(axis=1),
            (weight * pairs.n24).sum(axis=1),
            (weight * same).sum(axis=1),
            (weight * log_hours).sum(axis=1),
            (weight * log_hours**2).sum(axis=1),
            (weight * away).sum(axis=1),
            (weight * before).sum(axis=1),
        ],
        axis=1,
    )
    rows: list[list[float]] = columns.tolist()
    return rows


def _refused(refusals: list[Presence], used_keys: set[int]) -> dict[tuple[int, int], Refused]:
    """Per key and device that failed here: the strange keys that failed so within two days, by member."""
    by_device: dict[int, list[Presence]] = {}
    for presence in refusals:
        if presence.subject.key not in used_keys:
            by_device.setdefault(presence.device, []).append(presence)
    out: dict[tuple[int, int], Refused] = {}
    for device, group in by_device.items():
        number: dict[int, int] = {}
        for presence in group:
            number.setdefault(presence.subject.key, len(number))
        for presence in group:
            near: dict[int, int] = {}
            for other in group:
                gap = max(other.first - presence.last, presence.first - other.last)
                if gap <= REFUSED_TOGETHER_HOURS:
                    near[other.subject.member] = near.get(other.subject.member, 0) | 1 << number[other.subject.key]
            key = (presence.subject.key, device)
            earlier = out.get(key)
            if earlier is not None:
                for member, bits in earlier.by_member:
                    near[member] = near.get(member, 0) | bits
            first = presence.first if earlier is None else min(presence.first, earlier.first)
            last = presence.last if earlier is None else max(presence.last, earlier.last)
            out[key] = Refused(first, last, tuple(sorted(near.items())))
    return out


def persons(known: int, bits: tuple[int, ...] | list[int]) -> int:
    """How many people at least: ``bits`` has one set of persons per member."""
    union = most = 0
    for members in bits:
        union |= members
        count = members.bit_count()
        most = max(most, count)
    return max((union & known).bit_count(), most)


def spread(count: float, total: float, squares: float) -> float:
    """The standard deviation of ``count`` numbers with that sum and sum of squares."""
    if count <= 0:
        return 0.0
    mean = total / count
    return math.sqrt(max(squares / count - mean * mean, 0.0))

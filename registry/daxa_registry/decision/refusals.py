"""Leaked and being tried: refusals that came from strangers, with how many other keys, and at whose doors.

A refusal from an address that is the key's own (it spends a good part of its hours there, or its allow-list names it), or at
its own exchange with a client stack that it uses elsewhere, is its holder's mistake: an expired key, a wrong clock, an
allow-list forgotten. So is one at the wrong exchange from one of its networks. Only what is foreign counts; and a short use
from an address where many foreign keys failed is the prober's success.

Who goes through a list over many addresses shows by the client stack: the keys that fail with it are used with others alone,
while of the keys that fail with a stock stack most are in use with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from daxa_core.model import Manner
from daxa_registry.decision.graph import Neighbourhood, Presence, Tried
from daxa_registry.decision.places import HOME_SHARE, PlaceFacts, Refused

TOGETHER_HOURS = 48
PROBER_KEYS = 3
TESTER_KEYS = 5
"""So many keys that failed on an address, or with a client stack, as strangers there: somebody goes through a list."""
SLOWLY_HOURS = 14 * 24
"""Who goes through a list slowly is told from a crowd's mistakes of so long a time: more keys failed there than are used."""
NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)
NOBODY: frozenset[int] = frozenset()


Together = tuple[tuple[tuple[int, frozenset[int]], frozenset[int]], ...]
"""By the member that refused them, and those that say they live there: keys."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One strange presentation: who reported it, where, and with which other keys."""

    member: int
    network: int
    last: int
    together: Together  # what failed there so within two days
    accepted: bool
    place: PlaceFacts | None
    stack: tuple[Tried, ...] = ()  # what failed with that client stack around then, over any addresses

    def in_use(self, breadth: int, gone: frozenset[int]) -> float:
        """Of all who were there, those that so many keys failed for included, the share who were let in."""
        people = self.place.crowd(gone) if self.place is not None else 0
        return people / (people + breadth) if people else 0.0

    def breadth(self, gone: frozenset[int]) -> int:
        """How many keys, this one included, as far as the members not ``gone`` reported."""
        keys: set[int] = set()
        for (member, vouchers), failed in self.together:
            if member not in gone and vouchers <= gone:
                keys |= failed
        return max(len(keys), listed(self.stack, gone)) if self.stack else len(keys)


@dataclass(slots=True)
class Refusals:
    """All strange presentations of a key."""

    home: int
    key: int
    attempts: tuple[Attempt, ...]
    members: frozenset[int]
    last_hour: int

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of a leak, in the order of ``FEATURES``."""
        if not self.attempts:
            return NOTHING
        breadth = 0
        networks: set[int] = set()
        doors: set[int] = set()
        accepted = False
        in_use = 1.0
        for attempt in self.attempts:
            if attempt.member in gone:
                continue
            wide = attempt.breadth(gone)
            if attempt.accepted and wide < PROBER_KEYS:
                continue
            accepted |= attempt.accepted
            if wide >= breadth:
                share = attempt.in_use(wide, gone)
                in_use = min(in_use, share) if wide == breadth else share
                breadth = wide
            networks.add(attempt.network)
            if attempt.member != self.home:
                doors.add(attempt.member)
        if not breadth:
            return NOTHING
        return float(breadth), float(len(networks)), float(len(doors)), float(accepted), in_use


def near(presence: Presence, tried: Iterable[Tried], hours: int) -> tuple[Tried, ...]:
    """What was tried within so many hours of that presentation."""
    first, last = presence.first - hours, presence.last + hours
    return tuple([one for one in tried if one.first <= last and one.last >= first])


def listed(stack: Iterable[Tried], gone: frozenset[int] = NOBODY) -> int:
    """How many keys somebody goes through with that stack, as far as the members not ``gone`` reported: they are used with others
    alone. 0 where they are few, or where twice as many failed with it that are used with it."""
    foreign: set[int] = set()
    familiar: set[int] = set()
    for one in stack:
        if one.member not in gone:
            if one.users - gone:
                familiar.add(one.key)
            elif one.others - gone:
                foreign.add(one.key)
    return len(foreign) if len(foreign) >= TESTER_KEYS and 2 * len(foreign) > len(familiar) else 0


def refusals_of(neighbourhood: Neighbourhood, used: Sequence[Presence], facts: Mapping[int, PlaceFacts]) -> Refusals:
    """The strange presentations of the subject's key, at its own exchange and at others."""
    subject = neighbourhood.subject
    home, key = subject.member, subject.key
    failed = [p for p in neighbourhood.own if p.manner is Manner.REJECTED] if len(used) < len(neighbourhood.own) else []
    failed += [p for p in neighbourhood.elsewhere if p.manner is Manner.REJECTED]
    tried = [p for p in used if p.device in facts[p.address].refused]
    if not failed and not tried:
        return Refusals(home, key, (), frozenset(), 0)
    hours: dict[int, int] = {}
    stacks: dict[int, set[int]] = {}
    networks: dict[int, set[int]] = {}
    for presence in used:
        hours[presence.address] = hours.get(presence.address, 0) + presence.hours.bit_count()
        stacks.setdefault(presence.device, set()).add(presence.address)
        networks.setdefault(presence.network, set()).add(presence.address)
    total = max(sum(hours.values()), 1)
    own = {address for address, there in hours.items() if there / total >= HOME_SHARE}
    own.update(p.address for p in neighbourhood.own if p.manner is Manner.DECLARED)
    attempts: list[Attempt] = []
    members: set[int] = set()
    for presence in (*failed, *tried):
        address = presence.address
        accepted = presence.manner is Manner.USED
        if address in own or networks.get(presence.network, set()) - {address}:
            continue
        familiar = presence.device != 0 and bool(stacks.get(presence.device, set()) - {address})
        if familiar and presence.subject.member == home:
            continue
        place = facts.get(address)
        if place is not None and place.infrastructure:
            continue  # a licensed service goes on with keys that expired, many from one address
        refused = place.refused.get(presence.device) if place is not None else None
        together = _together(presence, refused)
        tried_with = () if presence.device in stacks else neighbourhood.stacks.get(presence.device, ())
        stack = near(presence, tried_with, SLOWLY_HOURS)
        if len({one.key for one in stack}) < TESTER_KEYS:
            stack = ()
        by = presence.subject.member
        attempts.append(Attempt(by, presence.network, presence.last, together, accepted, place, stack))
        members.add(by)
        if place is not None:
            members |= place.members
        for (member, vouchers), _ in together:
            members.update((member, *vouchers))
        for one in stack:
            members.update((one.member, *one.users, *one.others))
    return Refusals(home, key, tuple(attempts), frozenset(members), _last_hour(home, attempts))


def _last_hour(home: int, attempts: Sequence[Attempt]) -> int:
    """When the key was last tried; without any one foreign member as well, if anything is left then: what one alone says has not
    gone on."""
    foreign = {attempt.member for attempt in attempts} - {home}
    tries = [[one.last for one in attempts if one.member != gone] for gone in (None, *foreign)]
    return min([max(last) for last in tries if last], default=0)


def _together(presence: Presence, refused: Refused | None) -> Together:
    """Which keys failed there within two days of this presentation; a failure counts itself."""
    out: dict[tuple[int, frozenset[int]], set[int]] = {}
    if presence.manner is Manner.REJECTED:
        out[presence.subject.member, NOBODY] = {presence.subject.key}
    if refused is not None:
        first, last = presence.first - TOGETHER_HOURS, presence.last + TOGETHER_HOURS
        for member, rows in refused.by_member:
            for row in rows:
                if row.first <= last and row.last >= first:
                    out.setdefault((member, row.vouchers), set()).add(row.key)
    return tuple((by, frozenset(keys)) for by, keys in out.items())

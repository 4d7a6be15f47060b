"""Leaked and being tried: refusals that came from strangers, with how many other keys, and at whose doors.

A refusal from an address that the key was used from, or with a client stack of its own, is its holder's mistake: an expired
key, a wrong clock, an allow-list forgotten, a key pasted into the wrong exchange. Only what is foreign in both counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_core.model import Manner
from daxa_registry.decision.graph import Neighbourhood, Population, Presence
from daxa_registry.decision.places import PlaceFacts, Refused

NOTHING = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One strange refusal: who reported it, where, and with which other keys."""

    member: int
    network: int
    together: Refused
    prober: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Refusals:
    """All strange refusals of a key."""

    home: int
    attempts: tuple[Attempt, ...]
    members: frozenset[int]
    last_hour: int

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of a leak, in the order of ``FEATURES``."""
        if not self.attempts:
            return NOTHING
        attempts = [attempt for attempt in self.attempts if attempt.member not in gone]
        if not attempts:
            return NOTHING
        breadth = 0
        for attempt in attempts:
            keys = 0
            for member, bits in attempt.together.by_member:
                if member not in gone:
                    keys |= bits
            breadth = max(breadth, keys.bit_count())
        return (
            float(breadth),
            max(attempt.prober for attempt in attempts),
            float(len({attempt.network for attempt in attempts})),
            float(len({attempt.member for attempt in attempts} - {self.home})),
            float(any(attempt.accepted for attempt in attempts)),
        )


def refusals_of(
    neighbourhood: Neighbourhood, used: Sequence[Presence], facts: Mapping[int, PlaceFacts], population: Population
) -> Refusals:
    """The strange refusals of the subject's key, at its own exchange and at others."""
    home = neighbourhood.subject.member
    failed = [p for p in (*neighbourhood.own, *neighbourhood.elsewhere) if p.manner is Manner.REJECTED]
    if not failed:
        return Refusals(home, (), frozenset(), 0)
    since: dict[int, int] = {}
    stacks: set[int] = set()
    for presence in used:
        stacks.add(presence.device)
        earliest = since.get(presence.address)
        since[presence.address] = presence.first if earliest is None else min(earliest, presence.first)
    networks = {presence.network for presence in used}
    declared = {p.address for p in neighbourhood.own if p.manner is Manner.DECLARED}
    key = neighbourhood.subject.key
    attempts: list[Attempt] = []
    members: set[int] = set()
    last = 0
    for presence in failed:
        first_use = since.get(presence.address)
        accepted = first_use is not None and first_use >= presence.first
        if presence.address in declared or (first_use is not None and not accepted):
            continue
        if presence.device and presence.device in stacks and not accepted:
            continue
        if presence.network in networks and not accepted:
            continue
        place = facts.get(presence.address)
        together = place.refused.get((key, presence.device)) if place is not None else None
        if together is None:
            if accepted:
                continue
            together = Refused(presence.first, presence.last, ((presence.subject.member, 1),))
        common = population.devices.get(presence.device) if presence.device else None
        prober = math.log((common.rejected + 1.0) / (common.subjects + 1.0)) if common is not None else 0.0
        attempts.append(Attempt(presence.subject.member, presence.network, together, max(prober, 0.0), accepted))
        members.add(presence.subject.member)
        members.update(member for member, _ in together.by_member)
        last = max(last, presence.last)
    return Refusals(home, tuple(attempts), frozenset(members), last)

"""The stored graph as the decision sees it: subjects, their presences on addresses, and the places where they meet.

Identifiers are the store's own integers; what they stand for is not known here. Hours are whole hours since the epoch.
Everything is frozen: a store builds it, the decision only reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from daxa_core.model import Manner
from daxa_registry.decision.rarity import RAREST

UNKNOWN_DEVICE = 0


class Subject(NamedTuple):
    """One key at one member. A tuple, as presences are: making them is most of what reading a place takes.

    ``key`` is the node of the key, shared by every member that saw it; ``account`` is the member's pseudonym (None
    where the member does not know the key: somebody presented it at the wrong door); ``holder`` the node of the
    person, if told.

    ``hours`` and ``addresses`` are counters that a store keeps on the subject's row: the sum over its addresses of the
    distinct hours of use there, and how many addresses it was used from. 0 means not kept: then nothing is concluded from
    where a co-tenant is seen otherwise. They may lag behind the presences by what a cache holds.
    """

    id: int
    member: int
    key: int
    account: bytes | None
    holder: int | None
    hours: int = 0
    addresses: int = 0


class Presence(NamedTuple):
    """A subject on an address with a device, in one manner.

    ``hours`` is a bit set: bit i is the hour ``first + i``, bit 0 is always set, the highest bit is the last hour.
    ``count`` is the number of requests in all of them.
    """

    subject: Subject
    address: int
    network: int
    device: int
    manner: Manner
    first: int
    hours: int
    count: int  # type: ignore[assignment]  # a tuple has a method of that name, which nobody calls here

    @property
    def last(self) -> int:
        return self.first + self.hours.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Place:
    """One address and who was seen there.

    ``presences`` holds all of them while ``subjects`` is at most the store's hub size. Beyond it (``crowded``) each member has a
    quarter of that size: of a member with no more subjects there all, of one with more the first of those that share a device
    with the subject asked for. So the work stays bounded whatever the degree, and no member's crowd hides another's subjects.
    ``infrastructure`` is true where an operator declared the address as a licensed service's.
    ``subjects`` counts distinct subjects that were ever seen there within retention, in any manner; ``by_member`` counts those in
    use by member, so that one member's crowd can be taken out, and whom a prober tried is no crowd (empty where the store does
    not keep it; needed only where ``crowded``).
    """

    address: int
    network: int
    subjects: int
    crowded: bool
    infrastructure: bool
    presences: tuple[Presence, ...]
    by_member: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Population:
    """What is known of the market as a whole.

    ``unusual`` are the hours in which the whole market woke or fell silent, as a bit set from the hour ``unusual_first``:
    what everybody does at once says nothing of two who do it. A store keeps how many presences were in use in each hour
    (one counter per hour) and asks ``rhythm`` when it refreshes its totals.

    ``stacks`` is how common client stacks are: the share of keys in use that use one, by device, as
    ``rarity.common_stacks`` has it.
    """

    unusual_first: int = 0
    unusual: int = 0
    stacks: Mapping[int, float] = field(default_factory=dict)

    def rarity(self, devices: Iterable[int]) -> float:
        """Of the commonest of these: the logarithm of how many keys of the market there are to one that uses it; 0 where none
        is known."""
        shares = [self.stacks.get(device, 0.0) for device in devices if device != UNKNOWN_DEVICE]
        return -math.log(max(*shares, RAREST)) if shares else 0.0

    def unusual_within(self, first: int, last: int) -> int:
        """The unusual hours from ``first`` to ``last``, both included, as a bit set from ``first``."""
        shift = self.unusual_first - first
        bits = self.unusual << shift if shift >= 0 else self.unusual >> -shift
        return bits & ((1 << (last - first + 1)) - 1)


@dataclass(frozen=True, slots=True)
class Leaks:
    """The leaks in force that a key stands in: whether one is verified, and who reported them (0: operators)."""

    verified: bool
    reporters: frozenset[int]


class Tried(NamedTuple):
    """A key that was refused with a client stack: when first and last (hours), which member said so, and which saw it in use
    with that stack, and with others."""

    key: int
    first: int
    last: int
    member: int = 0
    users: frozenset[int] = frozenset()
    others: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """All that one decision may look at.

    ``own`` are the subject's presences in every manner; ``elsewhere`` those of the same key at other members;
    ``places`` has one entry per address in either; ``leaks`` is what leaks in force say of the key. ``stacks``: of client stacks
    with which the key was refused, by device, all that were refused with it around then and are in use; of one with which the
    holder uses the key only where that was elsewhere, of one with few keys nothing.
    """

    subject: Subject
    own: tuple[Presence, ...]
    elsewhere: tuple[Presence, ...]
    places: Mapping[int, Place]
    leaks: Leaks | None = None
    stacks: Mapping[int, tuple[Tried, ...]] = field(default_factory=dict)

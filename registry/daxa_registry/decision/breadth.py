"""One key, many parties: client stacks, networks and hours that do not fit one person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Presence
from daxa_registry.decision.overlap import Span, join
from daxa_registry.decision.places import PlaceFacts, persons

NOTHING = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Breadth:
    """What is the key's own, and its hosts, who may be reported by other members."""

    own: tuple[float, float, float]  # stacks, networks, concurrency
    tail: tuple[float, float]  # interleaving, evenness
    hosts: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]  # (known, ((member, bits), ...)) per address
    members: frozenset[int]

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of many parties, in the order of ``FEATURES``."""
        hosts = 0.0
        for known, by_member in self.hosts:
            hosts += persons(known, [bits for member, bits in by_member if member not in gone])
        return (*self.own, hosts, *self.tail)


def breadth_of(used: Sequence[Presence], subject: int, facts: Mapping[int, PlaceFacts]) -> Breadth:
    """How many use the key, as far as its own presences tell."""
    if len(used) < 2:
        return Breadth((1.0, 1.0, 0.0), (0.0, 0.0), (), frozenset())
    stacks: dict[int, Span] = {}
    weight: dict[tuple[int, int], int] = {}
    for presence in used:
        if not presence.device:
            continue
        stacks[presence.device] = join(stacks.get(presence.device), presence.first, presence.hours)
        edge = (presence.device, presence.network)
        weight[edge] = weight.get(edge, 0) + presence.hours.bit_count()
    if len(stacks) < 2:
        return Breadth((1.0, 1.0, 0.0), (0.0, 0.0), (), frozenset())
    main: dict[int, tuple[int, int]] = {}
    for (device, network), hours in weight.items():
        best = main.get(device)
        if best is None or (hours, -network) > (best[0], -best[1]):
            main[device] = (hours, network)
    parties: dict[int, Span] = {}
    for device, span in stacks.items():
        network = main[device][1]
        parties[network] = join(parties.get(network), span.first, span.hours)
    base = min(span.first for span in parties.values())
    once = twice = 0
    counts = []
    for span in parties.values():
        bits = span.hours << (span.first - base)
        twice |= once & bits
        once |= bits
        counts.append(bits.bit_count())
    spans = list(stacks.values())
    interleaved = 0
    for i, a in enumerate(spans):
        for b in spans[:i]:
            interleaved += min(a.last, b.last) - max(a.first, b.first) >= 24
    total = sum(counts)
    entropy = -sum(c / total * math.log(c / total) for c in counts)
    hosts, members = _hosts(used, subject, facts)
    evenness = entropy / math.log(len(counts)) if len(counts) > 1 else 0.0
    return Breadth(
        (float(len(stacks)), float(len(parties)), twice.bit_count() / max(once.bit_count(), 1)),
        (float(interleaved), evenness),
        hosts,
        members,
    )


def _hosts(
    used: Sequence[Presence], subject: int, facts: Mapping[int, PlaceFacts]
) -> tuple[tuple[tuple[int, tuple[tuple[int, int], ...]], ...], frozenset[int]]:
    out = []
    members: set[int] = set()
    for address in dict.fromkeys(presence.address for presence in used):
        place = facts[address]
        tenancy = place.tenants.get(subject)
        if tenancy is None or place.infrastructure or len(place.tenants) > 8:
            continue
        found = tuple((share.member, share.same) for share in tenancy.shares if share.same)
        if found:
            out.append((place.known, found))
            members.update(member for member, _ in found)
    return tuple(out), frozenset(members)

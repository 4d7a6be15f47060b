"""One key, many parties: client stacks, networks and hours that do not fit one person.

A party shows as a network of its own with a client stack of its own. One person roams over many networks with one stack, or
runs many stacks on a few networks; what does not fit is many of both that match one to one, used at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Presence
from daxa_registry.decision.overlap import Span, join
from daxa_registry.decision.places import PlaceFacts, persons

HOST_CROWD = 12
LASTING_HOURS = 24
MAX_NETWORKS = 48
NOTHING = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Breadth:
    """What is the key's own, and its hosts, who may be reported by other members.

    ``own`` holds the features of many parties but for the hosts, in the order of ``FEATURES``.
    """

    own: tuple[float, ...]
    hosts: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]  # (known, ((member, bits), ...)) per address
    members: frozenset[int]

    def without(self, gone: frozenset[int]) -> tuple[float, ...]:
        """The features of many parties, in the order of ``FEATURES``."""
        if not self.hosts:
            return (*self.own, 0.0)
        hosts = 0.0
        for known, by_member in self.hosts:
            hosts += persons(known, [bits for member, bits in by_member if member not in gone]) > 0
        return (*self.own, hosts)


def breadth_of(used: Sequence[Presence], subject: int, facts: Mapping[int, PlaceFacts]) -> Breadth:
    """How many use the key, as far as its own presences tell."""
    if len(used) < 2:
        return Breadth(NOTHING[:-1], (), frozenset())
    stacks: set[int] = set()
    networks: dict[int, Span] = {}
    edges: dict[tuple[int, int], Span] = {}
    for presence in used:
        network = presence.network
        networks[network] = join(networks.get(network), presence.first, presence.hours)
        if presence.device:
            stacks.add(presence.device)
            edge = (presence.device, network)
            edges[edge] = join(edges.get(edge), presence.first, presence.hours)
    if len(networks) < 2:
        return Breadth((float(max(len(stacks), 1)), 1.0, *NOTHING[2:-1]), (), frozenset())
    spans = sorted(networks.values(), key=lambda span: (-span.hours.bit_count(), span.first))[:MAX_NETWORKS]
    base = min(span.first for span in spans)
    lowest = min((span.first for span in edges.values()), default=0)
    once = twice = thrice = 0
    counts = []
    for span in spans:
        bits = span.hours << (span.first - base)
        thrice |= twice & bits
        twice |= once & bits
        once |= bits
        counts.append(bits.bit_count())
    matched = _matched(edges)
    met = crossed = 0
    for span in matched[:MAX_NETWORKS]:
        bits = span.hours << (span.first - lowest)
        crossed |= met & bits
        met |= bits
    interleaved = 0
    for i, a in enumerate(spans):
        for b in spans[:i]:
            interleaved += min(a.last, b.last) - max(a.first, b.first) >= LASTING_HOURS
    total = sum(counts)
    entropy = -sum(c / total * math.log(c / total) for c in counts)
    active = max(once.bit_count(), 1)
    hosts, members = _hosts(used, subject, facts)
    return Breadth(
        (
            float(max(len(stacks), 1)),
            float(len(networks)),
            float(max(len(matched), 1)),
            twice.bit_count() / active,
            thrice.bit_count() / active,
            crossed.bit_count() / active,
            math.sqrt(2 * interleaved),
            math.exp(entropy),
        ),
        hosts,
        members,
    )


def _matched(edges: Mapping[tuple[int, int], Span]) -> list[Span]:
    """Stacks paired with networks one to one, the longest used pairs first: what parties of their own would show."""
    stacks: set[int] = set()
    networks: set[int] = set()
    out: list[Span] = []
    for (stack, network), span in sorted(edges.items(), key=lambda item: (-item[1].hours.bit_count(), item[0])):
        if stack not in stacks and network not in networks:
            stacks.add(stack)
            networks.add(network)
            out.append(span)
    return out


def _hosts(
    used: Sequence[Presence], subject: int, facts: Mapping[int, PlaceFacts]
) -> tuple[tuple[tuple[int, tuple[tuple[int, int], ...]], ...], frozenset[int]]:
    """Addresses where other people's own keys run with the key's stack there, but for the address it is on most."""
    out = []
    members: set[int] = set()
    hours: dict[int, int] = {}
    for presence in used:
        hours[presence.address] = hours.get(presence.address, 0) + presence.hours.bit_count()
    main = max(hours, key=lambda address: (hours[address], -address))
    for address in hours:
        place = facts[address]
        tenancy = place.tenants.get(subject)
        if address == main or tenancy is None or place.infrastructure or len(place.tenants) > HOST_CROWD:
            continue
        found = tuple((share.member, share.same) for share in tenancy.shares if share.same)
        if found:
            out.append((place.known, found))
            members.update(member for member, _ in found)
    return tuple(out), frozenset(members)

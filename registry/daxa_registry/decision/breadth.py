"""One key, many parties: client stacks, networks and hours that do not fit one person.

A party shows as a network of its own with a client stack of its own. One person roams over many networks with one stack, or
runs many stacks on a few networks; what does not fit is many of both that match one to one, used at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daxa_registry.decision.graph import Presence
from daxa_registry.decision.places import PlaceFacts, persons

HOST_CROWD = 12
LASTING_HOURS = 24
MAX_NETWORKS = 48
NOTHING = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
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
    # Hours are bit sets from the same first hour.
    first = min([presence.first for presence in used])
    networks: dict[int, int] = {}
    edges: dict[tuple[int, int], int] = {}
    for _, _, network, device, _, begun, hours, _ in used:
        bits = hours << (begun - first)
        networks[network] = networks.get(network, 0) | bits
        if device:
            edges[device, network] = edges.get((device, network), 0) | bits
    stacks = float(max(len({device for device, _ in edges}), 1))
    if len(networks) < 2:
        return Breadth((stacks, 1.0, *NOTHING[2:-1]), (), frozenset())
    spans = sorted(networks.values(), key=lambda bits: (-bits.bit_count(), bits & -bits))[:MAX_NETWORKS]
    once = twice = thrice = 0
    for bits in spans:
        thrice |= twice & bits
        twice |= once & bits
        once |= bits
    matched = _matched(edges)
    met = crossed = 0
    for bits in matched[:MAX_NETWORKS]:
        crossed |= met & bits
        met |= bits
    times = [((bits & -bits).bit_length(), bits.bit_length()) for bits in spans]
    interleaved = 0
    for i, (begun, ended) in enumerate(times):
        for other_begun, other_ended in times[:i]:
            interleaved += min(ended, other_ended) - max(begun, other_begun) >= LASTING_HOURS
    counts = [bits.bit_count() for bits in spans]
    total = sum(counts)
    entropy = -sum([c / total * math.log(c / total) for c in counts])
    active = once.bit_count()
    hosts, members = _hosts(used, subject, facts)
    return Breadth(
        (
            stacks,
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


def _matched(edges: Mapping[tuple[int, int], int]) -> list[int]:
    """Stacks paired with networks one to one, the longest used pairs first: what parties of their own would show."""
    stacks: set[int] = set()
    networks: set[int] = set()
    out: list[int] = []
    longest_first = sorted([(-bits.bit_count(), stack, network, bits) for (stack, network), bits in edges.items()])
    for _, stack, network, bits in longest_first:
        if stack not in stacks and network not in networks:
            stacks.add(stack)
            networks.add(network)
            out.append(bits)
    return out


def _hosts(
    used: Sequence[Presence], subject: int, facts: Mapping[int, PlaceFacts]
) -> tuple[tuple[tuple[int, tuple[tuple[int, int], ...]], ...], frozenset[int]]:
    """Addresses where other people's own keys run with the key's stack there, but for the address it is on most."""
    hours: dict[int, int] = {}
    for _, address, _, _, _, _, bits, _ in used:
        hours[address] = hours.get(address, 0) + bits.bit_count()
    found: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {}
    for address in hours:
        place = facts[address]
        tenancy = place.tenants.get(subject)
        if tenancy is None or not tenancy.shares or place.infrastructure or len(place.tenants) > HOST_CROWD:
            continue
        same = tuple([(share.member, share.same) for share in tenancy.shares if share.same])
        if same:
            found[address] = place.known, same
    if found:
        found.pop(max(hours, key=lambda address: (hours[address], -address)), None)
    return tuple(found.values()), frozenset([member for _, same in found.values() for member, _ in same])

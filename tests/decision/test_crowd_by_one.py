"""A crowd that one member makes up on a ring's addresses, where each key of the ring has a client stack of its own."""

from __future__ import annotations

import random

import pytest

from daxa_core.model import Manner
from daxa_registry.decision import Assessment, assess, default_policy, evidence_of
from fitting.graph import Graph

START = 480_000
PLACES, HOURS = 10, 3


def ring(crowd: int) -> Assessment:
    """Twelve keys at one exchange and six at another, ten addresses in turn; a third member tells of ``crowd`` more on each."""
    rng = random.Random(1)
    edges = {}
    for place in range(PLACES):
        hours = sorted(rng.sample(range(72), HOURS))
        first, bits = START + 100 * place + hours[0], sum(1 << (hour - hours[0]) for hour in hours)
        for key in range(18):
            edges[1 if key < 12 else 3, key, place, key + 1, Manner.USED] = (first, bits, 5)
        for key in range(1_000 * (place + 1), 1_000 * (place + 1) + crowd):
            edges[2, key, place, key, Manner.USED] = (START + 100 * place + 99, 1, 1)
    accounts = {(member, key): b"account %d" % key for member, key, *_ in edges}
    graph = Graph(edges, {place: place for place in range(PLACES)}, accounts, {}, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 0])
    return assess(
        evidence_of(neighbourhood, facts, graph.population, graph.newest), default_policy(), graph.newest * 3_600
    )


@pytest.mark.parametrize("crowd", [40, 63, 70])
def test_a_crowd_by_one_member_hides_no_ring_with_a_stack_for_each_key(crowd: int) -> None:
    """On a hub (64 persons) nobody but kin counts, and here nobody is kin: without the member that made it a hub, they do."""
    before, after = ring(0), ring(crowd)
    assert before.level >= 1
    assert after.level >= before.level

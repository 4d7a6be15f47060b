"""The bound on one member however many members there are."""

from __future__ import annotations

import random

import pytest

from daxa_core.model import Level, Manner
from daxa_registry.decision import assess, default_policy, evidence_of
from fitting.graph import Edges, Graph

HOURS = sum(1 << hour for hour in {0, 335, *random.Random(7).sample(range(336), 90)})


def victims_level(members: int, liar: int) -> Level:
    """A customer of member 1 on an address with one honest customer of each other member; ``liar`` (0: nobody) invents fifteen
    holders there with the victim's client stack, in the victim's hours, on its allow-list."""
    edges: Edges = {(1, 1, 1, 1, Manner.USED): (1_000, HOURS, 100)}
    accounts, people = {(1, 1): b"1"}, {(1, 1): 1}
    for member in range(2, members + 1):
        hours = sum(1 << hour for hour in {0, *random.Random(member).sample(range(336), 33)})
        edges[member, member, 1, member, Manner.USED] = (1_000, hours, 100)
        accounts[member, member], people[member, member] = b"%d" % member, member
    for key in range(100, 115) if liar else ():
        edges[liar, key, 1, 1, Manner.USED] = (1_000, HOURS, 100)
        edges[liar, key, 1, 0, Manner.DECLARED] = (1_000, 1, 1)
        accounts[liar, key], people[liar, key] = b"%d" % key, key
    graph = Graph(edges, {1: 1}, accounts, people, set())
    evidence = evidence_of(*graph.neighbourhood(graph.subjects[1, 1]), graph.population, graph.newest)
    return assess(evidence, default_policy(), 3_600 * graph.newest).level


@pytest.mark.parametrize("members", [5, 9, 12])
def test_one_of_many_members_raises_nobody(members: int) -> None:
    """Whichever it is, the last as the first: what it invents is left out."""
    assert victims_level(members, 0) == Level.CLEAR
    for liar in range(2, members + 1):
        assert victims_level(members, liar) <= Level.MONITOR

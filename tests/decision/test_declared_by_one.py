"""Allow-lists that one member makes up."""

from __future__ import annotations

from dataclasses import replace

from daxa_core.model import Level, Manner
from daxa_registry.decision import assess, default_policy, evidence_of
from daxa_registry.decision.evidence import Evidence
from daxa_registry.decision.features import INDEX
from fitting.graph import Graph

START = 490_000
WORKING = sum(1 << hour for hour in range(14 * 24) if 8 <= hour % 24 < 20)


def office(made_up: int) -> tuple[Evidence, int]:
    """Three customers in an office at two exchanges, and a third that only declares its address: evidence on one, and when."""
    edges, accounts, people = {}, {}, {}
    for member, key in ((1, 1), (1, 2), (2, 3)):
        edges[member, key, 1, key, Manner.USED] = (START, WORKING, 100)
        accounts[member, key], people[member, key] = b"account %d" % key, key
    for key in range(100, 100 + made_up):
        edges[3, key, 1, 0, Manner.DECLARED] = (START, 1, 1)
        accounts[3, key], people[3, key] = b"account %d" % key, key
    graph = Graph(edges, {1: 1}, accounts, people, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 1])
    return evidence_of(neighbourhood, facts, graph.population, graph.newest), graph.newest * 3_600


def test_what_one_member_alone_declares_raises_nobody() -> None:
    """It is left out like any other, though no key of it was ever there: the score does not pass what stands without it."""
    honest, now = office(0)
    stands = assess(replace(honest, views=honest.views[:1]), default_policy(), now)
    evidence, now = office(16)
    assert evidence.views[0].values[INDEX["declared"]] == 16
    told = assess(evidence, default_policy(), now)
    assert told.score <= stands.score
    assert told.level == Level.CLEAR

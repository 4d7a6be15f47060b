"""Refusals that are nobody's attack."""

from __future__ import annotations

import pytest

from daxa_core.model import Manner
from daxa_registry.decision import evidence_of
from daxa_registry.decision.features import INDEX
from fitting.graph import Graph

START = 490_000
PLATFORM, OWN = 1, 2


@pytest.mark.parametrize(("infrastructure", "breadth"), [(set(), 9), ({PLATFORM}, 0)])
def test_expired_keys_at_a_declared_service_are_no_dump(infrastructure: set[int], breadth: int) -> None:
    """A service goes on with its customers' expired keys, many from one address: for one nobody vouches for, that is a prober."""
    edges = {(1, 100, OWN, 7, Manner.USED): (START, (1 << 300) - 1, 900)}
    for key in (100, *range(200, 208)):
        edges[1, key, PLATFORM, 9, Manner.REJECTED] = (START + 310, 1, 5)
    accounts = {(1, key): b"account %d" % key for key in (100, *range(200, 208))}
    graph = Graph(edges, {PLATFORM: 1, OWN: 2}, accounts, {}, infrastructure)
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 100])
    evidence = evidence_of(neighbourhood, facts, graph.population, graph.newest)
    assert evidence.views[0].values[INDEX["breadth"]] == breadth

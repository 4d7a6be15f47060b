"""Whether one hand shows in all pairs of people on an address, not in one key's alone."""

from __future__ import annotations

import random

from daxa_core.model import Manner
from daxa_registry.decision import evidence_of
from daxa_registry.decision.evidence import View
from daxa_registry.decision.features import INDEX
from fitting.graph import Edges, Graph

START = 490_000
DAYS = 14


def hours(seed: int) -> int:
    """Somebody's own, at no time of day."""
    rng = random.Random(seed)
    return sum(1 << hour for hour in range(24 * DAYS) if rng.random() < 0.2) | 1


def views(alike: dict[int, int], members: dict[int, int] | None = None, one_stack: bool = True) -> tuple[View, ...]:
    """Of the first of ten keys at one address. ``alike``: whose hours each keeps (default: its own); ``members``: whose customer
    each is (default: 1)."""
    edges: Edges = {}
    accounts, people = {}, {}
    for key in range(1, 11):
        member = (members or {}).get(key, 1)
        edges[member, key, 1, 5 if one_stack else key, Manner.USED] = (START, hours(alike.get(key, key)), 500)
        accounts[member, key], people[member, key] = b"%d" % key, key
    graph = Graph(edges, {1: 1}, accounts, people, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 1])
    return evidence_of(neighbourhood, facts, graph.population, graph.newest).views


def said(view: View, feature: str) -> float:
    return view.values[INDEX[feature]]


def test_two_customers_who_happen_to_keep_the_same_hours_are_no_ring_where_the_others_do_not() -> None:
    """Of a service with one client stack, whose other customers keep their own hours; a ring keeps one."""
    pair = {2: 1, 3: 1}
    service, strangers = views(pair)[0], views(pair, one_stack=False)[0]
    ring = views(dict.fromkeys(range(1, 11), 1))[0]
    assert said(service, "concord") < said(strangers, "concord") < said(ring, "concord")


def test_one_key_out_of_step_stands_where_all_the_others_are_driven_by_one_hand() -> None:
    """With the others' client stack, but not with one of its own."""
    others = dict.fromkeys(range(2, 11), 2)
    assert said(views(others)[0], "concord") > 2 * said(views(others, one_stack=False)[0], "concord")


def test_without_a_member_its_peoples_pairs_are_gone() -> None:
    """Those with each other too: what is left is what there would be had it reported nothing."""
    members = dict.fromkeys(range(6, 11), 2)
    alike = dict.fromkeys(range(6, 11), 6)
    [whole, without] = views(alike, members)
    assert without.without == (2,)
    edges = {(1, key, 1, 5, Manner.USED): (START, hours(key), 500) for key in range(1, 6)}
    known = {(1, key): key for key in range(1, 6)}
    graph = Graph(dict(edges), {1: 1}, {at: b"%d" % key for at, key in known.items()}, known, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 1])
    [alone] = evidence_of(neighbourhood, facts, graph.population, graph.newest).views
    assert without.values == alone.values
    assert said(whole, "concord") > said(alone, "concord")

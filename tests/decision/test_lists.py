"""Somebody goes through a list of keys over many addresses: told by the client stack, whatever one member says of it."""

from __future__ import annotations

import pytest

from daxa_core.model import Manner
from daxa_registry.decision import evidence_of
from daxa_registry.decision.evidence import View
from daxa_registry.decision.features import INDEX
from daxa_registry.decision.refusals import TESTER_KEYS
from fitting.graph import Edges, Graph

START = 490_000
OWN, SCRIPT = 7, 9
MANY = TESTER_KEYS + 3


def views(tried: dict[int, list[int]], users: dict[int, list[int]] | None = None, at_once: bool = False) -> list[View]:
    """Of the member 1's key 1, as it is after its try. ``tried``: which keys each member refused with the script, each at an
    address of its own; ``users``: of which of them each member saw them in use with it, or of others."""
    edges: Edges = {}
    for key in range(1, 40):
        edges[1, key, 1_000 + key, OWN, Manner.USED] = (START, (1 << 300) - 1, 900)
    for member, keys in tried.items():
        for key in keys:
            address = 2_000 if at_once else 2_000 + key
            edges[member, key, address, SCRIPT, Manner.REJECTED] = (START + 200 + (0 if at_once else 9 * key), 1, 1)
    for member, keys in (users or {}).items():
        for key in keys:
            edges[member, key, 3_000 + key, SCRIPT, Manner.USED] = (START, 1, 1)
    accounts = {(1, key): b"%d" % key for key in range(1, 40)}
    graph = Graph(edges, {address: address for _, _, address, _, _ in edges}, accounts, {}, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 1])
    return list(evidence_of(neighbourhood, facts, graph.population, graph.newest).views)


def breadth(views: list[View]) -> dict[tuple[int, ...], float]:
    return {view.without: view.values[INDEX["breadth"]] for view in views}


def test_keys_that_fail_with_one_stack_over_many_addresses_are_a_list_as_if_from_one() -> None:
    """They count as many as if all had failed at one address; of too few it is each alone."""
    keys = list(range(1, MANY + 1))
    assert breadth(views({1: keys})) == {(): MANY} == breadth(views({1: keys}, at_once=True))
    assert breadth(views({1: keys[: TESTER_KEYS - 1]})) == {(): 1}


@pytest.mark.parametrize(("users", "listed"), [(2 * MANY - 1, True), (2 * MANY, False)])
def test_a_stock_stack_that_fails_for_those_who_use_it_too_is_no_list(users: int, listed: bool) -> None:
    """Half as many strangers or fewer are a crowd's mistakes."""
    stock = list(range(MANY + 1, MANY + 1 + users))
    found = breadth(views({1: [*range(1, MANY + 1), *stock]}, {1: stock}))
    assert found == {(): MANY if listed else 1}


def test_what_one_member_says_of_a_list_is_taken_out_exactly() -> None:
    """Its refusals, and what it says of who uses the stack: without it everything is as if it had said nothing."""
    keys = list(range(1, MANY + 1))
    both = views({1: keys, 2: keys}, {2: keys[1:]})
    honest = views({1: keys})
    assert breadth(both) == {(): 1, (2,): MANY}
    assert both[1].values == honest[0].values
    alone = views({2: keys})
    assert breadth(alone) == {(): MANY, (2,): 0}

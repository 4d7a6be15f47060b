"""A key that was presented where nobody issued it: what is its holder's slip, and what is somebody's who has a list."""

from __future__ import annotations

import pytest

from daxa_core.model import Manner
from daxa_registry.decision.leaked import Beside, beside
from daxa_registry.decision.refusals import TESTER_KEYS, TOGETHER_HOURS
from fitting.graph import Graph

START = 490_000
KEY, OWN, ELSEWHERE = 100, 1, 2
STACK, STRANGE = 7, 9
ONCE = 1
Presented = tuple[int, int, int, int, int]
"""Member, address, device, hours, count."""


def said(
    *presented: Presented, infrastructure: frozenset[int] = frozenset(), others: dict[int, int] | None = None
) -> Beside:
    """Of a key that is used at the member 1. ``others``: after how many hours other keys failed at ELSEWHERE."""
    edges = {(1, KEY, OWN, STACK, Manner.USED): (START, (1 << 300) - 1, 900)}
    for member, address, device, hours, count in presented:
        edges[member, KEY, address, device, Manner.REJECTED] = (START + 310, hours, count)
    for key, after in (others or {}).items():
        edges[2, key, ELSEWHERE, STRANGE + key % 2, Manner.REJECTED] = (START + 310 + after, ONCE, 1)
    networks = {address: address for _, _, address, _, _ in edges}
    graph = Graph(edges, networks, {(1, KEY): b"account"}, {}, set(infrastructure))
    return beside(*graph.neighbourhood(graph.subjects[1, KEY]))


@pytest.mark.parametrize(
    ("presented", "slip"),
    [
        ([(2, 2, STRANGE, ONCE, 50)], True),
        ([(2, 2, STACK, ONCE, 50)], True),
        ([(2, 2, STACK, ONCE, 50), (2, 3, STRANGE, ONCE, 50)], True),  # a slip, and a stranger once
        ([(2, 2, STACK, ONCE, 2), (2, 2, STRANGE, ONCE, 2)], True),  # two programs at the same place and time
        ([(2, 2, STRANGE, 0b11, 2)], False),
        ([(2, 2, STACK, 0b101, 2)], False),
        ([(2, 2, STRANGE, ONCE, 1), (2, 3, STRANGE, ONCE, 1)], False),
        ([(2, 2, STRANGE, ONCE, 1), (3, 2, STRANGE, ONCE, 1)], False),
    ],
)
def test_tries_of_one_hour_at_one_place_are_one_presentation(presented: list[Presented], slip: bool) -> None:
    """However many; other hours, addresses or exchanges are others. The count that is told is that of all tries."""
    found = said(*presented)
    assert (found.slip, found.elsewhere, found.tried) == (slip, sum(one[4] for one in presented), 0)


def test_a_key_that_is_tried_with_many_is_so_from_the_first_time_and_with_any_stack() -> None:
    """With the holder's own as well: whoever goes through a list may have it."""
    many = dict.fromkeys(range(200, 200 + TESTER_KEYS - 1), 0)
    for stack in (STACK, STRANGE):
        found = said((2, ELSEWHERE, stack, ONCE, 1), others=many)
        assert found == Beside(None, 1, START + 310, False, TESTER_KEYS, START + 310)


@pytest.mark.parametrize(
    ("number", "after", "where", "infrastructure"),
    [
        (TESTER_KEYS - 2, 0, ELSEWHERE, frozenset()),
        (TESTER_KEYS, TOGETHER_HOURS + 1, ELSEWHERE, frozenset()),
        (TESTER_KEYS, 0, 3, frozenset()),
        (TESTER_KEYS, 0, ELSEWHERE, frozenset({ELSEWHERE})),
    ],
)
def test_few_keys_others_days_and_places_and_declared_services_make_no_list(
    number: int, after: int, where: int, infrastructure: frozenset[int]
) -> None:
    """Then once is a slip."""
    others = dict.fromkeys(range(200, 200 + number), after)
    found = said((2, where, STRANGE, ONCE, 1), others=others, infrastructure=infrastructure)
    assert found == Beside(None, 1, START + 310, True)


def test_of_a_key_that_was_presented_nowhere_else_nothing_is_said() -> None:
    """Nor of one that was presented from its own network."""
    assert said() == said((2, OWN, STRANGE, 0b1111, 9)) == Beside()

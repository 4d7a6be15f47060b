"""A key that was presented where nobody issued it: what is its holder's slip, and what is somebody's who has a list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daxa_core.model import Manner
from daxa_registry.decision.graph import Tried
from daxa_registry.decision.leaked import Beside, beside
from daxa_registry.decision.refusals import SLOWLY_HOURS, TESTER_KEYS, TOGETHER_HOURS
from fitting.graph import Graph

START = 490_000
KEY, OWN, ELSEWHERE = 100, 1, 2
STACK, STRANGE = 7, 9
ONCE = 1
Presented = tuple[int, int, int, int, int]
"""Member, address, device, hours, count."""


def said(
    *presented: Presented,
    infrastructure: frozenset[int] = frozenset(),
    others: dict[int, int] | None = None,
    used: int = 0,
    stacks: dict[int, tuple[Tried, ...]] | None = None,
) -> Beside:
    """Of a key that is used at the member 1. ``others``: after how many hours other keys failed at ELSEWHERE; ``used``: how many
    are used there; ``stacks``: what else was tried with client stacks."""
    edges = {(1, KEY, OWN, STACK, Manner.USED): (START, (1 << 300) - 1, 900)}
    for member, address, device, hours, count in presented:
        edges[member, KEY, address, device, Manner.REJECTED] = (START + 310, hours, count)
    for key, after in (others or {}).items():
        edges[2, key, ELSEWHERE, STRANGE + key % 2, Manner.REJECTED] = (START + 310 + after, ONCE, 1)
    for key in range(300, 300 + used):
        edges[2, key, ELSEWHERE, STACK, Manner.USED] = (START, ONCE, 1)
    networks = {address: address for _, _, address, _, _ in edges}
    graph = Graph(edges, networks, {(1, KEY): b"account"}, {}, set(infrastructure))
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, KEY])
    return beside(replace(neighbourhood, stacks=stacks or {}), facts)


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
        (TESTER_KEYS, SLOWLY_HOURS + 1, ELSEWHERE, frozenset()),
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


def test_a_list_that_is_gone_through_slowly_is_told_from_a_crowds_mistakes() -> None:
    """A key in three days, over two weeks: where more keys fail than are used, and not where a crowd trades."""
    slowly = {200 + n: n * 72 for n in range(1, TESTER_KEYS)}
    assert slowly[200 + TESTER_KEYS - 1] > TOGETHER_HOURS
    for used, tried in ((0, TESTER_KEYS), (TESTER_KEYS - 1, TESTER_KEYS), (TESTER_KEYS, 0)):
        assert said((2, ELSEWHERE, STRANGE, ONCE, 1), others=slowly, used=used).tried == tried


def test_a_list_that_is_gone_through_over_many_addresses_with_one_stack_is_one() -> None:
    """Each key once from an address of its own; not where the key's holder has that stack, nor too few keys, nor long ago."""
    hour = START + 310
    listed = tuple(
        Tried(key, hour + n, hour + n, 2, others=frozenset({1}))
        for n, key in enumerate((KEY, *range(200, 200 + TESTER_KEYS - 1)))
    )
    once = (2, ELSEWHERE, STRANGE, ONCE, 1)
    assert said(once, stacks={STRANGE: listed}) == Beside(None, 1, hour, False, TESTER_KEYS, hour)
    before = hour - SLOWLY_HOURS - 1
    past = tuple(one._replace(first=before, last=before) for one in listed[1:])
    for stacks in ({STRANGE: listed[1:]}, {STACK: listed}, {STRANGE: (listed[0], *past)}):
        assert said(once, stacks=stacks) == Beside(None, 1, hour, True)
    assert said(once, stacks={STRANGE: listed}, infrastructure=frozenset({ELSEWHERE})).tried == 0


def test_of_a_key_that_was_presented_nowhere_else_nothing_is_said() -> None:
    """Nor of one that was presented from its own network."""
    assert said() == said((2, OWN, STRANGE, 0b1111, 9)) == Beside()

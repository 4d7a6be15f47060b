"""How common a client stack is: it takes two members to make one common, and none of them makes it rare."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from daxa_registry.decision import rarity
from daxa_registry.decision.graph import UNKNOWN_DEVICE, Population
from daxa_registry.decision.rarity import LEAST, RAREST, common_stacks

USERS = st.dictionaries(st.integers(1, 5), st.integers(0, LEAST), max_size=5)
MARKET = st.lists(USERS, min_size=3, max_size=5)


def market(users: list[dict[int, int]]) -> dict[int, tuple[int, dict[int, int]]]:
    return {member: (LEAST, said) for member, said in enumerate(users, 1)}


def test_examples_of_rarity_hold() -> None:
    """The docstring's example is what the code says."""
    assert doctest.testmod(rarity).failed == 0


@given(MARKET, USERS)
def test_one_member_moves_no_share_past_what_two_others_say(users: list[dict[int, int]], lies: dict[int, int]) -> None:
    """Whatever the last says: a share stays between the second and the largest of what the others say."""
    found = common_stacks(market([*users, lies]))
    for device in range(1, 6):
        honest = sorted(said.get(device, 0) / LEAST for said in users)
        low, high = honest[-2], honest[-1]
        assert (low if low > RAREST else 0.0) <= found.get(device, 0.0) <= max(high, RAREST)


def test_a_market_too_small_to_tell_makes_no_stack_common() -> None:
    """One member, or members with few keys: every stack is as rare as it gets."""
    assert common_stacks({1: (10 * LEAST, {7: LEAST})}) == {}
    assert common_stacks({member: (LEAST - 1, {7: 100}) for member in (1, 2, 3)}) == {}


def test_rarity_is_that_of_the_commonest_known_stack() -> None:
    """In nats: one in twenty is ln 20; where none is known nothing is said."""
    population = Population(stacks={7: 0.05, 8: 0.2})
    assert round(population.rarity({7, 9}), 6) == round(population.rarity({7}), 6) == 2.995732
    assert population.rarity({7, 8}) < population.rarity({7}) < population.rarity({9}) == Population().rarity({7})
    assert population.rarity({UNKNOWN_DEVICE}) == population.rarity(()) == 0.0

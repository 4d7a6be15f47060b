"""The order of the intake: who floods waits longest, nobody is forgotten, what one member sends stays in its order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core.errors import DaxaError, ErrorCode
from daxa_registry.service.fair_queue import ALONE_SECONDS, QUANTUM, FairQueue

MOST = 8_000


def queue(per_member: int = 1_000) -> FairQueue[str]:
    return FairQueue(per_member, MOST, clock=lambda: 0.0)


def test_a_members_one_batch_is_not_behind_another_members_row() -> None:
    """However many wait before it: it is in the next group, with no more than a quantum of anybody else's."""
    fair = queue()
    for number in range(500):
        fair.put("flooder", f"f{number}", QUANTUM)
    fair.put("other", "o", QUANTUM)
    group = fair.take()
    assert "o" in group
    assert len(group) <= 2


def test_a_member_that_comes_while_another_floods_is_next() -> None:
    """What the flooder has waiting was put first and is taken after."""
    fair = queue()
    for number in range(500):
        fair.put("flooder", f"f{number}", QUANTUM)
    fair.put("other", "o0", QUANTUM)
    fair.take()
    for turn in range(1, 20):
        fair.take()
        fair.put("other", f"o{turn}", QUANTUM)
        group = fair.take()
        assert f"o{turn}" in group
        assert len(group) <= 2


def test_one_who_is_alone_gets_large_groups() -> None:
    """The cost of a commit is shared by all that waits, up to the group's size; and again when the others went quiet."""
    now = [0.0]
    fair: FairQueue[str] = FairQueue(1_000, MOST, clock=lambda: now[0])
    fair.put("other", "o", 1)
    fair.take()
    for number in range(200):
        fair.put("busy", f"b{number}", QUANTUM)
    assert len(fair.take()) == 1
    now[0] = ALONE_SECONDS + 1.0
    assert len(fair.take()) == MOST // QUANTUM


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3 * QUANTUM)), max_size=60))
def test_everything_is_taken_once_and_in_its_members_order(puts: list[tuple[str, int]]) -> None:
    """Whatever is put by whom: nothing is lost, doubled or reordered within a member."""
    fair: FairQueue[tuple[str, int]] = FairQueue(1_000, MOST, clock=lambda: 0.0)
    for number, (member, size) in enumerate(puts):
        fair.put(member, (member, number), size)
    fair.close()
    taken: list[tuple[str, int]] = []
    while group := fair.take():
        taken += group
    assert sorted(number for _, number in taken) == list(range(len(puts)))
    for member in "abcde":
        numbers = [number for who, number in taken if who == member]
        assert numbers == sorted(numbers)


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=200))
def test_service_is_shared_evenly_while_both_wait(order: list[str]) -> None:
    """While two members have something waiting, neither is ahead of the other by more than two quanta."""
    fair = queue()
    for number, member in enumerate(order):
        fair.put(member, f"{member}{number}", QUANTUM)
    fair.close()
    waiting = {member: order.count(member) for member in "ab"}
    served = {"a": 0, "b": 0}
    while group := fair.take():
        for item in group:
            served[item[0]] += 1
            waiting[item[0]] -= 1
        if all(waiting.values()):
            assert abs(served["a"] - served["b"]) <= 2


def test_too_much_of_one_member_is_refused_and_of_another_is_not() -> None:
    """With a time to come back; the others' places are theirs."""
    fair = queue(per_member=2)
    fair.put("a", "1", 1)
    fair.put("a", "2", 1)
    with pytest.raises(DaxaError) as caught:
        fair.put("a", "3", 1)
    assert caught.value.code is ErrorCode.OVERLOADED
    assert caught.value.retry_after == 1.0
    fair.put("b", "1", 1)


def test_a_queue_that_is_closed_takes_nothing_more_and_gives_what_it_has() -> None:
    """A registry that shuts down answers what it took."""
    fair = queue()
    fair.put("a", "1", 1)
    fair.close()
    with pytest.raises(DaxaError, match="UNAVAILABLE"):
        fair.put("a", "2", 1)
    assert fair.take() == ["1"]
    assert fair.take() == []


def test_only_who_has_enough_waiting_while_others_are_served_has_time() -> None:
    """What waits of others counts, and what was taken of theirs last; one's own never does."""
    fair = queue()
    assert not fair.has_time("flooder", 0)
    fair.put("other", "o", QUANTUM)
    assert fair.has_time("flooder", 0)
    assert not fair.has_time("flooder", 2)
    assert not fair.has_time("other", 1)
    for number in range(3):
        fair.put("flooder", f"f{number}", QUANTUM)
    assert fair.has_time("flooder", 3)
    assert set(fair.take()) == {"o", "f0"}
    assert fair.has_time("flooder", 2)
    fair.take()
    assert not fair.has_time("flooder", 1)

"""Whose turn it is among several targets."""

from __future__ import annotations

from daxa_client._turns import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_has_its_turn_and_who_failed_has_it_again_after_a_rest() -> None:
    """The rest doubles with each failure after it, up to a longest; an answer ends it."""
    clock = Clock()
    turns = Turns(3, first=2, clock=clock)
    assert [turns.take() for _ in range(4)] == [2, 0, 1, 2]
    rest = FIRST_REST_SECONDS
    for _ in range(8):
        turns.failed(1)
        turns.failed(1)  # beside the other: one failure
        clock.now += min(rest, LONGEST_REST_SECONDS) - 0.01
        assert 1 not in {turns.take() for _ in range(6)}
        clock.now += 0.01
        assert 1 in {turns.take() for _ in range(3)}
        rest *= 2
    turns.failed(1)
    turns.served(1)
    assert 1 in {turns.take() for _ in range(3)}
    turns.failed(1)
    clock.now += FIRST_REST_SECONDS
    assert 1 in {turns.take() for _ in range(3)}


def test_where_all_rest_they_are_asked_in_turn_all_the_same() -> None:
    """Whichever comes back first is found."""
    turns = Turns(2, first=0, clock=Clock())
    for place in (0, 1):
        turns.failed(place)
    assert [turns.take() for _ in range(4)] == [0, 1, 0, 1]

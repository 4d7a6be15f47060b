"""What one peer may ask: at once and a minute, with the time to come back, and nobody's limit another's."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest

from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.model import MAX_BLINDED_ELEMENTS, MAX_KEYS_PER_LOOKUP, MAX_SIGHTINGS
from daxa_registry.rpc.identity import RIGHTS
from daxa_registry.service.limits import (
    ALL_AT_ONCE,
    AT_ONCE,
    LEAST_PER_MINUTE,
    OTHERS_AT_ONCE,
    PER_MINUTE,
    Limits,
    read_spent,
)


def spend(limits: Limits, cost: int, peer: str = "member/upbit", call: str = "Evaluate") -> None:
    with limits.enter(peer, call, cost):
        pass


def test_a_minutes_worth_may_be_used_at_once_and_comes_back_steadily() -> None:
    """Past it the refusal says when as much as was asked is there again, and then it is."""
    now = [0.0]
    limits = Limits({"Evaluate": 6_000}, clock=lambda: now[0])
    spend(limits, 6_000)
    with pytest.raises(Refused) as caught:
        spend(limits, 500)
    assert caught.value.code is ErrorCode.QUOTA_EXHAUSTED
    assert caught.value.retry_after == pytest.approx(5.0)
    now[0] = 5.01
    spend(limits, 500)
    with pytest.raises(Refused):
        spend(limits, 500)


def test_a_refusal_costs_nothing_and_peers_and_calls_are_counted_apart() -> None:
    """An asker that is refused again and again is not pushed further back, nor is anybody else."""
    limits = Limits({"Evaluate": 1_000, "BatchGetVerdicts": 1_000}, clock=lambda: 0.0)
    spend(limits, 600)
    for _ in range(50):
        with pytest.raises(Refused) as caught:
            spend(limits, 500)
        assert caught.value.retry_after == pytest.approx(6.0)
    spend(limits, 400)
    spend(limits, 1_000, peer="operator/upbit")
    spend(limits, 1_000, call="BatchGetVerdicts")
    assert limits.used()["member/upbit", "Evaluate"] == pytest.approx(1.0)


def test_calls_at_once_are_bounded_and_end() -> None:
    """One too many is OVERLOADED; when one ends there is a place again, and nothing is kept of those that ended."""
    limits = Limits()
    with ExitStack() as running:
        for _ in range(AT_ONCE["WatchVerdicts"]):
            running.enter_context(limits.enter("member/upbit", "WatchVerdicts"))
        with pytest.raises(Refused) as caught:
            spend(limits, 1, call="WatchVerdicts")
        assert caught.value.code is ErrorCode.OVERLOADED
        assert caught.value.retry_after == 1.0
        spend(limits, 1, peer="member/bithumb", call="WatchVerdicts")
    spend(limits, 1, call="WatchVerdicts")
    assert not limits._running


def test_all_calls_of_one_peer_together_are_bounded_and_end() -> None:
    """Spread over many calls, each below its own bound, they are too many at last: a code of its own, counted by peer."""
    limits = Limits()
    calls = sorted({method.rpartition("/")[2] for method in RIGHTS})
    kinds = [call for call in calls for _ in range(AT_ONCE.get(call, OTHERS_AT_ONCE) // 2)]
    assert len(kinds) > ALL_AT_ONCE
    with ExitStack() as running:
        for call in kinds[:ALL_AT_ONCE]:
            running.enter_context(limits.enter("member/upbit", call))
        with pytest.raises(Refused) as caught:
            spend(limits, 1, call=kinds[ALL_AT_ONCE])
        assert (caught.value.code, caught.value.retry_after) == (ErrorCode.TOO_MANY_CALLS, 1.0)
        spend(limits, 1, peer="member/bithumb", call=kinds[ALL_AT_ONCE])
        assert limits.running() == {("member/upbit",): ALL_AT_ONCE}
    spend(limits, 1, call=kinds[ALL_AT_ONCE])
    assert limits.running() == {}


def test_what_another_node_spent_is_read_or_refused() -> None:
    """As it was told; and nothing else ends in an error without a code, or gives anybody more."""
    told = [("member/upbit", "Evaluate", 512)]
    assert read_spent(json.dumps(told)) == told
    for wrong in (
        "",
        "{}x",
        "7",
        '["abc"]',
        '[["a", "b", -1]]',
        '[["a", "b", 1e3]]',
        f'[["a", "b", 1{"0" * 400}]]',
        "[" * 9_999,
    ):
        with pytest.raises(InvalidInput, match="INVALID_VALUE: notice"):
            read_spent(wrong)


def test_every_limit_is_of_a_call_that_there_is_and_lets_a_full_one_through() -> None:
    """A name that is misspelt would limit nothing; a limit below a full batch would refuse it for ever."""
    calls = {method.rpartition("/")[2] for method in RIGHTS}
    assert set(PER_MINUTE) | set(AT_ONCE) <= calls
    assert max(MAX_SIGHTINGS, MAX_KEYS_PER_LOOKUP, MAX_BLINDED_ELEMENTS) <= LEAST_PER_MINUTE <= min(PER_MINUTE.values())
    assert 0 < OTHERS_AT_ONCE <= max(AT_ONCE.values()) < ALL_AT_ONCE

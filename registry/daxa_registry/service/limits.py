"""What one peer may ask of a server: how many calls at once, and how much a minute. Past it: when to come back.

A minute's worth may be used at once (a token bucket). Nodes of one registry tell each other what was spent, so that the limit is
one at all of them, within a second of time. The unit is what the call carries: sightings, keys, elements, or the
call itself. Peers and calls are counted apart, so that nobody's limit is another's.

>>> limits = Limits({"Evaluate": 600}, clock=lambda: 0.0)
>>> with limits.enter("member/upbit", "Evaluate", 512):
...     pass
>>> with limits.enter("member/upbit", "Evaluate", 512):
...     pass
Traceback (most recent call last):
    ...
daxa_core.errors.Refused: QUOTA_EXHAUSTED: call: at most 600 a minute of what Evaluate carries
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from daxa_core.errors import ErrorCode, InvalidInput, Refused

PER_MINUTE = {
    "SubmitSightings": 3_000_000,
    "BatchGetVerdicts": 6_000_000,
    "Evaluate": 3_000_000,
    "AddLeakedKeys": 3_000_000,
    "ConfirmLeakedKeys": 60_000,
}
"""Sightings, keys, elements; the names are those of the calls."""
OTHERS_PER_MINUTE = 60_000
LEAST_PER_MINUTE = 1_000
"""A lower limit could never let a full batch through."""
AT_ONCE = {"SubmitSightings": 16, "WatchVerdicts": 16, "Evaluate": 128, "GetParameters": 128}
OTHERS_AT_ONCE = 64
"""Calls of one peer that run at each node: what they bound is what one node holds, so nodes do not tell each other of it."""
ALL_AT_ONCE = 160
"""Of all of one peer's calls together, streams that stay open among them: more than any one of its calls may have, and so few
that what five members hold open leaves connections for everybody else."""
_ALL = ""


class Limits:
    """Counts what each peer uses. For one thread: the event loop of the server."""

    def __init__(
        self, per_minute: Mapping[str, int] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``per_minute`` overrides PER_MINUTE; ``clock`` is in seconds."""
        self._per_minute = {**PER_MINUTE, **(per_minute or {})}
        self._clock = clock
        self._running: Counter[tuple[str, str]] = Counter()
        self._left: dict[tuple[str, str], tuple[float, float]] = {}
        self._spent: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def enter(self, peer: str, call: str, cost: int = 0) -> Iterator[None]:
        """Counts the call while the block runs; ``cost``: where it is known already, what :meth:`spend` would take.

        Raises Refused OVERLOADED where the peer has too many of it running, TOO_MANY_CALLS where it has too many of all, and
        QUOTA_EXHAUSTED where its minute is used up, each with the seconds to wait; then nothing is counted.
        """
        this, all_its = (peer, call), (peer, _ALL)
        most = AT_ONCE.get(call, OTHERS_AT_ONCE)
        if self._running[this] >= most:
            raise Refused(ErrorCode.OVERLOADED, "call", f"at most {most} calls at once", retry_after=1.0)
        if self._running[all_its] >= ALL_AT_ONCE:
            wanted = f"at most {ALL_AT_ONCE} calls of one peer at once, whatever they are"
            raise Refused(ErrorCode.TOO_MANY_CALLS, "call", wanted, retry_after=1.0)
        if cost:
            self.spend(peer, call, cost)
        for who in (this, all_its):
            self._running[who] += 1
        try:
            yield
        finally:
            for who in (this, all_its):
                self._running[who] -= 1
                if not self._running[who]:
                    del self._running[who]

    def running(self) -> dict[tuple[str, ...], float]:
        """By peer: the calls that are under way."""
        return {(peer,): float(number) for (peer, call), number in list(self._running.items()) if call == _ALL}

    def used(self) -> dict[tuple[str, ...], float]:
        """By peer and call: the share of the minute's worth that is used up now, 0 to 1."""
        now = self._clock()
        return {who: 1.0 - self._now_left(who, now) / self._limit(who[1]) for who in list(self._left)}

    def _limit(self, call: str) -> int:
        return self._per_minute.get(call, OTHERS_PER_MINUTE)

    def _now_left(self, who: tuple[str, str], now: float) -> float:
        limit = self._limit(who[1])
        left, at = self._left.get(who, (float(limit), now))
        return min(left + (now - at) * limit / 60.0, float(limit))

    def spend(self, peer: str, call: str, cost: int) -> None:
        """Takes off what a call carries. Raises as :meth:`enter`."""
        who, now = (peer, call), self._clock()
        limit = self._limit(who[1])
        left = self._now_left(who, now)
        if cost > left:
            wait = (cost - left) * 60.0 / limit
            wanted = f"at most {limit} a minute of what {who[1]} carries"
            raise Refused(ErrorCode.QUOTA_EXHAUSTED, "call", wanted, retry_after=wait)
        self._left[who] = (left - cost, now)
        self._spent[who] += cost

    def take_spent(self) -> list[tuple[str, str, int]]:
        """What was spent here since the last time: peer, call, cost. For the other nodes of the registry."""
        spent = [(peer, call, cost) for (peer, call), cost in self._spent.items()]
        self._spent.clear()
        return spent

    def spent_elsewhere(self, peer: str, call: str, cost: int) -> None:
        """Takes off what the peer spent at another node; it may owe a minute's worth and no more."""
        now = self._clock()
        who = (peer, call)
        self._left[who] = (max(self._now_left(who, now) - cost, -float(self._limit(call))), now)


def read_spent(notice: str) -> list[tuple[str, str, int]]:
    """What another node tells of :meth:`Limits.take_spent`, as JSON. Raises InvalidInput for anything else."""
    try:
        told = [(peer, call, cost) for peer, call, cost in json.loads(notice)]
    except (TypeError, ValueError, RecursionError):
        told = [("", "", -1)]
    if not all(isinstance(p, str) and isinstance(c, str) and type(n) is int and 0 <= n < 1 << 63 for p, c, n in told):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "notice", "peer, call and cost, again and again")
    return told

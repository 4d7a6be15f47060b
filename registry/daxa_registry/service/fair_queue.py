"""A queue in which one who floods waits longest: what is taken next is of the member that was served least.

Start-time fair queueing (Goyal, Vin, Cheng 1996): each item carries the service its member had when it came, and the lowest goes
first. A group holds what came before ``QUANTUM`` more units of service, so that a member with a single batch is never
answered behind a row of another's. While one member alone is busy, its groups are as large as they may be.

>>> fair = FairQueue(per_member=10, most=8_000)
>>> for item in ("a1", "a2", "a3"):
...     fair.put("a", item, 200)
>>> fair.put("b", "b1", 200)
>>> fair.take(), fair.take()
(['a1', 'b1'], ['a2'])
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from daxa_core.errors import ErrorCode, Refused, Unavailable

QUANTUM = 100
"""Sightings that one member may have in a group while others are busy: what everybody else may have to wait for."""
ALONE_SECONDS = 60.0
"""How long after another member's last item a member is not alone."""
T = TypeVar("T")


class FairQueue(Generic[T]):
    """Any number of threads put, one takes. What one member puts is taken in its order."""

    def __init__(self, per_member: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``per_member``: items that may wait for each; ``most``: the size of a group of one who is alone."""
        self._per_member = per_member
        self._most = most
        self._clock = clock
        self._ready = threading.Condition()
        self._waiting: dict[str, deque[tuple[float, int, T]]] = {}
        self._heads: list[tuple[float, int, str]] = []
        self._finish: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._virtual = 0.0
        self._number = 0
        self._taken: frozenset[str] = frozenset()
        self._closed = False

    def put(self, member: str, item: T, size: int) -> None:
        """Raises Refused OVERLOADED where the member has too many waiting, Unavailable after :meth:`close`."""
        with self._ready:
            if self._closed:
                raise Unavailable(ErrorCode.UNAVAILABLE, "registry", "one that is not shutting down", retry_after=1.0)
            mine = self._waiting.setdefault(member, deque())
            if len(mine) >= self._per_member:
                wanted = f"fewer than {self._per_member} of this member's batches waiting; try again"
                raise Refused(ErrorCode.OVERLOADED, "call", wanted, retry_after=1.0)
            start = max(self._virtual, self._finish.get(member, 0.0))
            self._finish[member] = start + max(size, 1)
            self._seen[member] = self._clock()
            mine.append((start, size, item))
            if len(mine) == 1:
                self._push(member, start)
            self._ready.notify()

    def take(self) -> list[T]:
        """The next group; waits for one. Empty when the queue is closed and nothing is left."""
        with self._ready:
            self._taken = frozenset()
            while not self._heads:
                if self._closed:
                    return []
                self._ready.wait()
            start, _, member = self._heads[0]
            self._virtual = start
            within = self._most if self._alone(member) else QUANTUM
            group: list[T] = []
            taken: set[str] = set()
            total = 0
            while self._heads and total < self._most and (not group or self._heads[0][0] < start + within):
                _, _, member = heapq.heappop(self._heads)
                mine = self._waiting[member]
                _, size, item = mine.popleft()
                group.append(item)
                taken.add(member)
                total += max(size, 1)
                if mine:
                    self._push(member, mine[0][0])
            self._taken = frozenset(taken)
            return group

    def has_time(self, member: str, enough: int) -> bool:
        """Whether ``enough`` of this member's items wait, so that nothing is lost by leaving the processor to what others put:
        something of theirs waits, or is in the group that was taken last."""
        with self._ready:
            if len(self._waiting.get(member, ())) < enough:
                return False
            others = {other for other, items in self._waiting.items() if items} | self._taken
            return bool(others - {member})

    def close(self) -> None:
        """Nothing more is put; what waits is still taken."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def _push(self, member: str, start: float) -> None:
        self._number += 1
        heapq.heappush(self._heads, (start, self._number, member))

    def _alone(self, member: str) -> bool:
        since = self._clock() - ALONE_SECONDS
        return all(seen < since for other, seen in self._seen.items() if other != member)

"""Which of several targets is called next: each in its turn, past those that failed just now, which come back after a rest.

gRPC itself balances over the addresses of one name (see :mod:`._channel`). It cannot over several names: a channel asks for one
name in TLS, and nodes that are listed one by one are hosts of which each has to prove its own. So each of them has a channel, and
the turn between these is taken here, as gRPC's ``round_robin`` takes it.

>>> turns = Turns(2, first=1)
>>> turns.take(), turns.take(), turns.take()
(1, 0, 1)
>>> turns.failed(0)
>>> turns.take(), turns.take()
(1, 1)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 30.0


class Turns:
    """The turn between so many places, counted from 0. Thread-safe."""

    def __init__(self, places: int, first: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``first``: where to begin."""
        self._turn, self._clock = first, clock
        self._rests_until = [0.0] * places
        self._failures = [0] * places
        self._lock = threading.Lock()

    def take(self) -> int:
        """The place whose turn it is; where all of them rest, whichever is next."""
        with self._lock:
            now, number = self._clock(), len(self._rests_until)
            places = [(self._turn + step) % number for step in range(number)]
            place = next((place for place in places if self._rests_until[place] <= now), places[0])
            self._turn = place + 1
            return place

    def served(self, place: int) -> None:
        """It answered."""
        with self._lock:
            self._failures[place], self._rests_until[place] = 0, 0.0

    def failed(self, place: int) -> None:
        """It could not be reached, or did not answer in time: it rests, longer each time."""
        with self._lock:
            now = self._clock()
            if self._rests_until[place] <= now:  # calls that fail together are one failure
                rest = FIRST_REST_SECONDS * 2.0 ** min(self._failures[place], 30)
                self._failures[place] += 1
                self._rests_until[place] = now + min(rest, LONGEST_REST_SECONDS)

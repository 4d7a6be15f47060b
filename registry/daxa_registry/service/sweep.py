"""The sweep: what time alone moves. It raises what grace held back, lowers what faded, widens scopes whose deadline passed, and
looks at everybody again when a policy has come into force.

It works in small transactions, so that intake waits for none of them long, and goes on where it was after a restart, because
when a verdict is due stands in the store. It refuses nothing.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable

from daxa_core.errors import DaxaError
from daxa_core.model import SECONDS_PER_HOUR
from daxa_registry.store.interface import Store

from .infrastructure import expire
from .matching import Matcher
from .policies import applied, unapplied

LOG = logging.getLogger("daxa_registry.service")
PART = 200
PART_OF_RETENTION = 200
PARTS_OF_RETENTION = 50
"""A run a minute goes through 14 million presences in a day."""
REST = 4.0
"""How many times as long as a part of retention took the next one is waited for: a fifth of the writer's time is all it has."""
RETENTION_SECONDS = 6 * SECONDS_PER_HOUR
"""How long after it has gone through everything it begins again."""


class Sweep:
    """Looks again at what is due. ``run`` may be called from any thread, by one at a time."""

    def __init__(
        self,
        store: Store,
        matcher: Matcher,
        *,
        clock: Callable[[], int],
        on_verdicts: Callable[[dict[int, int]], None] = lambda heads: None,
        part: int = PART,
        retention_hours: int | None = None,
        batch_hours: int | None = None,
        also: Callable[[], None] = lambda: None,
        give_way: Callable[[], None] = lambda: None,
        rest: float = REST,
    ) -> None:
        """``on_verdicts`` is called after each commit that brought news; ``part`` is how many verdicts one may hold.

        Sightings and batch ids older than so many hours are let go of; None keeps them. ``also`` is what else is looked after
        each time, after all that. ``give_way`` is called before each part: what is more urgent goes first.
        ``rest`` is how many times as long as a part of retention took is waited after it, for those who wait to write.
        """
        self._also = also
        self._give_way = give_way
        self._store = store
        self._matcher = matcher
        self._clock = clock
        self._on_verdicts = on_verdicts
        self._part = part
        self._retention_hours, self._batch_hours = retention_hours, batch_hours
        self._rest = rest
        self._rests_until = 0
        self._stopped = threading.Event()

    def run(self) -> int:
        """Everything that is due now; how many subjects were looked at."""
        with self._store.only_here("sweep") as mine:
            return self._run() if mine else 0

    def _run(self) -> int:
        self._told(expire(self._store, self._matcher, self._clock()))
        looked = 0
        fresh = unapplied(self._store)
        while not self._stopped.is_set():
            self._give_way()
            now = self._clock()
            found = self._store.due(now, self._part)
            part = list(itertools.islice(fresh, self._part))
            if not found and not part:
                break
            with self._store.transaction():
                heads = self._matcher.decide({*found, *part}, now)
                if part:
                    applied(self._store, part[-1] if len(part) == self._part else None)
            self._told(heads)
            looked += len(found) + len(part)
        self._let_go()
        self._also()
        return looked

    def _let_go(self) -> None:
        """A few parts of what is too old, each in a transaction of its own; the next run goes on where this one ended."""
        now = self._clock()
        for _ in range(PARTS_OF_RETENTION):
            if self._stopped.is_set() or now < self._rests_until:
                return
            self._give_way()
            heads: dict[int, int] = {}
            with self._store.transaction():
                began = time.perf_counter()
                dropped = 0
                if self._batch_hours is not None:
                    before = now - self._batch_hours * SECONDS_PER_HOUR
                    dropped = self._store.drop_batches(before, PART_OF_RETENTION)
                ended = dropped < PART_OF_RETENTION
                if self._retention_hours is not None:
                    before_hour = now // SECONDS_PER_HOUR - self._retention_hours
                    expired = self._store.expire(before_hour, PART_OF_RETENTION)
                    standings = self._store.standings(expired.subjects)
                    told = [subject for subject, standing in standings.items() if standing.level]
                    heads = self._matcher.decide(told, now) if told else {}
                    ended &= expired.ended
            took = time.perf_counter() - began
            self._told(heads)
            if ended:
                self._rests_until = now + RETENTION_SECONDS
            # A lock is not handed on: who takes it again at once has it, and those who wait for it would go on waiting.
            self._stopped.wait(self._rest * took)

    def every(self, seconds: float) -> None:
        """Runs again and again until :meth:`stop`. What fails is tried again the next time, and told once while it lasts."""
        failing = ""
        while not self._stopped.wait(seconds):
            try:
                self.run()
                failing = ""
            except Exception as error:  # noqa: BLE001 - without a sweep no verdict would ever fall; the class alone is told
                told = str(error) if isinstance(error, DaxaError) else type(error).__name__
                if told != failing:
                    LOG.error("the sweep of verdicts failed and is tried again: %s", told)
                failing = told

    def stop(self) -> None:
        """Ends :meth:`every`, and a run after the part that it is at."""
        self._stopped.set()

    def _told(self, heads: dict[int, int]) -> None:
        if heads:
            self._on_verdicts(heads)

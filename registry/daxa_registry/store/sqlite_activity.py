"""How many presences are in use in each hour of the last weeks, and which of those hours were unusual for the whole market.

One counter per hour, kept in the same transaction as the hours that it counts: what is fitted, back-tested and decided live
then leaves out the same hours. What a batch adds is written with the batch; asking again costs only what has changed since.
Hours further back than decisions compare are dropped, counted from the newest hour that is more than a few wrong clocks.

>>> activity.add(493_000)              # doctest: +SKIP
>>> first, bits = activity.unusual()   # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable

from daxa_registry.decision.overlap import WINDOW_HOURS
from daxa_registry.decision.rhythm import DAYS_AROUND, LEAST, is_unusual

from .database import Database

KEPT_HOURS = WINDOW_HOURS + 24 * max(DAYS_AROUND)


class Activity:
    """The writer's counters; used by one thread, inside a transaction."""

    def __init__(self, connection: Database) -> None:
        self._db = connection
        self.forget()

    def forget(self) -> None:
        """Drops everything remembered and everything unwritten: what the file says is all that is so."""
        self._pending: dict[int, int] = {}
        self._active: dict[int, int] | None = None
        self._doubtful: set[int] = set()
        self._found: set[int] = set()
        self._answer = (0, 0)

    def add(self, hour: int) -> None:
        """A presence in use in an hour in which it was not before."""
        self._pending[hour] = self._pending.get(hour, 0) + 1

    def flush(self) -> None:
        """Writes what was added."""
        if not self._pending:
            return
        self._db.executemany(
            "INSERT INTO activity (hour, active) VALUES (?,?)"
            " ON CONFLICT (hour) DO UPDATE SET active=activity.active+excluded.active",
            list(self._pending.items()),
        )
        if self._active is not None:
            began = not self._pending.keys() <= self._active.keys()
            for hour, more in self._pending.items():
                self._active[hour] = self._active.get(hour, 0) + more
            self._doubtful.update(self._pending)
            if began:
                self._drop_old(self._active)
        self._pending.clear()

    def unusual(self) -> tuple[int, int]:
        """``(first, bits)`` as :func:`daxa_registry.decision.rhythm.unusual_hours` of everything kept, written or not."""
        self.flush()
        if self._active is None:
            self._active = dict(self._db.execute("SELECT hour, active FROM activity"))
            self._doubtful = set(self._active)
        if self._doubtful:
            self._look_again(self._active)
            first = min(self._found, default=0)
            self._answer = first, sum(1 << (hour - first) for hour in self._found)
        return self._answer

    def _drop_old(self, active: dict[int, int]) -> None:
        newest = max((hour for hour, number in active.items() if number >= LEAST), default=0)
        old = [hour for hour in active if hour <= newest - KEPT_HOURS]
        if old:
            self._db.executemany("DELETE FROM activity WHERE hour=?", [(hour,) for hour in old])
            for hour in old:
                del active[hour]
            self._found.difference_update(old)

    def _look_again(self, active: dict[int, int]) -> None:
        """An hour counts for itself and for the same hour of the days around it."""
        for hour in self._doubtful | {hour + 24 * day for hour in self._doubtful for day in DAYS_AROUND}:
            if is_unusual(active, hour):
                self._found.add(hour)
            else:
                self._found.discard(hour)
        self._doubtful.clear()


def take_back(database: Database, hours: Iterable[int]) -> None:
    """One presence less in use in each of these hours; those that are no longer kept stay so."""
    database.executemany("UPDATE activity SET active=active-1 WHERE hour=? AND active>0", [(hour,) for hour in hours])

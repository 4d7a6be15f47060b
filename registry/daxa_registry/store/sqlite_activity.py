"""How many presences each member has in use in each hour of the last weeks, and which of those hours were unusual for the market.

One counter per hour and member, kept in the same transaction as the hours that it counts: what is fitted, back-tested and decided
live then leaves out the same hours. What a batch adds is written with the batch; asking again costs only what has changed since.
Hours further back than decisions compare are dropped, counted from the newest hour that is more than a few wrong clocks.

>>> activity.add(1, 493_000)           # doctest: +SKIP
>>> first, bits = activity.unusual()   # doctest: +SKIP
"""

from __future__ import annotations

from collections import Counter
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
        self._pending: dict[tuple[int, int], int] = {}
        self._active: dict[int, dict[int, int]] | None = None
        self._doubtful: set[int] = set()
        self._found: set[int] = set()
        self._answer = (0, 0)

    def add(self, member: int, hour: int) -> None:
        """A presence of that member in use in an hour in which it was not before."""
        self._pending[hour, member] = self._pending.get((hour, member), 0) + 1

    def flush(self) -> None:
        """Writes what was added."""
        if not self._pending:
            return
        self._db.executemany(
            "INSERT INTO activity (hour, member, active) VALUES (?,?,?)"
            " ON CONFLICT (hour, member) DO UPDATE SET active=activity.active+excluded.active",
            [(hour, member, more) for (hour, member), more in self._pending.items()],
        )
        if self._active is not None:
            began = False
            for (hour, member), more in self._pending.items():
                hours = self._active.setdefault(member, {})
                began = began or hour not in hours
                hours[hour] = hours.get(hour, 0) + more
                self._doubtful.add(hour)
            if began:
                self._drop_old(self._active)
        self._pending.clear()

    def take_back(self, hours: Iterable[tuple[int, int]]) -> None:
        """For each hour and member, one presence less in use; those that are no longer kept stay so."""
        self.flush()
        gone = Counter(hours)
        query = "SELECT hour, member, active FROM activity WHERE hour IN ({})"
        stored = self._db.select(query, {hour for hour, _ in gone})
        fewer = [(hour, member, max(active - gone[hour, member], 0)) for hour, member, active in stored if active]
        self._db.update("activity", ("active=",), fewer, ("hour", "member"))
        if self._active is not None:
            for hour, member, active in fewer:
                self._active[member][hour] = active
                self._doubtful.add(hour)

    def unusual(self) -> tuple[int, int]:
        """``(first, bits)`` as :func:`daxa_registry.decision.rhythm.unusual_hours` of everything kept, written or not."""
        self.flush()
        if self._active is None:
            self._active = {}
            for hour, member, active in self._db.execute("SELECT hour, member, active FROM activity"):
                self._active.setdefault(member, {})[hour] = active
                self._doubtful.add(hour)
        if self._doubtful:
            self._look_again(self._active)
            first = min(self._found, default=0)
            self._answer = first, sum(1 << (hour - first) for hour in self._found)
        return self._answer

    def _drop_old(self, active: dict[int, dict[int, int]]) -> None:
        counted: Counter[int] = Counter()
        for hours in active.values():
            counted.update(hours)
        newest = max((hour for hour, number in counted.items() if number >= LEAST), default=0)
        old = {hour for hour in counted if hour <= newest - KEPT_HOURS}
        if old:
            self._db.executemany("DELETE FROM activity WHERE hour=?", [(hour,) for hour in old])
            for hours in active.values():
                for hour in old & hours.keys():
                    del hours[hour]
            self._found -= old

    def _look_again(self, active: dict[int, dict[int, int]]) -> None:
        """An hour counts for itself and for the same hour of the days around it."""
        for hour in self._doubtful | {hour + 24 * day for hour in self._doubtful for day in DAYS_AROUND}:
            if is_unusual(active, hour):
                self._found.add(hour)
            else:
                self._found.discard(hour)
        self._doubtful.clear()

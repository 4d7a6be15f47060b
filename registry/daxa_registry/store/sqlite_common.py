"""How common client stacks are, from a sample of the subjects: what a decision asks of the market, and no counter keeps.

>>> Common(database).stacks()                # doctest: +SKIP
{17: 0.21, 4: 0.06}
"""

from __future__ import annotations

from collections.abc import Mapping

from daxa_registry.decision.graph import UNKNOWN_DEVICE
from daxa_registry.decision.rarity import common_stacks

from .database import Database

SAMPLE = 4_000
"""So many subjects are looked at, evenly over all: a share of 5 % of the 800 of one member is told to 0.8 %."""
GROWN = 1.25
LASTS = 10_000
"""They are looked at again when there are so many times more, or after so many chunks of decisions: programs change."""


class Common:
    """Asks one connection, which sees what was written."""

    def __init__(self, connection: Database) -> None:
        self._db = connection
        self.forget()

    def forget(self) -> None:
        """Drops what was found: a transaction that failed may have seen it. What others write moves shares by little."""
        self._of = self._asked = 0
        self._stacks: Mapping[int, float] = {}

    def stacks(self) -> Mapping[int, float]:
        """The share of the market's keys that use each common client stack; the same object until another is found."""
        newest = self._db.execute("SELECT max(id) FROM subject").fetchone()[0] or 0
        self._asked += 1
        if newest > GROWN * self._of or self._asked > LASTS:
            self._of, self._asked = newest, 0
            found = self._look(newest)
            if found != self._stacks:
                self._stacks = found
        return self._stacks

    def _look(self, newest: int) -> dict[int, float]:
        looked_at = range(1, newest + 1, max(newest // SAMPLE, 1))
        query = "SELECT DISTINCT member, subject, device FROM presence WHERE manner=1 AND subject IN ({})"
        seen: dict[int, set[int]] = {}
        users: dict[int, dict[int, int]] = {}
        for member, subject, device in self._db.select(query, looked_at):
            seen.setdefault(member, set()).add(subject)
            counted = users.setdefault(member, {})
            if device != UNKNOWN_DEVICE:
                counted[device] = counted.get(device, 0) + 1
        return common_stacks({member: (len(subjects), users[member]) for member, subjects in seen.items()})

"""With which client stacks somebody goes through a list over many addresses; asked when a key was refused elsewhere.

A stock stack has refusals too: whose holder's key expired, who moved to it and mistyped. So of a stack's refused keys those
count that are used, and never with it; and none of them where as many keys were lately seen in use with it, for a list that is
gone through has few keys that work.

>>> Stacks(database).tried_with(7, first=1_000, last=1_048)                # doctest: +SKIP
(Tried(key=17, first=1_001, last=1_001), ...)
"""

from __future__ import annotations

from daxa_registry.decision.graph import Tried
from daxa_registry.decision.refusals import TESTER_KEYS

from .database import Database
from .hours import unpack

MOST_ROWS = 500
"""Of a stack's refusals the latest are looked at: a stack with more than that is a stock one, or long known."""
LATELY = 100_000
"""Among so many presences, the newest, a stock stack is in use: no index of all of them is kept for so rare a question."""
ASKED_AGAIN = 10_000
"""After so many new presences, or a tenth more than there were."""
REMEMBERED = 1_000


class Stacks:
    """Asks one connection, which sees what was written."""

    def __init__(self, connection: Database) -> None:
        self._db = connection
        self._used: dict[int, tuple[int, int]] = {}

    def tried_with(self, device: int, first: int, last: int) -> tuple[Tried, ...]:
        """The keys that were first refused with that stack in those hours and are used with others alone, the latest first; none
        where they are too few to be a list, or no more than the keys that are used with it."""
        rows = self._db.execute(
            "SELECT s.key, p.first, p.hours FROM presence p JOIN subject s ON s.id=p.subject"
            " WHERE p.device=? AND p.manner=2 AND p.first BETWEEN ? AND ? ORDER BY p.first DESC, p.id LIMIT ?",
            (device, first, last, MOST_ROWS),
        ).fetchall()
        keys = {key for key, _, _ in rows}
        if len(keys) < TESTER_KEYS or len(keys) <= self._used_with(device):
            return ()
        query = (
            "SELECT u.key FROM (SELECT s.key, CASE WHEN p.device=? THEN 1 ELSE 0 END AS own FROM subject s"
            " JOIN presence p ON p.subject=s.id WHERE p.manner=1 AND s.key IN ({})) u GROUP BY u.key HAVING max(u.own)=0"
        )
        foreign = {key for (key,) in self._db.select(query, keys, device)}
        if len(foreign) < TESTER_KEYS or len(foreign) <= self._used_with(device):
            return ()
        return tuple(
            Tried(key, begun, begun + unpack(hours).bit_length() - 1) for key, begun, hours in rows if key in foreign
        )

    def _used_with(self, device: int) -> int:
        """How many keys were lately seen in use with that stack."""
        [newest] = self._db.execute("SELECT coalesce(max(id), 0) FROM presence").fetchone()
        known = self._used.get(device)
        if known is None or newest - known[0] > min(ASKED_AGAIN, known[0] // 10):
            [keys] = self._db.execute(
                "SELECT count(DISTINCT s.key) FROM (SELECT subject, device, manner FROM presence ORDER BY id DESC LIMIT ?) p"
                " JOIN subject s ON s.id=p.subject WHERE p.device=? AND p.manner=1",
                (LATELY, device),
            ).fetchone()
            if len(self._used) >= REMEMBERED:
                self._used.clear()
            known = self._used[device] = newest, int(keys)
        return known[1]

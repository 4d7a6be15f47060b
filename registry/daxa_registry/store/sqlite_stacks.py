"""What else was refused with a client stack: whether somebody goes through a list with it over many addresses.

A stock stack has refusals too: whose holder's key expired, who moved to it and mistyped. So it is told of each key that is in
use who saw it so with that stack, and who with another; the decision weighs them.

>>> Stacks(database).tried_with(7, first=1_000, last=1_048)                # doctest: +SKIP
(Tried(key=17, first=1_001, last=1_001, member=2, users=frozenset(), others=frozenset({1})), ...)
"""

from __future__ import annotations

from daxa_registry.decision.graph import Tried
from daxa_registry.decision.refusals import TESTER_KEYS

from .database import Database
from .hours import unpack

MOST_ROWS = 500
"""Of a stack's refusals the latest are looked at: a stack with more than that is a stock one, or long known."""


class Stacks:
    """Asks one connection, which sees what was written."""

    def __init__(self, connection: Database) -> None:
        self._db = connection

    def tried_with(self, device: int, first: int, last: int) -> tuple[Tried, ...]:
        """The keys in use that were first refused with that stack in those hours, the latest first; none where they are too few
        to be a list."""
        rows = self._db.execute(
            "SELECT s.key, p.first, p.hours, s.member FROM presence p JOIN subject s ON s.id=p.subject"
            " WHERE p.device=? AND p.manner=2 AND p.first BETWEEN ? AND ? ORDER BY p.first DESC, p.id LIMIT ?",
            (device, first, last, MOST_ROWS),
        ).fetchall()
        keys = {row[0] for row in rows}
        if len(keys) < TESTER_KEYS:
            return ()
        users: dict[int, set[int]] = {}
        others: dict[int, set[int]] = {}
        query = (
            "SELECT DISTINCT s.key, s.member, CASE WHEN p.device=? THEN 1 ELSE 0 END FROM subject s"
            " JOIN presence p ON p.subject=s.id WHERE p.manner=1 AND s.key IN ({})"
        )
        for key, member, same in self._db.select(query, keys, device):
            (users if same else others).setdefault(key, set()).add(member)
        if len(users.keys() | others.keys()) < TESTER_KEYS:
            return ()
        return tuple(
            Tried(
                key,
                begun,
                begun + unpack(hours).bit_length() - 1,
                member,
                frozenset(users.get(key, ())),
                frozenset(others.get(key, ())),
            )
            for key, begun, hours, member in rows
            if key in users or key in others
        )

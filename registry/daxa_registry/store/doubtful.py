"""Networks and client stacks that perhaps nothing names any more: which do, only a walk through all presences tells.

To count who names them, or to index it, would cost every new presence; so only what goes costs. The network and the client
stack of a presence that goes are in doubt. Retention walks through all presences again and again: what one that it meets names is
in doubt no more, and what was in doubt before a walk began, and still is at its end, leaves. That holds whichever node does which
part, and whatever comes meanwhile: where the walk is stands in the database, and what is new is always ahead of it.

>>> doubt(database, {7, 8}, since=3)                     # doctest: +SKIP
>>> let_go(database, walk=4, limit=1_000)                # doctest: +SKIP
(True, [(<Kind.DEVICE: 4>, b'...')])
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daxa_core.model import Kind
from daxa_registry.decision.graph import UNKNOWN_DEVICE

from .database import Database


@dataclass(frozen=True, slots=True)
class Walk:
    """Which walk through the presences it is, and the last one that it has come to (0: it has ended)."""

    number: int = 0
    reached: int = 0

    @classmethod
    def of(cls, database: Database) -> Walk:
        """The one that the database is at; where that cannot be read, what is in doubt waits for a whole one after all before."""
        found = database.execute("SELECT body FROM document WHERE kind='retention' AND name='walk'").fetchone()
        if found is None:
            return cls()
        try:
            number, reached = map(int, found[0].split())
        except ValueError:
            return cls(database.execute("SELECT coalesce(max(since), 0) FROM doubtful").fetchone()[0])
        return cls(number, reached)

    def save(self, database: Database) -> None:
        """From now on it is at this one."""
        database.execute(
            "INSERT INTO document VALUES ('retention', 'walk', ?) ON CONFLICT (kind, name) DO UPDATE SET body=excluded.body",
            (f"{self.number} {self.reached}",),
        )


def doubt(database: Database, nodes: set[int], since: int) -> None:
    """Presences went that named these, in the walk of that number or after it."""
    already = {node for (node,) in database.select("SELECT node FROM doubtful WHERE node IN ({})", nodes)}
    rows = [(node, since) for node in sorted(nodes - already - {UNKNOWN_DEVICE})]
    database.insert("doubtful (node, since)", rows)


def named(database: Database, nodes: Iterable[int]) -> None:
    """The walk has met presences that name these."""
    if database.execute("SELECT 1 FROM doubtful LIMIT 1").fetchone():
        _settle(database, nodes)


def let_go(database: Database, walk: int, limit: int) -> tuple[bool, list[tuple[Kind, bytes]]]:
    """This walk has come to the end of all presences. At most so many leave of what was in doubt before it began: whether these
    were all, and which."""
    rows = database.execute("SELECT node FROM doubtful WHERE since<? LIMIT ?", (walk, limit)).fetchall()
    nodes = [node for (node,) in rows]
    _settle(database, nodes)
    gone = database.select("DELETE FROM node WHERE id IN ({}) AND infrastructure=0 RETURNING kind, fingerprint", nodes)
    return len(nodes) < limit, [(Kind(kind), print_) for kind, print_ in gone]


def _settle(database: Database, nodes: Iterable[int]) -> None:
    list(database.select("DELETE FROM doubtful WHERE node IN ({}) RETURNING node", nodes))

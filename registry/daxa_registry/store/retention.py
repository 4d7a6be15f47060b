"""What is older than sightings count leaves the database: hours, then presences, then whoever has none left and no verdict.

It goes through the presences in the order of their ids, a part at a time, so it needs no index of its own, nor a long
transaction; what a part does it does in a few statements, for intake waits meanwhile. Where it is stands in the database, for
whichever node does the next part. At the end those networks and client stacks leave that nothing names any more
(:mod:`.doubtful`).

>>> expire(database, before_hour=493_000, limit=1_000)              # doctest: +SKIP
Expired(ended=False, subjects=frozenset({17}))
"""

from __future__ import annotations

from daxa_core.model import Manner

from .database import Database
from .doubtful import Walk, doubt, let_go, named
from .hours import pack, unpack, without
from .interface import Expired
from .sqlite_withdraw import Left, leave, recount, vacate


def expire(database: Database, before_hour: int, limit: int) -> tuple[Expired, Left]:
    """As :meth:`daxa_registry.store.interface.Store.expire`, and what left; everything pending must have been written."""
    walk = Walk.of(database)
    if not walk.reached:
        walk = Walk(walk.number + 1)
    rows = database.execute(
        "SELECT id, address, network, device, member, subject, manner, first, hours, count FROM presence"
        " WHERE id > ? ORDER BY id LIMIT ?",
        (walk.reached, limit),
    ).fetchall()
    [counted_from] = database.execute("SELECT min(hour) FROM activity").fetchone()
    shorter: list[tuple[object, ...]] = []
    gone: list[int] = []
    hours_gone: list[tuple[int, int]] = []
    places: dict[int, set[int]] = {}
    emptied: dict[int, set[int]] = {}
    missed: set[int] = set()
    met: set[int] = set()
    for presence, address, network, device, member, subject, manner, first, hours, count in rows:
        if first >= before_hour:
            met.update((network, device))
            continue
        bits = unpack(hours)
        left_first, left = without(first, bits, 0, before_hour - 1)
        places.setdefault(subject, set()).add(address)
        if left:
            kept = max(count * left.bit_count() // bits.bit_count(), 1)
            shorter.append((presence, address, left_first, pack(left), kept))
            met.update((network, device))
        else:
            gone.append(presence)
            emptied.setdefault(subject, set()).add(address)
            missed.update((network, device))
        if manner == Manner.USED and counted_from is not None:
            old = bits & ~(left << (left_first - first)) if left else bits
            there = range(max(counted_from - first, 0), old.bit_length())
            hours_gone += [(first + i, member) for i in there if old >> i & 1]
    database.update("presence", ("first=", "hours=", "count="), shorter, ("id", "address"))
    list(database.select("DELETE FROM presence WHERE id IN ({}) RETURNING id", gone))
    recount(database, {subject: emptied.get(subject, set()) for subject in places})
    nodes = leave(database, places) + vacate(database, sorted(set().union(*emptied.values())))
    left_behind = Left(set(places), set().union(*places.values()), nodes, hours_gone)
    doubt(database, missed - met, walk.number)
    named(database, met)
    reached, ended = int(rows[-1][0]) if rows else walk.reached, False
    if len(rows) < limit:
        ended, unnamed = let_go(database, walk.number, limit)
        left_behind.nodes.extend(unnamed)
    Walk(walk.number, 0 if ended else reached).save(database)
    return Expired(ended, frozenset(places)), left_behind

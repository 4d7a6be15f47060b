"""What is older than sightings count leaves the database: hours, then presences, then whoever has none left and no verdict.

It goes through the presences in the order of their ids, a part at a time, so it needs no index of its own, nor a long
transaction.
With the last row that names a fingerprint, that leaves too.

>>> expire(database, after=0, before_hour=493_000, limit=1_000)              # doctest: +SKIP
Expired(last=1000, subjects=frozenset({17}))
"""

from __future__ import annotations

from collections import Counter

from daxa_core.model import Manner

from .database import Database
from .hours import pack, unpack, without
from .interface import Expired
from .sqlite_activity import take_back
from .sqlite_withdraw import Left, leave, recount, unname


def expire(database: Database, after: int, before_hour: int, limit: int) -> tuple[Expired, Left]:
    """As :meth:`daxa_registry.store.interface.Store.expire`, and what left; everything pending must have been written."""
    rows = database.execute(
        "SELECT id, address, network, device, member, subject, manner, first, hours, count FROM presence"
        " WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    ).fetchall()
    [counted_from] = database.execute("SELECT min(hour) FROM activity").fetchone()
    shorter: list[tuple[object, ...]] = []
    gone: list[tuple[int, int]] = []
    stirred: list[tuple[int, int]] = []
    places: dict[int, set[int]] = {}
    named: Counter[int] = Counter()
    for presence, address, network, device, member, subject, manner, first, hours, count in rows:
        if first >= before_hour:
            continue
        bits = unpack(hours)
        left_first, left = without(first, bits, 0, before_hour - 1)
        places.setdefault(subject, set()).add(address)
        if left:
            kept = max(count * left.bit_count() // bits.bit_count(), 1)
            shorter.append((presence, address, left_first, pack(left), kept))
        else:
            gone.append((presence, address))
            named.update((network, device))
        if manner == Manner.USED and counted_from is not None:
            old = bits & ~(left << (left_first - first)) if left else bits
            there = range(max(counted_from - first, 0), old.bit_length())
            stirred += [(first + i, member) for i in there if old >> i & 1]
    database.update("presence", ("first=", "hours=", "count="), shorter, ("id", "address"))
    for presence, address in gone:
        database.execute("DELETE FROM presence WHERE id=? AND address=?", (presence, address))
    take_back(database, stirred)
    emptied = {address for _, address in gone}
    left_behind = Left(set(places), {address for there in places.values() for address in there})
    for subject, addresses in sorted(places.items()):
        recount(database, subject, addresses & emptied)
        left_behind.nodes.extend(leave(database, subject, named))
    left_behind.nodes.extend(unname(database, emptied, named))
    last = int(rows[-1][0]) if len(rows) == limit else 0
    return Expired(last, frozenset(places)), left_behind

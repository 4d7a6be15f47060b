"""Taking back what a member said of one of its keys, and the counters of what is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from daxa_core.model import Kind, Manner

from .database import Database
from .hours import pack, unpack, without
from .sqlite_activity import take_back


@dataclass(frozen=True, slots=True)
class Left:
    """What is no longer as it was: subjects and addresses with fewer hours, the fingerprints of nodes that are not there."""

    subjects: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)
    nodes: list[tuple[Kind, bytes]] = field(default_factory=list)


def withdraw(
    database: Database, hub_size: int, member: int, key: bytes, first_hour: int, last_hour: int
) -> tuple[int, frozenset[int], Left]:
    """How many presences were shortened or deleted, the subjects whose evidence that changed, and what left.

    As :meth:`daxa_registry.store.interface.Store.withdraw`; everything pending must have been written.
    """
    row = database.execute(
        "SELECT s.id FROM node n JOIN subject s ON s.key=n.id AND s.member=? WHERE n.fingerprint=? AND n.kind=1",
        (member, key),
    ).fetchone()
    if row is None:
        return 0, frozenset(), Left()
    subject = int(row[0])
    changed = 0
    addresses: set[int] = set()
    for presence, address, manner, first, hours, count in database.execute(
        "SELECT id, address, manner, first, hours, count FROM presence WHERE subject=?", (subject,)
    ).fetchall():
        bits = unpack(hours)
        left_first, left = without(first, bits, first_hour, last_hour)
        if left == bits:
            continue
        changed += 1
        addresses.add(address)
        if manner == Manner.USED:
            gone = bits & ~(left << (left_first - first))
            take_back(database, [(first + i, member) for i in range(gone.bit_length()) if gone >> i & 1])
        if left:
            # The count of single hours is not kept: what is left of it is in proportion to the hours left.
            kept = max(count * left.bit_count() // bits.bit_count(), 1)
            database.update(
                "presence",
                ("first=", "hours=", "count="),
                [(presence, address, left_first, pack(left), kept)],
                ("id", "address"),
            )
        else:
            database.execute("DELETE FROM presence WHERE id=? AND address=?", (presence, address))
    touched = {subject}
    for address in addresses:
        touched.update(
            row[0]
            for row in database.execute(
                "SELECT DISTINCT subject FROM presence WHERE address=? LIMIT ?", (address, hub_size)
            )
        )
    recount(database, subject, addresses)
    nodes = leave(database, subject) + vacate(database, addresses)
    return changed, frozenset(touched), Left({subject}, addresses, nodes)


def recount(database: Database, subject: int, addresses: set[int]) -> None:
    """Counters after a deletion, from the rows that are left."""
    for address in addresses:
        database.execute(
            "UPDATE node SET subjects=(SELECT count(DISTINCT subject) FROM presence WHERE address=?1) WHERE id=?1",
            (address,),
        )
    places: dict[int, int] = {}
    used = 0
    query = "SELECT address, manner, first, hours FROM presence WHERE subject=?"
    rows = database.execute(query, (subject,)).fetchall()
    anchor = min((row[2] for row in rows), default=0)
    for address, manner, first, hours in rows:
        if manner == Manner.USED:
            # One bit set per address, from the same hour on, so that two devices in one hour are one hour.
            places[address] = places.get(address, 0) | unpack(hours) << (first - anchor)
        else:
            places.setdefault(address, 0)
        used |= manner != Manner.REJECTED
    database.execute(
        "UPDATE subject SET seen=?, hours=?, addresses=? WHERE id=?",
        (int(used), sum(bits.bit_count() for bits in places.values()), len(places), subject),
    )


def leave(database: Database, subject: int) -> list[tuple[Kind, bytes]]:
    """A subject that was nowhere and was never told anything is nobody; nor is a key without subjects a key: if it left."""
    row = database.execute("SELECT key FROM subject WHERE id=? AND sequence=0 AND addresses=0", (subject,)).fetchone()
    if row is None:
        return []
    database.execute("DELETE FROM subject WHERE id=?", (subject,))
    database.execute("DELETE FROM ladder WHERE subject=?", (subject,))
    gone = database.execute(
        "DELETE FROM node WHERE id=?1 AND kind=1 AND NOT EXISTS (SELECT 1 FROM subject WHERE key=?1) RETURNING fingerprint",
        (row[0],),
    ).fetchall()
    return [(Kind.KEY, print_) for (print_,) in gone]


def vacate(database: Database, addresses: set[int]) -> list[tuple[Kind, bytes]]:
    """Those of the addresses leave on which nobody is any more: which."""
    gone: list[tuple[Kind, bytes]] = []
    statement = "DELETE FROM node WHERE id=? AND kind=2 AND subjects=0 AND infrastructure=0 RETURNING fingerprint"
    for address in sorted(addresses):
        gone += [(Kind.ADDRESS, print_) for (print_,) in database.execute(statement, (address,)).fetchall()]
    return gone

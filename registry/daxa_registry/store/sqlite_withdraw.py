"""Taking back what a member said of one of its keys: the counters of what is left, and the fingerprints that nothing names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daxa_core.model import Kind, Manner

from .database import NODE, Database
from .doubtful import Walk, doubt
from .hours import pack, unpack, without
from .sqlite_activity import take_back

FORGOTTEN_ACCOUNT = b""
"""Of a subject that is nowhere any more and was told a verdict: a key whose account was known is its member's own."""


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
        "SELECT s.id FROM node n JOIN subject s ON s.key=n.id AND s.member=?1"  # noqa: S608 - fixed names
        f" WHERE {NODE.format('?2')} AND n.kind=1",
        (member, key),
    ).fetchone()
    if row is None:
        return 0, frozenset(), Left()
    subject = int(row[0])
    changed = 0
    addresses: set[int] = set()
    unnamed: set[int] = set()
    for presence, address, network, device, manner, first, hours, count in database.execute(
        "SELECT id, address, network, device, manner, first, hours, count FROM presence WHERE subject=?", (subject,)
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
            unnamed.update((network, device))
    touched = {subject}
    for address in addresses:
        touched.update(
            row[0]
            for row in database.execute(
                "SELECT DISTINCT subject FROM presence WHERE address=? LIMIT ?", (address, hub_size)
            )
        )
    recount(database, subject, addresses)
    doubt(database, unnamed, Walk.of(database).number)
    nodes = leave(database, subject) + vacate(database, sorted(addresses))
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
    """A subject that is nowhere has no holder and no account: it is only known that it had one.

    One that was never told anything is nobody, nor is a key without subjects a key: if they left.
    """
    found = database.execute(
        "SELECT key, account, holder, sequence FROM subject WHERE id=? AND addresses=0", (subject,)
    ).fetchone()
    if found is None:
        return []
    key, account, holder, sequence = found
    gone: list[tuple[Kind, bytes]] = []
    if sequence:
        forgotten = None if account is None else FORGOTTEN_ACCOUNT
        database.execute("UPDATE subject SET account=?, holder=NULL WHERE id=?", (forgotten, subject))
    else:
        database.execute("DELETE FROM subject WHERE id=?", (subject,))
        database.execute("DELETE FROM ladder WHERE subject=?", (subject,))
        gone += _forget(database, "kind=1 AND NOT EXISTS (SELECT 1 FROM subject WHERE key=node.id)", [key])
    return gone + forget_holders(database, [holder] if holder is not None else [])


def forget_holders(database: Database, holders: Iterable[int]) -> list[tuple[Kind, bytes]]:
    """Those of the holders leave whom no subject has any more: which."""
    return _forget(database, "kind=5 AND NOT EXISTS (SELECT 1 FROM subject WHERE holder=node.id)", holders)


def vacate(database: Database, addresses: Iterable[int]) -> list[tuple[Kind, bytes]]:
    """Those of the addresses leave on which nobody is any more: which."""
    return _forget(database, "kind=2 AND subjects=0", addresses)


def _forget(database: Database, where: str, nodes: Iterable[int]) -> list[tuple[Kind, bytes]]:
    statement = f"DELETE FROM node WHERE {where} AND infrastructure=0 AND id IN ({{}}) RETURNING kind, fingerprint"  # noqa: S608
    return [(Kind(kind), print_) for kind, print_ in database.select(statement, nodes)]

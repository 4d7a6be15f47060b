"""Taking back what a member said of one of its keys: the counters of what is left, and the fingerprints that nothing names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from daxa_core.model import Kind, Manner
from daxa_registry.decision.graph import UNKNOWN_DEVICE

from .database import Database
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
        "SELECT s.id FROM node n JOIN subject s ON s.key=n.id AND s.member=? WHERE n.fingerprint=? AND n.kind=1",
        (member, key),
    ).fetchone()
    if row is None:
        return 0, frozenset(), Left()
    subject = int(row[0])
    changed = 0
    addresses: set[int] = set()
    named: Counter[int] = Counter()
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
            named.update((network, device))
    touched = {subject}
    for address in addresses:
        touched.update(
            row[0]
            for row in database.execute(
                "SELECT DISTINCT subject FROM presence WHERE address=? LIMIT ?", (address, hub_size)
            )
        )
    recount(database, subject, addresses)
    nodes = leave(database, subject, named) + unname(database, addresses, named)
    return changed, frozenset(touched), Left({subject}, addresses, nodes)


def recount(database: Database, subject: int, addresses: set[int]) -> None:
    """Counters after a deletion, from the rows that are left."""
    for address in addresses:
        database.execute(
            "UPDATE node SET named_by=(SELECT count(DISTINCT subject) FROM presence WHERE address=?1) WHERE id=?1",
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


def leave(database: Database, subject: int, named: Counter[int]) -> list[tuple[Kind, bytes]]:
    """A subject that is nowhere has no holder, who is counted to ``named``, and no account: it is only known that it had one.

    One that was never told anything is nobody, nor is a key without subjects a key: if it left.
    """
    row = database.execute("SELECT key, account, holder, sequence FROM subject WHERE id=? AND addresses=0", (subject,))
    found = row.fetchone()
    if found is None:
        return []
    key, account, holder, sequence = found
    if holder is not None:
        named[holder] += 1
    if sequence:
        forgotten = None if account is None else FORGOTTEN_ACCOUNT
        database.execute("UPDATE subject SET account=?, holder=NULL WHERE id=?", (forgotten, subject))
        return []
    database.execute("DELETE FROM subject WHERE id=?", (subject,))
    database.execute("DELETE FROM ladder WHERE subject=?", (subject,))
    gone = database.execute(
        "DELETE FROM node WHERE id=?1 AND kind=1 AND NOT EXISTS (SELECT 1 FROM subject WHERE key=?1) RETURNING fingerprint",
        (key,),
    ).fetchall()
    return [(Kind.KEY, print_) for (print_,) in gone]


def unname(database: Database, addresses: set[int], named: Counter[int]) -> list[tuple[Kind, bytes]]:
    """So many rows less name those networks, devices and holders. What nothing names leaves, and addresses with nobody: which."""
    del named[UNKNOWN_DEVICE]
    database.update("node", ("named_by=named_by-",), sorted(named.items()))
    return forget_unnamed(database, sorted(addresses | named.keys()))


def forget_unnamed(database: Database, nodes: Iterable[int]) -> list[tuple[Kind, bytes]]:
    """Those of these addresses, networks, devices and holders leave that nothing names: which."""
    statement = (
        "DELETE FROM node WHERE kind>1 AND named_by=0 AND infrastructure=0 AND id IN ({}) RETURNING kind, fingerprint"
    )
    return [(Kind(kind), print_) for kind, print_ in database.select(statement, nodes)]

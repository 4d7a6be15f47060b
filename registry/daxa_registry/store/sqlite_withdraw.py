"""Taking back what a member said of one of its keys: the counters of what is left, and the fingerprints that nothing names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daxa_core.model import Kind, Manner

from .database import NODE, Database
from .doubtful import Walk, doubt
from .hours import pack, unpack, without

FORGOTTEN_ACCOUNT = b""
"""Of a subject that is nowhere any more and was told a verdict: a key whose account was known is its member's own."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is no longer as it was: subjects and addresses with fewer hours, the fingerprints of nodes that are not there, and for
    each presence the hours and its member in which it is no longer in use."""

    subjects: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)
    nodes: list[tuple[Kind, bytes]] = field(default_factory=list)
    hours: list[tuple[int, int]] = field(default_factory=list)


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
    emptied: set[int] = set()
    hours_gone: list[tuple[int, int]] = []
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
            hours_gone += [(first + i, member) for i in range(gone.bit_length()) if gone >> i & 1]
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
            emptied.add(address)
            unnamed.update((network, device))
    touched = {subject}
    for address in addresses:
        touched.update(
            row[0]
            for row in database.execute(
                "SELECT DISTINCT subject FROM presence WHERE address=? LIMIT ?", (address, hub_size)
            )
        )
    recount(database, {subject: emptied})
    doubt(database, unnamed, Walk.of(database).number)
    nodes = leave(database, [subject]) + vacate(database, sorted(emptied))
    return changed, frozenset(touched), Left({subject}, addresses, nodes, hours_gone)


def recount(database: Database, emptied: Mapping[int, set[int]]) -> None:
    """The counters of these subjects by the rows that are left, and of the addresses from which presences of each were deleted.

    An address counts who has left it, not who is there: of a crowd's that is as quickly done as of any other.
    """
    left: dict[int, list[tuple[int, int, int, int]]] = {subject: [] for subject in emptied}
    query = "SELECT subject, address, manner, first, hours FROM presence WHERE subject IN ({})"
    for subject, address, manner, first, hours in database.select(query, emptied):
        left[subject].append((address, manner, first, unpack(hours)))
    fewer: Counter[int] = Counter()
    counters: list[tuple[int, int, int, int]] = []
    for subject, rows in left.items():
        places: dict[int, int] = {}
        used = 0
        anchor = min((first for _, _, first, _ in rows), default=0)
        for address, manner, first, bits in rows:
            # One bit set per address, from the same hour on, so that two devices in one hour are one hour.
            places[address] = places.get(address, 0) | (bits << (first - anchor) if manner == Manner.USED else 0)
            used |= manner != Manner.REJECTED
        fewer.update(emptied[subject] - places.keys())
        counters.append((subject, int(used), sum(bits.bit_count() for bits in places.values()), len(places)))
    database.update("subject", ("seen=", "hours=", "addresses="), counters)
    database.update("node", ("subjects=subjects-",), sorted(fewer.items()))


def leave(database: Database, subjects: Iterable[int]) -> list[tuple[Kind, bytes]]:
    """Those of the subjects that are nowhere have no holder and no account: it is only known that they had one.

    One that was never told anything is nobody, nor is a key without subjects a key: which fingerprints left.
    """
    query = "SELECT id, key, account, holder, sequence FROM subject WHERE addresses=0 AND id IN ({})"
    nowhere = list(database.select(query, subjects))
    told = [(subject, account) for subject, _, account, _, sequence in nowhere if sequence]
    forgotten = [(subject, None if account is None else FORGOTTEN_ACCOUNT, None) for subject, account in told]
    database.update("subject", ("account=", "holder="), forgotten)
    nobody = [subject for subject, _, _, _, sequence in nowhere if not sequence]
    list(database.select("DELETE FROM subject WHERE id IN ({}) RETURNING id", nobody))
    list(database.select("DELETE FROM ladder WHERE subject IN ({}) RETURNING subject", nobody))
    keys = {key for _, key, _, _, sequence in nowhere if not sequence}
    gone = _forget(database, "kind=1 AND NOT EXISTS (SELECT 1 FROM subject WHERE key=node.id)", keys)
    return gone + forget_holders(database, {holder for _, _, _, holder, _ in nowhere if holder is not None})


def forget_holders(database: Database, holders: Iterable[int]) -> list[tuple[Kind, bytes]]:
    """Those of the holders leave whom no subject has any more: which."""
    return _forget(database, "kind=5 AND NOT EXISTS (SELECT 1 FROM subject WHERE holder=node.id)", holders)


def vacate(database: Database, addresses: Iterable[int]) -> list[tuple[Kind, bytes]]:
    """Those of the addresses leave on which nobody is any more: which."""
    return _forget(database, "kind=2 AND subjects=0", addresses)


def _forget(database: Database, where: str, nodes: Iterable[int]) -> list[tuple[Kind, bytes]]:
    statement = f"DELETE FROM node WHERE {where} AND infrastructure=0 AND id IN ({{}}) RETURNING kind, fingerprint"  # noqa: S608
    return [(Kind(kind), print_) for kind, print_ in database.select(statement, nodes)]

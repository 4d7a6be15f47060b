"""Sightings and log leaves for stores, by short names.

store.absorb(member, [seen("key", "address"), seen("key", "address", 1_001)], fine)
grow(store, 5)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from daxa_core import merkle
from daxa_core.errors import DaxaError
from daxa_core.model import Manner, Sighting
from daxa_registry.store.interface import EVERYBODY, Store, StoredLeaf

Open = Callable[[], Store]
"""Opens the same database again: the fixture `reopen`."""

EDGES = """
 SELECT k.fingerprint, p.member, a.fingerprint, coalesce(d.fingerprint, ''), n.fingerprint, p.manner, p.first, p.hours, p.count
 FROM presence p JOIN subject s ON s.id=p.subject JOIN node k ON k.id=s.key JOIN node a ON a.id=p.address
 JOIN node n ON n.id=p.network LEFT JOIN node d ON d.id=p.device ORDER BY 1, 2, 3, 4, 6"""
SUBJECTS = """
 SELECT k.fingerprint, s.member, s.account, h.fingerprint, s.seen, s.hours, s.addresses
 FROM subject s JOIN node k ON k.id=s.key LEFT JOIN node h ON h.id=s.holder ORDER BY 1, 2"""
NODES = "SELECT kind, fingerprint, subjects FROM node ORDER BY 1, 2"
_NAMED = """
 WITH named AS (
  SELECT key AS id, 1 AS kind FROM subject
  UNION SELECT address, 2 FROM presence
  UNION SELECT network, 3 FROM presence
  UNION SELECT device, 4 FROM presence WHERE device<>0
  UNION SELECT holder, 5 FROM subject WHERE holder IS NOT NULL
 )"""
MISSING = f"{_NAMED} SELECT * FROM named EXCEPT SELECT id, kind FROM node"
UNNAMED = f"{_NAMED} SELECT id, kind FROM node WHERE infrastructure=0 EXCEPT SELECT * FROM named"
IN_DOUBT = "SELECT id, kind FROM node WHERE id IN (SELECT node FROM doubtful)"
"""For SQLite: what a database holds, with fingerprints for numbers; what rows name that is not there; what no row names; what is
in doubt."""


def fp(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def seen(
    key: str, address: str, hour: int = 1_000, device: str | None = "d", count: int = 1, **more: object
) -> Sighting:
    manner = more.pop("manner", Manner.USED)
    device_bytes = fp(device) if device else None
    return Sighting(fp(key), fp(address), fp("n" + address), hour, manner, count, device_bytes, **more)  # type: ignore[arg-type]


def fine(_: Sequence[bytes]) -> Mapping[bytes, DaxaError]:
    """Takes every element."""
    return {}


def grow(store: Store, number: int) -> list[bytes]:
    """Appends events to the log, each in a transaction of its own; answers their hashes."""
    hashes = []
    for _ in range(number):
        with store.transaction():
            index = store.next_leaf()
            hashes.append(merkle.leaf_hash(b"leaf %d" % index))
            store.append_leaf(StoredLeaf(index, EVERYBODY, event="test", body=b"leaf %d" % index), hashes[-1])
    return hashes


def stirring(keys: int) -> list[Sighting]:
    """Sixty keys each noon of a week, and on the fourth day ``keys``."""
    return [
        seen(f"k{key}", f"a{key}", 1_000 + 24 * day)
        for day in range(7)
        for key in range(keys if day == 3 else 60)
        for _ in range(2)  # a repeat is not counted again
    ]

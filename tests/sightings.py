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

"""Leaks that look like a member's whole inventory and not like a dump: somebody may want all of that member's keys cut.

Counted once a leak is in force and its issuers are told; told for as long as nobody has judged it. Nothing is refused: a service
that served one exchange alone may lose all of that one's keys.

>>> is_inventory(leaked=700, keys=1_000), is_inventory(leaked=5, keys=5)
(True, False)
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from daxa_core.leaks import Confidence, LeakState
from daxa_registry.store.interface import Store

SHARE = 0.5
LEAST_KEYS = 10
"""A member with fewer has no inventory that could be told from chance."""
_KIND = "leak_inventory"


@dataclass(frozen=True, slots=True)
class Inventory:
    """An unverified leak in force that holds half of a member's keys or more. ``reporter``: a member, empty for operators."""

    leak: int
    reporter: str
    member: str
    leaked: int
    keys: int


def is_inventory(leaked: int, keys: int) -> bool:
    """Whether a leak that has so many of a member's keys looks like all of them."""
    return keys >= LEAST_KEYS and leaked >= SHARE * keys


def note(store: Store, leak: int) -> None:
    """Keeps whose inventory a leak looks like, if anybody's."""
    found = {member: numbers for member, numbers in store.leak_matches(leak).items() if is_inventory(*numbers)}
    if found:
        with store.transaction():
            store.write_document(_KIND, str(leak), json.dumps(sorted(found.items())), replace=True)


def unverified(store: Store) -> list[Inventory]:
    """Those that nobody has judged yet, by leak and member."""
    names = store.members()
    told = []
    for leak in store.leaks():
        if leak.state is LeakState.IN_FORCE and leak.confidence is Confidence.UNVERIFIED:
            kept = json.loads(store.document(_KIND, str(leak.number)) or "[]")
            reporter = names.get(leak.reporter, "")
            told += [Inventory(leak.number, reporter, names[member], *numbers) for member, numbers in kept]
    return told

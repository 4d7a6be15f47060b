"""Who takes part, in the log: the members, and every authority with the ids that it may vouch for.

It is an event for everybody, for each member has to see who else would be believed in its name. It is written where it is not
what the log says already: when a registry starts with another configuration, and when an authority's file was replaced while it
runs. So several nodes write it once. An authority that was believed for a moment alone, between two looks, is written too.

    >>> Membership(store, config.members, credentials, lambda: 1_800_000_000).note()               # doctest: +SKIP
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256

from daxa_registry.keys.credentials import Credentials, Loaded
from daxa_registry.keys.trust import Anchor, Trust
from daxa_registry.store.interface import Store

from .log import append_state

LOGGED_AS = "members"


def described(members: Iterable[str], trust: Trust) -> dict[str, Any]:
    """What is logged: names, and each authority's SHA-256 fingerprint with its ids, None where it vouches for everybody."""
    return {"names": sorted(members), "authorities": sorted(map(_described, trust.anchors), key=_order)}


def _described(anchor: Anchor) -> dict[str, Any]:
    ids = None if anchor.ids is None else sorted(anchor.ids)
    return {"sha256": anchor.certificate.fingerprint(SHA256()).hex(), "ids": ids}


def _order(authority: dict[str, Any]) -> tuple[str, list[str]]:
    return authority["sha256"], authority["ids"] or []


class Membership:
    """What one node runs with. ``note`` is called by one thread at a time."""

    def __init__(
        self, store: Store, members: Iterable[str], credentials: Credentials, clock: Callable[[], int]
    ) -> None:
        self._store, self._members, self._credentials, self._clock = store, tuple(members), credentials, clock
        self._noted: dict[str, Any] | None = None
        self._came: deque[dict[str, Any]] = deque()
        credentials.tell(self._hear)

    def _hear(self, loaded: Loaded) -> None:
        self._came.append(described(self._members, loaded.trust))

    def note(self) -> None:
        """Logs what has come into force since the last time, in order, where it changed; each in a transaction of its own."""
        self._credentials.current()
        while self._came:
            now = self._came[0]
            if now != self._noted:
                with self._store.transaction():
                    append_state(self._store, LOGGED_AS, now, self._clock())
                self._noted = now
            self._came.popleft()

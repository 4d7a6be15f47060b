"""Until when the certificates hold that peers come with: an operator hears of an end before the member's calls begin to fail.

Of each peer the certificate that began last counts, so that one which was renewed is no longer told of, also where the new one is
for a shorter time. What was seen is kept in the store too: ``daxa-registry status`` is another process, and a node is restarted.

>>> ends = CertificateEnds()
>>> ends.saw("member/upbit", since=0.0, until=86_400.0)
>>> ends.days_left(now=43_200.0)
{('member/upbit',): 0.5}
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from daxa_registry.store.interface import Store

SECONDS_PER_DAY = 86_400.0
_KIND = "certificate_seen"


class CertificateEnds:
    """What one server has seen since it started. ``saw`` is called by the event loop, the others by any one thread each."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}
        self._kept: dict[str, tuple[float, float]] = {}

    def saw(self, peer: str, since: float, until: float) -> None:
        """A peer (``role/name``) came with a certificate that holds from then until then (seconds since the epoch)."""
        known = self._seen.get(peer)
        if known is None or since > known[0]:
            self._seen[peer] = (since, until)

    def days_left(self, now: float) -> dict[tuple[str, ...], float]:
        """By peer, as a metric's labels."""
        return {(peer,): (until - now) / SECONDS_PER_DAY for peer, (_, until) in self._seen.copy().items()}

    def keep(self, store: Store) -> None:
        """Puts what is new into the store, in a transaction of its own. Another node may have seen a newer one."""
        seen = self._seen.copy()
        fresh = {peer: times for peer, times in seen.items() if self._kept.get(peer) != times}
        if fresh:
            with store.transaction():
                for peer, times in fresh.items():
                    there = store.document(_KIND, peer)
                    if there is None or json.loads(there)[0] < times[0]:
                        store.write_document(_KIND, peer, json.dumps(times), replace=True)
            self._kept = seen


def kept_ends(store: Store) -> Mapping[str, float]:
    """By peer, until when its newest certificate holds (seconds since the epoch), as every node has seen it."""
    found: dict[str, float] = {}
    while page := store.documents(_KIND, max(found, default="")):
        found |= {peer: json.loads(times)[1] for peer, times in page}
    return found

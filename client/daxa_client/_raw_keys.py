"""The way back from a fingerprint to the member's own raw key: in memory alone, and bounded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

RAW_KEYS = 200_000


class RawKeys:
    """Raw keys by fingerprint; what was not used for longest goes first. Thread-safe, never on disk, shows nothing."""

    def __init__(self, most: int = RAW_KEYS) -> None:
        self._most = most
        self._keys: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, pairs: Iterable[tuple[bytes, str]]) -> None:
        """Keeps (fingerprint, raw key) pairs."""
        if not self._most:
            return
        with self._lock:
            for fingerprint, key in pairs:
                self._keys[fingerprint] = key
                self._keys.move_to_end(fingerprint)
            while len(self._keys) > self._most:
                self._keys.popitem(last=False)

    def find(self, fingerprint: bytes) -> str | None:
        """The raw key, where this process has seen it lately."""
        with self._lock:
            key = self._keys.get(fingerprint)
            if key is not None:
                self._keys.move_to_end(fingerprint)
            return key

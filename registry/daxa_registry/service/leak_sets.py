"""The published sets of leaks: one for each that is in force and whose licence allows it, made once and remembered,
its digests for good.

A leak's set never changes, so a member fetches it once; what is withdrawn is no longer listed. Refused: a set or a chunk that
there is not (NOT_FOUND).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.leak_set import VALUE_BITS, Shape, chunk_digest, encode
from daxa_core.leaks import Confidence, LeakState, Tlp
from daxa_core.model import FINGERPRINT_BYTES, MAX_KEYS_PER_LOOKUP
from daxa_registry.decision.leaked import OPERATORS
from daxa_registry.store.interface import Store
from daxa_registry.store.leak_interface import StoredLeak

REMEMBERED_BYTES = 256 << 20
_PAGE = 20_000


class LeakSets:
    """One registry's published sets. Thread-safe; the first reader of a set waits until it is made."""

    def __init__(self, store: Store, remembered_bytes: int = REMEMBERED_BYTES) -> None:
        self._store = store
        self._remembered_bytes = remembered_bytes
        self._lock = threading.Lock()
        self._made: OrderedDict[int, list[bytes]] = OrderedDict()
        self._digests: dict[int, list[bytes]] = {}

    def published(self) -> list[StoredLeak]:
        """The leaks that have a set: verified ones first, then operators', each the newest first."""
        found = [
            leak
            for leak in reversed(self._store.leaks())
            if leak.state is LeakState.IN_FORCE and leak.tlp is not Tlp.RED
        ]
        return sorted(found, key=lambda leak: (leak.confidence is not Confidence.VERIFIED, leak.reporter != OPERATORS))

    def digests(self, leak: StoredLeak) -> list[bytes]:
        """What the chunks of its set are named by."""
        with self._lock:
            known = self._digests.get(leak.number)
        if known is None:
            made = [chunk_digest(chunk) for chunk in self._set(leak)]
            with self._lock:
                known = self._digests.setdefault(leak.number, made)
        return known

    def chunk(self, number: int, chunk: int) -> bytes:
        """One chunk."""
        leak = next((one for one in self.published() if one.number == number), None)
        if leak is None:
            raise Refused(ErrorCode.NOT_FOUND, "number", "the number of a set that is listed")
        made = self._set(leak)
        if chunk >= len(made):
            raise Refused(ErrorCode.NOT_FOUND, "chunk", f"0 to {len(made) - 1}")
        return made[chunk]

    def leaked(self, keys: Sequence[bytes]) -> list[tuple[bytes, list[StoredLeak]]]:
        """Of up to 1,000 keys those that a published leak has, with the leaks."""
        if not 1 <= len(keys) <= MAX_KEYS_PER_LOOKUP:
            code = ErrorCode.TOO_MANY_ITEMS if keys else ErrorCode.EMPTY_BATCH
            raise InvalidInput(code, "keys", f"1 to {MAX_KEYS_PER_LOOKUP}, got {len(keys)}")
        for index, key in enumerate(keys):
            if len(key) != FINGERPRINT_BYTES:
                wanted = f"{FINGERPRINT_BYTES} bytes, got {len(key)}"
                raise InvalidInput(ErrorCode.INVALID_LENGTH, f"keys[{index}]", wanted)
        published = {leak.number: leak for leak in self.published()}
        found = self._store.leaks_with(list(dict.fromkeys(keys)))
        told = [(key, [published[n] for n in numbers if n in published]) for key, numbers in found.items()]
        return [(key, leaks) for key, leaks in told if leaks]

    def _set(self, leak: StoredLeak) -> list[bytes]:
        with self._lock:
            known = self._made.get(leak.number)
            if known is None:
                known = self._made[leak.number] = self._make(leak)
                while sum(len(chunk) for chunks in self._made.values() for chunk in chunks) > self._remembered_bytes:
                    if len(self._made) == 1:
                        break
                    self._made.popitem(last=False)
            self._made.move_to_end(leak.number)
            return known

    def _make(self, leak: StoredLeak) -> list[bytes]:
        parts: list[bytes] = []
        after = b""
        while page := self._store.leaked(leak.number, after, _PAGE):
            parts.append(b"".join(fingerprint[8:16] for fingerprint in page))
            after = page[-1]
        shape = Shape.of(leak.keys)
        values = np.unique(
            np.frombuffer(b"".join(parts), ">u8").astype(np.uint64) >> np.uint64(VALUE_BITS - shape.bits)
        )
        edges = np.arange(1, shape.chunks, dtype=np.uint64) << np.uint64(shape.bits - shape.split)
        return [
            encode(shape, part.tolist(), n) for n, part in enumerate(np.split(values, np.searchsorted(values, edges)))
        ]

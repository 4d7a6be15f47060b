"""A member's side of leaks: reports one blind, lists and withdraws its own, fetches published sets, confirms a hit.

What is reported is fingerprinted here, so a dump never leaves this machine; it counts as unverified until an operator has looked.

>>> with LeakClient(read_config("client.toml")) as client:                                    # doctest: +SKIP
...     client.report(open("dump.txt", "rb"), 1_000_000, leak, progress, save)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

from daxa_api.v1 import leak_pb2
from daxa_core import leaks
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, Refused
from daxa_core.leak_set import Shape, checked
from daxa_core.leaks import Confidence, Leak, LeakState, Progress, Tlp
from daxa_core.model import FINGERPRINT_BYTES, MAX_KEYS_PER_LOOKUP, Kind

from ._cache import FingerprintCache
from ._config import ClientConfig
from ._errors import ROLE, malformed
from ._fingerprints import Fingerprinter
from ._registry import Registry


@dataclass(frozen=True, slots=True)
class LeakReport:
    """A leak as this member sees it."""

    number: int
    leak: Leak
    confidence: Confidence
    state: LeakState
    keys: int


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """One leak's set: its number, its shape, what its chunks are named by."""

    number: int
    shape: Shape
    chunks: tuple[bytes, ...]
    confidence: Confidence


class LeakClient:
    """One member's connection for leaks. Close it, or use it as a context manager."""

    def __init__(self, config: ClientConfig) -> None:
        """Connects to nobody yet."""
        self._config = config
        self._cache = FingerprintCache(config.cache, config.account_secret, config.parameters.digest)
        self._fingerprinter = Fingerprinter(config, self._cache)
        self._registry = Registry(config)

    def __enter__(self) -> LeakClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._registry.close()
        self._fingerprinter.close()
        self._cache.close()

    # reporting

    def report(
        self, dump: BinaryIO, leak: Leak, progress: Progress, save: Callable[[Progress], None]
    ) -> tuple[LeakReport, int]:
        """Loads the dump from where ``progress`` is, and brings it into force; the leak, and how many of its keys are this
        member's own and were ever seen. ``save`` keeps the progress. Raises DaxaError: LEAK_KNOWN for the same keys again,
        INVALID_VALUE before anything is sent where a text of it holds a key or an address."""
        leaks.check(leak, int(time.time()))
        request = leak_pb2.OpenLeakRequest(
            leak_id=progress.leak_id,
            name=leak.name,
            source=leak.source,
            found_at=leak.found_at,
            tlp=int(leak.tlp),  # type: ignore[arg-type]
            key_version=self._config.parameters.key_version,
            canonical_version=self._config.parameters.canonical_version,
        )
        if self._registry.about_leaks("OpenLeak", request).state == LeakState.LOADING:
            save(progress)

            def send(fingerprints: Sequence[bytes]) -> None:
                more = leak_pb2.AddLeakedKeysRequest(leak_id=progress.leak_id, fingerprints=fingerprints)
                self._registry.about_leaks("AddLeakedKeys", more)

            leaks.load(dump, progress, self.fingerprints, send, save)
        answer = self._registry.about_leaks("CommitLeak", leak_pb2.CommitLeakRequest(leak_id=progress.leak_id))
        return _read(answer.leak), sum(one.leaked for one in answer.matches)

    def fingerprints(self, canonical: Sequence[bytes]) -> list[bytes]:
        """The fingerprint of each canonical key."""
        found = self._fingerprinter.fingerprints(Kind.KEY, canonical)
        return [found[one] for one in canonical]

    def reports(self) -> list[LeakReport]:
        """This member's own, the newest first."""
        return [_read(one) for one in self._registry.about_leaks("ListLeaks", leak_pb2.ListLeaksRequest()).leaks]

    def withdraw(self, number: int) -> LeakReport:
        """Takes a report of its own back; verdicts that rested on it are corrected."""
        request = leak_pb2.JudgeLeakRequest(number=number, judgement=leak_pb2.LEAK_JUDGEMENT_WITHDRAWN)
        return _read(self._registry.about_leaks("JudgeLeak", request).leak)

    # screening

    def sets(self) -> list[PublishedSet]:
        """The published sets. Raises CryptoError INVALID_CHUNK for a manifest that cannot be, Refused
        STALE_KEY_VERSION for one made under another key: this member's parameters are old."""
        answer = self._registry.about_leaks("ListLeakSets", leak_pb2.ListLeakSetsRequest())
        return [read_set(one, self._config.parameters.key_version) for one in answer.sets]

    def chunk(self, one: PublishedSet, number: int) -> bytes:
        """A chunk, whole and as the manifest names it. Raises CryptoError INVALID_CHUNK."""
        request = leak_pb2.GetLeakSetChunkRequest(number=one.number, chunk=number)
        chunk: bytes = self._registry.about_leaks("GetLeakSetChunk", request).chunk
        return checked(chunk, one.chunks[number])

    def confirm(self, fingerprints: Sequence[bytes]) -> dict[bytes, list[LeakReport]]:
        """Which of those are leaked, exactly, and in which leaks. It reveals to the registry that this member asks for them."""
        out: dict[bytes, list[LeakReport]] = {}
        for start in range(0, len(fingerprints), MAX_KEYS_PER_LOOKUP):
            part = fingerprints[start : start + MAX_KEYS_PER_LOOKUP]
            request = leak_pb2.ConfirmLeakedKeysRequest(keys=part, key_version=self._config.parameters.key_version)
            for one in self._registry.about_leaks("ConfirmLeakedKeys", request).leaked:
                if one.key not in part:
                    raise malformed(ROLE, "in which each key was asked about")
                out[one.key] = [_read(leak) for leak in one.leaks]
        return out


def read_set(one: leak_pb2.LeakSet, ours: int) -> PublishedSet:
    """What the manifest says of a set; ``ours``: the key's version. Raises as :meth:`LeakClient.sets`."""
    try:
        shape = Shape.of(one.keys)
        confidence = Confidence(one.confidence)
    except (DaxaError, ValueError):
        raise CryptoError(ErrorCode.INVALID_CHUNK, "manifest", "a set that can be") from None
    if len(one.chunks) != shape.chunks or any(len(name) != FINGERPRINT_BYTES for name in one.chunks):
        raise CryptoError(ErrorCode.INVALID_CHUNK, "manifest", f"{shape.chunks} chunks, each named by 32 bytes")
    if one.key_version != ours:  # passed over, it would find nothing and say so
        raise Refused(ErrorCode.STALE_KEY_VERSION, "key_version", f"{ours}, got {one.key_version}")
    return PublishedSet(one.number, shape, tuple(one.chunks), confidence)


def _read(entry: leak_pb2.LeakEntry) -> LeakReport:
    try:
        leak = Leak(entry.name, entry.source, entry.found_at, Tlp(entry.tlp))
        return LeakReport(entry.number, leak, Confidence(entry.confidence), LeakState(entry.state), entry.keys)
    except ValueError:
        raise malformed(ROLE, "whose leak is one that this version knows") from None

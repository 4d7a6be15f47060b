"""The client: raw sightings in, verdicts out; nothing raw leaves it.

>>> with RegistryClient.from_file("client.toml") as client:                     # doctest: +SKIP
...     result = client.submit([RawSighting(key, address, hour)])
...     result.verdicts[key].level
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, verdict_pb2, verdict_pb2_grpc
from daxa_core import codec
from daxa_core.canonical import (
    canonical_address,
    canonical_device,
    canonical_holder,
    canonical_key,
    canonical_network,
)
from daxa_core.errors import DaxaError, ErrorCode, Unavailable
from daxa_core.model import (
    BATCH_ID_BYTES,
    MAX_KEYS_PER_LOOKUP,
    MAX_SIGHTINGS,
    Kind,
    RawSighting,
    Refusal,
    Sighting,
    Verdict,
)
from daxa_core.pseudonym import account_pseudonym

from ._cache import FingerprintCache
from ._channel import open_channel
from ._config import ClientConfig, read_config
from ._errors import from_rpc
from ._fingerprints import Fingerprinter

LOG = logging.getLogger("daxa_client")
ATTEMPTS = 5
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 10.0
KEYS_REMEMBERED = 200_000
_RETRIED = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.OVERLOADED})


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """What became of a submission. Refusals' indexes are places in the caller's list; ``verdicts`` is by raw key."""

    accepted: int
    refusals: tuple[Refusal, ...]
    verdicts: dict[str, Verdict] = field(repr=False)


@dataclass(slots=True)
class _Canonical:
    """One sighting's canonical bytes by kind, in the order of the wire's fields."""

    index: int
    raw: RawSighting
    parts: tuple[tuple[Kind, bytes | None], ...]
    account: bytes | None


class RegistryClient:
    """One member's connection to the registry and its evaluators. Thread-safe; close it, or use it as a context manager."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._cache = FingerprintCache(config.cache, config.account_secret, config.parameters.key_version)
        self._fingerprinter = Fingerprinter(config, self._cache)
        self._channel = open_channel(config, config.targets)
        self._sightings = sighting_pb2_grpc.SightingServiceStub(self._channel)
        self._verdicts = verdict_pb2_grpc.VerdictServiceStub(self._channel)
        self._raw_keys: OrderedDict[bytes, str] = OrderedDict()

    @classmethod
    def from_file(cls, path: str | Path) -> RegistryClient:
        """A client as client.toml says. Raises ConfigurationError naming file and key."""
        return cls(read_config(path))

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection and the cache."""
        self._channel.close()
        self._fingerprinter.close()
        self._cache.close()

    def health(self) -> dict[str, str]:
        """Each evaluator: ``"ok"``, or what was wrong with it when it was last asked."""
        return self._fingerprinter.health()

    # sightings

    def submit(self, sightings: Iterable[RawSighting]) -> SubmitResult:
        """Fingerprints and submits; answers when the registry has it on disk.

        A sighting that cannot be canonicalised or that the registry refuses is told in ``refusals``, the others are taken.
        Raises Unavailable where the registry or enough evaluators cannot be reached (submit again: what was already taken
        in this call has been taken), and Refused where this member may not submit.
        """
        refusals: list[Refusal] = []
        canonical: list[_Canonical] = []
        for index, raw in enumerate(sightings):
            try:
                canonical.append(self._canonicalise(index, raw))
            except DaxaError as error:
                refusals.append(Refusal(index, error.code, error.field, error.expected))
        prints = self._fingerprints(canonical)
        accepted = 0
        verdicts: dict[str, Verdict] = {}
        keys = {prints[item.parts[0]]: item.raw.key for item in canonical}
        self._remember(keys)
        for start in range(0, len(canonical), MAX_SIGHTINGS):
            part = canonical[start : start + MAX_SIGHTINGS]
            response = self._submit_batch([self._sighting(item, prints) for item in part])
            accepted += response.accepted
            refusals += [
                Refusal(part[refusal.index].index, refusal.code, refusal.field, refusal.expected)
                for refusal in map(codec.read_refusal, response.refusals)
            ]
            refused = {refusal.index for refusal in response.refusals}
            for place, item in enumerate(part):
                if place not in refused:
                    verdicts.setdefault(item.raw.key, Verdict(prints[item.parts[0]]))
            for verdict in map(codec.read_verdict, response.verdicts):
                verdicts[keys[verdict.key]] = verdict
        refusals.sort(key=lambda refusal: refusal.index)
        return SubmitResult(accepted, tuple(refusals), verdicts)

    def _canonicalise(self, index: int, raw: RawSighting) -> _Canonical:
        lenient = self._config.allow_non_global_addresses
        parts = (
            (Kind.KEY, canonical_key(raw.key)),
            (Kind.ADDRESS, canonical_address(raw.address, lenient)),
            (Kind.NETWORK, canonical_network(raw.address, lenient)),
            (Kind.DEVICE, canonical_device(raw.device) if raw.device else None),
            (Kind.HOLDER, canonical_holder(raw.holder) if raw.holder else None),
        )
        account = account_pseudonym(self._config.account_secret, raw.account) if raw.account else None
        return _Canonical(index, raw, parts, account)

    def _fingerprints(self, items: Sequence[_Canonical]) -> dict[tuple[Kind, bytes | None], bytes]:
        wanted: dict[Kind, dict[bytes, None]] = {kind: {} for kind in Kind}
        for item in items:
            for kind, canonical in item.parts:
                if canonical is not None:
                    wanted[kind][canonical] = None
        out: dict[tuple[Kind, bytes | None], bytes] = {}
        for kind, canonicals in wanted.items():
            if canonicals:
                for canonical, element in self._fingerprinter.fingerprints(kind, list(canonicals)).items():
                    out[kind, canonical] = element
        return out

    def _sighting(self, item: _Canonical, prints: dict[tuple[Kind, bytes | None], bytes]) -> Sighting:
        key, address, network, device, holder = (prints.get(part) for part in item.parts)
        assert key is not None
        assert address is not None
        assert network is not None
        raw = item.raw
        return Sighting(key, address, network, raw.hour, raw.manner, raw.count, device, holder, item.account)

    def _submit_batch(self, batch: Sequence[Sighting]) -> sighting_pb2.SubmitSightingsResponse:
        parameters = self._config.parameters
        request = sighting_pb2.SubmitSightingsRequest(
            batch_id=secrets.token_bytes(BATCH_ID_BYTES),
            member=self._config.member,
            key_version=parameters.key_version,
            canonical_version=parameters.canonical_version,
            sightings=[codec.write_sighting(sighting) for sighting in batch],
        )
        # The same batch id every time: a batch whose answer was lost is not counted twice.
        return self._call(self._sightings.SubmitSightings, request)  # type: ignore[no-any-return]

    def withdraw(self, key: str, first_hour: int = 0, last_hour: int = 0) -> int:
        """Takes back what this member sent of one of its keys, all of it or a span of hours; how many records that changed."""
        request = sighting_pb2.WithdrawSightingsRequest(
            key=self._key_fingerprints([key])[key],
            first_hour=first_hour,
            last_hour=last_hour,
            key_version=self._config.parameters.key_version,
        )
        return int(self._call(self._sightings.WithdrawSightings, request).withdrawn)

    # verdicts

    def verdicts(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """The current verdict of each of this member's keys; one that was never seen is CLEAR with sequence 0.

        Raises InvalidInput for a key that cannot be canonicalised, Unavailable as :meth:`submit`.
        """
        prints = self._key_fingerprints(list(keys))
        out: dict[str, Verdict] = {}
        listed = list(prints.items())
        for start in range(0, len(listed), MAX_KEYS_PER_LOOKUP):
            part = listed[start : start + MAX_KEYS_PER_LOOKUP]
            request = verdict_pb2.BatchGetVerdictsRequest(
                keys=[element for _, element in part], key_version=self._config.parameters.key_version
            )
            response = self._call(self._verdicts.BatchGetVerdicts, request)
            for (key, _), message in zip(part, response.verdicts, strict=True):
                out[key] = codec.read_verdict(message)
        return out

    def watch(self, after_sequence: int | None = None) -> Iterator[Verdict]:
        """Every change of this member's verdicts after the cursor, oldest first, then as they happen; without end.

        Reconnects by itself. Where a cursor file is configured it is the starting point unless ``after_sequence`` is given, and
        it moves on when the next verdict is asked for: at least once. A gap in the sequence is raised as Unavailable.
        """
        cursor = self._read_cursor() if after_sequence is None else after_sequence
        attempt = 0
        while True:
            request = verdict_pb2.WatchVerdictsRequest(after_sequence=cursor)
            try:
                for message in self._verdicts.WatchVerdicts(request):
                    attempt = 0
                    for verdict in map(codec.read_verdict, message.verdicts):
                        if verdict.sequence <= cursor:
                            continue
                        if verdict.sequence != cursor + 1:
                            wanted = f"sequence {cursor + 1} next, got {verdict.sequence}"
                            raise Unavailable(ErrorCode.CURSOR_OUT_OF_RANGE, "verdicts", wanted)
                        yield verdict
                        cursor = verdict.sequence
                        self._write_cursor(cursor)
            except grpc.RpcError as error:
                typed = from_rpc(error, "registry", self._config.ca, self._config.certificate)
                if typed.code not in _RETRIED:
                    raise typed from None
                LOG.warning("watching is interrupted: %s", typed)
            self._wait(attempt, None)
            attempt += 1

    def raw_key(self, fingerprint: bytes) -> str | None:
        """The raw key behind a fingerprint, where this process has submitted or looked it up; it is kept in memory alone."""
        return self._raw_keys.get(fingerprint)

    def _key_fingerprints(self, keys: Sequence[str]) -> dict[str, bytes]:
        canonical = {key: canonical_key(key) for key in keys}
        found = self._fingerprinter.fingerprints(Kind.KEY, list(canonical.values())) if canonical else {}
        out = {key: found[value] for key, value in canonical.items()}
        self._remember({element: key for key, element in out.items()})
        return out

    def _remember(self, keys: dict[bytes, str]) -> None:
        self._raw_keys.update(keys)
        while len(self._raw_keys) > KEYS_REMEMBERED:
            self._raw_keys.popitem(last=False)

    def _read_cursor(self) -> int:
        if self._config.cursor is None or not self._config.cursor.exists():
            return 0
        text = self._config.cursor.read_text("ascii", "replace").strip()
        if not text.isdecimal():
            LOG.warning("the cursor file is not a number; watching from the beginning")
            return 0
        return int(text)

    def _write_cursor(self, cursor: int) -> None:
        path = self._config.cursor
        if path is not None:
            scratch = path.with_name(path.name + ".new")
            scratch.write_text(f"{cursor}\n")
            os.replace(scratch, path)

    # calling

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        """Calls the registry within the deadline; again, with jittered waits, where that can help."""
        for attempt in range(ATTEMPTS):
            try:
                return method(request, timeout=self._config.deadline_seconds)
            except grpc.RpcError as error:
                typed = from_rpc(error, "registry", self._config.ca, self._config.certificate)
                if typed.code not in _RETRIED or attempt == ATTEMPTS - 1:
                    raise typed from None
                self._wait(attempt, typed.retry_after)
        raise AssertionError("the last attempt answers or raises")

    @staticmethod
    def _wait(attempt: int, retry_after: float | None) -> None:
        ceiling = min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS)
        time.sleep(min(max(random.uniform(0, ceiling), retry_after or 0.0), 60.0))

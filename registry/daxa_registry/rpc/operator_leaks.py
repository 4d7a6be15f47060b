"""An operator's calls about leaks, over :class:`daxa_registry.rpc.operator.Operator`'s connection. Keys come as fingerprints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daxa_api.v1 import leak_pb2, leak_pb2_grpc
from daxa_core.leaks import Confidence, Leak, LeakState, Tlp, check
from daxa_core.model import Kind
from daxa_core.parameters import Parameters
from daxa_core.public_text import check_text
from daxa_registry.service.appeals import MAX_REASON
from daxa_registry.service.leaks import Match
from daxa_registry.store.leak_interface import Tester

LONG_SECONDS = 1_800.0
_JUDGEMENTS = {Confidence.VERIFIED: 1, Confidence.UNVERIFIED: 2, None: 3}


@dataclass(frozen=True, slots=True)
class LeakView:
    """A leak as an operator sees it. ``reporter`` is a member's name, empty for an operator's."""

    number: int
    leak: Leak
    confidence: Confidence
    state: LeakState
    keys: int
    loaded_at: int
    reporter: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many of a leak's keys each member issued, and how many each other leak in force has, by its number."""

    matches: tuple[Match, ...]
    overlaps: Mapping[int, int]


class OperatorLeaks:
    """The calls. Raises DaxaError as :class:`daxa_registry.rpc.operator.Operator` does."""

    def __init__(
        self, stub: leak_pb2_grpc.LeakServiceStub, call: Callable[..., Any], parameters: Parameters, by: str
    ) -> None:
        self._stub = stub
        self._call = call
        self._parameters = parameters
        self._by = by

    def open(self, leak_id: bytes, leak: Leak) -> tuple[int, int, LeakState]:
        """Begins a leak or goes on with it: its number, how many keys it has, where it is. Nothing is sent of one whose texts
        hold a key or an address."""
        check(leak, int(time.time()))
        request = leak_pb2.OpenLeakRequest(
            leak_id=leak_id,
            name=leak.name,
            source=leak.source,
            found_at=leak.found_at,
            tlp=int(leak.tlp),  # type: ignore[arg-type]
            key_version=self._parameters.key_version,
            canonical_version=self._parameters.canonical_version,
            by=self._by,
        )
        answer = self._call(self._stub.OpenLeak, request)
        return answer.number, answer.keys, LeakState(answer.state)

    def add(self, leak_id: bytes, fingerprints: Sequence[bytes]) -> int:
        """Adds keys; how many the leak has then."""
        request = leak_pb2.AddLeakedKeysRequest(leak_id=leak_id, fingerprints=fingerprints)
        return int(self._call(self._stub.AddLeakedKeys, request).keys)

    def commit(self, leak_id: bytes) -> tuple[LeakView, Counted]:
        """Brings it into force: the leak, and whose its keys are."""
        answer = self._call(
            self._stub.CommitLeak, leak_pb2.CommitLeakRequest(leak_id=leak_id, by=self._by), LONG_SECONDS
        )
        return read_leak(answer.leak), _counted(answer)

    def listed(self) -> list[LeakView]:
        """Every leak, the newest first."""
        return [read_leak(one) for one in self._call(self._stub.ListLeaks, leak_pb2.ListLeaksRequest()).leaks]

    def testers(self, least: int) -> list[Tester]:
        """Addresses from which so many keys or more were tried that are not used there, then client stacks; the most first."""
        answer = self._call(self._stub.ListTesters, leak_pb2.ListTestersRequest(least=least), LONG_SECONDS)
        return [
            Tester(
                Kind.DEVICE if one.device else Kind.ADDRESS,
                one.device or one.address,
                one.keys,
                one.members,
                one.hour,
            )
            for one in answer.testers
        ]

    def judge(self, number: int, confidence: Confidence | None, reason: str, dry_run: bool) -> tuple[LeakView, Counted]:
        """Verifies or doubts a leak, or (None) withdraws it."""
        if reason or not dry_run:
            check_text("reason", reason, MAX_REASON)
        request = leak_pb2.JudgeLeakRequest(
            number=number,
            judgement=_JUDGEMENTS[confidence],  # type: ignore[arg-type]
            reason=reason,
            dry_run=dry_run,
            by=self._by,
        )
        answer = self._call(self._stub.JudgeLeak, request, LONG_SECONDS)
        return read_leak(answer.leak), _counted(answer)


def read_leak(entry: leak_pb2.LeakEntry) -> LeakView:
    """The leak that the message stands for."""
    leak = Leak(entry.name, entry.source, entry.found_at, Tlp(entry.tlp))
    return LeakView(
        entry.number,
        leak,
        Confidence(entry.confidence),
        LeakState(entry.state),
        entry.keys,
        entry.loaded_at,
        entry.reporter,
    )


def _counted(answer: Any) -> Counted:
    matches = tuple(Match(one.member, one.leaked, one.keys) for one in answer.matches)
    return Counted(matches, {one.number: one.keys for one in answer.overlaps})

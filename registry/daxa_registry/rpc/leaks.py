"""LeakService: reads and writes its messages, and tells operators from members; what it asks for is done in a thread."""

from __future__ import annotations

import asyncio

from daxa_api.v1 import leak_pb2, leak_pb2_grpc
from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.leaks import Confidence, Leak, Tlp
from daxa_core.model import Kind
from daxa_core.parameters import Parameters
from daxa_registry.decision.leaked import OPERATORS
from daxa_registry.keys.pki import check_person
from daxa_registry.service.leak_sets import LeakSets
from daxa_registry.service.leaks import Leaks, Match
from daxa_registry.store.interface import Store
from daxa_registry.store.leak_interface import StoredLeak

from .identity import Context, Role, peer_of
from .sightings import check_key_version

MAX_LISTED = 10_000
MAX_SETS = 1_000
_JUDGEMENTS: dict[int, Confidence | None] = {1: Confidence.VERIFIED, 2: Confidence.UNVERIFIED, 3: None}


class LeakService(leak_pb2_grpc.LeakServiceServicer):
    """See proto/daxa_api/v1/leak.proto. Rights were checked before; whose leak it is, is checked here."""

    def __init__(self, leaks: Leaks, sets: LeakSets, store: Store, parameters: Parameters, trust_domain: str) -> None:
        self._leaks = leaks
        self._sets = sets
        self._store = store
        self._parameters = parameters
        self._trust_domain = trust_domain

    async def _reporter(self, context: Context) -> int:
        """The member's number, or 0 for an operator."""
        peer = peer_of(context, self._trust_domain)
        if peer.role is Role.OPERATOR:
            return OPERATORS
        return await asyncio.to_thread(self._store.member_id, peer.name)

    def _operator(self, context: Context, by: str, dry_run: bool = False) -> str:
        """Who acts, where it is an operator; empty for a member."""
        peer = peer_of(context, self._trust_domain)
        if peer.role is not Role.OPERATOR:
            return ""
        if not dry_run:
            check_person(by)
        return f"{peer.name}/{by}"

    async def OpenLeak(self, request: leak_pb2.OpenLeakRequest, context: Context) -> leak_pb2.OpenLeakResponse:
        check_key_version(self._parameters, request.key_version)
        if request.canonical_version != self._parameters.canonical_version:
            wanted = f"{self._parameters.canonical_version}, got {request.canonical_version}"
            raise Refused(ErrorCode.STALE_CANONICAL_VERSION, "canonical_version", wanted)
        if not 1 <= request.tlp <= len(Tlp):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "tlp", "one of those in Tlp")
        self._operator(context, request.by)
        leak = Leak(request.name, request.source, request.found_at, Tlp(request.tlp))
        found = await asyncio.to_thread(self._leaks.open, await self._reporter(context), request.leak_id, leak)
        return leak_pb2.OpenLeakResponse(number=found.number, keys=found.keys, state=int(found.state))  # type: ignore[arg-type]

    async def AddLeakedKeys(
        self, request: leak_pb2.AddLeakedKeysRequest, context: Context
    ) -> leak_pb2.AddLeakedKeysResponse:
        keys = await asyncio.to_thread(
            self._leaks.add, await self._reporter(context), request.leak_id, list(request.fingerprints)
        )
        return leak_pb2.AddLeakedKeysResponse(keys=keys)

    async def CommitLeak(self, request: leak_pb2.CommitLeakRequest, context: Context) -> leak_pb2.CommitLeakResponse:
        operator, reporter = self._operator(context, request.by), await self._reporter(context)
        leak, matches = await asyncio.to_thread(self._leaks.commit, reporter, request.leak_id, operator)
        overlaps = await asyncio.to_thread(self._overlaps, leak.number, reporter)
        told = [_match(one) for one in matches]
        return leak_pb2.CommitLeakResponse(leak=self.entry(leak), matches=told, overlaps=overlaps)

    def _overlaps(self, number: int, reporter: int) -> list[leak_pb2.LeakOverlap]:
        """What others reported is none of a member's business."""
        found = self._store.leak_overlaps(number) if reporter == OPERATORS else {}
        return [leak_pb2.LeakOverlap(number=other, keys=keys) for other, keys in found.items()]

    async def ListLeaks(self, request: leak_pb2.ListLeaksRequest, context: Context) -> leak_pb2.ListLeaksResponse:
        reporter = await self._reporter(context)
        found = await asyncio.to_thread(self._leaks.listed, None if reporter == OPERATORS else reporter)
        return leak_pb2.ListLeaksResponse(leaks=[self.entry(one) for one in found[:MAX_LISTED]])

    async def JudgeLeak(self, request: leak_pb2.JudgeLeakRequest, context: Context) -> leak_pb2.JudgeLeakResponse:
        if request.judgement not in _JUDGEMENTS:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "judgement", "one of those in LeakJudgement")
        operator, reporter = self._operator(context, request.by, request.dry_run), await self._reporter(context)
        leak, matches = await asyncio.to_thread(
            self._leaks.judge,
            request.number,
            _JUDGEMENTS[request.judgement],
            operator,
            request.reason,
            request.dry_run,
            None if reporter == OPERATORS else reporter,
        )
        overlaps = await asyncio.to_thread(self._overlaps, leak.number, reporter)
        told = [_match(one) for one in matches]
        return leak_pb2.JudgeLeakResponse(leak=self.entry(leak), matches=told, overlaps=overlaps)

    async def ListTesters(self, request: leak_pb2.ListTestersRequest, context: Context) -> leak_pb2.ListTestersResponse:
        if request.least < 2:
            raise InvalidInput(
                ErrorCode.INVALID_VALUE, "least", "2 or more: one key at the wrong door is its holder's mistake"
            )
        found = await asyncio.to_thread(self._store.testers, request.least, MAX_SETS)
        return leak_pb2.ListTestersResponse(
            testers=[
                leak_pb2.Tester(
                    **{"address" if one.kind is Kind.ADDRESS else "device": one.node},
                    keys=one.keys,
                    members=one.members,
                    hour=one.hour,
                )
                for one in found
            ]
        )

    async def ListLeakSets(
        self, request: leak_pb2.ListLeakSetsRequest, context: Context
    ) -> leak_pb2.ListLeakSetsResponse:
        return await asyncio.to_thread(self._list_sets)

    def _list_sets(self) -> leak_pb2.ListLeakSetsResponse:
        return leak_pb2.ListLeakSetsResponse(
            sets=[
                leak_pb2.LeakSet(
                    number=leak.number,
                    keys=leak.keys,
                    confidence=int(leak.confidence),  # type: ignore[arg-type]
                    tlp=int(leak.tlp),  # type: ignore[arg-type]
                    chunks=self._sets.digests(leak),
                    key_version=self._parameters.key_version,
                )
                for leak in self._sets.published()[:MAX_SETS]
            ]
        )

    async def GetLeakSetChunk(
        self, request: leak_pb2.GetLeakSetChunkRequest, context: Context
    ) -> leak_pb2.GetLeakSetChunkResponse:
        chunk = await asyncio.to_thread(self._sets.chunk, request.number, request.chunk)
        return leak_pb2.GetLeakSetChunkResponse(chunk=chunk)

    async def ConfirmLeakedKeys(
        self, request: leak_pb2.ConfirmLeakedKeysRequest, context: Context
    ) -> leak_pb2.ConfirmLeakedKeysResponse:
        check_key_version(self._parameters, request.key_version)
        found = await asyncio.to_thread(self._sets.leaked, list(request.keys))
        return leak_pb2.ConfirmLeakedKeysResponse(
            leaked=[
                # Who reported it is nobody else's business.
                leak_pb2.LeakedKey(key=key, leaks=[self.entry(leak, named=False) for leak in leaks])
                for key, leaks in found
            ]
        )

    def entry(self, leak: StoredLeak, named: bool = True) -> leak_pb2.LeakEntry:
        """The message that stands for a leak; ``named``: with who reported it."""
        reporter = self._store.members().get(leak.reporter, "") if named and leak.reporter != OPERATORS else ""
        return leak_pb2.LeakEntry(
            number=leak.number,
            name=leak.name,
            source=leak.source,
            found_at=leak.found_at,
            tlp=int(leak.tlp),  # type: ignore[arg-type]
            confidence=int(leak.confidence),  # type: ignore[arg-type]
            state=int(leak.state),  # type: ignore[arg-type]
            keys=leak.keys,
            loaded_at=leak.loaded_at,
            reporter=reporter,
        )


def _match(one: Match) -> leak_pb2.LeakMatch:
    return leak_pb2.LeakMatch(member=one.member, leaked=one.leaked, keys=one.keys)

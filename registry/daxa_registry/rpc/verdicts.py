"""VerdictService: looks verdicts up, streams their changes from a cursor, takes reports and appeals."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable

from daxa_api.v1 import verdict_pb2, verdict_pb2_grpc
from daxa_core import codec
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import BATCH_ID_BYTES, FINGERPRINT_BYTES, MAX_KEYS_PER_LOOKUP, Act, Ground
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import verdict_digest
from daxa_registry.service.appeals import appeal
from daxa_registry.service.matching import Matcher
from daxa_registry.service.news import News
from daxa_registry.service.reports import Report, report_enforcement
from daxa_registry.store.interface import Store

from .identity import Context, peer_of
from .sightings import check_key_version

PAGE = 200
DIGEST_PAGE = 1_000
HEARTBEAT_SECONDS = 20.0
_REFERENCE = re.compile(r"[A-Za-z0-9._-]{0,64}")


class VerdictService(verdict_pb2_grpc.VerdictServiceServicer):
    """See proto/daxa_api/v1/verdict.proto. A member is told of its own keys and of nobody else's."""

    def __init__(
        self,
        store: Store,
        matcher: Matcher,
        news: News,
        parameters: Parameters,
        trust_domain: str,
        clock: Callable[[], int],
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        """``heartbeat``: seconds between empty messages on an idle stream."""
        self._store = store
        self._matcher = matcher
        self._clock = clock
        self._news = news
        self._parameters = parameters
        self._trust_domain = trust_domain
        self._heartbeat = heartbeat
        self._members: dict[str, int] = {}

    async def _member(self, context: Context) -> int:
        name = peer_of(context, self._trust_domain).name
        member = self._members.get(name)
        if member is None:  # made on first use, which waits for its turn to write
            member = self._members[name] = await asyncio.to_thread(self._store.member_id, name)
        return member

    async def BatchGetVerdicts(
        self, request: verdict_pb2.BatchGetVerdictsRequest, context: Context
    ) -> verdict_pb2.BatchGetVerdictsResponse:
        member = await self._member(context)
        check_key_version(self._parameters, request.key_version)
        keys = request.keys
        if not 1 <= len(keys) <= MAX_KEYS_PER_LOOKUP:
            code = ErrorCode.TOO_MANY_ITEMS if keys else ErrorCode.EMPTY_BATCH
            raise InvalidInput(code, "keys", f"1 to {MAX_KEYS_PER_LOOKUP}, got {len(keys)}")
        for index, key in enumerate(keys):
            if len(key) != FINGERPRINT_BYTES:
                wanted = f"{FINGERPRINT_BYTES} bytes, got {len(key)}"
                raise InvalidInput(ErrorCode.INVALID_LENGTH, f"keys[{index}]", wanted)
        found = self._store.current_verdicts(member, keys)
        response = verdict_pb2.BatchGetVerdictsResponse()
        for key in dict.fromkeys(keys):
            body = found.get(key)
            if body is not None:
                response.verdicts.add().MergeFromString(body)
        return response

    async def GetVerdictDigest(
        self, request: verdict_pb2.GetVerdictDigestRequest, context: Context
    ) -> verdict_pb2.GetVerdictDigestResponse:
        member = await self._member(context)
        until = request.at_sequence
        head = self._store.head(member)
        if until > head:
            raise InvalidInput(ErrorCode.CURSOR_OUT_OF_RANGE, "at_sequence", f"0 to {head}")
        newest = []
        for first in range(1, until + 1, DIGEST_PAGE):  # in pages: others are served in between
            newest += self._store.newest_verdicts(member, first, first + DIGEST_PAGE - 1, until)
            await asyncio.sleep(0)
        return verdict_pb2.GetVerdictDigestResponse(
            digest=verdict_digest(newest),
            keys=len(newest),
            head_sequence=self._store.head(member),
            now=int(time.time()),
        )

    async def WatchVerdicts(
        self, request: verdict_pb2.WatchVerdictsRequest, context: Context
    ) -> AsyncIterator[verdict_pb2.WatchVerdictsResponse]:
        member = await self._member(context)
        cursor = request.after_sequence
        head = self._store.head(member)
        if cursor > head:
            raise InvalidInput(ErrorCode.CURSOR_OUT_OF_RANGE, "after_sequence", f"0 to {head}")
        event = self._news.watch(member)
        try:
            yield verdict_pb2.WatchVerdictsResponse(head_sequence=head)
            while True:
                event.clear()
                page = self._store.verdicts_after(member, cursor, PAGE)
                if page:
                    # The next page is read when this one was taken by the transport, so a slow reader costs one page.
                    cursor = page[-1][0]
                    yield verdict_pb2.WatchVerdictsResponse(
                        verdicts=[codec.decode_envelope(body) for _, body in page],
                        head_sequence=max(self._store.head(member), cursor),
                    )
                    continue
                try:
                    await asyncio.wait_for(event.wait(), self._heartbeat)
                except TimeoutError:
                    yield verdict_pb2.WatchVerdictsResponse(head_sequence=self._store.head(member))
        finally:
            self._news.leave(member, event)

    async def ReportEnforcement(
        self, request: verdict_pb2.ReportEnforcementRequest, context: Context
    ) -> verdict_pb2.ReportEnforcementResponse:
        member = await self._member(context)
        check_key_version(self._parameters, request.key_version)
        _check_length("report_id", request.report_id, BATCH_ID_BYTES)
        _check_length("key", request.key, FINGERPRINT_BYTES)
        if not 1 <= request.act <= len(Act):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "act", "one of those in Act")
        report = Report(member, request.report_id, request.key, request.sequence, Act(request.act))
        receipt, heads = await asyncio.to_thread(report_enforcement, self._store, self._matcher, report, self._clock())
        self._news.tell(heads)
        return verdict_pb2.ReportEnforcementResponse(
            reported_at=receipt.reported_at, changed=receipt.changed, verdict=codec.decode_envelope(receipt.verdict)
        )

    async def Appeal(self, request: verdict_pb2.AppealRequest, context: Context) -> verdict_pb2.AppealResponse:
        member = await self._member(context)
        check_key_version(self._parameters, request.key_version)
        _check_length("appeal_id", request.appeal_id, BATCH_ID_BYTES)
        _check_length("key", request.key, FINGERPRINT_BYTES)
        if not 1 <= request.ground <= len(Ground):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "ground", "one of those in Ground")
        if not _REFERENCE.fullmatch(request.reference):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "reference", "up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
        made = await asyncio.to_thread(
            appeal,
            self._store,
            member,
            request.appeal_id,
            request.key,
            request.sequence,
            Ground(request.ground),
            request.reference,
            self._clock(),
        )
        return verdict_pb2.AppealResponse(
            number=made.number,
            filed_at=made.filed_at,
            status=made.status,  # type: ignore[arg-type]
            answered_at=made.answered_at,
        )


def _check_length(name: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, name, f"{length} bytes, got {len(value)}")

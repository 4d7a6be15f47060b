"""SightingService: reads batches off the wire, hands them to the intake, answers after the commit."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2
from daxa_core import codec
from daxa_core.errors import DaxaError, ErrorCode, InvalidInput, Refused
from daxa_core.model import BATCH_ID_BYTES, FINGERPRINT_BYTES, MAX_SIGHTINGS, Manner, Sighting
from daxa_core.parameters import Parameters
from daxa_registry.service.fair_queue import QUANTUM
from daxa_registry.service.intake import Intake, Submission, Withdrawal
from daxa_registry.service.metrics import Metrics

from .identity import Context, peer_of

PART = QUANTUM
TURN = 20
"""Sightings that are read before another call has its turn: a tenth of a millisecond, and several times that beside a busy
writer."""
LATER_SECONDS = 0.005
"""How long the reading lets the writer go on with what others sent, where a whole batch of the same member waits already."""


def check_key_version(parameters: Parameters, key_version: int) -> None:
    """Raises Refused STALE_KEY_VERSION unless the fingerprints were made under the key in force."""
    if key_version != parameters.key_version:
        raise Refused(ErrorCode.STALE_KEY_VERSION, "key_version", f"{parameters.key_version}, got {key_version}")


def _part(whole: Submission, start: int) -> Submission:
    batch_id = whole.batch_id
    if start:
        batch_id = hashlib.sha256(b"part" + batch_id + start.to_bytes(4, "big")).digest()[:BATCH_ID_BYTES]
    return replace(whole, batch_id=batch_id, items=whole.items[start : start + PART])


class SightingService(sighting_pb2_grpc.SightingServiceServicer):
    """See proto/daxa_api/v1/sighting.proto."""

    def __init__(
        self,
        intake: Intake,
        parameters: Parameters,
        trust_domain: str,
        metrics: Metrics | None = None,
        only_refused: Callable[[str, Sequence[bytes]], Iterable[bytes]] = lambda member, keys: (),
    ) -> None:
        """``only_refused``: which of a member's keys it has refused and never used."""
        self._only_refused = only_refused
        self._metrics = metrics or Metrics()
        self._intake = intake
        self._parameters = parameters
        self._trust_domain = trust_domain
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def SubmitSightings(
        self, request: sighting_pb2.SubmitSightingsRequest, context: Context
    ) -> sighting_pb2.SubmitSightingsResponse:
        member = peer_of(context, self._trust_domain).name
        if request.member != member:
            raise Refused(ErrorCode.MEMBER_MISMATCH, "member", "the name in the client certificate")
        if len(request.batch_id) != BATCH_ID_BYTES:
            got = len(request.batch_id)
            raise InvalidInput(ErrorCode.INVALID_LENGTH, "batch_id", f"{BATCH_ID_BYTES} bytes, got {got}")
        check_key_version(self._parameters, request.key_version)
        if request.canonical_version != self._parameters.canonical_version:
            wanted = f"{self._parameters.canonical_version}, got {request.canonical_version}"
            raise Refused(ErrorCode.STALE_CANONICAL_VERSION, "canonical_version", wanted)
        number = len(request.sightings)
        if number == 0:
            raise InvalidInput(ErrorCode.EMPTY_BATCH, "sightings", f"1 to {MAX_SIGHTINGS}, got none")
        if number > MAX_SIGHTINGS:
            raise InvalidInput(ErrorCode.TOO_MANY_ITEMS, "sightings", f"1 to {MAX_SIGHTINGS}, got {number}")
        async with self._reading[member]:
            items = await self._read(member, request.sightings)
        # The digest only tells one content from another under the same id, so any collision-resistant hash of the bytes does.
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        return await self._take(Submission(member, request.batch_id, digest, items))

    async def _read(self, member: str, messages: Sequence[sighting_pb2.Sighting]) -> list[Sighting | DaxaError]:
        """The items, with an error for each that is none. Others are let in between: of a member that floods, only one batch is
        being read at a time, only so much of it at once, and slowly while the writer works for others and will not miss it."""
        items: list[Sighting | DaxaError] = []
        for message in messages:
            if items and not len(items) % TURN:
                await asyncio.sleep(LATER_SECONDS if self._intake.has_time(member, MAX_SIGHTINGS // PART) else 0)
            try:
                items.append(codec.read_sighting(message))
            except DaxaError as error:
                items.append(error)
        return items

    async def _take(self, whole: Submission) -> sighting_pb2.SubmitSightingsResponse:
        """Takes a batch in parts of at most PART sightings, each remembered under an id of its own.

        One transaction over a full batch would hold up everybody else's small ones. The first part answers for the batch's id;
        a batch that was cut off between two parts is finished when it comes again, and no part is counted twice.
        """
        parts = [_part(whole, start) for start in range(0, len(whole.items), PART)]
        receipts = [await asyncio.wrap_future(self._intake.submit(parts[0]))]
        receipts += await asyncio.gather(*(asyncio.wrap_future(self._intake.submit(part)) for part in parts[1:]))
        response = sighting_pb2.SubmitSightingsResponse()
        newest: dict[bytes, tuple[int, types_pb2.Envelope]] = {}
        for number, receipt in enumerate(receipts):
            response.accepted += receipt.accepted
            for refusal in receipt.refusals:
                response.refusals.append(codec.write_refusal(replace(refusal, index=number * PART + refusal.index)))
            for body in receipt.verdicts:
                envelope = codec.decode_envelope(body)
                verdict = codec.decode_verdict(envelope.payload)
                # Two parts may touch one key: the later verdict is the one that stands.
                if verdict.sequence > newest.get(verdict.key, (0, envelope))[0]:
                    newest[verdict.key] = (verdict.sequence, envelope)
        self._metrics.took(whole.member, "TAKEN", response.accepted)
        for one in response.refusals:
            self._metrics.took(whole.member, one.code)
        response.verdicts.extend(envelope for _, envelope in newest.values())
        refused = {one.key for one in whole.items if isinstance(one, Sighting) and one.manner is Manner.REJECTED}
        if refused:
            response.of_no_use.extend(await asyncio.to_thread(self._only_refused, whole.member, list(refused)))
        return response

    async def WithdrawSightings(
        self, request: sighting_pb2.WithdrawSightingsRequest, context: Context
    ) -> sighting_pb2.WithdrawSightingsResponse:
        member = peer_of(context, self._trust_domain).name
        check_key_version(self._parameters, request.key_version)
        if len(request.key) != FINGERPRINT_BYTES:
            got = len(request.key)
            raise InvalidInput(ErrorCode.INVALID_LENGTH, "key", f"{FINGERPRINT_BYTES} bytes, got {got}")
        if request.first_hour > request.last_hour:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "last_hour", "not before first_hour")
        withdrawal = Withdrawal(member, request.key, request.first_hour, request.last_hour)
        withdrawn = await asyncio.wrap_future(self._intake.withdraw(withdrawal))
        return sighting_pb2.WithdrawSightingsResponse(withdrawn=withdrawn)

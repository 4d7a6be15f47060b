"""EvaluationService: one share of the oblivious function, proved, within the caller's quota.

Multiplying and counting happen in threads: libsodium works outside the interpreter lock, and a commit waits for the disk.
"""

from __future__ import annotations

import asyncio

from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc
from daxa_core import group, oprf, suite
from daxa_core.errors import CryptoError, ErrorCode, InvalidInput
from daxa_core.model import MAX_BLINDED_ELEMENTS, Kind
from daxa_core.parameters import Parameters
from daxa_registry.keys.shares import ShareFile
from daxa_registry.service.quota import Quota

from .identity import Context, peer_of
from .sightings import check_key_version

THREADS = 2
"""Over how many threads one batch is worked on: libsodium works outside the interpreter lock."""


class EvaluationService(evaluation_pb2_grpc.EvaluationServiceServicer):
    """See proto/daxa_api/v1/evaluation.proto."""

    def __init__(self, parameters: Parameters, share: ShareFile, quota: Quota, trust_domain: str) -> None:
        self._parameters = parameters
        self._share = share
        self._quota = quota
        self._trust_domain = trust_domain
        self._public = {kind: parameters.public_share(kind, share.index) for kind in Kind}

    async def GetParameters(
        self, request: evaluation_pb2.GetParametersRequest, context: Context
    ) -> evaluation_pb2.GetParametersResponse:
        caller = str(peer_of(context, self._trust_domain))
        parameters = self._parameters
        remaining = await asyncio.to_thread(self._quota.remaining, caller)
        return evaluation_pb2.GetParametersResponse(
            suite=suite.IDENTIFIER,
            key_version=parameters.key_version,
            canonical_version=parameters.canonical_version,
            threshold=parameters.threshold,
            evaluators=parameters.evaluators,
            index=self._share.index,
            kinds=[
                evaluation_pb2.KindParameters(
                    kind=int(kind),  # type: ignore[arg-type]
                    commitments=parameters.kinds[kind],
                    quota_remaining=remaining[kind],
                    quota_per_day=self._quota.per_day(kind),
                )
                for kind in Kind
            ],
            parameters_digest=parameters.digest,
        )

    async def Evaluate(
        self, request: evaluation_pb2.EvaluateRequest, context: Context
    ) -> evaluation_pb2.EvaluateResponse:
        caller = str(peer_of(context, self._trust_domain))
        try:
            kind = Kind(request.kind)
        except ValueError:
            raise InvalidInput(ErrorCode.UNKNOWN_KIND, "kind", "KEY, ADDRESS, NETWORK, DEVICE or HOLDER") from None
        check_key_version(self._parameters, request.key_version)
        blinded = list(request.blinded_elements)
        if not 1 <= len(blinded) <= MAX_BLINDED_ELEMENTS:
            code = ErrorCode.TOO_MANY_ITEMS if blinded else ErrorCode.EMPTY_BATCH
            raise InvalidInput(code, "blinded_elements", f"1 to {MAX_BLINDED_ELEMENTS}, got {len(blinded)}")
        evaluated, proof = await asyncio.to_thread(self._evaluate, caller, kind, blinded, request.unproved)
        return evaluation_pb2.EvaluateResponse(evaluated_elements=evaluated, proof=proof, index=self._share.index)

    def _evaluate(self, caller: str, kind: Kind, blinded: list[bytes], unproved: bool) -> tuple[list[bytes], bytes]:
        """Checks every element, then charges, then evaluates: a bad element costs nothing, an answer never comes free."""
        for index, element in enumerate(blinded):
            try:
                group.element(element)
            except CryptoError as error:
                raise InvalidInput(error.code, f"blinded_elements[{index}]", error.expected) from None
        self._quota.spend(caller, kind, len(blinded))
        if unproved:
            return oprf.evaluate_batch(self._share.shares[kind], blinded, THREADS), b""
        return oprf.blind_evaluate(self._share.shares[kind], self._public[kind], blinded, threads=THREADS)

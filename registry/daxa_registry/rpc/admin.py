"""AdminService: an operator's calls, answered by the office in a thread, under the name in the certificate."""

from __future__ import annotations

import asyncio

from daxa_api.v1 import admin_pb2, admin_pb2_grpc
from daxa_core import group
from daxa_core.codec import write_verdict
from daxa_core.errors import CryptoError
from daxa_core.parameters import Parameters
from daxa_registry.keys.pki import check_person
from daxa_registry.service.office import Office

from . import admin_codec as wire
from .identity import Context, peer_of
from .sightings import check_key_version

MAX_LISTED = 10_000


class AdminService(admin_pb2_grpc.AdminServiceServicer):
    """See proto/daxa_api/v1/admin.proto. Rights were checked before: whoever comes here is an operator."""

    def __init__(self, office: Office, parameters: Parameters, trust_domain: str) -> None:
        self._office = office
        self._parameters = parameters
        self._trust_domain = trust_domain

    def _operator(self, context: Context, by: str, dry_run: bool) -> str:
        """Who acts: the operator of the certificate, and the person there who says that it is they; in a dry run, nobody."""
        if not dry_run:
            check_person(by)
        return f"{peer_of(context, self._trust_domain).name}/{by}"

    async def ListAppeals(
        self, request: admin_pb2.ListAppealsRequest, context: Context
    ) -> admin_pb2.ListAppealsResponse:
        found = await asyncio.to_thread(self._office.appeals)
        return admin_pb2.ListAppealsResponse(appeals=[wire.write_appeal(one) for one in found[:MAX_LISTED]])

    async def AnswerAppeal(
        self, request: admin_pb2.AnswerAppealRequest, context: Context
    ) -> admin_pb2.AnswerAppealResponse:
        answered = await asyncio.to_thread(
            self._office.answer_appeal,
            self._operator(context, request.by, request.dry_run),
            request.member,
            request.number,
            request.grant,
            request.reason,
            request.dry_run,
        )
        return admin_pb2.AnswerAppealResponse(
            appeal=wire.write_appeal(answered.appeal),
            verdict=write_verdict(answered.verdict),
            corrections=[wire.write_correction(one) for one in answered.corrections[:MAX_LISTED]],
        )

    async def DeclareInfrastructure(
        self, request: admin_pb2.DeclareInfrastructureRequest, context: Context
    ) -> admin_pb2.DeclareInfrastructureResponse:
        check_key_version(self._parameters, request.key_version)
        for index, fingerprint in enumerate(request.fingerprints):
            try:
                group.element(fingerprint)
            except CryptoError as error:
                raise CryptoError(error.code, f"fingerprints[{index}]", error.expected) from None
        known, suspects = await asyncio.to_thread(
            self._office.declare,
            self._operator(context, request.by, request.dry_run),
            list(request.fingerprints),
            request.name,
            request.until,
            request.dry_run,
        )
        return admin_pb2.DeclareInfrastructureResponse(known=known, suspects=suspects)

    async def ListInfrastructure(
        self, request: admin_pb2.ListInfrastructureRequest, context: Context
    ) -> admin_pb2.ListInfrastructureResponse:
        found = await asyncio.to_thread(self._office.infrastructure)
        return admin_pb2.ListInfrastructureResponse(infrastructure=[wire.write_declared(one) for one in found])

    async def RemoveInfrastructure(
        self, request: admin_pb2.RemoveInfrastructureRequest, context: Context
    ) -> admin_pb2.RemoveInfrastructureResponse:
        operator = self._operator(context, request.by, request.dry_run)
        found = await asyncio.to_thread(self._office.remove, operator, request.number, request.dry_run)
        return admin_pb2.RemoveInfrastructureResponse(infrastructure=wire.write_declared(found))

    async def ListCases(self, request: admin_pb2.ListCasesRequest, context: Context) -> admin_pb2.ListCasesResponse:
        found = await asyncio.to_thread(self._office.cases, request.number)
        return admin_pb2.ListCasesResponse(cases=[wire.write_case(one) for one in found])

    async def ReplayVerdict(
        self, request: admin_pb2.ReplayVerdictRequest, context: Context
    ) -> admin_pb2.ReplayVerdictResponse:
        return wire.write_replay(await asyncio.to_thread(self._office.replay, request.member, request.sequence))

    async def ListPolicies(
        self, request: admin_pb2.ListPoliciesRequest, context: Context
    ) -> admin_pb2.ListPoliciesResponse:
        found = await asyncio.to_thread(self._office.policies)
        return admin_pb2.ListPoliciesResponse(policies=[wire.write_policy(one) for one in found])

    async def GetPolicy(self, request: admin_pb2.GetPolicyRequest, context: Context) -> admin_pb2.GetPolicyResponse:
        entry, text = await asyncio.to_thread(self._office.policy, request.digest)
        return admin_pb2.GetPolicyResponse(policy=wire.write_policy(entry), text=text)

    async def TestPolicy(self, request: admin_pb2.TestPolicyRequest, context: Context) -> admin_pb2.TestPolicyResponse:
        test, moves = await asyncio.to_thread(self._office.try_policy, request.text)
        return admin_pb2.TestPolicyResponse(test=wire.write_test(test), moves=[wire.write_move(move) for move in moves])

    async def ActivatePolicy(
        self, request: admin_pb2.ActivatePolicyRequest, context: Context
    ) -> admin_pb2.ActivatePolicyResponse:
        operator = self._operator(context, request.by, request.dry_run)
        test = await asyncio.to_thread(self._office.activate, operator, request.text, request.dry_run)
        return admin_pb2.ActivatePolicyResponse(test=wire.write_test(test))

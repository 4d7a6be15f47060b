"""Every call of every service, as a server's handler reads it: with the role that may make it, over a registry that holds a ring.

What the guard reads before a handler (certificates, metadata) is not in it; a call that is new is missed here by a test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from daxa_api.v1 import (
    admin_pb2,
    audit_pb2,
    evaluation_pb2,
    incident_pb2,
    leak_pb2,
    sighting_pb2,
    types_pb2,
    verdict_pb2,
)
from daxa_core import group, oprf
from daxa_core.errors import DaxaError
from daxa_core.model import Kind, Manner, Sighting
from daxa_registry.decision.policy import default_policy, default_policy_text
from daxa_registry.keys.pki import Authority
from daxa_registry.keys.shares import deal
from daxa_registry.keys.signing import SIGNING, Signer, make
from daxa_registry.rpc.admin import AdminService
from daxa_registry.rpc.audit import AuditService
from daxa_registry.rpc.evaluation import EvaluationService
from daxa_registry.rpc.identity import RIGHTS
from daxa_registry.rpc.incidents import IncidentService
from daxa_registry.rpc.leaks import LeakService
from daxa_registry.rpc.sightings import SightingService
from daxa_registry.rpc.verdicts import VerdictService
from daxa_registry.service.incidents import Incidents
from daxa_registry.service.intake import Intake, Submission
from daxa_registry.service.leak_sets import LeakSets
from daxa_registry.service.leaks import Leaks
from daxa_registry.service.log import Log
from daxa_registry.service.matching import Matcher
from daxa_registry.service.news import News
from daxa_registry.service.office import Office
from daxa_registry.service.quota import Quota
from daxa_registry.store.sqlite import SqliteStore

from . import Decoder, Read
from .kernel import message

DOMAIN = "daxa.kr"
HEAVY = frozenset({"TestPolicy", "ActivatePolicy", "Evaluate", "SubmitSightings", "WithdrawSightings"})
"""These take milliseconds: a policy of 1,500 lines, group elements, a commit."""


_EXTREMES: dict[int, tuple[Any, ...]] = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**63, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (0, 99),
    FieldDescriptor.CPPTYPE_BOOL: (False, True),
    FieldDescriptor.CPPTYPE_STRING: ("", "\0", "'\u202e%/..", "9" * 5_000),
}
"""By how a field is held; bytes count as a string."""


class _Context:
    """What a handler sees of who calls."""

    def __init__(self, certificate: bytes) -> None:
        self._certificate = certificate

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"x509_pem_cert": [self._certificate]}


def element(name: str) -> bytes:
    """The fingerprint that stands for a name."""
    return oprf.hash_input(name.encode())


def calls() -> dict[str, str]:
    """By its name, the service of each call of this project."""
    found = {}
    for method in RIGHTS:
        package, _, rest = method.lstrip("/").rpartition(".")
        if package == "daxa_api.v1":
            service, _, call = rest.partition("/")
            found[call] = service
    return found


class _Registry:
    """Every service, over one registry in memory that holds a ring of keys at two members, a leak, an appeal and an incident."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        now = int(time.time())
        self.hour = now // 3_600
        self.parameters, shares = deal(2, 3)
        self.store = SqliteStore(":memory:")
        folder.mkdir(parents=True)
        make(folder, DOMAIN, now)
        log = Log(self.store, Signer(folder / SIGNING))
        matcher = Matcher(self.store, default_policy(), log)
        clock = lambda: int(time.time())  # noqa: E731 - said once
        nobody = lambda heads: None  # noqa: E731
        intake = Intake(self.store, matcher, check=group.refused_elements, clock=clock)
        leaks = Leaks(self.store, matcher, nobody, clock, check_elements=group.refused_elements)
        for member in ("upbit", "bithumb"):
            ring = [
                Sighting(element(f"{member} {key}"), element("place"), element("network"), self.hour - h, Manner.USED, 1,
                         element("stack"), element(f"{member} holder {key}"), key.to_bytes(16, "big"))
                for key in range(4) for h in range(96) if h * 7 % 5 < 2
            ]  # fmt: skip
            intake.submit(Submission(member, member.encode().ljust(16), bytes(32), ring)).result()
        self.member = self.store.member_id("upbit")
        leak_service = LeakService(leaks, LeakSets(self.store), self.store, self.parameters, DOMAIN)
        quota = Quota(":memory:", dict.fromkeys(Kind, 1 << 40))
        self.services = {
            "AdminService": AdminService(Office(self.store, matcher, nobody, clock), self.parameters, DOMAIN),
            "AuditService": AuditService(log, self.store, DOMAIN),
            "EvaluationService": EvaluationService(self.parameters, shares[0], quota, DOMAIN),
            "IncidentService": IncidentService(Incidents(self.store, matcher, clock), leak_service.entry, DOMAIN),
            "LeakService": leak_service,
            "SightingService": SightingService(intake, self.parameters, DOMAIN),
            "VerdictService": VerdictService(self.store, matcher, News(self.loop), self.parameters, DOMAIN, clock),
        }

    def reader(self, service: str, call: str, kind: type, context: _Context) -> Read:
        handler = getattr(self.services[service], call)

        async def answered(request: Any) -> object:
            answer = handler(request, context)
            if not hasattr(answer, "__aiter__"):
                return await answer
            async with aclosing(answer) as answers:
                return await anext(answers)

        return message(kind, lambda request: self.loop.run_until_complete(answered(request)))


def _requests(registry: _Registry) -> dict[str, Message]:
    """A good request of each call."""
    key, leak_id, now = element("upbit 0"), b"leak".ljust(16), int(time.time())
    versions = {"key_version": registry.parameters.key_version}
    both = versions | {"canonical_version": registry.parameters.canonical_version}
    standing = registry.store.standing_of(registry.member, key)
    assert standing is not None
    assert standing.sequence, "the ring has a verdict to speak of"
    verdict = {"key": key, "sequence": standing.sequence}
    sighting = sighting_pb2.Sighting(
        key=key, address=element("elsewhere"), network=element("network"), hour=registry.hour, count=1,
        manner=types_pb2.MANNER_USED,
    )  # fmt: skip
    return {
        "Evaluate": evaluation_pb2.EvaluateRequest(kind=1, blinded_elements=[element("blinded")], **versions),  # type: ignore[arg-type]
        "GetParameters": evaluation_pb2.GetParametersRequest(),
        "SubmitSightings": sighting_pb2.SubmitSightingsRequest(batch_id=b"i" * 16, member="upbit", sightings=[sighting], **both),
        "WithdrawSightings": sighting_pb2.WithdrawSightingsRequest(key=element("upbit 3"), first_hour=1, last_hour=2, **versions),
        "BatchGetVerdicts": verdict_pb2.BatchGetVerdictsRequest(keys=[key], **versions),
        "GetVerdictDigest": verdict_pb2.GetVerdictDigestRequest(at_sequence=1),
        "WatchVerdicts": verdict_pb2.WatchVerdictsRequest(after_sequence=1),
        "ReportEnforcement": verdict_pb2.ReportEnforcementRequest(report_id=b"r" * 16, act=1, **verdict, **versions),  # type: ignore[arg-type]
        "Appeal": verdict_pb2.AppealRequest(appeal_id=b"a" * 16, ground=1, reference="case-17", **verdict, **versions),  # type: ignore[arg-type]
        "OpenLeak": leak_pb2.OpenLeakRequest(leak_id=leak_id, name="a", source="b", found_at=now, tlp=1, by="kim", **both),  # type: ignore[arg-type]
        "AddLeakedKeys": leak_pb2.AddLeakedKeysRequest(leak_id=leak_id, fingerprints=[key]),
        "CommitLeak": leak_pb2.CommitLeakRequest(leak_id=leak_id, by="kim"),
        "JudgeLeak": leak_pb2.JudgeLeakRequest(number=1, judgement=1, reason="seen", by="kim", dry_run=True),  # type: ignore[arg-type]
        "ListLeaks": leak_pb2.ListLeaksRequest(),
        "ListTesters": leak_pb2.ListTestersRequest(least=2),
        "ListLeakSets": leak_pb2.ListLeakSetsRequest(),
        "GetLeakSetChunk": leak_pb2.GetLeakSetChunkRequest(number=1, chunk=0),
        "ConfirmLeakedKeys": leak_pb2.ConfirmLeakedKeysRequest(keys=[key], **versions),
        "ListAppeals": admin_pb2.ListAppealsRequest(),
        "AnswerAppeal": admin_pb2.AnswerAppealRequest(member="upbit", number=1, grant=True, reason="x", by="kim", dry_run=True),
        "DeclareInfrastructure": admin_pb2.DeclareInfrastructureRequest(
            fingerprints=[element("place")], name="a platform", until=now + 86_400, by="kim", dry_run=True, **versions
        ),
        "RemoveInfrastructure": admin_pb2.RemoveInfrastructureRequest(number=1, by="kim", dry_run=True),
        "ListInfrastructure": admin_pb2.ListInfrastructureRequest(),
        "ListCases": admin_pb2.ListCasesRequest(number=1),
        "ReplayVerdict": admin_pb2.ReplayVerdictRequest(member="upbit", sequence=1),
        "ListPolicies": admin_pb2.ListPoliciesRequest(),
        "GetPolicy": admin_pb2.GetPolicyRequest(digest="00"),
        "TestPolicy": admin_pb2.TestPolicyRequest(text=default_policy_text()),
        "ActivatePolicy": admin_pb2.ActivatePolicyRequest(text=default_policy_text(), by="kim", dry_run=True),
        "OpenIncident": incident_pb2.OpenIncidentRequest(title="a paste", by="kim", **{"class": 1}),
        "LinkIncident": incident_pb2.LinkIncidentRequest(number=1, member="upbit", sequence=1, by="kim"),
        "CloseIncident": incident_pb2.CloseIncidentRequest(number=1, outcome="told", by="kim", dry_run=True),
        "GetIncident": incident_pb2.GetIncidentRequest(number=1),
        "ListIncidents": incident_pb2.ListIncidentsRequest(),
        "GetCheckpoint": audit_pb2.GetCheckpointRequest(cosignatures=1),
        "GetInclusionProof": audit_pb2.GetInclusionProofRequest(leaf_index=1, tree_size=3),
        "GetConsistencyProof": audit_pb2.GetConsistencyProofRequest(first_size=1, second_size=3),
        "ListEntries": audit_pb2.ListEntriesRequest(start=1, limit=2),
        "AddCosignature": audit_pb2.AddCosignatureRequest(tree_size=3, cosignature="\u2014 upbit.example/witness AAAA\n"),
    }  # fmt: skip


def extremes(request: Message) -> Iterator[bytes]:
    """The request with one of its fields at an end of what it can hold: what random bytes seldom come to."""
    for field in request.DESCRIPTOR.fields:
        if field.name == "dry_run":  # else there would soon be nothing left to answer
            continue
        for value in _EXTREMES.get(field.cpp_type, ()):
            changed = type(request)()
            changed.CopyFrom(request)
            if field.type == field.TYPE_BYTES:
                value = str(value).encode()
            if field.is_repeated:
                getattr(changed, field.name)[:] = [value]
            else:
                setattr(changed, field.name, value)
            yield changed.SerializeToString()


def decoders(folder: Path) -> dict[str, Decoder]:
    """By name. Each good request is made once, so that what it asks for is there."""
    registry, authority = _Registry(folder / "registry"), Authority.create(DOMAIN)
    contexts = {role: _Context(authority.issue(f"{role}/{name}", []).certificate)
                for role, name in (("member", "upbit"), ("operator", "daxa"), ("auditor", "fss"))}  # fmt: skip
    services, found = calls(), {}
    for call, request in _requests(registry).items():
        may = {str(role) for role in RIGHTS[f"/daxa_api.v1.{services[call]}/{call}"]}
        role = next(role for role in contexts if role in may)
        read = registry.reader(services[call], call, type(request), contexts[role])
        seed = request.SerializeToString()
        with suppress(DaxaError):  # such as a cosignature by a stranger
            read(seed)
        found[f"call {call}"] = Decoder(read, (seed, *extremes(request)), 1 if call in HEAVY else 5)
    return found

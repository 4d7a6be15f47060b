"""Who calls, and who may call what: a SPIFFE id in the client certificate, and one table, deny by default.

The handshake has verified the certificate before any of this runs. What the handshake cannot see is checked here with every
call: that the certificate names one peer of this trust domain, that its authority may vouch for that peer, and that it has not
expired or been revoked since the connection was made.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import grpc
from cryptography import x509

from daxa_core.errors import ErrorCode, Refused
from daxa_registry.keys.pki import PEER_NAME
from daxa_registry.keys.trust import Trust

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Role(StrEnum):
    """What a peer is; the first segment of the path of its SPIFFE id."""

    MEMBER = "member"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    EVALUATOR = "evaluator"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Peer:
    """A verified peer: its role and its name, which is empty for the registry itself. ``str()`` is ``role/name``."""

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role}/{self.name}" if self.name else str(self.role)


EVERYBODY = frozenset(Role)
MEMBERS = frozenset({Role.MEMBER})
OPERATORS = frozenset({Role.OPERATOR})
READERS = frozenset({Role.MEMBER, Role.AUDITOR})
LOADERS = frozenset({Role.MEMBER, Role.OPERATOR})
_NAMED_ROLES = EVERYBODY - {Role.REGISTRY}

# Operators evaluate too: declared infrastructure and leaked sets reach the registry as fingerprints like everything else.
RIGHTS: dict[str, frozenset[Role]] = {
    "/daxa_api.v1.AdminService/ActivatePolicy": OPERATORS,
    "/daxa_api.v1.AdminService/AnswerAppeal": OPERATORS,
    "/daxa_api.v1.AdminService/DeclareInfrastructure": OPERATORS,
    "/daxa_api.v1.AdminService/GetPolicy": OPERATORS,
    "/daxa_api.v1.AdminService/ListAppeals": OPERATORS,
    "/daxa_api.v1.AdminService/ListCases": OPERATORS,
    "/daxa_api.v1.AdminService/ListInfrastructure": OPERATORS,
    "/daxa_api.v1.AdminService/ListPolicies": OPERATORS,
    "/daxa_api.v1.AdminService/RemoveInfrastructure": OPERATORS,
    "/daxa_api.v1.AdminService/ReplayVerdict": OPERATORS,
    "/daxa_api.v1.AdminService/TestPolicy": OPERATORS,
    "/daxa_api.v1.EvaluationService/GetParameters": frozenset({Role.MEMBER, Role.OPERATOR, Role.AUDITOR}),
    "/daxa_api.v1.EvaluationService/Evaluate": frozenset({Role.MEMBER, Role.OPERATOR}),
    "/daxa_api.v1.IncidentService/CloseIncident": OPERATORS,
    "/daxa_api.v1.IncidentService/GetIncident": OPERATORS,
    "/daxa_api.v1.IncidentService/LinkIncident": OPERATORS,
    "/daxa_api.v1.IncidentService/ListIncidents": OPERATORS,
    "/daxa_api.v1.IncidentService/OpenIncident": OPERATORS,
    "/daxa_api.v1.LeakService/AddLeakedKeys": LOADERS,
    "/daxa_api.v1.LeakService/CommitLeak": LOADERS,
    "/daxa_api.v1.LeakService/ConfirmLeakedKeys": MEMBERS,
    "/daxa_api.v1.LeakService/GetLeakSetChunk": MEMBERS,
    "/daxa_api.v1.LeakService/JudgeLeak": LOADERS,
    "/daxa_api.v1.LeakService/ListLeakSets": MEMBERS,
    "/daxa_api.v1.LeakService/ListLeaks": LOADERS,
    "/daxa_api.v1.LeakService/ListTesters": OPERATORS,
    "/daxa_api.v1.LeakService/OpenLeak": LOADERS,
    "/daxa_api.v1.SightingService/SubmitSightings": MEMBERS,
    "/daxa_api.v1.SightingService/WithdrawSightings": MEMBERS,
    "/daxa_api.v1.VerdictService/Appeal": MEMBERS,
    "/daxa_api.v1.VerdictService/BatchGetVerdicts": MEMBERS,
    "/daxa_api.v1.VerdictService/ReportEnforcement": MEMBERS,
    "/daxa_api.v1.VerdictService/WatchVerdicts": MEMBERS,
    "/daxa_api.v1.AuditService/GetCheckpoint": READERS,
    "/daxa_api.v1.AuditService/GetInclusionProof": READERS,
    "/daxa_api.v1.AuditService/GetConsistencyProof": READERS,
    "/daxa_api.v1.AuditService/ListEntries": READERS,
    "/daxa_api.v1.AuditService/AddCosignature": READERS,
    "/daxa_api.v1.VerdictService/GetVerdictDigest": MEMBERS,
    "/grpc.health.v1.Health/Check": EVERYBODY,
    "/grpc.health.v1.Health/List": EVERYBODY,
    "/grpc.health.v1.Health/Watch": EVERYBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": EVERYBODY,
}


@lru_cache(4_096)
def _identify(pem: bytes, trust_domain: str) -> tuple[Peer, float, float]:
    """The peer that a certificate names, and since and until when (seconds since the epoch). Parsed once for many calls."""
    uris: list[str] = []
    since = until = 0.0
    with contextlib.suppress(
        ValueError, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ):  # fmt: skip
        certificate = x509.load_pem_x509_certificate(pem)
        since = certificate.not_valid_before_utc.timestamp()
        until = certificate.not_valid_after_utc.timestamp()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    prefix = f"spiffe://{trust_domain}/"
    if len(uris) > 1:  # they would let its holder choose who to be
        raise Refused(ErrorCode.CERTIFICATE_AMBIGUOUS, "certificate", f"one URI name and no other, got {len(uris)}")
    if uris and uris[0].startswith(prefix):
        role, slash, name = uris[0][len(prefix) :].partition("/")
        if role == Role.REGISTRY and not slash:
            return Peer(Role.REGISTRY, ""), since, until
        if role in _NAMED_ROLES and PEER_NAME.fullmatch(name):
            return Peer(Role(role), name), since, until
    raise Refused(ErrorCode.CERTIFICATE_IDENTITY, "certificate", f"exactly one URI name, {prefix}ROLE/NAME")


def peer_of_certificate(pem: bytes, trust_domain: str, now: float | None = None) -> Peer:
    """The peer that a certificate names.

    Raises Refused CERTIFICATE_IDENTITY unless it has a SPIFFE id of this trust domain, CERTIFICATE_AMBIGUOUS where it has more
    than one, and CERTIFICATE_EXPIRED where it ended before ``now`` (seconds since the epoch): a handshake looks at that once, a
    connection lasts.
    """
    peer, _, until = _identify(pem, trust_domain)
    if now is not None and now > until:
        raise Refused(ErrorCode.CERTIFICATE_EXPIRED, "certificate", "one that has not expired since it connected")
    return peer


def peer_of(context: Context, trust_domain: str, now: float | None = None) -> Peer:
    """The caller, from the certificate that the handshake verified.

    Raises Refused CERTIFICATE_MISSING where there is none, and as :func:`peer_of_certificate`.
    """
    pem = list(context.auth_context().get("x509_pem_cert", ()))
    if not pem:
        raise Refused(ErrorCode.CERTIFICATE_MISSING, "certificate", "a client certificate")
    return peer_of_certificate(pem[0], trust_domain, now)


def certificate_times(context: Context, trust_domain: str) -> tuple[float, float]:
    """Since and until when the caller's certificate holds (seconds since the epoch). The caller was identified before."""
    _, since, until = _identify(next(iter(context.auth_context()["x509_pem_cert"])), trust_domain)
    return since, until


def check_trust(context: Context, trust: Trust, peer: Peer) -> None:
    """Raises Refused CERTIFICATE_FOREIGN or CERTIFICATE_REVOKED unless the caller's certificate may stand for ``peer`` now."""
    found = context.auth_context()
    chain = b"\n".join(found.get("x509_pem_cert_chain", ()))
    trust.check(next(iter(found["x509_pem_cert"])), chain, str(peer))


def check_member(peer: Peer, members: frozenset[str] | None) -> None:
    """Raises Refused NOT_A_MEMBER where the server lists its members and ``peer`` is a member that is not among them.

    A certificate says who somebody is, and that lasts for a year. Whether he still takes part is for this list to say.
    """
    if members is not None and peer.role is Role.MEMBER and peer.name not in members:
        raise Refused(ErrorCode.NOT_A_MEMBER, "certificate", "one of a member in the registry's list of members")


def check_right(method: str, peer: Peer) -> None:
    """Raises Refused PERMISSION_DENIED unless the table says that this role may make this call."""
    if peer.role not in RIGHTS.get(method, frozenset()):
        raise Refused(ErrorCode.PERMISSION_DENIED, "certificate", "a role that may make this call")

"""Who calls, and who may call what: a SPIFFE id in the client certificate, and one table, deny by default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import grpc
from cryptography import x509

from daxa_core.errors import ErrorCode, Refused

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
    """A verified peer: its role and its name, which is empty for the registry itself."""

    role: Role
    name: str


EVERYBODY = frozenset(Role)
MEMBERS = frozenset({Role.MEMBER})

RIGHTS: dict[str, frozenset[Role]] = {
    "/daxa_api.v1.EvaluationService/GetParameters": frozenset({Role.MEMBER, Role.OPERATOR, Role.AUDITOR}),
    "/daxa_api.v1.EvaluationService/Evaluate": frozenset({Role.MEMBER, Role.OPERATOR}),
    "/daxa_api.v1.SightingService/SubmitSightings": MEMBERS,
    "/daxa_api.v1.SightingService/WithdrawSightings": MEMBERS,
    "/daxa_api.v1.VerdictService/BatchGetVerdicts": MEMBERS,
    "/daxa_api.v1.VerdictService/WatchVerdicts": MEMBERS,
    "/grpc.health.v1.Health/Check": EVERYBODY,
    "/grpc.health.v1.Health/List": EVERYBODY,
    "/grpc.health.v1.Health/Watch": EVERYBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": EVERYBODY,
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@lru_cache(4_096)
def peer_of_certificate(pem: bytes, trust_domain: str) -> Peer:
    """The peer that a certificate names. Raises Refused CERTIFICATE_IDENTITY unless it has exactly one SPIFFE id of ours."""
    try:
        names = (
            x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        )
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, x509.ExtensionNotFound):
        uris = []
    # Two ids in one certificate would let its holder choose who to be.
    prefix = f"spiffe://{trust_domain}/"
    if len(uris) == 1 and uris[0].startswith(prefix):
        role, slash, name = uris[0][len(prefix) :].partition("/")
        if role == Role.REGISTRY and not slash:
            return Peer(Role.REGISTRY, "")
        if role in set(Role) - {Role.REGISTRY} and _NAME.fullmatch(name):
            return Peer(Role(role), name)
    raise Refused(ErrorCode.CERTIFICATE_IDENTITY, "certificate", f"exactly one URI name, {prefix}ROLE/NAME")


def peer_of(context: Context, trust_domain: str) -> Peer:
    """The caller, from the certificate that the handshake verified. Raises Refused where there is none or it names nobody."""
    pem = list(context.auth_context().get("x509_pem_cert", ()))
    if not pem:
        raise Refused(ErrorCode.CERTIFICATE_MISSING, "certificate", "a client certificate")
    return peer_of_certificate(pem[0], trust_domain)


def check_right(method: str, peer: Peer) -> None:
    """Raises Refused PERMISSION_DENIED unless the table says that this role may make this call."""
    if peer.role not in RIGHTS.get(method, frozenset()):
        raise Refused(ErrorCode.PERMISSION_DENIED, "certificate", "a role that may make this call")

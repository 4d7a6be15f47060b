"""Who a certificate names, and the table of who may call what: nothing here needs a server."""

from __future__ import annotations

import base64
import contextlib
import datetime
import importlib
import pkgutil

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

import daxa_api.v1
from daxa_core.errors import ConfigurationError, ErrorCode, Refused
from daxa_core.handshake import certificate_problem
from daxa_registry.keys.pki import Authority, certificates
from daxa_registry.rpc.errors import STATUS, status_of
from daxa_registry.rpc.identity import RIGHTS, Peer, Role, check_right, peer_of_certificate

DOMAIN = "daxa.kr"
AUTHORITY = Authority.create(DOMAIN)


ON_A_MEMBERS_HOST = {"daxa_api.v1.SidecarService"}
"""Served by the client on a Unix socket; no server of the registry has it, and nobody has a right to it here."""


def calls_of_every_service() -> set[str]:
    """Full names of every method of every service in the generated code, whichever file it is in."""
    found = set()
    for module in pkgutil.iter_modules(daxa_api.v1.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"daxa_api.v1.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                if service.full_name in ON_A_MEMBERS_HOST:
                    continue
                found |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return found


def test_every_call_of_every_service_is_in_the_table() -> None:
    """A call that is added without a thought about who may make it fails here; so does a right to a call that is gone."""
    ours = calls_of_every_service()
    assert len(ours) >= 6
    assert ours == {method for method in RIGHTS if method.startswith("/daxa_api.")}


def test_every_right_is_somebodys() -> None:
    """Nobody's call would be dead code, and an empty set would look like a decision."""
    assert all(RIGHTS.values())


def test_what_members_do_is_for_members_alone() -> None:
    """An operator, an auditor or a server that is broken into submits nothing and reads no member's verdicts."""
    for method, roles in RIGHTS.items():
        if method.startswith(("/daxa_api.v1.SightingService/", "/daxa_api.v1.VerdictService/")):
            assert roles == {Role.MEMBER}, method


@pytest.mark.parametrize("role", list(Role))
def test_a_call_that_is_not_in_the_table_is_for_nobody(role: Role) -> None:
    """Deny by default, and a prefix or another case of a name is another name."""
    for method in (
        "/daxa_api.v1.AdminService/AddMember",
        "",
        "/daxa_api.v1.EvaluationService/",
        "/grpc.health.v1.Health",
    ):
        with pytest.raises(Refused) as caught:
            check_right(method, Peer(role, "x"))
        assert caught.value.code is ErrorCode.PERMISSION_DENIED


def test_rights_are_exactly_the_tables() -> None:
    """Every (role, call): allowed where the table says so, refused everywhere else."""
    for method, roles in RIGHTS.items():
        for role in Role:
            if role in roles:
                check_right(method, Peer(role, "x"))
            else:
                with pytest.raises(Refused):
                    check_right(method, Peer(role, "x"))


def test_every_code_has_one_status() -> None:
    """The map is total, and adding a code without a status fails here."""
    assert set(ErrorCode) == set(STATUS)
    assert all(status_of(code).name != "OK" for code in ErrorCode)


@pytest.mark.parametrize(
    ("path", "peer"),
    [
        ("member/upbit", Peer(Role.MEMBER, "upbit")),
        ("operator/daxa", Peer(Role.OPERATOR, "daxa")),
        ("auditor/fss", Peer(Role.AUDITOR, "fss")),
        ("evaluator/1", Peer(Role.EVALUATOR, "1")),
        ("registry", Peer(Role.REGISTRY, "")),
        ("member/" + "a" * 63, Peer(Role.MEMBER, "a" * 63)),
    ],
)
def test_a_certificate_names_its_peer(path: str, peer: Peer) -> None:
    """Role and name come from the URI name, whatever else stands in the certificate."""
    issued = AUTHORITY.issue(path, ["localhost", "192.0.2.1"])
    assert peer == peer_of_certificate(issued.certificate, DOMAIN)
    assert str(peer) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "member/",
        "member",
        "member/Upbit",
        "member/upbit/",
        "member/upbit/more",
        "member//upbit",
        "member/../operator/daxa",
        "member/upbit?x=1",
        "member/upbit%0a",
        "member/" + "a" * 64,
        "registry/1",
        "registry/",
        "nobody/x",
        "MEMBER/upbit",
    ],
)
def test_a_certificate_that_names_nobody_is_refused(path: str) -> None:
    """No id, a role that is none, a name that is not one plain word."""
    issued = AUTHORITY.issue(path, [])
    with pytest.raises(Refused) as caught:
        peer_of_certificate(issued.certificate, DOMAIN)
    assert caught.value.code is ErrorCode.CERTIFICATE_IDENTITY
    assert caught.value.field == "certificate"


@pytest.mark.parametrize("more", ["member/bithumb", "member/upbit", "operator/daxa", "nobody/x"])
def test_a_certificate_with_a_second_id_has_a_refusal_of_its_own(more: str) -> None:
    """Another member's, another role's, one that is nobody's, even the same one twice."""
    issued = AUTHORITY.issue("member/upbit", [], more_ids=[more])
    with pytest.raises(Refused, match="^CERTIFICATE_AMBIGUOUS: certificate: one URI name and no other, got 2$"):
        peer_of_certificate(issued.certificate, DOMAIN)


@pytest.mark.parametrize("domain", ["daxa.kr.example", "axa.kr", "DAXA.KR", "daxa"])
def test_a_peer_of_another_trust_domain_is_nobody_here(domain: str) -> None:
    """The domain is compared whole: neither a suffix nor a prefix of ours will do."""
    issued = Authority.create(domain).issue("member/upbit", [])
    with pytest.raises(Refused, match="CERTIFICATE_IDENTITY"):
        peer_of_certificate(issued.certificate, DOMAIN)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_no_text_in_the_place_of_a_name_becomes_a_peer_with_another_role(name: str) -> None:
    """Whatever a name holds, the peer is a member of exactly that name or nobody."""
    try:
        issued = AUTHORITY.issue(f"member/{name}", [])
    except (ValueError, TypeError):
        return  # not a URI that a certificate can hold
    with contextlib.suppress(Refused):
        assert Peer(Role.MEMBER, name) == peer_of_certificate(issued.certificate, DOMAIN)


def test_a_certificate_of_a_version_that_there_is_not_is_refused_as_such() -> None:
    """The library has an error of its own for it, which is no ValueError; found by ``make fuzz``."""
    lines = Authority.create("daxa.kr").issue("member/upbit", []).certificate.decode().splitlines()
    der = base64.b64decode("".join(lines[1:-1])).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x42", 1)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    with pytest.raises(Refused, match="^CERTIFICATE_IDENTITY: certificate: "):
        peer_of_certificate(pem, "daxa.kr")
    with pytest.raises(ConfigurationError, match=r"^INVALID_FILE: tls\.ca: |^INVALID_CONFIGURATION: tls\.ca: "):
        certificates(pem, "tls.ca")
    told = certificate_problem(pem, pem)
    assert told is not None
    assert told.code is ErrorCode.CERTIFICATE_MISSING


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_refused_as_such(data: bytes) -> None:
    """Never an exception of the parser's."""
    for pem in (data, b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n"):
        with pytest.raises(Refused, match="CERTIFICATE_IDENTITY"):
            peer_of_certificate(pem, DOMAIN)


def test_expiry_is_seen_on_the_second_it_passes() -> None:
    """A certificate holds through its last second; without a time, nothing is said about it."""
    issued = AUTHORITY.issue("member/upbit", [], days=1)
    end = x509.load_pem_x509_certificate(issued.certificate).not_valid_after_utc
    assert end - datetime.datetime.now(datetime.UTC) < datetime.timedelta(days=1)
    assert peer_of_certificate(issued.certificate, DOMAIN, end.timestamp()).name == "upbit"
    assert peer_of_certificate(issued.certificate, DOMAIN).name == "upbit"
    with pytest.raises(Refused) as caught:
        peer_of_certificate(issued.certificate, DOMAIN, end.timestamp() + 1)
    assert caught.value.code is ErrorCode.CERTIFICATE_EXPIRED

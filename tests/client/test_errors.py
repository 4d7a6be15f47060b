"""From the wire back to typed errors: one class for every code, and diagnoses where a handshake says nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import grpc
import peers
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from daxa_api.v1 import sighting_pb2, verdict_pb2
from daxa_client import (
    ClientConfig,
    DaxaError,
    ErrorCode,
    InvalidInput,
    RawSighting,
    Refused,
    RegistryClient,
    Unavailable,
)
from daxa_client._errors import CLASSES, make_error
from daxa_client._registry import Registry
from daxa_client._retry import ATTEMPTS, RETRYABLE, backoff, pause
from daxa_client._shipper import pause_after
from daxa_core.model import Kind
from daxa_registry.keys.pki import Authority, Issued
from daxa_registry.rpc.errors import STATUS

HOUR = 495_000
SIGHTING = RawSighting("a" * 40, "121.130.1.1", HOUR)


def test_every_code_has_a_class() -> None:
    """The map is total, and the classes are those of the catalogue."""
    assert set(ErrorCode) == set(CLASSES) == set(STATUS)
    for code in ErrorCode:
        assert str(make_error(code, "field", "expected")) == f"{code}: field: expected"


def test_a_refusal_arrives_as_it_was_raised(client: RegistryClient, registry: peers.Registry) -> None:
    """For every code: class, code, field, text and time to wait cross the wire."""
    for code in ErrorCode:
        registry.errors = [DaxaError(code, "sightings[3].key", "something else", retry_after=40.0)]
        with pytest.raises(DaxaError) as caught:
            client.verdicts(["a" * 40])
        error = caught.value
        assert type(error) is CLASSES[code]
        told = (error.code, error.field, error.expected, error.retry_after)
        assert (code, "sightings[3].key", "something else", 40.0) == told


def test_an_error_without_a_field_keeps_its_text(client: RegistryClient, registry: peers.Registry) -> None:
    """The status's message is not doubled into the text."""
    registry.errors = [Refused(ErrorCode.PERMISSION_DENIED, "", "a role that may make this call")]
    with pytest.raises(Refused) as caught:
        client.verdicts(["a" * 40])
    assert str(caught.value) == "PERMISSION_DENIED: : a role that may make this call"


def test_a_servers_own_exception_shows_nothing(
    client: RegistryClient, registry: peers.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not of the catalogue becomes a text of our own: an exception's text can hold anything."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.001)
    registry.errors = ["odd"] * ATTEMPTS
    with pytest.raises(Unavailable, match=r"UNAVAILABLE: registry: to answer, got UNKNOWN$"):
        client.verdicts(["a" * 40])


def test_a_message_over_the_limit_is_named(deployed: Path, configured: Callable[..., ClientConfig]) -> None:
    """gRPC itself answers RESOURCE_EXHAUSTED: that is MESSAGE_TOO_LARGE, and not tried again."""
    servicer = peers.Registry()
    with peers.registry(deployed, servicer) as target:
        calls = Registry(configured(targets=(target,)))
        request = sighting_pb2.SubmitSightingsRequest(batch_id=b"x" * (1 << 20))
        with pytest.raises(InvalidInput) as caught:
            calls.submit(request)
        calls.close()
    assert (caught.value.code, caught.value.field) == (ErrorCode.MESSAGE_TOO_LARGE, "registry")
    assert servicer.batches == []


def test_nobody_there_is_unavailable_and_named(
    configured: Callable[..., ClientConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that is down is UNAVAILABLE by role, after the attempts there are."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.001)
    calls = Registry(configured(targets=("127.0.0.1:1",)))
    with pytest.raises(Unavailable, match="UNAVAILABLE: registry: to be reachable"):
        calls.look_up(verdict_pb2.BatchGetVerdictsRequest())
    calls.close()


def authority(folder: Path) -> Authority:
    """The deployment's own authority."""
    key = serialization.load_pem_private_key((folder / "ca/ca.key").read_bytes(), None)
    return Authority("daxa.kr", x509.load_pem_x509_certificate((folder / "ca/ca.pem").read_bytes()), key)  # type: ignore[arg-type]


LONG_AGO = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
TO_COME = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=9)


@pytest.mark.parametrize(
    ("issue", "code", "text"),
    [
        (lambda own: own.issue("member/upbit", [], days=30, not_before=LONG_AGO), "CERTIFICATE_EXPIRED", "ended on 2024-01-31"),
        (lambda own: own.issue("member/upbit", [], not_before=TO_COME), "CERTIFICATE_EXPIRED", "holds from 2"),
        (lambda own: Authority.create("daxa.kr").issue("member/upbit", []), "CERTIFICATE_FOREIGN", "the authority in tls.ca"),
    ],
)  # fmt: skip
def test_a_refused_certificate_is_diagnosed(
    deployed: Path,
    configured: Callable[..., ClientConfig],
    monkeypatch: pytest.MonkeyPatch,
    issue: Callable[[Authority], Issued],
    code: str,
    text: str,
) -> None:
    """The handshake fails without a word: registry and evaluators alike are told by the certificate's own date and issuer."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.001)
    issued = issue(authority(deployed))
    with peers.registry(deployed, peers.Registry()) as target, peers.evaluators(deployed, 1, 2, 3) as (targets, _):
        changes = {"certificate": issued.certificate, "key": issued.key}
        with RegistryClient(configured(targets=(target,), evaluators=targets, **changes)) as client:
            with pytest.raises(Refused, match=text) as caught:
                client.submit([SIGHTING])
            assert (code, "tls.certificate") == (caught.value.code, caught.value.field)
            client._cache.put(dict.fromkeys(client_canonicals(), b"f" * 32))
            with pytest.raises(Refused) as caught:
                client.submit([SIGHTING])
            assert (code, "tls.certificate") == (caught.value.code, caught.value.field)


def client_canonicals() -> list[bytes]:
    from daxa_core.canonical import canonical_address, canonical_key, canonical_network

    return [canonical_key(SIGHTING.key), canonical_address(SIGHTING.address), canonical_network(SIGHTING.address)]


@pytest.mark.parametrize("whose", ["another authority's", "another host's"])
def test_a_server_that_cannot_prove_itself_gets_nothing(
    deployed: Path, configured: Callable[..., ClientConfig], monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """A registry with a certificate of another authority, or for another host, is refused, and the reason is told."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.001)
    own = authority(deployed)
    issued = (
        Authority.create("daxa.kr").issue("registry", ["127.0.0.1"])
        if whose == "another authority's"
        else own.issue("registry", ["registry.example"])
    )
    servicer = peers.Registry()
    with peers.registry(deployed, servicer, issued=issued) as target:
        calls = Registry(configured(targets=(target,)))
        with pytest.raises(Unavailable) as caught:
            calls.look_up(verdict_pb2.BatchGetVerdictsRequest())
        calls.close()
    assert caught.value.field == "registry"
    assert caught.value.expected == "a certificate issued by the authority in tls.ca, for the host in its target"


def test_a_raw_error_never_escapes(client: RegistryClient, registry: peers.Registry) -> None:
    """Whatever a caller gives, the answer is a DaxaError or a refusal of the item."""
    odd = [None, 7, b"bytes", "", "x" * 200, "\ud800", object(), ["list"], float("nan")]
    for value in odd:
        for call in (lambda v=value: client.verdicts([v]), lambda v=value: client.withdraw(v)):
            with pytest.raises(InvalidInput):
                call()
    for hours in ((-1, 0), (0, 2**32), ("1", "2"), (None, None), (True, True)):
        with pytest.raises(InvalidInput):
            client.withdraw("a" * 40, *hours)  # type: ignore[arg-type]
    for cursor in (-1, 2**64, "1", 1.5, True):
        with pytest.raises(InvalidInput):
            client.watch(cursor)  # type: ignore[arg-type]
    client.close()
    with pytest.raises(Unavailable, match="client: one that is not closed"):
        client.submit([SIGHTING])
    with pytest.raises(Unavailable, match="client: one that is not closed"):
        client._registry.look_up(verdict_pb2.BatchGetVerdictsRequest())
    with pytest.raises(Unavailable, match="client: one that is not closed"):
        client._fingerprinter.of_all({kind: [bytes([kind])] for kind in Kind})
    client.close()


def test_waits_grow_are_jittered_and_honour_the_peer() -> None:
    """From 0.1–0.2 s doubling to at most 10 s; longer where the peer asks; none where it cannot help or would be too long."""
    down = Unavailable(ErrorCode.UNAVAILABLE, "registry", "to be reachable")
    assert [pause(attempt, down, jitter=lambda low, high: high) for attempt in range(5)] == [0.2, 0.4, 0.8, 1.6, 3.2]
    assert backoff(2_000, lambda low, high: high) == 10.0
    assert len({backoff(3) for _ in range(50)}) > 40
    assert all(0.8 <= backoff(3) <= 1.6 for _ in range(50))
    assert pause(ATTEMPTS - 1, down) is None
    busy = Refused(ErrorCode.OVERLOADED, "", "", retry_after=7.0)
    assert all(7.1 <= (pause(0, busy) or 0) <= 7.2 for _ in range(50))
    assert len({pause(0, busy) for _ in range(50)}) > 40  # who was refused together does not come back together
    assert len({pause_after(1, busy) for _ in range(50)}) > 40
    assert pause(0, Refused(ErrorCode.OVERLOADED, "", "", retry_after=31.0)) is None
    for code in set(ErrorCode) - RETRYABLE:
        assert pause(0, make_error(code, "", "")) is None


def test_a_status_without_details_is_read_by_its_code() -> None:
    """A proxy between the peers speaks gRPC but not our details."""
    from daxa_client._errors import _BY_STATUS

    for status in grpc.StatusCode:
        assert _BY_STATUS.get(status, ErrorCode.UNAVAILABLE) in CLASSES

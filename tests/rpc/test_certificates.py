"""Certificates while a server runs: revoked, from an outside authority, renewed; and what TLS itself refuses."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import deployment
from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc
from daxa_registry.keys.credentials import Credentials, OutsideAuthority, TlsFiles
from daxa_registry.keys.files import replace_file
from daxa_registry.keys.pki import Authority, Issued
from daxa_registry.rpc import identity
from daxa_registry.rpc.guard import DAYS_LEFT
from daxa_registry.rpc.identity import Role
from daxa_registry.rpc.server import Service, build_server

ASK = evaluation_pb2.EvaluateRequest()
NOW = datetime.datetime.now(datetime.UTC)
STREAM = "/test.Ticks/Tick"


class Answering(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Answers."""

    async def Evaluate(self, request: Any, context: Any) -> evaluation_pb2.EvaluateResponse:
        return evaluation_pb2.EvaluateResponse(index=7)


@dataclass
class World:
    """A server whose files tests change; every look at the clock of its credentials is a look at the files."""

    folder: Path
    authority: Authority = field(default_factory=lambda: Authority.create("daxa.kr"))
    theirs: Authority = field(default_factory=lambda: Authority.create("daxa.kr"))
    target: str = ""

    def renew(self) -> Issued:
        issued = self.authority.issue("registry", ["127.0.0.1"])
        replace_file(self.folder / "key.pem", issued.key, 0o600)
        replace_file(self.folder / "cert.pem", issued.certificate)
        return issued

    def revoke(self, number: int, *certificates: bytes, authority: Authority | None = None) -> None:
        serials = [x509.load_pem_x509_certificate(one).serial_number for one in certificates]
        listed = (authority or self.authority).revocation_list(dict.fromkeys(serials, NOW), number)
        replace_file(self.folder / ("theirs-crl.pem" if authority else "crl.pem"), listed)

    def channel(self, issued: Issued, chain: bytes = b"") -> grpc.Channel:
        credentials = grpc.ssl_channel_credentials(self.authority.certificate, issued.key, issued.certificate + chain)
        return grpc.secure_channel(self.target, credentials, (("grpc.use_local_subchannel_pool", 1),))

    def evaluate(self, channel: grpc.Channel) -> int:
        return int(evaluation_pb2_grpc.EvaluationServiceStub(channel).Evaluate(ASK, timeout=30).index)

    def refused(self, channel: grpc.Channel) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            self.evaluate(channel)
        return deployment.told(caught.value).code


def ticks(world: World) -> Callable[[Any, grpc.aio.Server], None]:
    """A stream that says something each time that the test lets it."""

    def add(_: Any, server: grpc.aio.Server) -> None:
        async def tick(request: bytes, context: Any) -> AsyncIterator[bytes]:
            while True:
                yield b"tick"

        handlers = {"Tick": grpc.unary_stream_rpc_method_handler(tick)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Ticks", handlers),))

    return add


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    (tmp_path / "ca.pem").write_bytes(world.authority.certificate)
    (tmp_path / "theirs.pem").write_bytes(world.theirs.certificate)
    world.renew()
    world.revoke(1)
    world.revoke(1, authority=world.theirs)
    outside = OutsideAuthority(tmp_path / "theirs.pem", frozenset({"member/upbit"}), tmp_path / "theirs-crl.pem")
    files = TlsFiles(*(tmp_path / f"{name}.pem" for name in ("ca", "cert", "key", "crl")), (outside,))
    hours = iter(range(10**9))
    credentials = Credentials(files, lambda: next(hours) * 3_600.0)
    descriptor = evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"]
    named: Any = type("Named", (), {"full_name": "test.Ticks"})
    services = [
        Service(evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server, Answering(), descriptor),
        Service(ticks(world), None, named),
    ]

    @asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        server, port = await build_server("127.0.0.1:0", credentials, services, "daxa.kr")
        world.target = f"127.0.0.1:{port}"
        await server.start()
        yield
        await server.stop(None)

    with deployment.in_process(serve):
        yield world


def test_a_revoked_member_is_refused_on_the_connection_that_it_has(world: World) -> None:
    """No restart, no new handshake: the next call fails with an error of its own, and other members go on."""
    upbit, bithumb = world.authority.issue("member/upbit", []), world.authority.issue("member/bithumb", [])
    with world.channel(upbit) as one, world.channel(bithumb) as two:
        assert world.evaluate(one) == world.evaluate(two) == 7
        world.revoke(2, upbit.certificate)
        assert world.refused(one) == "CERTIFICATE_REVOKED"
        assert world.evaluate(two) == 7
    with world.channel(upbit) as again:
        assert world.refused(again) == "CERTIFICATE_REVOKED"


def test_a_stream_that_is_open_ends_when_its_member_is_revoked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch lasts for minutes: it is told nothing more once the certificate behind it is not good."""
    monkeypatch.setitem(identity.RIGHTS, STREAM, frozenset({Role.MEMBER}))
    upbit = world.authority.issue("member/upbit", [])
    with world.channel(upbit) as channel:
        stream = channel.unary_stream(STREAM)(b"", timeout=60)
        assert next(stream) == b"tick"
        world.revoke(2, upbit.certificate)
        with pytest.raises(grpc.RpcError) as caught:
            for _ in stream:
                pass
    assert deployment.told(caught.value).code == "CERTIFICATE_REVOKED"


def test_a_member_brings_a_certificate_from_its_own_authority(world: World) -> None:
    """It gets in as the id listed for that authority; as anybody else it is foreign; its authority revokes it."""
    upbit = world.theirs.issue("member/upbit", [])
    with world.channel(upbit) as channel:
        assert world.evaluate(channel) == 7
        for path in ("member/bithumb", "operator/daxa", "registry"):
            with world.channel(world.theirs.issue(path, [])) as other:
                assert world.refused(other) == "CERTIFICATE_FOREIGN"
        world.revoke(2, upbit.certificate, authority=world.theirs)
        assert world.refused(channel) == "CERTIFICATE_REVOKED"


def test_renewal_interrupts_nobody(world: World) -> None:
    """While the server's certificate is renewed again and again, no call fails, on old connections and on new ones."""
    upbit = world.authority.issue("member/upbit", [])
    stop, failures, calls = threading.Event(), [], [0, 0]

    def keep_calling(fresh: bool) -> None:
        channel = world.channel(upbit)
        while not stop.is_set():
            try:
                world.evaluate(channel)
            except grpc.RpcError as error:
                failures.append(error)
                return
            calls[fresh] += 1
            if fresh:
                channel.close()
                channel = world.channel(upbit)
        channel.close()

    threads = [threading.Thread(target=keep_calling, args=(fresh,)) for fresh in (False, True)]
    for thread in threads:
        thread.start()
    presented = set()
    for _ in range(10):
        issued = world.renew()
        before = calls[1]
        while calls[1] < before + 2 and not failures:
            stop.wait(0.01)
        presented.add(served_certificate(world, upbit) == ssl.PEM_cert_to_DER_cert(issued.certificate.decode()))
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert min(calls) >= 20
    assert presented == {True}


def context_for(world: World, issued: Issued) -> ssl.SSLContext:
    """A TLS client that is not gRPC's."""
    (world.folder / "client.pem").write_bytes(issued.certificate)
    (world.folder / "client.key").write_bytes(issued.key)
    context = ssl.create_default_context(cafile=world.folder / "ca.pem")
    context.load_cert_chain(world.folder / "client.pem", world.folder / "client.key")
    context.set_alpn_protocols(["h2"])
    return context


def shake(world: World, context: ssl.SSLContext) -> tuple[str, bytes]:
    """One handshake: the version agreed on, and the server's certificate."""
    host, _, port = world.target.rpartition(":")
    with socket.create_connection((host, int(port)), 30) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
        return tls.version() or "", tls.getpeercert(binary_form=True) or b""


def served_certificate(world: World, issued: Issued) -> bytes:
    return shake(world, context_for(world, issued))[1]


@pytest.mark.parametrize(
    ("suite", "accepted"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
        ("ECDHE-ECDSA-AES128-SHA", False),
        ("ECDHE-ECDSA-AES256-SHA384", False),
        ("ECDHE-ECDSA-AES256-CCM", False),
    ],
)
def test_tls_1_2_only_with_forward_secret_aead_suites(world: World, suite: str, accepted: bool) -> None:
    """A cipher in CBC mode is not agreed on."""
    context = context_for(world, world.authority.issue("member/upbit", []))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    if accepted:
        assert shake(world, context)[0] == "TLSv1.2"
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shake(world, context)


@pytest.mark.parametrize(
    ("suite", "accepted"), [("ECDHE-RSA-AES128-GCM-SHA256", True), ("AES128-GCM-SHA256", False), ("AES128-SHA", False)]
)
def test_no_key_exchange_without_forward_secrecy(world: World, suite: str, accepted: bool) -> None:
    """A server with an RSA key does not let a client encrypt to that key."""
    key = rsa.generate_private_key(65_537, 3_072)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    replace_file(world.folder / "key.pem", key.private_bytes(*form))
    replace_file(world.folder / "cert.pem", world.authority.sign_request(pem, "registry", ["127.0.0.1"]))
    context = context_for(world, world.authority.issue("member/upbit", []))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    if accepted:
        assert shake(world, context)[0] == "TLSv1.2"
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shake(world, context)


def test_tls_1_3_is_what_peers_agree_on_and_1_1_is_refused(world: World) -> None:
    """Left to itself the newest is taken; what is older than 1.2 is not."""
    context = context_for(world, world.authority.issue("member/upbit", []))
    assert shake(world, context)[0] == "TLSv1.3"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(world, context)


def test_the_environment_cannot_weaken_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server process that is started with a CBC suite in gRPC's own variable does not offer it."""
    monkeypatch.setenv("GRPC_SSL_CIPHER_SUITES", "ECDHE-ECDSA-AES128-SHA")
    folder = deployment.deploy(tmp_path / "deployment", ["upbit"], threshold=1, evaluators=1)
    configuration = folder / "evaluators/1/evaluator.toml"
    member = folder / "members/upbit"
    with deployment.Process("evaluator", configuration) as process:
        assert process.ready
        context = ssl.create_default_context(cafile=member / "ca.pem")
        context.load_cert_chain(member / "cert.pem", member / "key.pem")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        world = World(tmp_path, target=deployment.target_of(configuration))
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shake(world, context)
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        assert shake(world, context)[0] == "TLSv1.2"


@pytest.mark.parametrize(("days", "told"), [(10.5, "10"), (400.0, None)])
def test_a_caller_is_told_when_its_certificate_ends_soon(
    world: World, monkeypatch: pytest.MonkeyPatch, days: float, told: str | None
) -> None:
    """Each call's trailing metadata says how many days are left, from a month before the end on; of a stream the initial one."""
    monkeypatch.setitem(identity.RIGHTS, STREAM, frozenset({Role.MEMBER}))
    with world.channel(world.authority.issue("member/upbit", [], days=days)) as channel:
        _, call = evaluation_pb2_grpc.EvaluationServiceStub(channel).Evaluate.with_call(ASK, timeout=30)
        stream = channel.unary_stream(STREAM)(b"", timeout=60)
        assert dict(stream.initial_metadata()).get(DAYS_LEFT) == told
        assert next(stream) == b"tick"
        stream.cancel()
    assert dict(call.trailing_metadata()).get(DAYS_LEFT) == told

"""The server that every service stands behind: who gets in, who may call, and what a refused call tells and logs."""

from __future__ import annotations

import asyncio
import datetime
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc
from daxa_core.errors import ConfigurationError, ErrorCode, InvalidInput, Refused
from daxa_registry.keys.credentials import Credentials, TlsFiles
from daxa_registry.keys.pki import Authority, Issued
from daxa_registry.rpc import identity
from daxa_registry.rpc.errors import DOMAIN
from daxa_registry.rpc.identity import RIGHTS, Role
from daxa_registry.rpc.server import Service, build_server
from deployment import Told, channel, in_process, told

EVALUATE = "/daxa_api.v1.EvaluationService/Evaluate"
ASK = evaluation_pb2.EvaluateRequest()
PARAMETERS = evaluation_pb2.GetParametersRequest()
PAST = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
FUTURE = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)


class Probe(evaluation_pb2_grpc.EvaluationServiceServicer):
    """Counts what reaches it; Evaluate raises what it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: BaseException | None = None

    async def GetParameters(self, request: Any, context: Any) -> evaluation_pb2.GetParametersResponse:
        self.calls += 1
        return evaluation_pb2.GetParametersResponse(suite="probe")

    async def Evaluate(self, request: Any, context: Any) -> evaluation_pb2.EvaluateResponse:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return evaluation_pb2.EvaluateResponse(index=7)


@dataclass
class World:
    """A server in this process, its authority, and a clock that tests move."""

    folder: Path
    authority: Authority
    probe: Probe = field(default_factory=Probe)
    target: str = ""
    ahead: float = 0.0

    def files(self) -> TlsFiles:
        return TlsFiles(self.folder / "ca.pem", self.folder / "cert.pem", self.folder / "key.pem")

    def channel(self, path: str = "member/upbit", issued: Issued | None = None, **tls: bytes | None) -> grpc.Channel:
        issued = issued or self.authority.issue(path, [])
        return channel(self.folder, self.target, **({"key": issued.key, "cert": issued.certificate} | tls))

    def evaluate(self, path: str = "member/upbit", **metadata: str) -> evaluation_pb2.EvaluateResponse:
        with self.channel(path) as open_channel:
            stub = evaluation_pb2_grpc.EvaluationServiceStub(open_channel)
            sent = [(key.replace("_", "-"), value) for key, value in metadata.items()]
            return stub.Evaluate(ASK, metadata=sent, timeout=30)

    def refused(self, path: str = "member/upbit", **metadata: str) -> Told:
        with pytest.raises(grpc.RpcError) as caught:
            self.evaluate(path, **metadata)
        return told(caught.value)


def unlisted(_: object, server: grpc.aio.Server) -> None:
    """A service with a call of each shape whose rights nobody wrote down."""

    async def one(request: bytes, context: Any) -> bytes:
        return b"reached"

    async def many(request: Any, context: Any) -> AsyncIterator[bytes]:
        yield b"reached"

    handlers = {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(one),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(many),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(one),
        "StreamStream": grpc.stream_stream_rpc_method_handler(many),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Unlisted", handlers),))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("server")
    world = World(folder, Authority.create("daxa.kr"))
    issued = world.authority.issue("registry", ["127.0.0.1"])
    for name, data in (("ca", world.authority.certificate), ("cert", issued.certificate), ("key", issued.key)):
        (folder / f"{name}.pem").write_bytes(data)
    descriptor = evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"]
    services = [
        Service(evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server, world.probe, descriptor),
        Service(unlisted, None, SimpleNamespace(full_name="test.Unlisted")),  # type: ignore[arg-type]
    ]

    @asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        tls = Credentials(world.files())
        server, port = await build_server(
            "127.0.0.1:0", tls, services, "daxa.kr", clock=lambda: time.time() + world.ahead
        )
        world.target = f"127.0.0.1:{port}"
        await server.start()
        yield
        await server.stop(None)

    with in_process(serve):
        yield world


@pytest.fixture(autouse=True)
def _as_it_was(world: World) -> Iterator[None]:
    yield
    world.probe.error, world.ahead = None, 0.0


PATHS = {
    Role.MEMBER: "member/upbit",
    Role.OPERATOR: "operator/daxa",
    Role.AUDITOR: "auditor/fss",
    Role.EVALUATOR: "evaluator/1",
    Role.REGISTRY: "registry",
}


@pytest.mark.parametrize("role", list(Role))
def test_the_table_holds_over_the_wire(world: World, role: Role) -> None:
    """Each role gets through to exactly what the table gives it, and what it may not call does not run."""
    before = world.probe.calls
    if role in RIGHTS[EVALUATE]:
        assert world.evaluate(PATHS[role]).index == 7
        assert world.probe.calls == before + 1
    else:
        refusal = world.refused(PATHS[role])
        assert (refusal.status, refusal.code) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        assert world.probe.calls == before


def test_a_member_may_not_make_an_operators_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that the table gives to operators alone."""
    monkeypatch.setitem(identity.RIGHTS, EVALUATE, frozenset({Role.OPERATOR}))
    assert world.evaluate("operator/daxa").index == 7
    refusal = world.refused("member/upbit")
    assert (refusal.status, refusal.field) == (grpc.StatusCode.PERMISSION_DENIED, "certificate")


def test_a_call_of_any_shape_that_is_not_in_the_table_is_denied(world: World) -> None:
    """Unary and streaming in both directions: served, yet for nobody until the table says for whom."""
    with world.channel("operator/daxa") as open_channel:
        shapes = (
            lambda: open_channel.unary_unary("/test.Unlisted/UnaryUnary")(b""),
            lambda: next(open_channel.unary_stream("/test.Unlisted/UnaryStream")(b"")),
            lambda: open_channel.stream_unary("/test.Unlisted/StreamUnary")(iter([b""])),
            lambda: next(open_channel.stream_stream("/test.Unlisted/StreamStream")(iter([b""]))),
        )
        for call in shapes:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert told(caught.value).code == "PERMISSION_DENIED"


def test_calls_of_any_shape_get_through_with_a_right(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard keeps the shape of what it guards."""
    for shape in ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"):
        monkeypatch.setitem(identity.RIGHTS, f"/test.Unlisted/{shape}", frozenset({Role.MEMBER}))
    with world.channel() as open_channel:
        assert open_channel.unary_unary("/test.Unlisted/UnaryUnary")(b"") == b"reached"
        assert list(open_channel.unary_stream("/test.Unlisted/UnaryStream")(b"")) == [b"reached"]
        assert open_channel.stream_unary("/test.Unlisted/StreamUnary")(iter([b""])) == b"reached"
        assert list(open_channel.stream_stream("/test.Unlisted/StreamStream")(iter([b""]))) == [b"reached"]


def test_a_call_that_does_not_exist_is_unimplemented(world: World) -> None:
    """Even to a peer that may call much."""
    with world.channel("operator/daxa") as open_channel, pytest.raises(grpc.RpcError) as caught:
        open_channel.unary_unary("/daxa_api.v1.EvaluationService/Steal")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [
        ("", [], "CERTIFICATE_IDENTITY"),
        ("member/Upbit", [], "CERTIFICATE_IDENTITY"),
        ("nobody/x", [], "CERTIFICATE_IDENTITY"),
        ("member/upbit", ["member/bithumb"], "CERTIFICATE_AMBIGUOUS"),
        ("member/upbit", ["operator/daxa"], "CERTIFICATE_AMBIGUOUS"),
    ],
)
def test_a_certificate_of_ours_that_names_nobody_or_two_is_unauthenticated(
    world: World, path: str, more: list[str], code: str
) -> None:
    """The handshake lets it in, because the authority signed it; no handler hears of it. Two ids are a refusal of their own."""
    before = world.probe.calls
    issued = world.authority.issue(path, [], more_ids=more)
    with world.channel(issued=issued) as open_channel, pytest.raises(grpc.RpcError) as caught:
        evaluation_pb2_grpc.EvaluationServiceStub(open_channel).GetParameters(PARAMETERS, timeout=30)
    refusal = told(caught.value)
    assert (refusal.status, refusal.code) == (grpc.StatusCode.UNAUTHENTICATED, code)
    assert world.probe.calls == before


@pytest.mark.parametrize("who", ["nobody", "foreign", "expired", "not yet valid", "of another's key"])
def test_the_handshake_keeps_out(world: World, who: str) -> None:
    """No certificate, another authority's of the same name, one that is over or not begun, one without its own key."""
    ours, other = world.authority, Authority.create("daxa.kr")
    issued = {
        "foreign": other.issue("member/upbit", []),
        "expired": ours.issue("member/upbit", [], days=1, not_before=PAST),
        "not yet valid": ours.issue("member/upbit", [], not_before=FUTURE),
        "of another's key": Issued(ours.issue("member/upbit", []).certificate, other.issue("x/y", []).key),
    }.get(who)
    before = world.probe.calls
    tls = {"key": issued.key, "cert": issued.certificate} if issued else {"key": None, "cert": None}
    with channel(world.folder, world.target, **tls) as open_channel, pytest.raises(grpc.RpcError) as caught:
        evaluation_pb2_grpc.EvaluationServiceStub(open_channel).GetParameters(PARAMETERS, timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert world.probe.calls == before


def test_there_is_no_insecure_mode(world: World) -> None:
    """Plain text is not answered."""
    with grpc.insecure_channel(world.target) as open_channel, pytest.raises(grpc.RpcError) as caught:
        evaluation_pb2_grpc.EvaluationServiceStub(open_channel).GetParameters(PARAMETERS, timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_connection_does_not_outlive_its_certificate(world: World) -> None:
    """A handshake happens once: a peer that stays connected is refused from the second that its certificate ends."""
    issued = world.authority.issue("member/upbit", [], days=1)
    with world.channel(issued=issued) as open_channel:
        stub = evaluation_pb2_grpc.EvaluationServiceStub(open_channel)
        assert stub.Evaluate(ASK, timeout=30).index == 7
        world.ahead = 86_400.0
        with pytest.raises(grpc.RpcError) as caught:
            stub.Evaluate(ASK, timeout=30)
    refusal = told(caught.value)
    assert (refusal.status, refusal.code) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_EXPIRED")


def test_a_refusal_tells_code_field_and_when_to_come_back(world: World) -> None:
    """The status, its message, and the google.rpc details: ErrorInfo, BadRequest, RetryInfo."""
    world.probe.error = Refused(ErrorCode.QUOTA_EXHAUSTED, "blinded_elements", "at most 3 more", retry_after=12.5)
    with pytest.raises(grpc.RpcError) as caught:
        world.evaluate()
    expected = Told(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED", "blinded_elements", 12.5, "")
    got = told(caught.value)
    assert expected == Told(got.status, got.code, got.field, got.retry_after, "")
    assert caught.value.details() == "QUOTA_EXHAUSTED: blinded_elements: at most 3 more"
    status = rpc_status.from_call(caught.value)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.domain == DOMAIN


@pytest.mark.parametrize("given", ["7b3f", "a" * 64, "Gate-way_1.2"])
def test_a_request_id_that_is_safe_is_kept(world: World, caplog: pytest.LogCaptureFixture, given: str) -> None:
    """The caller finds its own id in the trailing metadata, and an operator finds it in the log."""
    world.probe.error = InvalidInput(ErrorCode.UNKNOWN_KIND, "kind", "a kind")
    with caplog.at_level(logging.INFO, "daxa_registry.rpc"):
        assert given == world.refused(x_request_id=given).request_id
    assert [f"{EVALUATE} member/upbit UNKNOWN_KIND {given}"] == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("given", ["", "a" * 65, "two words", "x=1;DROP"])
def test_a_request_id_that_is_not_safe_is_replaced(world: World, caplog: pytest.LogCaptureFixture, given: str) -> None:
    """Nobody writes into the log what they like."""
    world.probe.error = InvalidInput(ErrorCode.UNKNOWN_KIND, "kind", "a kind")
    with caplog.at_level(logging.INFO, "daxa_registry.rpc"):
        made = world.refused(x_request_id=given).request_id
    assert len(made) == 16
    assert int(made, 16) >= 0
    assert [f"{EVALUATE} member/upbit UNKNOWN_KIND {made}"] == [record.getMessage() for record in caplog.records]


def test_a_bug_tells_nothing_and_logs_where(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that is not ours is INTERNAL with a fixed text; the log has its class and line, never its text."""
    world.probe.error = ValueError("api key SECRET-1234 at 203.0.113.9")
    with caplog.at_level(logging.INFO, "daxa_registry.rpc"), pytest.raises(grpc.RpcError) as caught:
        world.evaluate(x_request_id="r-1")
    assert (told(caught.value).status, told(caught.value).code) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    public = repr(caught.value) + str(caught.value.trailing_metadata())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(
        f"{EVALUATE} member/upbit INTERNAL r-1: ValueError at test_identity_server.py:"
    )
    for hidden in ("SECRET-1234", "203.0.113.9"):
        assert hidden not in public
        assert hidden not in caplog.text


def test_a_call_that_succeeds_logs_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The log is for what went wrong."""
    with caplog.at_level(logging.DEBUG, "daxa_registry.rpc"):
        world.evaluate()
    assert not caplog.records


def test_health_and_reflection_are_there_for_every_peer(world: World) -> None:
    """Standard tools can ask whether it serves and what, with a certificate of any role."""
    serving = health_pb2.HealthCheckResponse.SERVING
    with world.channel("auditor/fss") as open_channel:
        health = health_pb2_grpc.HealthStub(open_channel)
        for service in ("", "daxa_api.v1.EvaluationService"):
            assert serving == health.Check(health_pb2.HealthCheckRequest(service=service), timeout=30).status
        watching = health.Watch(health_pb2.HealthCheckRequest(service=""))
        assert next(watching).status == serving
        watching.cancel()
        stub = reflection_pb2_grpc.ServerReflectionStub(open_channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        listed = next(stub.ServerReflectionInfo(asked, timeout=30)).list_services_response.service
        assert "daxa_api.v1.EvaluationService" in {one.name for one in listed}


def test_health_of_a_service_that_is_not_there_is_not_found(world: World) -> None:
    """What a handler aborts with itself goes through as it is."""
    with world.channel() as open_channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(open_channel).Check(health_pb2.HealthCheckRequest(service="no.Such"), timeout=30)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_server_that_cannot_be_built_says_why(world: World) -> None:
    """An address that is taken is a configuration error that names the key."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        async def build() -> None:
            await build_server(f"127.0.0.1:{taken.getsockname()[1]}", Credentials(world.files()), [], "daxa.kr")

        with pytest.raises(ConfigurationError) as caught:
            asyncio.run(build())
        assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_CONFIGURATION, "listen")

"""What a peer can fill in a real server: calls at once, messages, metadata, unread streams; and batches in parts."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import pytest

import deployment
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2, verdict_pb2, verdict_pb2_grpc
from daxa_core import oprf
from daxa_registry import bootstrap
from daxa_registry.bootstrap import registry_server
from daxa_registry.config import read_registry
from daxa_registry.rpc import server
from daxa_registry.rpc.sightings import PART
from daxa_registry.rpc.verdicts import PAGE
from daxa_registry.service.limits import ALL_AT_ONCE, AT_ONCE, OTHERS_AT_ONCE, Limits
from daxa_registry.store.sqlite import SqliteStore
from raw_http2 import MAX_CONCURRENT_STREAMS, REFUSED_STREAM, RST_STREAM, RawPeer, tls

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def limits() -> Limits:
    """A minute's worth of a thousand keys for each member; and no minute passes."""
    return Limits({"BatchGetVerdicts": 1_000}, clock=lambda: 0.0)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, limits: Limits) -> Iterator[Path]:
    """The deployment of one that runs for all tests."""
    root = deployment.deploy(tmp_path_factory.mktemp("limits") / "deployment", threshold=1, evaluators=1)
    serve = partial(registry_server, read_registry(root / "registry/registry.toml"), lambda: float(NOW))
    with contextlib.ExitStack() as running:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "Limits", lambda per_minute: limits)
            running.enter_context(deployment.in_process(serve))
        yield root


@pytest.fixture
def folder(registry: Path, limits: Limits) -> Path:
    """A registry of those limits; no call of an earlier test is under way."""
    deployment.wait_for(lambda: not limits.running())
    return registry


@pytest.fixture
def upbit(folder: Path) -> Iterator[grpc.Channel]:
    # A window that does not grow with the speed of the line: what a client takes and does not read lies with the client.
    fixed = [("grpc.http2.bdp_probe", 0)]
    with deployment.channel(folder / "members/upbit", folder / "registry/registry.toml", fixed) as channel:
        yield channel


def sightings(number: int, wrong: tuple[int, ...] = ()) -> list[sighting_pb2.Sighting]:
    """Sightings of distinct keys on one address; those at the places ``wrong`` have no count."""
    address, network = oprf.hash_input(b"address"), oprf.hash_input(b"network")
    return [
        sighting_pb2.Sighting(
            key=oprf.hash_input(b"key%d" % index), address=address, network=network, hour=NOW // 3_600,
            count=0 if index in wrong else 1, manner=types_pb2.MANNER_USED,
        )
        for index in range(number)
    ]  # fmt: skip


def batch(items: list[sighting_pb2.Sighting], batch_id: bytes) -> sighting_pb2.SubmitSightingsRequest:
    return sighting_pb2.SubmitSightingsRequest(
        batch_id=batch_id, member="upbit", key_version=1, canonical_version=1, sightings=items
    )


def test_a_batch_in_parts_answers_as_one(upbit: grpc.Channel) -> None:
    """Refusals have their places in the whole batch; the same again answers the same; other content is refused and not taken."""
    submit = sighting_pb2_grpc.SightingServiceStub(upbit).SubmitSightings
    wrong = (0, PART - 1, PART, 2 * PART + 7)
    items, batch_id = sightings(2 * PART + 10, wrong), secrets.token_bytes(16)
    first = submit(batch(items, batch_id), timeout=60)
    assert first.accepted == len(items) - len(wrong)
    assert tuple(refusal.index for refusal in first.refusals) == wrong
    again = submit(batch(items, batch_id), timeout=60)
    assert (again.accepted, list(again.refusals)) == (first.accepted, list(first.refusals))
    assert len({verdict.key for verdict in again.verdicts}) == len(again.verdicts)
    with pytest.raises(grpc.RpcError) as caught:
        submit(batch(sightings(4 * PART), batch_id), timeout=60)
    assert deployment.told(caught.value).code == "BATCH_ID_REUSED"


def test_past_its_minute_a_member_is_told_when_to_come_back_and_others_go_on(folder: Path, upbit: grpc.Channel) -> None:
    """QUOTA_EXHAUSTED with RetryInfo for the one; the other is answered."""
    request = verdict_pb2.BatchGetVerdictsRequest(keys=[bytes(32)] * 900, key_version=1)
    verdict_pb2_grpc.VerdictServiceStub(upbit).BatchGetVerdicts(request, timeout=60)
    with pytest.raises(grpc.RpcError) as caught:
        verdict_pb2_grpc.VerdictServiceStub(upbit).BatchGetVerdicts(request, timeout=60)
    refusal = deployment.told(caught.value)
    assert (refusal.status, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED")
    assert refusal.retry_after == 48.0
    with deployment.channel(folder / "members/bithumb", folder / "registry/registry.toml") as bithumb:
        verdict_pb2_grpc.VerdictServiceStub(bithumb).BatchGetVerdicts(request, timeout=60)


def test_watchers_are_bounded(upbit: grpc.Channel) -> None:
    """As many watches as there are places: the next is OVERLOADED, until one ends."""
    watch = verdict_pb2_grpc.VerdictServiceStub(upbit).WatchVerdicts
    streams = [watch(verdict_pb2.WatchVerdictsRequest(), timeout=60) for _ in range(AT_ONCE["WatchVerdicts"])]
    try:
        for stream in streams:
            next(stream)
        with pytest.raises(grpc.RpcError) as caught:
            next(watch(verdict_pb2.WatchVerdictsRequest(), timeout=60))
        assert deployment.told(caught.value).code == "OVERLOADED"
    finally:
        for stream in streams:
            stream.cancel()


def test_of_a_watch_that_is_not_read_the_server_holds_one_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many watches as there are places, a window smaller than a page for each, and news without end: one page of each is taken
    out of the store, and the next one when the peer takes the first."""
    page = [(n, types_pb2.Envelope(payload=bytes(1_000)).SerializeToString()) for n in range(1, PAGE + 1)]
    taken: list[int] = []

    def news(store: SqliteStore, member: int, cursor: int, most: int) -> list[tuple[int, bytes]]:
        taken.append(most)
        return [(cursor + n, body) for n, body in page[:most]]

    monkeypatch.setattr(SqliteStore, "verdicts_after", news)
    streams = range(1, 2 * AT_ONCE["WatchVerdicts"], 2)
    with RawPeer.connect(folder / "members/upbit", deployment.target_of(folder / "registry/registry.toml")) as peer:
        peer.give_window(64 << 20)  # of all together; each has HTTP/2's 64 KiB
        for stream in streams:
            peer.open(stream, "/daxa_api.v1.VerdictService/WatchVerdicts")
            peer.message(stream, verdict_pb2.WatchVerdictsRequest().SerializeToString())
        peer.read_until(lambda: len(taken) >= len(streams))
        peer.read_until(lambda: len(taken) > len(streams), 2)
        assert len(taken) == len(streams)
        peer.give_window(8 << 20, streams[0])
        peer.read_until(lambda: len(taken) > len(streams) + 20)
        assert len(taken) > len(streams) + 20


def test_all_calls_of_one_member_together_are_bounded_over_all_its_connections(folder: Path) -> None:
    """Each call below its own bound, none of them with its message yet: one more is told TOO_MANY_CALLS, whatever it is, on
    whatever connection; another member is served, and so is this one when they ended."""
    configuration = folder / "registry/registry.toml"
    held = ["SightingService/WithdrawSightings", "VerdictService/Appeal", "VerdictService/ReportEnforcement"]
    calls = [name for name in held for _ in range(OTHERS_AT_ONCE)][:ALL_AT_ONCE]
    assert len(calls) == ALL_AT_ONCE
    with (
        deployment.channel(folder / "members/bithumb", configuration) as bithumb,
        deployment.channel(folder / "members/upbit", configuration) as upbit,
    ):
        look = [verdict_pb2_grpc.VerdictServiceStub(one).GetVerdictDigest for one in (upbit, bithumb)]
        nothing = verdict_pb2.GetVerdictDigestRequest()
        with contextlib.ExitStack() as connections:
            for start in range(0, len(calls), 80):
                peer = connections.enter_context(
                    RawPeer.connect(folder / "members/upbit", deployment.target_of(configuration))
                )
                for place, name in enumerate(calls[start : start + 80]):
                    peer.open(2 * place + 1, f"/daxa_api.v1.{name}")
            # not all there yet
            deployment.wait_for(lambda: refusal_of(lambda: look[0](nothing, timeout=60)) == "TOO_MANY_CALLS")
            look[1](nothing, timeout=60)
        deployment.wait_for(lambda: not refusal_of(lambda: look[0](nothing, timeout=60)))


def refusal_of(call: Callable[[], object]) -> str:
    """The code that a call was refused with; empty where it was answered."""
    try:
        call()
    except grpc.RpcError as error:
        told = deployment.told(error)
        assert told.status is grpc.StatusCode.RESOURCE_EXHAUSTED
        return told.code
    return ""


def test_streams_and_connections_past_the_limit_reach_no_handler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer is told how many streams it may have open on a connection; one more is refused by the transport. A connection too
    many is closed before its handshake, and has its place when another one ends. The numbers are small here."""
    few = {"grpc.max_concurrent_streams": 4, "grpc.max_allowed_incoming_connections": 3}
    assert few.keys() <= dict(server._OPTIONS).keys()
    monkeypatch.setattr(server, "_OPTIONS", tuple((name, few.get(name, value)) for name, value in server._OPTIONS))
    entered: list[str] = []
    enter = Limits.enter
    monkeypatch.setattr(
        Limits, "enter", lambda self, peer, call, cost=0: entered.append(call) or enter(self, peer, call)
    )
    root = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration, member = root / "registry/registry.toml", root / "members/upbit"
    target = deployment.target_of(configuration)
    with (
        deployment.in_process(partial(registry_server, read_registry(configuration))),
        contextlib.ExitStack() as connections,
    ):
        with RawPeer.connect(member, target) as peer:
            assert peer.settings()[MAX_CONCURRENT_STREAMS] == 4
            for stream in (1, 3, 5, 7, 9, 11):
                peer.open(stream, "/daxa_api.v1.SightingService/SubmitSightings")
            refused = [(RST_STREAM, stream, REFUSED_STREAM) for stream in (9, 11)]
            peer.read_until(lambda: len(entered) >= 4 and set(refused) <= set(peer.frames))
            assert set(refused) <= set(peer.frames)
            for _ in range(2):
                connections.enter_context(RawPeer.connect(member, target))
            with pytest.raises(OSError, match="EOF|reset"), RawPeer.connect(member, target):
                pass
        assert entered == ["SubmitSightings"] * 4

        def connects() -> bool:
            with contextlib.suppress(OSError):
                connections.enter_context(RawPeer.connect(member, target))
                return True
            return False

        deployment.wait_for(connects)


def test_metadata_and_messages_past_the_limit_are_refused(upbit: grpc.Channel) -> None:
    """Before any handler holds them."""
    check = upbit.unary_unary("/grpc.health.v1.Health/Check")
    for metadata, message in (([("x-long", "a" * 40_000)], b""), ([], b"a" * (1 << 20) + b"b")):
        with pytest.raises(grpc.RpcError) as caught:
            check(message, metadata=metadata, timeout=30)
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("time_for", ["grpc.server_handshake_timeout_ms", "grpc.max_connection_idle_ms"])
def test_who_connects_and_says_nothing_gives_the_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time_for: str
) -> None:
    """Before the handshake and after it: the server ends the connection by itself. Its time is cut short here."""
    assert time_for in dict(server._OPTIONS)
    short = tuple((name, 500 if name == time_for else value) for name, value in server._OPTIONS)
    monkeypatch.setattr(server, "_OPTIONS", short)
    root = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration, context = root / "registry/registry.toml", tls(root / "members/upbit")
    with deployment.in_process(partial(registry_server, read_registry(configuration))):
        host, _, port = deployment.target_of(configuration).rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as plain:
            if time_for == "grpc.server_handshake_timeout_ms":
                assert plain.recv(1) == b""
                return
            with context.wrap_socket(plain, server_hostname=host) as silent, contextlib.suppress(ConnectionError):
                # No setting, and then no call. Where this comes too late, the connection is reset.
                silent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
                while silent.recv(4_096):
                    pass


def test_more_calls_than_may_run_at_once_all_get_an_answer(upbit: grpc.Channel) -> None:
    """Each is answered or told to come back; none hangs, and afterwards there is room again."""
    submit = sighting_pb2_grpc.SightingServiceStub(upbit).SubmitSightings
    barrier = threading.Barrier(3 * AT_ONCE["SubmitSightings"])

    def one(number: int) -> str:
        barrier.wait(60)
        try:
            submit(batch(sightings(50), number.to_bytes(16, "big")), timeout=60)
        except grpc.RpcError as error:
            refusal = deployment.told(error)
            assert refusal.retry_after is not None
            return refusal.code
        return ""

    with ThreadPoolExecutor(barrier.parties) as pool:
        answers = set(pool.map(one, range(barrier.parties)))
    assert "" in answers
    assert answers <= {"", "OVERLOADED"}
    submit(batch(sightings(1), secrets.token_bytes(16)), timeout=60)


def test_a_call_that_finds_no_place_is_refused_unread(upbit: grpc.Channel) -> None:
    """It has not sent its message yet: what waits to be refused lies in nobody's memory."""
    submit = upbit.stream_unary("/daxa_api.v1.SightingService/SubmitSightings")
    over = threading.Event()

    def silent() -> Iterator[bytes]:
        over.wait(600)
        yield from ()

    try:
        calls = [submit.future(silent(), timeout=600) for _ in range(AT_ONCE["SubmitSightings"] + 1)]
        deployment.wait_for(lambda: any(call.done() for call in calls))
        [refused] = [call for call in calls if call.done()]
        assert deployment.told(refused.exception()).code == "OVERLOADED"
    finally:
        over.set()
    assert {deployment.told(call.exception()).code for call in calls if call is not refused} == {"INVALID_VALUE"}

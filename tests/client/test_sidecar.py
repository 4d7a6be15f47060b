"""The sidecar: sightings from gateways in any language over Unix sockets, from Envoy itself where it is there, verdicts back."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import peers
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.service.accesslog.v3 import als_pb2, als_pb2_grpc

import deployment
from daxa_api.v1 import sidecar_pb2, sidecar_pb2_grpc, types_pb2
from daxa_client import (
    ClientConfig,
    ConfigurationError,
    Device,
    Gateway,
    InvalidInput,
    Level,
    Verdict,
    _host_commands,
    _sidecar,
)
from daxa_client._complaints import Complaints
from daxa_client._sidecar import CONNECTIONS, Sidecar, SidecarConfig, _LineServer, _News
from daxa_client._spool import Spool
from daxa_client._submission import RawSighting, SubmitResult

WAIT = 60.0
KEY = "k_live_0123456789"
ENVOY = shutil.which("envoy")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a Unix socket's has a bound of about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="daxa-") as made:
        yield Path(made)


@pytest.fixture
def settings(configured: Callable[..., ClientConfig], tmp_path: Path) -> ClientConfig:
    """Nobody listens where it points: what is taken stays in the spool."""
    return configured(targets=("127.0.0.1:9",), state=tmp_path / "state", deadline_seconds=0.2, flush_seconds=0.05)


@contextlib.contextmanager
def sidecar(settings: ClientConfig, folder: Path, **changes: Any) -> Iterator[Gateway]:
    config = {"exchange": "korbit", "grpc_socket": folder / "grpc", "lines_socket": folder / "lines", **changes}
    with Gateway(settings) as gateway, Sidecar(gateway, SidecarConfig(**config)):
        yield gateway


def raw_in_spool(settings: ClientConfig) -> list[RawSighting]:
    assert settings.state is not None
    spool = Spool(settings.state / "spool.sqlite", settings.account_secret)
    batches = spool.seal(2**32, 99)
    spool.close()
    return [raw for batch in batches for raw in batch.sightings]


def spooled(settings: ClientConfig) -> set[tuple[str, str, str, str | None]]:
    return {(raw.key, raw.address, raw.manner.name, raw.account) for raw in raw_in_spool(settings)}


def ask(folder: Path, *lines: bytes, answers: int) -> list[dict[str, Any]]:
    """Sends lines; that many answers."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(WAIT)
        one.connect(str(folder / "lines"))
        one.sendall(b"".join(lines))
        reader = one.makefile("rb")
        return [json.loads(reader.readline()) for _ in range(answers)]


def test_lines_of_json(settings: ClientConfig, folder: Path) -> None:
    """Sightings are not answered, what is wrong is, and the next line is read all the same; verdicts are a line each."""
    with sidecar(settings, folder) as gateway:
        gateway._table.learn([(b"f" * 32, "key-1")])
        gateway._table.take([Verdict(b"f" * 32, Level.REVOKE, sequence=1)])
        wrong, right, too_long, verdict, clear, spaced = ask(
            folder,
            b"nonsense\n",
            b'{"key": "key-1", "address": "8.8.8.8", "account": "7"}\n{"verdict": "key-1"}\n',
            b"x" * 200_000 + b'{"key": "tail", "address": "8.8.8.8"}\n',
            b'{"verdict": "key-2"}\n{"verdict": 7}\n',
            b' { "verdict" :\t"key-1" }\n',
            answers=6,
        )
    assert wrong == {"error": "INVALID_VALUE: line: a JSON object in UTF-8"}
    assert (right["key"], right["level"]) == ("key-1", "REVOKE")
    assert too_long == {"error": "INVALID_LENGTH: line: at most 65536 bytes"}
    assert (verdict["key"], verdict["level"]) == ("key-2", "CLEAR")
    assert clear == {"error": "INVALID_VALUE: verdict: a key, and no other field"}
    assert spaced == right, "spaces are JSON too"
    assert spooled(settings) == {("key-1", "8.8.8.8", "USED", "7")}


def test_as_many_connections_as_are_served_may_come_at_once(settings: ClientConfig, folder: Path) -> None:
    """As when the sidecar was started anew: nobody is refused, or waits, before it has looked."""
    config = SidecarConfig("korbit", None, folder / "lines")
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway(settings))
        stack.enter_context(
            _LineServer(folder / "lines", gateway, config, _News(), Complaints())
        )  # and nobody accepts yet
        for _ in range(CONNECTIONS // 2):  # the kernel's own bound may be low
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            one.connect(str(folder / "lines"))


def test_grpc(settings: ClientConfig, folder: Path) -> None:
    """A stream of sightings is counted, what is none too; verdicts are looked up and watched."""
    with sidecar(settings, folder) as gateway, grpc.insecure_channel(f"unix:{folder / 'grpc'}") as channel:
        stub = sidecar_pb2_grpc.SidecarServiceStub(channel)
        raw = sidecar_pb2.RawSighting
        answer = stub.Observe(
            iter([
                raw(key="key-1", address="8.8.8.8", user_agent="curl", headers={"b": "2", "a": "1"}, account="7"),
                raw(key="key-1", address="8.8.8.8", manner=types_pb2.MANNER_REJECTED, seen_at=1_790_000_000.5),
                raw(key="", address="8.8.8.8"),
                raw(key="key-1", address="8.8.8.8", manner=9),  # type: ignore[arg-type]
            ]),
            timeout=WAIT,
        )  # fmt: skip
        assert (answer.taken, answer.refused) == (2, 2)
        watching = stub.WatchLocalVerdicts(sidecar_pb2.WatchLocalVerdictsRequest(), timeout=WAIT)
        told = threading.Thread(target=_tell_until_heard, args=(gateway, heard := threading.Event()))
        told.start()
        change = next(watching)
        heard.set()
        told.join()
        watching.cancel()
        assert (change.key, change.verdict.level) == ("key-1", types_pb2.LEVEL_WARN)
        found = stub.GetLocalVerdicts(sidecar_pb2.GetLocalVerdictsRequest(keys=["key-2"]), timeout=WAIT).verdicts
        assert [(one.key, one.verdict.level) for one in found] == [("key-2", types_pb2.LEVEL_CLEAR)]
        with pytest.raises(grpc.RpcError, match="TOO_MANY_ITEMS"):
            stub.GetLocalVerdicts(sidecar_pb2.GetLocalVerdictsRequest(), timeout=WAIT)
    assert spooled(settings) == {("key-1", "8.8.8.8", "USED", "7"), ("key-1", "8.8.8.8", "REJECTED", None)}


def test_keys_of_no_use_are_told_on_both_sockets(settings: ClientConfig, folder: Path) -> None:
    """From the moment that the watch is answered; whoever closes is let go of, and another line is none."""
    with sidecar(settings, folder) as gateway, grpc.insecure_channel(f"unix:{folder / 'grpc'}") as channel:
        [refused] = ask(folder, b'{"watch": "everything"}\n', answers=1)
        assert refused["error"].startswith("INVALID_VALUE: line: the fields")
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(WAIT)
            one.connect(str(folder / "lines"))
            one.sendall(b'{"watch": "of_no_use"}\n')
            reader = one.makefile("rb")
            assert json.loads(reader.readline()) == {"watch": "of_no_use"}
            tell_of_no_use(gateway, "foreign-1")
            assert json.loads(reader.readline()) == {"of_no_use": "foreign-1"}
        stub = sidecar_pb2_grpc.SidecarServiceStub(channel)
        watching = stub.WatchOfNoUse(sidecar_pb2.WatchOfNoUseRequest(), timeout=WAIT)
        heard = threading.Event()
        telling = threading.Thread(
            target=lambda: [tell_of_no_use(gateway, "foreign-2") for _ in iter(lambda: heard.wait(0.05), True)]
        )
        telling.start()
        assert next(watching).key == "foreign-2"
        heard.set()
        telling.join()
        watching.cancel()


def tell_of_no_use(gateway: Gateway, key: str) -> None:
    """As when the registry has answered a batch."""
    gateway._answered(SubmitResult(1, (), {}, of_no_use=frozenset({key})))


def test_who_listens_too_slowly_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """After what was told until then: a stream with a gap would be believed."""
    monkeypatch.setattr(_sidecar, "_WAITING", 2)
    news: _sidecar._News[int] = _sidecar._News()
    slow = news.listen(lambda: True)
    for number in range(3):
        news.tell(number)
    assert list(slow) == [0, 1]
    gone = news.listen(lambda: False)
    assert list(gone) == []
    assert not news._listeners


def _tell_until_heard(gateway: Gateway, heard: threading.Event) -> None:
    while not heard.wait(0.05):
        for callback in gateway._callbacks:
            callback("key-1", Verdict(b"f" * 32, Level.WARN, sequence=1))


def test_a_client_of_the_published_protos_is_understood(settings: ClientConfig, folder: Path) -> None:
    """Envoy's own method and messages, as published: address, key, outcome, account and client stack are read."""
    message = als_pb2.StreamAccessLogsMessage()
    message.identifier.log_name = "daxa"
    entry = message.http_logs.log_entry.add()
    common = entry.common_properties
    common.downstream_remote_address.socket_address.address = "8.8.8.8"
    common.downstream_remote_address.socket_address.port_value = 400
    common.start_time.seconds = 1_790_000_000
    common.tls_properties.ja3_fingerprint = "0123abcd"
    common.route_name = "orders"
    entry.request.request_method = base_pb2.POST
    entry.request.path, entry.request.user_agent = "/v2/orders", "curl/8"
    entry.request.request_headers.update({"x-kapi-key": KEY, "x-ja4": "t13d1516h2_8daaf6152771_b186095e22b6"})
    entry.response.response_code.value = 200
    entry.response.response_headers["x-daxa-account"] = "7"
    with sidecar(settings, folder, ja4_header="X-JA4"), grpc.insecure_channel(f"unix:{folder / 'grpc'}") as channel:
        als_pb2_grpc.AccessLogServiceStub(channel).StreamAccessLogs(iter([message, message]), timeout=WAIT)
    [raw] = raw_in_spool(settings)
    assert (raw.key, raw.address, raw.manner.name, raw.account) == (KEY, "8.8.8.8", "USED", "7")
    assert raw.device == Device("curl/8", "t13d1516h2_8daaf6152771_b186095e22b6", (("ja3", "0123abcd"),))


def test_the_sockets_are_the_members_alone(settings: ClientConfig, folder: Path) -> None:
    """0600 unless told otherwise; gone afterwards; one that is left over from a crash is no obstacle, one in use is."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "lines"))
    with sidecar(settings, folder):
        assert [stat.S_IMODE((folder / name).stat().st_mode) for name in ("grpc", "lines")] == [0o600, 0o600]
        with pytest.raises(ConfigurationError, match="sidecar: a socket that can be opened"), sidecar(settings, folder):
            pass
    assert list(folder.iterdir()) == []
    with sidecar(settings, folder, mode=0o660):
        assert [stat.S_IMODE((folder / name).stat().st_mode) for name in ("grpc", "lines")] == [0o660, 0o660]
    (folder / "grpc").write_text("a file")
    with pytest.raises(ConfigurationError, match="sidecar"), sidecar(settings, folder):
        pass
    assert (folder / "grpc").read_text() == "a file"


def test_a_wrong_setting_is_told_at_the_start(settings: ClientConfig, folder: Path) -> None:
    """Not to the first connection."""
    for changes, field, kind in (
        ({"exchange": "nowhere"}, "exchange", InvalidInput),
        ({"trusted_proxies": ("10.0.0.1/8",)}, "trusted_proxies", ConfigurationError),
        ({"grpc_socket": None, "lines_socket": None}, "sidecar", ConfigurationError),
    ):
        with pytest.raises(kind, match=field), sidecar(settings, folder, **changes):  # type: ignore[arg-type]
            pass


def test_it_can_be_told_to_end_while_its_thread_holds_the_lock_of_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal's handler runs wherever the main thread is; ``Event.set`` there would wait for ever."""
    handlers: dict[int, Callable[[int, None], None]] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    over = threading.Event()
    _host_commands._until_told(over.set)
    with over._cond:  # type: ignore[attr-defined]
        handlers[signal.SIGTERM](signal.SIGTERM, None)
    assert over.wait(WAIT)


def test_the_command_serves_until_it_is_told_to_end(deployed: Path, tmp_path: Path, folder: Path) -> None:
    """SIGTERM: what was taken is on the disk, exit code 0."""
    home = shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")
    path = peers.point(home, "127.0.0.1:9", {1: "127.0.0.1:9", 2: "127.0.0.1:9"})
    command = [sys.executable, "-c", "from daxa_client._cli import main; main()", "--config", path, "sidecar"]
    with subprocess.Popen(
        [*command, "--exchange", "korbit", "--lines", folder / "lines"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            said = b'{"key": "key-1", "address": "8.8.8.8"}\n{"verdict": "key-1"}\n'
            assert ask(folder, said, answers=1)[0]["level"] == "CLEAR"
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT) == 0
        finally:
            process.kill()
    spool = Spool(home / "data/spool.sqlite", bytes.fromhex((home / "account.secret").read_text()))
    assert spool.state().waiting == 1
    spool.close()


ENVOY_CONF = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          use_remote_address: true
          xff_num_trusted_hops: 1
          access_log:
          - name: envoy.access_loggers.http_grpc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig
              common_config:
                log_name: daxa
                transport_api_version: V3
                buffer_flush_interval: 0.1s
                grpc_service: {{envoy_grpc: {{cluster_name: sidecar}}}}
              additional_request_headers_to_log: [x-kapi-key]
              additional_response_headers_to_log: [x-daxa-account]
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              response_headers_to_add: [{{header: {{key: x-daxa-account, value: "7"}}}}]
              routes:
              - match: {{prefix: "/v2/refused"}}
                direct_response: {{status: 401}}
              - match: {{prefix: "/"}}
                direct_response: {{status: 200}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: sidecar
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: sidecar
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{pipe: {{path: {socket}}}}}}}}}]}}]
"""


@pytest.mark.skipif(ENVOY is None, reason="envoy is not installed")
def test_a_real_envoy_needs_only_configuration(settings: ClientConfig, folder: Path) -> None:
    """Its access log over the socket: the customer behind the hop that it trusts, used and refused, with the account."""
    (port,) = deployment.free_ports(1)
    (folder / "envoy.yaml").write_text(ENVOY_CONF.format(port=port, socket=folder / "grpc"))
    with sidecar(settings, folder, lines_socket=None):
        process = subprocess.Popen(
            [str(ENVOY), "-c", folder / "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"]
        )
        try:
            end = time.monotonic() + WAIT
            for path in ("/v2/balance", "/v2/refused"):
                while True:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    try:
                        headers = {"X-KAPI-KEY": KEY, "X-Forwarded-For": "1.1.1.1, 8.8.8.8"}
                        connection.request("GET", path, headers=headers)
                        connection.getresponse().read()
                        break
                    except OSError:
                        assert time.monotonic() < end
                        time.sleep(0.1)
                    finally:
                        connection.close()
            while len(spooled(settings)) < 2 and time.monotonic() < end:
                time.sleep(0.1)
        finally:
            process.terminate()
            process.wait(WAIT)
    assert spooled(settings) == {(KEY, "8.8.8.8", "USED", "7"), (KEY, "8.8.8.8", "REJECTED", None)}

"""The sidecar: for gateways that are not in Python, on Unix sockets that only the member's own processes can open.

One socket speaks gRPC: ``daxa_api.v1.SidecarService``, and Envoy's access-log service v3, so that an Envoy needs configuration
alone. Another takes lines of JSON (see :mod:`._request_log`): a record is not answered unless it is wrong,
``{"verdict": "<key>"}`` is answered with a line, and after ``{"watch": "of_no_use"}`` a connection is told a line for each such
key and asked nothing more. Nothing raw leaves the host; whoever can open a socket can tell any story, so they are 0600 unless
told otherwise.
"""

from __future__ import annotations

import json
import os
import queue
import re
import socket
import socketserver
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc

from daxa_api.v1 import envoy_access_log_pb2 as envoy
from daxa_api.v1 import sidecar_pb2, sidecar_pb2_grpc
from daxa_core import codec
from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, InvalidInput
from daxa_core.model import MAX_KEYS_PER_LOOKUP, Device, Manner, Verdict

from ._complaints import Complaints
from ._follow import lines_of
from ._gateway import Gateway
from ._request_log import RequestLog

STREAMS = 128
CONNECTIONS = 256
_WAITING = 10_000
_ASKS = re.compile(rb'\s*\{\s*"verdict"\s*:')
_LOOK_SECONDS = 0.5
"""How soon it is seen that a listener has gone."""
_WATCH: dict[str, object] = {"watch": "of_no_use"}
_T = TypeVar("_T")
_NO_MANNER: Any = None  # refused where it is observed
_ALS = "envoy.service.accesslog.v3.AccessLogService"
_OPTIONS = (
    ("grpc.max_receive_message_length", 4 << 20),
    # Nothing on this host is asked for a name, and a second server on the same socket is a mistake.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Where it listens and how requests are read; a socket that is None is not opened. ``mode`` is the sockets'."""

    exchange: str
    grpc_socket: Path | None
    lines_socket: Path | None
    trusted_proxies: tuple[str, ...] = ()
    forwarded_header: str = "x-forwarded-for"
    prefix: str = ""
    mode: int = 0o600
    ja4_header: str = ""

    def log(self, gateway: Gateway) -> RequestLog:
        """A reader of records, for one thread."""
        return RequestLog(
            gateway, self.exchange, self.trusted_proxies, self.forwarded_header, self.prefix, self.ja4_header
        )


class _News(Generic[_T]):
    """What is told to everybody who listens just now. Telling never waits: who is too slow is let go of after what he was told,
    and asks again, for a stream with a gap would be believed."""

    def __init__(self) -> None:
        self._listeners: set[queue.Queue[_T]] = set()

    def tell(self, item: _T) -> None:
        for waiting in list(self._listeners):
            try:
                waiting.put_nowait(item)
            except queue.Full:
                self._listeners.discard(waiting)

    def listen(self, active: Callable[[], bool]) -> Iterator[_T]:
        """What is told from now on, as long as that says so."""
        waiting: queue.Queue[_T] = queue.Queue(_WAITING)
        self._listeners.add(waiting)
        return self._heard(waiting, active)

    def _heard(self, waiting: queue.Queue[_T], active: Callable[[], bool]) -> Iterator[_T]:
        try:
            while active() and not (waiting.empty() and waiting not in self._listeners):
                with suppress(queue.Empty):
                    yield waiting.get(timeout=_LOOK_SECONDS)
        finally:
            self._listeners.discard(waiting)


class Sidecar:
    """Serves one gateway until it is closed."""

    def __init__(self, gateway: Gateway, config: SidecarConfig) -> None:
        """Opens the sockets. Raises ConfigurationError naming one that cannot be, InvalidInput naming ``exchange``."""
        config.log(gateway)  # a wrong setting is told now, not to the first connection
        self._complaints = Complaints()
        of_no_use: _News[str] = _News()
        gateway.on_of_no_use(of_no_use.tell)
        self._grpc: grpc.Server | None = None
        self._lines: _LineServer | None = None
        if config.grpc_socket is None and config.lines_socket is None:
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "sidecar", "a socket to open")
        previous = os.umask(0o777 & ~config.mode)  # else it could be opened by others between bind and chmod
        try:
            if config.grpc_socket is not None:
                self._grpc = self._open_grpc(gateway, config, of_no_use, _free(config.grpc_socket))
            if config.lines_socket is not None:
                path = _free(config.lines_socket)
                self._lines = _LineServer(path, gateway, config, of_no_use, self._complaints)
        except OSError as error:
            wanted = f"a socket that can be opened, got {type(error).__name__}"
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "sidecar", wanted) from None
        finally:
            os.umask(previous)
        self._paths = [path for path in (config.grpc_socket, config.lines_socket) if path is not None]
        if self._lines is not None:
            threading.Thread(target=self._lines.serve_forever, args=(0.2,), name="daxa-lines", daemon=True).start()

    def __enter__(self) -> Sidecar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is connected, after what was sent is taken."""
        if self._lines is not None:
            self._lines.shutdown()
            self._lines.server_close()
        if self._grpc is not None:
            self._grpc.stop(1.0).wait()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _open_grpc(self, gateway: Gateway, config: SidecarConfig, of_no_use: _News[str], path: Path) -> grpc.Server:
        server = grpc.server(
            ThreadPoolExecutor(STREAMS, thread_name_prefix="daxa-sidecar"),
            options=_OPTIONS,
            maximum_concurrent_rpcs=STREAMS,
        )
        sidecar_pb2_grpc.add_SidecarServiceServicer_to_server(_Service(gateway, of_no_use), server)
        access_logs = _AccessLogs(gateway, config)
        server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler(_ALS, {
                "StreamAccessLogs": grpc.stream_unary_rpc_method_handler(
                    access_logs.stream,
                    request_deserializer=envoy.EnvoyStreamAccessLogsMessage.FromString,
                    response_serializer=envoy.EnvoyStreamAccessLogsResponse.SerializeToString,
                )
            }),
        ))  # fmt: skip
        try:
            server.add_insecure_port(f"unix:{path}")
        except RuntimeError:
            raise OSError from None
        server.start()
        return server


def _free(path: Path) -> Path:
    """The path, after a socket that nobody listens on any more is out of its way."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError
        with socket.socket(socket.AF_UNIX) as one, suppress(ConnectionRefusedError):
            one.connect(str(path))
            raise FileExistsError
        path.unlink()
    return path


class _AccessLogs:
    """Envoy's access-log service: it streams for ever and reads no answer."""

    def __init__(self, gateway: Gateway, config: SidecarConfig) -> None:
        self._gateway, self._config = gateway, config

    def stream(
        self, messages: Iterator[envoy.EnvoyStreamAccessLogsMessage], context: grpc.ServicerContext
    ) -> envoy.EnvoyStreamAccessLogsResponse:
        log = self._config.log(self._gateway)
        for message in messages:
            for entry in message.http_logs.log_entry:
                log.envoy(entry)
        return envoy.EnvoyStreamAccessLogsResponse()


class _Service(sidecar_pb2_grpc.SidecarServiceServicer):
    """See proto/daxa_api/v1/sidecar.proto."""

    def __init__(self, gateway: Gateway, of_no_use: _News[str]) -> None:
        self._gateway, self._of_no_use = gateway, of_no_use
        self._changes: _News[sidecar_pb2.LocalVerdict] = _News()
        gateway.on_verdict(lambda key, verdict: self._changes.tell(_local(key or "", verdict)))

    def Observe(
        self, request_iterator: Iterator[sidecar_pb2.RawSighting], context: grpc.ServicerContext
    ) -> sidecar_pb2.ObserveResponse:
        taken = refused = 0
        manners: dict[int, Manner] = {0: Manner.USED, **{int(manner): manner for manner in Manner}}
        for raw in request_iterator:
            headers = tuple(sorted(raw.headers.items()))
            known = raw.user_agent or raw.ja4 or headers
            good = self._gateway.observe(
                raw.key,
                raw.address,
                manner=manners.get(int(raw.manner), _NO_MANNER),
                device=Device(raw.user_agent or None, raw.ja4 or None, headers) if known else None,
                account=raw.account or None,
                holder=raw.holder or None,
                when=raw.seen_at or None,
            )
            taken, refused = taken + good, refused + (not good)
        return sidecar_pb2.ObserveResponse(taken=taken, refused=refused)

    def GetLocalVerdicts(
        self, request: sidecar_pb2.GetLocalVerdictsRequest, context: grpc.ServicerContext
    ) -> sidecar_pb2.GetLocalVerdictsResponse:
        if not 1 <= len(request.keys) <= MAX_KEYS_PER_LOOKUP:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"TOO_MANY_ITEMS: keys: 1 to {MAX_KEYS_PER_LOOKUP}")
        found = [_local(key, self._gateway.verdict(key)) for key in request.keys]
        return sidecar_pb2.GetLocalVerdictsResponse(verdicts=found)

    def WatchLocalVerdicts(
        self, request: sidecar_pb2.WatchLocalVerdictsRequest, context: grpc.ServicerContext
    ) -> Iterator[sidecar_pb2.LocalVerdict]:
        return self._changes.listen(context.is_active)

    def WatchOfNoUse(
        self, request: sidecar_pb2.WatchOfNoUseRequest, context: grpc.ServicerContext
    ) -> Iterator[sidecar_pb2.KeyOfNoUse]:
        return (sidecar_pb2.KeyOfNoUse(key=key) for key in self._of_no_use.listen(context.is_active))


def _local(key: str, verdict: Verdict) -> sidecar_pb2.LocalVerdict:
    return sidecar_pb2.LocalVerdict(key=key, verdict=codec.write_verdict(verdict))


def asked_key(line: bytes) -> str:
    """The key of a line ``{"verdict": "<key>"}``. Raises InvalidInput naming ``verdict``."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or asked.keys() != {"verdict"} or not isinstance(asked["verdict"], str):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "verdict", "a key, and no other field")
    return asked["verdict"]


class _LineServer(socketserver.ThreadingUnixStreamServer):
    """Lines of JSON, a thread a connection, of which there are not many: gateways keep theirs open."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = CONNECTIONS  # they all come at once when the sidecar was started anew

    def __init__(
        self, path: Path, gateway: Gateway, config: SidecarConfig, of_no_use: _News[str], complaints: Complaints
    ) -> None:
        self.gateway, self.config, self.of_no_use, self.complaints = gateway, config, of_no_use, complaints
        self.room = threading.Semaphore(CONNECTIONS)
        super().__init__(str(path), _LineConnection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke; no traceback, whose locals are raw."""
        self.complaints.say("lines", "a connection to the sidecar broke")


class _LineConnection(socketserver.StreamRequestHandler):
    server: _LineServer

    def handle(self) -> None:
        if not self.server.room.acquire(False):
            self._answer({"error": f"{ErrorCode.OVERLOADED}: connection: at most {CONNECTIONS} at once"})
            return
        try:
            log = self.server.config.log(self.server.gateway)
            for line in lines_of(self.rfile):  # type: ignore[arg-type]
                if line.lstrip().startswith(b'{"watch"') and self._watches(line):
                    break
                if line.strip():
                    self._line(log, line)
        finally:
            self.server.room.release()

    def _line(self, log: RequestLog, line: bytes) -> None:
        try:
            if _ASKS.match(line):
                self._answer(self._verdict(line))
            elif not log.line(line):
                self._answer({"error": f"{ErrorCode.INVALID_VALUE}: line: a sighting, and fewer at once"})
        except DaxaError as error:
            self._answer({"error": str(error)})

    def _watches(self, line: bytes) -> bool:
        """Tells the keys of no use until nobody listens, where that is what was asked for."""
        with suppress(ValueError, RecursionError):
            if json.loads(line) == _WATCH:
                keys = self.server.of_no_use.listen(self._is_there)
                self._answer(_WATCH)  # from now on
                for key in keys:
                    self._answer({"of_no_use": key})
                return True
        return False

    def _is_there(self) -> bool:
        """Whether the other side has not closed the connection; what it sends is not read any more."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True

    def _verdict(self, line: bytes) -> dict[str, object]:
        key = asked_key(line)
        verdict = self.server.gateway.verdict(key)
        return {
            "key": key,
            "level": verdict.level.name,
            "scope": verdict.scope.name,
            "deadline": verdict.deadline,
            "valid_until": verdict.valid_until,
            "reasons": [reason.code for reason in verdict.reasons],
        }

    def _answer(self, answer: dict[str, object]) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")

"""A gRPC server with mutual TLS, rights checked before any handler, and typed errors turned into statuses.

There is no insecure mode. One line is logged for each call that fails: method, role and name, code, request id, and nothing
of what the call carried; where a bug failed it, the exception's class and the line that raised it, but never its text. The
request id is the caller's (metadata ``x-request-id``, 1 to 64 of A-Z, a-z, 0-9, ``.``, ``_`` and ``-``) or one made here, and
goes back in the trailing metadata.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, InvalidInput
from daxa_registry.keys.credentials import Credentials

from .errors import abort
from .identity import Context, check_right, check_trust, peer_of

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
LOG = logging.getLogger("daxa_registry.rpc")
MAX_REQUEST_BYTES = 1 << 20
MAX_RECEIVED_BYTES = 2 << 20
"""What the transport itself throws away, with a status of its own; up to here the answer is a code of the catalogue."""
MAX_RESPONSE_BYTES = 4 << 20
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 128),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class Service:
    """One service to serve: what adds it to a server, the servicer, and its descriptor."""

    add: Callable[[Any, Any], None]
    servicer: object
    descriptor: ServiceDescriptor


class _Guard(grpc.aio.ServerInterceptor):
    """Before each handler: the peer and its right; after it: typed errors as statuses."""

    def __init__(self, trust_domain: str, credentials: Credentials, clock: Callable[[], float]) -> None:
        self._trust_domain = trust_domain
        self._credentials = credentials
        self._clock = clock
        self._guarded: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(details)
        if handler is None:  # no such call: UNIMPLEMENTED
            return None
        known = self._guarded.get(details.method)
        if known is None or known[0] is not handler:
            known = self._guarded[details.method] = (handler, self._guard(details.method, handler))
        return known[1]

    def _guard(self, method: str, handler: Handler) -> Handler:
        codec = (_reader(handler.request_deserializer), handler.response_serializer)
        match (bool(handler.request_streaming), bool(handler.response_streaming)):
            case (False, False):
                return grpc.unary_unary_rpc_method_handler(self._one(method, handler.unary_unary), *codec)
            case (False, True):
                return grpc.unary_stream_rpc_method_handler(self._many(method, handler.unary_stream), *codec)
            case (True, False):
                return grpc.stream_unary_rpc_method_handler(self._one(method, handler.stream_unary), *codec)
            case _:
                return grpc.stream_stream_rpc_method_handler(self._many(method, handler.stream_stream), *codec)

    def _check(self, method: str, context: Context) -> None:
        peer = peer_of(context, self._trust_domain, self._clock())
        check_trust(context, self._credentials.current().trust, peer)
        check_right(method, peer)

    def _one(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Context) -> Any:
            try:
                self._check(method, context)
                if isinstance(request, DaxaError):
                    raise request
                result = inner(request, context)
                return await result if hasattr(result, "__await__") else result
            except Exception as error:  # noqa: BLE001 - the boundary: whatever is raised becomes a status
                await self._fail(method, context, error)

        return call

    def _many(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                self._check(method, context)
                if isinstance(request, DaxaError):
                    raise request
                result = inner(request, context)
                if hasattr(result, "__aiter__"):
                    async for item in result:
                        # A stream outlives the check at its beginning: who was revoked since is told nothing more.
                        self._check(method, context)
                        yield item
                elif hasattr(result, "__await__"):
                    await result
                else:
                    for item in result:
                        yield item
            except Exception as error:  # noqa: BLE001 - the boundary: whatever is raised becomes a status
                await self._fail(method, context, error)

        return call

    async def _fail(self, method: str, context: Context, error: Exception) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        try:
            who = str(peer_of(context, self._trust_domain))
        except DaxaError:
            who = "unknown"
        request_id = _request_id(context)
        if isinstance(error, DaxaError):
            LOG.info("%s %s %s %s", method, who, error.code, request_id)
        else:
            LOG.error("%s %s %s %s: %s", method, who, ErrorCode.INTERNAL, request_id, _where(error))
        await abort(context, error, request_id)


def _reader(read: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Reads a request, or answers why it is none: what a reader raises, the caller would be told without a code."""

    def checked(data: bytes) -> Any:
        if len(data) > MAX_REQUEST_BYTES:
            wanted = f"at most {MAX_REQUEST_BYTES} bytes, got {len(data)}"
            return InvalidInput(ErrorCode.MESSAGE_TOO_LARGE, "message", wanted)
        try:
            return read(data) if read is not None else data
        except DecodeError:
            return InvalidInput(ErrorCode.INVALID_VALUE, "message", "the encoding of the call's request")

    return checked


def _request_id(context: Context) -> str:
    """The caller's, if it is one that may stand in a log, or a fresh one."""
    given = dict(context.invocation_metadata() or ()).get("x-request-id")
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return secrets.token_hex(8)


def _where(error: Exception) -> str:
    """The class and the line of an exception that should not have been. Its text may hold what the call carried."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def _server_credentials(credentials: Credentials) -> grpc.ServerCredentials:
    """Server credentials that present and trust what is in force when a peer connects."""

    def current() -> Any:
        loaded = credentials.current()
        return grpc.ssl_server_certificate_configuration([(loaded.key, loaded.certificate)], loaded.roots)

    return grpc.dynamic_ssl_server_credentials(current(), current, require_client_authentication=True)


async def build_server(
    listen: str,
    credentials: Credentials,
    services: Iterable[Service],
    trust_domain: str,
    clock: Callable[[], float] = time.time,
) -> tuple[grpc.aio.Server, int]:
    """A server bound to ``listen`` (host:port; port 0 picks one), not started, and its port.

    ``clock`` (seconds since the epoch) tells whether a certificate has expired since its handshake. What ``credentials`` hold is
    asked with every handshake and every call, so that a renewal interrupts nobody. Raises ConfigurationError where gRPC will not
    bind.
    """
    server = grpc.aio.server(interceptors=[_Guard(trust_domain, credentials, clock)], options=_OPTIONS)
    names = [health.SERVICE_NAME, reflection.SERVICE_NAME]
    status = health.aio.HealthServicer()
    for service in services:
        service.add(service.servicer, server)
        names.append(service.descriptor.full_name)
        await status.set(service.descriptor.full_name, health_pb2.HealthCheckResponse.SERVING)
    await status.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection(names, server)
    try:
        port = server.add_secure_port(listen, _server_credentials(credentials))
    except RuntimeError:
        port = 0
    if not port:
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "listen", "an address of this host that is free")
    return server, port

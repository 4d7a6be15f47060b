"""A gRPC server with mutual TLS, rights checked before any handler, and typed errors turned into statuses.

There is no insecure mode. One line is logged for each call that fails: method, role, name, code, request id, and nothing
of what the call carried.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode

from .errors import to_status
from .identity import Context, check_right, peer_of

LOG = logging.getLogger("daxa_registry.rpc")
MAX_REQUEST_BYTES = 1 << 20
MAX_RESPONSE_BYTES = 4 << 20
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
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
class Tls:
    """A server's certificate chain, its key, and the authorities whose clients it takes; paths of PEM files."""

    ca: Path
    certificate: Path
    key: Path

    def credentials(self) -> grpc.ServerCredentials:
        """Raises ConfigurationError naming the file that cannot be read."""
        parts = []
        for name, path in (("tls.key", self.key), ("tls.certificate", self.certificate), ("tls.ca", self.ca)):
            try:
                parts.append(path.read_bytes())
            except OSError as error:
                wanted = f"a readable PEM file, got {type(error).__name__}"
                raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, wanted) from None
        key, certificate, ca = parts
        return grpc.ssl_server_credentials([(key, certificate)], root_certificates=ca, require_client_auth=True)


@dataclass(frozen=True, slots=True)
class Service:
    """One service to serve: what adds it to a server, the servicer, and its descriptor."""

    add: Callable[[Any, Any], None]
    servicer: object
    descriptor: ServiceDescriptor


class _Guard(grpc.aio.ServerInterceptor):
    """Before each handler: the peer and its right; after it: typed errors as statuses."""

    def __init__(self, trust_domain: str) -> None:
        self._trust_domain = trust_domain

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(details)
        if handler is None:
            return handler
        method = details.method
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream), handler.request_deserializer, handler.response_serializer
            )
        return grpc.stream_stream_rpc_method_handler(
            self._stream(method, handler.stream_stream), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Context) -> Any:
            try:
                check_right(method, peer_of(context, self._trust_domain))
                result = inner(request, context)
                return await result if hasattr(result, "__await__") else result
            except Exception as error:  # noqa: BLE001 - the boundary: whatever is raised becomes a status
                await self._fail(method, context, error)

        return call

    def _stream(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                check_right(method, peer_of(context, self._trust_domain))
                result = inner(request, context)
                if hasattr(result, "__aiter__"):
                    async for item in result:
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
            peer = peer_of(context, self._trust_domain)
            who = f"{peer.role}/{peer.name}"
        except DaxaError:
            who = "unknown"
        metadata = dict(context.invocation_metadata() or ())
        given = metadata.get("x-request-id", "")
        request_id = given if isinstance(given, str) and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        typed = isinstance(error, DaxaError)
        code = error.code if isinstance(error, DaxaError) else f"INTERNAL ({type(error).__name__})"
        LOG.log(logging.INFO if typed else logging.ERROR, "%s %s %s %s", method, who, code, request_id)
        status = to_status(error)
        await context.abort(status.code, status.details, (*status.trailing_metadata, ("x-request-id", request_id)))


async def build_server(
    listen: str, tls: Tls, services: Iterable[Service], trust_domain: str
) -> tuple[grpc.aio.Server, int]:
    """A server bound to ``listen`` (host:port; port 0 picks one), not started, and its port.

    Raises ConfigurationError where the address cannot be bound or a file cannot be read.
    """
    server = grpc.aio.server(interceptors=[_Guard(trust_domain)], options=_OPTIONS)
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
        port = server.add_secure_port(listen, tls.credentials())
    except RuntimeError:
        port = 0
    if not port:
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "listen", "an address of this host that is free")
    return server, port

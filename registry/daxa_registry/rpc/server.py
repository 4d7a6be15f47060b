"""A gRPC server with mutual TLS, bounded in all that a peer could fill, every call through the guard. There is no insecure mode.

What one peer can make a server hold: the calls of ``service.limits``, one message of MAX_RECEIVED_BYTES each, and of a stream
that it does not read one page and the transport's window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry.keys.credentials import Credentials, TlsFiles
from daxa_registry.service.certificate_ends import CertificateEnds
from daxa_registry.service.limits import Limits
from daxa_registry.service.metrics import Metrics

from .guard import Guard

MAX_RECEIVED_BYTES = 2 << 20
"""What the transport itself throws away, with a status of its own; up to here the answer is a code of the catalogue."""
MAX_RESPONSE_BYTES = 4 << 20
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    ("grpc.max_concurrent_streams", 128),
    # Who connects and does not finish the handshake, or says nothing for a quarter of an hour, gives the place back.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 900_000),
    ("grpc.max_allowed_incoming_connections", 1_024),
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
    limits: Limits | None = None,
    metrics: Metrics | None = None,
    members: frozenset[str] | None = None,
    ends: CertificateEnds | None = None,
) -> tuple[grpc.aio.Server, int]:
    """A server bound to ``listen`` (host:port; port 0 picks one), not started, and its port.

    ``clock`` (seconds since the epoch) tells whether a certificate has expired since its handshake. What ``credentials`` hold is
    asked with every handshake and every call, so that a renewal interrupts nobody. ``members``: the only members that get in;
    None takes every one whom an authority vouches for. Raises ConfigurationError where gRPC will not bind.
    """
    guard = Guard(trust_domain, credentials, limits or Limits(), metrics or Metrics(), clock, members, ends)
    server = grpc.aio.server(interceptors=[guard], options=_OPTIONS)
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


def is_serving(target: str, files: TlsFiles, seconds: float = 5.0) -> bool:
    """Whether a registry or evaluator answers at ``target``, asked with its own certificate."""
    credentials = grpc.ssl_channel_credentials(
        *(path.read_bytes() for path in (files.ca, files.key, files.certificate))
    )
    with grpc.secure_channel(target, credentials) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

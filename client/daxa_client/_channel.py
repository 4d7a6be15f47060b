"""Mutual-TLS channels that stay alive, notice a dead peer, and reconnect by themselves."""

from __future__ import annotations

import grpc

from ._config import ClientConfig

_OPTIONS = (
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(config: ClientConfig, targets: tuple[str, ...]) -> grpc.Channel:
    """A channel to one peer; with several targets it moves to another when one fails."""
    credentials = grpc.ssl_channel_credentials(config.ca, config.key, config.certificate)
    if len(targets) == 1:
        return grpc.secure_channel(targets[0], credentials, _OPTIONS)
    return grpc.secure_channel("ipv4:" + ",".join(targets), credentials, _OPTIONS)

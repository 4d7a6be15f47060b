"""Mutual-TLS channels that stay alive, notice a dead peer, and reconnect by themselves. There is no insecure mode."""

from __future__ import annotations

import json

import grpc

from ._config import Connection

MAX_RESPONSE_BYTES = 4 << 20
_OPTIONS = (
    # Where a name stands for several nodes, each client connects to one of them by lot, and past one that is gone.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]})),
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    # A gateway's firewall forgets idle connections without a word; a ping finds out before a submission does.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # There are few members: they may come back fast when the registry does.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(config: Connection, target: str) -> grpc.Channel:
    """A channel to one target, ``host:port``; it connects with the first call."""
    credentials = grpc.ssl_channel_credentials(config.ca, config.key, config.certificate)
    return grpc.secure_channel(target, credentials, _OPTIONS)

"""Mutual-TLS channels that stay alive, notice a dead peer, and reconnect by themselves. There is no insecure mode.

Where a name stands for several nodes, each call goes to the next of them that there is, and a call to the registry that was
lost on the way is made again at once: that is gRPC's standard service config. What a node told is no such loss (a node says so,
by the standard ``grpc-retry-pushback-ms``): it is read, and waited for as the node asked.

A certificate that was renewed on the disk is taken up without a restart: the next call goes over a connection made with it, and
what is under way on the old one ends there. A pair of files that do not belong together, as while they are being replaced, is
looked at again later; what was good before is used meanwhile.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import grpc
import grpc.experimental

from daxa_core.errors import ConfigurationError

from ._complaints import Complaints
from ._config import Connection, TlsFiles

MAX_RESPONSE_BYTES = 4 << 20
MAX_REQUEST_BYTES = 2 << 20
DAYS_LEFT = "x-certificate-days-left"
_ENDS = Complaints()
"""One line an hour for each certificate, however many clients and channels of this process use it."""
LOOK_SECONDS = 10.0
RETIRED_SECONDS = 1_000.0
"""Longer than any call or stream lasts."""
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            # Each of their calls, made twice, does what it does once. An evaluator's does not: it spends the quota twice, and
            # another evaluator is asked instead.
            "name": [
                {"service": f"daxa_api.v1.{name}Service"} for name in ("Sighting", "Verdict", "Audit", "Leak")
            ],
            "retryPolicy": {
                "maxAttempts": 3, "initialBackoff": "0.02s", "maxBackoff": "0.2s", "backoffMultiplier": 4,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # Where most calls are lost, they are not made again here.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}  # fmt: skip
_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.per_rpc_retry_buffer_size", MAX_REQUEST_BYTES),
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    # A gateway's firewall forgets idle connections without a word; a ping finds out before a submission does.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # There are few members: they may come back fast when the registry does.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
    # Who reads a stream waits for it alone. Otherwise two threads wake up fifteen times a second to see whether something came,
    # and each time the gateway's next request waits for the interpreter.
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
)


class Identity:
    """Who this client is, as its files say now. Thread-safe; looks at the disk every few seconds at most."""

    def __init__(self, config: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self.ca, self.certificate, self.key = config.ca, config.certificate, config.key
        self.number = 0
        """Counts renewals."""
        self._files: TlsFiles | None = config.tls_files
        self._clock = clock
        self._next_look = clock() + LOOK_SECONDS
        self._stamp = self._files.stamp() if self._files else ()
        self._lock = threading.Lock()
        self._complaints = Complaints()

    def warn(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
        """Says in the log what a server tells with its answers: that this client's certificate ends soon."""
        days = dict(metadata or ()).get(DAYS_LEFT)
        if isinstance(days, str) and days.removeprefix("-").isdecimal():
            _ENDS.say(
                sha256(self.certificate).hexdigest(),
                f"this client's certificate ends in {days[:6]} days: renew tls.certificate",
            )

    def look(self) -> int:
        """The number of the identity that is good now."""
        if self._files is not None and self._clock() >= self._next_look and self._lock.acquire(False):
            try:
                self._next_look = self._clock() + LOOK_SECONDS
                stamp = self._files.stamp()
                if stamp != self._stamp:
                    self.ca, self.certificate, self.key = self._files.read()
                    self._stamp = stamp
                    self.number += 1
            except ConfigurationError as error:
                self._complaints.say("renewal", f"a changed certificate is not taken up: {error}")
            finally:
                self._lock.release()
        return self.number


class _Channel(grpc.Channel):
    """The channel of the identity that is good now, to one target."""

    def __init__(self, identity: Identity, target: str) -> None:
        self.identity, self._target = identity, target
        self._number = identity.look()
        self._now = self._open()
        self._retired: list[tuple[float, grpc.Channel]] = []
        self._lock = threading.Lock()
        self._closed = False

    def _open(self) -> grpc.Channel:
        own = self.identity
        return grpc.secure_channel(
            self._target, grpc.ssl_channel_credentials(own.ca, own.key, own.certificate), _OPTIONS
        )

    def now(self) -> grpc.Channel:
        """To call over."""
        number = self.identity.look()
        if number != self._number or self._retired:
            with self._lock:
                if number != self._number and not self._closed:
                    self._retired.append((time.monotonic(), self._now))
                    self._now, self._number = self._open(), number
                while self._retired and time.monotonic() - self._retired[0][0] > RETIRED_SECONDS:
                    self._retired.pop(0)[1].close()
        return self._now

    def make(self, shape: str, method: tuple[Any, ...], more: dict[str, Any]) -> tuple[grpc.Channel, Any]:
        """The channel to call over, and gRPC's callable of one method over it. Raises ValueError where it is closed."""
        now = self.now()
        with self._lock:
            if self._closed:  # to make one over a channel that is closed ends the process
                raise ValueError("the channel is closed")
            return now, getattr(now, shape)(*method, **more)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for _, channel in self._retired:
                channel.close()
            self._now.close()

    def unary_unary(self, *method: Any, **more: Any) -> Any:
        return _Calling(self, "unary_unary", method, more)

    def unary_stream(self, *method: Any, **more: Any) -> Any:
        return _Calling(self, "unary_stream", method, more)

    def stream_unary(self, *method: Any, **more: Any) -> Any:
        return _Calling(self, "stream_unary", method, more)

    def stream_stream(self, *method: Any, **more: Any) -> Any:
        return _Calling(self, "stream_stream", method, more)

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        self._now.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._now.unsubscribe(callback)

    def __enter__(self) -> _Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Calling:
    """One method, over whichever channel is the one to call over."""

    def __init__(self, channel: _Channel, shape: str, method: tuple[Any, ...], more: dict[str, Any]) -> None:
        self._channel, self._method = channel, (shape, method, more)
        self._answered_once = shape in ("unary_unary", "stream_unary")
        self._made = channel.make(*self._method)

    def _callable(self) -> Any:
        channel, made = self._made
        if channel is not self._channel.now():
            self._made = _, made = self._channel.make(*self._method)
        return made

    def __call__(self, *request: Any, **more: Any) -> Any:
        if self._answered_once:
            return self.with_call(*request, **more)[0]
        return self._callable()(*request, **more)

    def with_call(self, *request: Any, **more: Any) -> Any:
        answer, call = self._callable().with_call(*request, **more)
        self._channel.identity.warn(call.trailing_metadata())
        return answer, call

    def future(self, *request: Any, **more: Any) -> Any:
        return self._callable().future(*request, **more)


def open_channel(config: Connection, target: str, identity: Identity | None = None) -> grpc.Channel:
    """A channel to one target, ``host:port``; it connects with the first call. Channels may share an ``identity``."""
    return _Channel(identity or Identity(config), target)

"""What an operator's Prometheus reads: counted where it happens, or asked for when somebody looks. Names and numbers alone.

Labels hold calls, codes, roles, levels, and names of members and operators; never anything that a call carried.

>>> metrics = Metrics()
>>> metrics.called("SubmitSightings", "member", "OK", 0.02)
>>> 'daxa_calls_total{call="SubmitSightings",code="OK",role="member"} 1.0' in metrics.text()
True
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest

from daxa_core.errors import ConfigurationError, ErrorCode

LOOPBACK = "127.0.0.1"
ASKED_AGAIN_SECONDS = 15.0
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Gauge:
    """Numbers that are asked for when somebody looks: label values to number."""

    name: str
    help: str
    labels: tuple[str, ...]
    ask: Callable[[], Mapping[tuple[str, ...], float]]


class Metrics:
    """One server's metrics, in a registry of their own. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._lock = threading.Lock()
        self._gauges: list[Gauge] = []
        self._asked: dict[str, tuple[float, Mapping[tuple[str, ...], float]]] = {}
        self._calls = Counter(
            "daxa_calls", "Calls answered, by code; OK where none.", ("call", "role", "code"), registry=self.registry
        )
        self._seconds = Histogram(
            "daxa_call_seconds",
            "From a call's arrival to its answer.",
            ("call",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._sightings = Counter(
            "daxa_sightings", "Sightings by what became of them: TAKEN or a refusal's code.", ("member", "outcome"),
            registry=self.registry,
        )  # fmt: skip
        self._matching = Histogram(
            "daxa_matching_seconds", "To take, match, decide and commit one group.", (), registry=self.registry,
            buckets=_SECONDS,
        )  # fmt: skip
        self._notice = Histogram(
            "daxa_leak_notice_seconds",
            "From a leak's commit or judgement to its issuers' verdicts, stored, signed and handed to whoever watches.",
            (),
            registry=self.registry,
            buckets=(*_SECONDS, 30.0, 60.0, 300.0),
        )
        self.registry.register(self)

    def called(self, call: str, role: str, code: str, seconds: float) -> None:
        """A call was answered."""
        self._calls.labels(call, role, code).inc()
        self._seconds.labels(call).observe(seconds)

    def took(self, member: str, outcome: str, number: int = 1) -> None:
        """Sightings were taken, or refused with a code."""
        self._sightings.labels(member, outcome).inc(number)

    def matched(self, seconds: float) -> None:
        """A group was committed."""
        self._matching.observe(seconds)

    def noticed(self, seconds: float, verdicts: int) -> None:
        """Verdicts that rest on a leak were handed on, so long after it was committed or verified."""
        for _ in range(verdicts):
            self._notice.observe(seconds)

    def add(self, gauge: Gauge) -> None:
        """Asked for whenever somebody looks, at most once in ASKED_AGAIN_SECONDS."""
        self._gauges.append(gauge)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As ``prometheus_client`` asks. A number that cannot be had just now is left out."""
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for labels, value in self._ask(gauge).items():
                family.add_metric(labels, value)
            yield family

    def _ask(self, gauge: Gauge) -> Mapping[tuple[str, ...], float]:
        now = self._clock()
        with self._lock:
            at, values = self._asked.get(gauge.name, (float("-inf"), {}))
            if now - at >= ASKED_AGAIN_SECONDS:
                try:
                    values = gauge.ask()
                except Exception:  # noqa: BLE001 - a database that is locked must not hide all the other numbers
                    values = {}
                self._asked[gauge.name] = (now, values)
            return values

    def text(self) -> str:
        """What is served."""
        return generate_latest(self.registry).decode()

    @contextmanager
    def served(self, port: int | None) -> Iterator[int | None]:
        """Serves them on that loopback port while the block runs; None serves nothing, 0 picks one.

        Raises ConfigurationError naming ``metrics_port`` where the port is taken.
        """
        if port is None:
            yield None
            return
        try:
            server, thread = start_http_server(port, LOOPBACK, self.registry)
        except OSError:
            wanted = "a port of 127.0.0.1 that is free"
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "metrics_port", wanted) from None
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

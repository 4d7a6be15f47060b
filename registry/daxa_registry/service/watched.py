"""The numbers that are asked for when somebody looks: certificates, limits, verdicts, the log, contradicted claims.

The same functions feed the metrics and ``daxa-registry status``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from daxa_registry.keys.credentials import Credentials
from daxa_registry.store.interface import Store

from . import inventories
from .certificate_ends import SECONDS_PER_DAY, CertificateEnds
from .limits import Limits
from .metrics import Gauge, Metrics


def watch_server(
    metrics: Metrics, credentials: Credentials, limits: Limits, ends: CertificateEnds, clock: Callable[[], float]
) -> None:
    """What every server has: how long its certificate, authorities and revocation lists hold, and its callers' certificates, and
    what its limits are used to."""

    def days() -> dict[tuple[str, ...], float]:
        found = credentials.current().ends().items()
        return {(what.replace(" ", "_"),): (until - clock()) / SECONDS_PER_DAY for what, until in found}

    metrics.add(Gauge("daxa_days_left", "Days until a file of [tls] is out of date.", ("file",), days))
    metrics.add(
        Gauge("daxa_tls_files_refused", "1 while the files of [tls] are not in force as they are.", (),
              lambda: {(): float(bool(credentials.complaint))})
    )  # fmt: skip
    metrics.add(
        Gauge("daxa_peer_certificate_days_left", "Days until the newest certificate ends that a peer has come with.", ("peer",),
              lambda: ends.days_left(clock()))
    )  # fmt: skip
    metrics.add(Gauge("daxa_calls_running", "Calls that are under way.", ("peer",), limits.running))
    metrics.add(Gauge("daxa_limit_used", "Share of a minute's worth that is used up.", ("peer", "call"), limits.used))


def watch_store(metrics: Metrics, store: Store) -> None:
    """What the registry has: keys by level, rows, the log's size, and how much of what each member claims is contradicted."""
    metrics.add(
        Gauge("daxa_keys", "Keys by the level of their verdict.", ("level",),
              lambda: {(level.name,): float(number) for level, number in store.levels().items()})
    )  # fmt: skip
    metrics.add(
        Gauge("daxa_rows", "Rows of the database.", ("table",),
              lambda: {(name,): float(number) for name, number in store.counts().items()})
    )  # fmt: skip
    metrics.add(Gauge("daxa_log_size", "Leaves of the log.", (), lambda: {(): float(store.log_size())}))
    metrics.add(
        Gauge("daxa_contradicted_ratio", "Share of the keys that a member claims which another member claims too.", ("member",),
              lambda: {(name,): claims.rate for name, claims in store.claims().items()})
    )  # fmt: skip
    metrics.add(
        Gauge(
            "daxa_leak_inventories", "Unverified leaks that hold half of a member's keys or more.", ("member",),
            lambda: {(name,): float(number) for name, number in _inventories(store).items()},
        )
    )  # fmt: skip


def _inventories(store: Store) -> Mapping[str, int]:
    """By member; those of whom there is no such leak are there as well."""
    return dict.fromkeys(store.members().values(), 0) | Counter(one.member for one in inventories.unverified(store))

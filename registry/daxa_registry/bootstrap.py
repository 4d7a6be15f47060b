"""The only place that chooses implementations: which store, which policy, what serves them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from daxa_api.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    evaluation_pb2,
    evaluation_pb2_grpc,
    incident_pb2,
    incident_pb2_grpc,
    leak_pb2,
    leak_pb2_grpc,
    sighting_pb2,
    sighting_pb2_grpc,
    verdict_pb2,
    verdict_pb2_grpc,
)
from daxa_core import group
from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, InvalidInput

from .backtest import Backtest
from .config import (
    EvaluatorConfig,
    RegistryConfig,
    checked_listen,
    read_evaluator,
    read_policy_text,
    read_registry,
)
from .decision.policy import Policy, default_policy_text, load_policy
from .keys.credentials import Credentials, load
from .keys.shares import read_parameters, read_share
from .keys.signing import Signer, read_verification_keys
from .keys.trust import Trust
from .rpc.admin import AdminService
from .rpc.audit import AuditService
from .rpc.evaluation import EvaluationService
from .rpc.identity import Role
from .rpc.incidents import IncidentService
from .rpc.leaks import LeakService
from .rpc.server import Service, build_server, is_serving
from .rpc.sightings import SightingService
from .rpc.verdicts import VerdictService
from .service import inventories
from .service.audit import Report, audit
from .service.authority_acts import AuthorityActs, read_acts, untaken
from .service.certificate_ends import SECONDS_PER_DAY, CertificateEnds, kept_ends
from .service.incidents import Incidents
from .service.intake import Intake
from .service.inventories import Inventory
from .service.leak_sets import LeakSets
from .service.leaks import Leaks
from .service.limits import Limits, read_spent
from .service.log import Log, append_state
from .service.matching import Matcher
from .service.membership import Membership
from .service.metrics import Gauge, Metrics
from .service.news import News
from .service.office import Office
from .service.policies import follow, in_force
from .service.quota import Quota
from .service.sweep import Sweep
from .service.watched import watch_server, watch_store
from .store.interface import Claims, Store
from .store.sqlite import SqliteStore

if TYPE_CHECKING:
    from .store.postgres import PostgresStore

LOG = logging.getLogger("daxa_registry")
GRACE_SECONDS = 5.0
TELL_SECONDS = 1.0
SPENT_AT_ONCE = 40
"""A peer's name, a call and a number are less than 150 bytes."""
GC_THRESHOLD = (500, 4, 25_000)
"""What the store remembers is millions of small objects that live long and form no cycles. Looking through many at once holds up
everybody's batch, at 5,000,000 for two seconds and at 50,000 for as long as a batch takes. The young are looked through by 2,500,
in half a millisecond and less of it altogether, and all of them hardly ever."""
SWITCH_SECONDS = 0.0001
"""How soon the event loop gets the interpreter back from a busy writer, which it needs about ten times for one call."""


POSTGRES_SCHEMES = ("postgresql", "postgres")
_MEANT_FOR_POSTGRES = re.compile(r"(^|/)postgres(ql)?:|\b(host|hostaddr|dbname|service|user|password) *=")
"""A URL with a slash too few, or libpq's other way to write one: as a path it would be a new, empty registry."""


def open_store(database: str, *, make: bool = True) -> Store:
    """The store behind a ``database`` setting: a path of an SQLite file, ``:memory:``, or a ``postgresql://`` URL.

    Without ``make`` it has to be there, as this program's ``serve`` would leave it: who only looks, or takes a copy, makes no
    empty registry of a wrong path, and migrates none that an older program serves. Raises ConfigurationError naming ``database``
    where it is another URL, or PostgreSQL's driver is not installed.
    """
    kind = _store_of(database)
    if make and kind is SqliteStore and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    return kind(database, make=make)


def check_empty(database: str) -> None:
    """Raises ConfigurationError where a ``database`` setting names one that holds anything. Nothing is made there."""
    _store_of(database).check_empty(database)


def _store_of(database: str) -> type[SqliteStore | PostgresStore]:
    scheme, _, rest = database.partition("://")
    if rest:
        if scheme not in POSTGRES_SCHEMES:
            wanted = f"a path, or a URL that begins with postgresql://, got {scheme}://"
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
        try:
            from .store.postgres import PostgresStore
        except ImportError:
            wanted = "a path, or the driver for PostgreSQL: install daxa-registry[registry,postgres]"
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted) from None
        return PostgresStore
    if _MEANT_FOR_POSTGRES.search(database):
        wanted = "a path, or a URL that begins with postgresql://, which this is not"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
    return SqliteStore


def open_log(store: Store, config: RegistryConfig) -> Log:
    """The log in that store, signed with the registry's keys."""
    return Log(store, Signer(config.signing), read_verification_keys(config.verification).witnesses)


def audit_database(configuration: Path, checkpoint: str | None) -> Report:
    """Whether the database of a registry.toml still holds what was logged; it may be in use meanwhile."""
    config = read_registry(configuration)
    keys = read_verification_keys(config.verification)
    store = open_store(config.database, make=False)
    try:
        return audit(store, keys, checkpoint)
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Status:
    """How a registry is doing. ``members``: by name, what each claims; ``acts_problem``:
    why the log does not have every act of the authority that it should; ``peers_left``: by ``role/name``, days until the newest
    certificate ends that a peer who takes part has come with."""

    listen: str
    serving: bool
    tls_problem: str
    acts_problem: str
    days_left: Mapping[str, float]
    log_size: int
    levels: Mapping[str, int]
    members: Mapping[str, Claims]
    rows: Mapping[str, int]
    peers_left: Mapping[str, float]
    inventories: Sequence[Inventory] = ()


def registry_status(configuration: Path) -> Status:
    """What can be seen on the registry's own host, whether it is running or not."""
    config = read_registry(configuration, checked=False)
    problem, days = "", {}
    try:
        loaded = load(config.tls)
    except ConfigurationError as error:
        problem = str(error)
    else:
        ends = loaded.ends().items()
        days = {what: (end - time.time()) / SECONDS_PER_DAY for what, end in ends if end < float("inf")}
    store = open_store(config.database, make=False)
    try:
        return Status(
            config.listen,
            not problem and is_serving(config.listen, config.tls),
            problem,
            "" if problem else _acts_problem(store, config.acts, loaded.trust),
            days,
            store.log_size(),
            {level.name: number for level, number in store.levels().items()},
            store.claims(),
            store.counts(),
            _peers_left(store, config.members),
            inventories.unverified(store),
        )
    finally:
        store.close()


def _peers_left(store: Store, members: Sequence[str]) -> dict[str, float]:
    """Of everybody but those who are members no more."""
    found = {}
    for peer, until in kept_ends(store).items():
        role, _, name = peer.partition("/")
        if role != Role.MEMBER or name in members:
            found[peer] = (until - time.time()) / SECONDS_PER_DAY
    return found


def _acts_problem(store: Store, acts: Path, trust: Trust) -> str:
    """What is wrong with the copy of the authority's record, or misses in it of what the revocation list says."""
    try:
        untaken(store, acts)
        told = {act["serial"] for act in read_acts(acts) if act["act"] == "revoke"}
    except ConfigurationError as error:
        return str(error)
    own = next((anchor.revoked for anchor in trust.anchors if anchor.ids is None and anchor.revoked), None)
    missing = {f"{serial:x}" for serial in own.serials} - told if own else set()
    return f"{acts.name} does not tell who revoked {len(missing)} of the certificates in the list" if missing else ""


def make_backtest(policy: Policy) -> Backtest:
    """A back-test over an empty store of its own, gone when it ends."""
    return Backtest(open_store(":memory:"), policy)


@asynccontextmanager
async def evaluator_server(
    config: EvaluatorConfig, clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[int, int]]:
    """A running evaluator: (its index, its port). Refuses to start with a share that does not fit the commitments."""
    parameters = read_parameters(config.parameters)
    share = read_share(config.share, parameters)
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    quota = Quota(config.data / "quota.sqlite", config.quota, clock)
    service = Service(
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server,
        EvaluationService(parameters, share, quota, config.trust_domain),
        evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"],
    )
    credentials, limits, metrics, ends = Credentials(config.tls), Limits(config.limits), Metrics(), CertificateEnds()
    watch_server(metrics, credentials, limits, ends, clock)
    metrics.add(Gauge("daxa_quota_used", "Share of today's quota that is used up.", ("peer", "kind"), quota.used))
    server, port = await build_server(
        config.listen, credentials, [service], config.trust_domain, limits=limits, metrics=metrics, ends=ends
    )
    await server.start()
    try:
        with metrics.served(config.metrics_port):
            yield share.index, port
    finally:
        await server.stop(GRACE_SECONDS)
        quota.close()


@asynccontextmanager
async def registry_server(
    config: RegistryConfig,
    clock: Callable[[], float] = time.time,
    instead_of: str = "",
    on_superseded: Callable[[DaxaError], None] = lambda error: None,
) -> AsyncIterator[int]:
    """A running registry: its port.

    ``instead_of``: the policy that gives way to the configuration's, as :func:`in_force` has it. ``on_superseded``: told, on any
    thread, that this node may not write any more.
    """
    parameters = read_parameters(config.parameters)
    first = read_policy_text(config.policy) if config.policy else default_policy_text()
    begun = load_policy(first)  # refused when read, though another may be in force
    store = open_store(config.database)
    policy = in_force(store, first, int(clock()), instead_of)
    if policy.digest != begun.digest:
        LOG.warning(
            "policy %s stays in force, as it was activated; the one of this start, %s, takes a test and an activation",
            policy.digest.hex()[:16],
            begun.digest.hex()[:16],
        )
    log = open_log(store, config)
    with store.transaction():
        now = int(clock())
        log.note_keys(now)
        append_state(store, "policy", {"digest": policy.digest.hex()}, now)
    credentials, limits, metrics, ends = Credentials(config.tls), Limits(config.limits), Metrics(), CertificateEnds()
    membership = Membership(store, config.members, credentials, lambda: int(clock()))
    membership.note()
    watch_server(metrics, credentials, limits, ends, clock)
    watch_store(metrics, store)
    news = News(asyncio.get_running_loop())
    matcher = Matcher(store, policy, log)

    loop = asyncio.get_running_loop()

    def on_notice(notice: str) -> None:
        loop.call_soon_threadsafe(_spent_elsewhere, limits, notice)

    store.share(lambda: follow(store, matcher), news.tell, on_notice, on_superseded)
    leaks = Leaks(
        store,
        matcher,
        news.tell,
        lambda: int(clock()),
        check_elements=group.refused_elements,
        on_notice=metrics.noticed,
    )
    authority = AuthorityActs(store, config.acts, lambda: int(clock()))
    authority.take()

    def also() -> None:
        leaks.sweep()
        authority.take()
        membership.note()
        ends.keep(store)

    sweep = Sweep(store, matcher, clock=lambda: int(clock()), on_verdicts=news.tell, also=also, give_way=leaks.give_way,
                  retention_hours=config.retention_hours, batch_hours=config.batch_hours)  # fmt: skip
    sweeping = threading.Thread(target=sweep.every, args=(config.sweep_seconds,), name="sweep", daemon=True)
    intake = Intake(
        store,
        matcher,
        check=group.refused_elements,
        on_verdicts=news.tell,
        on_commit=metrics.matched,
        retention_hours=config.retention_hours,
        clock=lambda: int(clock()),
    )
    domain = config.trust_domain
    leak_service = LeakService(leaks, LeakSets(store), store, parameters, domain)
    services = [
        Service(
            sighting_pb2_grpc.add_SightingServiceServicer_to_server,
            SightingService(intake, parameters, domain, metrics, store.only_refused),
            sighting_pb2.DESCRIPTOR.services_by_name["SightingService"],
        ),
        Service(
            verdict_pb2_grpc.add_VerdictServiceServicer_to_server,
            VerdictService(store, matcher, news, parameters, domain, lambda: int(clock())),
            verdict_pb2.DESCRIPTOR.services_by_name["VerdictService"],
        ),
        Service(
            admin_pb2_grpc.add_AdminServiceServicer_to_server,
            AdminService(Office(store, matcher, news.tell, lambda: int(clock())), parameters, domain),
            admin_pb2.DESCRIPTOR.services_by_name["AdminService"],
        ),
        Service(
            leak_pb2_grpc.add_LeakServiceServicer_to_server,
            leak_service,
            leak_pb2.DESCRIPTOR.services_by_name["LeakService"],
        ),
        Service(
            incident_pb2_grpc.add_IncidentServiceServicer_to_server,
            IncidentService(Incidents(store, matcher, lambda: int(clock())), leak_service.entry, domain),
            incident_pb2.DESCRIPTOR.services_by_name["IncidentService"],
        ),
        Service(
            audit_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditService(log, store, domain),
            audit_pb2.DESCRIPTOR.services_by_name["AuditService"],
        ),
    ]
    server: grpc.aio.Server | None = None
    telling: asyncio.Task[None] | None = None
    try:
        server, port = await build_server(
            config.listen,
            credentials,
            services,
            domain,
            limits=limits,
            metrics=metrics,
            members=frozenset(config.members),
            ends=ends,
        )
        await server.start()
        sweeping.start()
        telling = asyncio.create_task(_tell_spent(limits, store))
        with metrics.served(config.metrics_port):
            yield port
    finally:
        if telling is not None:
            telling.cancel()
        if server is not None:
            await server.stop(GRACE_SECONDS)
        leaks.stop()
        sweep.stop()
        if sweeping.is_alive():
            await asyncio.to_thread(sweeping.join)
        await asyncio.to_thread(intake.close)
        store.close()


async def _tell_spent(limits: Limits, store: Store) -> None:
    """Tells the other nodes what each peer has used of its limits here."""
    while True:
        await asyncio.sleep(TELL_SECONDS)
        spent = limits.take_spent()
        for start in range(0, len(spent), SPENT_AT_ONCE):
            # What is not told is forgiven: better than a registry that waits for it.
            with contextlib.suppress(DaxaError):
                await asyncio.to_thread(store.notify, json.dumps(spent[start : start + SPENT_AT_ONCE]))


def _spent_elsewhere(limits: Limits, notice: str) -> None:
    try:
        told = read_spent(notice)
    except InvalidInput as error:
        LOG.warning("what another node spent is passed over: %s", error)
        return
    for peer, call, cost in told:
        limits.spent_elsewhere(peer, call, cost)


def run_evaluator(configuration: Path, say: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT."""
    config = read_evaluator(configuration)

    async def main() -> None:
        async with evaluator_server(config) as (index, port):
            host, stop = config.listen.rpartition(":")[0], asyncio.Event()
            _stop_when_told(stop)
            say(f"evaluator {index} listening on {host}:{port}")
            await stop.wait()

    asyncio.run(main())


def run_registry(
    configuration: Path, say: Callable[[str], None], listen: str | None = None, instead_of: str = ""
) -> None:
    """Serves until SIGTERM or SIGINT; as one more node, on another address than the configuration's.

    Raises Superseded where the node ends because a newer program has taken over: members go on at that one's nodes.
    """
    config = read_registry(configuration)
    if listen is not None:
        config = replace(config, listen=checked_listen(listen), metrics_port=None)
    gc.set_threshold(*GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_SECONDS)

    superseded: list[DaxaError] = []

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def end(error: DaxaError) -> None:
            superseded.append(error)
            loop.call_soon_threadsafe(stop.set)

        async with registry_server(config, instead_of=instead_of, on_superseded=end) as port:
            _stop_when_told(stop)
            say(f"registry listening on {config.listen.rpartition(':')[0]}:{port}")
            await stop.wait()

    asyncio.run(main())
    if superseded:
        raise superseded[0]


def _stop_when_told(stop: asyncio.Event) -> None:
    """By SIGTERM or SIGINT; before it is said that the server listens, for who hears that may end it at once."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)

"""Past its capacity, and while retention deletes: what a registry gets done beside what it gets done without, on both stores.

    scripts/bench overload
    scripts/bench overload --set rounds=1 --set seconds=2 --set edges=150000 --set days=8     a quick look

The registry's processes are reached over mutual TLS, PostgreSQL is the wheel's with its defaults, and the load is on the same
machine. The crowd waits as the client does; the floods never wait. Retention deletes all the time here, where a registry gives it
a part of each minute. The size under steady load is that of a store whose days pass as fast as they can be worked off: half of a
day's sightings are of edges that were seen the day before, the other half of new ones.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setup_env import ROOT

sys.path.insert(0, str(ROOT / "tests"))

import psycopg

import bench_fairness
import bench_scale
import overload
import postgres
from bench_fairness import Member
from daxa_core.model import MAX_SIGHTINGS
from daxa_registry.bootstrap import open_store
from daxa_registry.decision.policy import default_policy_text, load_policy
from daxa_registry.deployment import Plan, make_deployment
from daxa_registry.service.intake import Intake
from daxa_registry.service.matching import Matcher
from daxa_registry.service.sweep import PART_OF_RETENTION, PARTS_OF_RETENTION, Sweep
from deployment import free_ports
from scale_service import SECONDS, Load, percentile

NODES = {"SQLite": 1, "PostgreSQL": 2}
CROWD = 4
"""Times the places that there are."""
WAVES, WAVE = 5, 200
PACE = 0.03
"""Seconds between two batches of the quiet member, on average."""
EDGES = 100_000
"""Of the quiet member beside a flood: new ones to the end."""
LONG_AGO = 1_000
"""Hours, past retention."""
OLD = f"SELECT count(*) FROM presence WHERE first < {bench_scale.HOUR - LONG_AGO}"  # noqa: S608 - a number
RETENTION_DAYS = 5
Row = dict[str, Any]


@contextlib.contextmanager
def running(database: str, nodes: int, sweep_seconds: float = 60.0) -> Iterator[overload.Running]:
    """The registry on that database; its sweep begins so long after it has started, and again so long after each has ended."""
    with tempfile.TemporaryDirectory(prefix="daxa-overload-") as scratch:
        folder = Path(scratch) / "deployment"
        make_deployment(folder, Plan(bench_fairness.MEMBERS, 1, 1, ports=free_ports(2)))
        configuration = folder / "registry/registry.toml"
        configuration.write_text(f"sweep_seconds = {sweep_seconds}\n{configuration.read_text()}")
        with overload.registry(folder, database, nodes) as made:
            yield made


def crowds(name: str, registry: overload.Running, rounds: int, seconds: float) -> Iterator[Row]:
    """Four times as many as there are places for, between two crowds that just fill them."""
    goodputs, late, drains, rates, refused = [], [], [], [], 0
    for _ in range(rounds):
        before, crowd, after = (overload.Crowd(registry) for _ in range(3))
        capacity = before.send(registry.places, seconds) / 2
        goodput = crowd.send(CROWD * registry.places, seconds)
        capacity += after.send(registry.places, seconds) / 2
        goodputs.append(goodput / capacity)
        late.append(percentile(crowd.seconds, 95) * capacity / registry.places)
        drains.append(crowd.draining)
        rates.append((goodput, capacity))
        refused += len(crowd.refusals)
    with_it, without = map(statistics.median, zip(*rates, strict=True))
    yield _row(f"{name}: goodput with a crowd / without", statistics.median(goodputs), "×", 0.8,
               f"{with_it:,.0f} / {without:,.0f} batches/s; {CROWD} × {registry.places} at once, {refused} refused")  # fmt: skip
    yield _row(f"{name}: p95 in a crowd / time of a full house", statistics.median(late), "×", -3.0,
               f"a full house takes {registry.places / without:.2f} s")  # fmt: skip
    yield _row(f"{name}: until a crowd's backlog has drained", statistics.median(drains), "s", -10.0,
               "from the last batch that was begun to the last that was answered")  # fmt: skip


def floods(name: str, registry: overload.Running, rounds: int, seconds: float) -> Iterator[Row]:
    """Who never waits: what the registry holds of it, and what a quiet member notices."""
    with contextlib.ExitStack() as stack:
        flood = overload.Flood(registry.stubs(stack, "bithumb", 3), registry.batch("bithumb", MAX_SIGHTINGS))
        flood.wave(1)
        before = registry.resident()
        for _ in range(WAVES):
            flood.wave(WAVE)
        grown = registry.resident() - before
    yield _row(f"{name}: memory grown by a flood", grown / 2**20, "MiB", -150.0,
               f"{WAVE} full batches at once, {WAVES} times; {flood.answers['OVERLOADED']} refused")  # fmt: skip
    alone: list[float] = []
    beside: list[float] = []
    quiet, flooder = Member(registry.folder, "upbit", 1, EDGES), bench_fairness.Flood(registry.folder)
    for _ in range(rounds):
        quiet.paced(time.perf_counter() + seconds, alone, PACE)
        flooder.begin(seconds)
        quiet.paced(time.perf_counter() + seconds, beside, PACE)
        flooder.end()
    flooder.close()
    quiet.channel.close()
    yield _slower(f"{name}: p99 of a quiet member beside a flood / alone", beside, alone)


def retention(name: str, base: str, rounds: int, edges: int) -> Iterator[Row]:
    """All that a registry takes, and a quiet member beside it: while retention deletes, and while it does not."""
    store = open_store(base)
    bench_scale.fill(store, 0, edges, bench_scale.HOUR - LONG_AGO)
    store.close()
    rates: dict[bool, list[float]] = {True: [], False: []}
    latencies: dict[bool, list[float]] = {True: [], False: []}
    ratios, left = [], []
    for turn in range(rounds):
        for deleting in (True, False):
            with bench_scale._copied(base) as copy, running(copy, 1, 0.05 if deleting else 3_600.0) as registry:
                began, quiet = time.perf_counter(), Member(registry.folder, "upbit", turn)
                with Load(registry.folder, turn) as load:
                    quiet.paced(time.perf_counter() + SECONDS, latencies[deleting], PACE)
                quiet.channel.close()
                rates[deleting].append(load.rate)
                [old] = overload.numbers(copy, OLD)
                if deleting and not old:
                    raise AssertionError("there was not enough to delete")
                left.append((edges - old) / (time.perf_counter() - began))
        ratios.append(rates[True][-1] / rates[False][-1])
    with_it, without = statistics.median(rates[True]), statistics.median(rates[False])
    yield _row(f"{name}: intake while retention deletes / without", statistics.median(ratios), "×", 0.8,
               f"{with_it:,.0f} / {without:,.0f} sightings/s; {max(left):,.0f} presences/s leave")  # fmt: skip
    yield _slower(f"{name}: p99 of a submission then / without", latencies[True], latencies[False])


def steady(name: str, database: str, edges: int, days: int) -> Iterator[Row]:
    """The same load day after day; PostgreSQL cleans up once a day, as its own autovacuum would by then."""
    now = bench_scale.HOUR * 3_600
    store = open_store(database)
    matcher = Matcher(store, load_policy(default_policy_text()))
    intake = Intake(store, matcher, check=lambda _: {}, clock=lambda: now)
    sweep = Sweep(store, matcher, clock=lambda: now, retention_hours=24 * RETENTION_DAYS, batch_hours=48, rest=0.0)
    sizes: list[int] = []
    for day in range(1, days + 1):
        now += 86_400
        for first in (0, day * edges):
            bench_scale._submit(intake, bench_scale.edges(first, edges, now=now // 3_600))
        for _ in range(store.counts()["presence"] // (PART_OF_RETENTION * PARTS_OF_RETENTION) + 2):
            sweep.run()
        if "://" in database:
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("VACUUM")
        sizes.append(bench_scale.size_on_disk(database))
    intake.close()
    counts = store.counts()
    store.close()
    # What is too old has left by the end of the day after.
    one, last = sizes[RETENTION_DAYS], max(sizes[-RETENTION_DAYS:])
    yield _row(f"{name}: size under steady load / after one retention", last / one, "×", -1.1,
               f"{last / 2**20:.1f} / {one / 2**20:.1f} MiB after {days / RETENTION_DAYS:.0f} times the retention; "
               f"{counts['presence']:,} presences, {counts['verdict']:,} verdicts, which stay")  # fmt: skip


def run(rounds: int = 3, seconds: int = 4, edges: int = 300_000, days: int = 20) -> list[Row]:
    """Every row of this file."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="daxa-overload-") as scratch:
        server = postgres.PostgresServer.start(Path(scratch) / "postgres", settings=())
        try:
            for name, nodes in NODES.items():

                def fresh(what: str, name: str = name) -> str:
                    return str(Path(scratch) / f"{what}.sqlite") if name == "SQLite" else server.create_database()

                with running(fresh("loaded"), nodes) as registry:
                    rows += crowds(name, registry, rounds, seconds)
                    rows += floods(name, registry, rounds, seconds)
                rows += retention(name, fresh("old"), rounds, edges)
                rows += steady(name, fresh("steady"), edges // 100, days)
        finally:
            server.stop()
    return rows


def _slower(name: str, some: list[float], others: list[float]) -> Row:
    """The p99 of some latencies by that of others."""
    told = [f"{percentile(which, share) * 1e3:.0f}" for share in (50, 99) for which in (some, others)]
    return _row(name, percentile(some, 99) / percentile(others, 99), "×", -2.0,
                f"p50 {told[0]} / {told[1]} ms, p99 {told[2]} / {told[3]} ms; {len(some)} and {len(others)} batches")  # fmt: skip


_row = bench_scale._row

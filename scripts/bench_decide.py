"""How long deciding one subject takes, in a registry of 10,000 subjects and in one of 1,000,000.

The small store holds a simulated market; the large one the same market, and around it as many lighter copies of another as it
takes. So the decided subjects are the same in both, and what differs is the size alone.

*Deciding* is what intake does for each subject that a batch moved: its neighbourhood out of the store's graph, the facts of
its places (kept between decisions, so worked out once per place and change), its evidence, the assessment. Rows say
how much of it is what:

- evidence and assessment, of a neighbourhood already read, with the facts of its places: what the target speaks of;
- the same with reading the neighbourhood, one subject at a time, everything warm.

Intake first asks a glance whether a subject can only be CLEAR (``decision.quiet``) and decides the others; here nobody is let
off.

    scripts/bench decide --set large=100000 --set decided=300    a quick look
"""

# ruff: noqa: S608 - the statements are put together from this file's own names
from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from daxa_core.model import SECONDS_PER_HOUR, Manner
from daxa_registry.decision import assess, default_policy, evidence_of
from daxa_registry.service.matching import Matcher
from daxa_registry.store.hours import pack
from daxa_registry.store.sqlite import SqliteStore
from fitting.graph import Graph
from simulation import WorldSpec, generate

Row = dict[str, Any]
SEED = 9_500
MARKET = 10_000
DECIDED = 2_000
ROUNDS = 3
MICROSECONDS = 1e6
_NODES = "INSERT INTO node (id, kind, fingerprint, subjects, infrastructure)"
_SUBJECTS = "INSERT INTO subject (id, key, member, account, holder, seen, hours, addresses)"
_PRESENCES = "INSERT INTO presence (id, address, member, device, subject, manner, network, first, hours, count)"


class Market:
    """One simulated market as rows. Ids of one market are below ``SPAN``; devices are shared by all copies of it."""

    SPAN = 1_000_000

    def __init__(self, keys: int, days: int, seed: int) -> None:
        simulation = generate(WorldSpec(seed, keys, days))
        self.graph = graph = Graph.from_simulation(simulation)
        self.size = len(graph.subjects)
        self.now = graph.newest
        keys_at, places_at, networks_at, holders_at = (self.SPAN * n // 8 for n in range(1, 5))
        kinds: dict[int, int] = {}
        self.subjects = []
        for subject in graph.subjects.values():
            kinds[keys_at + subject.key] = 1
            holder = None if subject.holder is None else holders_at + subject.holder
            seen = sum(p.manner is Manner.USED for p in graph.of_subject[subject.id])
            row = (subject.id, keys_at + subject.key, subject.member, subject.account, holder, seen, subject.hours,
                   subject.addresses)  # fmt: skip
            self.subjects.append(row)
        self.presences = []
        for presences in graph.of_subject.values():
            for p in presences:
                self.presences.append(
                    (len(self.presences) + 1, places_at + p.address, p.subject.member, p.device, p.subject.id,
                     int(p.manner), networks_at + p.network, p.first, pack(p.hours), p.count)
                )  # fmt: skip
                kinds[networks_at + p.network] = 3
        tenants = {places_at + address: len(who) for address, who in graph.tenants.items()}
        self.nodes = [(n, kind, 0, 0) for n, kind in kinds.items()]
        self.nodes += [(at, 2, count, int(at - places_at in graph.infrastructure)) for at, count in tenants.items()]
        self.devices = [(device, 4, 0, 0) for device in {p.device for ps in graph.of_subject.values() for p in ps}]


def build(path: Path, market: Market, filler: Market, subjects: int) -> SqliteStore:
    """A store with the market and as many copies of the filler as it takes to have that many subjects."""
    store = SqliteStore(path)
    database = store._writer
    indexes = database.execute("SELECT name, sql FROM sqlite_master WHERE type='index' AND sql IS NOT NULL").fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    database.execute("PRAGMA synchronous=OFF")
    for name in ("upbit", "bithumb", "coinone", "korbit", "gopax"):
        store.member_id(name)
    database.execute("BEGIN")
    nodes = f"{_NODES} VALUES (?,?,randomblob(32),?,?)"
    database.executemany(nodes, market.nodes + market.devices)
    database.executemany(f"{_SUBJECTS} VALUES (?,?,?,?,?,?,?,?)", market.subjects)
    database.executemany(f"{_PRESENCES} VALUES (?,?,?,?,?,?,?,?,?,?)", market.presences)
    copies = max(subjects - market.size, 0) // filler.size
    if copies:
        _fill(database.execute, database.executemany, filler, copies)
    for _, statement in indexes:
        database.execute(statement)
    database.execute("COMMIT")
    store.close()
    return SqliteStore(path)


def _fill(execute: Callable[..., Any], many: Callable[..., Any], filler: Market, copies: int) -> None:
    """Copies made by SQL: every id moved by a copy's span, but for the devices, which people everywhere share."""
    span = Market.SPAN
    for table in ("node", "subject", "presence"):
        execute(f"CREATE TEMP TABLE one_{table} AS SELECT * FROM main.{table} WHERE 0")
    many(f"{_NODES.replace('node', 'one_node')} VALUES (?,?,NULL,?,?)", filler.nodes)
    many(f"{_SUBJECTS.replace('subject ', 'one_subject ')} VALUES (?,?,?,?,?,?,?,?)", filler.subjects)
    many(f"{_PRESENCES.replace('presence', 'one_presence')} VALUES (?,?,?,?,?,?,?,?,?,?)", filler.presences)
    shared = [(n + span, *rest) for n, *rest in filler.devices]
    many(f"{_NODES} VALUES (?,?,randomblob(32),?,?)", shared)
    for copy in range(1, copies + 1):
        at = copy * span
        execute(f"{_NODES} SELECT id+?, kind, randomblob(32), subjects, infrastructure"
                " FROM one_node", (at,))  # fmt: skip
        execute(f"{_SUBJECTS} SELECT id+?, key+?, member, account, holder+?, seen, hours, addresses FROM one_subject",
                (at, at, at))  # fmt: skip
        execute(f"{_PRESENCES} SELECT id+?, address+?, member, CASE device WHEN 0 THEN 0 ELSE device+? END, subject+?, manner,"
                " network+?, first, hours, count FROM one_presence", (at, at, span, at, at))  # fmt: skip
    for table in ("node", "subject", "presence"):
        execute(f"DROP TABLE one_{table}")


def times(store: SqliteStore, subjects: Sequence[int], hour: int) -> tuple[float, float]:
    """Microseconds per subject: evidence and assessment; with reading, one at a time. Medians of medians."""
    policy = default_policy()
    matcher = Matcher(store, policy)
    now = hour * SECONDS_PER_HOUR
    for _ in matcher.assessments(list(subjects), now):  # warms the caches, as a registry that has run for a while
        pass
    population = store.population()
    read = list(store.neighbourhoods(subjects))
    facts = [matcher.facts(one) for one in read]
    bare = [
        _median(
            (lambda n=n, f=f: assess(evidence_of(n, f, population, hour), policy, now))  # type: ignore[misc]
            for n, f in zip(read, facts, strict=True)
        )
        for _ in range(ROUNDS)
    ]
    single = [_median((lambda s=s: list(matcher.assessments([s], now))) for s in subjects) for _ in range(ROUNDS)]  # type: ignore[misc]
    return statistics.median(bare), statistics.median(single)


def _median(calls: Iterable[Callable[[], object]]) -> float:
    taken = []
    for call in calls:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * MICROSECONDS


def run(large: int = 1_000_000, decided: int = DECIDED) -> list[Row]:
    """Every row of this file."""
    market, filler = Market(MARKET, 14, SEED), Market(MARKET, 2, SEED + 1)
    found = {}
    chosen = random.Random(SEED).sample(range(1, market.size + 1), min(decided, market.size))
    for size in (MARKET, large):
        with tempfile.TemporaryDirectory() as scratch:
            store = build(Path(scratch) / "registry.sqlite", market, filler, size)
            with store.transaction():
                found[size] = times(store, chosen, market.now)
            store.close()
    small, big = found[MARKET], found[large]
    on = f"{len(chosen):,} subjects of a market of {market.size:,}, 14 days, medians"
    rows = []
    for i, what in enumerate(("evidence and assessment", "and reading, one at a time")):
        rows += [
            {"name": f"deciding, {what}, {large:,} / {MARKET:,}", "value": big[i] / small[i], "unit": "×",
             "target": "<= 1.5", "ok": big[i] <= 1.5 * small[i], "detail": f"{big[i]:.0f} / {small[i]:.0f} µs; {on}"},
            {"name": f"deciding, {what}, at {large:,}", "value": big[i], "unit": "µs", "target": "<= 100",
             "ok": big[i] <= 100, "detail": on},
        ]  # fmt: skip
    return rows

"""The registry at size, on both stores: intake, look-ups, time to match, bytes an edge, start-up and memory as it grows.

    scripts/bench scale --set largest=1000000 [--set write=yes]

Ten edges to a subject, up to ``largest`` edges, each seen in one hour; what an edge takes that is seen as often as one of five
exchanges' is measured apart, on edges that grow in the order of time. Each measurement is a process of its own on a database that
was filled before; what members see is measured over mutual TLS (:mod:`scale_service`). ``write=yes`` makes docs/benchmarks.md and
docs/benchmarks.svg of what came out. PostgreSQL is the wheel's, with its defaults, on the same machine; its floor is COPY of
such rows with the same updates, into the same tables at the same size.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import random
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from setup_env import ROOT

sys.path.insert(0, str(ROOT / "tests"))

import psycopg

import postgres
import scale_page
import scale_service
from daxa_core.model import Manner, Sighting
from daxa_registry.bootstrap import GC_THRESHOLD, SWITCH_SECONDS, open_store
from daxa_registry.decision.policy import default_policy_text, load_policy
from daxa_registry.service.intake import Intake, Submission
from daxa_registry.service.matching import Matcher
from daxa_registry.store.hours import pack
from daxa_registry.store.interface import Store
from daxa_registry.store.postgres_rows import PostgresConnection

SIZES = (100_000, 1_000_000, 10_000_000)
EDGES_OF_A_SUBJECT = 10
BATCH, GROUP, BATCHES = 1_000, 8_000, 20
HOUR = int(time.time()) // 3_600
ADDED = 100_000
"""Edges left between two sizes for what is measured there."""
FAR = 10**9
NEIGHBOURS = 1_000
"""Keys before it with which a key shares addresses."""
SEEN_AGAIN = 1_600_000
"""Edges seen again before memory is measured: more than the registry keeps in mind of anything."""
REPEATING_SECONDS = 4.0
FLOORS = 3
"""How often bare ``COPY`` is measured."""
Row = dict[str, Any]


def _print(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()


def _shared(edge: int) -> int:
    """The edge whose address this one is on: three of ten are on that of some key before it, another one each time."""
    key, place = divmod(edge, EDGES_OF_A_SUBJECT)
    if place not in (0, 4, 8) or not key:
        return edge
    before = 1 + int.from_bytes(_print("before", edge)[:6]) % min(key, NEIGHBOURS)
    return (key - before) * EDGES_OF_A_SUBJECT + place + 1


def _again(edge: int) -> int:
    """As :func:`_shared`, but every key meets the same other key twice and more, as in a ring."""
    return edge - 25 if edge % 3 == 0 and edge >= 25 else edge


def edges(first: int, number: int, address_of: Callable[[int], int] = _shared, now: int = HOUR) -> list[Sighting]:
    """Edges of a market in the day before that hour, the same for the same numbers."""
    return [
        Sighting(
            _print("key", edge // EDGES_OF_A_SUBJECT),
            _print("address", address_of(edge)),
            _print("network", edge // 20),
            now - 1 - edge % 24,
            Manner.USED,
            1,
            _print("device", edge // EDGES_OF_A_SUBJECT % 500),
            None,
            _print("account", edge // EDGES_OF_A_SUBJECT)[:16],
        )
        for edge in range(first, first + number)
    ]


def fill(store: Store, first: int, last: int, now: int = HOUR) -> None:
    """The edges of those numbers, taken in without deciding."""
    for start in range(first, last, GROUP):
        with store.transaction():
            store.absorb(store.member_id("upbit"), edges(start, min(GROUP, last - start), now=now), lambda _: {})


def grow_hours(store: Store, number: int) -> None:
    """As many edges as they are at five exchanges: each in a few hours of a day, on days in a row, new ones every day."""
    chosen = random.Random(0)
    longest = 2 * scale_page.DAYS - 1
    begun = range(scale_page.KEPT_DAYS)
    lives = [(chosen.choice(begun), chosen.randint(1, longest)) for _ in range(number)]
    seen = edges(0, number)
    days = len(begun) + longest
    for day in range(days):
        today = [
            one._replace(hour=HOUR - (days - day) * 24 + hour)
            for one, (first, life) in zip(seen, lives, strict=True)
            if first <= day < first + life
            for hour in chosen.sample(range(24), scale_page.HOURS_A_DAY)
        ]
        for start in range(0, len(today), GROUP):
            with store.transaction():
                store.absorb(store.member_id("upbit"), today[start : start + GROUP], lambda _: {})


def bytes_grown(database: str) -> float:
    """Bytes of such an edge, with all that it is seen in."""
    store = open_store(database)
    grow_hours(store, scale_page.GROWN)
    there = store.counts()["presence"]
    store.close()
    return size_on_disk(database) / there


def _submit(intake: Intake, sightings: Sequence[Sighting]) -> float:
    """Sightings a second, from the first batch to the last answer."""
    batches = [
        Submission("upbit", secrets.token_bytes(16), secrets.token_bytes(32), sightings[start : start + BATCH])
        for start in range(0, len(sightings), BATCH)
    ]
    began = time.perf_counter()
    for future in [intake.submit(batch) for batch in batches]:
        future.result()
    return len(sightings) / (time.perf_counter() - began)


def measure(database: str, size: int) -> dict[str, float]:
    """What one process finds on a database of that size, with the interpreter set as ``serve`` sets it."""
    gc.set_threshold(*GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_SECONDS)
    store = open_store(database)
    matcher = Matcher(store, load_policy(default_policy_text()))
    intake = Intake(store, matcher, check=lambda _: {})
    news = edges(size, BATCH * BATCHES)
    _submit(intake, edges(size // 2, BATCH * 2))  # the first group of a process reads everything anew
    new = _submit(intake, news)
    rounds: list[float] = []
    until = time.perf_counter() + REPEATING_SECONDS
    while time.perf_counter() < until:
        rounds.append(_submit(intake, news))
    ring = _submit(intake, edges(size + ADDED // 2, BATCH * BATCHES, _again))
    _see_again(intake, size)
    intake.close()
    stored = _store_alone(store, size + len(news))
    store.close()
    return {
        "new": new,
        "ring": ring,
        "stored": stored,
        "repeats": statistics.median(rounds),
        "resident": _most_resident(),
    }


def _see_again(intake: Intake, size: int) -> None:
    """As many of the edges as fill every memory that the registry keeps, from one end to the other."""
    groups = range(0, size, GROUP)
    for start in groups[:: max(len(groups) * GROUP // SEEN_AGAIN, 1)]:
        _submit(intake, edges(start, GROUP))


def _store_alone(store: Store, first: int) -> float:
    """Sightings a second of as many more edges, taken in and not decided."""
    groups = [edges(first + start, GROUP) for start in range(0, BATCH * BATCHES, GROUP)]
    member = store.member_id("upbit")
    began = time.perf_counter()
    for group in groups:
        with store.transaction():
            for start in range(0, GROUP, BATCH):
                store.absorb(member, group[start : start + BATCH], lambda _: {})
    return sum(map(len, groups)) / (time.perf_counter() - began)


def _most_resident() -> float:
    """Bytes. By the kernel's own word of this program: what ``getrusage`` tells is also that of the process that started it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024.0


def bare_copy(url: str, first: int, number: int) -> float:
    """Sightings a second of rows like those of ``measure`` copied in the same groups into the same tables, ids given for free."""
    connection = PostgresConnection(url)
    [node], [presence] = (
        connection.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()  # noqa: S608 - fixed names
        for table in ("node", "presence")
    )
    ids: dict[bytes, int] = {}
    news = edges(first, number)
    began = time.perf_counter()
    for start in range(0, number, GROUP):
        part = news[start : start + GROUP]
        connection.execute("BEGIN")
        kinds = {one: kind for s in part for kind, one in ((1, s.key), (2, s.address), (3, s.network))}
        fresh = [one for one in kinds if one not in ids]
        ids.update(zip(fresh, range(node + len(ids), node + len(ids) + len(fresh)), strict=True))
        connection.insert("node (id, kind, fingerprint, subjects)", [(ids[one], kinds[one], one, 1) for one in fresh])
        keys = {s.key: s for s in part}
        connection.insert(
            "subject (id, key, member, account)", [(ids[key], ids[key], 1, s.account) for key, s in keys.items()]
        )
        rows = [
            (presence + start + i, ids[s.address], 1, s.key[0], ids[s.key], 1, ids[s.network], s.hour, pack(1), 1)
            for i, s in enumerate(part)
        ]
        columns = "id, address, member, device, subject, manner, network, first, hours, count"
        connection.insert(f"presence ({columns})", rows)
        connection.update("node", ("subjects=subjects+",), [(ids[one], 1) for one in kinds])
        connection.execute("COMMIT")
    rate = number / (time.perf_counter() - began)
    connection.close()
    return rate


def size_on_disk(database: str) -> int:
    """Bytes of the tables and their indexes."""
    if "://" in database:
        with psycopg.connect(database) as connection:
            [size] = connection.execute("SELECT pg_database_size(current_database())").fetchone() or [0]
            [empty] = connection.execute(
                "SELECT pg_database_size(oid) FROM pg_database WHERE datname='template1'"
            ).fetchone() or [0]
            return int(size) - int(empty)
    with contextlib.closing(sqlite3.connect(database)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(database).stat().st_size


@contextlib.contextmanager
def _copied(database: str) -> Iterator[str]:
    """A copy of the database, for as long as the block runs: members add other things than edges."""
    if "://" in database:
        copy = postgres.copy_database(database)
        try:
            yield copy
        finally:
            postgres.drop_database(copy)
        return
    file = Path(database).with_name("served.sqlite")
    shutil.copyfile(database, file)  # all of it: whoever closes it last copies the log back
    try:
        yield str(file)
    finally:
        for found in file.parent.glob(f"{file.name}*"):
            found.unlink()


def grow(database: str, name: str, largest: int) -> Iterator[dict[str, Any]]:
    """Fills the database step by step, and measures at each."""
    reached = 0
    for size in SIZES:
        if size > largest:
            return
        store = open_store(database)
        fill(store, reached, size)
        there = store.counts()["presence"]
        store.close()
        on_disk = size_on_disk(database)
        turns = FLOORS if "://" in database else 0
        floors = [bare_copy(database, FAR + size, BATCH * BATCHES) for _ in range(turns)[:1]]
        done = subprocess.run(
            [sys.executable, __file__, database, str(size)], capture_output=True, text=True, check=True,
        )  # fmt: skip
        # Before and after, for the machine has other tenants; of edges that share nothing with those before.
        floors += [bare_copy(database, FAR + size + 2 * turn * ADDED, BATCH * BATCHES) for turn in range(turns)[1:]]
        keys = [_print("key", number) for number in range(size // EDGES_OF_A_SUBJECT)]
        with _copied(database) as copy:
            served = scale_service.measure(copy, keys)
        # What is measured here adds edges of its own; the next step begins after them.
        reached = size + ADDED
        point = {"store": name, "edges": size, "bytes_an_edge": on_disk / there, **json.loads(done.stdout), **served}
        if floors:
            point["floor"] = statistics.median(floors)
        print(json.dumps(point), file=sys.stderr, flush=True)  # a long run says how far it is
        yield point


def run(largest: int = 100_000, write: str = "") -> list[Row]:
    """Every row of this file."""
    gc.set_threshold(*GC_THRESHOLD)  # a third of the filling
    points: list[dict[str, Any]] = []
    grown: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="daxa-scale-") as scratch:
        points += grow(str(Path(scratch) / "registry.sqlite"), "SQLite", largest)
        grown["SQLite"] = bytes_grown(str(Path(scratch) / "grown.sqlite"))
        server = postgres.PostgresServer.start(Path(scratch) / "postgres", settings=())
        try:
            points += grow(server.create_database(), "PostgreSQL", largest)
            grown["PostgreSQL"] = bytes_grown(server.create_database())
        finally:
            server.stop()
    if write:
        scale_page.write(points, grown)
    return [*rows(points), *rows_grown(grown)]


def rows_grown(grown: dict[str, float]) -> Iterator[Row]:
    """What an edge takes that is seen more than once."""
    for store, size in grown.items():
        yield _row(f"{store}, edges of {scale_page.HOURS} hours: on disk", size, "B", -160.0 if store == "SQLite" else None,
                   f"{scale_page.HOURS_A_DAY} hours a day on {scale_page.DAYS} days, {scale_page.GROWN:,} edges")  # fmt: skip


def rows(points: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """The figures, beside what was promised where that size was reached."""
    first = {point["store"]: point for point in reversed(points)}
    for p in points:
        at = f"{p['store']}, {p['edges']:,} edges"
        whole = p["store"] == "SQLite" and p["edges"] == SIZES[-1]
        base = first[p["store"]]
        yield _row(f"{at}: intake of new edges", p["new"] / base["new"], "×", 0.5 if whole else None,
                   f"{p['new']:,.0f} sightings/s; of its own at {base['edges']:,}")  # fmt: skip
        yield _row(f"{at}: intake of repeats", p["repeats"] / base["repeats"], "×", 0.8 if whole else None,
                   f"{p['repeats']:,.0f} sightings/s; of its own at {base['edges']:,}")  # fmt: skip
        if p["store"] == "PostgreSQL":
            told = (
                f"bare COPY {p['floor']:,.0f} sightings/s; without deciding {p['stored'] / p['floor']:.2f} ×; were every key "
                f"in a ring {p['ring'] / p['floor']:.2f} ×"
            )
            yield _row(f"{at}: intake / bare COPY", p["new"] / p["floor"], "×", 0.5, told)
        yield _row(f"{at}: BatchGetVerdicts p99", p["get_p99"] * 1e3, "ms", -10.0,
                   f"at {p['served']:,.0f} sightings/s, all it takes; p50 {p['get_p50'] * 1e3:.1f} ms")  # fmt: skip
        for what, name in (("match", "time to match"), ("stop", "time to stop matching")):
            for share, most in ((50, 30.0), (99, 150.0)):
                yield _row(f"{at}: {name} p{share}", p[f"{what}_p{share}"] * 1e3, "ms", -most,
                           f"from the answer, {p['matches']:.0f} times at {p['half']:,.0f} sightings/s")  # fmt: skip
        target = -160.0 if p["store"] == "SQLite" and p["edges"] >= SIZES[1] else None
        yield _row(
            f"{at}: on disk", p["bytes_an_edge"], "B", target, "bytes an edge of one hour, indexes and fingerprints too"
        )
        yield _row(f"{at}: start-up", p["started"], "s", -2.0 if whole else None, "until `serve` listens")
        yield _row(f"{at}: resident", p["resident"] / 2**30, "GiB", -1.0 if whole else None,
                   f"at most; {min(p['edges'], SEEN_AGAIN):,} edges were seen again")  # fmt: skip


def _row(name: str, value: float, unit: str, target: float | None, detail: str) -> Row:
    """``target``: at least so much, or, negative, at most."""
    ok = target is None or (value >= target if target > 0 else value <= -target)
    told = "" if target is None else f">= {target:g}" if target > 0 else f"<= {-target:g}"
    return {"name": name, "value": value, "unit": unit, "target": told, "ok": ok, "detail": detail}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))

"""The registry at size, on both stores: intake, look-ups, bytes an edge, start-up and memory as the database grows.

    scripts/bench scale --set largest=1000000 [--set write=yes]

Ten edges to a subject, up to ``largest`` edges. Each measurement is a process of its own on a database that was filled before;
``write=yes`` makes docs/benchmarks.md and docs/benchmarks.svg of what came out. PostgreSQL is the wheel's, with its defaults, on
the same machine; its floor is COPY of the same rows with the same updates.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from setup_env import ROOT

sys.path.insert(0, str(ROOT / "tests"))

import psycopg

import postgres
from daxa_core.model import Manner, Sighting
from daxa_registry.bootstrap import GC_THRESHOLD, open_store
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
SWITCH_SECONDS = 0.0005
Row = dict[str, Any]


def _print(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()


def edges(first: int, number: int) -> list[Sighting]:
    """Edges of a market, the same for the same numbers: every third is on an address that another key has too."""
    return [
        Sighting(
            _print("key", edge // EDGES_OF_A_SUBJECT),
            _print("address", edge - 25 if edge % 3 == 0 and edge >= 25 else edge),
            _print("network", edge // 20),
            HOUR - 1 - edge % 24,
            Manner.USED,
            1,
            _print("device", edge // EDGES_OF_A_SUBJECT % 500),
            None,
            _print("account", edge // EDGES_OF_A_SUBJECT)[:16],
        )
        for edge in range(first, first + number)
    ]


def fill(store: Store, first: int, last: int) -> None:
    """The edges of those numbers, taken in without deciding."""
    for start in range(first, last, GROUP):
        with store.transaction():
            store.absorb(store.member_id("upbit"), edges(start, min(GROUP, last - start)), lambda _: {})


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


@contextlib.contextmanager
def _looking_up(store: Store, size: int) -> Iterator[list[float]]:
    """Looks one key up again and again while the block runs: seconds of each."""
    seconds: list[float] = []
    stopped = threading.Event()

    def run() -> None:
        number = 0
        while not stopped.wait(0.002):
            number += 7_919
            key = _print("key", number % (size // EDGES_OF_A_SUBJECT))
            began = time.perf_counter()
            store.current_verdicts(1, [key])
            seconds.append(time.perf_counter() - began)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seconds
    finally:
        stopped.set()
        thread.join()


def measure(database: str, size: int) -> dict[str, float]:
    """What one process finds on a database of that size, with the interpreter set as ``serve`` sets it."""
    gc.set_threshold(*GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_SECONDS)
    began = time.perf_counter()
    store = open_store(database)
    with store.transaction():
        store.head(1)
    started = time.perf_counter() - began
    matcher = Matcher(store, load_policy(default_policy_text()))
    intake = Intake(store, matcher, check=lambda _: {})
    news = edges(size, BATCH * BATCHES)
    _submit(intake, edges(size // 2, BATCH * 2))  # the first group of a process reads everything anew
    with _looking_up(store, size) as seconds:
        new = _submit(intake, news)
    repeats = _submit(intake, news)
    intake.close()
    store.close()
    return {
        "new": new,
        "repeats": repeats,
        "started": started,
        "look_up_p99": statistics.quantiles(seconds, n=100)[98] if len(seconds) > 100 else max(seconds),
        "resident": _most_resident(),
    }


def _most_resident() -> float:
    """Bytes. By the kernel's own word of this program: what ``getrusage`` tells is also that of the process that started it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024.0


def bare_copy(url: str, number: int) -> float:
    """Sightings a second of the same rows copied in the same groups, ids given for free, into the same tables."""
    open_store(url).close()
    connection = PostgresConnection(url)
    ids: dict[bytes, int] = {}
    began = time.perf_counter()
    for start in range(0, number, GROUP):
        part = edges(10**9 + start, min(GROUP, number - start))
        connection.execute("BEGIN")
        kinds = {one: kind for s in part for kind, one in ((1, s.key), (2, s.address), (3, s.network))}
        fresh = [one for one in kinds if one not in ids]
        ids.update(zip(fresh, range(len(ids) + 1, len(ids) + 1 + len(fresh)), strict=True))
        connection.insert("node (id, kind, fingerprint, subjects)", [(ids[one], kinds[one], one, 1) for one in fresh])
        keys = {s.key: s for s in part}
        connection.insert(
            "subject (id, key, member, account)", [(ids[key], ids[key], 1, s.account) for key, s in keys.items()]
        )
        rows = [
            (start + i, ids[s.address], 1, s.key[0], ids[s.key], 1, ids[s.network], s.hour, pack(1), 1)
            for i, s in enumerate(part)
        ]
        columns = "id, address, member, device, subject, manner, network, first, hours, count"
        connection.insert(f"presence ({columns})", rows)
        connection.update("node", ("subjects=subjects+",), [(ids[one], 1) for one in kinds])
        connection.execute("COMMIT")
    connection.close()
    return number / (time.perf_counter() - began)


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


def grow(database: str, name: str, largest: int) -> Iterator[dict[str, Any]]:
    """Fills the database step by step, and measures at each."""
    reached = 0
    for size in SIZES:
        if size > largest:
            return
        store = open_store(database)
        fill(store, reached, size)
        store.close()
        on_disk = size_on_disk(database)
        done = subprocess.run(
            [sys.executable, __file__, database, str(size)], capture_output=True, text=True, check=True,
        )  # fmt: skip
        # The measurement adds edges of its own; the next step begins after them.
        reached = size + BATCH * BATCHES
        yield {"store": name, "edges": size, "bytes_an_edge": on_disk / size, **json.loads(done.stdout)}


def run(largest: int = 100_000, write: str = "") -> list[Row]:
    """Every row of this file."""
    points: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="daxa-scale-") as scratch:
        points += grow(str(Path(scratch) / "registry.sqlite"), "SQLite", largest)
        server = postgres.PostgresServer.start(Path(scratch) / "postgres", settings=())
        try:
            points += grow(server.create_database(), "PostgreSQL", largest)
            floor = bare_copy(server.create_database(), BATCH * BATCHES)
        finally:
            server.stop()
    if write:
        import scale_page

        scale_page.write(points, floor)
    return list(rows(points, floor))


def rows(points: Sequence[dict[str, Any]], floor: float) -> Iterator[Row]:
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
            yield _row(f"{at}: intake / bare COPY", p["new"] / floor, "×", 0.5, f"bare COPY {floor:,.0f} sightings/s")
        yield _row(f"{at}: look-up during intake, p99", p["look_up_p99"] * 1e3, "ms", -10.0, "one key")
        target = -160.0 if p["store"] == "SQLite" and p["edges"] >= SIZES[1] else None
        yield _row(f"{at}: on disk", p["bytes_an_edge"], "B", target, "bytes an edge, indexes and fingerprints too")
        yield _row(f"{at}: start-up", p["started"], "s", -2.0 if whole else None, "to the first transaction")
        yield _row(f"{at}: resident", p["resident"] / 2**30, "GiB", -1.0 if whole else None, "at most, while taking in")


def _row(name: str, value: float, unit: str, target: float | None, detail: str) -> Row:
    """``target``: at least so much, or, negative, at most."""
    ok = target is None or (value >= target if target > 0 else value <= -target)
    told = "" if target is None else f">= {target:g}" if target > 0 else f"<= {-target:g}"
    return {"name": name, "value": value, "unit": unit, "target": told, "ok": ok, "detail": detail}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))

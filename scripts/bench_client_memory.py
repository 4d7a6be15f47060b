"""What a process with 100,000 active keys holds: loaded alone in a fresh interpreter by scripts/bench_client.py."""

from __future__ import annotations

from pathlib import Path

from daxa_client import Device
from daxa_client._cache import FingerprintCache
from daxa_client._observer import Observer
from daxa_client._spool import Spool
from daxa_client._verdict_table import VerdictTable
from daxa_core.model import Level, Verdict

KEYS = 100_000
AGENTS = [f"client/{number} (python)" for number in range(50)]


def hold(folder: str) -> tuple[object, ...]:
    """A process with 100,000 active keys: observed, fingerprints cached, raw keys and verdicts of a tenth known."""
    scratch = Path(folder)
    observer = Observer()
    for n in range(KEYS):
        observer.observe(
            f"{n:040}", f"8.{n >> 16}.{n >> 8 & 255}.{n & 255}", device=Device(AGENTS[n % 50]), account=str(n)
        )
    spool = Spool(scratch / "spool.sqlite", bytes(32))
    for part in [observer.collect(counts=False)]:
        for start in range(0, len(part), 5_000):
            spool.add(part[start : start + 5_000], 0)
    cache = FingerprintCache(scratch / "cache.sqlite", bytes(32), bytes(32))
    for start in range(0, 2 * KEYS, 5_000):
        cache.put({n.to_bytes(20, "big"): n.to_bytes(32, "big") for n in range(start, start + 5_000)})
    table = VerdictTable(scratch / "verdicts.sqlite", bytes(32), bytes(32))
    table.load()
    for start in range(0, KEYS // 10, 1_000):
        table.learn((n.to_bytes(32, "big"), f"{n:040}") for n in range(start, start + 1_000))
        table.take([Verdict(n.to_bytes(32, "big"), Level.WARN, sequence=n + 1) for n in range(start, start + 1_000)])
    return observer, spool, cache, table

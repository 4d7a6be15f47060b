"""How fast the back-test takes a simulated market in, on one core, beside reading the same lines with ``json.loads``.

Everything counts, the decisions at the end too. Processor time, so that other work on the machine does not count.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from daxa_registry.bootstrap import GC_THRESHOLD, make_backtest
from daxa_registry.decision.policy import default_policy
from simulation import WorldSpec, generate

WANTED = 15_000


def run(keys: int = 4_000, days: int = 14, seed: int = 1) -> list[dict[str, Any]]:
    """One market of that many keys and days."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(WorldSpec(seed=seed, keys=keys, days=days)).write(Path(scratch))
        path = Path(scratch) / "sightings.jsonl"
        lines = path.read_bytes().splitlines()
        began = time.process_time()
        for line in lines:
            json.loads(line)
        floor = time.process_time() - began
        number = len(lines)
        del lines
        threshold = gc.get_threshold()
        gc.set_threshold(*GC_THRESHOLD)
        try:
            began = time.process_time()
            backtest = make_backtest(default_policy())
            with path.open("rb") as opened:
                refused = sum(1 for _ in backtest.read(opened))
            read = time.process_time() - began
            verdicts = sum(1 for _ in backtest.verdicts())
            seconds = time.process_time() - began
        finally:
            gc.set_threshold(*threshold)
    if refused:
        raise AssertionError("a line of the simulator's was refused")
    rate = number / seconds
    detail = (
        f"{number:,} sightings, {verdicts:,} keys: {number / read:,.0f}/s to take in, then {seconds - read:.1f} s to decide;"
        f" json.loads alone {number / floor:,.0f}/s"
    )
    return [{"name": "backtest, sightings a second of one core", "value": rate, "unit": "/s", "target": f">= {WANTED}",
             "ok": rate >= WANTED, "detail": detail}]  # fmt: skip

"""How good the verdicts are where no holder is known at all, and where one member invents holders on its victims' addresses.

    scripts/bench extremes --json F                             the field and every reading: some thirty minutes on two cores
    scripts/bench extremes --set worlds=field --set keys=4000   a quick look
    scripts/quality_page F                                      writes the table of docs/quality.md from the JSON

Each is beside the same world as it is. The seeds are of no world that weights were fitted on.
"""

from __future__ import annotations

from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from bench_quality import FIRST_SEED, judged, spec_of
from quality.figures import Extremes, Row, extreme_rows
from quality.sample import Sample
from readings import READINGS
from simulation import EXCHANGES

KINDS = ",".join(["field", *READINGS])


def run(worlds: str = KINDS, seeds: int = 1, keys: int = 20_000, days: int = 14) -> list[Row]:
    """``seeds`` worlds of each kind, each as it is, without holders, and with inventions. A world to a core."""

    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        asked: dict[str, list[list[Future[Sample]]]] = {}
        for world in worlds.split(","):
            for seed in range(FIRST_SEED, FIRST_SEED + seeds):
                nameless = {"holders": False if world in READINGS else 0.0}
                changes: list[dict[str, Any]] = [{}, nameless, {"poison": EXCHANGES[seed % len(EXCHANGES)]}]
                specs = [spec_of(world, seed, keys, days, **change) for change in changes]
                asked.setdefault(world, []).append([pool.submit(judged, spec, False) for spec in specs])
        found = {
            world: [Extremes(*(one.result() for one in three)) for three in threes] for world, threes in asked.items()
        }
    return [row for world, extremes in found.items() for row in extreme_rows(world, extremes)]

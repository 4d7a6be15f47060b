"""How good the verdicts are on simulated markets, beside three published methods and the model that was tried before.

    scripts/bench quality --json F                                    some twenty minutes
    scripts/bench quality --set keys=4000 --set seeds=1 --set worlds=wild    a quick look
    scripts/quality_page F                                            writes the tables of docs/quality.md from the JSON

The seeds are of no world that weights were fitted on.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from daxa_registry.decision import default_policy
from fitting.worlds import AnySpec
from quality.figures import (
    Row,
    hardness_markdown,
    hardness_table,
    method_table,
    methods_markdown,
    pattern_table,
    patterns_markdown,
    verdict_rows,
)
from quality.sample import Sample, sample
from readings import READINGS, ReadingSpec
from simulation import WORLDS, WorldSpec

FIRST_SEED = 9_001
KINDS = ",".join([*(world for world in WORLDS if world != "tame"), *READINGS])


def spec_of(world: str, seed: int, keys: int, days: int, **change: Any) -> AnySpec:
    """The world of that kind, changed so."""
    if world in READINGS:
        return ReadingSpec(world, seed, keys, days, **change)
    return WorldSpec(seed, keys, days, world, **change)


def judged(spec: AnySpec, compare: bool) -> Sample:
    """Judged by the default policy; with ``compare``, by the other methods too."""
    return sample(spec, default_policy(), compare=compare)


def run(worlds: str = KINDS, seeds: int = 2, keys: int = 20_000, days: int = 14) -> list[Row]:
    """``seeds`` worlds of each kind, of the simulator's and of other readings. A world to a core.

    Prints the tables by pattern; the last row carries them for the JSON.
    """
    kinds = tuple(worlds.split(","))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        asked = {
            world: [pool.submit(judged, spec_of(world, FIRST_SEED + s, keys, days), True) for s in range(seeds)]
            for world in kinds
        }
        by_world = {world: [future.result() for future in futures] for world, futures in asked.items()}
    rows = [row for world, samples in by_world.items() for row in verdict_rows(world, samples)]
    everything = [one for samples in by_world.values() for one in samples]
    methods, patterns, hardness = method_table(everything), pattern_table(everything), hardness_table(by_world)
    print(methods_markdown(methods), hardness_markdown(hardness), patterns_markdown(patterns, guilty=False), sep="\n\n")
    print("\n" + patterns_markdown(patterns, guilty=True) + "\n", flush=True)
    best = max(method["area"] for method in methods[:-1])
    size = f"{len(everything)} worlds ({', '.join(kinds)}) of {keys:,} keys and {days} days"
    rows.append(
        {"name": "area less the best other method's", "value": methods[-1]["area"] - best, "unit": "", "target": "> 0",
         "ok": methods[-1]["area"] > best, "detail": size, "methods": methods, "patterns": patterns, "hardness": hardness}
    )  # fmt: skip
    return rows

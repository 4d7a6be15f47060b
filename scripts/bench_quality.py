"""How good the verdicts are on simulated markets, beside three published methods and the model that was tried before.

    scripts/bench quality --json F                                    every figure of the issue: some ten minutes
    scripts/bench quality --set keys=4000 --set seeds=1 --set worlds=wild    a quick look
    scripts/quality_page F                                            writes the tables of docs/quality.md from the JSON

The seeds are of no world that weights were fitted on.
"""

from __future__ import annotations

from daxa_registry.decision import default_policy
from quality.figures import (
    Row,
    hardness_markdown,
    hardness_table,
    holderless_rows,
    method_table,
    methods_markdown,
    pattern_table,
    patterns_markdown,
    poisoned_rows,
    verdict_rows,
)
from quality.sample import Sample, framed, sample
from simulation import EXCHANGES, WorldSpec

FIRST_SEED = 9_001


def run(
    worlds: str = "field,wild,hard,random", seeds: int = 2, keys: int = 20_000, days: int = 14, extremes: int = 2
) -> list[Row]:
    """``seeds`` worlds of each kind, ``extremes`` of each with no holder known and with a member that invents holders.

    Prints the tables by pattern; the last row carries them for the JSON.
    """
    policy = default_policy()
    kinds = tuple(worlds.split(","))
    rows: list[Row] = []
    by_world: dict[str, list[Sample]] = {}
    for world in kinds:
        samples = [sample(WorldSpec(FIRST_SEED + s, keys, days, world), policy) for s in range(seeds)]
        rows += verdict_rows(world, samples)
        by_world[world] = samples
    few = range(FIRST_SEED, FIRST_SEED + extremes)
    if extremes:
        nameless = [WorldSpec(seed, keys, days, kinds[0], holders=0.0) for seed in few]
        rows += holderless_rows([sample(spec, policy, compare=False) for spec in nameless])
        lied = [WorldSpec(seed, keys, days, kinds[0], poison=EXCHANGES[seed % len(EXCHANGES)]) for seed in few]
        rows += poisoned_rows(
            [sample(spec, policy, compare=False) for spec in lied], [framed(spec, policy) for spec in lied]
        )
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

"""Many samples as figures: rows against their targets, marks by pattern, and both as Markdown.

Areas are means over worlds; precision, recall and marks are pooled over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from simulation.patterns import LOOKALIKES

from .measures import Marks, average_precision, marks, recall_at, shares_by
from .sample import METHODS, OPERATOR_OWN, OURS, PUBLISHED, REFERENCE, Sample

Row = dict[str, Any]

WANTED_PRECISIONS = (0.92, 0.985)
ORDINARY_WARN, LOOKALIKE_WARN, LOOKALIKE_REAUTHENTICATE = 0.1, 5.0, 0.3


def row(name: str, value: float, unit: str, relation: str, target: float, detail: str) -> Row:
    """One figure against its target."""
    ok = value >= target if relation == ">=" else value <= target
    return {
        "name": name, "value": value, "unit": unit, "target": f"{relation} {target:g}", "ok": bool(ok), "detail": detail,
    }  # fmt: skip


def area(samples: Sequence[Sample], method: str) -> float:
    """The mean area under the precision-recall curve."""
    return float(np.mean([_area(one, method) for one in samples]))


def _area(one: Sample, method: str) -> float:
    return average_precision(one.guilty[one.counted], one.of[method].score[one.counted])


def pooled(samples: Sequence[Sample], method: str, level: str) -> Marks:
    """Precision and recall from a level up, over all samples."""
    guilty = np.concatenate([s.guilty[s.counted] for s in samples])
    return marks(guilty, np.concatenate([getattr(s.of[method], level)[s.counted] for s in samples]))


def by_pattern(samples: Sequence[Sample], method: str, level: str, *, guilty: bool) -> dict[str, tuple[int, int]]:
    """(marked, all) by pattern."""
    out: dict[str, tuple[int, int]] = {}
    for one in samples:
        chosen = one.guilty if guilty else one.innocent
        for name, (hit, count) in shares_by(one.group, getattr(one.of[method], level), chosen).items():
            before = out.get(name, (0, 0))
            out[name] = (before[0] + hit, before[1] + count)
    return out


def verdict_rows(world: str, samples: Sequence[Sample]) -> list[Row]:
    """The issue's figures for one kind of world, and the best of the other methods beside them."""
    others = {m: area(samples, m) for m in METHODS if m != OURS}
    beside = ", ".join(f"{m} {a:.2f}" for m, a in others.items())
    spread = " ".join(f"{_area(one, OURS):.2f}" for one in samples)
    warn, high = (pooled(samples, OURS, level) for level in ("warn", "reauthenticate"))
    theirs = [pooled(samples, REFERENCE, level) for level in ("warn", "reauthenticate")]
    rows = [
        row(f"{world}: area under precision-recall", area(samples, OURS), "", ">=", 0.9, f"by seed {spread}; {beside}"),
        row(f"{world}: precision at WARN", warn.precision, "", ">=", 0.92, _beside(theirs[0].precision, warn)),
        row(f"{world}: recall at WARN", warn.recall, "", ">=", 0.8, _beside(theirs[0].recall, warn)),
        row(
            f"{world}: precision at REAUTHENTICATE", high.precision, "", ">=", 0.985, _beside(theirs[1].precision, high)
        ),
        row(f"{world}: recall at REAUTHENTICATE", high.recall, "", ">=", 0.65, _beside(theirs[1].recall, high)),
    ]
    warned = by_pattern(samples, OURS, "warn", guilty=False)
    asked = by_pattern(samples, OURS, "reauthenticate", guilty=False)
    ordinary = {n: c for n, c in warned.items() if n not in LOOKALIKES and n != OPERATOR_OWN}
    alike = {n: c for n, c in warned.items() if n in LOOKALIKES}
    alike_high = {n: c for n, c in asked.items() if n in LOOKALIKES}
    for name, counts, limit in (
        ("worst ordinary pattern at WARN", ordinary, ORDINARY_WARN),
        ("worst look-alike at WARN", alike, LOOKALIKE_WARN),
        ("worst look-alike at REAUTHENTICATE", alike_high, LOOKALIKE_REAUTHENTICATE),
    ):
        if counts:
            worst = max(counts, key=lambda n: _percent(counts[n]))
            detail = f"{worst}: {counts[worst][0]} of {counts[worst][1]}"
            rows.append(row(f"{world}: {name}", _percent(counts[worst]), "%", "<=", limit, detail))
    return rows


class Extremes(NamedTuple):
    """One world as it is, with no holder known, and with one member that invents holders on its victims' addresses."""

    honest: Sample
    nameless: Sample
    poisoned: Sample


def extreme_rows(world: str, worlds: Sequence[Extremes]) -> list[Row]:
    """Areas, and the victims of inventions that are at WARN and would not be without; the first row has them for the page."""
    honest, nameless, poisoned = ([one[place] for one in worlds] for place in range(3))
    victims = sum(len(one.framed) for one in poisoned)
    warned = [(one.poisoned.framed & one.poisoned.warned, one.honest.warned) for one in worlds]
    by_invention = sum(len(after - before) for after, before in warned)
    as_it_is = f"{area(honest, OURS):.3f} as it is"
    marked = sum(len(after) for after, _ in warned)
    detail = f"of {victims} victims; {marked} are at WARN, the others of them without the inventions too"
    rows = [
        row(f"{world}, no holder known: area", area(nameless, OURS), "", ">=", 0.75, as_it_is),
        row(f"{world}, one member invents holders: area", area(poisoned, OURS), "", ">=", 0.85, as_it_is),
        row(f"{world}, victims at WARN by inventions", by_invention, "keys", "<=", 0, detail),
    ]
    figures = [area(some, OURS) for some in (honest, nameless, poisoned)]
    rows[0]["extremes"] = {"world": world, "areas": figures, "victims": victims, "by invention": by_invention}
    return rows


def extremes_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a world, and the mean."""
    told = [row["extremes"] for row in rows if "extremes" in row]
    mean = np.mean([one["areas"] for one in told], axis=0)
    lines = [
        "| world | area as it is | no holder known | one member invents holders | its victims, of them at WARN by that |",
        "|---|---|---|---|---|",
        *(
            f"| {one['world']} | " + " | ".join(f"{of:.3f}" for of in one["areas"])
            + f" | {one['victims']}, {one['by invention']} |"
            for one in told
        ),
        "| mean | " + " | ".join(f"{of:.3f}" for of in mean) + " | |",
    ]  # fmt: skip
    return "\n".join(lines)


def pattern_table(samples: Sequence[Sample]) -> list[Row]:
    """Every pattern: keys, and the share marked at each level by every method; of the published ones once."""
    out = []
    for guilty in (False, True):
        counts = {
            (method, level): by_pattern(samples, method, level, guilty=guilty)
            for method in METHODS
            for level in (("warn", "reauthenticate") if method in (OURS, REFERENCE) else ("warn",))
        }
        for name, (_, keys) in sorted(counts[(OURS, "warn")].items(), key=lambda item: item[0]):
            entry: Row = {"pattern": name, "guilty": guilty, "lookalike": name in LOOKALIKES, "keys": keys}
            for (method, level), found in counts.items():
                entry[f"{method} {level}"] = _percent(found[name])
            out.append(entry)
    return out


def method_table(samples: Sequence[Sample], methods: Sequence[str] = METHODS) -> list[Row]:
    """Each method: area, precision and recall."""
    out = []
    for method in methods:
        warn, high = (pooled(samples, method, level) for level in ("warn", "reauthenticate"))
        out.append(
            {
                "method": method, "area": area(samples, method),
                "warn precision": warn.precision, "warn recall": warn.recall,
                "reauthenticate precision": high.precision, "reauthenticate recall": high.recall,
            }
        )  # fmt: skip
    return out


def hardness_table(worlds: Mapping[str, Sequence[Sample]]) -> list[Row]:
    """The reference model and the registry on each kind of world, and their recall at a threshold of its own choice."""
    out = []
    for world, samples in worlds.items():
        for row in method_table(samples, (REFERENCE, OURS)):
            guilty = np.concatenate([s.guilty[s.counted] for s in samples])
            scores = np.concatenate([s.of[row["method"]].score[s.counted] for s in samples])
            reached = {f"recall at {p}": recall_at(guilty, scores, p) for p in WANTED_PRECISIONS}
            out.append({"world": world, **row, **reached})
    return out


def hardness_markdown(table: Sequence[Row]) -> str:
    """``hardness_table`` as Markdown."""
    lines = [
        "| world | method | area | precision / recall at WARN | at REAUTHENTICATE | recall at precision 0.92 | at 0.985 |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in table:
        levels = " | ".join(f"{r[f'{n} precision']:.3f} / {r[f'{n} recall']:.2f}" for n in ("warn", "reauthenticate"))
        reached = " | ".join(f"{r[f'recall at {p}']:.2f}" for p in WANTED_PRECISIONS)
        lines.append(f"| {r['world']} | {r['method']} | {r['area']:.3f} | {levels} | {reached} |")
    return "\n".join(lines)


def methods_markdown(table: Sequence[Row]) -> str:
    """``method_table`` as Markdown."""
    lines = [
        "| method | area under precision-recall | precision / recall at WARN | at REAUTHENTICATE |",
        "|---|---|---|---|",
    ]
    for r in table:
        warn = f"{r['warn precision']:.3f} / {r['warn recall']:.2f}"
        high = f"{r['reauthenticate precision']:.3f} / {r['reauthenticate recall']:.2f}"
        lines.append(f"| {r['method']} | {r['area']:.3f} | {warn} | {high if high != warn else 'the same'} |")
    return "\n".join(lines)


def patterns_markdown(table: Sequence[Row], *, guilty: bool) -> str:
    """One half of ``pattern_table`` as Markdown."""
    what = "recall" if guilty else "false positives"
    lines = [
        f"| {'guilty' if guilty else 'innocent'} pattern | keys | {what} at WARN | at REAUTHENTICATE | {REFERENCE}"
        f" | {' | '.join(PUBLISHED)} |",
        f"|{'---|' * (5 + len(PUBLISHED))}",
    ]
    digits = 1 if guilty else 2
    for r in table:
        if r["guilty"] is guilty:
            name = f"**{r['pattern']}**" if r["lookalike"] else r["pattern"]
            ours, theirs = (
                [f"{r[f'{method} {level}']:.{digits}f}" for level in ("warn", "reauthenticate")]
                for method in (OURS, REFERENCE)
            )
            shares = [*ours, " / ".join(theirs), *(f"{r[f'{method} warn']:.{digits}f}" for method in PUBLISHED)]
            lines.append(f"| {name} | {r['keys']} | {' | '.join(f'{share} %' for share in shares)} |")
    return "\n".join(lines)


def _percent(counts: tuple[int, int]) -> float:
    return 100.0 * counts[0] / max(counts[1], 1)


def _beside(reference: float, found: Marks) -> str:
    return f"reference model {reference:.2f}; {found.marked} marked"

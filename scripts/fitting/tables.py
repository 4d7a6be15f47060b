"""A world's evidence as arrays, made once and kept in a folder: making a world takes a minute, reading it a second.

Every view of every subject is one row of ``values``; subject i has the rows ``starts[i]`` to ``starts[i + 1]``, the first of them
with nobody left out. ``without`` names the members left out in each row, 0 for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from blake3 import blake3

import fitting
import readings
import simulation
from daxa_registry import decision
from daxa_registry.decision.bound import bounded
from fitting.worlds import AnySpec, Judged, judge

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
EVIDENCE = [
    "breadth",
    "company",
    "evidence",
    "features",
    "graph",
    "overlap",
    "places",
    "rarity",
    "refusals",
    "rhythm",
    "travel",
]
"""The modules of ``decision`` that evidence comes from."""
OUTSIDE = ("operator-own", "lender-other", "invented")
"""Roles that are no part of the question: neither driven by a stranger nor innocent bystanders."""


@dataclass(slots=True)
class Table:
    """The subjects of one world."""

    values: npt.NDArray[np.float32]
    starts: Index
    without: npt.NDArray[np.int16]
    guilty: npt.NDArray[np.bool_]
    pattern: npt.NDArray[np.str_]
    role: npt.NDArray[np.str_]

    def decisive(self, scores: Array) -> Index:
        """For each subject the row that decides it, given every row's score (``decision.bound``)."""
        chosen = self.starts[:-1].copy()
        many = np.flatnonzero(np.diff(self.starts) > 1)
        for i in many.tolist():
            start, stop = int(self.starts[i]), int(self.starts[i + 1])
            names = [tuple(int(m) for m in row if m) for row in self.without[start:stop]]
            said = dict(zip(names, scores[start:stop].tolist(), strict=True))
            best = bounded(said, said.__getitem__)
            chosen[i] = start + names.index(best)
        return chosen


def table_of(judged: Judged) -> Table:
    """The arrays of a judged world."""
    values: list[tuple[float, ...]] = []
    without: list[tuple[int, ...]] = []
    starts = [0]
    for evidence in judged.evidence:
        for view in evidence.views:
            values.append(view.values)
            without.append((*view.without, 0, 0)[:2])
        starts.append(len(values))
    return Table(
        np.array(values, dtype=np.float32),
        np.array(starts),
        np.array(without, dtype=np.int16),
        judged.guilty,
        np.array(judged.pattern),
        np.array(judged.role),
    )


@cache
def _sources(world: str) -> bytes:
    """A digest of all code that a table of such a world comes from; how evidence is judged afterwards is no part of it."""
    sources = [Path(decision.__path__[0]) / f"{name}.py" for name in EVIDENCE]
    made = Path(readings.__path__[0] if world in readings.READINGS else simulation.__path__[0])
    sources += [made / "__init__.py", made / f"{world}.py"] if world in readings.READINGS else sorted(made.glob("*.py"))
    sources += [Path(fitting.__path__[0]) / name for name in ("graph.py", "tables.py", "worlds.py")]
    mixed = blake3()
    for source in sources:
        mixed.update(source.name.encode() + source.read_bytes())
    return mixed.digest()


def table(spec: AnySpec, folder: Path) -> Table:
    """The table of a world, from the folder where it is there: made by this very code for this very specification."""
    name = f"{spec.world}_{spec.seed}_{blake3(repr((spec, _sources(spec.world))).encode()).hexdigest()[:16]}"
    path = folder / f"{name}.npz"
    if path.is_file():
        with np.load(path) as kept:
            return Table(**{field: kept[field] for field in Table.__slots__})
    judged = judge(spec)
    assert isinstance(judged, Judged)
    made = table_of(judged)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{field: getattr(made, field) for field in Table.__slots__})
    return made

"""Fitting over many worlds: which rows are learnt from, which view of each subject decides, where the levels' thresholds lie.

A model is fitted first on the evidence as a whole, then on the view that decides each subject under that model: what is
learnt is what is used. Easy innocents are thinned out, and weigh the more; an ordinary customer who is marked costs more
than a look-alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daxa_registry.decision.features import Hypothesis
from fitting.additive import Array, Model, Penalties, Shape, fit
from fitting.tables import OUTSIDE, Table
from quality.measures import marks, recall_at
from simulation.patterns import LOOKALIKES

GUILTY_SHARE = 0.022
EASY = -7.0
KEPT_OF_EASY = 0.1
ORDINARY_WEIGHT = 4.0

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class World:
    """One world to learn from. ``name`` is its kind, ``weight`` is how much its subjects count."""

    name: str
    table: Table
    weight: float

    def asked(self) -> Flags:
        """The subjects that the question is about."""
        return ~np.isin(self.table.role, OUTSIDE)


def scores(model: Model, table: Table) -> Array:
    """The score of every view."""
    return model.score(table.values.astype(np.float64))


def bounded_scores(model: Model, table: Table) -> Array:
    """The score of every subject, as ``assess`` bounds it."""
    every = scores(model, table)
    return every[table.decisive(every)]


@dataclass(frozen=True, slots=True)
class Lesson:
    """The rows that one fit learns from."""

    values: Array
    guilty: Flags
    weight: Array

    def fitted(
        self,
        shapes: Mapping[Hypothesis, Sequence[Shape]],
        penalties: Penalties,
        start: Model | None,
        rounds: int,
    ) -> Model:
        """The model of these shapes that says most of these rows; ``start`` is a model of the same shapes."""
        return fit(shapes, self.values, self.guilty, self.weight, penalties, start, rounds)


def lesson(worlds: Sequence[World], model: Model | None, rng: np.random.Generator) -> Lesson:
    """The view of each subject that decides under the model, all of them where there is none yet; easy ones thinned out."""
    values, guilty, weights = [], [], []
    for world in worlds:
        table, asked = world.table, world.asked()
        rows = table.starts[:-1]
        lottery = rng.random(len(rows))
        hard = np.array(table.guilty)
        if model is not None:
            every = scores(model, table)
            rows = table.decisive(every)
            hard |= np.maximum(every[rows], every[table.starts[:-1]]) > EASY
        kept = asked & (hard | (lottery < KEPT_OF_EASY))
        share = table.guilty[asked].mean()
        prior = np.where(table.guilty, GUILTY_SHARE / share, (1 - GUILTY_SHARE) / (1 - share))
        values.append(table.values[rows[kept]])
        guilty.append(table.guilty[kept])
        cost = np.where(table.guilty | np.isin(table.pattern, LOOKALIKES), 1.0, ORDINARY_WEIGHT)
        cost = cost * np.where(hard, 1.0, 1 / KEPT_OF_EASY)
        weights.append((world.weight * prior * cost)[kept])
    return Lesson(np.concatenate(values).astype(np.float64), np.concatenate(guilty), np.concatenate(weights))


def learn(
    worlds: Sequence[World],
    shapes: Mapping[Hypothesis, Sequence[Shape]],
    penalties: Penalties,
    seed: int = 1,
) -> tuple[Model, Lesson]:
    """The fitted model, and what it learnt last. Three fits: all rows thinned blindly, the hard ones, their decisive views."""
    rng = np.random.default_rng(seed)
    model: Model | None = None
    for rounds in (80, 150, 60):
        last = lesson(worlds, model, rng)
        model = last.fitted(shapes, penalties, model, rounds)
    assert model is not None
    return model, last


def threshold(guilty: Flags, score: Array, precision: float) -> float:
    """The lowest score from which on that share of the marked are guilty."""
    order = np.argsort(-score, kind="stable")
    precise = np.flatnonzero(np.cumsum(guilty[order]) / np.arange(1, len(order) + 1) >= precision)
    return float(score[order[precise[-1]]]) if len(precise) else float(score.max())


def area(guilty: Flags, score: Array) -> float:
    """Average precision: the area under the precision-recall curve."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(guilty[order])
    precision = hits / np.arange(1, len(order) + 1)
    return float(precision[guilty[order]].sum() / max(int(guilty.sum()), 1))


def unseen(
    worlds: Sequence[World],
    judged: Sequence[World],
    names: Collection[str],
    penalties: Penalties,
    shapes: Mapping[Hypothesis, Sequence[Shape]],
) -> dict[int, Array]:
    """What each judged world of these names scores, by its place, by a model that learnt from no world of them: what is to be
    expected where traffic is of nobody's making here."""
    model, _ = learn([world for world in worlds if world.name not in names], shapes, penalties)
    return {
        place: bounded_scores(model, one.table)[one.asked()] for place, one in enumerate(judged) if one.name in names
    }


def told_apart(worlds: Sequence[World], scores: Sequence[Array]) -> dict[str, float]:
    """How well the scores tell the guilty of each world from the innocent: means over the worlds."""
    pairs = [(world.table.guilty[world.asked()], score) for world, score in zip(worlds, scores, strict=True)]
    row = {"area": round(float(np.mean([area(*one) for one in pairs])), 4)}
    for precision in (0.92, 0.985):
        row[f"at {precision}"] = round(float(np.mean([recall_at(*one, precision) for one in pairs])), 4)
    return row


def at_levels(worlds: Sequence[World], scores: Sequence[Array], levels: Mapping[str, float]) -> dict[str, list[float]]:
    """Precision and recall from WARN and from REAUTHENTICATE up, over all of the worlds together."""
    guilty = np.concatenate([world.table.guilty[world.asked()] for world in worlds])
    score = np.concatenate(scores)
    found = {name: marks(guilty, score >= levels[name]) for name in ("warn", "reauthenticate")}
    return {name: [round(one.precision, 4), round(one.recall, 4)] for name, one in found.items()}

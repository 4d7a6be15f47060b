"""An additive model of three hypotheses, fitted: curves over one feature, surfaces over two, all piecewise linear.

The score is the log-sum of the hypotheses' log-odds, and its logistic loss on truth is what is minimised, so the score is
calibrated log-odds. Each curve is a sum of ramps between knots; a ramp's weight has the sign that the feature's direction
allows. A surface is a sum of products of ramps with weights of either sign: a rare client stack that many share weighs less
than each alone. A ridge keeps weights small, dearer for surfaces, and rough curves cost more than smooth ones. Everything is
convex but the log-sum, and starts from zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from daxa_registry.decision.assess import SILENT
from daxa_registry.decision.features import FEATURES, INDEX, Direction, Hypothesis

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CurveShape:
    """A curve to be fitted."""

    feature: str
    knots: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SurfaceShape:
    """A surface to be fitted."""

    rows: str
    columns: str
    row_knots: tuple[float, ...]
    column_knots: tuple[float, ...]


Shape = CurveShape | SurfaceShape


def ramps(x: Array, knots: Sequence[float]) -> Array:
    """Rows by ramps: how far x has come from each knot to the next, 0..1."""
    t = np.asarray(knots, dtype=np.float64)
    out: Array = np.clip((x[:, None] - t[None, :-1]) / np.diff(t)[None, :], 0.0, 1.0)
    return out


def hats(x: Array, knots: Sequence[float]) -> Array:
    """Rows by knots: the weights of linear interpolation."""
    r = ramps(x, knots)
    out = np.empty((len(x), len(knots)))
    out[:, 0] = 1 - r[:, 0]
    out[:, 1:-1] = r[:, :-1] - r[:, 1:]
    out[:, -1] = r[:, -1]
    return out


def _suspicion(x: Array, feature: str, knots: Sequence[float]) -> Array:
    """Ramps that grow with suspicion; for a feature without direction, hats."""
    direction = FEATURES[INDEX[feature]].direction
    if direction is Direction.FREE:
        return hats(x, knots)
    r = ramps(x, knots)
    return r if direction is Direction.UP else 1 - r


@dataclass(slots=True)
class Block:
    """The columns of one shape in the design of its hypothesis."""

    shape: Shape
    start: int
    stop: int


@dataclass(slots=True)
class Design:
    """One hypothesis: its shapes, and which columns are theirs. Column 0 is the prior."""

    hypothesis: Hypothesis
    blocks: list[Block] = field(default_factory=list)
    low: list[float] = field(default_factory=lambda: [-14.0])
    high: list[float] = field(default_factory=lambda: [0.0])

    @classmethod
    def of(cls, hypothesis: Hypothesis, shapes: Sequence[Shape]) -> Design:
        design = cls(hypothesis)
        for shape in shapes:
            start = len(design.low)
            if isinstance(shape, CurveShape):
                feature = FEATURES[INDEX[shape.feature]]
                # What another hypothesis is about may speak for this one or against it.
                direction = feature.direction if feature.hypothesis is hypothesis else Direction.FREE
                count = len(shape.knots) - 1
                design.low += [0.0 if direction is Direction.UP else -8.0] * count
                design.high += [0.0 if direction is Direction.DOWN else 8.0] * count
            else:
                count = _width(shape.rows, shape.row_knots) * _width(shape.columns, shape.column_knots)
                design.low += [-8.0] * count
                design.high += [8.0] * count
            design.blocks.append(Block(shape, start, len(design.low)))
        return design

    def matrix(self, values: Array) -> npt.NDArray[np.float32]:
        """The design of these evidence values (rows by ``FEATURES``)."""
        out = np.empty((len(values), len(self.low)), dtype=np.float32)
        out[:, 0] = 1
        for block in self.blocks:
            out[:, block.start : block.stop] = _columns(block.shape, values)
        return out


def _width(feature: str, knots: Sequence[float]) -> int:
    free = FEATURES[INDEX[feature]].direction is Direction.FREE
    return len(knots) if free else len(knots) - 1


def _columns(shape: Shape, values: Array) -> Array:
    if isinstance(shape, CurveShape):
        return ramps(values[:, INDEX[shape.feature]], shape.knots)
    a = _suspicion(values[:, INDEX[shape.rows]], shape.rows, shape.row_knots)
    b = _suspicion(values[:, INDEX[shape.columns]], shape.columns, shape.column_knots)
    return (a[:, :, None] * b[:, None, :]).reshape(len(values), -1)


@dataclass(slots=True)
class Model:
    """Fitted weights of all hypotheses."""

    designs: dict[Hypothesis, Design]
    weights: dict[Hypothesis, Array]

    def log_odds(self, values: Array) -> Array:
        """Rows by hypotheses."""
        out = np.empty((len(values), len(Hypothesis)))
        for i, hypothesis in enumerate(Hypothesis):
            out[:, i] = self.designs[hypothesis].matrix(values) @ self.weights[hypothesis]
            out[silent(values, hypothesis), i] = SILENT
        return out

    def score(self, values: Array) -> Array:
        """One score per row."""
        return log_sum(self.log_odds(values))


def restricted(model: Model, shapes: Mapping[Hypothesis, Sequence[Shape]]) -> Model:
    """The model with the weights of these shapes alone, which must be shapes of it: where a fit without the others starts."""
    designs = {h: Design.of(h, shapes[h]) for h in Hypothesis}
    weights: dict[Hypothesis, Array] = {}
    for h, design in designs.items():
        known = {block.shape: model.weights[h][block.start : block.stop] for block in model.designs[h].blocks}
        weights[h] = np.concatenate([model.weights[h][:1], *(known[block.shape] for block in design.blocks)])
    return Model(designs, weights)


def silent(values: Array, hypothesis: Hypothesis) -> npt.NDArray[np.bool_]:
    """Where a hypothesis does not speak at all, as in ``assess``."""
    name, least = {
        Hypothesis.OPERATOR: ("people", 2.0),
        Hypothesis.PARTIES: ("networks", 2.0),
        Hypothesis.LEAK: ("breadth", 1.0),
    }[hypothesis]
    out: npt.NDArray[np.bool_] = values[:, INDEX[name]] < least
    return out


def log_sum(odds: Array) -> Array:
    """The logarithm of summed odds, by row."""
    top = odds.max(axis=1)
    out: Array = top + np.log(np.exp(odds - top[:, None]).sum(axis=1))
    return out


@dataclass(frozen=True, slots=True)
class Penalty:
    """How much large and how much rough weights cost, per ramp, and surfaces on top."""

    ridge: float = 1.0
    rough: float = 2.0
    surface: float = 3.0


Penalties = Mapping[Hypothesis, Penalty]


def fit(
    shapes: Mapping[Hypothesis, Sequence[Shape]],
    values: Array,
    guilty: npt.NDArray[np.bool_],
    weight: Array,
    penalties: Penalties,
    start: Model | None = None,
    rounds: int = 250,
) -> Model:
    """Minimises the weighted logistic loss of the summed score plus the penalty."""
    designs = {h: Design.of(h, shapes[h]) for h in Hypothesis}
    quiet = {h: silent(values, h) for h in Hypothesis}
    rows = {h: np.flatnonzero(~quiet[h]) for h in Hypothesis}
    tables = {h: designs[h].matrix(values[rows[h]]) for h in Hypothesis}
    sizes = [len(designs[h].low) for h in Hypothesis]
    cuts = np.cumsum([0, *sizes])
    y = guilty.astype(np.float64)
    initial = np.zeros(cuts[-1])
    for i, h in enumerate(Hypothesis):
        initial[cuts[i]] = -4.0
        if start is not None:
            initial[cuts[i] : cuts[i + 1]] = start.weights[h]
    quadratic = [_penalty_matrix(designs[h], penalties[h]) for h in Hypothesis]

    def loss(w: Array) -> tuple[float, Array]:
        odds = np.full((len(values), len(sizes)), SILENT)
        for i, h in enumerate(Hypothesis):
            odds[rows[h], i] = tables[h] @ w[cuts[i] : cuts[i + 1]].astype(np.float32)
        s = log_sum(odds)
        value = float((weight * (np.logaddexp(0, s) - y * s)).sum())
        slope = weight * (1 / (1 + np.exp(-s)) - y)
        gradient = np.empty_like(w)
        for i, h in enumerate(Hypothesis):
            part = w[cuts[i] : cuts[i + 1]]
            portion = slope[rows[h]] * np.exp(odds[rows[h], i] - s[rows[h]])
            gradient[cuts[i] : cuts[i + 1]] = tables[h].T @ portion.astype(np.float32)
            pulled = quadratic[i] @ part
            value += 0.5 * float(part @ pulled)
            gradient[cuts[i] : cuts[i + 1]] += pulled
        return value, gradient

    bounds = [one for design in designs.values() for one in zip(design.low, design.high, strict=True)]
    found = minimize(
        loss, initial, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": rounds, "maxcor": 20}
    )
    return Model(designs, {h: found.x[cuts[i] : cuts[i + 1]] for i, h in enumerate(Hypothesis)})


def _penalty_matrix(design: Design, penalty: Penalty) -> Array:
    size = len(design.low)
    out = np.zeros((size, size))
    for block in design.blocks:
        count = block.stop - block.start
        if isinstance(block.shape, SurfaceShape):
            out[block.start : block.stop, block.start : block.stop] = penalty.surface * np.eye(count)
            continue
        differences = np.zeros((max(count - 1, 0), count))
        for i in range(count - 1):
            differences[i, i], differences[i, i + 1] = -1.0, 1.0
        out[block.start : block.stop, block.start : block.stop] = (
            penalty.ridge * np.eye(count) + penalty.rough * differences.T @ differences
        )
    return out

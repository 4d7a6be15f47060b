"""Fitted weights as a policy's TOML, each term with what its feature means; what adds nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from daxa_registry.decision.features import FEATURES, INDEX, Direction, Hypothesis
from daxa_registry.decision.policy import MAX_NATS
from fitting.additive import Array, Block, CurveShape, Model, SurfaceShape

LEAST = 0.1
"""Nats: a term that never adds or takes away as much is not worth a reader's time."""
CONFIRMED = 0.75
"""Nats above REVOKE from which a leak is confirmed: what goes there without grace and stays takes more than a few refusals at an
address where nobody is let in yet, which may be a service's that moved."""
QUESTIONS = {
    Hypothesis.OPERATOR: "One operator drives the keys of many people.",
    Hypothesis.PARTIES: "One key is used by many parties.",
    Hypothesis.LEAK: "The key leaked and is being tried.",
}


HALF_LIFE_DAYS = {Hypothesis.OPERATOR: 30, Hypothesis.PARTIES: 30, Hypothesis.LEAK: 60}


def policy_text(model: Model, levels: Mapping[str, float], version: str, before: str) -> str:
    """The whole policy; the ladder stays as it stands in the policy ``before``."""
    ladder = before[before.index("# The verdict's life") : before.index("[operator]")]
    ladder = ladder[: ladder.rindex("\n#")] if "\n# One operator" in ladder else ladder
    head = [
        "# The default policy. scripts/fit makes all of it but [ladder], from simulated markets whose truth is known.",
        "# A score is log-odds in nats: the prior plus what each term adds; the three hypotheses' odds are added up.",
        "# A term is a curve over one feature of the evidence (straight lines between its knots, level beyond them); a pair is",
        "# a surface over two, which corrects what their curves add. docs/quality.md has what each is worth.",
        "schema = 1",
        f'version = "{version}"',
        "",
        "# The score from which each level is supported.",
        "[levels]",
        *(f"{name} = {least:.2f}" for name, least in levels.items()),
        "",
        "[bounds]",
        f"leak_confirmed = {levels['revoke'] + CONFIRMED:.2f}  # a leak of this score goes to REVOKE at once, and stays there",
        "",
    ]
    return "\n".join([*head, ladder.rstrip(), "", *terms(model, HALF_LIFE_DAYS)]).rstrip() + "\n"


def curve_values(block: Block, weights: Array) -> Array:
    """Nats at each knot; the first is 0."""
    return np.concatenate(([0.0], np.cumsum(weights[block.start : block.stop])))


def surface_values(shape: SurfaceShape, block: Block, weights: Array) -> Array:
    """Nats at each pair of knots."""
    rows, columns = _corners(shape.rows, shape.row_knots), _corners(shape.columns, shape.column_knots)
    return rows @ weights[block.start : block.stop].reshape(rows.shape[1], columns.shape[1]) @ columns.T


def _corners(feature: str, knots: Sequence[float]) -> Array:
    """What each column of the design is at each knot."""
    count = len(knots)
    direction = FEATURES[INDEX[feature]].direction
    if direction is Direction.FREE:
        return np.eye(count)
    done = np.tril(np.ones((count, count - 1)), -1)
    return done if direction is Direction.UP else 1 - done


def terms(model: Model, half_lives: Mapping[Hypothesis, int]) -> Iterator[str]:
    """The policy's three tables of weights, line by line."""
    for hypothesis in Hypothesis:
        design, weights = model.designs[hypothesis], model.weights[hypothesis]
        yield f"# {QUESTIONS[hypothesis]}"
        yield f"[{hypothesis.value}]"
        yield f"prior = {weights[0]:.3f}"
        yield f"half_life_days = {half_lives[hypothesis]}"
        for block in design.blocks:
            shape = block.shape
            if isinstance(shape, CurveShape):
                values = np.clip(curve_values(block, weights), -MAX_NATS, MAX_NATS)
                if np.abs(values).max() < LEAST:
                    continue
                yield ""
                yield f"# {FEATURES[INDEX[shape.feature]].meaning}"
                yield f"[[{hypothesis.value}.term]]"
                yield f'code = "{shape.feature.upper()}"'
                yield f'feature = "{shape.feature}"'
                yield f"knots = {_numbers(shape.knots)}"
                yield f"values = {_numbers(values)}"
            else:
                grid = np.clip(surface_values(shape, block, weights), -MAX_NATS, MAX_NATS)
                if np.abs(grid).max() < LEAST:
                    continue
                yield ""
                yield f"# both at once: {shape.rows} by row, {shape.columns} by column"
                yield f"[[{hypothesis.value}.pair]]"
                yield f'code = "{shape.rows.upper()}_AND_{shape.columns.upper()}"'
                yield f'features = ["{shape.rows}", "{shape.columns}"]'
                yield f"rows = {_numbers(shape.row_knots)}"
                yield f"columns = {_numbers(shape.column_knots)}"
                yield "values = ["
                for line in grid:
                    yield f"  {_numbers(line)},"
                yield "]"
        yield ""


def _numbers(values: Sequence[float] | Array) -> str:
    return "[" + ", ".join(f"{round(float(value), 3) + 0.0:g}" for value in values) + "]"

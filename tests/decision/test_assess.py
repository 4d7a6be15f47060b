"""Scoring: what is made ready for speed says what the policy says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daxa_registry.decision.assess import HYPOTHESES, _judges
from daxa_registry.decision.features import FEATURES
from daxa_registry.decision.policy import default_policy

POLICY = default_policy()
KNOTS = sorted(
    {knot for weights in POLICY.weights.values() for curve in weights.curves for knot in curve.knots}
    | {knot for weights in POLICY.weights.values() for pair in weights.surfaces for knot in pair.rows + pair.columns}
)


@given(st.lists(st.sampled_from(KNOTS) | st.floats(-10, 1_000), min_size=len(FEATURES), max_size=len(FEATURES)))
def test_each_term_is_to_the_bit_what_its_curve_or_pair_says(values: list[float]) -> None:
    """At, between, below and above the knots: an assessment never says other than the policy's own terms."""
    for hypothesis, judge in zip(HYPOTHESES, _judges(POLICY), strict=True):
        weights = POLICY.weights[hypothesis]
        expected = [curve(values[curve.feature]) for curve in weights.curves]
        expected += [pair(values[pair.features[0]], values[pair.features[1]]) for pair in weights.surfaces]
        assert judge.terms(tuple(values)) == expected
        assert len(judge.codes) == len(expected)

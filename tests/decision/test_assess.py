"""Scoring: what is made ready for speed says what the policy says, and addresses alone never pass MONITOR."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from daxa_core.model import Level
from daxa_registry.decision.assess import HYPOTHESES, _judges, all_heard, assess
from daxa_registry.decision.evidence import Evidence, View
from daxa_registry.decision.features import FEATURES, INDEX, Hypothesis
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


ADDRESSES_ONLY = {
    "lockstep": st.floats(-3, 0), "partners": st.just(0.0), "partner_share": st.just(0.0), "same_stack": st.just(0.0),
    "stack_people": st.just(0.0), "declared": st.just(0.0), "rarity": st.just(0.0), "stacks": st.just(1.0),
    "parties": st.just(1.0), "crosswise": st.just(0.0), "hosts": st.just(0.0), "breadth": st.just(0.0),
}  # fmt: skip
ANYTHING = st.tuples(*(st.floats(0, 1) | st.floats(0, 300) for _ in FEATURES))
WHATEVER = st.tuples(*(ADDRESSES_ONLY.get(f.name, st.floats(0, 1) | st.floats(0, 300)) for f in FEATURES))


@given(WHATEVER)
def test_addresses_alone_never_pass_monitor_and_the_terms_add_up(values: tuple[float, ...]) -> None:
    """Neither who else was on them nor how many of them a key was seen on, nor both: with no client stack known or one, no hours
    kept together, no allow-list in common and nobody else's key that runs with it."""
    said = assess(Evidence(0, 0, 10, 10, 10, (View((), values),)), POLICY, 36_000)
    assert said.level <= Level.MONITOR
    assert abs(sum(term.contribution for term in said.terms) - said.score) < 1e-9


def test_it_is_the_second_client_stack_that_lets_a_key_on_many_networks_pass_monitor() -> None:
    """What is held at MONITOR for want of anything but addresses, however sure the policy, is above with more stacks than one."""
    values = [0.0] * len(FEATURES)
    values[INDEX["people"]] = values[INDEX["crowd"]] = values[INDEX["alone"]] = 1.0
    for feature, number in {
        "networks": 8,
        "diversity": 7,
        "interleaving": 7,
        "concurrency": 0.6,
        "crossfire": 0.5,
    }.items():
        values[INDEX[feature]] = float(number)
    parties = POLICY.weights[Hypothesis.PARTIES]
    sure = replace(POLICY, weights={**POLICY.weights, Hypothesis.PARTIES: replace(parties, prior=parties.prior + 6)})
    levels = []
    for stacks in (1.0, 8.0):
        values[INDEX["stacks"]] = values[INDEX["parties"]] = stacks
        values[INDEX["crosswise"]] = 0.6 * (stacks > 1)
        said = assess(Evidence(0, 0, 10, 10, 10, (View((), tuple(values)),)), sure, 36_000)
        held = "ADDRESS_ONLY" in {term.code for term in said.terms}
        levels.append((said.level, held))
    assert levels[0] == (Level.MONITOR, True)
    assert levels[1][0] >= Level.WARN
    assert not levels[1][1]


@given(ANYTHING, WHATEVER | ANYTHING)
def test_what_one_member_alone_says_moves_a_score_within_its_level_and_never_down(
    whole: tuple[float, ...], without: tuple[float, ...]
) -> None:
    """Told with everything that was said, a score is at least what stands without any one member, supports the same level, and is
    explained to the last nat."""
    evidence = Evidence(0, 0, 10, 10, 10, (View((), whole), View((2,), without)))
    stands = assess(evidence, POLICY, 36_000)
    told = all_heard(stands, evidence, POLICY, 36_000)
    assert told.score >= stands.score
    assert POLICY.levels.of(told.score) is stands.level is told.level
    assert math.isclose(sum(term.contribution for term in told.terms), told.score, abs_tol=1e-9)


def test_a_ring_that_one_member_alone_reports_is_sorted_above_who_has_no_company_at_all() -> None:
    """Its level is what stands without that member; its score says that there is more."""
    ring = [0.0] * len(FEATURES)
    for feature, number in {"people": 12, "crowd": 12, "lockstep": 4, "concord": 0.9, "same_stack": 1, "stack_people": 11,
                            "surprise": 40, "partners": 11, "partner_share": 1, "share": 1}.items():  # fmt: skip
        ring[INDEX[feature]] = float(number)
    alone = (0.0,) * len(FEATURES)
    evidence = Evidence(0, 0, 10, 10, 10, (View((), tuple(ring)), View((2,), alone)))
    stands = assess(evidence, POLICY, 36_000)
    assert stands.level is Level.CLEAR
    told = all_heard(stands, evidence, POLICY, 36_000)
    assert told.level is Level.CLEAR
    assert told.score > stands.score + 1
    assert "ONE_MEMBER_ALONE" in {term.code for term in told.terms}

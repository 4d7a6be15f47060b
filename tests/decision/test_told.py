"""What a member is told says no more of a count than its bucket."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from daxa_core.codec import encode_verdict
from daxa_core.model import Cause, Level, Scope
from daxa_registry.decision.assess import _COUNTED, Assessment, assess
from daxa_registry.decision.evidence import NOT_LOOKED_AT, Evidence, View
from daxa_registry.decision.features import FEATURES
from daxa_registry.decision.ladder import State
from daxa_registry.decision.leaked import NOTHING, Beside, Claim, with_beside
from daxa_registry.decision.policy import default_policy
from daxa_registry.decision.told import COUNTS, as_told
from daxa_registry.service.matching import reasons_of, verdict_of
from daxa_registry.store.interface import Standing

POLICY = default_policy()
HOUR = 500_000
NOW = HOUR * 3_600
BUCKETS = ((2, 4), (5, 9), (10, 49), (50, 400))


def evidence(values: dict[str, float], without: dict[str, float] | None = None) -> Evidence:
    """Evidence with those features, and those where one foreign member is left out."""
    views = [View((), tuple(values.get(feature.name, 0.0) for feature in FEATURES))]
    if without is not None:
        views.append(View((2,), tuple(without.get(feature.name, 0.0) for feature in FEATURES)))
    return Evidence(0, 0, HOUR, HOUR, HOUR, tuple(views))


def decided(found: Evidence, said: Beside = NOTHING) -> Assessment:
    return with_beside(assess(found, POLICY, NOW), said, POLICY, NOW)


def told(found: Evidence, said: Beside = NOTHING) -> Assessment:
    return as_told(decided(found, said), found, said, POLICY, NOW)


def shipped(found: Evidence) -> bytes:
    """A verdict as it is signed, but for what the evidence is committed to with."""
    state = State(level=Level.WARN, since=NOW, scope=Scope.TELL_HOLDER)
    standing = Standing(1, 1, b"k" * 32, Level.WARN, 1)
    return encode_verdict(verdict_of(standing, 1, NOT_LOOKED_AT, told(found), state, Cause.SUPPORTED, POLICY, NOW))


measured = st.fixed_dictionaries(
    {
        feature.name: st.floats(-1, 4, allow_nan=False).map(lambda x: round(x, 6))
        for feature in FEATURES
        if feature.name not in COUNTS
    }
)


@st.composite
def twins(draw: Callable[..., object]) -> tuple[dict[str, float], dict[str, float]]:
    """Two sets of features that differ in counts within their buckets alone."""
    one: dict[str, float] = dict(draw(measured))  # type: ignore[call-overload]
    other = dict(one)
    for name in COUNTS:
        low, high = draw(st.sampled_from(BUCKETS))  # type: ignore[misc]
        one[name], other[name] = (float(draw(st.integers(low, high))) for _ in range(2))  # type: ignore[arg-type]
    return one, other


@given(twins(), twins())
def test_counts_of_the_same_buckets_give_the_same_bytes(
    whole: tuple[dict[str, float], dict[str, float]], without: tuple[dict[str, float], dict[str, float]]
) -> None:
    """Of every feature that counts, in every view: as long as the exact numbers support the same level."""
    one, other = evidence(whole[0], without[0]), evidence(whole[1], without[1])
    assume(POLICY.levels.of(decided(one).score) is POLICY.levels.of(decided(other).score))
    assert shipped(one) == shipped(other)


def test_every_feature_whose_number_is_told_is_a_count() -> None:
    """So that none is told in a bucket and weighed exactly."""
    assert {FEATURES[feature].name for feature in _COUNTED} <= COUNTS


RING = {
    "people": 6.0,
    "crowd": 6.0,
    "lockstep": 1.3,
    "concord": 0.42,
    "partners": 5.0,
    "same_stack": 3 / 7,
    "alone": 0.1,
}


def test_a_count_that_the_exact_reasons_give_away_is_not_given_away() -> None:
    """Five and nine people weigh differently; and a share of three in seven is told as one of two in five."""
    nine = RING | {"people": 9.0, "crowd": 9.0}
    assert reasons_of(decided(evidence(RING))) != reasons_of(decided(evidence(nine)))
    assert reasons_of(told(evidence(RING))) == reasons_of(told(evidence(nine)))
    fifths = RING | {"same_stack": 2 / 5}
    assert reasons_of(decided(evidence(RING))) != reasons_of(decided(evidence(fifths)))
    assert reasons_of(told(evidence(RING))) == reasons_of(told(evidence(fifths)))


@pytest.mark.parametrize("said", [NOTHING, Beside(Claim.UNVERIFIED), Beside(None, 5, HOUR), Beside(Claim.VERIFIED)])
@given(pair=twins())
def test_the_score_told_supports_the_level_that_the_exact_one_does_and_is_the_sum_of_its_reasons(
    said: Beside, pair: tuple[dict[str, float], dict[str, float]]
) -> None:
    """So that no member is told a level that its own reasons speak against."""
    exact, known = decided(evidence(pair[0]), said), told(evidence(pair[0]), said)
    assert POLICY.levels.of(known.score) is POLICY.levels.of(exact.score)
    assert math.isclose(sum(term.contribution for term in known.terms), known.score, abs_tol=1e-9)
    assert list(known.terms) == sorted(known.terms, key=lambda term: (-term.contribution, term.code))


def test_evidence_that_says_nothing_is_told_as_it_is() -> None:
    """As many keys of a leak are told at once: nothing is worked out twice."""
    exact = decided(NOT_LOOKED_AT, Beside(Claim.VERIFIED))
    assert as_told(exact, NOT_LOOKED_AT, Beside(Claim.VERIFIED), POLICY, NOW) is exact

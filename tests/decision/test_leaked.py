"""What leaks say of a key: how far each claim may go, and that it replays."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core.errors import InvalidInput
from daxa_core.model import Act, Cause, Level
from daxa_registry.decision.assess import Assessment, Term
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import Leaks
from daxa_registry.decision.ladder import START, State, step
from daxa_registry.decision.leaked import SLIPS, Beside, Claim, attach, claim_of, detach, with_beside, with_claim
from daxa_registry.decision.policy import default_policy

POLICY = default_policy()
HOME, OTHER, THIRD = 1, 2, 3
NOW = 1_790_000_000
QUIET = Assessment(-9.0, Level.CLEAR, Hypothesis.OPERATOR, (Term("NOTHING_SHARED", -9.0),))
NUMBERS = st.integers(0, 2**32 - 1)
scores = st.floats(-20, 20)


def said(score: float, hypothesis: Hypothesis = Hypothesis.OPERATOR) -> Assessment:
    return Assessment(score, POLICY.levels.of(score), hypothesis, (Term("X", score),), seen_hour=NOW // 3_600)


@pytest.mark.parametrize(
    ("verified", "reporters", "claim"),
    [
        (True, {OTHER}, Claim.VERIFIED),
        (False, {0}, Claim.UNVERIFIED),
        (False, {HOME}, Claim.UNVERIFIED),
        (False, {OTHER, THIRD}, Claim.UNVERIFIED),
        (False, {OTHER}, Claim.ONE_MEMBER),
    ],
)
def test_a_claim_counts_by_who_makes_it(verified: bool, reporters: set[int], claim: Claim) -> None:
    """One other member alone counts least; operators, the key's own exchange and two others count alike."""
    assert claim_of(HOME, Leaks(verified, frozenset(reporters))) is claim


@given(scores, st.sampled_from(list(Hypothesis)), st.sampled_from(list(Claim)))
def test_a_claim_never_lowers_and_the_terms_add_up(score: float, hypothesis: Hypothesis, claim: Claim) -> None:
    """And it lifts no further than it may."""
    before = said(score, hypothesis)
    after = with_claim(before, claim, POLICY)
    assert after.score >= before.score
    assert after.level >= before.level
    assert math.isclose(sum(term.contribution for term in after.terms), after.score, abs_tol=1e-9)
    most = {Claim.ONE_MEMBER: Level.MONITOR, Claim.UNVERIFIED: Level.WARN, Claim.VERIFIED: Level.REVOKE}[claim]
    assert after.level == max(before.level, most)


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from([None, None, *Act])), max_size=40))
def test_an_unverified_leak_alone_never_passes_warn(life: list[tuple[int, Act | None]]) -> None:
    """However long, and whatever the exchange reports: nobody goes on because of a dump."""
    for claim, most in ((Claim.UNVERIFIED, Level.WARN), (Claim.ONE_MEMBER, Level.MONITOR)):
        state, now = START, NOW
        for hours, act in life:
            now += hours * 3_600
            state = step(state, with_claim(QUIET, claim, POLICY), act, POLICY, now)
            if state.moved_by is Cause.ENFORCED:
                break  # the exchange itself revoked the key
            assert state.level <= most


@given(st.sampled_from([None, *Act]), st.integers(0, 1_000))
def test_a_verified_leak_skips_the_grace(act: Act | None, hours: int) -> None:
    """From any level, at once, with everything restricted: unless the exchange judged this very leak false."""
    state = step(START, said(POLICY.levels.monitor + 0.1), None, POLICY, NOW)
    if act not in (None, Act.JUDGED_FALSE):
        state = step(state, said(POLICY.levels.monitor + 0.1), act, POLICY, NOW)
    state = step(state, with_claim(QUIET, Claim.VERIFIED, POLICY), None, POLICY, NOW + hours * 3_600)
    assert state.level is Level.REVOKE
    assert state.moved_by in (Cause.LEAK, Cause.ENFORCED)
    judged = step(state, with_claim(QUIET, Claim.VERIFIED, POLICY), Act.JUDGED_FALSE, POLICY, NOW + hours * 3_600)
    again = step(judged, with_claim(QUIET, Claim.VERIFIED, POLICY), None, POLICY, NOW + hours * 3_600 + 1)
    assert again.level is Level.CLEAR


def test_what_failed_attempts_were_judged_does_not_hide_a_verified_leak() -> None:
    """A pardon for the noise of a prober is no pardon for the dump that is found later."""
    tried = said(POLICY.leak_confirmed, Hypothesis.LEAK)
    state: State = step(START, tried, None, POLICY, NOW)
    state = step(state, tried, Act.JUDGED_FALSE, POLICY, NOW)
    assert step(state, with_claim(QUIET, Claim.VERIFIED, POLICY), None, POLICY, NOW).level is Level.REVOKE


@given(
    st.builds(Beside, st.sampled_from([None, *Claim]), NUMBERS, NUMBERS)
    | st.builds(
        Beside, st.sampled_from([None, *Claim]), NUMBERS, NUMBERS, st.booleans(), st.integers(1, 2**32 - 1), NUMBERS
    ),
    st.binary(max_size=40).filter(lambda data: not data.startswith(b"\xff")),
)
def test_what_a_verdict_rested_on_comes_apart_as_it_was_put_together(said: Beside, evidence: bytes) -> None:
    """Evidence from before there were leaks reads as it did."""
    assert detach(attach(said, evidence)) == (said, evidence)


@pytest.mark.parametrize("data", [b"\xff", b"\xff\x00x", b"\xff\x09" + bytes(8), b"\xff\x40" + bytes(15)])
def test_what_was_not_put_together_so_is_refused(data: bytes) -> None:
    """It names the field."""
    with pytest.raises(InvalidInput) as caught:
        detach(data)
    assert caught.value.field == "evidence.beside"


@given(scores, st.integers(0, 100), st.integers(0, 2_000))
def test_being_presented_elsewhere_watches_and_no_more(score: float, times: int, hours_ago: int) -> None:
    """From the second time on, for as long as a verdict holds; it never lowers, and the terms add up."""
    hour = NOW // 3_600 - hours_ago
    before = said(score)
    after = with_beside(before, Beside(None, times, hour if times else 0), POLICY, NOW)
    lifted = times >= SLIPS and hours_ago <= POLICY.ladder.valid_hours
    assert after.level == (max(before.level, Level.MONITOR) if lifted else before.level)
    assert math.isclose(sum(term.contribution for term in after.terms), after.score, abs_tol=1e-9)
    told = [term for term in after.terms if term.code == "PRESENTED_ELSEWHERE"]
    assert [(term.number, term.hour) for term in told] == ([(times, hour)] if times else [])


def test_what_was_stored_before_lists_were_known_reads_as_it_did() -> None:
    """Eight bytes after the claim, and twice is no slip."""
    stored = bytes([0xFF, Claim.UNVERIFIED, 0, 0, 0, 2, 0, 0, 3, 0]) + b"evidence"
    found, rest = detach(stored)
    assert (found, rest) == (Beside(Claim.UNVERIFIED, 2, 768), b"evidence")
    assert attach(found, rest) == stored
    assert with_beside(QUIET, Beside(None, 2, NOW // 3_600), POLICY, NOW).level is Level.MONITOR


@given(scores, st.integers(1, 9), st.booleans(), st.integers(5, 99), st.integers(0, 2_000))
def test_being_tried_with_many_watches_from_the_first_time_and_no_more(
    score: float, times: int, slip: bool, tried: int, hours_ago: int
) -> None:
    """With a reason of its own, for as long as a verdict holds; it never lowers, and the terms add up."""
    hour = NOW // 3_600 - hours_ago
    before = said(score)
    after = with_beside(before, Beside(None, times, hour, slip, tried, hour), POLICY, NOW)
    lifted = hours_ago <= POLICY.ladder.valid_hours
    assert after.level == (max(before.level, Level.MONITOR) if lifted else before.level)
    assert math.isclose(sum(term.contribution for term in after.terms), after.score, abs_tol=1e-9)
    [term] = [term for term in after.terms if term.code == "TRIED_WITH_MANY"]
    assert (term.number, term.hour) == (tried, hour)
    assert not [term for term in after.terms if term.code == "PRESENTED_ELSEWHERE" and term.contribution]


def test_what_may_be_a_slip_is_told_and_watches_nobody() -> None:
    """However often a program tried again."""
    after = with_beside(QUIET, Beside(None, 50, NOW // 3_600, slip=True), POLICY, NOW)
    assert after.level is Level.CLEAR
    assert ("PRESENTED_ELSEWHERE", 50) in [(term.code, term.number) for term in after.terms]

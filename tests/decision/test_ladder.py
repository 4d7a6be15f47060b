"""The life of a verdict: the table of what may follow what, and properties of any life."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_core.errors import InvalidInput
from daxa_core.model import SECONDS_PER_HOUR, Act, Cause, Level, Scope
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.ladder import SCOPES, START, TAKEN_BACK, TRANSITIONS, State, change, due, step, supported
from daxa_registry.decision.policy import default_policy

POLICY = default_policy()
LEVELS = POLICY.levels
HOUR = SECONDS_PER_HOUR
DAY = 24 * HOUR
NOW = 500_000 * HOUR
CLEAR, MONITOR, WARN, REAUTHENTICATE, REVOKE = Level
SCORES = {
    CLEAR: LEVELS.monitor - 2,
    MONITOR: LEVELS.monitor + 0.1,
    WARN: LEVELS.warn + 0.1,
    REAUTHENTICATE: LEVELS.reauthenticate + 0.1,
    REVOKE: LEVELS.revoke + 0.1,
}


def says(
    level: Level, hypothesis: Hypothesis = Hypothesis.OPERATOR, seen: int = NOW, score: float | None = None
) -> Assessment:
    """Evidence that supports a level, last seen at a time."""
    value = SCORES[level] if score is None else score
    return Assessment(value, LEVELS.of(value), hypothesis, (), seen // HOUR)


def at(level: Level, evidence: Level | None = None, since: int = NOW) -> State:
    """A state that stands at a level by evidence, reached step by step at the end of each one's time."""
    state, now = START, since - 1_000 * DAY
    while state.level < level:
        now = max(now + 1, state.deadline, state.since + 30 * DAY)
        state = step(state, says(evidence or level), None, POLICY, now)
    shift = since - state.since
    moved = {"since": since, "valid_until": state.valid_until + shift}
    return replace(state, **moved, deadline=state.deadline + shift if state.deadline else 0)


def after(state: State, assessment: Assessment, seconds: int = 0, act: Act | None = None) -> State:
    return step(state, assessment, act, POLICY, NOW + seconds)


# what may follow what


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("cause", [c for c in Cause if c not in (Cause.NONE, Cause.TOLD, Cause.TIME)])
def test_the_table_says_where_each_cause_leads(level: Level, cause: Cause) -> None:
    """Rising is by one step but for a leak and a revocation; falling, correcting and proving never rise."""
    target = TRANSITIONS.get((level, cause))
    expected: dict[Cause, Level | None] = {
        Cause.SUPPORTED: Level(level + 1) if level < REVOKE else None,
        Cause.WENT_ON: Level(level + 1) if level in (WARN, REAUTHENTICATE) else None,
        Cause.LEAK: REVOKE,
        Cause.FELL: CLEAR if level else None,
        Cause.PROVED: MONITOR if level > MONITOR else None,
        Cause.ENFORCED: REVOKE if level else None,
        Cause.CORRECTED: CLEAR if level else None,
    }
    assert target == expected[cause]


@pytest.mark.parametrize(
    ("level", "hours"),
    [(MONITOR, 24), (WARN, 72), (REAUTHENTICATE, 24)],
)
def test_a_level_rises_when_its_time_is_over_and_not_a_second_before(level: Level, hours: int) -> None:
    """Evidence for REVOKE waits for each step, and then takes one."""
    state = at(level, REVOKE)
    assert after(state, says(REVOKE), hours * HOUR - 1).level is level
    risen = after(state, says(REVOKE), hours * HOUR)
    assert risen.level is Level(level + 1)
    assert (risen.since, risen.moved_by) == (NOW + hours * HOUR, Cause.SUPPORTED)
    assert after(risen, says(REVOKE), hours * HOUR + 1).level is risen.level


def test_the_first_step_is_at_once() -> None:
    """MONITOR restricts nothing, so nobody waits for it."""
    state = after(START, says(REVOKE))
    assert (state.level, state.scope, state.deadline) == (MONITOR, Scope.WATCH, 0)


@pytest.mark.parametrize("level", list(Level))
def test_a_confirmed_leak_goes_to_revoke_at_once_and_restricts_everything(level: Level) -> None:
    """From anywhere, without grace; also from REVOKE with time to wind down left, which ends."""
    leak = says(REVOKE, Hypothesis.LEAK, score=POLICY.leak_confirmed)
    state = after(at(level), leak, 1)
    assert (state.level, state.scope, state.deadline, state.moved_by) == (REVOKE, Scope.EVERYTHING, NOW + 1, Cause.LEAK)


def test_an_unconfirmed_leak_takes_the_steps() -> None:
    """Below the policy's number it is a suspicion like another."""
    doubt = says(REAUTHENTICATE, Hypothesis.LEAK)
    assert after(START, doubt).level is MONITOR


def test_revoke_by_evidence_leaves_time_to_wind_down() -> None:
    """Cancelling and closing stay open until the deadline: a position is not left without its stop; then everything goes."""
    state = at(REVOKE)
    assert (state.scope, state.deadline) == (Scope.NEW_ORDERS_AND_WITHDRAWALS, NOW + 24 * HOUR)
    assert after(state, says(REVOKE), DAY - 1).scope is Scope.NEW_ORDERS_AND_WITHDRAWALS
    over = after(state, says(REVOKE), DAY)
    assert over.scope is Scope.EVERYTHING
    assert change(state, over) is Cause.TIME
    assert change(over, after(over, says(REVOKE), DAY + 1)) is Cause.NONE
    assert due(state, says(REVOKE), POLICY, NOW + DAY - HOUR) == NOW + DAY


@pytest.mark.parametrize(("level", "to"), [(level, to) for level in Level for to in Level if to < level])
def test_what_is_no_longer_supported_falls_at_once_to_what_is(level: Level, to: Level) -> None:
    """However far, in one change, with a fresh deadline where the lower level has one."""
    state = after(at(level), says(to), 1)
    assert (state.level, state.scope, state.moved_by) == (to, SCOPES[to], Cause.FELL)
    assert bool(state.deadline) == (to >= WARN)


def test_a_score_that_flickers_at_a_threshold_is_not_told_each_time() -> None:
    """A level is lost only when the score is the policy's margin below it."""
    state = at(WARN)
    assert after(state, says(WARN, score=LEVELS.warn - 0.2), 1).level is WARN
    assert after(state, says(WARN, score=LEVELS.warn - 0.3), 1).level is MONITOR


# what exchanges report


def test_going_on_after_a_warning_raises_though_the_evidence_is_no_stronger() -> None:
    """Only when the holder was told, the deadline passed, and sharing was seen after it: all the way to REVOKE."""
    state = after(at(WARN), says(WARN), 0, Act.WARNED)
    assert state.level is WARN
    late = 72 * HOUR
    assert after(state, says(WARN, seen=NOW), late).level is WARN
    assert after(state, says(WARN, seen=NOW + late), late - 1).level is WARN
    assert after(at(WARN), says(WARN, seen=NOW + late), late).level is WARN
    raised = after(state, says(WARN, seen=NOW + late), late)
    assert (raised.level, raised.moved_by) == (REAUTHENTICATE, Cause.WENT_ON)
    assert after(raised, says(WARN, seen=NOW + late + DAY), late + DAY).level is REAUTHENTICATE
    told = after(raised, says(WARN), late, Act.WARNED)
    revoked = after(told, says(WARN, seen=NOW + late + DAY), late + DAY)
    assert (revoked.level, revoked.scope) == (REVOKE, Scope.NEW_ORDERS_AND_WITHDRAWALS)
    assert after(revoked, says(WARN), late + 2 * DAY).level is REVOKE
    assert after(revoked, says(MONITOR), late + 2 * DAY).level is MONITOR


def test_the_holders_time_runs_from_being_told_once() -> None:
    """A late warning moves the deadline, evidence does not raise before it, and a second report moves nothing."""
    state = at(WARN, REAUTHENTICATE)
    told = after(state, says(REAUTHENTICATE), 70 * HOUR, Act.WARNED)
    assert told.deadline == NOW + (70 + 72) * HOUR
    assert change(state, told) is Cause.TOLD
    assert after(told, says(REAUTHENTICATE), 71 * HOUR, Act.WARNED) == told
    assert after(told, says(REAUTHENTICATE), 141 * HOUR).level is WARN
    assert after(told, says(REAUTHENTICATE), 142 * HOUR).level is REAUTHENTICATE


@pytest.mark.parametrize("level", [WARN, REAUTHENTICATE, REVOKE])
def test_a_clean_reauthentication_lowers_and_its_credit_fades(level: Level) -> None:
    """The same evidence supports less for a while; after many half-lives it supports what it did."""
    state = after(at(level), says(level), 0, Act.REAUTHENTICATED)
    assert (state.level, state.moved_by) == (MONITOR, Cause.PROVED)
    assert supported(state, says(level), POLICY, NOW) < level
    assert supported(state, says(level), POLICY, NOW + 3_000 * DAY) is level
    again = after(state, says(level), 1, Act.REAUTHENTICATED)
    assert again.credit == POLICY.ladder.clean_credit


@pytest.mark.parametrize("level", [WARN, REAUTHENTICATE, REVOKE])
def test_a_leak_is_not_excused_by_a_reauthentication(level: Level) -> None:
    """The holder is who they are, and the thief has the key all the same."""
    leak = says(level, Hypothesis.LEAK, score=min(SCORES[level], POLICY.leak_confirmed - 0.1))
    state = at(level)
    assert after(state, leak, 1, Act.REAUTHENTICATED) == state


@pytest.mark.parametrize("level", [MONITOR, WARN, REAUTHENTICATE, REVOKE])
@pytest.mark.parametrize("evidence", list(Level))
@pytest.mark.parametrize("act", [None, Act.WARNED, Act.REVOKED])
def test_a_report_that_is_taken_back_lowers_as_far_as_a_look_without_it_would(
    level: Level, evidence: Level, act: Act | None
) -> None:
    """Told as a correction; what its exchange revoked, what went on after a warning and what is just under a level stay."""
    state = at(level, REVOKE)
    state = state if act is None else after(state, says(level), 0, act)
    for score in (SCORES[evidence], max(LEVELS.monitor, SCORES[evidence]) - 0.2):
        said = says(evidence, score=score)
        looked, taken_back = after(state, said, 1), step(state, said, Act.JUDGED_FALSE, POLICY, NOW + 1, TAKEN_BACK)
        if looked.moved_by is Cause.FELL:
            assert taken_back == replace(looked, moved_by=Cause.CORRECTED)
        else:
            assert taken_back == state


@pytest.mark.parametrize("text", ["[]", "7", "null", "[" * 9_999, "[9,0,0,0,0,0,0,0,0,0,0,0]", "[1,1,0,0,0,0,NaN,0,0,0,0,1]",
                                  '[1,1,"0",0,0,0,0,0,0,0,0,1]', "[1,1,0,0,0,0,0,0,0,0,0,1,1]"])  # fmt: skip
def test_a_state_that_was_spoilt_is_refused_with_a_code(text: str) -> None:
    """Whoever can write the database cannot have a verdict decided on what is no state."""
    with pytest.raises(InvalidInput, match="INVALID_VALUE: state"):
        State.from_json(text)
    assert State.from_json(at(WARN).to_json()) == at(WARN)


@pytest.mark.parametrize("level", [MONITOR, WARN, REAUTHENTICATE, REVOKE])
@pytest.mark.parametrize("hypothesis", list(Hypothesis))
def test_judged_false_is_clear_until_more_of_the_same_kind_is_seen(level: Level, hypothesis: Hypothesis) -> None:
    """It does not fade; evidence beyond the judged brings it back, and so does evidence of another kind."""
    judged = says(level, hypothesis)
    state = after(at(level), judged, 0, Act.JUDGED_FALSE)
    assert (state.level, state.scope, state.deadline, state.moved_by) == (CLEAR, Scope.NOTHING, 0, Cause.CORRECTED)
    assert after(state, judged, 3_000 * DAY).level is CLEAR
    assert after(state, says(level, hypothesis, score=judged.score + 0.9), DAY).level is CLEAR
    assert after(state, says(level, hypothesis, score=judged.score + 1.1), DAY).level is MONITOR
    other = Hypothesis.PARTIES if hypothesis is not Hypothesis.PARTIES else Hypothesis.OPERATOR
    assert after(state, says(level, other), DAY).level is MONITOR


@pytest.mark.parametrize("level", [MONITOR, WARN, REAUTHENTICATE, REVOKE])
def test_a_revoked_key_stays_revoked_until_nothing_speaks_against_it(level: Level) -> None:
    """Nothing is left to wind down, weaker evidence does not reopen it, and proof comes too late."""
    state = after(at(level), says(level), 1, Act.REVOKED)
    assert (state.level, state.scope, state.moved_by) == (REVOKE, Scope.EVERYTHING, Cause.ENFORCED)
    assert after(state, says(MONITOR), DAY).level is REVOKE
    assert after(state, says(level), DAY, Act.REAUTHENTICATED).level is REVOKE
    assert after(state, says(CLEAR), DAY).level is CLEAR


def test_a_confirmed_leak_outlives_the_fading_of_its_evidence() -> None:
    """A key that was public once is not made private by waiting; without any evidence it is let go."""
    state = after(START, says(REVOKE, Hypothesis.LEAK, score=POLICY.leak_confirmed))
    assert after(state, says(MONITOR, Hypothesis.LEAK), 90 * DAY).level is REVOKE
    assert after(state, says(CLEAR, Hypothesis.LEAK), 90 * DAY).level is CLEAR


@pytest.mark.parametrize("act", list(Act))
def test_a_report_on_a_clear_key_moves_nothing(act: Act) -> None:
    """There is nothing to act on, and credit for nothing would be a licence to share."""
    assert after(START, says(CLEAR), 0, act) == START


def test_a_verdict_is_renewed_before_it_runs_out_and_says_so() -> None:
    """What still stands when its validity ends is told again, once."""
    state = at(MONITOR)
    end = state.valid_until - NOW
    assert due(state, says(MONITOR), POLICY, NOW + end - 1) == NOW + end
    renewed = after(state, says(MONITOR), end)
    assert (renewed.valid_until, change(state, renewed)) == (NOW + 2 * end, Cause.TIME)


# any life

Life = list[tuple[tuple[float, Hypothesis, int], Act | None, int]]
ASSESSMENTS = st.builds(
    lambda score, hypothesis, age: (score, hypothesis, age),
    st.floats(-8, 8),
    st.sampled_from(list(Hypothesis)),
    st.integers(0, 200),
)
LIVES = st.lists(
    st.tuples(ASSESSMENTS, st.one_of(st.none(), st.sampled_from(list(Act))), st.integers(0, 60 * HOUR)), max_size=40
)


def _lived(life: Life) -> list[tuple[State, State, Assessment, Act | None, int]]:
    state, now, out = START, NOW, []
    for (score, hypothesis, age), act, wait in life:
        now += wait
        assessment = Assessment(score, LEVELS.of(score), hypothesis, (), now // HOUR - age)
        following = step(state, assessment, act, POLICY, now)
        out.append((state, following, assessment, act, now))
        state = following
    return out


@settings(max_examples=300, deadline=None)
@given(LIVES)
def test_every_change_is_in_the_table_and_told(life: Life) -> None:
    """A level changes only along the table, by the cause it names; what the member acts on changes only with a cause to tell."""
    for before, following, _, _, _ in _lived(life):
        cause = change(before, following)
        if before.level is not following.level:
            lowest = TRANSITIONS[before.level, following.moved_by]
            assert following.level == lowest or (
                following.moved_by is Cause.FELL and lowest < following.level < before.level
            )
            assert cause is following.moved_by
        told = [(s.level, s.scope, s.deadline, s.valid_until) for s in (before, following)]
        assert (told[0] != told[1]) == (cause is not Cause.NONE) or cause is following.moved_by


@settings(max_examples=300, deadline=None)
@given(LIVES)
def test_no_life_skips_a_step_or_comes_before_its_time(life: Life) -> None:
    """Up by one step, after the last one's time, unless a leak is confirmed or the exchange itself revoked."""
    for before, following, assessment, act, now in _lived(life):
        if following.level <= before.level or following.moved_by is Cause.ENFORCED:
            continue
        if following.moved_by is Cause.LEAK:
            assert assessment.hypothesis is Hypothesis.LEAK
            assert assessment.score >= POLICY.leak_confirmed
            continue
        assert act is None
        assert following.level == before.level + 1
        assert now >= before.deadline
        assert before.level is not MONITOR or now >= before.since + 24 * HOUR
        assert assessment.level > CLEAR


@settings(max_examples=300, deadline=None)
@given(LIVES)
def test_nothing_changes_twice(life: Life) -> None:
    """The same report at the same moment again moves nothing, and looking again at once moves nothing."""
    for _, following, assessment, act, now in _lived(life):
        if act is not None:
            assert change(following, step(following, assessment, act, POLICY, now)) is Cause.NONE
        elif following.level is not CLEAR:
            again = step(following, assessment, None, POLICY, now)
            assert again.level <= following.level or again.moved_by is Cause.LEAK


@settings(max_examples=300, deadline=None)
@given(LIVES)
def test_scope_deadline_and_validity_fit_the_level(life: Life) -> None:
    """Everything is cut only at REVOKE after its deadline; a level that asks for something says by when."""
    for _, state, assessment, _, now in _lived(life):
        assert (state.scope is Scope.EVERYTHING) == (state.level is REVOKE and now >= state.deadline)
        assert bool(state.deadline) == (state.level >= WARN)
        assert (state.valid_until > now) == (state.level > CLEAR)
        again = due(state, assessment, POLICY, now)
        assert again > now or (again == 0 and state.level is CLEAR)
        assert State.from_json(state.to_json()) == state

"""The life of a verdict: how what the evidence supports, what exchanges did and the passing of time move it.

``step`` is the only way in which a verdict changes. What may follow what stands in one table, ``TRANSITIONS``; what is
not in it does not happen. The rules:

- a level rises one step at a time, and only when the time of the last one is over; a confirmed leak goes to ``REVOKE`` at once;
- who goes on after the holder was told and the deadline passed rises though the evidence is no stronger;
- a clean re-authentication lowers to ``MONITOR`` and buys credit that fades; a leak is not excused by it: a thief has the key
  all the same;
- a verdict judged false is ``CLEAR``, and stays so until evidence of the same kind exceeds that which was judged;
- what the evidence no longer supports falls at once: nobody waits to be let go. A confirmed leak and a key that the exchange
  revoked stay until nothing speaks against them, because a key that was public once is not made private by waiting.

>>> step(START, assessment, None, policy, now).level  # doctest: +SKIP
<Level.MONITOR: 1>
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import SECONDS_PER_HOUR, Act, Cause, Level, Scope
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.policy import Policy

RECHECK_HOURS = 6
"""How long a verdict that is not clear may go unlooked at: evidence fades without anybody being seen."""
TAKEN_BACK = -math.inf
"""What was judged false where only an unverified report was taken back: nothing. One member may report and take back, so that
lowers no verdict further than it falls by itself without the report; it is told as a correction."""
_NO_CREDIT = 0.01
_LAST = (Cause.LEAK, Cause.ENFORCED)
_HYPOTHESES = tuple(Hypothesis)
_C, _M, _W, _R, _X = Level.CLEAR, Level.MONITOR, Level.WARN, Level.REAUTHENTICATE, Level.REVOKE

# (where a verdict is, why it may move) -> where it goes. FELL and CORRECTED name the lowest: they stop at what is supported.
TRANSITIONS: dict[tuple[Level, Cause], Level] = {
    (_C, Cause.SUPPORTED): _M,
    (_M, Cause.SUPPORTED): _W,
    (_W, Cause.SUPPORTED): _R,
    (_R, Cause.SUPPORTED): _X,
    (_W, Cause.WENT_ON): _R,
    (_R, Cause.WENT_ON): _X,
    (_C, Cause.LEAK): _X,
    (_M, Cause.LEAK): _X,
    (_W, Cause.LEAK): _X,
    (_R, Cause.LEAK): _X,
    (_X, Cause.LEAK): _X,  # the time to wind down ends
    (_M, Cause.FELL): _C,
    (_W, Cause.FELL): _C,
    (_R, Cause.FELL): _C,
    (_X, Cause.FELL): _C,
    (_W, Cause.PROVED): _M,
    (_R, Cause.PROVED): _M,
    (_X, Cause.PROVED): _M,
    (_M, Cause.ENFORCED): _X,
    (_W, Cause.ENFORCED): _X,
    (_R, Cause.ENFORCED): _X,
    (_X, Cause.ENFORCED): _X,
    (_M, Cause.CORRECTED): _C,
    (_W, Cause.CORRECTED): _C,
    (_R, Cause.CORRECTED): _C,
    (_X, Cause.CORRECTED): _C,
}

SCOPES: dict[Level, Scope] = {
    _C: Scope.NOTHING,
    _M: Scope.WATCH,
    _W: Scope.TELL_HOLDER,
    _R: Scope.NEW_ORDERS_AND_WITHDRAWALS,
    _X: Scope.EVERYTHING,
}


@dataclass(frozen=True, slots=True)
class State:
    """Where a verdict is. Times are seconds since the epoch, 0 where there is none.

    ``deadline`` is by when the member is asked to have acted, and before which nothing but a leak raises ``WARN`` or
    ``REAUTHENTICATE``. At ``REVOKE`` it ends the winding down: before it ``scope`` is ``NEW_ORDERS_AND_WITHDRAWALS``, so that
    an open position is not left without its stop. ``told_at`` is when the exchange told the holder of this level. ``credit``
    (nats, at ``credit_at``) is what a proof of innocence takes off the score; ``pardons`` are what judgements take off, by
    the hypothesis that was judged, without fading. ``moved_by`` is why the level is what it is.
    """

    level: Level = Level.CLEAR
    scope: Scope = Scope.NOTHING
    since: int = 0
    deadline: int = 0
    valid_until: int = 0
    told_at: int = 0
    credit: float = 0.0
    credit_at: int = 0
    pardons: tuple[float, float, float] = (0.0, 0.0, 0.0)
    moved_by: Cause = Cause.NONE

    def to_json(self) -> str:
        """Canonical text; ``from_json`` reads it."""
        return json.dumps(
            [int(self.level), int(self.scope), self.since, self.deadline, self.valid_until, self.told_at, self.credit,
             self.credit_at, *self.pardons, int(self.moved_by)],
            separators=(",", ":"),
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> State:
        """What ``to_json`` wrote; the empty text is the start. Raises InvalidInput for what it never wrote."""
        if not text:
            return START
        try:
            numbers = json.loads(text)
            level, scope, since, deadline, valid, told, credit, credit_at, one, two, three, moved_by = numbers
            made = cls(
                Level(level), Scope(scope), since, deadline, valid, told, credit, credit_at, (one, two, three), Cause(moved_by)
            )  # fmt: skip
        except (TypeError, ValueError, RecursionError):
            raise _no_state() from None
        if {type(number) for number in numbers} - {int, float} or not all(
            map(math.isfinite, (credit, one, two, three))
        ):
            raise _no_state()
        return made


def _no_state() -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID_VALUE, "state", "where a verdict is, as it was written")


START = State()


def step(
    state: State, assessment: Assessment, act: Act | None, policy: Policy, now: int, judged: float | None = None
) -> State:
    """The state after one look: by what the exchange did, if ``act`` says so, else by evidence or time. At most one step up.

    ``judged`` is how many nats of the score were judged false, where it was not all of them; or TAKEN_BACK.
    """
    if act is Act.JUDGED_FALSE:
        state = _judged(state, assessment, policy, now, judged)
    elif act is not None:
        state = _acted(state, assessment, act, policy, now)
    else:
        cause = _cause(state, assessment, policy, now)
        if cause is not None:
            target = TRANSITIONS[state.level, cause]
            if cause is Cause.FELL:
                target = max(target, supported(state, assessment, policy, now, policy.ladder.fall_margin))
            state = _moved(state, target, cause, policy, now)
    if state.level > Level.CLEAR and now >= state.valid_until:
        state = replace(state, valid_until=now + policy.ladder.valid_hours * SECONDS_PER_HOUR)
    scope = _scope(state, now)
    return state if scope is state.scope else replace(state, scope=scope)


def change(before: State, after: State) -> Cause:
    """Why the member has to be told, or ``NONE`` where nothing that it acts on has changed."""
    if (before.level, before.since, before.moved_by) != (after.level, after.since, after.moved_by):
        return after.moved_by
    if before.deadline != after.deadline:
        return Cause.TOLD
    return Cause.TIME if (before.scope, before.valid_until) != (after.scope, after.valid_until) else Cause.NONE


def due(state: State, assessment: Assessment, policy: Policy, now: int) -> int:
    """When it has to be looked at again though nobody was seen, in seconds; 0 for never."""
    if state.level is Level.CLEAR:
        return now + RECHECK_HOURS * SECONDS_PER_HOUR if credit_at(state, policy, now) > _NO_CREDIT else 0
    moments = [now + RECHECK_HOURS * SECONDS_PER_HOUR, state.valid_until]
    if state.deadline > now:
        moments.append(state.deadline)
    if supported(state, assessment, policy, now) > state.level:
        moments.append(max(rises_at(state, policy), now + 1))
    return min(moments)


def supported(state: State, assessment: Assessment, policy: Policy, now: int, margin: float = 0.0) -> Level:
    """The level that the evidence supports after what credit and pardons take off; ``margin`` nats are added to the score."""
    most = policy.levels.of(assessment.score)
    level = policy.levels.of(assessment.score - _excused(state, assessment, policy, now) + margin)
    # An assessment that is held below its own score is not lifted by a margin.
    return min(level, assessment.level) if assessment.level < most else level


def credit_at(state: State, policy: Policy, now: int) -> float:
    """What is left of the credit, in nats."""
    if state.credit <= 0:
        return 0.0
    age_hours = max(now - state.credit_at, 0) / SECONDS_PER_HOUR
    return state.credit * math.exp2(-age_hours / policy.ladder.clean_half_life_hours)


def rises_at(state: State, policy: Policy) -> int:
    """From when a verdict may rise by what the evidence supports, in seconds."""
    if state.level >= Level.WARN:
        return state.deadline
    return state.since + policy.ladder.grace_hours[Level.WARN] * SECONDS_PER_HOUR if state.level else 0


def _excused(state: State, assessment: Assessment, policy: Policy, now: int) -> float:
    pardon = state.pardons[_HYPOTHESES.index(assessment.hypothesis)]
    return pardon if assessment.hypothesis is Hypothesis.LEAK else max(pardon, credit_at(state, policy, now))


def _scope(state: State, now: int) -> Scope:
    if state.level is Level.REVOKE and now < state.deadline:
        return Scope.NEW_ORDERS_AND_WITHDRAWALS
    return SCOPES[state.level]


def _cause(state: State, assessment: Assessment, policy: Policy, now: int) -> Cause | None:
    may = supported(state, assessment, policy, now)
    if state.moved_by in _LAST:
        return Cause.FELL if may is Level.CLEAR else None
    if _confirmed_leak(state, assessment, policy, now):
        return Cause.LEAK
    if may > state.level:
        return Cause.SUPPORTED if now >= rises_at(state, policy) else None
    went_on = state.told_at and state.deadline <= min(now, assessment.seen_hour * SECONDS_PER_HOUR)
    if went_on and may >= Level.WARN and (state.level, Cause.WENT_ON) in TRANSITIONS:
        return Cause.WENT_ON
    holds = supported(state, assessment, policy, now, policy.ladder.fall_margin)
    if state.moved_by is Cause.WENT_ON and holds >= Level.WARN:
        return None
    return Cause.FELL if holds < state.level else None


def _confirmed_leak(state: State, assessment: Assessment, policy: Policy, now: int) -> bool:
    if assessment.hypothesis is not Hypothesis.LEAK or assessment.level < policy.levels.of(assessment.score):
        return False
    return assessment.score - _excused(state, assessment, policy, now) >= policy.leak_confirmed


def _acted(state: State, assessment: Assessment, act: Act, policy: Policy, now: int) -> State:
    if state.level is Level.CLEAR:
        return state  # there is nothing to act on, and credit for nothing would be a licence
    match act:
        case Act.WARNED if state.level in (Level.WARN, Level.REAUTHENTICATE) and not state.told_at:
            return replace(state, told_at=now, deadline=max(state.deadline, now + _time_at(state.level, policy)))
        case Act.REAUTHENTICATED if assessment.hypothesis is not Hypothesis.LEAK and state.moved_by not in _LAST:
            # Not added up: who proves the same thing again and again has proved it once.
            state = replace(state, credit=policy.ladder.clean_credit, credit_at=now)
            return _moved(state, _M, Cause.PROVED, policy, now) if state.level > _M else state
        case Act.REVOKED if state.moved_by is not Cause.ENFORCED:
            return _moved(state, _X, Cause.ENFORCED, policy, now)
    return state


def _judged(state: State, assessment: Assessment, policy: Policy, now: int, judged: float | None) -> State:
    if state.level is Level.CLEAR:
        return state
    if judged == TAKEN_BACK:
        if _cause(state, assessment, policy, now) is not Cause.FELL:
            return state
        target = supported(state, assessment, policy, now, policy.ladder.fall_margin)
        return _moved(state, target, Cause.CORRECTED, policy, now)
    whole = assessment.score - policy.levels.monitor
    pardons = list(state.pardons)
    which = _HYPOTHESES.index(assessment.hypothesis)
    pardons[which] = max(
        pardons[which], (whole if judged is None else min(judged, whole)) + policy.ladder.judged_margin
    )
    state = replace(state, pardons=(pardons[0], pardons[1], pardons[2]))
    target = min(supported(state, assessment, policy, now), state.level)
    return _moved(state, target, Cause.CORRECTED, policy, now) if target < state.level else state


def _time_at(level: Level, policy: Policy) -> int:
    """Seconds until the deadline of a level."""
    if level < Level.WARN:
        return 0
    hours = policy.ladder.wind_down_hours if level is Level.REVOKE else policy.ladder.grace_hours[Level(level + 1)]
    return hours * SECONDS_PER_HOUR


def _moved(state: State, target: Level, cause: Cause, policy: Policy, now: int) -> State:
    assert TRANSITIONS[state.level, cause] <= target, "a move that the table does not have"
    time = 0 if cause in (Cause.LEAK, Cause.ENFORCED) else _time_at(target, policy)
    return replace(
        state,
        level=target,
        since=now,
        deadline=now + time if target >= Level.WARN else 0,
        valid_until=now + policy.ladder.valid_hours * SECONDS_PER_HOUR if target else 0,
        told_at=0,
        moved_by=cause,
    )

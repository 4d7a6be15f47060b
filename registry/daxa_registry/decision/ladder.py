"""The life of a verdict: how what the evidence supports, what exchanges did and the passing of time move it.

``step`` is the only way in which a verdict changes. What may follow what stands in one table, ``TRANSITIONS``; what is
not in it does not happen. The rules:

- a level rises one step at a time, and only when the grace of the step is over; a confirmed leak goes to ``REVOKE`` at once;
- who goes on after a warning, or lets the time to re-authenticate pass and goes on, rises though the evidence is no stronger;
- a clean re-authentication lowers to ``MONITOR`` and buys credit that fades; a leak is not excused by it: a thief has the key
  all the same;
- a verdict judged false is ``CLEAR``, and stays so until evidence beyond that which was judged;
- what the evidence no longer supports falls at once: nobody waits for grace to be let go.

>>> step(START, assessment, None, policy, now).level  # doctest: +SKIP
<Level.MONITOR: 1>
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, auto

from daxa_core.model import SECONDS_PER_HOUR, Level
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.policy import Policy


class Act(Enum):
    """What an exchange reports that it did about a verdict (or an operator, who grants an appeal: ``JUDGED_FALSE``)."""

    MONITORED = "monitored"
    WARNED = "warned"
    REAUTHENTICATED = "reauthenticated"
    REVOKED = "revoked"
    JUDGED_FALSE = "judged_false"


class Cause(Enum):
    """Why a verdict may move."""

    SUPPORTED = auto()  # the evidence supports a higher level, and the grace of the step is over
    WENT_ON = auto()  # sharing was seen after the warning's or the re-authentication's time was over
    LEAK = auto()  # a confirmed leak
    FELL = auto()  # the evidence supports a lower level
    PROVED = auto()  # the holder re-authenticated, and only the holder
    ENFORCED = auto()  # the exchange revoked the key
    CORRECTED = auto()  # judged false


class Scope(Enum):
    """What the member is asked to restrict. Cancelling and closing a position stay open below ``EVERYTHING``."""

    NOTHING = "nothing"
    WATCH = "watch"
    TELL_HOLDER = "tell_holder"
    NEW_ORDERS_AND_WITHDRAWALS = "new_orders_and_withdrawals"
    EVERYTHING = "everything"


_C, _M, _W, _R, _X = Level.CLEAR, Level.MONITOR, Level.WARN, Level.REAUTHENTICATE, Level.REVOKE

# (where a verdict is, why it may move) -> where it may go. FELL names the lowest: it stops at what is supported.
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
    (_M, Cause.FELL): _C,
    (_W, Cause.FELL): _C,
    (_R, Cause.FELL): _C,
    (_X, Cause.FELL): _C,
    (_W, Cause.PROVED): _M,
    (_R, Cause.PROVED): _M,
    (_X, Cause.PROVED): _M,
    (_C, Cause.ENFORCED): _X,
    (_M, Cause.ENFORCED): _X,
    (_W, Cause.ENFORCED): _X,
    (_R, Cause.ENFORCED): _X,
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

    ``deadline`` is by when the member is asked to have acted; until it, ``scope`` holds at ``REVOKE`` as
    ``NEW_ORDERS_AND_WITHDRAWALS``, so that an open position is not left without its stop. ``credit`` (nats, at
    ``credit_at``) is what proofs of innocence took off the score. ``moved_by`` is why it is where it is.
    """

    level: Level = Level.CLEAR
    since: int = 0
    deadline: int = 0
    valid_until: int = 0
    credit: float = 0.0
    credit_at: int = 0
    reported: Act | None = None
    moved_by: Cause | None = None

    def scope(self, now: int) -> Scope:
        """What is to be restricted at ``now``."""
        if self.level is Level.REVOKE and now < self.deadline:
            return Scope.NEW_ORDERS_AND_WITHDRAWALS
        return SCOPES[self.level]


START = State()


def step(state: State, assessment: Assessment, event: Act | None, policy: Policy, now: int) -> State:
    """The state after one look: first the event, then one movement by evidence or time. Pure; at most one step up."""
    if event is not None:
        state = _reported(state, assessment, event, policy, now)
        return replace(state, valid_until=_valid_until(policy, now))
    cause = _cause(state, assessment, policy, now)
    if cause is not None:
        target = TRANSITIONS[(state.level, cause)]
        if cause is Cause.FELL:
            target = max(target, supported(state, assessment, policy, now))
        state = _moved(state, target, cause, policy, now)
    return replace(state, valid_until=_valid_until(policy, now))


def supported(state: State, assessment: Assessment, policy: Policy, now: int) -> Level:
    """The level that the evidence supports after credit. Credit for proofs does not excuse a leak, unless judged false."""
    credit = credit_at(state, policy, now)
    if assessment.hypothesis is Hypothesis.LEAK and state.reported is not Act.JUDGED_FALSE:
        credit = 0.0
    return min(policy.levels.of(assessment.score - credit), assessment.level)


def credit_at(state: State, policy: Policy, now: int) -> float:
    """What is left of the credit, in nats."""
    if state.credit <= 0:
        return 0.0
    age_hours = max(now - state.credit_at, 0) / SECONDS_PER_HOUR
    return state.credit * math.exp2(-age_hours / policy.ladder.clean_half_life_hours)


def grace(level: Level, policy: Policy) -> int:
    """Seconds that a verdict stays below ``level`` before it may rise to it."""
    return policy.ladder.grace_hours[int(level) - 1] * SECONDS_PER_HOUR if level else 0


def _valid_until(policy: Policy, now: int) -> int:
    return now + policy.ladder.valid_hours * SECONDS_PER_HOUR


def _cause(state: State, assessment: Assessment, policy: Policy, now: int) -> Cause | None:
    may = supported(state, assessment, policy, now)
    confirmed = (
        assessment.hypothesis is Hypothesis.LEAK and may is Level.REVOKE and assessment.score >= policy.leak_confirmed
    )
    if confirmed and state.level < Level.REVOKE:
        return Cause.LEAK
    if state.moved_by is Cause.ENFORCED and may > Level.CLEAR:
        return None  # the key is gone; nothing rises, and it falls only once nothing speaks against it
    if may > state.level:
        nxt = Level(state.level + 1)
        return Cause.SUPPORTED if now - state.since >= grace(nxt, policy) or state.level is Level.CLEAR else None
    if (state.level, Cause.WENT_ON) in TRANSITIONS and may is state.level and state.reported is not None:
        over = now >= state.deadline > 0
        if over and assessment.seen_hour * SECONDS_PER_HOUR >= state.deadline:
            return Cause.WENT_ON
    if may < state.level and state.moved_by is not Cause.WENT_ON:
        return Cause.FELL
    if state.moved_by is Cause.WENT_ON and may < Level(state.level - 1):
        return Cause.FELL
    return None


def _reported(state: State, assessment: Assessment, event: Act, policy: Policy, now: int) -> State:
    cause = {
        Act.REAUTHENTICATED: Cause.PROVED,
        Act.REVOKED: Cause.ENFORCED,
        Act.JUDGED_FALSE: Cause.CORRECTED,
    }.get(event)
    state = replace(state, reported=event)
    if event is Act.REAUTHENTICATED:
        state = replace(state, credit=credit_at(state, policy, now) + policy.ladder.clean_credit, credit_at=now)
    elif event is Act.JUDGED_FALSE:
        excess = max(assessment.score - policy.levels.monitor, 0.0) + 1.0
        state = replace(state, credit=max(credit_at(state, policy, now), excess), credit_at=now)
    if cause is None or (state.level, cause) not in TRANSITIONS:
        return state
    if cause is Cause.PROVED and assessment.hypothesis is Hypothesis.LEAK and state.level is Level.REVOKE:
        return state  # the thief still has it
    return replace(_moved(state, TRANSITIONS[(state.level, cause)], cause, policy, now), reported=event)


def _moved(state: State, target: Level, cause: Cause, policy: Policy, now: int) -> State:
    if target is state.level:
        return state
    deadline = 0
    if target >= Level.WARN:
        following = Level(min(target + 1, Level.REVOKE))
        deadline = now if cause in (Cause.LEAK, Cause.ENFORCED) else now + grace(following, policy)
    return replace(state, level=target, since=now, deadline=deadline, moved_by=cause, reported=None)

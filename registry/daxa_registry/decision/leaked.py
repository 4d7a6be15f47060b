"""What leaks say of one key, over what was seen of it: a claim lifts an assessment, and never lowers it.

A claim counts by who makes it:

- ``VERIFIED``: an operator looked into the leak. Its keys are confirmed leaks: the ladder goes to ``REVOKE`` without grace.
- ``UNVERIFIED``: an operator, the key's own exchange, or two other members say so. Alone it never passes ``WARN``, whatever is
  reported and however long: a dump may be made of somebody's whole inventory.
- ``ONE_MEMBER``: one other member says so. Alone it never passes ``MONITOR``, as nothing that one member says does (``bound``).

Beside that stands how often strangers presented the key at exchanges that never issued it: its own exchange is told, and nobody
else; by that alone it never passes ``MONITOR`` either.
Both are stored before the evidence that a verdict rested on, so that the verdict replays.

>>> claim_of(home=1, leaks=Leaks(verified=False, reporters=frozenset({2})))
<Claim.ONE_MEMBER: 1>
>>> detach(attach(Beside(Claim.VERIFIED), b"evidence"))
(Beside(claim=<Claim.VERIFIED: 3>, elsewhere=0, hour=0), b'evidence')
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import SECONDS_PER_HOUR, Level, Manner
from daxa_registry.decision.assess import Assessment, Term
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import Leaks, Neighbourhood
from daxa_registry.decision.policy import Policy

SLIPS = 2
"""So many presentations by strangers at another exchange are no slip any more."""
OPERATORS = 0
"""The reporter of an operator's leaks."""
VERIFIED_NATS = 10.0
"""How far past a confirmed leak a verified one is: what was judged false of failed attempts does not hide it."""
_MARK = 0xFF  # no version of evidence begins so
_HEAD = struct.Struct(">BBII")
_MOST = 2**32 - 1


class Claim(IntEnum):
    """What the leaks in force amount to for one key at its exchange. The numbers stand in stored evidence."""

    ONE_MEMBER = 1
    UNVERIFIED = 2
    VERIFIED = 3


def claim_of(home: int, leaks: Leaks) -> Claim:
    """What they amount to for the key's subject at the member ``home``."""
    if leaks.verified:
        return Claim.VERIFIED
    if leaks.reporters & {OPERATORS, home} or len(leaks.reporters) > 1:
        return Claim.UNVERIFIED
    return Claim.ONE_MEMBER


@dataclass(frozen=True, slots=True)
class Beside:
    """What is said of a key beside the evidence: the claim of leaks; how often strangers presented it elsewhere, and the hour of
    the last time (0: never)."""

    claim: Claim | None = None
    elsewhere: int = 0
    hour: int = 0


NOTHING = Beside()


def beside(neighbourhood: Neighbourhood) -> Beside:
    """What is said beside the evidence of one subject."""
    leaks = neighbourhood.leaks
    claim = None if leaks is None else claim_of(neighbourhood.subject.member, leaks)
    if not neighbourhood.elsewhere:
        return NOTHING if claim is None else Beside(claim)
    # From a network of the holder's own it was the holder, who typed it at the wrong exchange.
    own = {p.network for p in neighbourhood.own if p.manner is not Manner.REJECTED}
    strange = [p for p in neighbourhood.elsewhere if p.manner is Manner.REJECTED and p.network not in own]
    times = min(sum(p.count for p in strange), _MOST)
    return Beside(claim, times, max((p.last for p in strange), default=0))


def with_beside(assessment: Assessment, said: Beside, policy: Policy, now: int) -> Assessment:
    """The assessment at ``now`` (seconds) with all that.

    Presented elsewhere twice or more by strangers, and lately, a key is watched, which restricts nothing: so its own exchange is
    told though one other exchange alone says so. Once is a slip.
    """
    if said.elsewhere:
        lately = now // SECONDS_PER_HOUR - said.hour <= policy.ladder.valid_hours
        watched = said.elsewhere >= SLIPS and lately
        more = max(policy.levels.monitor - assessment.score, 0.0) if watched else 0.0
        term = Term("PRESENTED_ELSEWHERE", more, said.elsewhere, said.hour)
        terms = tuple(sorted((*assessment.terms, term), key=lambda one: (-one.contribution, one.code)))
        if more:
            assessment = Assessment(policy.levels.monitor, Level.MONITOR, Hypothesis.LEAK, terms)
        else:
            assessment = replace(assessment, because=terms)
    return with_claim(assessment, said.claim, policy)


def with_claim(assessment: Assessment, claim: Claim | None, policy: Policy) -> Assessment:
    """The assessment with what is claimed of the key; its terms still add up to its score."""
    if claim is None:
        return assessment
    if claim is Claim.VERIFIED:
        said, level = max(policy.levels.revoke, policy.leak_confirmed) + VERIFIED_NATS, Level.REVOKE
    elif claim is Claim.UNVERIFIED:
        said, level = policy.levels.warn, Level.WARN
    else:
        said, level = policy.levels.monitor, Level.MONITOR
    more = max(said - assessment.score, 0.0)
    term = Term("LEAKED_KEY", more) if claim is Claim.VERIFIED else Term("LEAKED_KEY_UNVERIFIED", more)
    terms = tuple(sorted((*assessment.terms, term), key=lambda one: (-one.contribution, one.code)))
    if not more:
        leading = Hypothesis.LEAK if claim is Claim.VERIFIED else assessment.hypothesis
        return replace(assessment, level=max(assessment.level, level), hypothesis=leading, because=terms)
    # Seen at no hour: a dump is not seen again, so nobody "went on" because of it.
    return Assessment(said, max(assessment.level, level), Hypothesis.LEAK, terms)


def attach(said: Beside, evidence: bytes) -> bytes:
    """What a verdict rested on: the evidence, and what was said beside it before it, where anything was."""
    if said == NOTHING:
        return evidence
    return _HEAD.pack(_MARK, said.claim or 0, said.elsewhere, said.hour) + evidence


def detach(data: bytes) -> tuple[Beside, bytes]:
    """What :func:`attach` put together. Raises InvalidInput INVALID_VALUE."""
    if not data or data[0] != _MARK:
        return NOTHING, data
    try:
        _, claim, elsewhere, hour = _HEAD.unpack_from(data)
        return Beside(Claim(claim) if claim else None, elsewhere, hour), data[_HEAD.size :]
    except (struct.error, ValueError):
        raise InvalidInput(
            ErrorCode.INVALID_VALUE, "evidence.beside", "a claim of 1 to 3, a count and an hour"
        ) from None

"""What leaks say of one key, over what was seen of it: a claim lifts an assessment, and never lowers it.

A claim counts by who makes it:

- ``VERIFIED``: an operator looked into the leak. Its keys are confirmed leaks: the ladder goes to ``REVOKE`` without grace.
- ``UNVERIFIED``: an operator, the key's own exchange, or two other members say so. Alone it never passes ``WARN``, whatever is
  reported and however long: a dump may be made of somebody's whole inventory.
- ``ONE_MEMBER``: one other member says so. Alone it never passes ``MONITOR``, as nothing that one member says does (``bound``).

Beside that stands how often strangers presented the key at exchanges that never issued it, and with how many other keys, where
that was somebody who goes through a list: its own exchange is told, and nobody else; by that alone it never passes ``MONITOR``
either.
Both are stored before the evidence that a verdict rested on, so that the verdict replays.

>>> claim_of(home=1, leaks=Leaks(verified=False, reporters=frozenset({2})))
<Claim.ONE_MEMBER: 1>
>>> detach(attach(Beside(Claim.VERIFIED), b"evidence"))
(Beside(claim=<Claim.VERIFIED: 3>, elsewhere=0, hour=0, slip=False, tried=0, tried_hour=0), b'evidence')
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import SECONDS_PER_HOUR, Level, Manner
from daxa_registry.decision.assess import Assessment, Term, ordered
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import UNKNOWN_DEVICE, Leaks, Neighbourhood, Presence, Tried
from daxa_registry.decision.places import PlaceFacts
from daxa_registry.decision.policy import Policy
from daxa_registry.decision.refusals import SLOWLY_HOURS, TESTER_KEYS, TOGETHER_HOURS, listed, near

SLIPS = 2
"""So many presentations by strangers at another exchange are no slip any more. A program that tries again and again is one."""
OPERATORS = 0
"""The reporter of an operator's leaks."""
VERIFIED_NATS = 10.0
"""How far past a confirmed leak a verified one is: what was judged false of failed attempts does not hide it."""
_MARK = 0xFF  # no version of evidence begins so
_HEAD = struct.Struct(">BBII")
_TRIED = struct.Struct(">II")  # follows the head where its flag stands beside the claim
_SLIP_FLAG, _TRIED_FLAG = 0x80, 0x40
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
    the last time (0: never).

    ``slip``: all of that may be one mistake of the holder's. ``tried``: with how many keys, itself included, it was tried from an
    address, or with a client stack, with which somebody goes through a list, and the hour of the last time (0: nowhere).
    """

    claim: Claim | None = None
    elsewhere: int = 0
    hour: int = 0
    slip: bool = False
    tried: int = 0
    tried_hour: int = 0


NOTHING = Beside()


def beside(neighbourhood: Neighbourhood, facts: Mapping[int, PlaceFacts]) -> Beside:
    """What is said beside the evidence of one subject. ``facts`` are those of its places."""
    leaks = neighbourhood.leaks
    claim = None if leaks is None else claim_of(neighbourhood.subject.member, leaks)
    if not neighbourhood.elsewhere:
        return NOTHING if claim is None else Beside(claim)
    # From a network of the holder's own it was the holder, who typed it at the wrong exchange.
    own = {p.network for p in neighbourhood.own if p.manner is not Manner.REJECTED}
    strange = [p for p in neighbourhood.elsewhere if p.manner is Manner.REJECTED and p.network not in own]
    if not strange:
        return NOTHING if claim is None else Beside(claim)
    times = min(sum(p.count for p in strange), _MOST)
    counted = [(_tried_with(p, facts.get(p.address), neighbourhood.stacks.get(p.device, ())), p.last) for p in strange]
    tried = [(keys, last) for keys, last in counted if keys >= TESTER_KEYS]
    return Beside(
        claim,
        times,
        max(p.last for p in strange),
        not tried and _is_slip(neighbourhood, strange),
        max((keys for keys, _ in tried), default=0),
        max((last for _, last in tried), default=0),
    )


def _is_slip(neighbourhood: Neighbourhood, strange: Sequence[Presence]) -> bool:
    """Whether the holder may have done it by mistake: one try, again and again within an hour or not. The holder's own client
    stack at a new address is one as well, beside whatever a stranger did once."""
    stacks = {p.device for p in neighbourhood.own if p.manner is Manner.USED} - {UNKNOWN_DEVICE}
    familiar = {one for p in strange if p.device in stacks for one in _presentations(p)}
    others = {one for p in strange if p.device not in stacks for one in _presentations(p)} - familiar
    return len(others) + (len(familiar) if len(familiar) > 1 else 0) < SLIPS


def _presentations(presence: Presence) -> Iterator[tuple[int, int, int]]:
    """At which exchange, from where and in which hours."""
    for offset in range(presence.hours.bit_length()):
        if presence.hours >> offset & 1:
            yield presence.subject.member, presence.address, presence.first + offset


def _tried_with(presence: Presence, place: PlaceFacts | None, with_stack: Sequence[Tried]) -> int:
    """How many keys, this one included, failed around then though they are strangers: on that address, or with that stack."""
    if place is None or place.infrastructure:
        return 0  # a licensed service goes on with keys that expired, many from one address
    rows = [row for refused in place.refused.values() for _, of_member in refused.by_member for row in of_member]
    there = [Tried(row.key, row.first, row.last) for row in rows if not row.vouchers]
    soon, slowly = (len({one.key for one in near(presence, there, hours)}) for hours in (TOGETHER_HOURS, SLOWLY_HOURS))
    # Of a crowd that is not looked at whole it cannot be said that more failed there than are used.
    outnumbers = not place.crowded and slowly > len(place.tenants)
    over_addresses = listed(near(presence, with_stack, SLOWLY_HOURS))
    return max(soon, slowly if outnumbers else 0, over_addresses)


def with_beside(assessment: Assessment, said: Beside, policy: Policy, now: int) -> Assessment:
    """The assessment at ``now`` (seconds) with all that.

    Presented elsewhere by strangers, more than by a slip or by somebody who goes through a list, and lately, a key is watched,
    which restricts nothing: so its own exchange is told though one other exchange alone says so.
    """
    if said.elsewhere:
        since = now // SECONDS_PER_HOUR - policy.ladder.valid_hours
        tried = bool(said.tried) and said.tried_hour >= since
        watched = tried or (said.elsewhere >= SLIPS and not said.slip and said.hour >= since)
        more = max(policy.levels.monitor - assessment.score, 0.0) if watched else 0.0
        terms = [*assessment.terms, Term("PRESENTED_ELSEWHERE", 0.0 if tried else more, said.elsewhere, said.hour)]
        if said.tried:
            terms.append(Term("TRIED_WITH_MANY", more if tried else 0.0, said.tried, said.tried_hour))
        because = ordered(terms)
        if more:
            assessment = Assessment(policy.levels.monitor, Level.MONITOR, Hypothesis.LEAK, because)
        else:
            assessment = replace(assessment, because=because)
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
    terms = ordered([*assessment.terms, term])
    if not more:
        leading = Hypothesis.LEAK if claim is Claim.VERIFIED else assessment.hypothesis
        return replace(assessment, level=max(assessment.level, level), hypothesis=leading, because=terms)
    # Seen at no hour: a dump is not seen again, so nobody "went on" because of it.
    return Assessment(said, max(assessment.level, level), Hypothesis.LEAK, terms)


def attach(said: Beside, evidence: bytes) -> bytes:
    """What a verdict rested on: the evidence, and what was said beside it before it, where anything was."""
    if said == NOTHING:
        return evidence
    flags = said.slip * _SLIP_FLAG | bool(said.tried) * _TRIED_FLAG
    head = _HEAD.pack(_MARK, (said.claim or 0) | flags, said.elsewhere, said.hour)
    return head + (_TRIED.pack(said.tried, said.tried_hour) if said.tried else b"") + evidence


def detach(data: bytes) -> tuple[Beside, bytes]:
    """What :func:`attach` put together. Raises InvalidInput INVALID_VALUE."""
    if not data or data[0] != _MARK:
        return NOTHING, data
    try:
        _, first, elsewhere, hour = _HEAD.unpack_from(data)
        at, tried, tried_hour = _HEAD.size, 0, 0
        if first & _TRIED_FLAG:
            tried, tried_hour = _TRIED.unpack_from(data, at)
            at += _TRIED.size
        claim = first & ~(_SLIP_FLAG | _TRIED_FLAG)
        slip = bool(first & _SLIP_FLAG)
        return Beside(Claim(claim) if claim else None, elsewhere, hour, slip, tried, tried_hour), data[at:]
    except (struct.error, ValueError):
        raise InvalidInput(
            ErrorCode.INVALID_VALUE, "evidence.beside", "a claim of 1 to 3, a count and an hour"
        ) from None

"""Appeals: an exchange asks, an operator answers, and a grant corrects every verdict that rested on the same wrong evidence.

What the evidence of the appealed verdict was is worked out again: the places where the key was put together with others, or
where it was tried by strangers. Each suspect's score is then taken once more without them. Whoever would stand lower rested on
them, at whatever member, and is corrected to where it stands without; the appealed key itself is cleared. Evidence beyond that
which was judged brings a verdict back (``decision.ladder``).

Refused: as a report (``service.reports``); an appeal of a verdict that is CLEAR; an answer to an appeal that has one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace

from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.model import Act, AppealStatus, Ground, Level, Manner
from daxa_registry.decision.assess import Assessment
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.graph import Neighbourhood, Presence
from daxa_registry.decision.policy import Policy
from daxa_registry.decision.refusals import listed
from daxa_registry.store.interface import Store

from .acts import ActKind, record_act
from .matching import Matcher
from .reports import current

_KIND = "appeal"
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Appeal:
    """One appeal of a verdict; ``number`` counts the member's own, ``corrected`` is how many verdicts a grant changed."""

    member: str
    number: int
    subject: int
    sequence: int
    ground: int
    reference: str
    filed_at: int
    status: int = int(AppealStatus.OPEN)
    answered_at: int = 0
    answered_by: str = ""
    reason: str = ""
    corrected: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """What a grant does to one verdict: where it stands, where it will, and how many nats were judged false (None: all)."""

    subject: int
    member: str
    sequence: int
    before: Level
    after: Level
    judged: float | None


def appeal(
    store: Store, member: int, appeal_id: bytes, key: bytes, sequence: int, ground: Ground, reference: str, now: int
) -> Appeal:
    """Files an appeal, or answers with the one that this verdict or this id has already."""
    name = store.members()[member]
    content = [key.hex(), sequence, int(ground), reference]
    with store.transaction():
        known = store.document("appeal_id", f"{name}/{appeal_id.hex()}")
        if known is not None:
            number, *told = json.loads(known)
            if told != content:
                raise InvalidInput(ErrorCode.ID_REUSED, "appeal_id", "an id that was not used for another appeal")
            return find(store, name, number)
        standing = current(store, member, key, sequence)
        if standing.level is Level.CLEAR:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "sequence", "a verdict that is not CLEAR")
        appealed = store.document("appealed", f"{name}/{sequence}")
        if appealed is not None:
            return find(store, name, int(appealed))
        number = int(store.document("counter", f"appeal/{name}") or 0) + 1
        made = Appeal(name, number, standing.subject, sequence, int(ground), reference, now)
        store.write_document("counter", f"appeal/{name}", str(number), replace=True)
        store.write_document("appeal_id", f"{name}/{appeal_id.hex()}", json.dumps([number, *content]))
        store.write_document("appealed", f"{name}/{sequence}", str(number))
        _keep(store, made)
        return made


def appeals(store: Store) -> list[Appeal]:
    """Every appeal, open ones first, then by member and number."""
    out: list[Appeal] = []
    after = ""
    while page := store.documents(_KIND, after):
        out += [Appeal(**json.loads(text)) for _, text in page]
        after = page[-1][0]
    return sorted(out, key=lambda one: (one.status != AppealStatus.OPEN, one.member, one.number))


def find(store: Store, member: str, number: int) -> Appeal:
    """One appeal. Raises Refused NOT_FOUND."""
    text = store.document(_KIND, _name(member, number))
    if text is None:
        raise Refused(ErrorCode.NOT_FOUND, "appeal", "MEMBER:NUMBER of an appeal that was filed")
    return Appeal(**json.loads(text))


def answer(
    store: Store, matcher: Matcher, operator: str, asked: Appeal, granted: bool, reason: str, now: int
) -> tuple[Appeal, tuple[Correction, ...], dict[int, int]]:
    """Grants or denies: the appeal as it is then, what was corrected, and the heads of the members that have news."""
    check_reason(reason)
    with store.transaction():
        asked = find(store, asked.member, asked.number)
        check_open(asked)
        found = corrections(store, matcher, asked, now) if granted else ()
        judged = {c.subject: c.judged for c in found if c.judged is not None}
        heads = matcher.decide([c.subject for c in found], now, Act.JUDGED_FALSE, judged) if found else {}
        status = AppealStatus.GRANTED if granted else AppealStatus.DENIED
        asked = replace(
            asked,
            status=int(status),
            answered_at=now,
            answered_by=operator,
            reason=reason,
            corrected=len(found),
        )
        _keep(store, asked)
        detail = {
            "appeal": f"{asked.member}:{asked.number}",
            "verdict": f"{asked.member}:{asked.sequence}",
            "granted": granted,
            "reason": reason,
            "corrected": [f"{c.member}:{c.sequence}" for c in found],
        }
        record_act(store, operator, ActKind.APPEAL_ANSWERED, detail, now)
        return asked, found, heads


def check_open(asked: Appeal) -> None:
    """Raises Refused ALREADY_ANSWERED."""
    if asked.status != AppealStatus.OPEN:
        word = AppealStatus(asked.status).name.lower()
        raise Refused(ErrorCode.ALREADY_ANSWERED, "appeal", f"one that is open; this one was {word}")


def check_reason(reason: str) -> None:
    """Raises InvalidInput: an answer without a reason cannot be defended later."""
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise InvalidInput(ErrorCode.INVALID_VALUE, "reason", f"1 to {MAX_REASON} printable characters")


def corrections(store: Store, matcher: Matcher, asked: Appeal, now: int) -> tuple[Correction, ...]:
    """What a grant would correct, the appealed key first. Inside a transaction."""
    neighbourhood, _, assessment = next(matcher.assessments([asked.subject], now))
    places = _rested_on(matcher, neighbourhood, assessment)
    leak = assessment.hypothesis is Hypothesis.LEAK
    lists = {device for device, tried in neighbourhood.stacks.items() if leak and listed(tried)}
    suspects = store.suspects()
    standings = store.standings({asked.subject, *suspects})
    names = store.members()
    policy = matcher.policy
    own = standings[asked.subject]
    out: list[Correction] = []
    if own.level is not Level.CLEAR:
        out.append(Correction(own.subject, asked.member, own.sequence, own.level, Level.CLEAR, None))
    for other, _, said in matcher.assessments([s for s in suspects if s != asked.subject], now):
        if not places.keys() & other.places.keys() and not lists & other.stacks.keys():
            continue
        _, without = matcher.assess(_as_if(other, places, lists), now)
        stands = standings[other.subject.id]
        if without.level < said.level or _held(without, stands.level, policy) < _held(said, stands.level, policy):
            judged = None if without.level is Level.CLEAR else said.score - without.score
            after = min(stands.level, without.level)
            out.append(Correction(stands.subject, names[stands.member], stands.sequence, stands.level, after, judged))
    return tuple(out)


def _held(said: Assessment, level: Level, policy: Policy) -> Level:
    """Up to which level a verdict that is told is held: to lose one takes a little more than to miss it."""
    return min(level, policy.levels.of(said.score + policy.ladder.fall_margin))


def _rested_on(matcher: Matcher, neighbourhood: Neighbourhood, said: Assessment) -> Mapping[int, frozenset[int] | None]:
    """The addresses that the appealed verdict rested on; for a leak with the client stacks that tried, else None."""
    if said.hypothesis is Hypothesis.LEAK:
        tried: dict[int, frozenset[int] | None] = {}
        for p in (*neighbourhood.own, *neighbourhood.elsewhere):
            if p.manner is Manner.REJECTED:
                tried[p.address] = (tried.get(p.address) or frozenset()) | {p.device}
        return tried
    if said.hypothesis is Hypothesis.PARTIES:
        return {}  # one key's own use: nobody else's verdict rests on it
    facts = matcher.facts(neighbourhood)
    shared: dict[int, frozenset[int] | None] = {}
    for p in neighbourhood.own:
        tenancy = facts[p.address].tenants.get(neighbourhood.subject.id)
        if p.manner is Manner.USED and tenancy is not None and any(share.others for share in tenancy.shares):
            shared[p.address] = None
    return shared


def _as_if(neighbourhood: Neighbourhood, places: Mapping[int, frozenset[int] | None], lists: Set[int]) -> Neighbourhood:
    """The neighbourhood if those places said nothing: of nobody's company, or of no failures with those client stacks; and if
    nobody went through a list with the stacks of ``lists``."""

    def left(presences: tuple[Presence, ...]) -> tuple[Presence, ...]:
        return tuple(
            p for p in presences if p.manner is not Manner.REJECTED or p.device not in (places.get(p.address) or ())
        )

    imagined = {
        address: replace(place, infrastructure=True)
        if places[address] is None
        else replace(place, presences=left(place.presences))
        for address, place in neighbourhood.places.items()
        if address in places
    }
    return replace(
        neighbourhood,
        own=left(neighbourhood.own),
        elsewhere=left(neighbourhood.elsewhere),
        places={**neighbourhood.places, **imagined},
        stacks={device: tried for device, tried in neighbourhood.stacks.items() if device not in lists},
    )


def _keep(store: Store, made: Appeal) -> None:
    text = json.dumps(asdict(made), separators=(",", ":"))
    store.write_document(_KIND, _name(made.member, made.number), text, replace=True)


def _name(member: str, number: int) -> str:
    return f"{member}/{number:09d}"

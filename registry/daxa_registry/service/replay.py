"""Replay: one verdict decided again from what is stored of it, its evidence, its policy and the state before it.

Nothing of now is looked at. It refuses a verdict that there is not, and one whose policy is no longer kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from daxa_core.codec import decode_envelope, decode_verdict, read_envelope
from daxa_core.errors import DaxaError, ErrorCode, Refused
from daxa_core.model import Act, Verdict
from daxa_registry.decision.assess import assess
from daxa_registry.decision.evidence import Evidence
from daxa_registry.decision.ladder import State, change, step
from daxa_registry.decision.leaked import detach, with_beside
from daxa_registry.decision.policy import load_policy
from daxa_registry.decision.told import as_told
from daxa_registry.store.interface import Standing, Store, StoredVerdict

from .log import evidence_commitment
from .matching import verdict_of

_COMPARED = (
    "level",
    "scope",
    "deadline",
    "cause",
    "score",
    "valid_until",
    "policy_digest",
    "evidence_digest",
    "reasons",
)


@dataclass(frozen=True, slots=True)
class Replay:
    """The verdict as it was told and as it comes out again; ``differences`` are (field, told, replayed) as texts."""

    told: Verdict
    replayed: Verdict
    differences: tuple[tuple[str, str, str], ...]
    act: Act | None


def member_of(store: Store, name: str) -> int:
    """The number of a member. Raises Refused NOT_FOUND."""
    for number, known in store.members().items():
        if known == name:
            return number
    raise Refused(ErrorCode.NOT_FOUND, "member", "the name of a member that sent something")


def told_verdict(stored: StoredVerdict) -> Verdict:
    """A stored verdict as its member was told it."""
    return decode_verdict(read_envelope(decode_envelope(stored.body)).payload)


def replay(store: Store, member: int, sequence: int) -> Replay:
    """Decides the verdict again. Raises Refused NOT_FOUND where it or its policy is not there."""
    stored = store.verdict(member, sequence)
    if stored is None:
        raise Refused(ErrorCode.NOT_FOUND, "sequence", f"1 to {store.head(member)}")
    told = told_verdict(stored)
    text = store.document("policy", told.policy_digest.hex())
    if text is None:
        raise Refused(ErrorCode.NOT_FOUND, "policy", "a verdict whose policy the registry keeps")
    try:
        policy = load_policy(text)
        said, rested_on = detach(stored.evidence)
        evidence = Evidence.from_bytes(rested_on)
    except DaxaError as error:
        raise Refused(
            error.code, error.field, f"{error.expected}; another version of this program decided it"
        ) from None
    now = told.decided_at
    assessment = with_beside(assess(evidence, policy, now), said, policy, now)
    before = State.from_json(stored.before)
    after = step(before, assessment, stored.act, policy, now, stored.judged)
    standing = Standing(stored.subject, member, told.key, stored.level, sequence)
    known = as_told(assessment, evidence, said, policy, now)
    again = verdict_of(standing, sequence, evidence, known, after, change(before, after), policy, now)
    again = replace(
        again,
        member=told.member,
        log_index=told.log_index,
        evidence_digest=_commitment(store, told, stored.evidence) or again.evidence_digest,
    )
    differences = tuple(
        (name, _text(getattr(told, name)), _text(getattr(again, name)))
        for name in _COMPARED
        if getattr(told, name) != getattr(again, name)
    )
    return Replay(told, again, differences, stored.act)


def _commitment(store: Store, told: Verdict, evidence: bytes) -> bytes | None:
    """What the log's salt and the stored evidence commit to; None where the log has no leaf of it."""
    for leaf in store.leaves(told.log_index, 1):
        if leaf.index == told.log_index and leaf.salt:
            return evidence_commitment(leaf.salt, evidence)
    return None


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else getattr(value, "name", None) or str(value)

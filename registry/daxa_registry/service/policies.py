"""Policies: kept by digest for as long as verdicts name them, tested on the evidence of now, brought into force after a test.

A test assesses every subject under the policy in force and under the new one, and says who would move. It is stale, and refused
as the ground of an activation, when another policy has come into force since, when it is more than a day old, or when verdicts
have changed since for more than one subject in a hundred. An activation holds at once; the sweep then looks at every subject
again, and goes on where it was after a restart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, InvalidInput, Refused
from daxa_core.model import Level
from daxa_registry.decision.assess import assess
from daxa_registry.decision.ladder import START, supported
from daxa_registry.decision.leaked import beside, with_beside
from daxa_registry.decision.policy import Policy, load_policy
from daxa_registry.store.interface import Store, Superseded

from .acts import ActKind, record_act
from .log import append_state
from .matching import Matcher

MAX_TEXT_BYTES = 256 * 1024
MAX_AGE_SECONDS = 86_400
DRIFT_PER_SUBJECT = 0.01
PART = 500
MOVES_TOLD = 1_000


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A policy that the registry knows: when and by whom it came into force last, and when it was tested last (0: never)."""

    digest: str
    version: str
    active: bool
    activated_at: int
    activated_by: str
    tested_at: int


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """What a test found: against which policy in force, on how many subjects, and by (member, before, after) how many move."""

    digest: str
    version: str
    tested_at: int
    against: str
    subjects: int
    changes: int  # verdicts that there were, of all members
    shifts: tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class PolicyMove:
    """One subject whose evidence supports another level under the new policy."""

    member: str
    subject: int
    before: Level
    after: Level
    score_before: float
    score_after: float


def in_force(store: Store, first: str, now: int, instead_of: str = "") -> Policy:
    """The policy in force, where the registry starts: the one last activated, else ``first``, which then is kept as such.

    Raises ConfigurationError for one that this program cannot read: it stays in force, as other nodes may decide by it. Only
    where its digest begins with the 16 digits ``instead_of`` does it give way to ``first``.
    """
    with store.transaction():
        digest = _active(store)
        if digest is not None:
            try:
                return load_policy(store.document("policy", digest) or "")
            except DaxaError:
                if digest[:16] != instead_of:
                    raise _unreadable(digest) from None
            store.write_document("policy_applied", "after", "0", replace=True)
        policy = load_policy(first)
        _keep(store, policy, first)
        _enter(store, policy, "", now)
        if digest is not None:  # nodes that run decide by it from here on, so the log has it from here on
            append_state(store, "policy", {"digest": policy.digest.hex()}, now)
    return policy


def follow(store: Store, matcher: Matcher) -> None:
    """Takes up the policy that another node may have brought into force. Inside a transaction.

    Raises Superseded for one that this program cannot read: then another version's nodes decide, and not this one.
    """
    digest = _active(store)
    if digest is not None and digest != matcher.policy.digest.hex():
        try:
            matcher.use(load_policy(store.document("policy", digest) or ""))
        except DaxaError:
            wanted = f"a node of a program that reads policy {digest[:16]}, which is in force"
            raise Superseded(ErrorCode.UNAVAILABLE, "policy", wanted, retry_after=1.0) from None


def read(text: str) -> Policy:
    """A policy that an operator sent. Raises ConfigurationError INVALID_POLICY naming the key, InvalidInput for too much text."""
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise InvalidInput(ErrorCode.MESSAGE_TOO_LARGE, "text", f"at most {MAX_TEXT_BYTES} bytes")
    return load_policy(text)


def policies(store: Store) -> list[PolicyEntry]:
    """Every policy, by version and digest."""
    active = _active(store)
    out = []
    for digest, _ in store.documents("policy"):
        entered = json.loads(store.document("policy_entered", digest) or "{}")
        tested = json.loads(store.document("policy_test", digest) or "{}")
        version = json.loads(store.document("policy_version", digest) or '""')
        out.append(
            PolicyEntry(
                digest,
                version,
                digest == active,
                entered.get("at", 0),
                entered.get("by", ""),
                tested.get("tested_at", 0),
            )
        )
    return sorted(out, key=lambda entry: (entry.version, entry.digest))


def find(store: Store, beginning: str) -> tuple[PolicyEntry, str]:
    """The policy whose digest begins so, and its text; "" is the one in force. Raises Refused NOT_FOUND."""
    found = [p for p in policies(store) if (p.digest.startswith(beginning) if beginning else p.active)]
    if len(found) != 1:
        raise Refused(ErrorCode.NOT_FOUND, "digest", "the beginning of the digest of one policy and no other")
    return found[0], store.document("policy", found[0].digest) or ""


def try_policy(store: Store, matcher: Matcher, text: str, now: int) -> tuple[PolicyTest, list[PolicyMove]]:
    """Assesses everybody under the policy in force and under this one; in parts, so that intake goes on meanwhile."""
    policy = read(text)
    against = matcher.policy
    names = store.members()
    changes = _changes(store)
    shifts: Counter[tuple[str, int, int]] = Counter()
    moves: list[PolicyMove] = []
    everybody = list(store.all_subjects())
    for start in range(0, len(everybody), PART):
        part = everybody[start : start + PART]
        with store.transaction():
            kept = store.ladder(part)
            for neighbourhood, evidence, said in matcher.assessments(part, now):
                state, _ = kept.get(neighbourhood.subject.id, (START, 0))
                beside_it = beside(neighbourhood, matcher.facts(neighbourhood))
                would = with_beside(assess(evidence, policy, now), beside_it, policy, now)
                before = supported(state, said, against, now)
                after = supported(state, would, policy, now)
                if before is after:
                    continue
                member = names[neighbourhood.subject.member]
                shifts[member, int(before), int(after)] += 1
                moves.append(PolicyMove(member, neighbourhood.subject.id, before, after, said.score, would.score))
    moves.sort(key=lambda move: (-abs(move.after - move.before), move.member, move.subject))
    shifted = tuple((*which, number) for which, number in sorted(shifts.items()))
    test = PolicyTest(policy.digest.hex(), policy.version, now, against.digest.hex(), len(everybody), changes, shifted)
    with store.transaction():
        _keep(store, policy, text)
        store.write_document("policy_test", test.digest, json.dumps(_table(test)), replace=True)
    return test, moves[:MOVES_TOLD]


def tested(store: Store, matcher: Matcher, text: str, now: int) -> tuple[Policy, PolicyTest]:
    """The policy and the test that its activation may rest on. Raises Refused POLICY_NOT_TESTED saying what is wrong with it."""
    policy = read(text)
    kept = store.document("policy_test", policy.digest.hex())
    if kept is None:
        raise _untested("a test of this very policy on the current data: policy test")
    table = json.loads(kept)
    test = PolicyTest(**{**table, "shifts": tuple(tuple(shift) for shift in table["shifts"])})
    if policy.digest == matcher.policy.digest:
        raise _untested("a policy other than the one in force")
    if test.against != matcher.policy.digest.hex():
        raise _untested("a test against the policy that is in force now")
    if now - test.tested_at > MAX_AGE_SECONDS:
        raise _untested(f"a test no older than {MAX_AGE_SECONDS // 3_600} hours")
    changed = _changes(store) - test.changes
    if changed > DRIFT_PER_SUBJECT * test.subjects:
        raise _untested(f"a test on the current data; {changed} verdicts have changed since")
    return policy, test


def activate(store: Store, matcher: Matcher, operator: str, text: str, now: int) -> PolicyTest:
    """Brings a tested policy into force, for whatever is decided from now on."""
    before = matcher.policy
    try:
        with store.transaction():
            policy, test = tested(store, matcher, text, now)
            _keep(store, policy, text)
            _enter(store, policy, operator, now)
            store.write_document("policy_applied", "after", "0", replace=True)
            detail = {"digest": test.digest, "version": test.version, "instead_of": test.against, "test": _table(test)}
            record_act(store, operator, ActKind.POLICY_ACTIVATED, detail, now)
            matcher.use(policy)
    except BaseException:
        matcher.use(before)
        raise
    return test


def unapplied(store: Store) -> Iterator[int]:
    """The subjects that were not looked at yet since a policy came into force."""
    after = store.document("policy_applied", "after")
    if after is None or after == "all":
        return iter(())
    return (subject for subject in store.all_subjects() if subject > int(after))


def applied(store: Store, last: int | None) -> None:
    """Everybody up to that subject was looked at, or (None) everybody. Inside a transaction."""
    store.write_document("policy_applied", "after", "all" if last is None else str(last), replace=True)


def _active(store: Store) -> str | None:
    digest = json.loads(store.document("policy_active", "now") or "{}").get("digest")
    return None if digest is None else str(digest)


def _unreadable(digest: str) -> ConfigurationError:
    wanted = (
        f"a program that reads policy {digest[:16]}, which is in force: start the version that activated it, or, where no such"
        f" node is left, serve once with --instead-of-policy {digest[:16]}"
    )
    return ConfigurationError(ErrorCode.INVALID_POLICY, "policy", wanted)


def _keep(store: Store, policy: Policy, text: str) -> None:
    digest = policy.digest.hex()
    if store.document("policy", digest) is None:
        store.write_document("policy", digest, text)
        store.write_document("policy_version", digest, json.dumps(policy.version))


def _enter(store: Store, policy: Policy, operator: str, now: int) -> None:
    digest = policy.digest.hex()
    store.write_document("policy_active", "now", json.dumps({"digest": digest}), replace=True)
    store.write_document("policy_entered", digest, json.dumps({"at": now, "by": operator}), replace=True)


def _changes(store: Store) -> int:
    return sum(store.head(member) for member in store.members())


def _table(test: PolicyTest) -> dict[str, object]:
    return {
        "digest": test.digest,
        "version": test.version,
        "tested_at": test.tested_at,
        "against": test.against,
        "subjects": test.subjects,
        "changes": test.changes,
        "shifts": [list(shift) for shift in test.shifts],
    }


def _untested(expected: str) -> Refused:
    return Refused(ErrorCode.POLICY_NOT_TESTED, "policy", expected)

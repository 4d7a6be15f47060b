"""The operator's side of the registry: every call of an operator's, with its dry run. Members never come here.

It binds store, matcher and clock, tells watchers what an act brought, and refuses as the modules that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import FINGERPRINT_BYTES, Kind, Verdict
from daxa_registry.store.interface import Declared, Store

from . import appeals, cases, infrastructure, policies, replay
from .appeals import Appeal, Correction
from .cases import CaseView
from .matching import Matcher
from .policies import PolicyEntry, PolicyMove, PolicyTest
from .replay import Replay

MAX_DECLARED = 100


@dataclass(frozen=True, slots=True)
class Answered:
    """An appeal as it is after an answer, or would be; the verdict that was appealed; what a grant corrects."""

    appeal: Appeal
    verdict: Verdict
    corrections: tuple[Correction, ...]


class Office:
    """One registry's office. Thread-safe: what changes something waits for the store's transaction."""

    def __init__(
        self, store: Store, matcher: Matcher, on_verdicts: Callable[[dict[int, int]], None], clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._matcher = matcher
        self._on_verdicts = on_verdicts
        self._clock = clock

    def appeals(self) -> list[Appeal]:
        """Open ones first."""
        return appeals.appeals(self._store)

    def answer_appeal(
        self, operator: str, member: str, number: int, grant: bool, reason: str, dry_run: bool
    ) -> Answered:
        """Grants or denies one appeal; a dry run says what a grant would correct, also of one that has an answer."""
        asked = appeals.find(self._store, member, number)
        stored = self._store.verdict(replay.member_of(self._store, member), asked.sequence)
        assert stored is not None, "an appeal is of a verdict that is kept"
        verdict = replay.told_verdict(stored)
        if dry_run:
            with self._store.transaction():
                found = appeals.corrections(self._store, self._matcher, asked, self._clock()) if grant else ()
            return Answered(asked, verdict, found)
        asked, found, heads = appeals.answer(self._store, self._matcher, operator, asked, grant, reason, self._clock())
        self._on_verdicts(heads)
        return Answered(asked, verdict, found)

    def declare(
        self, operator: str, fingerprints: list[bytes], name: str, until: int, dry_run: bool
    ) -> tuple[int, int]:
        """Vouches for addresses: how many of them the registry has seen, and how many keys stand above CLEAR there."""
        if not 1 <= len(fingerprints) <= MAX_DECLARED:
            code = ErrorCode.TOO_MANY_ITEMS if fingerprints else ErrorCode.EMPTY_BATCH
            raise InvalidInput(code, "fingerprints", f"1 to {MAX_DECLARED}, got {len(fingerprints)}")
        for index, fingerprint in enumerate(fingerprints):
            if len(fingerprint) != FINGERPRINT_BYTES:
                wanted = f"{FINGERPRINT_BYTES} bytes, got {len(fingerprint)}"
                raise InvalidInput(ErrorCode.INVALID_LENGTH, f"fingerprints[{index}]", wanted)
        now = self._clock()
        infrastructure.checked(name, until, now)
        with self._store.transaction():
            nodes = [node for one in fingerprints if (node := self._store.node(Kind.ADDRESS, one))]
            there = {subject for node in nodes for subject in self._store.suspects(node)}
        if not dry_run:
            heads = infrastructure.declare(self._store, self._matcher, operator, fingerprints, name, until, now)
            self._on_verdicts(heads)
        return len(nodes), len(there)

    def infrastructure(self) -> list[Declared]:
        """What is declared."""
        return self._store.declared()

    def remove(self, operator: str, number: int, dry_run: bool) -> Declared:
        """Takes one declaration back: what it was."""
        found = infrastructure.find(self._store, number)
        if not dry_run:
            self._on_verdicts(infrastructure.remove(self._store, self._matcher, operator, number, self._clock()))
        return found

    def cases(self, number: int = 0) -> list[CaseView]:
        """Every case, or one."""
        return cases.cases(self._store, self._matcher, self._clock(), number)

    def replay(self, member: str, sequence: int) -> Replay:
        """One verdict, decided again."""
        return replay.replay(self._store, replay.member_of(self._store, member), sequence)

    def policies(self) -> list[PolicyEntry]:
        """Every policy that was in force or tested."""
        return policies.policies(self._store)

    def policy(self, digest: str) -> tuple[PolicyEntry, str]:
        """One policy and its text."""
        return policies.find(self._store, digest)

    def try_policy(self, text: str) -> tuple[PolicyTest, list[PolicyMove]]:
        """Who would move under it."""
        return policies.try_policy(self._store, self._matcher, text, self._clock())

    def activate(self, operator: str, text: str, dry_run: bool) -> PolicyTest:
        """Brings a policy into force: the test that this rests on."""
        if dry_run:
            return policies.tested(self._store, self._matcher, text, self._clock())[1]
        return policies.activate(self._store, self._matcher, operator, text, self._clock())

"""Matching: which subjects have to be decided again after a change, and what their verdicts become.

The same code decides behind the live intake and in a back-test. It refuses nothing: what it is given is already stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from daxa_core.codec import encode_verdict
from daxa_core.model import SECONDS_PER_HOUR, CountBucket, Level, Reason, Verdict
from daxa_registry.decision.assess import Assessment, assess
from daxa_registry.decision.evidence import Evidence, evidence_of
from daxa_registry.decision.graph import Neighbourhood, Place
from daxa_registry.decision.places import PlaceFacts, facts_of
from daxa_registry.decision.policy import Policy
from daxa_registry.store.interface import Absorbed, Standing, Store, StoredVerdict

CHUNK = 1_000
MAX_REASONS = 16
FACTS_CACHED = 20_000


class Matcher:
    """Decides subjects of one store under one policy. Used by one thread, inside the store's transaction."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self.policy = policy
        self._facts: dict[int, tuple[Place, PlaceFacts]] = {}

    def after(self, absorbed: Absorbed) -> frozenset[int]:
        """Who has to be decided again: whom the batch moved, and everybody on a place that passed a step."""
        return absorbed.moved | self._store.subjects_on(absorbed.grown) if absorbed.grown else absorbed.moved

    def decide(self, subjects: Iterable[int], now: int) -> dict[int, int]:
        """Decides each at ``now`` (seconds) and stores what changed; the members that have news, with their new head."""
        heads: dict[int, int] = {}
        wanted = sorted(subjects)
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            standings = self._store.standings(part)
            for neighbourhood, evidence, assessment in self.assessments(part, now):
                standing = standings[neighbourhood.subject.id]
                if assessment.level == standing.level:
                    continue
                sequence = heads.get(standing.member)
                sequence = (self._store.head(standing.member) if sequence is None else sequence) + 1
                self._store.append_verdict(self._verdict(standing, sequence, evidence, assessment, now))
                heads[standing.member] = sequence
        return heads

    def assessments(self, subjects: list[int], now: int) -> Iterator[tuple[Neighbourhood, Evidence, Assessment]]:
        """What the policy says of each subject at ``now``; nothing is stored."""
        hour = now // SECONDS_PER_HOUR
        for neighbourhood in self._store.neighbourhoods(subjects):
            population = self._store.population()
            facts = {address: self._facts_of(place) for address, place in neighbourhood.places.items()}
            evidence = evidence_of(neighbourhood, facts, population, hour)
            yield neighbourhood, evidence, assess(evidence, self.policy, now)

    def _facts_of(self, place: Place) -> PlaceFacts:
        """A place's facts, worked out once as long as the store hands out the same place."""
        known = self._facts.get(place.address)
        if known is not None and known[0] is place:
            return known[1]
        facts = facts_of(place, self._store.population())
        if len(self._facts) >= FACTS_CACHED:
            self._facts.clear()
        self._facts[place.address] = (place, facts)
        return facts

    def _verdict(
        self, standing: Standing, sequence: int, evidence: Evidence, assessment: Assessment, now: int
    ) -> StoredVerdict:
        verdict = Verdict(
            key=standing.key,
            level=assessment.level,
            score=assessment.score,
            reasons=reasons_of(assessment),
            sequence=sequence,
            decided_at=now,
            valid_until=now + self.policy.ladder.valid_hours * SECONDS_PER_HOUR,
            policy_digest=self.policy.digest,
            evidence_digest=evidence.digest(),
        )
        return StoredVerdict(
            standing.subject, standing.member, sequence, assessment.level, now, encode_verdict(verdict),
            evidence.to_bytes(),
        )  # fmt: skip


def reasons_of(assessment: Assessment) -> tuple[Reason, ...]:
    """The terms as a member may see them: the weightiest first, counts bucketed; none at CLEAR."""
    if assessment.level is Level.CLEAR:
        return ()
    terms = sorted(assessment.terms, key=lambda term: -abs(term.contribution))[:MAX_REASONS]
    return tuple(Reason(term.code, round(term.contribution, 3), CountBucket.of(term.count)) for term in terms)

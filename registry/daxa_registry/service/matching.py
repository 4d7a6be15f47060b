"""Matching: which subjects have to be decided again after a change, and what their verdicts become.

The same code assesses behind the live intake, in a sweep, in a replay and in a back-test; ``decide`` alone moves a verdict, by
one step of the ladder, and stores each change as one event. It refuses nothing: what it is given is already stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from daxa_core.codec import encode_verdict
from daxa_core.model import SECONDS_PER_HOUR, Act, Cause, CountBucket, Level, Manner, Reason, Verdict
from daxa_registry.decision.assess import Assessment, assess
from daxa_registry.decision.evidence import NOT_LOOKED_AT, Evidence, evidence_of
from daxa_registry.decision.graph import Neighbourhood, Place, Population
from daxa_registry.decision.ladder import START, TAKEN_BACK, State, change, due, step
from daxa_registry.decision.leaked import Beside, attach, beside, claim_of, with_beside
from daxa_registry.decision.places import PlaceFacts, facts_of
from daxa_registry.decision.policy import Policy
from daxa_registry.decision.quiet import Quiet
from daxa_registry.decision.told import as_told
from daxa_registry.store.interface import Absorbed, Standing, Store, StoredVerdict

from .log import Log

CHUNK = 1_000
MAX_REASONS = 16
FACTS_CACHED = 20_000
NOTHING_JUDGED: Mapping[int, float] = {}


class Matcher:
    """Decides subjects of one store under one policy. Used by one thread, inside the store's transaction."""

    def __init__(self, store: Store, policy: Policy, log: Log | None = None) -> None:
        """``log``: what signs each verdict and writes it down for good; None where nobody is told, as in a back-test."""
        self._store = store
        self._log = log
        self.use(policy)
        self._facts: dict[int, tuple[Place, PlaceFacts, Population]] = {}
        self.told = 0
        """Changes stored so far, those of transactions that failed included."""

    def use(self, policy: Policy) -> None:
        """Decides under that policy from now on."""
        self.policy = policy
        self._quiet = Quiet(policy)

    def after(self, absorbed: Absorbed) -> frozenset[int]:
        """Who has to be decided again: whom the batch moved, if a glance does not show that there is nothing to say, and
        everybody on a place whose evidence class changed."""
        surely_clear = self._quiet.surely_clear
        calm = {glance.subject for glance in self._store.glances(absorbed.moved) if surely_clear(glance)}
        calm -= self._store.of_leaked_keys(calm)
        again = absorbed.moved - calm
        return again | self._store.subjects_on(absorbed.grown) if absorbed.grown else again

    def decide(
        self,
        subjects: Iterable[int],
        now: int,
        act: Act | None = None,
        judged: Mapping[int, float] = NOTHING_JUDGED,
        heads: dict[int, int] | None = None,
    ) -> dict[int, int]:
        """Moves each by one step at ``now`` (seconds), or by what an exchange did, and stores what changed.

        ``judged`` has the nats that were judged false, for subjects where that was not the whole score. Of a key whose leak was
        taken back nothing that was seen was judged: what the leak held up alone falls, and is told why, whoever looks first.
        Answers the members that have news, with their new head; ``heads`` are those of this transaction so far. Call it once a
        transaction.
        """
        heads = {} if heads is None else heads
        wanted = sorted(subjects)
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            standings = self._store.standings(part)
            kept = self._store.ladder(part)
            taken_back = self._store.taken_back(part) if act is None else {}
            for neighbourhood, evidence, assessment in self.assessments(part, now):
                subject = neighbourhood.subject.id
                before, was_due = kept.get(subject, (START, 0))
                if before == START and _at_the_wrong_door(neighbourhood):
                    continue
                done, false = act, judged.get(subject)
                if before.level and subject in taken_back:
                    done = Act.JUDGED_FALSE
                    false = -self.policy.ladder.judged_margin if taken_back[subject] else TAKEN_BACK  # no pardon stays
                after = step(before, assessment, done, self.policy, now, false)
                again = due(after, assessment, self.policy, now)
                if after == before and (now < was_due <= again or was_due == again):
                    continue
                self._store.save_ladder(subject, after, again)
                said = beside(neighbourhood, self.facts(neighbourhood))
                self._tell(standings[subject], before, after, evidence, assessment, said, now, heads, done, false)
        return heads

    def notice(self, subjects: Iterable[int], now: int) -> dict[int, int]:
        """Tells at once of leaks that have come into force, as :meth:`decide` answers.

        Whoever is at the start, or whose key stands in a verified leak, is moved by what leaks say alone, with no look at
        anything else, and is due for a whole look at once: the claim moves it as far either way, and a look takes longer than all
        the rest. The others are decided. ``subjects`` are those that their member knows. Call it once a transaction.
        """
        wanted = sorted(subjects)
        kept, leaks = self._store.ladder(wanted), self._store.leaks_of(wanted)
        standings = self._store.standings(wanted)
        silent = assess(NOT_LOOKED_AT, self.policy, now)
        looked_at: set[int] = set()
        heads: dict[int, int] = {}
        for subject in wanted:
            before, _ = kept.get(subject, (START, 0))
            found = leaks.get(subject)
            if found is None or not (before == START or found.verified):
                looked_at.add(subject)
                continue
            said = Beside(claim_of(standings[subject].member, found))
            assessment = with_beside(silent, said, self.policy, now)
            after = step(before, assessment, None, self.policy, now)
            self._store.save_ladder(subject, after, now)
            self._tell(standings[subject], before, after, NOT_LOOKED_AT, assessment, said, now, heads)
        return self.decide(looked_at, now, heads=heads)

    def _tell(
        self,
        standing: Standing,
        before: State,
        after: State,
        evidence: Evidence,
        assessment: Assessment,
        said: Beside,
        now: int,
        heads: dict[int, int],
        act: Act | None = None,
        judged: float | None = None,
    ) -> None:
        """Stores, signs and logs a change, if it is one that the member has to be told."""
        cause = change(before, after)
        if cause is Cause.NONE:
            return
        sequence = heads.get(standing.member)
        sequence = (self._store.head(standing.member) if sequence is None else sequence) + 1
        told = as_told(assessment, evidence, said, self.policy, now)
        verdict = verdict_of(standing, sequence, evidence, told, after, cause, self.policy, now)
        rested_on = attach(said, evidence.to_bytes())
        body = (
            self._log.append_verdict(verdict, standing.member, rested_on)
            if self._log is not None
            else encode_verdict(verdict)
        )
        self._store.append_verdict(
            StoredVerdict(
                standing.subject, standing.member, sequence, after.level, now, body, rested_on, before.to_json(), act, judged
            )
        )  # fmt: skip
        heads[standing.member] = sequence
        self.told += 1

    def assessments(self, subjects: list[int], now: int) -> Iterator[tuple[Neighbourhood, Evidence, Assessment]]:
        """What the policy says of each subject at ``now``; nothing is stored."""
        leaks = self._store.leaks_of(subjects)
        for neighbourhood in self._store.neighbourhoods(subjects):
            found = leaks.get(neighbourhood.subject.id)
            if found is not None:
                neighbourhood = replace(neighbourhood, leaks=found)
            yield neighbourhood, *self.assess(neighbourhood, now)

    def assess(self, neighbourhood: Neighbourhood, now: int) -> tuple[Evidence, Assessment]:
        """What the policy says of one neighbourhood at ``now``, stored or imagined."""
        facts = self.facts(neighbourhood)
        evidence = evidence_of(neighbourhood, facts, self._store.population(), now // SECONDS_PER_HOUR)
        said = beside(neighbourhood, facts)
        return evidence, with_beside(assess(evidence, self.policy, now), said, self.policy, now)

    def facts(self, neighbourhood: Neighbourhood) -> dict[int, PlaceFacts]:
        """The facts of every place of a neighbourhood."""
        population = self._store.population()
        return {address: self._facts_of(place, population) for address, place in neighbourhood.places.items()}

    def _facts_of(self, place: Place, population: Population) -> PlaceFacts:
        """A place's facts, worked out once as long as the store hands out the same place, no hour in which it was used becomes
        unusual or usual, and nobody looks again how common client stacks are.

        By the object, which is kept: of a hub there is one for each set of devices that it is seen with.
        """
        known = self._facts.get(id(place))
        if known is not None and known[2] is population:
            return known[1]
        if known is not None and _as_usual(place, known[2], population):
            facts = known[1]
        else:
            facts = facts_of(place, population)
        if len(self._facts) >= FACTS_CACHED:
            self._facts.clear()
        self._facts[id(place)] = (place, facts, population)
        return facts


def _as_usual(place: Place, before: Population, now: Population) -> bool:
    """Whether the hours in which it was used and the client stacks are as usual as they were before."""
    if before.stacks is not now.stacks:
        return False
    if not (before.unusual or now.unusual):
        return True
    first = min([presence.first for presence in place.presences], default=0)
    last = max([presence.last for presence in place.presences], default=0)
    return before.unusual_within(first, last) == now.unusual_within(first, last)


def _at_the_wrong_door(neighbourhood: Neighbourhood) -> bool:
    """A key that this member refused and does not know: what it says is evidence for the key's own exchange alone."""
    own = neighbourhood.own
    return neighbourhood.subject.account is None and all(p.manner is Manner.REJECTED for p in own)


def verdict_of(
    standing: Standing,
    sequence: int,
    evidence: Evidence,
    assessment: Assessment,
    state: State,
    cause: Cause,
    policy: Policy,
    now: int,
) -> Verdict:
    """The verdict as its member is told it: a function of its arguments alone, so that it can be made again.

    ``assessment`` is what the member may know, as :mod:`daxa_registry.decision.told` has it."""
    return Verdict(
        key=standing.key,
        level=state.level,
        score=assessment.score,
        reasons=reasons_of(assessment, state.level),
        sequence=sequence,
        decided_at=now,
        valid_until=state.valid_until,
        policy_digest=policy.digest,
        evidence_digest=evidence.digest(),
        scope=state.scope,
        deadline=state.deadline,
        cause=cause,
    )


def reasons_of(assessment: Assessment, level: Level | None = None) -> tuple[Reason, ...]:
    """The terms of a verdict, counts bucketed: first what was left out or noted without adding to the score, then the weightiest.

    Where ``level`` is CLEAR, of a hub that was left out alone: nothing else is to be explained."""
    terms = [term for term in assessment.terms if level is not Level.CLEAR or term.code == "SUPPRESSED_HUB"]
    terms = sorted(terms, key=lambda term: (term.contribution != 0, -abs(term.contribution)))[:MAX_REASONS]
    return tuple(
        Reason(term.code, round(term.contribution, 3), CountBucket.of(term.number), term.hour) for term in terms
    )

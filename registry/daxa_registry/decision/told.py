"""What a member is told of an assessment: the score and the reasons that the evidence would give if it were known in steps alone.

With five members an exact count is nearly a name, so counts are told in buckets; but whoever has the policy can turn what a count
adds to a score back into the count. So each count is moved to the middle of its bucket, of what is measured otherwise (shares,
whose denominators are counts) there is one digit, and the score and all contributions are worked out again from that.

The exact evidence has decided the level, and is what is stored and replayed: where the two support different levels, the score
told is moved to the edge of the one that was supported, by a reason of its own.

0 is told from 1 by whether the reason is there at all.

>>> in_steps(evidence).views[0].values[INDEX["people"]]     # doctest: +SKIP
7.0
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from daxa_core.model import CountBucket
from daxa_registry.decision.assess import JUST_BELOW, Assessment, Term, all_heard, assess, ordered
from daxa_registry.decision.evidence import Evidence, View
from daxa_registry.decision.features import FEATURES
from daxa_registry.decision.leaked import Beside, with_beside
from daxa_registry.decision.policy import Levels, Policy

COUNTS = frozenset(
    {
        "people", "crowd", "partners", "stack_people", "declared", "travel", "shadows", "stacks", "networks", "parties",
        "hosts", "breadth", "foreign_networks", "wrong_doors",
    }
)  # fmt: skip
MIDDLES = {
    CountBucket.FROM_2_TO_4: 3.0, CountBucket.FROM_5_TO_9: 7.0, CountBucket.FROM_10_TO_49: 22.0, CountBucket.FROM_50: 100.0,
}  # fmt: skip
_IS_COUNT = tuple(feature.name in COUNTS for feature in FEATURES)


def as_told(exact: Assessment, evidence: Evidence, said: Beside, policy: Policy, now: int) -> Assessment:
    """What the member is told of the ``exact`` assessment of that evidence, with what is ``said`` beside it.

    A function of the evidence in steps, of the level that the exact score supports, and of the other arguments.
    """
    known = in_steps(evidence)
    if known == evidence:
        return all_heard(exact, evidence, policy, now)
    told = with_beside(assess(known, policy, now), said, policy, now)
    score = _within(told.score, exact.score, policy.levels)
    if score != told.score:
        terms = ordered([*told.terms, Term("COUNTS_IN_STEPS", score - told.score)])
        told = replace(told, score=score, level=exact.level, because=terms)
    return all_heard(told, known, policy, now)


def in_steps(evidence: Evidence) -> Evidence:
    """The evidence as far as a member may know it."""
    return replace(evidence, views=tuple([View(view.without, _in_steps(view.values)) for view in evidence.views]))


@lru_cache(4_096)
def _in_steps(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple([_count(x) if count else float(f"{x:.1g}") for x, count in zip(values, _IS_COUNT, strict=True)])


def _count(number: float) -> float:
    whole = round(number)
    return MIDDLES.get(CountBucket.of(whole), float(whole))


def _within(score: float, exact: float, levels: Levels) -> float:
    """The score nearest to that one which supports the same level as ``exact``."""
    steps = (levels.monitor, levels.warn, levels.reauthenticate, levels.revoke)
    least = max((step for step in steps if step <= exact), default=-math.inf)
    most = min((step - JUST_BELOW for step in steps if step > exact), default=math.inf)
    return max(min(score, most), least)

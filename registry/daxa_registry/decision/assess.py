"""The decision: evidence and policy in, score, level and named terms out.

Each hypothesis is its prior plus its terms; the score is the logarithm of the sum of their odds. Over that stand rules that no
weight can buy off:

- one person is not a ring: with one person on all shared addresses, the operator hypothesis does not speak;
- sharing an address, with nothing else to go by, does not pass ``MONITOR``;
- one member alone moves nobody (``bound``).

The terms of an assessment add up to its score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from daxa_core.model import Level
from daxa_registry.decision.bound import bounded
from daxa_registry.decision.evidence import Evidence, View
from daxa_registry.decision.features import FEATURES, INDEX, Hypothesis
from daxa_registry.decision.policy import Policy, Weights

HYPOTHESES = tuple(Hypothesis)
SILENT = -9.0
JUST_BELOW = 0.01
_PEOPLE, _LOCKSTEP, _PARTNERS = INDEX["people"], INDEX["lockstep"], INDEX["partners"]
_SAME, _DECLARED, _NETWORKS = INDEX["same_stack"], INDEX["declared"], INDEX["networks"]
_ATTEMPTS = INDEX["breadth"]
# Where each hypothesis has its features: they stand together.
_OWN = {
    hypothesis: slice(places[0], places[-1] + 1)
    for hypothesis in HYPOTHESES
    for places in [[i for i, feature in enumerate(FEATURES) if feature.hypothesis is hypothesis]]
}
_COUNTED = frozenset(
    INDEX[name]
    for name in ("people", "crowd", "partners", "declared", "stacks", "networks", "hosts", "breadth", "wrong_doors")
)


@dataclass(frozen=True, slots=True)
class Term:
    """One named part of a score, in nats; ``count`` is how many it speaks of, None where that means nothing."""

    code: str
    contribution: float
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the evidence supports. ``terms``, largest first, add up to ``score``.

    ``seen_hour`` is when what ``hypothesis`` rests on was last seen: whether sharing went on after a warning.
    """

    score: float
    level: Level
    hypothesis: Hypothesis
    terms: tuple[Term, ...]
    seen_hour: int = 0


def assess(evidence: Evidence, policy: Policy, now: int) -> Assessment:
    """The score, level and terms at ``now`` (seconds since the epoch). A function of its arguments alone."""
    hour = now // 3_600
    fades = {
        Hypothesis.OPERATOR: _fade(evidence.operator_hour, hour, policy.weights[Hypothesis.OPERATOR]),
        Hypothesis.PARTIES: _fade(evidence.parties_hour, hour, policy.weights[Hypothesis.PARTIES]),
        Hypothesis.LEAK: _fade(evidence.leak_hour, hour, policy.weights[Hypothesis.LEAK]),
    }
    views = evidence.views
    if len(views) == 1:
        decisive = views[0]
    else:
        known: dict[tuple[object, ...], float] = {}
        scores = {view.without: _score(view, policy, fades, known) for view in views}
        chosen = bounded(scores)
        decisive = next(view for view in views if view.without == chosen)
    return _explain(decisive, evidence, policy, fades)


def _fade(last: int, hour: int, weights: Weights) -> float:
    age = hour - last
    return 1.0 if age <= 0 else math.exp2(-age / weights.half_life_hours)


def _log_odds(view: View, hypothesis: Hypothesis, policy: Policy, fade: float) -> float:
    values = view.values
    if _silent(values, hypothesis):
        return SILENT
    weights = policy.weights[hypothesis]
    total = 0.0
    for curve in weights.curves:
        total += curve(values[curve.feature])
    for surface in weights.surfaces:
        first, second = surface.features
        total += surface(values[first], values[second])
    score = weights.prior + (total * fade if total > 0 else total)
    if hypothesis is Hypothesis.OPERATOR and score >= policy.levels.warn and _address_only(values):
        return policy.levels.warn - JUST_BELOW
    return score


def _silent(values: tuple[float, ...], hypothesis: Hypothesis) -> bool:
    if hypothesis is Hypothesis.OPERATOR:
        return values[_PEOPLE] < 2
    if hypothesis is Hypothesis.PARTIES:
        return values[_NETWORKS] < 2
    return values[_ATTEMPTS] < 1


def _address_only(values: tuple[float, ...]) -> bool:
    """Nothing but the address is shared: no client stack, no hours, no allow-list."""
    return values[_SAME] <= 0 and values[_PARTNERS] <= 0 and values[_DECLARED] <= 0 and values[_LOCKSTEP] <= 0


def _score(
    view: View, policy: Policy, fades: dict[Hypothesis, float], known: dict[tuple[object, ...], float]
) -> float:
    """The score of one view. ``known``: what was worked out for other views of the same evidence; most say the same."""
    score = known.get(view.values)
    if score is None:
        odds = []
        for hypothesis, own in _OWN.items():
            said = (hypothesis, view.values[own])
            one = known.get(said)
            if one is None:
                one = known[said] = _log_odds(view, hypothesis, policy, fades[hypothesis])
            odds.append(one)
        score = known[view.values] = _log_sum(odds)
    return score


def _log_sum(odds: list[float]) -> float:
    top = max(odds)
    return top + math.log(sum(math.exp(value - top) for value in odds))


def _explain(view: View, evidence: Evidence, policy: Policy, fades: dict[Hypothesis, float]) -> Assessment:
    odds = [_log_odds(view, hypothesis, policy, fades[hypothesis]) for hypothesis in HYPOTHESES]
    score = _log_sum(odds)
    leading = HYPOTHESES[odds.index(max(odds))]
    terms: list[Term] = []
    if _silent(view.values, leading):
        terms.append(Term("NOTHING_SHARED", SILENT))
        reached = SILENT
    else:
        weights = policy.weights[leading]
        terms.append(Term(f"{leading.name}_PRIOR", weights.prior))
        total = 0.0
        values = view.values
        parts = [(c.code, c(values[c.feature]), c.feature) for c in weights.curves]
        parts += [(s.code, s(values[s.features[0]], values[s.features[1]]), s.features[0]) for s in weights.surfaces]
        for code, contribution, feature in parts:
            total += contribution
            if contribution:
                count = round(values[feature]) if feature in _COUNTED else None
                terms.append(Term(code, contribution, count))
        faded = total * fades[leading] if total > 0 else total
        if faded != total:
            terms.append(Term("FADED", faded - total))
        reached = weights.prior + faded
        capped = odds[HYPOTHESES.index(leading)]
        if capped != reached:
            terms.append(Term("ADDRESS_ONLY", capped - reached))
            reached = capped
    if score != reached:
        terms.append(Term("OTHER_HYPOTHESES", score - reached))
    if evidence.hub_subjects or evidence.infrastructure:
        terms.append(Term("SUPPRESSED_HUB", 0.0, max(evidence.hub_subjects, evidence.infrastructure)))
    if view.without:
        terms.append(Term("ONE_MEMBER_LEFT_OUT", 0.0, len(view.without)))
    last = {
        Hypothesis.OPERATOR: evidence.operator_hour,
        Hypothesis.PARTIES: evidence.parties_hour,
        Hypothesis.LEAK: evidence.leak_hour,
    }[leading]
    terms.sort(key=lambda term: (-term.contribution, term.code))
    return Assessment(score, policy.levels.of(score), leading, tuple(terms), last)

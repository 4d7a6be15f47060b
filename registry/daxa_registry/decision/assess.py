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
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from daxa_core.model import Level
from daxa_registry.decision.bound import bounded
from daxa_registry.decision.evidence import Evidence, View
from daxa_registry.decision.features import INDEX, Hypothesis
from daxa_registry.decision.policy import Policy, Weights

HYPOTHESES = tuple(Hypothesis)
SILENT = -9.0
JUST_BELOW = 0.01
_LOWEST = (0, 0.0)
_PEOPLE, _LOCKSTEP, _PARTNERS = INDEX["people"], INDEX["lockstep"], INDEX["partners"]
_SAME, _DECLARED, _NETWORKS = INDEX["same_stack"], INDEX["declared"], INDEX["networks"]
_ATTEMPTS = INDEX["breadth"]
_COUNTED = frozenset(
    INDEX[name]
    for name in ("people", "crowd", "partners", "declared", "stacks", "networks", "hosts", "breadth", "wrong_doors")
)


class Term(NamedTuple):
    """One named part of a score, in nats; ``number`` is how many it speaks of, None where that means nothing, and ``hour`` when
    last, 0 where that does. A tuple, because there are a hundred in a decision."""

    code: str
    contribution: float
    number: int | None = None
    hour: int = 0


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the evidence supports.

    ``because`` has the terms, or says them when asked: most decisions change nothing, and nobody asks. ``seen_hour`` is when
    what ``hypothesis`` rests on was last seen: whether sharing went on after a warning.
    """

    score: float
    level: Level
    hypothesis: Hypothesis
    because: tuple[Term, ...] | Callable[[], tuple[Term, ...]]
    seen_hour: int = 0

    @property
    def terms(self) -> tuple[Term, ...]:
        """Largest first; they add up to ``score``."""
        return self.because if isinstance(self.because, tuple) else self.because()


def assess(evidence: Evidence, policy: Policy, now: int) -> Assessment:
    """The score, level and terms at ``now`` (seconds since the epoch). A function of its arguments alone."""
    hour = now // 3_600
    judges = _judges(policy)
    seen = (evidence.operator_hour, evidence.parties_hour, evidence.leak_hour)
    fades = [_fade(last, hour, judge.weights) for last, judge in zip(seen, judges, strict=True)]
    heard = _Heard(judges, fades)
    views = {view.without: view for view in evidence.views}
    decisive = views[bounded(views, lambda without: heard.score(views[without].values))]
    said = heard.said(decisive.values)
    odds = [one for one, _ in said]
    score = _log_sum(odds)
    leads = odds.index(max(odds))
    hypothesis = HYPOTHESES[leads]

    def because() -> tuple[Term, ...]:
        return _terms(evidence, heard, decisive, score)

    return Assessment(score, policy.levels.of(score), hypothesis, because, seen[leads])


def _fade(last: int, hour: int, weights: Weights) -> float:
    age = hour - last
    return 1.0 if age <= 0 else math.exp2(-age / weights.half_life_hours)


class _Judge:
    """One hypothesis of one policy, made ready: pairs that share a feature and its knots look the place up once."""

    __slots__ = ("_axes", "_curves", "_pairs", "cap", "codes", "hypothesis", "weights")

    def __init__(self, hypothesis: Hypothesis, policy: Policy) -> None:
        self.hypothesis = hypothesis
        self.weights = weights = policy.weights[hypothesis]
        self.cap = policy.levels.warn if hypothesis is Hypothesis.OPERATOR else math.inf
        self._curves = [(curve.feature, curve.knots[0], curve.knots, curve.values) for curve in weights.curves]
        codes = [(curve.code, curve.feature) for curve in weights.curves]
        codes += [(surface.code, surface.features[0]) for surface in weights.surfaces]
        self.codes = [(code, feature if feature in _COUNTED else None) for code, feature in codes]
        axes: dict[tuple[int, tuple[float, ...]], int] = {}
        self._pairs = []
        for surface in weights.surfaces:
            first, second = surface.features
            row = axes.setdefault((first, surface.rows), len(axes))
            column = axes.setdefault((second, surface.columns), len(axes))
            self._pairs.append((row, column, surface.values))
        self._axes = [(feature, knots[0], knots, len(knots) - 2) for feature, knots in axes]

    def terms(self, values: tuple[float, ...]) -> list[float]:
        """What each term says, curves before pairs: as they say when called, without the calls."""
        out = []
        for feature, lowest, knots, heights in self._curves:
            x = values[feature]
            if x <= lowest:  # as most features of most keys are
                out.append(heights[0])
                continue
            i = bisect_right(knots, x)
            if i == len(knots):
                out.append(heights[-1])
            else:
                low, height = knots[i - 1], heights[i - 1]
                out.append(height + (heights[i] - height) * (x - low) / (knots[i] - low))
        at: list[tuple[int, float]] = []
        for feature, lowest, knots, last in self._axes:
            x = values[feature]
            if x <= lowest:
                at.append(_LOWEST)
                continue
            i = bisect_right(knots, x) - 1
            if i > last:
                at.append((last, 1.0))
            else:
                low = knots[i]
                at.append((i, (x - low) / (knots[i + 1] - low)))
        for row, column, table in self._pairs:
            i, t = at[row]
            j, u = at[column]
            upper = table[i]
            above = upper[j] + (upper[j + 1] - upper[j]) * u if u else upper[j]
            if t:  # as often as not a value lies at the edge of its knots
                lower = table[i + 1]
                above += (lower[j] + (lower[j + 1] - lower[j]) * u - above) * t
            out.append(above)
        return out

    def log_odds(self, values: tuple[float, ...], terms: list[float], fade: float) -> float:
        total = 0.0
        for term in terms:  # one after the other, as the terms of an assessment add up
            total += term
        score = self.weights.prior + (total * fade if total > 0 else total)
        return self.cap - JUST_BELOW if score >= self.cap and _address_only(values) else score


_READY: dict[int, tuple[Policy, tuple[_Judge, ...]]] = {}
READY_KEPT = 16


def _judges(policy: Policy) -> tuple[_Judge, ...]:
    """By the object, which is kept: to compare policies would cost more than to decide."""
    known = _READY.get(id(policy))
    if known is None:
        if len(_READY) >= READY_KEPT:
            _READY.clear()
        known = _READY[id(policy)] = (policy, tuple(_Judge(hypothesis, policy) for hypothesis in HYPOTHESES))
    return known[1]


class _Heard:
    """What the hypotheses say of the views of one evidence: many views are alike."""

    __slots__ = ("_known", "fades", "judges")

    def __init__(self, judges: tuple[_Judge, ...], fades: list[float]) -> None:
        self.judges, self.fades = judges, fades
        self._known: dict[tuple[float, ...], list[tuple[float, list[float]]]] = {}

    def score(self, values: tuple[float, ...]) -> float:
        return _log_sum([odds for odds, _ in self.said(values)])

    def said(self, values: tuple[float, ...]) -> list[tuple[float, list[float]]]:
        """The log-odds of each hypothesis, and its terms; none where it is silent."""
        out = self._known.get(values)
        if out is None:
            out = self._known[values] = []
            for judge, fade in zip(self.judges, self.fades, strict=True):
                if _silent(values, judge.hypothesis):
                    out.append((SILENT, []))
                else:
                    terms = judge.terms(values)
                    out.append((judge.log_odds(values, terms, fade), terms))
        return out


def _silent(values: tuple[float, ...], hypothesis: Hypothesis) -> bool:
    if hypothesis is Hypothesis.OPERATOR:
        return values[_PEOPLE] < 2
    if hypothesis is Hypothesis.PARTIES:
        return values[_NETWORKS] < 2
    return values[_ATTEMPTS] < 1


def _address_only(values: tuple[float, ...]) -> bool:
    """Nothing but the address is shared: no client stack, no hours, no allow-list."""
    return values[_SAME] <= 0 and values[_PARTNERS] <= 0 and values[_DECLARED] <= 0 and values[_LOCKSTEP] <= 0


def _log_sum(odds: list[float]) -> float:
    top = max(odds)
    return top + math.log(sum(math.exp(value - top) for value in odds))


def _terms(evidence: Evidence, heard: _Heard, view: View, score: float) -> tuple[Term, ...]:
    """Why it is that score: the leading hypothesis' prior and terms, and what was done to their sum."""
    values = view.values
    said = heard.said(values)
    odds = [one for one, _ in said]
    leads = odds.index(max(odds))
    judge, fade = heard.judges[leads], heard.fades[leads]
    terms: list[Term] = []
    if _silent(values, judge.hypothesis):
        terms.append(Term("NOTHING_SHARED", SILENT))
        reached = SILENT
    else:
        prior = judge.weights.prior
        terms.append(Term(f"{judge.hypothesis.name}_PRIOR", prior))
        total = 0.0
        for (code, feature), contribution in zip(judge.codes, said[leads][1], strict=True):
            total += contribution
            if contribution:
                terms.append(Term(code, contribution, None if feature is None else round(values[feature])))
        faded = total * fade if total > 0 else total
        if faded != total:
            terms.append(Term("FADED", faded - total))
        reached = prior + faded
        capped = odds[leads]
        if capped != reached:
            terms.append(Term("ADDRESS_ONLY", capped - reached))
            reached = capped
    if score != reached:
        terms.append(Term("OTHER_HYPOTHESES", score - reached))
    if evidence.hub_subjects or evidence.infrastructure:
        terms.append(Term("SUPPRESSED_HUB", 0.0, max(evidence.hub_subjects, evidence.infrastructure)))
    if view.without:
        terms.append(Term("ONE_MEMBER_LEFT_OUT", 0.0, len(view.without)))
    return ordered(terms)


def ordered(terms: list[Term]) -> tuple[Term, ...]:
    """Largest first, the same whatever order they came in."""
    return tuple(sorted(terms, key=lambda term: (-term.contribution, term.code)))

"""The decision: evidence and policy in, score, level and named terms out.

Each hypothesis is its prior plus its terms; the score is the logarithm of the sum of their odds. Over that stand rules that no
weight can buy off:

- one person is not a ring: with one person on all shared addresses, the operator hypothesis does not speak;
- addresses alone, with nothing else to go by, do not pass ``MONITOR``: neither an address shared, with no client stack, no
  hours and no allow-list in common, nor a key seen on many addresses, with one client stack or none known and nobody's own keys
  run with it there; nor both of them together;
- one member alone moves nobody (``bound``).

The terms of an assessment add up to its score.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from itertools import pairwise
from operator import add
from typing import NamedTuple

from daxa_core.model import Level
from daxa_registry.decision.bound import bounded
from daxa_registry.decision.evidence import Evidence, Values, View
from daxa_registry.decision.features import INDEX, Hypothesis
from daxa_registry.decision.policy import Policy, Surface, Weights

HYPOTHESES = tuple(Hypothesis)
SILENT = -9.0
JUST_BELOW = 0.01
SPEAKING_KEPT = 4_096
Knots = tuple[float, ...]
Corners = tuple[tuple[tuple[float, float, float, float], ...], ...]
_LOWEST = (0, 0.0)
_PEOPLE, _LOCKSTEP, _PARTNERS = INDEX["people"], INDEX["lockstep"], INDEX["partners"]
_SAME, _DECLARED, _NETWORKS = INDEX["same_stack"], INDEX["declared"], INDEX["networks"]
_ATTEMPTS = INDEX["breadth"]
_STACKS, _HOSTS = INDEX["stacks"], INDEX["hosts"]
_SPEAKS = {Hypothesis.OPERATOR: (_PEOPLE, 2), Hypothesis.PARTIES: (_NETWORKS, 2), Hypothesis.LEAK: (_ATTEMPTS, 1)}
"""From how much of which feature on each hypothesis says anything."""
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
    heard = _heard(evidence, policy, now)
    if len(evidence.views) == 1:
        decisive = evidence.views[0]
        said = heard.fresh(decisive.values)
    else:
        views = {view.without: view for view in evidence.views}
        decisive = views[bounded(views, lambda without: heard.score(views[without].values))]
        said = heard.said(decisive.values)
    odds = [one for one, _ in said]
    score = heard.summed(decisive.values, odds)
    leads = odds.index(max(odds))
    hypothesis = HYPOTHESES[leads]

    def because() -> tuple[Term, ...]:
        return _terms(evidence, heard, decisive, score)

    seen = (evidence.operator_hour, evidence.parties_hour, evidence.leak_hour)[leads]
    return Assessment(score, policy.levels.of(score), hypothesis, because, seen)


def all_heard(said: Assessment, evidence: Evidence, policy: Policy, now: int) -> Assessment:
    """The assessment with a score that also hears what stands on one member's word: what a score is told and sorted by.

    Within its level: what all members together say brings the score nearer to the next level, the more the nearer, and never
    there. Levels, the ladder and appeals go by the assessment as it was.
    """
    steps = (policy.levels.monitor, policy.levels.warn, policy.levels.reauthenticate, policy.levels.revoke)
    room = min((step - JUST_BELOW for step in steps if step > said.score), default=said.score) - said.score
    if room <= 0 or len(evidence.views) == 1:
        return said
    heard = _heard(evidence, policy, now)
    more = heard.score(evidence.views[0].values) - said.score
    if more <= 0:
        return said
    nearer = room * -math.expm1(-more / room)
    terms = ordered([*said.terms, Term("ONE_MEMBER_ALONE", nearer)])
    return replace(said, score=said.score + nearer, because=terms)


def _heard(evidence: Evidence, policy: Policy, now: int) -> _Heard:
    hour = now // 3_600
    judges = _judges(policy)
    seen = (evidence.operator_hour, evidence.parties_hour, evidence.leak_hour)
    return _Heard(judges, [_fade(last, hour, judge.weights) for last, judge in zip(seen, judges, strict=True)])


def _fade(last: int, hour: int, weights: Weights) -> float:
    age = hour - last
    return 1.0 if age <= 0 else math.exp2(-age / weights.half_life_hours)


class _Judge:
    """One hypothesis of one policy, made ready: what is the same whatever the evidence is worked out once.

    Of each feature the knots of all its terms are one list, with the lines between them. Only features past their lowest knots
    are looked up, as few are of most keys, and of the pairs only those that can then say anything else than of the lowest.
    """

    __slots__ = (
        "_axes",
        "_features",
        "_lowest",
        "_pairs",
        "_speaking",
        "cap",
        "codes",
        "hypothesis",
        "speaks_from",
        "speaks_of",
        "weights",
    )

    def __init__(self, hypothesis: Hypothesis, policy: Policy) -> None:
        self.hypothesis = hypothesis
        self.speaks_of, self.speaks_from = _SPEAKS[hypothesis]
        self.weights = weights = policy.weights[hypothesis]
        self.cap = policy.levels.warn - JUST_BELOW
        curves, pairs = weights.curves, weights.surfaces
        codes = [(curve.code, curve.feature) for curve in curves] + [(pair.code, pair.features[0]) for pair in pairs]
        self.codes = [(code, feature if feature in _COUNTED else None) for code, feature in codes]
        self._lowest = [curve.values[0] for curve in curves] + [pair.values[0][0] for pair in pairs]
        axes = list(dict.fromkeys(axis for pair in pairs for axis in _axes_of(pair)))
        self._axes = len(axes)
        self._features = []
        for feature in sorted({*(curve.feature for curve in curves), *(feature for feature, _ in axes)}):
            own = [(place, curve) for place, curve in enumerate(curves) if curve.feature == feature]
            across = [(axis, knots) for axis, (of, knots) in enumerate(axes) if of == feature]
            knots = sorted({knot for _, one in across for knot in one}.union(*(curve.knots for _, curve in own)))
            cells = tuple(
                (
                    tuple((place, *_line(curve.knots, curve.values, knot)) for place, curve in own),
                    tuple((axis, *_way(one, knot)) for axis, one in across),
                )
                for knot in (-math.inf, *knots)
            )
            self._features.append((feature, 1 << feature, knots[0], tuple(knots), cells))
        self._pairs = []
        for place, pair in enumerate(pairs, len(curves)):
            row, column = map(axes.index, _axes_of(pair))
            self._pairs.append((pair, (place, row, column, _corners(pair.values))))
        self._speaking = lru_cache(SPEAKING_KEPT)(self._that_speak)

    def _that_speak(self, past: int) -> list[tuple[int, int, int, Corners]]:
        """The pairs that can say anything else than of the lowest where those features, as bits, are past it."""
        found = []
        for pair, ready in self._pairs:
            by_row, by_column = (past >> feature & 1 for feature in pair.features)
            rows = {line[0] for line in pair.values} if by_row else ()
            columns = pair.values[0] if by_column else ()
            if (by_row and by_column) or len({*rows, *columns}) > 1:
                found.append(ready)
        return found

    def terms(self, values: Values) -> list[float]:
        """What each term says, curves before pairs: as they say when called, without the calls."""
        out = self._lowest.copy()
        at = [_LOWEST] * self._axes
        past = 0
        for feature, bit, lowest, knots, cells in self._features:
            x = values[feature]
            if x > lowest:
                past |= bit
                lines, ways = cells[bisect_right(knots, x)]
                for place, low, width, height, rise in lines:
                    out[place] = height + rise * (x - low) / width
                for axis, i, low, width in ways:
                    at[axis] = i, (x - low) / width if width else low
        for place, row, column, corners in self._speaking(past):
            i, t = at[row]
            j, u = at[column]
            upper, along_upper, lower, along_lower = corners[i][j]
            above = upper + along_upper * u
            out[place] = above + (lower + along_lower * u - above) * t
        return out

    def log_odds(self, values: Values, terms: list[float], fade: float) -> float:
        total = reduce(add, terms, 0.0)  # one after the other, as the terms of an assessment add up; ``sum`` may not
        score = self.weights.prior + (total * fade if total > 0 else total)
        return self.cap if score > self.cap and _address_only(values, self.hypothesis) else score


def _axes_of(pair: Surface) -> tuple[tuple[int, Knots], tuple[int, Knots]]:
    first, second = pair.features
    return (first, pair.rows), (second, pair.columns)


def _line(knots: Knots, heights: Knots, x: float) -> tuple[float, float, float, float]:
    """Of a curve, from ``x`` to the next knot: where the line begins, how far it goes, its height there and its rise."""
    i = bisect_right(knots, x)
    if 0 < i < len(knots):
        return knots[i - 1], knots[i] - knots[i - 1], heights[i - 1], heights[i] - heights[i - 1]
    return 0.0, 1.0, heights[i and -1], 0.0


def _way(knots: Knots, x: float) -> tuple[int, float, float]:
    """Of an axis, from ``x`` to the next knot: which interval, where it begins and how far it goes; beyond the knots how far
    into it, and 0."""
    i = bisect_right(knots, x)
    if 0 < i < len(knots):
        return i - 1, knots[i - 1], knots[i] - knots[i - 1]
    return (i - 2, 1.0, 0.0) if i else (0, 0.0, 0.0)


def _corners(table: tuple[Knots, ...]) -> Corners:
    """Of each cell of a pair: the upper left height and the rise along the upper edge, then those of the lower edge."""
    return tuple(
        tuple((a, b - a, c, d - c) for (a, b), (c, d) in zip(pairwise(upper), pairwise(lower), strict=True))
        for upper, lower in pairwise(table)
    )


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
        self._known: dict[Values, list[tuple[float, list[float]]]] = {}

    def score(self, values: Values) -> float:
        return self.summed(values, [odds for odds, _ in self.said(values)])

    def summed(self, values: Values, odds: list[float]) -> float:
        """The score: the logarithm of the summed odds, where more than addresses speaks."""
        score, cap = _log_sum(odds), self.judges[0].cap
        if score <= cap:
            return score
        return cap if all(_address_only(values, judge.hypothesis) for judge in self.judges) else score

    def said(self, values: Values) -> list[tuple[float, list[float]]]:
        """The log-odds of each hypothesis, and its terms; none where it is silent."""
        out = self._known.get(values)
        if out is None:
            out = self._known[values] = self.fresh(values)
        return out

    def fresh(self, values: Values) -> list[tuple[float, list[float]]]:
        """The same, of what is asked for once."""
        out: list[tuple[float, list[float]]] = []
        for judge, fade in zip(self.judges, self.fades, strict=True):
            if values[judge.speaks_of] < judge.speaks_from:
                out.append((SILENT, []))
            else:
                terms = judge.terms(values)
                out.append((judge.log_odds(values, terms, fade), terms))
        return out


def _silent(values: Values, hypothesis: Hypothesis) -> bool:
    feature, least = _SPEAKS[hypothesis]
    return values[feature] < least


def _address_only(values: Values, hypothesis: Hypothesis) -> bool:
    """Whether a hypothesis has nothing but addresses to go by, or is silent: for an operator no client stack, no hours, no
    allow-list in common; for many parties no second client stack and no stranger's key that runs with the one."""
    if _silent(values, hypothesis):
        return True
    if hypothesis is Hypothesis.OPERATOR:
        return values[_SAME] <= 0 and values[_PARTNERS] <= 0 and values[_DECLARED] <= 0 and values[_LOCKSTEP] <= 0
    return hypothesis is Hypothesis.PARTIES and values[_STACKS] <= 1 and values[_HOSTS] <= 0


def _log_sum(odds: list[float]) -> float:
    top = max(odds)
    return top + math.log(sum([math.exp(value - top) for value in odds]))


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
    together = _log_sum(odds)
    if together != reached:
        terms.append(Term("OTHER_HYPOTHESES", together - reached))
    if score != together:
        terms.append(Term("ADDRESS_ONLY", score - together))
    if evidence.hub_subjects or evidence.infrastructure:
        terms.append(Term("SUPPRESSED_HUB", 0.0, max(evidence.hub_subjects, evidence.infrastructure)))
    if view.without:
        terms.append(Term("ONE_MEMBER_LEFT_OUT", 0.0, len(view.without)))
    return ordered(terms)


def ordered(terms: list[Term]) -> tuple[Term, ...]:
    """Largest first, the same whatever order they came in."""
    return tuple(sorted(terms, key=lambda term: (-term.contribution, term.code)))

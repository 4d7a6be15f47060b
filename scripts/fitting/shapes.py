"""Which terms the policy has: a curve over every feature, and surfaces over the pairs that reason names.

A curve's code is what a person reads as the reason. The knots lie where the feature changes its meaning; how much it then weighs
is fitted.
"""

from __future__ import annotations

from daxa_registry.decision.features import Hypothesis
from fitting.additive import CurveShape, Shape, SurfaceShape

OPERATOR: dict[str, tuple[str, tuple[float, ...]]] = {
    "people": ("MANY_PEOPLE", (2, 3, 4, 5, 6, 8, 12, 20, 40, 80)),
    "crowd": ("CROWD", (3, 6, 10, 15, 25, 40, 64, 128, 256, 600)),
    "lockstep": ("LOCKSTEP", (-0.5, 0, 0.25, 0.5, 1, 1.5, 2, 3, 4.5)),
    "nearness": ("NEAR_IN_TIME", (-0.3, 0, 0.2, 0.4, 0.7, 1.2, 2, 3)),
    "concord": ("SAME_HOURS", (0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)),
    "partners": ("PARTNERS", (0, 1, 2, 3, 5, 8, 15, 30)),
    "partner_share": ("MOST_ARE_PARTNERS", (0, 0.1, 0.25, 0.5, 0.75, 1)),
    "surprise": ("NO_ACCIDENT", (0, 1, 2, 4, 7, 12, 20, 40, 80)),
    "unevenness": ("UNEVEN_HOURS", (0, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2)),
    "same_stack": ("SAME_STACK", (0, 0.1, 0.25, 0.5, 0.75, 0.95, 1)),
    "stack_people": ("STACK_PEOPLE", (0, 1, 2, 3, 5, 8, 15, 30, 60)),
    "stack_rarity": ("RARE_STACK", (0, 2, 3, 4, 5, 6, 7, 8, 9.5)),
    "elsewhere": ("SEEN_ELSEWHERE", (0, 0.03, 0.08, 0.15, 0.3, 0.5, 0.75, 1)),
    "declared": ("DECLARED_BY_MANY", (0, 1, 2, 3, 5, 8, 15, 30)),
    "alone": ("OWN_ADDRESS", (0, 0.02, 0.1, 0.25, 0.5, 0.75, 1)),
    "share": ("MAIN_ADDRESS", (0, 0.1, 0.25, 0.5, 0.75, 0.95, 1)),
    "travel": ("MET_AGAIN", (0, 1, 2, 3, 5, 10, 20)),
    "shadows": ("SHADOWS", (0, 1, 2, 3, 5, 10, 20)),
    "regularity": ("REGULARITY", (0, 1, 2, 4, 8, 14, 20, 24)),
    "before": ("CAME_LATER", (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1)),
}
PARTIES: dict[str, tuple[str, tuple[float, ...]]] = {
    "stacks": ("MANY_STACKS", (1, 2, 3, 4, 5, 7, 10, 16)),
    "networks": ("MANY_NETWORKS", (2, 3, 4, 6, 8, 12, 20, 40)),
    "parties": ("PARTIES", (1, 2, 3, 4, 5, 7, 10, 16)),
    "concurrency": ("AT_ONCE", (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6)),
    "crossfire": ("THREE_AT_ONCE", (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6)),
    "crosswise": ("TWO_PARTIES_AT_ONCE", (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6)),
    "interleaving": ("TAKING_TURNS", (0, 1.5, 2.5, 4, 6, 9, 15)),
    "diversity": ("SPREAD", (1, 1.5, 2, 3, 4, 6, 9, 15, 30)),
    "hosts": ("HOSTS", (0, 1, 2, 3, 5, 8)),
}
LEAK: dict[str, tuple[str, tuple[float, ...]]] = {
    "breadth": ("PROBED_WITH_OTHERS", (1, 2, 3, 5, 8, 15, 30, 60)),
    "prober_stack": ("PROBERS_CLIENT", (0, 0.5, 1, 2, 3, 5)),
    "foreign_networks": ("STRANGE_NETWORKS", (1, 2, 3, 4, 6)),
    "wrong_doors": ("WRONG_DOORS", (0, 1, 2, 3, 4)),
    "accepted": ("ACCEPTED_FROM_PROBER", (0, 1)),
}
OF_HYPOTHESIS = {Hypothesis.OPERATOR: OPERATOR, Hypothesis.PARTIES: PARTIES, Hypothesis.LEAK: LEAK}

# Pairs: code, two features, their knots.
Pair = tuple[str, str, str, tuple[float, ...], tuple[float, ...]]
_CROWD, _DECLARED, _ELSEWHERE = (2, 3, 5, 8, 15, 30, 64), (0, 1, 2, 4, 8, 16), (0.02, 0.08, 0.2, 0.5)
_STEP, _EVEN, _SAME, _SURPRISE = (
    (0, 0.3, 0.7, 1.2, 2, 3),
    (0.1, 0.3, 0.5, 0.8, 1.3),
    (0, 0.3, 0.7, 1),
    (1, 3, 7, 15, 30),
)
_CONCORD, _PARTIES = (0.05, 0.15, 0.3, 0.5, 0.8), (1, 2, 3, 4, 6, 10)
PAIRS: dict[Hypothesis, tuple[Pair, ...]] = {
    Hypothesis.OPERATOR: (
        ("EVEN_AND_IN_STEP", "lockstep", "unevenness", _STEP, _EVEN),
        ("IN_STEP_AMONG_FEW", "lockstep", "crowd", _STEP, _CROWD),
        ("IN_STEP_AND_ALIKE", "lockstep", "same_stack", _STEP, _SAME),
        ("IN_STEP_AND_NOWHERE_ELSE", "lockstep", "elsewhere", _STEP, _ELSEWHERE),
        ("IN_STEP_BEYOND_CHANCE", "lockstep", "surprise", _STEP, _SURPRISE),
        ("DECLARED_BY_ALL", "declared", "crowd", _DECLARED, _CROWD),
        ("DECLARED_AND_IN_STEP", "declared", "lockstep", _DECLARED, _STEP),
        ("DECLARED_NOWHERE_ELSE", "declared", "elsewhere", _DECLARED, _ELSEWHERE),
        ("DECLARED_AND_EVEN", "declared", "unevenness", _DECLARED, _EVEN),
        ("DECLARED_SAME_HOURS", "declared", "concord", _DECLARED, _CONCORD),
        ("ALIKE_AMONG_FEW", "same_stack", "crowd", _SAME, _CROWD),
        ("ALIKE_BEYOND_CHANCE", "same_stack", "surprise", _SAME, _SURPRISE),
        ("ALIKE_SAME_HOURS", "same_stack", "concord", _SAME, _CONCORD),
        ("CROWD_NOWHERE_ELSE", "crowd", "elsewhere", _CROWD, _ELSEWHERE),
        ("CROWD_BEYOND_CHANCE", "crowd", "surprise", _CROWD, _SURPRISE),
        ("CROWD_EVEN", "crowd", "unevenness", _CROWD, _EVEN),
        ("CROWD_AND_PEOPLE", "crowd", "people", _CROWD, (2, 3, 5, 8, 15, 30)),
        ("CROWD_AND_SHADOWS", "crowd", "shadows", _CROWD, (0, 1, 2, 4, 10, 20)),
        ("CROWD_AND_ARRIVAL", "crowd", "before", _CROWD, (0, 0.3, 0.7, 1)),
        ("RARE_STACK_SHARED", "stack_rarity", "stack_people", (1, 3, 5, 7, 9), (0, 1, 2, 4, 8, 20)),
        ("RARE_STACK_NOWHERE_ELSE", "stack_rarity", "elsewhere", (1, 3, 5, 7, 9), _ELSEWHERE),
        ("SAME_HOURS_EVEN", "concord", "unevenness", _CONCORD, _EVEN),
        ("REGULAR_ON_MAIN_ADDRESS", "regularity", "share", (0.5, 2, 6, 14, 22), (0.1, 0.4, 0.7, 1)),
        ("NOWHERE_ELSE_TOGETHER", "elsewhere", "alone", _ELSEWHERE, (0, 0.1, 0.4)),
        ("SHADOWS_NOWHERE_ELSE", "shadows", "elsewhere", (0, 1, 2, 4, 10), _ELSEWHERE),
        ("SHADOWS_ALIKE", "shadows", "same_stack", (0, 1, 2, 4, 10), _SAME),
    ),
    Hypothesis.PARTIES: (
        ("PARTIES_AT_ONCE", "parties", "crosswise", _PARTIES, (0, 0.02, 0.08, 0.2)),
        ("PARTIES_THREE_AT_ONCE", "parties", "crossfire", _PARTIES, (0, 0.02, 0.08, 0.2)),
        ("PARTIES_SPREAD", "parties", "diversity", _PARTIES, (1.5, 2.5, 4, 8)),
        ("PARTIES_AND_STACKS", "parties", "stacks", _PARTIES, (1, 2, 3, 5, 8)),
        ("STACKS_ON_NETWORKS", "stacks", "networks", (1, 2, 3, 4, 6, 10), (2, 3, 5, 8, 15)),
        ("PARTIES_IN_TURNS", "parties", "interleaving", _PARTIES, (1, 2.5, 5, 9)),
        ("PARTIES_HOSTED", "parties", "hosts", _PARTIES, (0, 1, 2, 4)),
    ),
    Hypothesis.LEAK: (
        ("PROBED_AT_WRONG_DOORS", "breadth", "wrong_doors", (1, 2, 4, 10, 30), (0, 1, 2, 4)),
        ("PROBERS_MANY_KEYS", "breadth", "prober_stack", (1, 2, 4, 10, 30), (0, 0.5, 1, 2, 4)),
        ("WRONG_DOORS_PROBERS_CLIENT", "wrong_doors", "prober_stack", (0, 1, 2, 4), (0, 0.5, 1, 2, 4)),
        ("PROBED_FROM_NETWORKS", "breadth", "foreign_networks", (1, 2, 4, 10, 30), (1, 2, 4)),
    ),
}


def shapes() -> dict[Hypothesis, list[Shape]]:
    """Everything that is fitted."""
    out: dict[Hypothesis, list[Shape]] = {}
    for hypothesis, curves in OF_HYPOTHESIS.items():
        out[hypothesis] = [CurveShape(feature, knots) for feature, (_, knots) in curves.items()]
        out[hypothesis] += [SurfaceShape(a, b, rows, columns) for _, a, b, rows, columns in PAIRS[hypothesis]]
    return out

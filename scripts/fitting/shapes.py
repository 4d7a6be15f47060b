"""Which terms the policy has: a curve over every feature, and surfaces over pairs of them.

The knots lie where the feature changes its meaning; how much it then weighs is fitted. Pairs are those that reason names (a
rare client stack that many share), and those that an earlier fit left most to be explained by.
"""

from __future__ import annotations

from daxa_registry.decision.features import Hypothesis
from fitting.additive import CurveShape, Shape, SurfaceShape

OPERATOR: dict[str, tuple[float, ...]] = {
    "people": (2, 3, 4, 5, 6, 8, 12, 20, 40, 80),
    "crowd": (3, 6, 10, 15, 25, 40, 64, 128, 256, 600),
    "lockstep": (-0.5, 0, 0.25, 0.5, 1, 1.5, 2, 3, 4.5),
    "nearness": (-0.3, 0, 0.2, 0.4, 0.7, 1.2, 2, 3),
    "concord": (0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9),
    "partners": (0, 1, 2, 3, 5, 8, 15, 30),
    "partner_share": (0, 0.1, 0.25, 0.5, 0.75, 1),
    "surprise": (0, 1, 2, 4, 7, 12, 20, 40, 80),
    "unevenness": (0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1, 1.5, 2),
    "same_stack": (0, 0.1, 0.25, 0.5, 0.75, 0.95, 1),
    "stack_people": (0, 1, 2, 3, 5, 8, 15, 30, 60),
    "elsewhere": (0, 0.03, 0.08, 0.15, 0.3, 0.5, 0.75, 1),
    "declared": (0, 1, 2, 3, 5, 8, 15, 30),
    "alone": (0, 0.02, 0.1, 0.25, 0.5, 0.75, 1),
    "share": (0, 0.1, 0.25, 0.5, 0.75, 0.95, 1),
    "travel": (0, 1, 2, 3, 5, 10, 20),
    "shadows": (0, 1, 2, 3, 5, 10, 20),
    "regularity": (0, 1, 2, 4, 8, 14, 20, 24),
    "before": (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1),
    "timetable": (-1.5, -0.75, -0.3, 0, 0.3, 0.75, 1.5, 2.5),
    "rarity": (0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.9),
    "one_hand": (-0.3, 0, 0.2, 0.4, 0.7, 1.2, 2, 3),
}
PARTIES: dict[str, tuple[float, ...]] = {
    "stacks": (1, 2, 3, 4, 5, 7, 10, 16),
    "networks": (2, 3, 4, 6, 8, 12, 20, 40),
    "parties": (1, 2, 3, 4, 5, 7, 10, 16),
    "concurrency": (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6),
    "crossfire": (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6),
    "crosswise": (0, 0.01, 0.03, 0.08, 0.15, 0.3, 0.6),
    "interleaving": (0, 1.5, 2.5, 4, 6, 9, 15),
    "diversity": (1, 1.5, 2, 3, 4, 6, 9, 15, 30),
    "hosts": (0, 1, 2, 3, 5, 8),
}
LEAK: dict[str, tuple[float, ...]] = {
    "breadth": (1, 2, 3, 5, 8, 15, 30, 60),
    "foreign_networks": (1, 2, 3, 4, 6),
    "wrong_doors": (0, 1, 2, 3, 4),
    "accepted": (0, 1),
    "in_use": (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1),
}
OF_HYPOTHESIS = {Hypothesis.OPERATOR: OPERATOR, Hypothesis.PARTIES: PARTIES, Hypothesis.LEAK: LEAK}
# What each hypothesis also looks at: a key that its holder takes along through many networks is used by many parties less
# surely than one that never has company, and one with many client stacks is driven by an operator less surely.
ACROSS: dict[Hypothesis, tuple[str, ...]] = {
    Hypothesis.OPERATOR: (
        "diversity", "parties", "concurrency", "crosswise", "networks", "interleaving", "stacks",
    ),
    Hypothesis.PARTIES: (
        "share", "people", "regularity", "alone", "elsewhere", "declared", "stack_people", "travel",
    ),
    Hypothesis.LEAK: ("crowd", "regularity", "alone", "share"),
}  # fmt: skip

# Pairs: two features, their knots.
Pair = tuple[str, str, tuple[float, ...], tuple[float, ...]]
_CROWD, _DECLARED, _ELSEWHERE = (2, 3, 5, 8, 15, 30, 64), (0, 1, 2, 4, 8, 16), (0.02, 0.08, 0.2, 0.5)
_STEP, _EVEN, _SAME, _SURPRISE = (
    (0, 0.3, 0.7, 1.2, 2, 3),
    (0.1, 0.3, 0.5, 0.8, 1.3),
    (0, 0.3, 0.7, 1),
    (1, 3, 7, 15, 30),
)
_CONCORD, _PARTIES = (0.05, 0.15, 0.3, 0.5, 0.8), (1, 2, 3, 4, 6, 10)
_NEAR, _REGULAR, _ALONE = (0, 0.3, 0.7, 1.2, 2), (0.5, 2, 6, 14, 22), (0, 0.1, 0.4)
_TRAVEL, _SHADOWS, _STACKED = (0, 1, 2, 4, 10, 20), (0, 1, 2, 4, 10), (0, 1, 2, 4, 8, 20)
_AT_ONCE, _CROSSWISE, _DIVERSE, _NETWORKS = (
    (0, 0.03, 0.1, 0.3),
    (0, 0.02, 0.08, 0.2),
    (1.5, 2.5, 4, 8),
    (2, 3, 5, 8, 15),
)
_WEEK, _RARE = (-0.5, 0, 0.4, 1, 2), (0, 2, 3.5, 5, 6.9)
_TURNS, _SHARE = (1, 2.5, 5, 9), (0, 0.3, 0.7, 0.95)
PAIRS: dict[Hypothesis, tuple[Pair, ...]] = {
    Hypothesis.OPERATOR: (
        ("lockstep", "unevenness", _STEP, _EVEN),
        ("lockstep", "crowd", _STEP, _CROWD),
        ("lockstep", "same_stack", _STEP, _SAME),
        ("lockstep", "elsewhere", _STEP, _ELSEWHERE),
        ("lockstep", "surprise", _STEP, _SURPRISE),
        ("lockstep", "timetable", _STEP, _WEEK),
        ("surprise", "timetable", _SURPRISE, _WEEK),
        ("crowd", "timetable", _CROWD, _WEEK),
        ("crowd", "one_hand", _CROWD, _NEAR),
        ("timetable", "one_hand", _WEEK, _NEAR),
        ("same_stack", "one_hand", _SAME, _NEAR),
        ("same_stack", "rarity", _SAME, _RARE),
        ("crowd", "rarity", _CROWD, _RARE),
        ("declared", "crowd", _DECLARED, _CROWD),
        ("declared", "lockstep", _DECLARED, _STEP),
        ("declared", "elsewhere", _DECLARED, _ELSEWHERE),
        ("declared", "unevenness", _DECLARED, _EVEN),
        ("declared", "concord", _DECLARED, _CONCORD),
        ("same_stack", "crowd", _SAME, _CROWD),
        ("same_stack", "surprise", _SAME, _SURPRISE),
        ("same_stack", "concord", _SAME, _CONCORD),
        ("crowd", "elsewhere", _CROWD, _ELSEWHERE),
        ("crowd", "surprise", _CROWD, _SURPRISE),
        ("crowd", "unevenness", _CROWD, _EVEN),
        ("crowd", "people", _CROWD, (2, 3, 5, 8, 15, 30)),
        ("crowd", "shadows", _CROWD, (0, 1, 2, 4, 10, 20)),
        ("crowd", "before", _CROWD, (0, 0.3, 0.7, 1)),
        ("concord", "unevenness", _CONCORD, _EVEN),
        ("regularity", "share", (0.5, 2, 6, 14, 22), (0.1, 0.4, 0.7, 1)),
        ("elsewhere", "alone", _ELSEWHERE, _ALONE),
        ("shadows", "elsewhere", _SHADOWS, _ELSEWHERE),
        ("shadows", "same_stack", _SHADOWS, _SAME),
        ("concord", "regularity", _CONCORD, _REGULAR),
        ("lockstep", "regularity", _STEP, _REGULAR),
        ("people", "regularity", (2, 3, 5, 8, 15, 30), _REGULAR),
        ("crowd", "regularity", _CROWD, _REGULAR),
        ("concord", "travel", _CONCORD, _TRAVEL),
        ("unevenness", "travel", _EVEN, _TRAVEL),
        ("nearness", "travel", _NEAR, _TRAVEL),
        ("declared", "travel", _DECLARED, _TRAVEL),
        ("stack_people", "travel", _STACKED, _TRAVEL),
        ("stack_people", "shadows", _STACKED, _SHADOWS),
        ("stack_people", "elsewhere", _STACKED, _ELSEWHERE),
        ("stack_people", "declared", _STACKED, _DECLARED),
        ("unevenness", "stack_people", _EVEN, _STACKED),
        ("unevenness", "shadows", _EVEN, _TRAVEL),
        ("unevenness", "same_stack", _EVEN, _SAME),
        ("lockstep", "concord", _STEP, _CONCORD),
        ("concord", "elsewhere", _CONCORD, _ELSEWHERE),
        ("nearness", "surprise", _NEAR, _SURPRISE),
        ("declared", "alone", _DECLARED, _ALONE),
        ("same_stack", "elsewhere", _SAME, _ELSEWHERE),
        ("crowd", "alone", _CROWD, _ALONE),
        ("crowd", "stack_people", _CROWD, _STACKED),
        ("travel", "networks", (0, 1, 3, 10), _NETWORKS),
        ("share", "diversity", _SHARE, (1, *_DIVERSE)),
        ("alone", "networks", (0, 0.1, 0.4, 0.8), _NETWORKS),
    ),
    Hypothesis.PARTIES: (
        ("parties", "crosswise", _PARTIES, (0, 0.02, 0.08, 0.2)),
        ("parties", "crossfire", _PARTIES, (0, 0.02, 0.08, 0.2)),
        ("parties", "diversity", _PARTIES, (1.5, 2.5, 4, 8)),
        ("parties", "stacks", _PARTIES, (1, 2, 3, 5, 8)),
        ("stacks", "networks", (1, 2, 3, 4, 6, 10), (2, 3, 5, 8, 15)),
        ("parties", "interleaving", _PARTIES, (1, 2.5, 5, 9)),
        ("parties", "hosts", _PARTIES, (0, 1, 2, 4)),
        ("networks", "concurrency", _NETWORKS, _AT_ONCE),
        ("diversity", "concurrency", _DIVERSE, _AT_ONCE),
        ("interleaving", "concurrency", _TURNS, _AT_ONCE),
        ("stacks", "concurrency", (1, 2, 3, 5, 8), _AT_ONCE),
        ("crosswise", "concurrency", _CROSSWISE, _AT_ONCE),
        ("networks", "hosts", _NETWORKS, (0, 1, 2, 4)),
        ("networks", "crosswise", _NETWORKS, _CROSSWISE),
        ("interleaving", "crosswise", _TURNS, _CROSSWISE),
        ("networks", "diversity", _NETWORKS, _DIVERSE),
        ("interleaving", "diversity", _TURNS, _DIVERSE),
        ("shadows", "diversity", (0, 1, 3, 10), (1, *_DIVERSE)),
        ("share", "diversity", _SHARE, (1, *_DIVERSE)),
        ("share", "networks", _SHARE, _NETWORKS),
        ("alone", "networks", (0, 0.1, 0.4, 0.8), _NETWORKS),
        ("declared", "networks", (0, 1, 3, 8), _NETWORKS),
        ("people", "crosswise", (2, 4, 8, 20), _CROSSWISE),
        ("unevenness", "crosswise", (0.1, 0.4, 0.8, 1.3), _CROSSWISE),
        ("regularity", "networks", _REGULAR, _NETWORKS),
        ("elsewhere", "diversity", (0.02, 0.1, 0.3, 0.6), (1, *_DIVERSE)),
    ),
    Hypothesis.LEAK: (
        ("breadth", "wrong_doors", (1, 2, 4, 10, 30), (0, 1, 2, 4)),
        ("breadth", "foreign_networks", (1, 2, 4, 10, 30), (1, 2, 4)),
        ("breadth", "accepted", (1, 2, 4, 10, 30), (0, 1)),
        ("breadth", "in_use", (1, 2, 4, 10, 30), (0, 0.25, 0.75, 1)),
    ),
}


def shapes() -> dict[Hypothesis, list[Shape]]:
    """Everything that is fitted."""
    knots_of = OPERATOR | PARTIES | LEAK
    out: dict[Hypothesis, list[Shape]] = {}
    for hypothesis, curves in OF_HYPOTHESIS.items():
        out[hypothesis] = [CurveShape(feature, knots_of[feature]) for feature in (*curves, *ACROSS[hypothesis])]
        out[hypothesis] += [SurfaceShape(a, b, rows, columns) for a, b, rows, columns in PAIRS[hypothesis]]
    return out

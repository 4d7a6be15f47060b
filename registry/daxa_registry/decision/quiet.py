"""Who is surely CLEAR without a look at the neighbourhood: what most keys are in most hours.

A decision costs most where it finds nothing: a customer alone on a line of his own. So a store may tell what it knows of a
subject at a glance, and this module says whether that already leaves only CLEAR. It refuses to say so wherever a full
decision could say anything else: the glance bounds every feature, and what counts is the largest that the policy's terms add
up to within those bounds.

- Nobody was there at the same time, and nobody was met on two addresses: one person, no operator.
- No key failed with it, nor where it is used: no leak.
- Its own networks and client stacks bound what can be said of many parties.

>>> Quiet(default_policy()).surely_clear(Glance(1, False, False, False, 1, 1, False, False, False))  # doctest: +SKIP
True
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daxa_registry.decision.assess import HYPOTHESES, SILENT
from daxa_registry.decision.company import NOTHING as NO_COMPANY
from daxa_registry.decision.features import FEATURES, INDEX, Hypothesis
from daxa_registry.decision.policy import Policy, Weights
from daxa_registry.decision.refusals import NOTHING as NO_REFUSALS

SHAPES_KEPT = 10_000
MAX_CORNERS = 100_000
"""Places that are looked at for one shape; with a policy of more knots than that, everybody is decided."""
ROUNDING = 1e-9
"""Terms are added up in another order here than in a decision."""
Corners = npt.NDArray[np.float64]
# Of a key with two networks: with fewer nothing is said.
_LEAST = {"stacks": 1.0, "parties": 1.0, "networks": 2.0, "diversity": 1.0}
# What the features of the two other hypotheses are for a key without company of which none was refused.
_ALONE = dict(enumerate(NO_COMPANY)) | {INDEX["breadth"] + place: value for place, value in enumerate(NO_REFUSALS)}


class Glance(NamedTuple):
    """What a store knows of a subject without reading its neighbourhood; it may overstate, and must never understate.

    ``told``: a verdict on it was ever given. ``company``: on one of its addresses its party and another each have two hours of
    use or more, or another party is on two of its addresses. ``refused``: its key failed somewhere, or any key where it is used.
    ``stacks`` and ``networks`` are those it was used with and from; ``twice``, ``thrice``: an hour stands on two of its edges, on
    three; ``lasting``: more than a day lies between its first hour and its last. A tuple, because there is one for each new hour.
    """

    subject: int
    told: bool
    company: bool
    refused: bool
    stacks: int
    networks: int
    twice: bool
    thrice: bool
    lasting: bool


class Quiet:
    """One policy's answer, remembered by shape."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[tuple[int, int, bool, bool, bool], float] = {}

    def surely_clear(self, glance: Glance) -> bool:
        """Whether a decision now could only say CLEAR, and nothing else was said before."""
        return not glance.told and self.highest(glance) < self._policy.levels.monitor

    def highest(self, glance: Glance) -> float:
        """The largest score that a decision could give; infinite where the glance does not bound it."""
        if glance.company or glance.refused:
            return math.inf
        shape = glance[4:]
        known = self._known.get(shape)
        if known is None:
            if len(self._known) >= SHAPES_KEPT:
                self._known.clear()
            known = self._known[shape] = self._of_shape(*shape)
        return known

    def _of_shape(self, stacks: int, networks: int, twice: bool, thrice: bool, lasting: bool) -> float:
        """The largest score that many parties can give; the two others are silent."""
        parties = SILENT
        if networks >= 2:
            most = {
                "stacks": max(stacks, 1),
                "networks": networks,
                "parties": max(min(stacks, networks), 1),
                "concurrency": float(twice),
                "crossfire": float(thrice),
                "crosswise": float(twice and stacks >= 2),
                "interleaving": math.sqrt(networks * (networks - 1)) if lasting else 0.0,
                "diversity": networks,
                "hosts": 0.0,  # hosts are company
            }
            parties = _highest(self._policy.weights[Hypothesis.PARTIES], most)
        silent = math.exp(SILENT) * (len(HYPOTHESES) - 1)
        return math.log(math.exp(parties) + silent)


def _highest(weights: Weights, most: Mapping[str, float]) -> float:
    """The largest log-odds within these bounds; infinite where there are too many knots to look at.

    Between knots a sum of curves and pairs is a straight line in each feature while the others stand, so it is largest with
    every feature on a knot or at a bound: all of these together are looked at.
    """
    knots: dict[int, set[float]] = {}
    for curve in weights.curves:
        knots.setdefault(curve.feature, set()).update(curve.knots)
    for pair in weights.surfaces:
        for feature, of_pair in zip(pair.features, (pair.rows, pair.columns), strict=True):
            knots.setdefault(feature, set()).update(of_pair)
    values = {feature: _within(feature, knots[feature], most) for feature in sorted(knots)}
    free = [feature for feature in values if len(values[feature]) > 1]
    sizes = [len(values[feature]) for feature in free]
    if math.prod(sizes) > MAX_CORNERS:
        return math.inf
    total = np.full(sizes, weights.prior)
    for curve in weights.curves:
        total += _along(np.array([curve(x) for x in values[curve.feature]]), (curve.feature,), free)
    for pair in weights.surfaces:
        first, second = pair.features
        said = np.array([[pair(x, y) for y in values[second]] for x in values[first]])
        total += _along(said, pair.features, free)
    return float(total.max()) + ROUNDING


def _along(said: Corners, features: tuple[int, ...], free: Sequence[int]) -> Corners:
    """What a term says by its features' values, an axis each, laid along the axes of all that are free, in their order."""
    sizes = dict(zip(features, said.shape, strict=True))
    return said.transpose(np.argsort(features)).reshape([sizes.get(feature, 1) for feature in free])


def _within(feature: int, knots: set[float], most: Mapping[str, float]) -> list[float]:
    """Where the feature is looked at: its bounds and the knots between them, or where it is for who is alone."""
    exact = _ALONE.get(feature)
    if exact is not None:
        return [exact]
    name = FEATURES[feature].name
    low, top = _LEAST.get(name, 0.0), most.get(name, math.inf)
    return sorted({low, top, *(knot for knot in knots if low < knot < top)})

"""One simulated world with the scores that each method gives its keys, beside the truth.

>>> sample(WorldSpec(seed=9_001, keys=4_000), default_policy()).of["registry"].score  # doctest: +SKIP
array([-9., ...])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daxa_core.model import Level
from daxa_registry.decision import Policy, assess
from daxa_registry.decision.assess import all_heard
from daxa_registry.decision.graph import Subject
from fitting.graph import Graph
from fitting.worlds import AnySpec, judge

from .baselines import communities, lockstep, shared_address
from .measures import Array, Flags
from .reference_model import REAUTHENTICATE, WARN, reference_scores
from .tenants import Tenants

OURS, REFERENCE = "registry", "reference model"
SHARED, COMMUNITIES, LOCKSTEP = "address shared by three", "bipartite communities", "Jaccard lockstep"
PUBLISHED = (SHARED, COMMUNITIES, LOCKSTEP)
METHODS = (*PUBLISHED, REFERENCE, OURS)
OPERATOR_OWN = "operator's own key"


@dataclass(frozen=True, slots=True)
class Scores:
    """What a method says of each key. A method with one threshold marks the same at both levels."""

    score: Array
    warn: Flags
    reauthenticate: Flags


@dataclass(frozen=True, slots=True)
class Sample:
    """The judged keys of one world in one order. ``group`` is the pattern.

    An operator's own key beside those lent to it is neither: its holder drives it, and no bystander is hurt. It is a group
    of its own and no part of areas, precision or recall (``counted``).
    """

    spec: AnySpec
    guilty: Flags
    group: list[str]
    role: list[str]
    of: dict[str, Scores]
    seconds: float  # for the evidence of all keys
    names: list[tuple[str, str]]
    """By exchange and key."""

    @property
    def counted(self) -> Flags:
        """Who is either guilty or innocent."""
        return np.array([name != OPERATOR_OWN for name in self.group])

    @property
    def innocent(self) -> Flags:
        """Who is not guilty, operators' own keys with them."""
        return ~self.guilty

    @property
    def framed(self) -> set[tuple[str, str]]:
        """Victims of a member that invents holders."""
        return {name for name, role in zip(self.names, self.role, strict=True) if role == "framed"}

    @property
    def warned(self) -> set[tuple[str, str]]:
        """Whom the registry's verdicts mark from WARN up."""
        return {name for name, marked in zip(self.names, self.of[OURS].warn, strict=True) if marked}


def sample(spec: AnySpec, policy: Policy, *, compare: bool = True) -> Sample:
    """Makes the world and judges it; with ``compare``, by the other methods too.

    What a dishonest member invented is no customer's key: it is left out of what is measured, not out of the graph.
    """
    judged, graph = judge(spec, keep=True)
    kept = [i for i, role in enumerate(judged.role) if role != "invented"]
    role = [judged.role[i] for i in kept]
    group = [OPERATOR_OWN if judged.role[i] == "operator-own" else judged.pattern[i] for i in kept]
    found = [
        all_heard(assess(judged.evidence[i], policy, judged.now), judged.evidence[i], policy, judged.now) for i in kept
    ]
    level = np.array([int(a.level) for a in found])
    of = {OURS: Scores(np.array([a.score for a in found]), level >= Level.WARN, level >= Level.REAUTHENTICATE)}
    if compare:
        of |= _others(graph, [graph.subjects[judged.keys[i]] for i in kept])
    return Sample(spec, judged.guilty[kept], group, role, of, judged.seconds, [judged.names[i] for i in kept])


def _others(graph: Graph, subjects: Sequence[Subject]) -> dict[str, Scores]:
    tenants = Tenants(graph)
    out = {}
    for name, method in ((SHARED, shared_address), (COMMUNITIES, communities), (LOCKSTEP, lockstep)):
        score, marked = method(tenants, subjects)
        out[name] = Scores(score, marked, marked)
    score = reference_scores(graph, subjects)
    out[REFERENCE] = Scores(score, score >= WARN, score >= REAUTHENTICATE)
    return out

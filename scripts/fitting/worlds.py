"""Worlds to learn from and to be judged on: their evidence as one table, with the truth beside it.

A world is made, turned into the graph that decisions see, and every subject's evidence is taken as of the last sighting.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from daxa_registry.decision import Evidence, evidence_of
from fitting.graph import Graph
from simulation import WorldSpec, generate


@dataclass(slots=True)
class Judged:
    """One world's subjects: evidence and truth, in the same order."""

    spec: WorldSpec
    evidence: list[Evidence]
    guilty: npt.NDArray[np.bool_]
    pattern: list[str]
    role: list[str]
    ring: list[str | None]
    seconds: float  # for facts and evidence of all subjects
    now: int
    keys: list[tuple[int, int]]


def judge(spec: WorldSpec, *, keep: bool = False) -> Judged | tuple[Judged, Graph]:
    """Makes the world and takes its evidence; with ``keep``, the graph too."""
    simulation = generate(spec)
    graph = Graph.from_simulation(simulation)
    keys = simulation.world.keys
    evidence, guilty, pattern, role, ring, names = [], [], [], [], [], []
    started = time.perf_counter()
    for subject in graph.judged():
        entry = keys[subject.key - 1]
        if entry.exchange + 1 != subject.member:
            continue
        neighbourhood, facts = graph.neighbourhood(subject)
        evidence.append(evidence_of(neighbourhood, facts, graph.population, graph.newest))
        guilty.append(entry.guilty)
        pattern.append(entry.pattern)
        role.append(entry.role)
        ring.append(entry.ring)
        names.append((subject.member, subject.key))
    seconds = time.perf_counter() - started
    judged = Judged(
        spec, evidence, np.array(guilty, dtype=np.bool_), pattern, role, ring, seconds, 3600 * (graph.newest + 1), names
    )
    return (judged, graph) if keep else judged


def views_of(without: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The views in the order in which evidence has them."""
    members = sorted({m for w in without for m in w})
    return [w for size in range(3) for w in combinations(members, size)]

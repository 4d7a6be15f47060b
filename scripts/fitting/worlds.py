"""Worlds to learn from and to be judged on: their evidence as one table, with the truth beside it.

A world is made, turned into the graph that decisions see, and every subject's evidence is taken as of the last sighting.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daxa_registry.decision import Evidence, evidence_of
from daxa_registry.decision.graph import Subject
from fitting.graph import Graph, Names
from readings import ReadingSpec, market
from simulation import EXCHANGES, WorldSpec, generate

AnySpec = WorldSpec | ReadingSpec


@dataclass(slots=True)
class Judged:
    """One world's subjects: evidence and truth, in the same order."""

    spec: AnySpec
    evidence: list[Evidence]
    guilty: npt.NDArray[np.bool_]
    pattern: list[str]
    role: list[str]
    ring: list[str | None]
    seconds: float  # for facts and evidence of all subjects
    now: int
    keys: list[tuple[int, int]]
    """By member and key, as the graph numbers them."""
    names: list[tuple[str, str]]
    """By exchange and key, as they are called."""


def judge(spec: AnySpec, *, keep: bool = False) -> Judged | tuple[Judged, Graph]:
    """Makes the world and takes its evidence; with ``keep``, the graph too."""
    graph, truth = _of_texts(*market(spec)) if isinstance(spec, ReadingSpec) else _of_simulation(spec)
    evidence, guilty, pattern, role, ring, keys, names = [], [], [], [], [], [], []
    started = time.perf_counter()
    for subject in graph.judged():
        entry = truth.get((subject.member, subject.key))
        if entry is None:  # seen at an exchange that never issued it
            continue
        evidence.append(_evidence(graph, subject))
        guilty.append(entry.guilty)
        pattern.append(entry.pattern)
        role.append(entry.role)
        ring.append(entry.ring)
        keys.append((subject.member, subject.key))
        names.append((entry.exchange, entry.key))
    seconds = time.perf_counter() - started
    truths = np.array(guilty, dtype=np.bool_)
    now = 3600 * (graph.newest + 1)
    judged = Judged(spec, evidence, truths, pattern, role, ring, seconds, now, keys, names)
    return (judged, graph) if keep else judged


class Truth(NamedTuple):
    """What is true of one key."""

    guilty: bool
    pattern: str
    role: str
    ring: str | None
    exchange: str
    key: str


Truths = dict[tuple[int, int], Truth]
"""By member and key, as the graph numbers them."""


def _evidence(graph: Graph, subject: Subject) -> Evidence:
    neighbourhood, facts = graph.neighbourhood(subject)
    return evidence_of(neighbourhood, facts, graph.population, graph.newest)


def _of_simulation(spec: WorldSpec) -> tuple[Graph, Truths]:
    simulation = generate(spec)
    if spec.poison is not None:
        return _of_texts(simulation.sightings(), simulation.truth(), simulation.declared())
    truth = {
        (one.exchange + 1, number): Truth(
            one.guilty, one.pattern, one.role, one.ring, EXCHANGES[one.exchange] if one.exchange >= 0 else "", one.text
        )
        for number, one in enumerate(simulation.world.keys, 1)
    }
    return Graph.from_simulation(simulation), truth


def _of_texts(
    sightings: Iterable[Mapping[str, Any]], entries: Iterable[Mapping[str, Any]], declared: list[dict[str, Any]]
) -> tuple[Graph, Truths]:
    members, keys = Names(), Names()
    graph = Graph.from_sightings(sightings, declared, members, keys)
    truth = {
        (members(one["exchange"]), keys(one["key"])): Truth(
            one["guilty"], one["pattern"], one["role"], one["ring"], one["exchange"], one["key"]
        )
        for one in entries
    }
    return graph, truth


def views_of(without: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The views in the order in which evidence has them."""
    members = sorted({m for w in without for m in w})
    return [w for size in range(3) for w in combinations(members, size)]

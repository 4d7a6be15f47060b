"""What is fitted, back-tested and decided live is the same evidence."""

from __future__ import annotations

import json

import pytest

from daxa_core.model import SECONDS_PER_HOUR
from daxa_registry.bootstrap import make_backtest
from daxa_registry.decision import assess, default_policy, evidence_of
from daxa_registry.decision.leaked import beside, with_beside
from fitting.graph import Graph, Names
from simulation import WorldSpec, generate


@pytest.mark.parametrize("world", ["wild", "hard"])
def test_the_fitting_and_the_back_test_see_the_same_evidence(world: str) -> None:
    """Every subject of a simulated market: equal bytes, equal scores. So a policy is fitted to what it will decide on."""
    simulation = generate(WorldSpec(seed=3, keys=700, days=14, world=world))
    lines = list(simulation.lines())
    raw = [json.loads(line) for line in lines]
    run = make_backtest(default_policy())
    run.declare(simulation.declared())
    assert not list(run.read(line.encode() for line in lines))
    by_subject = {subject: (evidence, assessment) for _, evidence, assessment, subject in run._assessed()}
    with run._store.transaction():
        population = run._store.population()
    assert population.unusual, "a market without an unusual hour would not show whether they are left out"

    graph = Graph.from_sightings(raw, simulation.declared())
    members, keys = Names(), Names()
    numbers = {(line["exchange"], line["key"]): (members(line["exchange"]), keys(line["key"])) for line in raw}
    assert {numbers[named] for named in run._subjects} == {(s.member, s.key) for s in graph.judged()}
    for named, number in run._subjects.items():
        neighbourhood, facts = graph.neighbourhood(graph.subjects[numbers[named]])
        fitted = evidence_of(neighbourhood, facts, graph.population, run.last_ts // SECONDS_PER_HOUR)
        evidence, assessment = by_subject[number]
        assert evidence == fitted
        assert evidence.to_bytes() == fitted.to_bytes()
        assessed = assess(fitted, default_policy(), run.last_ts)
        said = with_beside(assessed, beside(neighbourhood, facts), default_policy(), run.last_ts)
        assert assessment.score == pytest.approx(said.score, abs=1e-6)

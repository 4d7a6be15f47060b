"""The store that decisions are timed on: the market in it decides as the market itself does, however much lies around it."""

from __future__ import annotations

from pathlib import Path

from bench_decide import Market, build
from daxa_registry.decision import evidence_of, facts_of


def test_what_lies_around_a_market_changes_no_evidence_in_it(tmp_path: Path) -> None:
    """With the market's own totals, the evidence out of the padded store is that of the market's graph."""
    market, filler = Market(200, 2, 5), Market(100, 1, 6)
    store = build(tmp_path / "registry.sqlite", market, filler, 600)
    copies = (600 - market.size) // filler.size
    assert copies >= 3
    assert store.counts()["subject"] == market.size + copies * filler.size
    population = market.graph.population
    subjects = sorted(market.graph.subjects.values(), key=lambda s: s.id)
    with store.transaction():
        stored = list(store.neighbourhoods([subject.id for subject in subjects]))
    assert len(stored) == len(subjects)
    for subject, read in zip(subjects, stored, strict=True):
        facts = {address: facts_of(place, population) for address, place in read.places.items()}
        direct = market.graph.neighbourhood(subject)
        expected = evidence_of(*direct, population, market.now)
        assert evidence_of(read, facts, population, market.now) == expected
    store.close()

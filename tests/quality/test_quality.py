"""What the quality benchmark measures with: areas, marks, the methods compared, the page made from its figures."""

from __future__ import annotations

import doctest
import math
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from daxa_core.model import Manner
from daxa_registry.decision.graph import Subject
from fitting.graph import Edges, Graph
from fitting.learn import World, at_levels, told_apart
from fitting.tables import Table
from quality import baselines
from quality.baselines import communities, lockstep, louvain, shared_address, single_linkage
from quality.figures import Extremes, extreme_rows, hardness_markdown, methods_markdown, patterns_markdown
from quality.measures import average_precision, marks, recall_at, shares_by
from quality.page import filled, sections, targets_markdown, unseen_markdown
from quality.reference_model import NOTHING, WARN, reference_scores
from quality.sample import OURS, PUBLISHED, REFERENCE, Sample, Scores
from quality.tenants import Tenants, persons
from simulation import WorldSpec

HOURS = tuple(range(0, 300, 7))


def graph_of(
    uses: list[tuple[int, int, int, int, tuple[int, ...]]],
    refusals: list[tuple[int, int, int, int, tuple[int, ...]]] = (),  # type: ignore[assignment]
    holders: dict[tuple[int, int], int] | None = None,
) -> Graph:
    """A graph of (member, key, address, device, hours); every key has an account of its own."""
    edges: Edges = {}
    for manner, rows in ((Manner.USED, uses), (Manner.REJECTED, refusals)):
        for member, key, address, device, hours in rows:
            bits = 0
            for hour in hours:
                bits |= 1 << (hour - hours[0])
            edges[(member, key, address, device, manner)] = (hours[0], bits, len(hours))
    accounts = {(member, key): b"%d" % key for member, key, *_ in uses}
    network_of = {address: 1_000 + address for _, _, address, _, _ in (*uses, *refusals)}
    return Graph(edges, network_of, accounts, holders or {}, set())


def ring_and_strangers(holders: dict[tuple[int, int], int] | None = None) -> tuple[Graph, list[Subject]]:
    """Six keys in lockstep on one address with one client stack, and forty people alone at home with other stacks."""
    uses = [(1 + n % 2, 1 + n, 1, 1, HOURS) for n in range(6)]
    uses += [(1 + n % 2, 100 + n, 100 + n, 2 + n % 20, tuple(range(n % 5, 200, 5))) for n in range(40)]
    graph = graph_of(uses, holders=holders)
    return graph, sorted(graph.subjects.values(), key=lambda s: s.key)


def test_area_is_average_precision_with_ties_as_one_step() -> None:
    """The same number as scikit-learn's, on scores with many ties."""
    rng = np.random.default_rng(4)
    guilty = rng.random(500) < 0.1
    score = np.round(rng.normal(size=500) + guilty, 1)
    assert average_precision(guilty, score) == pytest.approx(average_precision_score(guilty, score))


def test_marks_count_right_marks_and_found_guilty() -> None:
    """Two of three marks are right and two of four guilty are found; no mark is no wrong mark."""
    guilty = np.array([True, True, True, True, False, False])
    found = marks(guilty, np.array([True, True, False, False, True, False]))
    assert (found.precision, found.recall, found.marked) == (2 / 3, 0.5, 3)
    assert marks(guilty, np.zeros(6, dtype=np.bool_)).precision == 1.0


def test_shares_count_only_the_chosen() -> None:
    """By group, marked and all, of those asked for."""
    shares = shares_by(["a", "a", "b"], np.array([True, False, True]), np.array([True, True, False]))
    assert shares == {"a": (1, 2)}


def test_person_has_one_account_at_an_exchange() -> None:
    """Accounts without holder count as people inside their own exchange only; a known holder is one person everywhere."""
    graph = graph_of([(1, 1, 1, 1, HOURS), (1, 2, 1, 1, HOURS), (2, 3, 1, 1, HOURS)])
    assert persons(t.account for t in Tenants(graph).on[1].values()) == 2
    known = graph_of([(m, m, 1, 1, HOURS) for m in (1, 2, 3)], holders={(1, 1): 7, (2, 2): 7, (3, 3): 7})
    assert persons(t.account for t in Tenants(known).on[1].values()) == 1


def test_communities_are_the_cliques() -> None:
    """Two cliques with one edge between them are two communities."""
    near: dict[int, dict[int, float]] = {
        base + i: {base + j: 1.0 for j in range(5) if j != i} for base in (0, 5) for i in range(5)
    }
    near[4][5] = near[5][4] = 1.0
    community = louvain(near, np.random.default_rng(0))
    assert len(set(community.values())) == 2
    assert {community[n] for n in range(5)}.isdisjoint(community[n] for n in range(5, 10))


def test_single_linkage_tells_the_threshold_at_which_a_cluster_is_large_enough() -> None:
    """A pair that is very alike waits for the third; who comes late has the lower threshold."""
    likeness = {(0, 1): 0.9, (2, 3): 0.8, (1, 2): 0.5, (4, 5): 0.9, (0, 5): 0.1}
    assert single_linkage(likeness, 3) == {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5, 4: 0.1, 5: 0.1}


def test_published_methods_find_a_plain_ring() -> None:
    """A ring on two addresses in the same hours is marked by all three; people alone are by none."""
    uses = [(1, 1 + n, address, 1, HOURS) for n in range(4) for address in (1, 2)]
    uses += [(1, 50 + n, 50 + n, 2, HOURS) for n in range(5)]
    graph = graph_of(uses)
    subjects = sorted(graph.subjects.values(), key=lambda s: s.key)
    for method in (shared_address, communities, lockstep):
        score, marked = method(Tenants(graph), subjects)
        assert marked.tolist() == [True] * 4 + [False] * 5, method.__name__
        assert score[:4].min() > score[4:].max()


def test_reference_model_separates_a_ring_from_people_alone() -> None:
    """A ring in lockstep of six known holders is warned; somebody alone at home is next to nothing."""
    holders = {(1 + n % 2, 1 + n): n + 1 for n in range(6)}
    graph, subjects = ring_and_strangers(holders)
    score = reference_scores(graph, subjects)
    assert score[:6].min() >= WARN
    assert score[6:].max() < -5.0


def test_reference_model_counts_one_holder_as_nobody_else() -> None:
    """The same six keys in lockstep are nothing if they are one person's."""
    graph, subjects = ring_and_strangers({(1 + n % 2, 1 + n): 1 for n in range(6)})
    assert reference_scores(graph, subjects)[:6].max() < -5.0


def test_reference_model_bounds_one_member() -> None:
    """A key in the company of one foreign member alone gets two nats above what stands without it, no more."""
    uses = [(1, 1, 1, 1, HOURS)] + [(2, 2 + n, 1, 1, HOURS) for n in range(6)]
    uses += [(1, 100 + n, 100 + n, 2, tuple(range(0, 200, 5))) for n in range(40)]
    holders = {(1, 1): 1} | {(2, 2 + n): 2 + n for n in range(6)}
    graph = graph_of(uses, holders=holders)
    score = reference_scores(graph, [graph.subjects[(1, 1)]])
    alone = graph_of([use for use in uses if use[0] == 1], holders=holders)
    assert score[0] == pytest.approx(reference_scores(alone, [alone.subjects[(1, 1)]])[0] + 2.0)


def test_reference_model_sees_a_dump_being_tried() -> None:
    """Forty keys that fail from one foreign address with one stack are warned, the same key failing from home is not."""
    uses = [(1, n, n, 2 + n % 5, HOURS) for n in range(1, 41)]
    tried = [(1, n, 900, 99, (310,)) for n in range(1, 40)] + [(1, 40, 40, 2, (310,))]
    graph = graph_of(uses, tried)
    subjects = sorted(graph.subjects.values(), key=lambda s: s.key)
    score = reference_scores(graph, subjects)
    assert score[:39].min() >= WARN
    assert score[39] < -1.0


def test_nothing_used_is_nothing() -> None:
    """A key that only failed, at home, from where it was declared, has the score of nothing at all."""
    edges: Edges = {(1, 1, 1, 0, Manner.DECLARED): (5, 1, 1), (1, 1, 1, 3, Manner.REJECTED): (6, 1, 1)}
    graph = Graph(edges, {1: 1}, {(1, 1): b"a"}, {}, set())
    score = reference_scores(graph, list(graph.subjects.values()))
    assert score[0] == pytest.approx(NOTHING + math.log(4))


@pytest.fixture
def rows() -> list[dict[str, object]]:
    """Figures as the benchmark gives them."""
    return [{"name": "area", "value": 0.5, "unit": "", "target": ">= 0.9", "ok": False, "detail": ""}]


def test_page_keeps_its_prose_and_replaces_its_tables(rows: list[dict[str, object]]) -> None:
    """Only what stands between the marks changes; a part without its mark is refused, naming it."""
    page = "Prose.\n<!-- targets -->\nold\n<!-- end -->\nMore.\n"
    new = filled(page, {"targets": targets_markdown(rows)})
    assert new.startswith("Prose.\n<!-- targets -->\n| figure |")
    assert new.endswith("| area | 0.500 | >= 0.9 | **no** |\n<!-- end -->\nMore.\n")
    with pytest.raises(ValueError, match="guilty"):
        filled(page, {"guilty": "x"})


def test_tables_show_what_was_marked() -> None:
    """Look-alikes stand out, percentages and the reference model beside them."""
    entry = {"pattern": "class_image", "guilty": False, "lookalike": True, "keys": 40}
    entry |= {f"{OURS} warn": 2.5, f"{OURS} reauthenticate": 0.0}
    entry |= {f"{REFERENCE} warn": 50.0, f"{REFERENCE} reauthenticate": 25.0}
    entry |= {f"{method} warn": 90.0 + at for at, method in enumerate(PUBLISHED)}
    head, _, line = patterns_markdown([entry], guilty=False).splitlines()
    assert line == "| **class_image** | 40 | 2.50 % | 0.00 % | 50.00 / 25.00 % | 90.00 % | 91.00 % | 92.00 % |"
    assert head.count("|") == line.count("|")
    method = {"method": "x", "area": 0.5, "warn precision": 1.0, "warn recall": 0.5}
    method |= {"reauthenticate precision": 1.0, "reauthenticate recall": 0.5}
    assert methods_markdown([method]).endswith("| x | 0.500 | 1.000 / 0.50 | the same |")
    hardness = method | {"world": "wild", "recall at 0.92": 0.4, "recall at 0.985": 0.25}
    assert hardness_markdown([hardness]).endswith("| wild | x | 0.500 | 1.000 / 0.50 | 1.000 / 0.50 | 0.40 | 0.25 |")


def test_what_a_fit_makes_of_a_reading_is_told_by_worlds_and_at_levels() -> None:
    """Areas and recalls are means over worlds, precision and recall at a level are of all subjects together; those outside the
    question are not asked."""
    role = np.array(["owner"] * 4 + ["operator-own"])
    worlds = []
    for guilty in ([True, True, False, False, False], [True, False, False, False, False]):
        table = Table(
            np.zeros((5, 1), np.float32), np.arange(6), np.zeros((5, 2), np.int16), np.array(guilty), role, role
        )
        worlds.append(World("third", table, 1.0))
    scores = [np.array([3.0, 1.0, 2.0, 0.0]), np.array([1.0, 3.0, 0.0, 0.0])]
    apart = told_apart(worlds, scores)
    assert apart == {"area": round((5 / 6 + 1 / 2) / 2, 4), "at 0.92": 0.25, "at 0.985": 0.25}
    levels = at_levels(worlds, scores, {"warn": 1.0, "reauthenticate": 3.0})
    assert levels == {"warn": [0.6, 1.0], "reauthenticate": [0.5, round(1 / 3, 4)]}
    page = unseen_markdown([{"reading": "third", "learnt": apart, "unseen": apart | levels}])
    assert page.endswith("| third | 0.667, 0.667 | 0.250, 0.250 | 0.250, 0.250 | 0.600 / 1.000 | 0.500 / 0.333 |")


def test_recall_at_a_precision_is_that_of_the_best_threshold_and_ties_are_marked_together() -> None:
    """A threshold cannot part equal scores."""
    guilty, score = np.array([True, True, False, True, False]), np.array([9.0, 8.0, 7.0, 7.0, 1.0])
    assert recall_at(guilty, score, 1.0) == pytest.approx(2 / 3)
    assert recall_at(guilty, score, 0.75) == 1.0
    assert recall_at(guilty, -score, 0.9) == 0.0


def test_examples_in_the_baselines_hold() -> None:
    """The docstring's example is what the code says."""
    assert doctest.testmod(baselines).failed == 0


def test_a_victim_counts_against_the_verdicts_only_where_the_inventions_made_it_one() -> None:
    """Who is at WARN without them too is nobody's victim of them; the page has a line a world, and the mean."""
    before, after = Counter({"a": 1, "c": 1}), Counter({"a": 1, "b": 1})

    def of(warned: Counter[str], roles: tuple[str, ...] = ("innocent",) * 4) -> Sample:
        scores = Scores(np.arange(4.0), np.array([bool(warned[name]) for name in "abcd"]), np.zeros(4, dtype=np.bool_))
        guilty = np.array([False, False, False, True])
        names = [("upbit", name) for name in "abcd"]
        return Sample(WorldSpec(), guilty, ["p"] * 4, list(roles), {OURS: scores}, 0.0, names)

    poisoned = of(after, ("framed", "framed", "framed", "lent"))
    rows = extreme_rows("field", [Extremes(of(before), of(before), poisoned)])
    assert rows[2]["value"] == 1
    assert not rows[2]["ok"]
    assert "of 3 victims; 2 are at WARN" in rows[2]["detail"]
    page = "<!-- extremes -->\n<!-- end -->\n"
    made = filled(page, sections([{"suite": "extremes", **row} for row in rows]))
    assert "| field | 1.000 | 1.000 | 1.000 | 3, 1 |" in made
    assert "| mean | 1.000 | 1.000 | 1.000 | |" in made

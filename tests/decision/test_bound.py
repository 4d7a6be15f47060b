"""The bound is the least over members of the most without them, however few of the views are asked for."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_registry.decision.bound import Without, bounded


def decided(scores: dict[Without, float]) -> Without:
    """By the definition: every view is looked at. Of equals the first."""
    rows = []
    for single in sorted(without for without in scores if len(without) == 1):
        row = [single, *sorted(pair for pair in scores if len(pair) == 2 and single[0] in pair)]
        rows.append(max(row, key=scores.__getitem__))
    return min(rows, key=scores.__getitem__) if rows else ()


@settings(deadline=None)
@given(st.sets(st.integers(1, 20), max_size=6), st.data())
def test_the_view_that_decides_is_the_one_of_the_definition(members: set[int], data: st.DataObject) -> None:
    """Scores are few, so that many are equal: which view is named then is told in a verdict's reasons."""
    views = [without for size in range(3) for without in combinations(sorted(members), size)]
    scores = {without: float(data.draw(st.integers(-3, 3))) for without in views}
    asked: list[Without] = []

    def score(without: Without) -> float:
        asked.append(without)
        return scores[without]

    assert bounded(scores, score) == decided(scores)
    assert len(asked) == len(set(asked))


def test_what_cannot_decide_is_not_asked() -> None:
    """Without the first member all is low; one pair that is not its own shows that no other member's bound is lower."""
    low: dict[Without, float] = {(1,): -2.0, (1, 2): -3.0, (1, 3): -3.0}
    scores = {(): 9.0, (2,): 5.0, (3,): 5.0, (2, 3): 4.0} | low
    asked: list[Without] = []

    def score(without: Without) -> float:
        asked.append(without)
        return scores[without]

    assert bounded(scores, score) == (1,)
    assert set(asked) == {*low, (2, 3)}

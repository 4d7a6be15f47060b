"""Hours kept together: small addresses are counted in bit sets and large ones word by word, and both as sets of hours say."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_registry.decision import overlap
from daxa_registry.decision.overlap import NEAR, SHARED_HOURS, TOGETHER_HOURS, Span, pairs_of

HOURS = st.sets(st.integers(0, 400), min_size=1, max_size=60)


def span(hours: set[int]) -> Span:
    first = min(hours)
    return Span(first, sum(1 << (hour - first) for hour in hours))


def apart(a: set[int], b: set[int], by: int, left_out: set[int]) -> tuple[float, float]:
    """Together and apart, with either moved by so many hours, averaged: as the words of ``overlap`` say."""
    together = one = 0
    for x, y in ((a, b), (b, a)):
        inside_x, inside_y = (set(range(min(s), max(s) + 1)) - left_out for s in (x, y))
        x, y = x - left_out, {hour + by for hour in y - left_out}
        shared = {hour + by for hour in inside_y}
        together += len(x & y)
        one += len(x & shared - y) + len(y & inside_x - x)
    return together / 2, one / 2


def near(a: set[int], b: set[int], by: int) -> float:
    ways = [(x, {h + by for h in y}) for x, y in ((a, b), (b, a))] + [
        ({h + by for h in x}, y) for x, y in ((a, b), (b, a))
    ]
    return sum(any(abs(h - other) <= NEAR for other in y) for x, y in ways for h in x) / 4


@settings(max_examples=60)
@given(st.lists(HOURS, min_size=2, max_size=6), st.sets(st.integers(0, 400), max_size=20))
def test_both_ways_of_counting_say_what_sets_of_hours_say(parties: list[set[int]], left_out: set[int]) -> None:
    """Every count of every pair, with the unusual hours left out; None only where no two overlap."""
    spans = [span(hours) for hours in parties]
    base = min(one.first for one in spans)
    bits = sum(1 << (hour - base) for hour in left_out if hour >= base)
    unusual = span(left_out) if left_out else None
    found = [overlap._by_bits(spans, base, bits), overlap._by_words(spans, base, bits), pairs_of(spans, unusual)]
    met = [
        (i, j)
        for i, j in combinations(range(len(parties)), 2)
        for a, b in [(parties[i], parties[j])]
        if min(max(a), max(b)) - max(min(a), min(b)) + 1 >= SHARED_HOURS or len(a & b) >= TOGETHER_HOURS
    ]
    if not met:
        assert found == [None, None, None]
        return
    for pairs in found:
        assert pairs is not None
        assert {(int(i), int(j)) for i, j in np.argwhere(np.triu(pairs.overlap))} == set(met)
        for i, j in met:
            a, b = parties[i], parties[j]
            counted = [(pairs.c0, pairs.q0, 0), (pairs.c24, pairs.q24, 24), (pairs.c168, pairs.q168, 168)]
            for together, one, by in counted:
                assert (together[i, j], one[i, j]) == (together[j, i], one[j, i]) == apart(a, b, by, left_out)
            alone = a - left_out, b - left_out
            assert (pairs.n0[i, j], pairs.n24[i, j]) == (near(*alone, 0), near(*alone, 24))

"""Hours as bit sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daxa_registry.store.hours import merge, pack, unpack, without

HOURS = st.sets(st.integers(0, 300), min_size=1)


def _bits(hours: set[int]) -> tuple[int, int]:
    return min(hours), sum(1 << (h - min(hours)) for h in hours)


@given(HOURS, HOURS)
def test_merging_hours_is_the_union_of_sets(one: set[int], two: set[int]) -> None:
    """Whatever the order, and packing loses nothing."""
    first, bits = merge(*_bits(one), *_bits(two))
    assert _bits(one | two) == (first, unpack(pack(bits)))


@given(HOURS, st.integers(0, 300), st.integers(0, 300))
def test_taking_hours_away_is_the_difference_of_sets(hours: set[int], low: int, high: int) -> None:
    """Both ends of the span are included; bit 0 stays set while anything is left."""
    left = {h for h in hours if not low <= h <= high}
    first, bits = without(*_bits(hours), low, high)
    assert (_bits(left) if left else (first, 0)) == (first, bits)

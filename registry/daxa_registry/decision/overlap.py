"""Hours kept together: for every two parties on an address, whether their times overlap and how alike their hours are.

All pairwise work of a decision happens here, once per address. A party is one person at one member with the hours of all
its keys there. Two parties overlap if their [first, last] intervals share 12 h, or if both were active in the same hour twice:
one who took over a renumbered address from another never met it. Counts are whole hours:

- ``c0``, hours in which both are active; ``q0``, hours of the shared interval in which exactly one is;
- ``c24``, ``q24``, the same with one of the two moved by a day, both ways, averaged: what the daily rhythm alone gives;
- ``c168``, ``q168``, moved by a week: what a timetable gives, a course's or an office's;
- ``n0``, ``n24``: hours of the one that lie within ``NEAR`` hours of the other's, then and a day apart: an operator who takes
  his keys in turn keeps them near each other without ever using two at once.

Hours in which the whole market stirs (``rhythm``) are left out of all of them.

Small addresses are counted with integers as bit sets, large ones word by word in numpy; the results are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SHARED_HOURS = 12
TOGETHER_HOURS = 2
DAY = 24
WEEK = 7 * DAY
NEAR = 3
WINDOW_HOURS = 60 * DAY
SMALL = 10

Counts = tuple[float, float, float, float, float, float, float, float]
"""c0, q0, c24, q24, n0, n24, c168, q168."""
Matrix = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


class Span(NamedTuple):
    """When a party was active: bit i of ``hours`` is the hour ``first + i``; bit 0 and the highest bit are set."""

    first: int
    hours: int

    @property
    def last(self) -> int:
        return self.first + self.hours.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Pairs:
    """Square matrices over the parties; the diagonal is 0."""

    overlap: npt.NDArray[np.bool_]
    c0: Matrix
    q0: Matrix
    c24: Matrix
    q24: Matrix
    n0: Matrix
    n24: Matrix
    c168: Matrix
    q168: Matrix


def join(a: Span | None, first: int, hours: int) -> Span:
    """The hours of ``a`` and of a presence together."""
    if a is None:
        return Span(first, hours)
    low = min(a.first, first)
    return Span(low, (a.hours << (a.first - low)) | (hours << (first - low)))


def recent(span: Span, newest: int) -> Span:
    """The last ``WINDOW_HOURS`` up to ``newest``, so that work stays bounded however long the store keeps hours."""
    drop = newest - WINDOW_HOURS + 1 - span.first
    if drop <= 0:
        return span
    hours = span.hours >> drop
    if not hours:
        return Span(span.last, 1)
    shift = (hours & -hours).bit_length() - 1
    return Span(span.first + drop + shift, hours >> shift)


def pairs_of(spans: Sequence[Span], unusual: Span | None = None) -> Pairs | None:
    """Compares every two spans, without the ``unusual`` hours; None where no two overlap, as on most addresses."""
    newest = max(span.last for span in spans)
    spans = [recent(span, newest) for span in spans]
    base = min(span.first for span in spans)
    left_out = 0
    if unusual is not None:
        shift = unusual.first - base
        left_out = unusual.hours << shift if shift >= 0 else unusual.hours >> -shift
    return _by_bits(spans, base, left_out) if len(spans) <= SMALL else _by_words(spans, base, left_out)


def _dilated(hours: int) -> int:
    """Every hour with the ``NEAR`` hours before and after it, moved ``NEAR`` up so that nothing falls off."""
    out = hours
    for _ in range(2 * NEAR):
        out |= out << 1
    return out


def meet(a: Span, b: Span, unusual: Span | None = None) -> Counts | None:
    """The counts of two spans, None where their intervals do not overlap."""
    base = min(a.first, b.first)
    left_out = 0
    if unusual is not None:
        shift = unusual.first - base
        left_out = unusual.hours << shift if shift >= 0 else unusual.hours >> -shift
    inside_a = ((1 << a.hours.bit_length()) - 1) << (a.first - base)
    inside_b = ((1 << b.hours.bit_length()) - 1) << (b.first - base)
    whole_a, whole_b = a.hours << (a.first - base), b.hours << (b.first - base)
    if (inside_a & inside_b).bit_count() < SHARED_HOURS and not _together(whole_a, whole_b):
        return None
    active_a, active_b = whole_a & ~left_out, whole_b & ~left_out
    near = (_dilated(active_a), _dilated(active_b))
    return _counts(active_a, active_b, inside_a & ~left_out, inside_b & ~left_out, near)


def _together(a: int, b: int) -> bool:
    return (a & b).bit_count() >= TOGETHER_HOURS


def _counts(a: int, b: int, ia: int, ib: int, near: tuple[int, int]) -> Counts:
    both = (a & b).bit_count()
    q0 = (a & ib).bit_count() + (b & ia).bit_count() - 2 * both
    day, week = _moved(a, b, ia, ib, DAY), _moved(a, b, ia, ib, WEEK)
    wide_a, wide_b = near
    a, b = a << NEAR, b << NEAR
    n0 = (a & wide_b).bit_count() + (b & wide_a).bit_count()
    far = 0
    for x, wide in ((a, wide_b), (b, wide_a)):
        far += (x & wide << DAY).bit_count() + (x << DAY & wide).bit_count()
    return float(both), float(q0), *day, n0 / 2, far / 4, *week


def _moved(a: int, b: int, ia: int, ib: int, by: int) -> tuple[float, float]:
    """Hours together and apart with one of the two moved by so many hours, both ways, averaged."""
    later, ilater = b << by, ib << by
    ahead, iahead = a << by, ia << by
    together = (a & later).bit_count() + (ahead & b).bit_count()
    one = (a & ilater).bit_count() + (later & ia).bit_count() + (ahead & ib).bit_count() + (b & iahead).bit_count()
    return together / 2, one / 2 - together


def _by_bits(spans: Sequence[Span], base: int, left_out: int) -> Pairs | None:
    n = len(spans)
    inside = [((1 << span.hours.bit_length()) - 1) << (span.first - base) for span in spans]
    whole = [span.hours << (span.first - base) for span in spans]
    met = [
        (i, j)
        for i in range(n)
        for j in range(i)
        if (inside[i] & inside[j]).bit_count() >= SHARED_HOURS or _together(whole[i], whole[j])
    ]
    if not met:
        return None
    active = [hours & ~left_out for hours in whole]
    near = [_dilated(bits) for bits in active]
    tables = np.zeros((8, n, n))
    overlap = np.zeros((n, n), dtype=np.bool_)
    for i, j in met:
        overlap[i, j] = overlap[j, i] = True
        ia, ib = inside[i] & ~left_out, inside[j] & ~left_out
        counts = _counts(active[i], active[j], ia, ib, (near[i], near[j]))
        tables[:, i, j] = tables[:, j, i] = counts
    return Pairs(overlap, *tables)


def _by_words(spans: Sequence[Span], base: int, left_out: int) -> Pairs | None:
    width = max(span.last for span in spans) - base + 1
    kept = ((1 << width) - 1) & ~left_out
    inside_all = [((1 << span.hours.bit_length()) - 1) << (span.first - base) for span in spans]
    whole_all = [span.hours << (span.first - base) for span in spans]
    active_all = [row & kept for row in whole_all]
    words = (width + WEEK) // 64 + 1

    def pack(rows: list[int], shift: int = 0) -> Words:
        data = b"".join((row << shift).to_bytes(8 * words, "little") for row in rows)
        return np.frombuffer(data, dtype="<u8").reshape(len(rows), words)

    counted_all = [row & kept for row in inside_all]
    near_all = [_dilated(row) for row in active_all]
    active, counted, near = pack(active_all), pack(counted_all), pack(near_all)
    first = np.array([span.first for span in spans])[:, None]
    last = np.array([span.last for span in spans])[:, None]
    overlap = np.minimum(last, last.T) - np.maximum(first, first.T) + 1 >= SHARED_HOURS
    whole = pack(whole_all)
    overlap |= _meet(whole, whole) >= TOGETHER_HOURS
    np.fill_diagonal(overlap, False)
    if not overlap.any():
        return None
    zero = overlap.astype(np.float64)
    both = _meet(active, active)
    one = _meet(active, counted)

    def moved(by: int) -> tuple[Matrix, Matrix]:
        later = pack(active_all, by)
        fore = _meet(active, later)
        q = _meet(active, pack(counted_all, by)) + _meet(later, counted)
        return (fore + fore.T) / 2 * zero, ((q + q.T) / 2 - fore - fore.T) * zero

    close = _meet(pack(active_all, NEAR), near)
    far = _meet(pack(active_all, NEAR), pack(near_all, DAY)) + _meet(pack(active_all, NEAR + DAY), near)
    return Pairs(
        overlap,
        both * zero,
        (one + one.T - 2 * both) * zero,
        *moved(DAY),
        (close + close.T) / 2 * zero,
        (far + far.T) / 4 * zero,
        *moved(WEEK),
    )


def _meet(a: Words, b: Words) -> Matrix:
    """How many bits every row of ``a`` shares with every row of ``b``. Counted on words: a product of matrices would wake
    the threads of the linear algebra library, which costs more than it does."""
    out = np.zeros((len(a), len(b)), dtype=np.int64)
    for word in range(a.shape[1]):
        out += np.bitwise_count(a[:, word, None] & b[None, :, word])
    return out.astype(np.float64)

"""Hours kept together: for every two parties on an address, whether their times overlap and how alike their hours are.

All pairwise work of a decision happens here, once per address. A party is one person at one member with the hours of all
its keys there. Two parties overlap if their [first, last] intervals share 12 h: one who took over a renumbered address
from another never met it. Counts are whole hours:

- ``c0``, hours in which both are active; ``q0``, hours of the shared interval in which exactly one is;
- ``c24``, ``q24``, the same with one of the two moved by a day, both ways, averaged: what the daily rhythm alone gives.

Small addresses are counted with integers as bit sets, large ones with matrix products; the results are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHARED_HOURS = 12
DAY = 24
WINDOW_HOURS = 60 * DAY
SMALL = 10

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
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


def pairs_of(spans: Sequence[Span]) -> Pairs:
    """Compares every two spans."""
    newest = max(span.last for span in spans)
    spans = [recent(span, newest) for span in spans]
    return _by_bits(spans) if len(spans) <= SMALL else _by_products(spans)


def _by_bits(spans: Sequence[Span]) -> Pairs:
    n = len(spans)
    base = min(span.first for span in spans)
    active = [span.hours << (span.first - base) for span in spans]
    inside = [((1 << span.hours.bit_length()) - 1) << (span.first - base) for span in spans]
    c0, q0, c24, q24 = (np.zeros((n, n)) for _ in range(4))
    overlap = np.zeros((n, n), dtype=np.bool_)
    for i in range(n):
        for j in range(i):
            a, b, ia, ib = active[i], active[j], inside[i], inside[j]
            if (ia & ib).bit_count() < SHARED_HOURS:
                continue
            overlap[i, j] = overlap[j, i] = True
            both = (a & b).bit_count()
            c0[i, j] = c0[j, i] = both
            q0[i, j] = q0[j, i] = (a & ib).bit_count() + (b & ia).bit_count() - 2 * both
            later, ilater = b << DAY, ib << DAY
            ahead, iahead = a << DAY, ia << DAY
            fore, back = (a & later).bit_count(), (ahead & b).bit_count()
            c24[i, j] = c24[j, i] = (fore + back) / 2
            q = (a & ilater).bit_count() + (later & ia).bit_count() + (ahead & ib).bit_count() + (b & iahead).bit_count()
            q24[i, j] = q24[j, i] = q / 2 - fore - back
    return Pairs(overlap, c0, q0, c24, q24)


def _by_products(spans: Sequence[Span]) -> Pairs:
    n = len(spans)
    base = min(span.first for span in spans)
    width = max(span.last for span in spans) - base + 1
    length = (width + 7) // 8
    packed = b"".join((span.hours << (span.first - base)).to_bytes(length, "little") for span in spans)
    bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8).reshape(n, length), axis=1, bitorder="little")
    active = bits[:, :width].astype(np.float32)
    first = np.array([span.first - base for span in spans])[:, None]
    last = np.array([span.last - base for span in spans])[:, None]
    hour = np.arange(width)[None, :]
    inside = ((hour >= first) & (hour <= last)).astype(np.float32)
    overlap = np.minimum(last, last.T) - np.maximum(first, first.T) + 1 >= SHARED_HOURS
    np.fill_diagonal(overlap, False)
    both = active @ active.T
    in_other = active @ inside.T
    moved_active, moved_inside = np.zeros_like(active), np.zeros_like(inside)
    moved_active[:, DAY:] = active[:, : max(width - DAY, 0)]
    moved_inside[:, DAY:] = inside[:, : max(width - DAY, 0)]
    fore = active @ moved_active.T
    # What one moved past the window's end does not meet the other in any case.
    q = active @ moved_inside.T
    r = moved_active @ inside.T
    zero = np.where(overlap, 1.0, 0.0)
    c0 = both * zero
    q0 = (in_other + in_other.T - 2 * both) * zero
    c24 = (fore + fore.T) / 2 * zero
    q24 = ((q + r + q.T + r.T) / 2 - fore - fore.T) * zero
    return Pairs(overlap, c0.astype(np.float64), q0.astype(np.float64), c24.astype(np.float64), q24.astype(np.float64))

"""Python's work behind the trading path, in slices: between them the interpreter's lock is free for whoever waits for it.

A thread that computes keeps that lock for 5 ms at a time. The gateway's event loop would wait so long for its next request, and
the thread that fingerprints as long for each element, whenever a batch is being made beside it.

>>> list(yielding([1, 2, 3]))
[1, 2, 3]
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

SLICE = 50
"""Items that take a quarter of a millisecond or so."""
PAUSE_SECONDS = 0.00002
"""Long enough for a thread that waits to wake up and take the lock."""
_T = TypeVar("_T")


def yielding(items: Sequence[_T]) -> Iterator[_T]:
    """The items, with a pause after each slice of them."""
    for start in range(0, len(items), SLICE):
        if start:
            time.sleep(PAUSE_SECONDS)
        yield from items[start : start + SLICE]

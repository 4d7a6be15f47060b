"""When a call is made again, and after how long: only where that can help, and never sooner than the peer asked.

What chance adds comes after what the peer asked for: those who were refused together would else come back together.

>>> from daxa_core.errors import Refused, Unavailable
>>> pause(0, Unavailable(ErrorCode.UNAVAILABLE, "registry", "to be reachable"), jitter=lambda low, high: high)
0.2
>>> pause(0, Refused(ErrorCode.PERMISSION_DENIED, "", ""), jitter=lambda low, high: high) is None
True
"""

from __future__ import annotations

import random
from collections.abc import Callable

from daxa_core.errors import DaxaError, ErrorCode

ATTEMPTS = 6
FIRST_SECONDS = 0.2
LONGEST_SECONDS = 10.0
LONGEST_ASKED_SECONDS = 30.0
RETRYABLE = frozenset({
    ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.OVERLOADED, ErrorCode.TOO_MANY_CALLS,
    ErrorCode.QUOTA_EXHAUSTED,
})  # fmt: skip


def backoff(attempt: int, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds before attempt ``attempt + 1``, counted from 0: exponential, with half of it left to chance."""
    ceiling = min(FIRST_SECONDS * 2.0 ** min(attempt, 30), LONGEST_SECONDS)
    return jitter(ceiling / 2, ceiling)


def waiting(attempt: int, error: DaxaError, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds before attempt ``attempt + 1``, counted from 0, after that error."""
    return (error.retry_after or 0.0) + backoff(attempt, jitter)


def pause(
    attempt: int, error: DaxaError, jitter: Callable[[float, float], float] = random.uniform, attempts: int = ATTEMPTS
) -> float | None:
    """Seconds to wait before the same call is made again, or None where the error is to be told.

    A peer that asks for a longer pause than a caller can be kept waiting is believed: the error, which says how long, is told.
    """
    if error.code not in RETRYABLE or attempt + 1 >= attempts or (error.retry_after or 0.0) > LONGEST_ASKED_SECONDS:
        return None
    return waiting(attempt, error, jitter)

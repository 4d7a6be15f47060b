"""Which evaluators to ask, in which order, and why some are passed over. No I/O; the clock is given.

One that does not answer, or is slow, rests a while, longer each time, and is asked after the others meanwhile; one whose member
quota of a kind is spent rests for that kind. One that lied (a wrong proof, count or index) is not asked again by this process:
it holds another key than the one that was agreed, or somebody stands in its place.

    >>> from daxa_core.errors import CryptoError
    >>> standing = Standing([1, 2, 3], first=1)
    >>> standing.lied(3, CryptoError(ErrorCode.INVALID_PROOF, "proof", "a proof against the evaluator's public share"))
    >>> standing.order(Kind.KEY)
    [2, 1]
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from daxa_core.errors import DaxaError, ErrorCode
from daxa_core.model import Kind

from ._complaints import Complaints

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 300.0


def name_of(index: int) -> str:
    """How an evaluator is named wherever a person reads it."""
    return f"evaluator {index}"


@dataclass(slots=True)
class _Record:
    problem: str = ""
    failures: int = 0
    rests_until: float = 0.0
    lied: bool = False
    spent_until: dict[Kind, float] = field(default_factory=dict)


class Standing:
    """What is known of each evaluator. Thread-safe; what is wrong with one is one log line an hour, without identifiers."""

    def __init__(self, indexes: Sequence[int], first: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``first``: the place in ``indexes`` to begin at, so that not all members lean on the same evaluators."""
        turn = first % len(indexes)
        self._records = {index: _Record() for index in (*indexes[turn:], *indexes[:turn])}
        self._clock = clock
        self._complaints = Complaints(clock)
        self._lock = threading.Lock()

    def order(self, kind: Kind) -> list[int]:
        """Indexes to ask: those in good standing, then those at rest (the soonest back first), never one that lied."""
        now = self._clock()
        with self._lock:
            usable = [
                (i, max(r.rests_until, r.spent_until.get(kind, 0.0))) for i, r in self._records.items() if not r.lied
            ]
        return [i for i, until in usable if until <= now] + [
            i for i, until in sorted(usable, key=lambda item: item[1]) if until > now
        ]

    def served(self, index: int, kind: Kind) -> None:
        """It answered in time, and rightly."""
        with self._lock:
            record = self._records[index]
            if record.lied:  # an answer that was under way when the lie was found out redeems nothing
                return
            record.spent_until.pop(kind, None)
            was, record.problem = record.problem, ""
            record.failures, record.rests_until = 0, 0.0
        if was:
            self._complaints.say(f"served {index}", f"{name_of(index)} serves again", logging.INFO)

    def failed(self, index: int, kind: Kind, error: DaxaError) -> None:
        """It did not answer, or refused, or was slow."""
        now = self._clock()
        with self._lock:
            record = self._records[index]
            if record.lied:
                return
            if error.code is ErrorCode.QUOTA_EXHAUSTED:
                record.spent_until[kind] = now + min(error.retry_after or LONGEST_REST_SECONDS, LONGEST_REST_SECONDS)
            else:
                # Calls that were under way together and failed together are one failure.
                if record.rests_until <= now:
                    record.failures += 1
                rest = min(FIRST_REST_SECONDS * 2.0 ** (record.failures - 1), LONGEST_REST_SECONDS)
                record.rests_until = now + max(rest, min(error.retry_after or 0.0, LONGEST_REST_SECONDS))
                record.problem = str(error)
        self._complaints.say(f"failed {index} {error.code}", f"{name_of(index)} is passed over for a while: {error}")

    def lied(self, index: int, error: DaxaError) -> None:
        """Its answer was wrong."""
        with self._lock:
            record = self._records[index]
            told, record.lied, record.problem = record.lied, True, str(error)
        if not told:
            text = f"{name_of(index)} answered wrongly and is not asked again by this process: {error}"
            self._complaints.say(f"lied {index}", text)

    def health(self) -> dict[str, str]:
        """Each by name: ``"ok"``, or what is wrong with it."""
        now = self._clock()
        out = {}
        with self._lock:
            for index, record in sorted(self._records.items()):
                spent = [kind.name for kind, until in record.spent_until.items() if until > now]
                problem = record.problem or (f"{ErrorCode.QUOTA_EXHAUSTED}: {', '.join(spent)}" if spent else "")
                out[name_of(index)] = problem or "ok"
        return out

"""The evaluator's daily quota: what stops a member from enumerating addresses through the front door.

Counts per member, kind and UTC day stand in a small SQLite file and are durable before an answer leaves, so a restart
forgives nothing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from daxa_core.errors import ErrorCode, Refused, Unavailable
from daxa_core.model import Kind

SECONDS_PER_DAY = 86_400


class Quota:
    """Counts what each member had evaluated today."""

    def __init__(self, path: Path | str, per_day: Mapping[Kind, int], clock: Callable[[], float] = time.time) -> None:
        """``per_day``: elements of each kind for each member and UTC day."""
        self._per_day = dict(per_day)
        self._clock = clock
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS spent (day INTEGER, member TEXT, kind INTEGER, elements INTEGER NOT NULL,"
                " PRIMARY KEY (day, member, kind)) WITHOUT ROWID"
            )
        except sqlite3.Error:
            raise Unavailable(ErrorCode.UNAVAILABLE, "quota", "a file that can be written to") from None

    def per_day(self, kind: Kind) -> int:
        """The quota of a kind."""
        return self._per_day[kind]

    def remaining(self, member: str, kind: Kind) -> int:
        """What the member may still have evaluated today."""
        day = int(self._clock()) // SECONDS_PER_DAY
        with self._lock:
            return max(self._per_day[kind] - self._spent(day, member, kind), 0)

    def spend(self, member: str, kind: Kind, elements: int) -> None:
        """Charges the member, durably.

        Raises Refused QUOTA_EXHAUSTED with the seconds until the next UTC day where it is not enough (nothing is charged
        then), and Unavailable where the count cannot be kept.
        """
        now = self._clock()
        day = int(now) // SECONDS_PER_DAY
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                spent = self._spent(day, member, kind)
                if spent + elements > self._per_day[kind]:
                    self._db.execute("ROLLBACK")
                    left = max(self._per_day[kind] - spent, 0)
                    raise Refused(
                        ErrorCode.QUOTA_EXHAUSTED,
                        "blinded_elements",
                        f"at most {left} more elements of kind {kind.name} today",
                        retry_after=(day + 1) * SECONDS_PER_DAY - now,
                    )
                self._db.execute(
                    "INSERT INTO spent VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET elements=elements+excluded.elements",
                    (day, member, int(kind), elements),
                )
                self._db.execute("DELETE FROM spent WHERE day < ?", (day - 31,))
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise Unavailable(
                    ErrorCode.UNAVAILABLE, "quota", "a file that can be written to; try again", retry_after=1.0
                ) from None

    def _spent(self, day: int, member: str, kind: Kind) -> int:
        row = self._db.execute(
            "SELECT elements FROM spent WHERE day=? AND member=? AND kind=?", (day, member, int(kind))
        ).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

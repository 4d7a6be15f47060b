"""The evaluator's daily quota: what stops a member from enumerating addresses through the front door.

Counts per caller, kind and UTC day stand in a small SQLite file and are durable before an answer leaves, so a restart
forgives nothing. A caller is a role and a name, ``member/upbit``: an operator of the same name has a count of its own.

>>> quota = Quota(":memory:", {Kind.KEY: 10}, clock=lambda: 0.0)
>>> quota.spend("member/upbit", Kind.KEY, 8)
>>> quota.remaining("member/upbit")
{<Kind.KEY: 1>: 2}
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode, Refused, Unavailable
from daxa_core.model import Kind

SECONDS_PER_DAY = 86_400
VERSION = 1
_KEPT_DAYS = 31
_BUSY_SECONDS = 5.0


class Quota:
    """Counts what each caller had evaluated today. Thread-safe; every method but the constructor may wait for the disk."""

    def __init__(self, path: Path | str, per_day: Mapping[Kind, int], clock: Callable[[], float] = time.time) -> None:
        """``per_day``: elements of each kind for each caller and UTC day; ``clock``: seconds since the epoch.

        Raises ConfigurationError naming the file where it cannot be opened, is no such file, or is of another version.
        """
        self._per_day = dict(per_day)
        self._clock = clock
        self._lock = threading.Lock()
        name = Path(path).name
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
        except sqlite3.Error:
            raise ConfigurationError(ErrorCode.INVALID_FILE, name, "a file that can be written to") from None
        try:
            found = self._open()
        except sqlite3.Error:
            self._db.close()
            raise ConfigurationError(ErrorCode.INVALID_FILE, name, "a quota file that can be written to") from None
        if found != VERSION:
            self._db.close()
            raise ConfigurationError(ErrorCode.INVALID_FILE, name, f"a quota file of version {VERSION}, got {found}")

    def _open(self) -> int:
        """Makes the table where there is none; answers the file's version."""
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN IMMEDIATE")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version == 0 and tables == 0:
            self._db.execute(
                "CREATE TABLE spent (day INTEGER, caller TEXT, kind INTEGER, elements INTEGER NOT NULL,"
                " PRIMARY KEY (day, caller, kind)) WITHOUT ROWID"
            )
            self._db.execute(f"PRAGMA user_version={VERSION}")
            version = VERSION
        self._db.execute("COMMIT")
        return int(version)

    def per_day(self, kind: Kind) -> int:
        """The quota of a kind."""
        return self._per_day[kind]

    def remaining(self, caller: str) -> dict[Kind, int]:
        """What the caller may still have evaluated today, by kind. Raises Unavailable where the count cannot be read."""
        day = int(self._clock()) // SECONDS_PER_DAY
        with self._lock:
            try:
                return {kind: max(limit - self._spent(day, caller, kind), 0) for kind, limit in self._per_day.items()}
            except sqlite3.Error:
                raise _unavailable() from None

    def used(self) -> dict[tuple[str, ...], float]:
        """By caller and kind: the share of today's quota that is used up, 0 to 1."""
        day = int(self._clock()) // SECONDS_PER_DAY
        with self._lock:
            rows = self._db.execute("SELECT caller, kind, elements FROM spent WHERE day=?", (day,)).fetchall()
        return {(caller, Kind(kind).name): n / max(self._per_day[Kind(kind)], 1) for caller, kind, n in rows}

    def spend(self, caller: str, kind: Kind, elements: int) -> None:
        """Charges the caller, durably.

        Raises Refused QUOTA_EXHAUSTED with the seconds until the next UTC day where it is not enough (nothing is charged
        then), and Unavailable where the count cannot be kept.
        """
        now = self._clock()
        day = int(now) // SECONDS_PER_DAY
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                left = max(self._per_day[kind] - self._spent(day, caller, kind), 0)
                if elements <= left:
                    self._db.execute(
                        "INSERT INTO spent VALUES (?,?,?,?)"
                        " ON CONFLICT DO UPDATE SET elements=elements+excluded.elements",
                        (day, caller, int(kind), elements),
                    )
                    self._db.execute("DELETE FROM spent WHERE day < ?", (day - _KEPT_DAYS,))
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise _unavailable() from None
        if elements > left:
            raise Refused(
                ErrorCode.QUOTA_EXHAUSTED,
                "blinded_elements",
                f"at most {left} more elements of kind {kind.name} today",
                retry_after=(day + 1) * SECONDS_PER_DAY - now,
            )

    def _spent(self, day: int, caller: str, kind: Kind) -> int:
        row = self._db.execute(
            "SELECT elements FROM spent WHERE day=? AND caller=? AND kind=?", (day, caller, int(kind))
        ).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()


def _unavailable() -> Unavailable:
    return Unavailable(ErrorCode.UNAVAILABLE, "quota", "a count that can be kept; try again", retry_after=1.0)

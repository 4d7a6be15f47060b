"""From memory to the disk: what was seen, how often, and what was done about verdicts.

What is new goes to the spool with each flush and is sent at once. How often it was seen again goes with each flush to this
process's journal there, and is added up once in a while, to be sent once in ten minutes. What the disk does not take stays in
memory.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path

from daxa_core.model import FINGERPRINT_BYTES, Act, RawSighting, Verdict

from ._observer import Observer
from ._spool import Spool
from ._workers import Worker

SHIP_COUNTS_SECONDS = 600
DONE = 10_000
"""Reports that wait for the disk."""


class Keeper:
    """What one process holds in memory, and its way to the spool. Thread-safe; :meth:`after_fork` in a child."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.observer = Observer()
        self._spool, self._folder = spool, folder
        self._worker = Worker(folder)
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._done: deque[tuple[Verdict, Act]] = deque()
        self._looked = self._noted = self._anew = False

    def after_fork(self) -> None:
        """Forgets what the parent process has seen and done: the parent tells it."""
        self._worker.leave()
        self._worker = Worker(self._folder)
        self._begin()
        self.observer.after_fork()

    @property
    def reports(self) -> int:
        """How many wait for the disk."""
        return len(self._done)

    def report(self, verdict: Verdict, act: Act) -> bool:
        """Takes a report, to be put on the disk; False where it is none, or too many wait. Never waits, never raises."""
        if not (isinstance(verdict, Verdict) and isinstance(act, Act)) or len(verdict.key) != FINGERPRINT_BYTES:
            return False
        if len(self._done) >= DONE:
            return False
        self._done.append((verdict, act))
        return True

    def keep(self, counts: bool, mark: tuple[str, str] | None = None) -> None:
        """Puts it on the disk; with ``counts`` it adds up how often what is there was seen again. Raises Unavailable.

        With ``mark`` (see :meth:`Spool.add`) all of what was seen goes in its transaction, and nothing into a journal.
        """
        with self._lock:
            counts = counts or mark is not None or self.observer.crowded
            now = int(time.time())
            later = now - now % SHIP_COUNTS_SECONDS + SHIP_COUNTS_SECONDS
            if counts or not self._looked:
                self._spool.take_over(later, self._worker)
                self._looked = True
            fresh: list[RawSighting] = []
            repeats: list[RawSighting] = []
            done = [self._done.popleft() for _ in range(len(self._done))]
            try:
                fresh = self.observer.collect(counts=False)
                repeats = self.observer.collect(counts=True) if counts else []
                if done:
                    self._spool.reports.add(done)
                    done = []
                if mark is not None:
                    self._spool.add(fresh + repeats, now, mark, self._worker.name)
                    fresh, repeats = [], []
                if fresh:
                    self._spool.add(fresh, now)
                    fresh = []
                if repeats or (counts and self._noted):
                    self._spool.add(repeats, later, instead_of=self._worker.name)
                    repeats, self._noted = [], False
                if not counts:
                    self._note()
            except Exception:
                self.observer.put_back(fresh + repeats)
                self._done.extendleft(reversed(done))
                self._anew = True  # what is in the journal is in memory again
                raise

    def close(self) -> None:
        """After the last :meth:`keep`: what that could not put on the disk, another process finds in the journal."""
        self._worker.end()

    def _note(self) -> None:
        """Into the journal."""
        changed = self.observer.changed(everything=self._anew)
        if changed or self._anew:
            self._worker.begin()
            self._spool.note(self._worker.name, changed, self._anew)
            self._anew, self._noted = False, True

"""Telling the registry what the gateway did about verdicts: queued by whoever blocks a request, sent by a thread of its own.

A report that cannot be sent now waits; one that the registry refuses, because a newer verdict has taken the place of the one that
was acted on, is let go and said: what is done about the newer one is reported in its turn.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from daxa_core.errors import DaxaError, Unavailable
from daxa_core.model import Act, Verdict

from ._complaints import Complaints
from ._enforcement import EnforcementReceipt
from ._retry import waiting

WAITING = 10_000
RECEIPTS = 1_000


class Reporting(Protocol):
    """What is needed of :class:`daxa_client.RegistryClient`."""

    def report_enforcement(self, verdict: Verdict, act: Act) -> EnforcementReceipt:
        """As there."""


class Reports:
    """A bounded queue of what was done, and the receipts of what was told."""

    def __init__(self, client: Reporting, complaints: Complaints) -> None:
        self._client, self._complaints = client, complaints
        self._waiting: deque[tuple[Verdict, Act]] = deque()
        self._wake, self._stopped = threading.Event(), threading.Event()
        self.receipts: deque[EnforcementReceipt] = deque(maxlen=RECEIPTS)
        self.answered = 0

    def put(self, verdict: Verdict, act: Act) -> bool:
        """Whether it will be told: False where too many wait. Never waits."""
        if self._stopped.is_set() or len(self._waiting) >= WAITING:
            return False
        self._waiting.append((verdict, act))
        self._wake.set()
        return True

    def run(self) -> None:
        """Tells what waits, in order, until it is stopped."""
        attempt = 0
        while not self._stopped.is_set():
            if not self._waiting:
                self._wake.wait(1.0)
                self._wake.clear()
                continue
            verdict, act = self._waiting[0]
            try:
                self.receipts.append(self._client.report_enforcement(verdict, act))
                self.answered += 1
            except Unavailable as error:
                self._complaints.say("report", f"what was done about verdicts cannot be reported now: {error}")
                self._stopped.wait(waiting(attempt, error))
                attempt += 1
                continue
            except DaxaError as error:
                self._complaints.say("report", f"a report of what was done was refused: {error}")
            except Exception as error:  # noqa: BLE001 - this thread must not end
                self._complaints.say("report", f"reporting failed with a bug: {type(error).__name__}")
            attempt = 0
            self._waiting.popleft()

    def stop(self) -> None:
        """Ends :meth:`run`. What still waits is reported when the next request is blocked."""
        self._stopped.set()
        self._wake.set()

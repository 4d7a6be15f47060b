"""Telling the registry what the gateways of this host did about verdicts, out of the spool, by a thread of the one that ships.

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
from ._report_store import ReportStore
from ._retry import waiting

RECEIPTS = 1_000
_LOOK_SECONDS = 1.0


class Reporting(Protocol):
    """What is needed of :class:`daxa_client.RegistryClient`."""

    def report_enforcement(self, verdict: Verdict, act: Act) -> EnforcementReceipt:
        """As there."""


class Reports:
    """From the store to the registry, and the receipts of what was told."""

    def __init__(self, client: Reporting, store: ReportStore, complaints: Complaints) -> None:
        self._client, self._store, self._complaints = client, store, complaints
        self._wake, self._stopped = threading.Event(), threading.Event()
        self.receipts: deque[EnforcementReceipt] = deque(maxlen=RECEIPTS)
        self.answered = 0

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def run(self) -> None:
        """Tells what waits, in order, until it is stopped."""
        attempt = 0
        while not self._stopped.is_set():
            try:
                if self._told_one():
                    attempt = 0
                else:
                    self._wake.wait(_LOOK_SECONDS)
                    self._wake.clear()
            except Unavailable as error:
                if self._stopped.is_set():
                    return
                self._complaints.say("report", f"what was done about verdicts cannot be reported now: {error}")
                self._stopped.wait(waiting(attempt, error))
                attempt += 1

    def _told_one(self) -> bool:
        """Whether there was one to tell. Raises Unavailable where it waits on."""
        found = self._store.next()
        if found is None:
            return False
        tag, verdict, act = found
        try:
            self.receipts.append(self._client.report_enforcement(verdict, act))
            self.answered += 1
        except Unavailable:
            raise
        except DaxaError as error:
            self._complaints.say("report", f"a report of what was done was refused: {error}")
        except Exception as error:  # noqa: BLE001 - this thread must not end
            self._complaints.say("report", f"reporting failed with a bug: {type(error).__name__}")
        self._store.answered(tag)
        return True

    def stop(self) -> None:
        """Ends :meth:`run`. What still waits is told by whoever ships next."""
        self._stopped.set()
        self._wake.set()

"""What a gateway did about verdicts is told: in order, again where the registry is away, and not where it is refused."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from daxa_client import ErrorCode, Refused, Unavailable, Verdict
from daxa_client._complaints import Complaints
from daxa_client._enforcement import EnforcementReceipt
from daxa_client._reports import WAITING, Reports
from daxa_core.model import Act


@dataclass
class Registry:
    """Answers what it is told to, then takes everything."""

    answers: list[Exception] = field(default_factory=list)
    told: list[tuple[int, Act]] = field(default_factory=list)

    def report_enforcement(self, verdict: Verdict, act: Act) -> EnforcementReceipt:
        """As the client's."""
        self.told.append((verdict.sequence, act))
        if self.answers:
            raise self.answers.pop(0)
        return EnforcementReceipt(1, True, verdict)


def ran(reports: Reports, registry: Registry, number: int) -> None:
    """Runs until that many calls were made."""
    thread = threading.Thread(target=reports.run)
    thread.start()
    end = time.monotonic() + 30
    while len(registry.told) < number and time.monotonic() < end:
        time.sleep(0.01)
    reports.stop()
    thread.join(30)
    assert not thread.is_alive()


def test_reports_are_told_in_order_and_again_where_they_were_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    """Unavailable waits and tells again; refused or broken is said once and let go, and the next goes on."""
    unavailable = Unavailable(ErrorCode.UNAVAILABLE, "registry", "an answer", retry_after=0.01)
    superseded = Refused(ErrorCode.PERMISSION_DENIED, "sequence", "the current one")
    registry = Registry([unavailable, superseded, RuntimeError("a bug")])
    reports = Reports(registry, Complaints())
    for sequence in (1, 2, 3):
        assert reports.put(Verdict(b"k" * 32, sequence=sequence), Act.MONITORED)
    ran(reports, registry, 4)
    assert registry.told == [(1, Act.MONITORED), (1, Act.MONITORED), (2, Act.MONITORED), (3, Act.MONITORED)]
    assert [receipt.verdict.sequence for receipt in reports.receipts] == [3]
    assert len(caplog.records) == 1  # one subject, one line an hour


def test_the_queue_is_bounded_and_closed_when_it_is_stopped() -> None:
    """What is not taken is told by the answer, so that the next blocked request tries again."""
    reports = Reports(Registry(), Complaints())
    verdict = Verdict(b"k" * 32, sequence=1)
    assert all(reports.put(verdict, Act.REVOKED) for _ in range(WAITING))
    assert not reports.put(verdict, Act.REVOKED)
    reports.stop()
    assert not Reports.put(reports, verdict, Act.REVOKED)

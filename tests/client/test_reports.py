"""What gateways did about verdicts is told: in order, again where the registry is away, by whoever ships, also after a crash."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
import pytest

from daxa_client import ErrorCode, Gateway, Refused, Unavailable, Verdict, _report_store
from daxa_client._complaints import Complaints
from daxa_client._enforcement import EnforcementReceipt
from daxa_client._reports import Reports
from daxa_client._spool import Spool
from daxa_client.testing import TestRegistry
from daxa_core.model import Act, Level

SECRET = bytes(32)
WAIT = 60.0


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite", SECRET)


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


def test_reports_are_told_in_order_and_again_where_they_were_not_taken(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """Unavailable waits and tells again; refused or broken is said once and let go, and the next goes on."""
    unavailable = Unavailable(ErrorCode.UNAVAILABLE, "registry", "an answer", retry_after=0.01)
    superseded = Refused(ErrorCode.PERMISSION_DENIED, "sequence", "the current one")
    registry = Registry([unavailable, superseded, RuntimeError("a bug")])
    reports = Reports(registry, spool.reports, Complaints())
    for sequence in (1, 2, 3, 3):
        spool.reports.add([(Verdict(b"k" * 32, sequence=sequence), Act.MONITORED)])
    ran(reports, registry, 4)
    assert registry.told == [(1, Act.MONITORED), (1, Act.MONITORED), (2, Act.MONITORED), (3, Act.MONITORED)]
    assert [receipt.verdict.sequence for receipt in reports.receipts] == [3]
    assert len(caplog.records) == 1  # one subject, one line an hour
    assert spool.state().reports == 0


def test_a_report_that_cannot_be_read_is_counted_and_stops_no_other(spool: Spool) -> None:
    """Changed on the disk, or under another secret: what is told is what was done."""
    spool.reports.add([(Verdict(b"k" * 32, sequence=1), Act.REVOKED)])
    with spool._file.transaction() as database:
        database.execute("INSERT INTO report (id, tag, body) VALUES (0, 'tag', x'00')")
        database.execute("INSERT INTO report (id, tag, body) VALUES (-1, x'00', zeroblob(100))")
    found = spool.reports.next()
    assert found is not None
    assert (found[1].key, found[1].sequence, found[2]) == (b"k" * 32, 1, Act.REVOKED)
    assert spool.state().reports_lost == 2


def test_past_its_bound_the_oldest_goes_and_is_counted(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A registry that is away for weeks costs no more than that; the newest are kept."""
    monkeypatch.setattr(_report_store, "KEPT", 10)
    spool.reports.add([(Verdict(b"k" * 32, sequence=sequence), Act.MONITORED) for sequence in range(1, 15)])
    state, found = spool.state(), spool.reports.next()
    assert (state.reports, state.reports_lost) == (10, 4)
    assert found is not None
    assert found[1].sequence == 5
    assert "4 reports of what was done about verdicts were lost" in caplog.text


def test_nothing_of_a_report_is_in_the_file(spool: Spool, tmp_path: Path) -> None:
    """It is sealed like what was seen: who has the disk does not learn whose keys were stopped."""
    spool.reports.add([(Verdict(b"fingerprint-of-somebody's-own-key", sequence=1), Act.REVOKED)])
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"CREATE TABLE report" in content
    assert b"fingerprint-of" not in content


WORKER = """
import os, signal, sys, time
from daxa_client import Gateway, Verdict
from daxa_core.model import Act
gateway = Gateway.from_file(sys.argv[1])
for number in range(3):
    assert gateway.report(Verdict(bytes([number]) * 32, sequence=number + 1), Act.REVOKED)
assert not gateway.health().ships, "the other process leads"
print("reported", flush=True)
while gateway.health().reports_waiting != 3 or gateway._keeper.reports:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_worker_did_is_told_by_the_process_that_ships_and_survives_both(
    deployed: Path, tmp_path: Path, registry: peers.Registry
) -> None:
    """Two processes on one folder, the registry away: the worker is killed once it is on the disk, the one that shipped ends,
    and the next one tells it, once."""
    folder = shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")
    nowhere = "127.0.0.1:9"
    path = peers.point(folder, nowhere, {1: nowhere, 2: nowhere})
    with Gateway.from_file(path) as leader:
        leader.verdict("")
        until(lambda: leader.health().ships)
        ended = subprocess.run(
            [sys.executable, "-c", WORKER, path], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert leader.health().reports_waiting == 3
    with peers.registry(deployed, registry) as target:
        with Gateway.from_file(peers.point(folder, target, {1: nowhere, 2: nowhere})) as gateway:
            gateway.verdict("")
            until(lambda: gateway.health().reports_waiting == 0)
        registry.ended.set()
    assert registry.reports == [(bytes([number]) * 32, number + 1, int(Act.REVOKED)) for number in range(3)]


def test_the_same_act_of_several_workers_is_told_once(tmp_path: Path) -> None:
    """Each worker blocks the key for the first time while the registry is away; it hears of that once."""
    with TestRegistry(tmp_path) as registry:
        verdict = registry.decide("key", Level.REVOKE)
        away = registry.config(targets=("localhost:9",), deadline_seconds=0.2)
        for _ in range(3):
            with Gateway(away) as gateway:
                assert gateway.report(verdict, Act.REVOKED)
                gateway.flush()
                assert gateway.health().reports_waiting == 1
        with Gateway(registry.config()) as gateway:
            gateway.verdict("key")
            until(lambda: gateway.health().reports_waiting == 0)
    assert registry.reports == [(verdict.key, int(Act.REVOKED))]


def test_what_is_no_report_and_what_comes_too_late_is_not_taken(tmp_path: Path) -> None:
    """It says so, and raises nothing into whoever blocks a request."""
    with TestRegistry(tmp_path) as registry, Gateway(registry.config()) as gateway:
        wrong: Any = None
        assert not gateway.report(wrong, Act.REVOKED)
        assert not gateway.report(Verdict(b"k" * 32, sequence=1), wrong)
        assert not gateway.report(Verdict(b"", sequence=1), Act.REVOKED)
        gateway.close()
        assert not gateway.report(Verdict(b"k" * 32, sequence=1), Act.REVOKED)


def until(true: Callable[[], object]) -> None:
    """Waits for it; fails where it does not come."""
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)

"""``scripts/demo`` as a newcomer runs it: it shows what was found and done, and leaves no process behind."""

from __future__ import annotations

import copy
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from deployment import left_behind

DEMO = Path(__file__).resolve().parents[2] / "scripts/demo"
WAIT_SECONDS = 600


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), "--folder", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are counted in /proc")
def test_the_demonstration_finds_the_ring_and_its_orders_are_blocked(tmp_path: Path) -> None:
    """Every exchange has its row: all of the ring found, nobody honest accused, orders held back, each block receipted."""
    process = start(tmp_path / "demo")
    said, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, said
    rows = re.findall(
        r"(?m)^ (upbit|bithumb|coinone|korbit|gopax) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)", said
    )
    assert len(rows) == 5, said
    for _, _, ring, found, accused, sent, through, receipts in rows:
        assert int(found) == int(ring) >= 1
        assert accused == "0"
        assert int(through) < int(sent)
        assert int(receipts) >= 1
    assert re.search(r"own keys +4 +4 CLEAR +(\d+) +\1\b", said), said
    assert "One verdict in words." in said
    assert re.search(r"[+-] *\d+\.\d\d  \S", said)
    assert "What a bot of the ring was told by its exchange," in said
    assert left_behind(tmp_path) == []


def test_what_is_not_as_it_should_be_is_named() -> None:
    """A ring that is not found, an honest customer who is accused, a block that was not made or not told: each is a fault."""
    from demo_market import cast
    from demo_report import faults

    everyone = cast(random.Random(1))
    right: dict[str, Any] = {one.exchange: {"keys": {}, "receipts": 1} for one in everyone}
    for one in everyone:
        ring = one.group == "ring"
        right[one.exchange]["keys"][one.key] = {
            "level": 3 if ring else 0, "restricted": ring, "last order": int(not ring), "last cancel": 1,
        }  # fmt: skip
    assert faults(everyone, right) == []
    for group, field, value in (
        ("ring", "level", 1), ("own", "level", 1), ("office", "level", 2), ("ring", "last order", 1), ("home", "last order", 0),
        ("ring", "last cancel", 0),
    ):  # fmt: skip
        known = copy.deepcopy(right)
        one = next(one for one in everyone if one.group == group)
        known[one.exchange]["keys"][one.key][field] = value
        [fault] = faults(everyone, known)
        assert one.person in fault
    known = copy.deepcopy(right)
    known["gopax"]["receipts"] = 0
    assert faults(everyone, known) == ["gopax told the registry nothing of what it blocked"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are counted in /proc")
def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    """Pressed while servers run: the demonstration says so, and not one process stays."""
    process = start(tmp_path / "demo")
    killer = threading.Timer(WAIT_SECONDS, process.kill)
    killer.start()
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "registry listening" in line:
            break
    assert len(left_behind(tmp_path / "demo")) >= 9, said
    process.send_signal(signal.SIGINT)
    said += process.stdout.read()
    assert process.wait() == 130, said
    killer.cancel()
    process.stdout.close()
    assert "Stopped." in said
    assert left_behind(tmp_path) == []

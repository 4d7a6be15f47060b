"""``scripts/demo`` as a newcomer runs it, on a small market: it shows what was found, and leaves no process behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "scripts/demo"
WAIT_SECONDS = 120


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DEMO), "--keys", "200", "--folder", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def left_behind(folder: Path) -> list[str]:
    """Processes that work in that folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are counted in /proc")
def test_the_demonstration_ends_with_a_table_and_a_verdict_in_words(tmp_path: Path) -> None:
    """Every exchange has its row, a verdict is explained, and what was started is stopped."""
    process = start(tmp_path / "demo")
    said, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, said
    for exchange in ("upbit", "bithumb", "coinone", "korbit", "gopax"):
        assert re.search(rf"{exchange} +\d+( +\d+){{5}} +\d+ of \d+ +\d+ ", said), said
    assert re.search(r"Of \d+ keys, \d+ were shared in truth", said)
    assert "One verdict in words." in said
    assert re.search(r"[+-] *\d+\.\d\d  \S", said)
    assert left_behind(tmp_path) == []


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
    assert len(left_behind(tmp_path / "demo")) >= 4, said
    process.send_signal(signal.SIGINT)
    said += process.stdout.read()
    assert process.wait() == 130, said
    killer.cancel()
    process.stdout.close()
    assert "Stopped." in said
    assert left_behind(tmp_path) == []

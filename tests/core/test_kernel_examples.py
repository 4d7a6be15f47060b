"""What the kernel's documentation shows is true, and its bench gives rows in the agreed shape."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import bench_fingerprint

MODULES = [
    "canonical", "dleq", "envelope", "errors", "group", "merkle", "note", "oprf", "parameters", "pseudonym", "settings",
    "suite", "threshold",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_every_example_runs(name: str) -> None:
    """Each module's docstring shows one use, and it works as shown."""
    module = importlib.import_module(f"daxa_core.{name}")
    result = doctest.testmod(module, extraglobs={"Path": importlib.import_module("pathlib").Path})
    assert result.attempted
    assert not result.failed


def test_the_bench_gives_rows() -> None:
    """``scripts/bench`` reads name, value, unit, target, ok and detail; no figure is judged here."""
    rows = bench_fingerprint.run(rounds=1)
    assert rows
    for row in rows:
        assert set(row) == {"name", "value", "unit", "target", "ok", "detail"}
        assert row["value"] > 0
        assert isinstance(row["ok"], bool)


def test_the_command_prints_every_row_and_writes_the_same(tmp_path: Path) -> None:
    """The table has rows that only inform, without a target; it ends with 0 or 1 by the figures, and never in between."""
    command = Path(__file__).parent.parent.parent / "scripts/bench"
    out = tmp_path / "figures.json"
    arguments = ["fingerprint", "--set", "rounds=1", "--json", str(out)]
    done = subprocess.run([sys.executable, command, *arguments], capture_output=True, text=True)
    rows = json.loads(out.read_text())
    assert any(row["target"] is None for row in rows)
    assert len(done.stdout.splitlines()) == len(rows)
    assert done.returncode == (0 if all(row["ok"] for row in rows) else 1)

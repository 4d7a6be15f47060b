"""The benchmark of what trust costs runs, and gives rows in the agreed shape."""

from __future__ import annotations

import re

import pytest

import bench_trust


def test_the_bench_gives_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """``scripts/bench`` reads name, value, unit, target, ok and detail; no figure is judged here, and the sizes are small."""
    for name, value in (("EDGES", 300), ("ROUNDS", 1), ("MILLION", 1_000), ("PROOFS", 20), ("VERDICTS", 20)):
        monkeypatch.setattr(bench_trust, name, value)
    rows = bench_trust.run()
    assert len(rows) == 7
    for row in rows:
        assert set(row) == {"name", "value", "unit", "target", "ok", "detail"}
        assert isinstance(row["ok"], bool)
    for row, second in zip(rows, ("a second", "a processor second"), strict=False):
        assert re.match(rf"[\d,]+ against [\d,]+ sightings {second}; ", row["detail"])
        assert "0 verdicts" not in row["detail"].split(", ")

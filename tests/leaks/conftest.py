"""The market in which keys leak, and the operators' commands about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import life
from leaking import Run, market, runner


@pytest.fixture
def world(tmp_path: Path) -> Iterator[life.World]:
    with market(tmp_path) as made:
        yield made


@pytest.fixture
def run(world: life.World) -> Run:
    return runner(world)

"""The short form of ``scripts/crash``: a few kills and one of each other thing, and the checker itself."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import crash_check
from crash_world import World
from daxa_core import merkle
from daxa_core.model import Level
from daxa_registry.store.interface import StoredVerdict
from daxa_registry.store.sqlite import SqliteStore
from sightings import fine, fp, grow, seen

KILLS = {"sqlite": 3, "postgres": 2}


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_that_was_acknowledged_is_lost_or_counted_twice(store: str) -> None:
    """Nor is a verdict missed by who resumes, nor a checkpoint that was handed out not of the log."""
    with contextlib.ExitStack() as stack:
        world = World(stack, store, seed=7)
        found = world.run(KILLS[store], others=1, say=lambda line: None)
    assert found == crash_check.Found(edges=found.edges, verdicts=found.verdicts, checkpoints=found.checkpoints)
    assert found.edges > 0
    assert found.verdicts > 0
    assert found.checkpoints > 0
    assert sum(world.done.values()) == KILLS[store] + 5 + (store == "postgres")


def test_the_checker_finds_what_is_lost_doubled_missed_and_forked(tmp_path: Path) -> None:
    """Each alone, in a database that is otherwise as it should be."""
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    with store.transaction():
        number = store.member_id("upbit")
        [subject] = store.absorb(number, [seen("k", "a", count=3)], fine).moved
        store.append_verdict(StoredVerdict(subject, number, 1, Level.WARN, 5, b"", b""))
    grow(store, 5)
    root = merkle.root_at(3, store.tree_hashes)
    store.close()

    def check(**changed: Any) -> crash_check.Found:
        right = {
            "name": "upbit", "acknowledged": Counter({fp("k"): 3}), "sequences": [1], "heads": {(3, root)}, "problems": []
        }  # fmt: skip
        member: Any = SimpleNamespace(**(right | changed))
        gateway: Any = SimpleNamespace(name="coinone", total=0, problems=[])
        return crash_check.check(str(path), [member], gateway)

    assert check().fits()
    assert check(acknowledged=Counter({fp("k"): 5})).lost == 2
    assert check(acknowledged=Counter({fp("k"): 3, fp("l"): 1})).lost == 1
    assert check(acknowledged=Counter({fp("k"): 2})).twice == 1
    assert check(acknowledged=Counter()).twice == 3
    assert check(sequences=[]).missed == 1
    assert check(sequences=[1, 2]).missed == 1
    assert check(heads={(3, root), (3, b"x" * 32), (9, root)}).forks == 2
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE verdict SET sequence=2")
        database.commit()
    assert check(sequences=[2]).problems == ["upbit: the sequences have a gap"]

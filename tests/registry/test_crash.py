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
from crash_load import Member
from crash_world import World
from daxa_api.v1 import sighting_pb2
from daxa_core import merkle
from daxa_core.codec import encode_envelope
from daxa_core.envelope import VERDICT_TYPE, SigningKey, pae
from daxa_core.model import Level
from daxa_registry.service.log import append_event
from daxa_registry.store.interface import StoredLeaf, StoredVerdict
from daxa_registry.store.sqlite import SqliteStore
from sightings import fine, fp, seen

KILLS = 2
KINDS = {"sqlite": 6, "postgres": 11}


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_that_was_acknowledged_is_lost_or_counted_twice(store: str) -> None:
    """Nor is a verdict missed by who resumes, nor a checkpoint that was handed out not of the log: after each kind of thing that
    goes wrong."""
    with contextlib.ExitStack() as stack:
        world = World(stack, store, seed=7)
        planned = world.plan(KILLS, 1)
        found = world.run(planned, say=lambda line: None)
    assert found == crash_check.Found(edges=found.edges, verdicts=found.verdicts, checkpoints=found.checkpoints)
    assert found.edges > 0
    assert found.verdicts > 0
    assert found.checkpoints > 0
    assert sum(world.done.values()) == len(planned)
    assert len(world.done) == KINDS[store]
    assert world.checks >= KINDS[store]


class Planted:
    """A small database as it should be, whose rows may be changed; and what its member knows, which may be wrong."""

    def __init__(self, path: Path) -> None:
        self.path = path
        store = SqliteStore(path)
        key, hour = SigningKey(b"v" * 32), 400_000
        with store.transaction():
            number = store.member_id("upbit")
            [subject] = store.absorb(number, [seen("k", "a", hour, count=3)], fine).moved
            envelope = key.sign(VERDICT_TYPE, b"a verdict")
            leaf = StoredLeaf(store.next_leaf(), number, sequence=1, salt=b"s" * 16)
            store.append_leaf(leaf, merkle.leaf_hash(pae(VERDICT_TYPE, envelope.payload)))
            self.body = encode_envelope(envelope)
            store.append_verdict(StoredVerdict(subject, number, 1, Level.WARN, 5, self.body, b""))
            for turn in range(4):
                append_event(store, "turn", {"turn": turn}, 5)
        self.head = (3, merkle.root_at(3, store.tree_hashes))
        store.close()

    def check(self, **changed: Any) -> crash_check.Found:
        right = {
            "name": "upbit", "acknowledged": Counter({fp("k"): 3}), "watched": {1: self.body}, "heads": {self.head},
            "problems": [], "watch_until": lambda last, seconds: None,
        }  # fmt: skip
        member: Any = SimpleNamespace(**(right | changed))
        gateway: Any = SimpleNamespace(name="coinone", total=0, problems=[])
        return crash_check.check(str(self.path), [member], gateway)

    def execute(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            assert database.execute(statement).rowcount > 0


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path / "registry.sqlite")


def test_the_checker_finds_what_is_lost_doubled_missed_and_forked(planted: Planted) -> None:
    """Each alone, in a database that is otherwise as it should be."""
    assert planted.check().fits()
    assert planted.check(acknowledged=Counter({fp("k"): 5})).lost == 2
    assert planted.check(acknowledged=Counter({fp("k"): 3, fp("l"): 1})).lost == 1
    assert planted.check(acknowledged=Counter({fp("k"): 2})).twice == 1
    assert planted.check(acknowledged=Counter()).twice == 3
    assert planted.check(watched={}).missed == 1
    assert planted.check(watched={2: planted.body}).missed == 1
    assert planted.check(watched={1: planted.body, 2: b"told after the moment that is looked at"}).fits()
    assert planted.check(heads={planted.head, (3, b"x" * 32), (9, planted.head[1])}).forks == 2
    told = ["upbit: 1 verdicts are stored otherwise than they were watched"]
    assert planted.check(watched={1: planted.body + b"\x00"}).problems == told


NO_LEAF, NO_TREE = "the log: a leaf is not there", "the log: its leaves do not hash to its tree"


@pytest.mark.parametrize(
    ("fault", "problems"),
    [
        ("DELETE FROM leaf WHERE idx=4", [NO_TREE]),
        ("DELETE FROM leaf WHERE idx=2", [NO_LEAF, NO_TREE]),
        ("UPDATE leaf SET body=zeroblob(9) WHERE idx=1", [NO_TREE]),
        ("UPDATE tree_hash SET hash=zeroblob(32) WHERE position=2", [NO_TREE]),
        ("DELETE FROM tree_hash WHERE position=7", [NO_TREE]),
        ("UPDATE verdict SET sequence=2", ["upbit: the sequences have a gap", NO_TREE]),
    ],
)
def test_the_checker_finds_a_row_that_was_lost_or_altered(planted: Planted, fault: str, problems: list[str]) -> None:
    """Planted in the database itself."""
    planted.execute(fault)
    assert [problem for problem in planted.check().problems if "watched" not in problem] == problems


def test_a_batch_that_is_answered_otherwise_when_it_is_sent_again_is_a_problem(tmp_path: Path) -> None:
    """The first answer is what counts."""
    answers = [sighting_pb2.SubmitSightingsResponse(accepted=1, of_no_use=[one]) for one in (b"a", b"a", b"a", b"b")]
    member = Member(tmp_path, "upbit", [], SimpleNamespace(), 1)  # type: ignore[arg-type]
    member._until_answered = lambda request: answers.pop(0)  # type: ignore[method-assign]
    member._random = SimpleNamespace(random=lambda: 0.0)  # type: ignore[assignment]
    request = sighting_pb2.SubmitSightingsRequest(sightings=[sighting_pb2.Sighting()])
    member._settle(request, Counter())
    assert member.problems == []
    member._settle(request, Counter())
    assert member.problems == ["a batch that was sent again was answered otherwise"]

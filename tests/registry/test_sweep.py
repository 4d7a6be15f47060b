"""What time alone moves, in small transactions that go on where they were; on a store without a wire."""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import deployment
from daxa_core.errors import ErrorCode, Unavailable
from daxa_core.model import Level, Manner, Sighting
from daxa_registry.decision.features import Hypothesis
from daxa_registry.decision.policy import load_policy
from daxa_registry.service.matching import Matcher
from daxa_registry.service.policies import activate, in_force, try_policy
from daxa_registry.service.sweep import Sweep
from daxa_registry.store.interface import Expired, StoredBatch
from daxa_registry.store.sqlite import SqliteStore

HOUR = 3_600
NOW = 500_000 * HOUR
KEYS = 5


def fp(name: str) -> bytes:
    return name.encode().ljust(32, b".")


class World:
    """A ring of five at one member, and a clock that tests move."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.heads: list[dict[int, int]] = []
        self.path = path
        self.store = SqliteStore(path)
        self.matcher = Matcher(self.store, in_force(self.store, deployment.PLAIN, NOW))
        ring = [
            Sighting(fp(f"key {k}"), fp("address"), fp("network"), NOW // HOUR - h, Manner.USED, 1, fp("device"),
                     fp(f"holder {k}"), b"%016d" % k)
            for k in range(KEYS)
            for h in range(96)
            if h * 7 % 5 < 2
        ]  # fmt: skip
        with self.store.transaction():
            self.member = self.store.member_id("upbit")
            absorbed = self.store.absorb(self.member, ring, lambda _: None)
            self.matcher.decide(absorbed.moved, NOW)

    def sweep(self, part: int = 200) -> Sweep:
        return Sweep(self.store, self.matcher, clock=lambda: self.now, on_verdicts=self.heads.append, part=part)

    def levels(self) -> set[Level]:
        with self.store.transaction():
            return {standing.level for standing in self.store.standings(range(1, KEYS + 1)).values()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "registry.sqlite")
    yield made
    made.store.close()


def test_a_sweep_raises_what_grace_held_back_one_part_at_a_time(world: World) -> None:
    """Nothing before its time; then each part is a commit of its own, told as such, and a second run finds nothing."""
    assert world.levels() == {Level.MONITOR}
    world.now += 24 * HOUR - 1
    world.sweep().run()
    assert world.levels() == {Level.MONITOR}
    world.now += 1
    assert world.sweep(part=2).run() == KEYS
    assert world.levels() == {Level.WARN}
    assert world.heads == [{world.member: head} for head in (KEYS + 2, KEYS + 4, KEYS + 5)]
    assert world.sweep().run() == 0


def test_what_is_beyond_retention_leaves_and_the_size_is_steady_under_steady_load(world: World) -> None:
    """A hundred keys more each day: from the day on which the first are too old, there are no more presences, keys and batches,
    and what is deleted makes room for what comes: the file does not grow."""
    sizes, pages = [], []
    sweep = Sweep(
        world.store, world.matcher, clock=lambda: world.now, on_verdicts=world.heads.append,
        retention_hours=5 * 24, batch_hours=48,
    )  # fmt: skip
    for day in range(30):
        world.now += 24 * HOUR
        with world.store.transaction():
            batch = StoredBatch(b"d" * 32, 100, (), ())
            world.store.save_batch(world.member, b"%016d" % day, batch, world.now)
            news = [
                Sighting(
                    fp(f"key {day} {k}"),
                    fp(f"address {day} {k}"),
                    fp(f"network {day}"),
                    world.now // HOUR,
                    Manner.USED,
                    1,
                )
                for k in range(100)
            ]
            world.store.absorb(world.member, news, lambda _: None)
        sweep.run()
        with contextlib.closing(sqlite3.connect(world.path)) as file:
            pages.append(file.execute("PRAGMA page_count").fetchone()[0])
        counts = world.store.counts()
        sizes.append(tuple(counts[name] for name in ("presence", "node_ADDRESS", "node_NETWORK", "batch")))
    assert len(set(sizes[8:])) == 1
    assert sizes[-1] == (600, 600, 7, 3)  # a network goes with the walk after the one that took its last presence
    assert max(pages[15:]) <= pages[14] * 1.03
    assert world.store.counts()["subject"] == 600 + KEYS  # those that were told a verdict stay with it


def test_who_waits_to_write_does_so_between_two_parts_of_retention(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock is not handed on: were the next part begun at once, whoever waited for this one would wait for all of them."""
    monkeypatch.setattr("daxa_registry.service.sweep.PART_OF_RETENTION", 2)
    order: list[str] = []
    sweep = Sweep(world.store, world.matcher, clock=lambda: world.now, retention_hours=24, rest=1e6)
    expire = world.store.expire

    def write() -> None:
        with world.store.transaction():
            order.append("another")
            sweep.stop()

    writer = threading.Thread(target=write)

    def part(before_hour: int, limit: int) -> Expired:
        if not order:
            writer.start()
        order.append("part")
        return expire(before_hour, limit)

    monkeypatch.setattr(world.store, "expire", part)
    sweep.run()
    writer.join()
    assert order == ["part", "another"]


def test_a_sweep_lowers_each_level_on_the_day_on_which_its_evidence_has_faded(world: World) -> None:
    """With nobody seen, what speaks for an operator halves in every half-life of the policy: a level is let go with the first
    sweep at which that falls short of its threshold by the margin, not before and not later, and in the end nothing is left."""
    policy = world.matcher.policy
    weights = policy.weights[Hypothesis.OPERATOR]
    with world.store.transaction():
        [(_, _, assessment)] = world.matcher.assessments([1], NOW)
    speaks = assessment.score - weights.prior

    def day(level: Level) -> int:
        enough = getattr(policy.levels, level.name.lower()) - policy.ladder.fall_margin - weights.prior
        hours = weights.half_life_hours * math.log2(speaks / enough)
        return math.floor(hours / 24) + 1

    highest, let_go = Level.CLEAR, {}
    for today in range(1, 400):
        world.now += 24 * HOUR
        world.sweep().run()
        [level] = world.levels()
        highest = max(highest, level)
        let_go |= {above: today for above in Level if level < above <= highest and above not in let_go}
    assert highest >= Level.REAUTHENTICATE
    assert let_go == {level: day(level) for level in Level if Level.CLEAR < level <= highest}
    assert world.levels() == {Level.CLEAR}
    assert world.sweep().run() == 0


def test_a_new_policy_reaches_everybody_though_the_sweep_is_stopped_halfway(world: World) -> None:
    """Where it was stands in the store: another sweep goes on from there, and then is done for good."""
    text = deployment.PLAIN
    for name, value in (("monitor", 20.0), ("warn", 21.0), ("reauthenticate", 22.0), ("revoke", 23.0)):
        text = "\n".join(f"{name} = {value}" if line.startswith(f"{name} = ") else line for line in text.splitlines())
    text = "\n".join(
        "leak_confirmed = 24.0" if line.startswith("leak_confirmed") else line for line in text.splitlines()
    )
    assert load_policy(text).digest != load_policy(deployment.PLAIN).digest
    try_policy(world.store, world.matcher, text, world.now)
    activate(world.store, world.matcher, "daxa/kim", text, world.now)
    stopping = world.sweep(part=2)
    stopping._on_verdicts = lambda heads: stopping.stop()
    assert stopping.run() == 2
    assert world.levels() == {Level.CLEAR, Level.MONITOR}
    assert world.sweep(part=2).run() == KEYS - 2
    assert world.levels() == {Level.CLEAR}
    assert world.sweep().run() == 0
    again = Matcher(world.store, in_force(world.store, deployment.PLAIN, world.now))
    assert again.policy.digest == load_policy(text).digest


def test_a_key_that_is_refused_at_a_strange_exchange_gets_no_verdict_there(world: World) -> None:
    """It is evidence for the key's own exchange: what a stranger presents is nobody's customer here."""
    with world.store.transaction():
        other = world.store.member_id("bithumb")
        tried = [
            Sighting(fp(f"key {k}"), fp("thief"), fp("away"), NOW // HOUR, Manner.REJECTED, 1, fp("script"))
            for k in range(KEYS)
        ]
        absorbed = world.store.absorb(other, tried, lambda _: None)
        world.matcher.decide(absorbed.moved, NOW)
    assert world.store.head(other) == 0
    assert world.store.head(world.member) >= KEYS


def test_a_sweep_that_fails_is_told_once_and_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Two different failures, one of them twice: two lines, without their text; then it does its work."""
    failures: list[Exception] = [
        KeyError("secret"),
        KeyError("secret"),
        Unavailable(ErrorCode.UNAVAILABLE, "store", "x"),
    ]

    def clock() -> int:
        if failures:
            raise failures.pop(0)
        return NOW + 24 * HOUR

    sweep = Sweep(world.store, world.matcher, clock=clock, on_verdicts=lambda heads: sweep.stop())
    with caplog.at_level(logging.ERROR, "daxa_registry"):
        sweep.every(0.001)
    assert world.levels() == {Level.WARN}
    told = [message.partition("tried again: ")[2] for message in caplog.messages]
    assert told == ["KeyError", "UNAVAILABLE: store: x"]
    assert "secret" not in caplog.text

"""Past its capacity a registry says when to come back, stays small and quick, and in the end has everything once.

The registry is a process of its own, or three on one PostgreSQL, over mutual TLS; its clients wait as ``daxa_client`` waits, or
do not. What is asked of it under load is said in terms of what it does without, in the same run.
"""

from __future__ import annotations

import itertools
import re
import secrets
import sqlite3
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
import pytest

import deployment
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2
from daxa_client._retry import pause
from daxa_core import group
from daxa_core.errors import ErrorCode, Refused
from daxa_core.model import MAX_SIGHTINGS
from daxa_registry.service.limits import AT_ONCE

NODES = {"sqlite": 1, "postgres": 3}
PLACES = AT_ONCE["SubmitSightings"]
BATCH = 20
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""A connection for each channel, as if each were of another process."""
SECONDS, MORE, ROUNDS = 3.0, 48, 3
FLOOD_SECONDS, FLOOD_AT_ONCE = 3.0, 200
MOST_GROWTH_BYTES = 150 << 20
"""All that is refused, read into memory, is several times that."""


@dataclass
class Running:
    """The registry's processes, by where each listens, its folder and its database."""

    folder: Path
    database: str
    nodes: dict[str, deployment.Process] = field(default_factory=dict)
    address: bytes = field(default_factory=lambda: group.base_multiply(group.random_scalar()))

    def stubs(self, stack: ExitStack, member: str, number: int) -> list[sighting_pb2_grpc.SightingServiceStub]:
        """As many connections of that member, to each node in turn."""
        home, targets = self.folder / "members" / member, itertools.cycle(self.nodes)
        channels = [stack.enter_context(deployment.channel(home, next(targets), OWN_CONNECTION)) for _ in range(number)]
        for channel in channels:
            grpc.channel_ready_future(channel).result(30)
        return [sighting_pb2_grpc.SightingServiceStub(channel) for channel in channels]

    def batch(self, member: str, size: int = BATCH) -> sighting_pb2.SubmitSightingsRequest:
        """Keys that were in no batch before, on one address that everybody has."""
        hour = int(time.time()) // 3_600
        sightings = [
            sighting_pb2.Sighting(
                key=group.base_multiply(group.random_scalar()), address=self.address, network=self.address, hour=hour,
                count=1, manner=types_pb2.MANNER_USED,
            )
            for _ in range(size)
        ]  # fmt: skip
        return sighting_pb2.SubmitSightingsRequest(
            batch_id=secrets.token_bytes(16), member=member, key_version=1, canonical_version=1, sightings=sightings
        )

    def resident(self) -> int:
        """Bytes of all nodes, at most since they began, as the kernel tells."""
        told = [Path(f"/proc/{process.pid}/status").read_text() for process in self.nodes.values()]
        return sum(int(kib) << 10 for text in told for kib in re.findall(r"VmHWM:\s+(\d+) kB", text))

    def counted(self) -> tuple[int, int, int]:
        """Keys, edges, and sightings on them, after the processes were told to end."""
        for process in self.nodes.values():
            assert process.stop()[0] == 0
        query = "SELECT count(DISTINCT subject), count(*), sum(count) FROM presence"
        if "://" in self.database:
            with psycopg.connect(self.database) as connection:
                keys, edges, sightings = connection.execute(query).fetchone() or (0, 0, 0)
        else:
            with closing(sqlite3.connect(self.database)) as file:
                keys, edges, sightings = file.execute(query).fetchone()
        return int(keys), int(edges), int(sightings)


@pytest.fixture(params=["sqlite", "postgres"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    folder = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    database = str(folder / "registry/data/registry.sqlite")
    if request.param == "postgres":
        database = request.getfixturevalue("postgres_url")
        configuration.write_text(configuration.read_text().replace("data/registry.sqlite", database))
    made = Running(folder, database)
    with ExitStack() as stack:
        for port in deployment.free_ports(NODES[request.param]):
            target = f"127.0.0.1:{port}"
            made.nodes[target] = stack.enter_context(deployment.Process("serve", configuration, "--listen", target))
            assert "listening" in made.nodes[target].ready
        yield made


@dataclass
class Crowd:
    """Threads that send one batch after the other, each until it is answered, waiting between as the client does."""

    running: Running
    seconds: list[float] = field(default_factory=list)
    refusals: list[deployment.Told] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    taken: int = 0

    def send(self, threads: int) -> float:
        """Batches a second, over SECONDS of time; what was begun by then is answered afterwards."""
        together, ends = threading.Barrier(threads), threading.Event()
        lock, in_time = threading.Lock(), 0

        def one(stub: sighting_pb2_grpc.SightingServiceStub) -> None:
            nonlocal in_time
            together.wait(60)
            while not ends.is_set():
                self._until_answered(stub, self.running.batch("upbit"))
                with lock:
                    self.taken += 1
                    in_time += not ends.is_set()

        with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
            stubs = self.running.stubs(stack, "upbit", 12)
            sending = [pool.submit(one, stubs[number % len(stubs)]) for number in range(threads)]
            ends.wait(SECONDS)
            ends.set()
            for done in sending:
                done.result()
        return in_time / SECONDS

    def _until_answered(
        self, stub: sighting_pb2_grpc.SightingServiceStub, batch: sighting_pb2.SubmitSightingsRequest
    ) -> None:
        for attempt in range(1_000):
            began = time.perf_counter()
            try:
                answer = stub.SubmitSightings(batch, timeout=60)
            except grpc.RpcError as error:
                refusal = deployment.told(error)
                self.refusals.append(refusal)
                typed = Refused(ErrorCode(refusal.code), refusal.field, "", retry_after=refusal.retry_after)
                seconds = pause(min(attempt, 4), typed)
                assert seconds is not None
                self.waits.append(seconds)
                time.sleep(seconds)
            else:
                assert answer.accepted == BATCH
                self.seconds.append(time.perf_counter() - began)
                return
        raise AssertionError("a batch was never answered")


@dataclass(frozen=True, slots=True)
class Round:
    """A crowd of more than there are places for, between two that just fill them, over SECONDS each."""

    capacity: float
    crowd: Crowd
    goodput: float
    full_house: float
    """Seconds that it takes to answer what the places hold."""
    grown: int
    taken: int

    @classmethod
    def of(cls, running: Running) -> Round:
        places = PLACES * len(running.nodes)
        before, crowd, after = Crowd(running), Crowd(running), Crowd(running)
        capacity = before.send(places)
        resident = running.resident()
        goodput = crowd.send(places + MORE)
        grown = running.resident() - resident
        capacity = min(capacity, after.send(places))
        assert not before.refusals + after.refusals
        return cls(capacity, crowd, goodput, places / capacity, grown, before.taken + crowd.taken + after.taken)

    def holds(self) -> bool:
        """Whether nearly as much got done as without the crowd, and what was taken waited for little more than a full house."""
        seconds = sorted(self.crowd.seconds)
        usual = seconds[len(seconds) * 95 // 100] <= 3 * self.full_house
        return self.goodput >= 0.6 * self.capacity and usual and seconds[-1] <= 40 * self.full_house


def test_past_capacity_everybody_is_told_when_to_come_back_and_everything_gets_done_once(running: Running) -> None:
    """Refusals name a delay, nobody comes back at another's moment, what is taken is answered as soon and as much of it in a
    second as without the crowd. The machine may have other things to do: one round of a few has to show it."""
    rounds: list[Round] = []
    while len(rounds) < ROUNDS and not any(one.holds() for one in rounds):
        rounds.append(Round.of(running))
    for one in rounds:
        crowd = one.crowd
        assert len(crowd.refusals) >= MORE
        told = {(refusal.status, refusal.code) for refusal in crowd.refusals}
        assert told == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")}
        assert all(refusal.retry_after for refusal in crowd.refusals)
        assert len(set(crowd.waits)) == len(crowd.waits)
        assert all(wait > (one.retry_after or 0) for wait, one in zip(crowd.waits, crowd.refusals, strict=True))
        assert one.grown < MOST_GROWTH_BYTES
    assert rounds[-1].holds(), rounds
    assert running.counted() == (sum(one.taken for one in rounds) * BATCH,) * 3


@dataclass
class Flood:
    """One member that sends the same full batch again and again, each time as another, hundreds at once, and never waits."""

    stubs: list[sighting_pb2_grpc.SightingServiceStub]
    batch: sighting_pb2.SubmitSightingsRequest
    answers: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def take(self) -> float:
        """Sends it once; the seconds that it takes."""
        began = time.perf_counter()
        self._send(self.stubs[0]).result()
        self.answers["taken"] += 1
        return time.perf_counter() - began

    def run(self) -> None:
        """For FLOOD_SECONDS."""
        until = time.monotonic() + FLOOD_SECONDS
        while time.monotonic() < until:
            calls = [self._send(self.stubs[number % len(self.stubs)]) for number in range(FLOOD_AT_ONCE)]
            for call in calls:
                error = call.exception(60)
                self.answers[deployment.told(error).code if isinstance(error, grpc.RpcError) else "taken"] += 1
        self.over.set()

    def _send(self, stub: sighting_pb2_grpc.SightingServiceStub) -> grpc.Future:
        self.batch.batch_id = secrets.token_bytes(16)
        return stub.SubmitSightings.future(self.batch, timeout=60)


def test_who_does_not_wait_costs_little_memory_and_nobody_elses_time(running: Running) -> None:
    """Most of a flood is refused, memory is bounded, and another member, who sends little, hardly ever waits for a quarter of the
    time that what a node takes of the flood at once takes."""
    alone: list[float] = []
    beside: list[float] = []
    with ExitStack() as stack:
        flood = Flood(running.stubs(stack, "bithumb", 3), running.batch("bithumb", MAX_SIGHTINGS))
        quiet = itertools.cycle(running.stubs(stack, "upbit", 3))

        def served(seconds: list[float]) -> None:
            batch = running.batch("upbit")
            began = time.perf_counter()
            assert next(quiet).SubmitSightings(batch, timeout=60).accepted == BATCH
            seconds.append(time.perf_counter() - began)

        for _ in range(20):
            served(alone)
        whole = statistics.median(flood.take() for _ in range(5))
        before = running.resident()
        with ThreadPoolExecutor(1) as pool:
            flooding = pool.submit(flood.run)
            while not flood.over.is_set() and not flooding.done():
                served(beside)
            flooding.result()
        grown = running.resident() - before
    assert set(flood.answers) == {"OVERLOADED", "taken"}
    assert flood.answers["OVERLOADED"] > PLACES * len(running.nodes)
    assert sorted(beside)[len(beside) * 9 // 10] < statistics.median(alone) + whole * PLACES / 4
    assert grown < MOST_GROWTH_BYTES
    edges = MAX_SIGHTINGS + (len(alone) + len(beside)) * BATCH
    sightings = flood.answers["taken"] * MAX_SIGHTINGS + (len(alone) + len(beside)) * BATCH
    assert running.counted() == (edges, edges, sightings)

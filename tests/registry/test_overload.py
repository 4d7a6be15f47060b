"""Past its capacity a registry says when to come back, stays small and quick, and in the end has everything once.

The registry is a process of its own, over mutual TLS; its clients wait as ``daxa_client`` waits, or do not.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

import deployment
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2
from daxa_client._retry import pause
from daxa_core import group
from daxa_core.errors import ErrorCode, Refused
from daxa_core.model import MAX_SIGHTINGS
from daxa_registry.service.limits import AT_ONCE

KEYS, BATCH = 3_600, 10
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""A connection for each channel, as if each were of another process."""
FLOOD_SECONDS, FLOOD_AT_ONCE = 3.0, 200
LONGEST_SECONDS = 20.0
"""Many times what a full house takes here: the machine may have other things to do."""
MOST_GROWTH_BYTES = 200 << 20


@dataclass
class Running:
    """The registry's process and its folder."""

    folder: Path
    process: deployment.Process
    keys: list[bytes]
    address: bytes = field(default_factory=lambda: group.base_multiply(group.random_scalar()))

    def stubs(self, stack: ExitStack, member: str, number: int) -> list[sighting_pb2_grpc.SightingServiceStub]:
        """As many connections of that member."""
        home, server = self.folder / "members" / member, self.folder / "registry/registry.toml"
        channels = [stack.enter_context(deployment.channel(home, server, OWN_CONNECTION)) for _ in range(number)]
        return [sighting_pb2_grpc.SightingServiceStub(channel) for channel in channels]

    def batches(self, member: str, number: int, size: int = BATCH) -> list[sighting_pb2.SubmitSightingsRequest]:
        """Each of keys that were in no batch before, on one address that everybody has."""
        hour, made = int(time.time()) // 3_600, []
        for _ in range(number):
            keys, self.keys = self.keys[:size], self.keys[size:]
            sightings = [
                sighting_pb2.Sighting(
                    key=key, address=self.address, network=self.address, hour=hour, count=1,
                    manner=types_pb2.MANNER_USED,
                )
                for key in keys
            ]  # fmt: skip
            request = sighting_pb2.SubmitSightingsRequest(
                batch_id=secrets.token_bytes(16), member=member, key_version=1, canonical_version=1, sightings=sightings
            )
            made.append(request)
        return made

    def resident(self) -> int:
        """Bytes, at most since it began, as the kernel tells."""
        [kib] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(kib) << 10

    def counted(self) -> tuple[int, int, int]:
        """Keys, edges, and sightings on them, after the process was told to end."""
        assert self.process.stop()[0] == 0
        with closing(sqlite3.connect(self.folder / "registry/data/registry.sqlite")) as file:
            query = "SELECT count(DISTINCT subject), count(*), sum(count) FROM presence"
            keys, edges, sightings = file.execute(query).fetchone()
        return keys, edges, sightings


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    folder = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    keys = [group.base_multiply(group.random_scalar()) for _ in range(KEYS)]
    with deployment.Process("serve", folder / "registry/registry.toml") as process:
        assert "listening" in process.ready
        yield Running(folder, process, keys)


@dataclass
class Crowd:
    """Threads that send what there is, each batch until it is answered, waiting between as the client does."""

    seconds: list[float] = field(default_factory=list)
    refusals: list[deployment.Told] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def send(self, running: Running, threads: int, batches: int) -> float:
        """Batches a second while more of them were left than threads to send them."""
        waiting, together = iter(running.batches("upbit", batches)), threading.Barrier(threads)
        lock, answered = threading.Lock(), [time.perf_counter()]

        def one(stub: sighting_pb2_grpc.SightingServiceStub) -> None:
            together.wait(60)
            while True:
                with lock:
                    batch = next(waiting, None)
                if batch is None:
                    return
                self._until_answered(stub, batch)
                answered.append(time.perf_counter())

        with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
            stubs = running.stubs(stack, "upbit", 8)
            for done in [pool.submit(one, stubs[number % len(stubs)]) for number in range(threads)]:
                done.result()
        busy = sorted(answered)[: batches - threads]
        return len(busy) / (busy[-1] - answered[0])

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


def test_past_capacity_everybody_is_told_when_to_come_back_and_everything_gets_done_once(running: Running) -> None:
    """Four times as many submissions as there are places: refusals name a delay, nobody comes back at another's moment,
    what is taken is answered soon, and as much gets done in a second as without the crowd."""
    usual, crowd = Crowd(), Crowd()
    capacity = usual.send(running, threads=8, batches=60)
    before = running.resident()
    goodput = crowd.send(running, threads=4 * AT_ONCE["SubmitSightings"], batches=240)
    grown = running.resident() - before
    assert not usual.refusals
    assert len(crowd.refusals) >= 2 * AT_ONCE["SubmitSightings"]
    assert {(one.status, one.code) for one in crowd.refusals} == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")}
    assert all(one.retry_after for one in crowd.refusals)
    assert len(set(crowd.waits)) == len(crowd.waits)
    assert all(wait > (one.retry_after or 0) for wait, one in zip(crowd.waits, crowd.refusals, strict=True))
    assert max(crowd.seconds) < LONGEST_SECONDS
    assert grown < MOST_GROWTH_BYTES
    assert goodput > capacity / 4
    assert running.counted() == (300 * BATCH,) * 3


def test_who_does_not_wait_costs_little_memory_and_nobody_elses_time(running: Running) -> None:
    """One member sends full batches without end, hundreds at once: most are refused, memory is bounded, another is served."""
    [full] = running.batches("bithumb", 1, MAX_SIGHTINGS)
    answers: Counter[str] = Counter()
    seconds: list[float] = []
    with ExitStack() as stack:
        flood, [quiet] = running.stubs(stack, "bithumb", 2), running.stubs(stack, "upbit", 1)
        before, until = running.resident(), time.monotonic() + FLOOD_SECONDS
        while time.monotonic() < until:
            calls = []
            for number in range(FLOOD_AT_ONCE):
                full.batch_id = secrets.token_bytes(16)
                calls.append(flood[number % len(flood)].SubmitSightings.future(full, timeout=60))
            [batch] = running.batches("upbit", 1)
            began = time.perf_counter()
            assert quiet.SubmitSightings(batch, timeout=60).accepted == BATCH
            seconds.append(time.perf_counter() - began)
            for call in calls:
                error = call.exception(60)
                answers[deployment.told(error).code if isinstance(error, grpc.RpcError) else "taken"] += 1
        grown = running.resident() - before
    assert set(answers) == {"OVERLOADED", "taken"}
    assert answers["OVERLOADED"] > AT_ONCE["SubmitSightings"]
    assert max(seconds) < LONGEST_SECONDS
    assert grown < MOST_GROWTH_BYTES
    edges = MAX_SIGHTINGS + len(seconds) * BATCH
    assert running.counted() == (edges, edges, answers["taken"] * MAX_SIGHTINGS + len(seconds) * BATCH)

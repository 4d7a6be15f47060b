"""A registry past its capacity, for tests and benchmarks: its processes, a crowd that waits as the client does, a flood that does
not.

with registry(folder, database, nodes=2) as running:
    crowd = Crowd(running)
    crowd.send(4 * running.places, seconds=1.0)
    crowd.taken, crowd.refusals, crowd.waits
"""

from __future__ import annotations

import itertools
import re
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg

import deployment
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2
from daxa_client._retry import pause
from daxa_core import group
from daxa_core.errors import ErrorCode, Refused
from daxa_registry.service.limits import AT_ONCE

PLACES = AT_ONCE["SubmitSightings"]
"""Of one member at one node."""
BATCH = 20
CONNECTIONS = 12
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""A connection for each channel, as if each were of another process."""
Stub = sighting_pb2_grpc.SightingServiceStub


@dataclass
class Running:
    """A registry's processes, by where each listens, its folder and its database."""

    folder: Path
    database: str
    nodes: dict[str, deployment.Process] = field(default_factory=dict)
    address: bytes = field(default_factory=lambda: group.base_multiply(group.random_scalar()))

    @property
    def places(self) -> int:
        """How many calls of one member all nodes take at once."""
        return PLACES * len(self.nodes)

    def stubs(self, stack: ExitStack, member: str, number: int) -> list[Stub]:
        """As many connections of that member, to each node in turn."""
        home, targets = self.folder / "members" / member, itertools.cycle(self.nodes)
        channels = [stack.enter_context(deployment.channel(home, next(targets), OWN_CONNECTION)) for _ in range(number)]
        for channel in channels:
            grpc.channel_ready_future(channel).result(60)
        return [Stub(channel) for channel in channels]

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

    def counted(self) -> tuple[int, ...]:
        """Keys, edges, and sightings on them, after the processes were told to end."""
        for process in self.nodes.values():
            assert process.stop()[0] == 0
        return numbers(self.database, "SELECT count(DISTINCT subject), count(*), sum(count) FROM presence")


def numbers(database: str, query: str) -> tuple[int, ...]:
    """The one row of a query."""
    if "://" in database:
        with psycopg.connect(database) as connection:
            row = connection.execute(query).fetchone()
    else:
        with closing(sqlite3.connect(database)) as file:
            row = file.execute(query).fetchone()
    return tuple(int(number or 0) for number in row or ())


@contextmanager
def registry(folder: Path, database: str, nodes: int) -> Iterator[Running]:
    """The registry of that deployment on that database, as many processes; the first listens where the configuration says."""
    configuration = folder / "registry/registry.toml"
    text = configuration.read_text()
    configuration.write_text(re.sub(r'^database = ".*"', lambda _: f'database = "{database}"', text, flags=re.M))
    targets = [deployment.target_of(configuration)]
    targets += [f"127.0.0.1:{port}" for port in deployment.free_ports(nodes - 1)]
    running = Running(folder, database)
    with ExitStack() as stack:
        for target in targets:
            process = stack.enter_context(deployment.Process("serve", configuration, "--listen", target))
            assert "listening" in process.ready
            running.nodes[target] = process
        yield running


@dataclass
class Crowd:
    """Threads that send one batch after the other, each until it is answered, waiting between as the client does."""

    running: Running
    seconds: list[float] = field(default_factory=list)
    """How long each call took that was answered."""
    refusals: list[deployment.Told] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    taken: int = 0
    draining: float = 0.0
    """Seconds from the moment on which no thread began another batch until the last one was answered."""

    def send(self, threads: int, seconds: float) -> float:
        """For so long, a batch at least of each thread; what was begun is answered afterwards. Batches a second until then."""
        together, ends = threading.Barrier(threads), threading.Event()
        lock, in_time = threading.Lock(), 0

        def one(stub: Stub) -> None:
            nonlocal in_time
            together.wait(60)
            while True:
                self._until_answered(stub, self.running.batch("upbit"))
                with lock:
                    self.taken += 1
                    in_time += not ends.is_set()
                if ends.is_set():
                    return

        with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
            stubs = self.running.stubs(stack, "upbit", CONNECTIONS)
            sending = [pool.submit(one, stubs[number % len(stubs)]) for number in range(threads)]
            ends.wait(seconds)
            ends.set()
            ended = time.perf_counter()
            for done in sending:
                done.result()
            self.draining = time.perf_counter() - ended
        return in_time / seconds

    def _until_answered(self, stub: Stub, batch: sighting_pb2.SubmitSightingsRequest) -> None:
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


@dataclass
class Flood:
    """One member that sends the same full batch again and again, each time as another, hundreds at once, and never waits."""

    stubs: list[Stub]
    batch: sighting_pb2.SubmitSightingsRequest
    answers: Counter[str] = field(default_factory=Counter)

    def wave(self, calls: int) -> None:
        """So many at once; returns when each is answered."""
        sent = [self._send(self.stubs[number % len(self.stubs)]) for number in range(calls)]
        for call in sent:
            error = call.exception(120)
            self.answers[deployment.told(error).code if isinstance(error, grpc.RpcError) else "taken"] += 1

    def _send(self, stub: Stub) -> grpc.Future:
        self.batch.batch_id = secrets.token_bytes(16)
        return stub.SubmitSightings.future(self.batch, timeout=120)

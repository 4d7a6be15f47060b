"""A real registry on a database that is filled: look-ups while it takes in all that it can, and how soon others' verdicts move.

Everything goes over mutual TLS. The registry is a process, the load on it another, and the calls that are timed are made by a
third, all on the same machine. The load is new edges of two members; those whose verdicts are watched are three others, with a
key each on the same two servers: what the third submits moves the first, and what it withdraws lowers it again.
"""

from __future__ import annotations

import contextlib
import queue
import random
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import grpc

from bench_registry import BATCH, Traffic, channel, elements, raw, running
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, verdict_pb2, verdict_pb2_grpc
from daxa_core import codec
from daxa_core.model import Level, Manner, Sighting
from daxa_registry.deployment import Plan, make_deployment

WATCHED = ("upbit", "bithumb", "coinone")
LOADING = ("korbit", "gopax")
IN_FLIGHT = 3
"""Batches of one member at a time."""
SECONDS = 6
MOST = 25_000
"""Sightings a second that the load has ready."""
KEYS_ASKED = 10
PAUSE = 0.004
RINGS, RING_HOURS, RING_PLACES = 400, 48, 2
WAIT_SECONDS = 60
BEFORE_SECONDS = 1.0
"""A load runs so long before anything is timed, and as long afterwards."""


@contextlib.contextmanager
def registry_on(database: str) -> Iterator[tuple[Path, float]]:
    """A registry process on that database, filled or empty: its deployment's folder, and after how many seconds it listened."""
    with tempfile.TemporaryDirectory(prefix="daxa-scale-") as scratch:
        folder = Path(scratch) / "deployment"
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1], two.getsockname()[1]]
        make_deployment(folder, Plan((*WATCHED, *LOADING), 1, 1, ports=ports))
        configuration = folder / "registry/registry.toml"
        text = re.sub(r'^database = ".*"', lambda _: f'database = "{database}"', configuration.read_text(), flags=re.M)
        configuration.write_text(text)
        began = time.perf_counter()
        with running("-c", "from daxa_registry.cli import main; main()", "serve", str(configuration)):
            yield folder, time.perf_counter() - began


# the load: a process of its own


class Load:
    """New edges from two members, at a rate or as many as are taken, until the block ends; ``rate`` tells what was taken."""

    def __init__(self, folder: Path, seed: int, wanted: float = 0.0) -> None:
        """``wanted``: sightings a second, 0 for as many as are taken."""
        self._command = [sys.executable, __file__, str(folder), str(seed), str(wanted)]
        self.rate = 0.0

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._tell()
        time.sleep(BEFORE_SECONDS)
        return self

    def _tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def __exit__(self, *failed: object) -> None:
        if failed[0] is None:
            self._tell()
            assert self._process.stdout is not None
            told = self._process.stdout.readline()
            self.rate = float(told)
        else:
            self._process.kill()
        self._process.wait(WAIT_SECONDS)


def load(folder: Path, seed: int, wanted: float) -> None:
    """What the process of a :class:`Load` does: says a line when it is ready, begins and ends at a line, says its rate."""
    # Each of those who submit has a batch in hand while it waits for its time, and the last ring may take its own.
    seconds = 2 * SECONDS if wanted else SECONDS + 4 * BEFORE_SECONDS
    edges = (int((wanted or MOST) * seconds / len(LOADING)) // BATCH + 2 * IN_FLIGHT) * BATCH
    shares = [iter(Traffic(edges, seed + place).requests(member)) for place, member in enumerate(LOADING)]
    stopped = threading.Event()
    began = 0.0
    every = BATCH * len(LOADING) / wanted if wanted else 0.0
    taken = [0] * len(LOADING)

    def run(place: int, share: Iterator[bytes], call: grpc.UnaryUnaryMultiCallable, lock: threading.Lock) -> None:
        while not stopped.is_set():
            with lock:
                request = next(share, None)
                due = began + taken[place] * every
                taken[place] += 1
            if request is None:
                raise AssertionError("the load was not enough")
            if stopped.wait(max(due - time.perf_counter(), 0.0)):
                return
            if sighting_pb2.SubmitSightingsResponse.FromString(call(request)).accepted != BATCH:
                raise AssertionError("a batch was not taken whole")
            answered.append(time.perf_counter())

    answered: list[float] = []
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(IN_FLIGHT * len(LOADING)))
        calls = [
            raw(stack.enter_context(channel(folder, member)), "/daxa_api.v1.SightingService/SubmitSightings")
            for member in LOADING
        ]
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.perf_counter()
        running_now = [
            pool.submit(run, place, shares[place], call, lock)
            for place, (call, lock) in enumerate(zip(calls, [threading.Lock() for _ in calls], strict=True))
            for _ in range(IN_FLIGHT)
        ]
        sys.stdin.readline()
        ended = time.perf_counter()
        stopped.set()
        for future in running_now:
            future.result()
    timed = sum(began + BEFORE_SECONDS < at <= ended for at in answered)
    print(timed * BATCH / (ended - began - BEFORE_SECONDS), flush=True)


# what is timed


def look_ups(call: Callable[[bytes], bytes], keys: Sequence[bytes], seconds: float) -> list[float]:
    """Seconds of each BatchGetVerdicts of some of the keys, one after the other with a short pause."""
    chosen = random.Random(0)
    requests = [
        verdict_pb2.BatchGetVerdictsRequest(keys=chosen.sample(keys, KEYS_ASKED), key_version=1).SerializeToString()
        for _ in range(1_000)
    ]
    took: list[float] = []
    until = time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        call(requests[len(took) % len(requests)])
        took.append(time.perf_counter() - began)
        time.sleep(PAUSE)
    return took


class Ring:
    """A key of each of three members on the same two servers in the same hours: the third makes the others known."""

    def __init__(self, seed: int) -> None:
        hours = random.Random(seed).sample(range(24, 24 * 9), RING_HOURS)
        self.keys, holders = elements(len(WATCHED)), elements(len(WATCHED))
        places, networks, [device] = elements(RING_PLACES), elements(RING_PLACES), elements(1)
        now = int(time.time()) // 3_600
        self.requests = [
            sighting_pb2.SubmitSightingsRequest(
                batch_id=secrets.token_bytes(16),
                member=member,
                key_version=1,
                canonical_version=1,
                sightings=[
                    codec.write_sighting(
                        Sighting(key, place, network, now - hour, Manner.USED, 3, device, holder, key[:16])
                    )
                    for hour, place, network in zip(hours, cycle(places), cycle(networks), strict=False)
                ],
            )
            for member, key, holder in zip(WATCHED, self.keys, holders, strict=True)
        ]


class Watcher:
    """What a member is told of its keys, each with when it came."""

    def __init__(self, stub: verdict_pb2_grpc.VerdictServiceStub) -> None:
        self._stream = stub.WatchVerdicts(verdict_pb2.WatchVerdictsRequest(after_sequence=0))
        self._news: queue.Queue[tuple[bytes, Level, float]] = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(grpc.RpcError):
            for answer in self._stream:
                at = time.perf_counter()
                for envelope in answer.verdicts:
                    verdict = codec.decode_verdict(envelope.payload)
                    self._news.put((verdict.key, verdict.level, at))

    def next_of(self, key: bytes, raised: bool) -> float:
        """When it was told that the key's level is above CLEAR, or CLEAR again."""
        while True:
            told, level, at = self._news.get(timeout=WAIT_SECONDS)
            if told == key and (level > Level.CLEAR) == raised:
                return at

    def close(self) -> None:
        """Ends the stream."""
        self._stream.cancel()


@contextlib.contextmanager
def watched(folder: Path, rings: Sequence[Ring]) -> Iterator[tuple[Watcher, sighting_pb2_grpc.SightingServiceStub]]:
    """The first two members have submitted what they saw of the rings: the first one's watcher, and the third one's calls."""
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(channel(folder, member)) for member in WATCHED]
        stubs = [sighting_pb2_grpc.SightingServiceStub(one) for one in channels]
        for ring in rings:
            for stub, request in zip(stubs[:2], ring.requests[:2], strict=True):
                stub.SubmitSightings(request)
        watcher = Watcher(verdict_pb2_grpc.VerdictServiceStub(channels[0]))
        stack.callback(watcher.close)
        yield watcher, stubs[2]


def times_to_match(
    watcher: Watcher, third: sighting_pb2_grpc.SightingServiceStub, rings: Sequence[Ring], seconds: float
) -> tuple[list[float], list[float]]:
    """Seconds from the third member's answer to the first's news, and from its withdrawal's answer to the news of that.

    Negative where the news was there before the answer.
    """
    matched, stopped = [], []
    until = time.perf_counter() + seconds
    for ring in rings:
        if time.perf_counter() > until:
            break
        third.SubmitSightings(ring.requests[2])
        answered = time.perf_counter()
        matched.append(watcher.next_of(ring.keys[0], raised=True) - answered)
        third.WithdrawSightings(sighting_pb2.WithdrawSightingsRequest(key=ring.keys[2], key_version=1))
        answered = time.perf_counter()
        stopped.append(watcher.next_of(ring.keys[0], raised=False) - answered)
        time.sleep(PAUSE)
    return matched, stopped


def percentile(seconds: Sequence[float], of_a_hundred: int) -> float:
    """That one of them, in their order."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[of_a_hundred - 1]


def measure(database: str, keys: Sequence[bytes]) -> dict[str, float]:
    """What members see of a registry on that database; ``keys`` are known there."""
    rings = [Ring(number) for number in range(RINGS)]
    with registry_on(database) as (folder, started), channel(folder, WATCHED[0]) as open_channel:
        call = raw(open_channel, "/daxa_api.v1.VerdictService/BatchGetVerdicts")
        look_ups(call, keys, BEFORE_SECONDS)
        idle = look_ups(call, keys, BEFORE_SECONDS)
        with Load(folder, 1) as full:
            busy = look_ups(call, keys, SECONDS)
            time.sleep(BEFORE_SECONDS)
        with watched(folder, rings) as (watcher, third), Load(folder, 1 + len(LOADING), full.rate / 2) as half:
            matched, stopped = times_to_match(watcher, third, rings, SECONDS)
            time.sleep(BEFORE_SECONDS)
    return {
        "started": started,
        "served": full.rate,
        "half": half.rate,
        "get_idle_p50": percentile(idle, 50),
        "get_p50": percentile(busy, 50),
        "get_p99": percentile(busy, 99),
        "match_p50": percentile(matched, 50),
        "match_p99": percentile(matched, 99),
        "stop_p50": percentile(stopped, 50),
        "stop_p99": percentile(stopped, 99),
        "matches": float(len(matched)),
    }


if __name__ == "__main__":
    load(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))

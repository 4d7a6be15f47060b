"""What a member that floods does to the others: their p99 latency with it, beside their p99 when it behaves as they do.

Five members of one real registry process over mutual TLS. In the quiet phase all five submit at the same pace; in the other the
fifth keeps as many calls in flight as the registry lets it, without ever waiting. Phases alternate, so that both see the same
machine and the same growing database. Every member, the flooding one too, submits edges that are new as long as it has any, and
connects before anything is measured. The flood is a process of its own that runs where nothing else would: what it does to the
others it shall do by the registry, not by what its sending takes of a machine that in life is another one.
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from bench_registry import Traffic, channel, raw, registry
from daxa_core.model import MAX_SIGHTINGS

MEMBERS = ("upbit", "bithumb", "coinone", "korbit", "gopax")
FLOODER = MEMBERS[-1]
PACE_SECONDS = 0.75
"""Between two batches of a member, on average."""
BATCH = 100
"""Sightings in a batch of a member that behaves; the flood sends full ones."""
EDGES = 20_000
FLOOD_CALLS = 48
FLOOD_EDGES = 300_000
PHASE_SECONDS = 20.0
PHASES = 10
"""Of each kind: a thousand batches, of whose latencies the 99th percentile is the tenth largest."""
Row = dict[str, Any]
SUBMIT = "/daxa_api.v1.SightingService/SubmitSightings"


class Member:
    """Submits, and keeps the latencies of what it submitted."""

    def __init__(self, folder: Path, name: str, seed: int, edges: int = EDGES) -> None:
        self.name = name
        self.channel = channel(folder, name)
        self.call = raw(self.channel, SUBMIT)
        self._random = random.Random(seed)
        self.pending = self.requests(Traffic(edges, seed), BATCH)

    def requests(self, traffic: Traffic, batch: int) -> Iterator[bytes]:
        """Batches of edges that are new, made before they are asked for; when all were sent, once more, with other ids."""
        again = (request for _ in itertools.count() for request in traffic.requests(self.name, batch))
        return itertools.chain(traffic.requests(self.name, batch), again)

    def paced(self, until: float, latencies: list[float], pace: float = PACE_SECONDS) -> None:
        """One batch after another, at random times with the pace as their mean."""
        while True:
            time.sleep(self._random.uniform(0.5, 1.5) * pace)
            request = next(self.pending)
            if time.perf_counter() > until:
                return
            began = time.perf_counter()
            self.call(request, timeout=120)
            latencies.append(time.perf_counter() - began)


def p99(values: list[float]) -> float:
    """The 99th percentile, the largest of fewer than a hundred."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def flood(folder: Path) -> None:
    """Serves the other end of :class:`Flood`: says when it is ready; reads seconds, a line a phase, and answers each with
    "answered refused". Full batches with FLOOD_CALLS in flight, asking again at once whatever is answered."""
    if sys.platform == "linux":  # gives the processor back at once; even the nicest keeps it for some milliseconds
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    member = Member(folder, FLOODER, len(MEMBERS))
    requests = member.requests(Traffic(FLOOD_EDGES, len(MEMBERS)), MAX_SIGHTINGS)
    member.call(next(member.pending))
    print("ready", flush=True)
    for line in sys.stdin:
        until = time.perf_counter() + float(line)
        counts = [0, 0]
        lock = threading.Lock()

        def run(_: int, until: float = until, counts: list[int] = counts, lock: threading.Lock = lock) -> None:
            while time.perf_counter() < until:
                with lock:
                    request = next(requests)
                try:
                    member.call(request, timeout=120)
                    done = 0
                except grpc.RpcError:
                    done = 1
                with lock:
                    counts[done] += 1

        with ThreadPoolExecutor(FLOOD_CALLS) as pool:
            list(pool.map(run, range(FLOOD_CALLS)))
        print(*counts, flush=True)


class Flood:
    """A process that floods for as long as it is told."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--flood", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()

    def begin(self, seconds: float) -> None:
        """Floods from now on."""
        assert self._process.stdin is not None
        print(seconds, file=self._process.stdin, flush=True)

    def end(self) -> tuple[int, int]:
        """Waits until the flood is over: how many calls were answered, how many refused."""
        answered, refused = self._read().split()
        return int(answered), int(refused)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def run(seconds: float = PHASE_SECONDS, phases: int = PHASES) -> list[Row]:
    """The one row of this file."""
    quiet: list[float] = []
    flooded: list[float] = []
    answered = refused = 0
    with registry(MEMBERS) as folder:
        members = [Member(folder, name, seed) for seed, name in enumerate(MEMBERS)]
        for member in members:
            member.call(next(member.pending))
        flooder = Flood(folder)
        for phase in range(2 * phases):
            flooding = phase % 2 == 1
            until = time.perf_counter() + seconds
            threads = []
            for member in members:
                if member.name == FLOODER and flooding:
                    continue
                into = flooded if flooding else quiet
                # The fifth's own latency says nothing of what it does to others.
                own: list[float] = [] if member.name == FLOODER else into
                threads.append(threading.Thread(target=member.paced, args=(until, own)))
            for thread in threads:
                thread.start()
            if flooding:
                flooder.begin(seconds)
                done = flooder.end()
                answered, refused = answered + done[0], refused + done[1]
            for thread in threads:
                thread.join()
        flooder.close()
        for member in members:
            member.channel.close()
    ratio = p99(flooded) / p99(quiet)
    detail = (
        f"p99 {1e3 * p99(flooded):.0f} ms with, {1e3 * p99(quiet):.0f} ms without; medians {1e3 * statistics.median(flooded):.0f}"
        f" and {1e3 * statistics.median(quiet):.0f} ms; {len(flooded)} and {len(quiet)} batches; the flood: {answered} answered,"
        f" {refused} refused"
    )
    return [{"name": "p99 of others while one member floods", "value": ratio, "unit": "×", "target": "<= 2", "ok": ratio <= 2,
             "detail": detail}]  # fmt: skip


def main() -> None:
    """Prints the row; with ``--flood FOLDER``, floods for it."""
    if sys.argv[1:2] == ["--flood"]:
        flood(Path(sys.argv[2]))
        return
    for row in run(*(float(argument) for argument in sys.argv[1:2])):
        print(f"{row['name']:48} {row['value']:8.2f} {row['unit']} (wanted {row['target']})  {row['detail']}")


if __name__ == "__main__":
    main()

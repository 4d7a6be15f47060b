"""What the client costs where it stands: on the trading path, at import, in memory, and when a backlog has to be drained.

The first figures are medians over many calls of one process. Memory and import are those of fresh processes. The drain is
measured beside its floors in the same run: the registry's own intake of such sightings prepared beforehand, and the rate at
which this machine fingerprints what the backlog needs. A drain needs both, and here evaluator, registry and client share the
cores; so it is also measured beside the two of them at the same time, which is all that one machine could do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench_client_memory import AGENTS
from bench_registry import BATCH, IN_FLIGHT, raw, submit_all
from daxa_client import Device, Gateway, RegistryClient
from daxa_client._cache import FingerprintCache
from daxa_client._channel import open_channel
from daxa_client._config import ClientConfig, read_config
from daxa_client._fingerprints import Fingerprinter
from daxa_client._spool import Spool
from daxa_client._submission import Canonicaliser, Prepared, prepare
from daxa_core.model import Level, Manner, RawSighting, Verdict
from daxa_registry.deployment import Plan, make_deployment

Row = dict[str, Any]
CALLS = 20_000


def median_us(calls: int, work: Callable[[int], object]) -> float:
    """The median of single calls, in microseconds, less what the clock itself takes."""
    taken, empty = [], []
    for number in range(calls):
        start = time.perf_counter_ns()
        work(number)
        taken.append(time.perf_counter_ns() - start)
        start = time.perf_counter_ns()
        empty.append(time.perf_counter_ns() - start)
    return (statistics.median(taken) - statistics.median(empty)) / 1_000


def row(name: str, value: float, unit: str, bound: float, detail: str, at_least: bool = False) -> Row:
    """A row of ``scripts/bench``."""
    ok = value >= bound if at_least else value <= bound
    return {"name": name, "value": value, "unit": unit, "target": f"{'>=' if at_least else '<='} {bound:g}", "ok": ok,
            "detail": detail}  # fmt: skip


def trading_path(folder: Path) -> list[Row]:
    """``observe()`` and ``verdict()`` of a running gateway."""
    config = read_config(folder / "members/upbit/client.toml")
    gateway = Gateway(dataclasses.replace(config, targets=("127.0.0.1:9",), state=folder / "state"))
    repeat = median_us(
        CALLS, lambda n: gateway.observe("k" * 40, "8.8.8.8", device=Device(AGENTS[0], "t13d"), account="1")
    )
    fresh = median_us(
        CALLS, lambda n: gateway.observe(f"{n:040}", f"8.8.{n >> 8 & 255}.{n & 255}", device=Device(AGENTS[n % 50]))
    )
    prints = [number.to_bytes(32, "big") for number in range(10_000)]
    gateway._table.learn((one, f"{n:040}") for n, one in enumerate(prints))
    gateway._table.take([Verdict(one, Level.WARN, sequence=n) for n, one in enumerate(prints, 1)])
    keys = [f"{n:040}" for n in range(10_000)]
    hit = median_us(CALLS, lambda n: gateway.verdict(keys[n % 10_000]))
    miss = median_us(CALLS, lambda n: gateway.verdict("none-" + keys[n % 10_000]))
    gateway.close()
    on = f"median of {CALLS:,} calls, a gateway at work behind them"
    return [
        row("observe() of a repeat", repeat, "µs", 3.0, on),
        row("observe() of a new combination", fresh, "µs", 20.0, on),
        row("verdict(key), there is one", hit, "µs", 1.0, f"{on}; 10,000 verdicts"),
        row("verdict(key), there is none", miss, "µs", 1.0, on),
    ]


def fresh_process(code: str) -> float:
    """The number that a fresh interpreter prints."""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(ended.stdout)


_IMPORT = "import time; s = time.perf_counter(); import daxa_client; print((time.perf_counter() - s) * 1000)"
_MEMORY = """
import sys
sys.path[:0] = {path!r}
import bench_client_memory
held = bench_client_memory.hold({configuration!r})
print([int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmRSS")][0] / 1024)
"""


def installed(wanted: list[str]) -> dict[str, float]:
    """MiB on the disk of each distribution that these requirements bring along, themselves included."""
    sizes: dict[str, float] = {}
    while wanted:
        requirement = Requirement(wanted.pop())
        name = canonicalize_name(requirement.name)
        if name in sizes or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found = importlib.metadata.distribution(name)
        paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
        sizes[name] = sum(path.stat().st_size for path in paths if path.is_file()) / 2**20
        wanted += found.requires or []
    return sizes


def start_up(configuration: Path) -> list[Row]:
    """Import time, installed size with what it needs and without, memory."""
    imports = [fresh_process(_IMPORT) for _ in range(5)]
    client = Path(__file__).resolve().parent.parent / "client"
    own = sum(f.stat().st_size for f in client.rglob("*") if f.is_file() and "__pycache__" not in f.parts) / 2**20
    needs = installed(tomllib.loads((client / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"])
    largest = ", ".join(f"{name} {size:.1f}" for name, size in sorted(needs.items(), key=lambda one: -one[1])[:4])
    whole: Row = {
        "name": "installed size of the client, all it needs included",
        "value": own + sum(needs.values()),
        "unit": "MiB",
        "target": None,
        "ok": True,
        "detail": f"{len(needs)} distributions besides: {largest} …",
    }
    here = str(Path(__file__).resolve().parent)
    memory = fresh_process(_MEMORY.format(path=[here], configuration=str(configuration)))
    return [
        row("import daxa_client", statistics.median(imports), "ms", 250.0, "median of 5 fresh interpreters"),
        whole,
        row(
            "memory with 100,000 active keys",
            memory,
            "MiB",
            150.0,
            "resident set of a process: observer, spool, caches, 10,000 verdicts with their envelopes",
        ),
        row("size of the client's own code", own, "MiB", 5.0, "daxa_api, daxa_core, daxa_client, without dependencies"),
    ]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """One evaluator and the registry, each a process of its own."""
    processes = []
    for command, path in (("evaluator", "evaluators/1/evaluator.toml"), ("serve", "registry/registry.toml")):
        process = subprocess.Popen(
            [sys.executable, "-c", "from daxa_registry.cli import main; main()", command, str(folder / path)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        processes.append(process)
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(30)


def backlog(number: int, salt: int) -> list[RawSighting]:
    """Aggregated sightings of a day, hour by hour: ten to an address, at hours of their own; one key to three addresses; few
    devices. Each ``salt`` has keys and addresses of its own; of whatever size, it is the same sort of day."""
    last, places = int(time.time()) // 3_600, max(number // 10, 3)
    begins = random.Random(salt).choices(range(24), k=places)
    out = []
    for n in range(number):
        place = n % places
        address = f"{20 + salt}.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"
        key = place % (places // 3)
        out.append(
            RawSighting(
                f"{salt:03}{key:037}", address, last - (begins[place] + 7 * (n // places)) % 24, Manner.USED, 5,
                Device(AGENTS[key % 50]), None, f"{salt} {key}",
            )
        )  # fmt: skip
    return sorted(out, key=lambda one: one.hour)


class Drains:
    """Backlogs of one size, each of keys and addresses that nobody has seen, and what becomes of them: sightings a second."""

    def __init__(self, config: ClientConfig, channel: grpc.Channel, state: Path, number: int) -> None:
        self._config, self._state, self._number, self._salt = config, state, number, 0
        self._submit = raw(channel, "/daxa_api.v1.SightingService/SubmitSightings")

    def next(self) -> tuple[Prepared, int]:
        """A backlog, canonical, and its number."""
        self._salt += 1
        canonicaliser = Canonicaliser(self._config.account_secret, False)
        return prepare(backlog(self._number, self._salt), canonicaliser), self._salt

    def fingerprinted(self, prepared: Prepared) -> tuple[float, list[bytes]]:
        """The rate of fingerprinting all of it, and its batches ready to send."""
        config = self._config
        cache = FingerprintCache(None, config.account_secret, config.parameters.digest)
        wanted = prepared.wanted()
        with contextlib.closing(Fingerprinter(config, cache)) as fingerprinter:
            began = time.perf_counter()
            prints = fingerprinter.of_all(wanted)
            rate = self._number / (time.perf_counter() - began)
        batches = prepared.batches(prints, config.member, config.parameters, lambda: os.urandom(16))
        return rate, [batch.request.SerializeToString() for batch in batches]

    def taken_in(self, batches: list[bytes]) -> float:
        """The registry's rate of taking in batches that are ready."""
        return submit_all(self._submit, batches, self._number)

    def both(self, batches: list[bytes]) -> float:
        """The rate of fingerprinting one backlog while the registry takes in another, until both are done."""
        prepared, _ = self.next()
        config = self._config
        cache = FingerprintCache(None, config.account_secret, config.parameters.digest)
        with contextlib.closing(Fingerprinter(config, cache)) as fingerprinter, ThreadPoolExecutor(1) as beside:
            wanted = prepared.wanted()
            began = time.perf_counter()
            other = beside.submit(self.taken_in, batches)
            fingerprinter.of_all(wanted)
            other.result()
            return self._number / (time.perf_counter() - began)

    def drained(self) -> float:
        """The rate at which a gateway gets rid of one that it finds in its spool; it has the verdicts on all that was before."""
        self._salt += 1
        state = self._state
        config = dataclasses.replace(self._config, state=state, cache=state / "cache.sqlite")
        with Gateway(config) as gateway, RegistryClient(self._config) as client:
            _, newest = client.verdict_digest(0)
            gateway.verdict("")  # it begins
            while gateway._table.cursor < newest:
                time.sleep(0.05)
        spool = Spool(state / "spool.sqlite", self._config.account_secret)
        rows = backlog(self._number, self._salt)
        for start in range(0, len(rows), 20_000):
            spool.add(rows[start : start + 20_000], int(time.time()) - 10)
        spool.close()
        with Gateway(config) as gateway:
            began = time.perf_counter()
            if not gateway.drain(3_600):
                raise AssertionError("the backlog was not drained")
            rate = self._number / (time.perf_counter() - began)
            sent = gateway.health().sent
        if sent != self._number:
            raise AssertionError(f"{sent} of {self._number} sightings were taken")
        return rate


def drain(folder: Path, number: int, rounds: int) -> list[Row]:
    """The drain of a backlog beside the lower of intake and fingerprinting, of backlogs of the same sort.

    They take turns, in one order and then in the other, so that the registry holds as much for each and a busy host is busy
    for each.
    """
    config = dataclasses.replace(read_config(folder / "members/upbit/client.toml"), cache=None)
    taken: dict[str, list[float]] = {"drain": [], "fingerprints": [], "intake": [], "both": []}
    with running(folder), open_channel(config, config.targets[0]) as channel:
        drains = Drains(config, channel, folder / "drain", number)
        for turn in range(rounds):
            if turn % 2:
                taken["drain"].append(drains.drained())
            rate, batches = drains.fingerprinted(drains.next()[0])
            taken["fingerprints"].append(rate)
            taken["intake"].append(drains.taken_in(batches))
            _, batches = drains.fingerprinted(drains.next()[0])
            taken["both"].append(drains.both(batches))
            if not turn % 2:
                taken["drain"].append(drains.drained())
    lower = [min(one, other) for one, other in zip(taken["intake"], taken["fingerprints"], strict=True)]
    rate, floor, intake, fingerprints, both = (
        statistics.median(rates)
        for rates in (taken["drain"], lower, taken["intake"], taken["fingerprints"], taken["both"])
    )
    ratio = statistics.median(one / other for one, other in zip(taken["drain"], lower, strict=True))
    shared = statistics.median(one / other for one, other in zip(taken["drain"], taken["both"], strict=True))
    detail = (
        f"{rate:,.0f} / {floor:,.0f} sightings/s (intake {intake:,.0f} with {IN_FLIGHT} batches of {BATCH} at once, "
        f"fingerprinting {fingerprints:,.0f}); {number:,} over {number // 10:,} addresses, {os.cpu_count()} cores for all; "
        f"median of {rounds}"
    )
    beside = (
        f"{rate:,.0f} / {both:,.0f} sightings/s: as many fingerprints and batches, and nothing else of the client's"
    )
    return [
        row("drain of a backlog / lower of intake and fingerprints", ratio, "×", 0.8, detail, at_least=True),
        row("drain of a backlog / intake and fingerprints at once", shared, "×", 0.8, beside, at_least=True),
    ]


def run(number: int = 60_000, rounds: int = 3) -> list[Row]:
    """Every row of this file."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "deployment"
        make_deployment(folder, Plan(("upbit",), 1, 1, ports=_ports()))
        return trading_path(folder) + start_up(folder / "members/upbit/client.toml") + drain(folder, number, rounds)


def _ports() -> list[int]:
    import socket

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    for one in run():
        print(
            f"{one['name']:56} {one['value']:8.2f} {one['unit']} (wanted {one['target'] or 'nothing'})  {one['detail']}"
        )

"""Intake and look-ups of a real registry process over mutual TLS, beside the floor or peer of each in the same run.

The server is a process of its own; the requests are made and serialised before the clock starts, so that what is measured is the
registry. Intake's floor is the bare SQLite upserts of the same rows with the same settings, ids given for free.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc, sighting_pb2, verdict_pb2
from daxa_core import codec, group
from daxa_core.model import Manner, Sighting
from daxa_registry.config import read_evaluator
from daxa_registry.deployment import Plan, make_deployment
from daxa_registry.keys.credentials import Credentials
from daxa_registry.rpc.server import Service, build_server
from daxa_registry.store.hours import pack
from daxa_registry.store.sqlite import SqliteStore

MEMBERS = ("upbit", "bithumb")
BATCH = 1_000
ROUNDS = 5
IN_FLIGHT = 6
LOOK_UPS = 1_500
Row = dict[str, Any]


def elements(number: int) -> list[bytes]:
    """Distinct valid group elements."""
    return [group.base_multiply(group.random_scalar()) for _ in range(number)]


class Traffic:
    """Edges of a market: each key on three addresses, most addresses with one key, some with several, a few hundred stacks."""

    def __init__(self, edges: int, seed: int) -> None:
        self._random = random.Random(seed)
        self._keys = elements(edges // 3)
        self._addresses = elements(edges // 2)
        self._networks = elements(max(edges // 20, 1))
        self._devices = elements(200)
        self._accounts = [secrets.token_bytes(16) for _ in self._keys]
        self.hour = int(time.time()) // 3_600
        self.sightings: list[Sighting] = []
        for edge in range(edges):
            place = self._random.randrange(len(self._addresses))
            key = edge % len(self._keys)
            self.sightings.append(
                Sighting(
                    self._keys[key],
                    self._addresses[place],
                    self._networks[place % len(self._networks)],
                    self.hour - self._random.randrange(24),
                    Manner.USED,
                    self._random.randrange(1, 50),
                    self._devices[key % len(self._devices)],
                    None,
                    self._accounts[key],
                )
            )

    def requests(self, member: str, batch: int = BATCH) -> list[bytes]:
        """The sightings as serialised batches of a member, under fresh batch ids."""
        out = []
        for start in range(0, len(self.sightings), batch):
            part = self.sightings[start : start + batch]
            request = sighting_pb2.SubmitSightingsRequest(
                batch_id=secrets.token_bytes(16), member=member, key_version=1, canonical_version=1,
                sightings=[codec.write_sighting(sighting) for sighting in part],
            )  # fmt: skip
            out.append(request.SerializeToString())
        return out

    def keys(self) -> list[bytes]:
        """The keys' fingerprints."""
        return self._keys


@contextlib.contextmanager
def registry(members: Sequence[str] = MEMBERS) -> Iterator[Path]:
    """A registry process in a fresh deployment: the deployment's folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "deployment"
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            two.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1], two.getsockname()[1]]
        make_deployment(folder, Plan(members, 1, 1, ports=ports))
        with running(
            "-c", "from daxa_registry.cli import main; main()", "serve", str(folder / "registry/registry.toml")
        ):
            yield folder


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[None]:
    """A Python process that says a line when it is ready, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(30)


class Empty(evaluation_pb2_grpc.EvaluationServiceServicer):
    """A handler that does nothing, behind the same server with the same TLS and the same guard as every other."""

    async def GetParameters(self, request: Any, context: Any) -> evaluation_pb2.GetParametersResponse:
        return evaluation_pb2.GetParametersResponse()


async def serve_empty(configuration: Path) -> None:
    """Serves the empty handler where an evaluator would listen, until it is told to stop."""
    config = read_evaluator(configuration)
    service = Service(
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server,
        Empty(),
        evaluation_pb2.DESCRIPTOR.services_by_name["EvaluationService"],
    )
    server, _ = await build_server(config.listen, Credentials(config.tls), [service], config.trust_domain)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


def channel(folder: Path, member: str, server: str = "registry/registry.toml") -> grpc.Channel:
    """A member's channel to the registry, or to another server of the deployment."""
    ca, key, cert = ((folder / "members" / member / f"{name}.pem").read_bytes() for name in ("ca", "key", "cert"))
    listen = next(line for line in (folder / server).read_text().splitlines() if line.startswith("listen"))
    return grpc.secure_channel(listen.split('"')[1], grpc.ssl_channel_credentials(ca, key, cert))


def raw(open_channel: grpc.Channel, method: str) -> grpc.UnaryUnaryMultiCallable:
    """A call that takes and gives bytes: what the load generator costs is next to nothing."""
    return open_channel.unary_unary(method, request_serializer=lambda b: b, response_deserializer=lambda b: b)


def submit_all(call: grpc.UnaryUnaryMultiCallable, requests: list[bytes], sightings: int) -> float:
    """Sightings a second until the last batch is answered, IN_FLIGHT batches at a time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for answer in pool.map(call, requests):
            if sighting_pb2.SubmitSightingsResponse.FromString(answer).accepted != BATCH:
                raise AssertionError("a batch was not taken whole")
    return sightings / (time.perf_counter() - began)


def bare_upserts(store: SqliteStore, ids: dict[bytes, int], traffic: Traffic) -> float:
    """Sightings a second of the same rows upserted in the same groups by bare SQL, with the registry's schema and settings.

    ``ids`` are those of earlier rounds: the database grows as the registry's does.
    """
    database = store._writer
    began = time.perf_counter()
    group_size = BATCH * IN_FLIGHT
    for start in range(0, len(traffic.sightings), group_size):
        part = traffic.sightings[start : start + group_size]
        for s in part:
            for one in (s.key, s.address, s.network, s.device or b""):
                ids.setdefault(one, len(ids) + 1)
        database.execute("BEGIN IMMEDIATE")
        for kind, name in ((1, "key"), (2, "address"), (3, "network"), (4, "device")):
            database.executemany(
                "INSERT INTO node (id, kind, fingerprint, subjects) VALUES (?,?,?,1)"
                " ON CONFLICT (fingerprint, kind) DO UPDATE SET subjects=subjects+1",
                [(ids[getattr(s, name)], kind, getattr(s, name)) for s in part],
            )
        database.executemany(
            "INSERT INTO subject (key, member, account) VALUES (?,1,?)"
            " ON CONFLICT (key, member) DO UPDATE SET account=excluded.account",
            [(ids[s.key], s.account) for s in part],
        )
        database.executemany(
            "INSERT INTO presence (address, member, device, subject, manner, network, first, hours, count)"
            " VALUES (?,1,?,?,?,?,?,?,?)"
            " ON CONFLICT (address, member, device, subject, manner) DO UPDATE SET count=count+excluded.count",
            [
                (ids[s.address], ids[s.device or b""], ids[s.key], 1, ids[s.network], s.hour, pack(1), s.count)
                for s in part
            ],
        )
        database.execute("COMMIT")
    return len(traffic.sightings) / (time.perf_counter() - began)


def intake(edges: int) -> list[Row]:
    """New edges against the bare upserts, repeats against new edges."""
    new, repeats, bare = [], [], []
    with registry() as folder, channel(folder, "upbit") as open_channel, contextlib.ExitStack() as stack:
        call = raw(open_channel, "/daxa_api.v1.SightingService/SubmitSightings")
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        floor = stack.enter_context(contextlib.closing(SqliteStore(scratch / "bare.sqlite")))
        ids: dict[bytes, int] = {}
        for round_ in range(ROUNDS):
            traffic = Traffic(edges, round_)
            bare.append(bare_upserts(floor, ids, traffic))
            new.append(submit_all(call, traffic.requests("upbit"), edges))
            repeats.append(submit_all(call, traffic.requests("upbit"), edges))
    on = f"{edges:,} edges × {ROUNDS} rounds, batches of {BATCH}, mutual TLS, synchronous=FULL"
    ratio = statistics.median(n / b for n, b in zip(new, bare, strict=True))
    again = statistics.median(r / n for r, n in zip(repeats, new, strict=True))
    return [
        {"name": "intake of new edges / bare upserts", "value": ratio, "unit": "×", "target": ">= 0.4", "ok": ratio >= 0.4,
         "detail": f"{statistics.median(new):,.0f} / {statistics.median(bare):,.0f} sightings/s; {on}"},
        {"name": "intake of repeats / intake of new edges", "value": again, "unit": "×", "target": ">= 5", "ok": again >= 5,
         "detail": f"{statistics.median(repeats):,.0f} / {statistics.median(new):,.0f} sightings/s; {on}"},
    ]  # fmt: skip


def look_ups(edges: int) -> list[Row]:
    """BatchGetVerdicts of one key against an empty handler of the same server, each in a process of its own."""
    get_rates, empty_rates = [], []
    evaluator = "evaluators/1/evaluator.toml"
    with (
        registry() as folder,
        running(__file__, "--empty", str(folder / evaluator)),
        channel(folder, "upbit") as open_channel,
        channel(folder, "upbit", evaluator) as empty_channel,
    ):
        traffic = Traffic(edges, 99)
        submit_all(raw(open_channel, "/daxa_api.v1.SightingService/SubmitSightings"), traffic.requests("upbit"), edges)
        get = raw(open_channel, "/daxa_api.v1.VerdictService/BatchGetVerdicts")
        empty = raw(empty_channel, "/daxa_api.v1.EvaluationService/GetParameters")
        asks = [
            verdict_pb2.BatchGetVerdictsRequest(keys=[key], key_version=1).SerializeToString()
            for key in traffic.keys()[:LOOK_UPS]
        ]
        nothing = [b""] * len(asks)
        for _ in range(ROUNDS):
            for call, load, rates in ((empty, nothing, empty_rates), (get, asks, get_rates)):
                began = time.perf_counter()
                with ThreadPoolExecutor(4) as pool:
                    list(pool.map(call, load))
                rates.append(len(load) / (time.perf_counter() - began))
    ratio = statistics.median(g / e for g, e in zip(get_rates, empty_rates, strict=True))
    detail = f"{statistics.median(get_rates):,.0f} / {statistics.median(empty_rates):,.0f} calls/s, 4 at a time"
    return [{"name": "BatchGetVerdicts of one key / empty handler", "value": ratio, "unit": "×", "target": ">= 0.6",
             "ok": ratio >= 0.6, "detail": detail}]  # fmt: skip


def run(edges: int = 30_000) -> list[Row]:
    """Every row of this file."""
    return intake(edges) + look_ups(edges)


def main() -> None:
    """Prints the rows; with ``--empty CONFIGURATION``, serves the empty handler for them."""
    if sys.argv[1:2] == ["--empty"]:
        asyncio.run(serve_empty(Path(sys.argv[2])))
        return
    for row in run():
        print(f"{row['name']:48} {row['value']:8.2f} {row['unit']} (wanted {row['target']})  {row['detail']}")


if __name__ == "__main__":
    main()

"""Two nodes of a registry on one PostgreSQL, each a process of its own, over real gRPC and mutual TLS."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
import pytest

import deployment
import life
from busy import Busy
from daxa_api.v1 import verdict_pb2, verdict_pb2_grpc
from daxa_client import RegistryClient, Verdict
from daxa_core.errors import DaxaError, Unavailable
from daxa_registry.bootstrap import TELL_SECONDS, evaluator_server, open_store
from daxa_registry.config import read_evaluator
from daxa_registry.nodes import PORTS_APART
from daxa_registry.service.limits import LEAST_PER_MINUTE, Limits
from daxa_registry.store import sqlite_schema
from daxa_registry.store.postgres_schema import MIGRATIONS
from daxa_registry.store.postgres_signals import NOTICES
from free_ports import free_pair

WAIT_SECONDS = 30


@dataclass
class Nodes:
    """The deployment and its nodes, by the address of each."""

    folder: Path
    stack: contextlib.ExitStack
    running: dict[str, deployment.Process] = field(default_factory=dict)

    @property
    def configuration(self) -> Path:
        return self.folder / "registry/registry.toml"

    def restart(self, address: str) -> None:
        """Starts a node that is dead."""
        self.running[address] = self.stack.enter_context(
            deployment.Process("serve", self.configuration, "--listen", address)
        )
        assert self.running[address].ready == f"registry listening on {address}"

    def client(self, member: str, *targets: str) -> RegistryClient:
        """A member's client that knows these nodes alone."""
        home = self.folder / "members" / member
        text = (home / "client.toml").read_text()
        own = home / f"{'-'.join(target.replace(':', '.') for target in targets)}.toml"
        quoted = ", ".join(f'"{target}"' for target in targets)
        own.write_text(
            "".join(
                f"targets = [{quoted}]\n" if line.startswith("targets") else f"{line}\n" for line in text.splitlines()
            )
        )
        return RegistryClient.from_file(own)


@pytest.fixture
def nodes(tmp_path: Path, postgres_url: str) -> Iterator[Nodes]:
    folder = deployment.deploy(tmp_path / "deployment", ("upbit", "bithumb"), threshold=1, evaluators=1)
    deployment.without_grace(folder)
    configuration = folder / "registry/registry.toml"
    configuration.write_text(
        configuration.read_text().replace('database = "data/registry.sqlite"', f'database = "{postgres_url}"')
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            deployment.in_process(lambda: evaluator_server(read_evaluator(folder / "evaluators/1/evaluator.toml")))
        )
        made = Nodes(folder, stack)
        for port in deployment.free_ports(2):
            made.restart(f"127.0.0.1:{port}")
        yield made


def ring(member: str, turn: int = 0) -> list[life.RawSighting]:
    """One operator's server behind four people's keys at that member; each turn another server and other people."""
    hour = int(time.time()) // life.HOUR
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    return [
        life.RawSighting(
            f"{member}-{i}",
            f"211.234.{10 + turn}.7",
            hour - h,
            device=life.STACK,
            account=f"{i}",
            holder=f"{member} {i}".encode(),
        )
        for i in range(4 * turn, 4 * turn + 4)
        for h in hours
    ]


def changes(client: RegistryClient, after: int, until: int) -> list[Verdict]:
    """A member's changes after a cursor, waiting for the one of that number."""
    found: list[Verdict] = []
    for verdict in client.watch(after):
        found.append(verdict)
        if verdict.sequence >= until:
            break
    return found


def test_a_member_at_one_node_hears_what_was_sent_to_another_and_goes_on_when_that_dies(nodes: Nodes) -> None:
    """Verdicts reach the watcher at the other node; the node is killed; the same cursor and the same keys go on elsewhere."""
    first, second = nodes.running
    with (
        nodes.client("upbit", first) as upbit,
        nodes.client("bithumb", second) as bithumb,
        nodes.client("upbit", first, second) as both,
    ):
        bithumb.submit(ring("bithumb"))
        upbit.submit(ring("upbit"))
        told = changes(bithumb, 0, 4)
        assert {verdict.sequence for verdict in told} >= {1, 2, 3, 4}
        assert both.verdicts(["upbit-0"])
        nodes.running[first].kill()
        again = both.verdicts([f"upbit-{i}" for i in range(4)])
        assert len(again) == 4
        both.submit([life.RawSighting("upbit-9", "211.234.10.7", int(time.time()) // life.HOUR)])
        resumed = changes(both, 2, 4)
        assert [verdict.sequence for verdict in resumed][:2] == [3, 4]
    assert nodes.running[second].stop(signal.SIGTERM)[0] == 0
    store = open_store(_database(nodes.configuration))
    try:
        log = store.leaves(0, 10_000)
        assert [leaf.index for leaf in log] == list(range(store.log_size()))
        assert sum(leaf.event == "members" for leaf in log) == 1
    finally:
        store.close()


def test_a_node_ends_when_a_newer_program_has_migrated_the_database(nodes: Nodes) -> None:
    """At its next turn; one line says why. It does not start again, so that members' clients go on at the newer program's."""
    this = len(MIGRATIONS)
    with psycopg.connect(_database(nodes.configuration), autocommit=True) as database:
        database.execute("WITH turn AS (UPDATE turn SET node='') INSERT INTO schema_version VALUES (%s)", (this + 1,))
    for address, process in nodes.running.items():
        with nodes.client("upbit", address) as upbit, pytest.raises(Unavailable):
            upbit.submit(ring("upbit")[:1])
        code, said = process.wait()
        told = f"a node of the program that made schema version {this + 1}; this one writes version {this}"
        assert (code, told in said) == (2, True)
    with deployment.Process("serve", nodes.configuration) as again:
        code, said = again.wait()
        assert (code, f"schema version up to {this}, this one is {this + 1}" in said) == (2, True)


def test_a_registry_on_a_file_ends_when_a_newer_program_has_migrated_it(tmp_path: Path) -> None:
    """As a node: whoever started the newer program beside it has two, of which one writes."""
    busy, this = Busy(tmp_path / "deployment"), len(sqlite_schema.MIGRATIONS)
    with busy.serve() as process:
        assert busy.submit() is None
        with contextlib.closing(sqlite3.connect(busy.file)) as file:
            file.execute(f"PRAGMA user_version={this + 1}")
        told = busy.submit()
        assert told is not None
        assert told.status is grpc.StatusCode.UNAVAILABLE  # by it, or by nobody any more
        code, said = process.wait()
    assert (code, f"a node of the program that made schema version {this + 1}; this one" in said) == (2, True)


def test_an_open_watch_and_the_calls_live_through_the_death_of_each_node(nodes: Nodes) -> None:
    """Nodes die in turn and come back: what happens meanwhile reaches the watch that was open all the time, every change once and
    in order, and no call fails."""
    with nodes.client("upbit", *nodes.running) as client:
        client.submit(ring("upbit"))
        watch = client.watch(0)
        seen = [next(watch)]
        for turn, address in enumerate([*nodes.running] * 2, 1):
            nodes.running[address].kill()
            client.submit(ring("upbit", turn))
            told = client.verdicts([f"upbit-{4 * turn}"])[f"upbit-{4 * turn}"]
            while seen[-1].sequence < told.sequence:
                seen.append(next(watch))
            nodes.restart(address)
        assert told.sequence >= 17
    assert [verdict.sequence for verdict in seen] == list(range(1, len(seen) + 1))


def test_a_limit_is_one_at_all_nodes() -> None:
    """What a peer spent at another node is taken off here, and what it owes is bounded by a minute's worth."""
    here, there = (Limits({"Evaluate": 1_000}, clock=lambda: 0.0) for _ in range(2))
    with there.enter("member/upbit", "Evaluate", 900):
        pass
    for spent in there.take_spent():
        here.spent_elsewhere(*spent)
    assert there.take_spent() == []
    with pytest.raises(DaxaError, match="QUOTA_EXHAUSTED") as caught, here.enter("member/upbit", "Evaluate", 200):
        raise AssertionError("not reached")
    assert caught.value.retry_after == pytest.approx(6.0)
    with here.enter("member/bithumb", "Evaluate", 1_000):
        pass
    for _ in range(10):
        here.spent_elsewhere("member/upbit", "Evaluate", 900)
    with pytest.raises(DaxaError) as caught, here.enter("member/upbit", "Evaluate", 1):
        raise AssertionError("not reached")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after < 61


@dataclass
class Tried:
    """A deployment to try ``serve --nodes 2`` with: its configuration, and where the nodes listen."""

    configuration: Path
    targets: tuple[str, str]

    def serve(self) -> deployment.Process:
        return deployment.Process("serve", self.configuration, "--nodes", "2")

    def change(self, old: str, new: str) -> None:
        self.configuration.write_text(self.configuration.read_text().replace(old, new))


@pytest.fixture
def tried(tmp_path: Path) -> Tried:
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    one, two = free_pair(PORTS_APART)
    made = Tried(folder / "registry/registry.toml", (f"127.0.0.1:{one}", f"127.0.0.1:{two}"))
    made.change(deployment.target_of(made.configuration), made.targets[0])
    return made


def test_serve_nodes_refuses_a_file(tried: Tried) -> None:
    """Before anything starts."""
    with tried.serve() as process:
        code, said = process.wait()
    assert (code, "database: a postgresql:// URL" in said) == (2, True)


def test_serve_nodes_ends_as_badly_as_the_worst_of_its_nodes(tried: Tried, postgres_url: str) -> None:
    """Every node refused at its start, a node killed while the other serves until it is told to end, and all as they should."""
    tried.change("data/registry.sqlite", "postgresql://postgres@/none?host=/nowhere")
    with tried.serve() as process:
        code, said = process.wait()
    assert (code, said.count("INVALID_CONFIGURATION: database: ")) == (2, 2)
    tried.change("postgresql://postgres@/none?host=/nowhere", postgres_url)
    for killed, worst in ((True, 128 + signal.SIGKILL), (False, 0)):
        with tried.serve() as process:
            [node] = re.findall(r"^node (\d+): registry listening on 127\.0\.0\.1:", process.ready)
            if killed:
                os.kill(int(node), signal.SIGKILL)
            assert process.stop()[0] == worst


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are counted in /proc")
def test_nodes_end_with_the_process_that_started_them(tried: Tried, postgres_url: str) -> None:
    """It is killed, and tells them nothing: each finds out by itself."""
    tried.change("data/registry.sqlite", postgres_url)
    with tried.serve():
        assert len(deployment.left_behind(tried.configuration)) == 3
    deployment.wait_for(lambda: deployment.left_behind(tried.configuration) == [])


def test_a_quota_that_is_spent_at_one_node_is_refused_at_the_other(tried: Tried, postgres_url: str) -> None:
    """Between two of ``serve --nodes``, as between hosts: within seconds, and with the time to wait."""
    least, part = LEAST_PER_MINUTE, 490
    tried.change("data/registry.sqlite", postgres_url)
    tried.configuration.write_text(f"{tried.configuration.read_text()}[limits]\nBatchGetVerdicts = {least}\n")
    home = tried.configuration.parent.parent / "members/upbit"

    def look_up(channel: grpc.Channel, keys: int) -> None:
        request = verdict_pb2.BatchGetVerdictsRequest(
            keys=[secrets.token_bytes(32) for _ in range(keys)], key_version=1
        )
        stub = verdict_pb2_grpc.VerdictServiceStub(channel)
        stub.BatchGetVerdicts(request, timeout=30, wait_for_ready=True)

    first, second = tried.targets
    with (
        tried.serve() as process,
        deployment.channel(home, first) as here,
        deployment.channel(home, second) as there,
        psycopg.connect(postgres_url, autocommit=True) as heard,
        contextlib.ExitStack() as at_last,
    ):
        at_last.callback(process.stop)  # and waits for its nodes
        look_up(there, 1)
        heard.execute(f"LISTEN {NOTICES}")
        look_up(here, least - 1)  # the other node may have told of its one by now, or not yet
        [_] = itertools.islice((one for one in heard.notifies(timeout=60) if f", {least - 1}]" in one.payload), 1)
        refused: list[deployment.Told] = []
        for _ in range(least // part):  # which alone would not be too much
            time.sleep(TELL_SECONDS)
            try:
                look_up(there, part)
            except grpc.RpcError as error:
                refused.append(deployment.told(error))
                break
    assert [(one.status, one.code) for one in refused] == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED")]
    assert refused[0].retry_after


def _database(configuration: Path) -> str:
    [line] = [line for line in configuration.read_text().splitlines() if line.startswith("database")]
    return line.partition('"')[2].rstrip('"')

"""Two nodes of a registry on one PostgreSQL, each a process of its own, over real gRPC and mutual TLS."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

import deployment
import life
from daxa_client import RegistryClient, Verdict
from daxa_core.errors import DaxaError, Unavailable
from daxa_registry.bootstrap import evaluator_server, open_store
from daxa_registry.config import read_evaluator
from daxa_registry.service.limits import Limits
from daxa_registry.store.postgres_schema import MIGRATIONS

WAIT_SECONDS = 30


@dataclass
class Nodes:
    """The deployment and its nodes, by the address of each."""

    folder: Path
    running: dict[str, deployment.Process]

    @property
    def configuration(self) -> Path:
        return self.folder / "registry/registry.toml"

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
        running = {}
        for port in deployment.free_ports(2):
            address = f"127.0.0.1:{port}"
            running[address] = stack.enter_context(deployment.Process("serve", configuration, "--listen", address))
            assert running[address].ready == f"registry listening on {address}"
        yield Nodes(folder, running)


def ring(member: str) -> list[life.RawSighting]:
    """One operator's server behind four people's keys at that member."""
    hour = int(time.time()) // life.HOUR
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    return [
        life.RawSighting(
            f"{member}-{i}",
            "211.234.10.7",
            hour - h,
            device=life.STACK,
            account=f"{i}",
            holder=f"{member} {i}".encode(),
        )
        for i in range(4)
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


def test_serve_nodes_serves_so_many_and_refuses_a_file(tmp_path: Path, postgres_url: str) -> None:
    """Each node says where it listens; with SQLite it is refused before anything starts."""
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    with deployment.Process("serve", configuration, "--nodes", "2") as process:
        code, said = process.wait()
    assert (code, "database: a postgresql:// URL" in said) == (2, True)
    configuration.write_text(
        configuration.read_text().replace('database = "data/registry.sqlite"', f'database = "{postgres_url}"')
    )
    with deployment.Process("serve", configuration, "--nodes", "2") as process:
        assert "registry listening on 127.0.0.1:" in process.ready
        assert process.stop()[0] == 0


def _database(configuration: Path) -> str:
    [line] = [line for line in configuration.read_text().splitlines() if line.startswith("database")]
    return line.partition('"')[2].rstrip('"')

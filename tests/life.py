"""A registry whose clock tests move, with evaluators and members' clients around it, over real gRPC and mutual TLS.

with life.world(tmp_path, members=("upbit", "bithumb")) as world:
    world.client("upbit").submit(life.ring("upbit"))
    world.pass_hours(24)
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import deployment
from daxa_client import Device, RawSighting, RegistryClient, Verdict
from daxa_registry.bootstrap import evaluator_server, registry_server
from daxa_registry.config import read_evaluator, read_registry

STACK = Device("ccxt/4.4.98 (python)", "t13d1516h2_8daaf6152771_02713d6af862")
HOUR = 3_600


@dataclass
class World:
    """A running deployment; ``ahead`` is by how many seconds the registry's clock is ahead of this machine's."""

    folder: Path
    ahead: float = 0.0
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    clients: dict[str, RegistryClient] = field(default_factory=dict)

    def now(self) -> float:
        return time.time() + self.ahead

    def hour(self) -> int:
        return int(self.now()) // HOUR

    def pass_hours(self, hours: float) -> None:
        """Time passes at the registry alone; the sweep sees it within a moment."""
        self.ahead += hours * HOUR

    def client(self, member: str) -> RegistryClient:
        if member not in self.clients:
            made = RegistryClient.from_file(self.folder / "members" / member / "client.toml")
            self.clients[member] = self.stack.enter_context(made)
        return self.clients[member]

    def changes(self, member: str, after: int, number: int) -> list[Verdict]:
        """The next changes of a member's verdicts, waiting for as many."""
        watch = self.client(member).watch(after)
        return [next(watch) for _ in range(number)]

    def operator(self) -> Path:
        return self.folder / "operators/daxa/operator.toml"

    def ring(self, member: str, address: str = "211.234.10.7", keys: int = 4, name: str = "key") -> list[RawSighting]:
        """One operator's server behind that many people's keys, all of them in the same irregular hours."""
        hours = [h for h in range(96) if h * 7 % 5 < 2]
        return [
            RawSighting(
                f"{member}-{name}-{i}",
                address,
                self.hour() - h,
                device=STACK,
                account=f"{name} {i}",
                holder=f"{member} {name} {i}".encode(),
            )
            for i in range(keys)
            for h in hours
        ]


@contextlib.contextmanager
def world(
    folder: Path,
    members: Sequence[str] = ("upbit", "bithumb"),
    policy: str = deployment.PLAIN,
    sweep_seconds: float = 0.05,
) -> Iterator[World]:
    """A deployment with one evaluator, and a sweep that is always there, unless told otherwise."""
    made = World(deployment.deploy(folder / "deployment", members, threshold=1, evaluators=1))
    for file in made.folder.glob("members/*/client.toml"):  # on a busy machine nobody is late
        file.write_text("deadline_seconds = 60\n" + file.read_text())
    deployment.decide_by(made.folder, policy)
    configuration = made.folder / "registry/registry.toml"
    configuration.write_text(f"sweep_seconds = {sweep_seconds}\n" + configuration.read_text())
    with (
        deployment.in_process(
            lambda: evaluator_server(read_evaluator(made.folder / "evaluators/1/evaluator.toml")),
            lambda: registry_server(read_registry(configuration), made.now),
        ),
        made.stack,
    ):
        yield made

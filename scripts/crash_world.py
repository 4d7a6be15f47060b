"""A registry that is killed, cut off, starved and confused while members use it; see ``scripts/crash``."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import crash_check
import deployment
import postgres
from crash_load import Gateway, Member
from daxa_registry.keys.signing import read_verification_keys

MEMBERS, GATEWAY = ("upbit", "bithumb"), "coinone"
EVALUATORS = 3
SCRIPTS = Path(__file__).parent
DURABLE = ("synchronous_commit=on", "wal_retrieve_retry_interval=200ms")


class Process:
    """A process of ours that says a line when it is ready, and can be killed and started again."""

    def __init__(self, *arguments: str | Path) -> None:
        self._arguments = [sys.executable, *map(str, arguments)]
        self.start()

    def start(self) -> None:
        """Starts it; waits until it is ready, and starts it again where it ended instead."""
        for _ in range(60):
            self._process = subprocess.Popen(
                self._arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
            assert self._process.stdout is not None
            if self._process.stdout.readline():
                return
            self.kill()
            time.sleep(0.5)
        raise RuntimeError("a process does not come up")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class World:
    """One deployment: its nodes behind a proxy each, its database, its members."""

    def __init__(self, stack: contextlib.ExitStack, store: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daxa-crash-")))
        folder = deployment.deploy(scratch / "deployment", (*MEMBERS, GATEWAY), threshold=2, evaluators=EVALUATORS)
        deployment.without_grace(folder)
        configuration = folder / "registry/registry.toml"
        self.server: postgres.PostgresServer | None = None
        self.standby: postgres.PostgresServer | None = None
        self.database = str(folder / "registry/data/registry.sqlite")
        if store == "postgres":
            self.server = postgres.PostgresServer.start(scratch / "postgres", DURABLE)
            stack.callback(self.server.remove)
            self.standby = self.server.make_standby(scratch / "standby")
            stack.callback(self.standby.remove)
            # The URL names both servers: whoever connects finds the one that can be written to.
            both = f"{self.server.socket},{self.standby.socket}"
            self.database = (
                f"{self.server.create_database().partition('?')[0]}?host={both}&target_session_attrs=read-write"
            )
            text = configuration.read_text().replace('"data/registry.sqlite"', f'"{self.database}"')
            configuration.write_text(text)
        self._control, self._network = scratch / "control.json", scratch / "network.json"
        self._said = {"clock": 0.0, "file_bytes": 0}
        self._weather = {"delay": 0.0, "cut": 0}
        self._tell()
        self.nodes: list[Process] = []
        targets = []
        for _ in range(2 if store == "postgres" else 1):
            own, seen = (f"127.0.0.1:{port}" for port in deployment.free_ports(2))
            self.nodes.append(Process(SCRIPTS / "crash_node.py", configuration, own, self._control))
            stack.callback(self.nodes[-1].kill)
            proxy = Process(SCRIPTS / "crash_proxy.py", seen, own, self._network)
            stack.callback(proxy.kill)
            targets.append(seen)
        program = "from daxa_registry.cli import main; main()"
        self.evaluators = [
            Process("-c", program, "evaluator", folder / f"evaluators/{number}/evaluator.toml")
            for number in range(1, EVALUATORS + 1)
        ]
        for evaluator in self.evaluators:
            stack.callback(evaluator.kill)
        self.gateway = Gateway(folder / "members" / GATEWAY, GATEWAY, targets)
        keys = read_verification_keys(folder / "registry/verification.json")
        self.members = [
            Member(folder / "members" / name, name, targets, keys, seed + number) for number, name in enumerate(MEMBERS)
        ]

    def _tell(self) -> None:
        for path, said in ((self._control, self._said), (self._network, self._weather)):
            beside = path.with_suffix(".new")
            beside.write_text(json.dumps(said))
            beside.replace(path)

    # what is done to it

    def kill(self) -> None:
        """A node dies, and is started again."""
        node = self.random.choice(self.nodes)
        node.kill()
        node.start()

    def fill_disk(self) -> None:
        """No file may grow past what it has; for a while every write of more fails."""
        data = Path(self.database).parent
        self._said["file_bytes"] = max(path.stat().st_size for path in data.iterdir())
        self._tell()
        time.sleep(1.0 + self.random.random())
        self._said["file_bytes"] = 0
        self._tell()

    def step_clock(self) -> None:
        """The nodes' clock jumps, forwards or back."""
        self._said["clock"] = self.random.choice((-4_000.0, -60.0, 0.0, 30.0, 4_000.0))
        self._tell()

    def cut_network(self) -> None:
        """Every connection ends in the middle of whatever it carries."""
        self._weather["cut"] += 1
        self._tell()

    def slow_network(self) -> None:
        """Every chunk waits; then it goes on."""
        self._weather["delay"] = 0.05 + self.random.random() * 0.2
        self._tell()
        time.sleep(2.0)
        self._weather["delay"] = 0.0
        self._tell()

    def flap_evaluators(self) -> None:
        """One more evaluator is gone than can be spared, for a moment."""
        gone = self.random.sample(self.evaluators, 2)
        for evaluator in gone:
            evaluator.kill()
        for evaluator in gone:
            evaluator.start()

    def fail_over(self) -> None:
        """The database server is lost, and its standby takes over."""
        assert self.server is not None
        assert self.standby is not None
        self.server.kill()
        self.standby.promote()
        self.server, self.standby = self.standby, None

    def restart_postgres(self) -> None:
        """The database server dies without a goodbye, and recovers."""
        assert self.server is not None
        self.server.kill()
        time.sleep(self.random.random())
        self.server.restart()

    def _settle(self) -> None:
        """Ends the nodes at a moment at which everything that was decided was watched, if there is such a moment."""
        for _ in range(20):
            for member in self.members:
                member.watch_until(crash_check.head(self.database, member.name))
            for node in self.nodes:
                node.kill()
            if all(member.cursor() == crash_check.head(self.database, member.name) for member in self.members):
                return
            for node in self.nodes:
                node.start()

    def run(self, kills: int, others: int, say: Callable[[str], None]) -> crash_check.Found:
        """So many kills, and so many of each other thing, in random order under load; then the check."""
        plan: list[Callable[[], None]] = [self.kill] * kills
        for what in (self.step_clock, self.cut_network, self.slow_network, self.flap_evaluators):
            plan += [what] * others
        plan += [self.restart_postgres if self.server is not None else self.fill_disk] * others
        self.random.shuffle(plan)
        if self.standby is not None:
            plan.insert(len(plan) * 3 // 4, self.fail_over)
        self.gateway.start()
        for member in self.members:
            member.start()
        for number, what in enumerate(plan, 1):
            time.sleep(0.2 + self.random.random() * 0.8)
            what()
            self.done[what.__name__] += 1
            if number % 20 == 0:
                say(
                    f"{number} of {len(plan)} done, {sum(member.batches for member in self.members)} batches acknowledged"
                )
        self._said["clock"] = 0.0
        self._tell()
        for member in self.members:
            member.submit_no_more()
        self.gateway.stop()
        self._settle()
        for member in self.members:
            member.stop()
        return crash_check.check(self.database, self.members, self.gateway)

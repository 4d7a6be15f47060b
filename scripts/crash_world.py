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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg

import crash_check
import deployment
import postgres
from crash_load import Gateway, Member
from daxa_registry.keys.signing import read_verification_keys

MEMBERS, GATEWAY = ("upbit", "bithumb"), "coinone"
EVALUATORS = 3
SCRIPTS = Path(__file__).parent
DURABLE = ("synchronous_commit=on", "wal_retrieve_retry_interval=200ms")
KILLS_TO_A_CHECK = 10
ANSWERED_SECONDS = 120.0
FAULT_SECONDS = 120.0
"""How long a fault may need until it is felt."""
WRITTEN = ("presence", "verdict", "leaf", "batch")
"""Tables that a transaction of intake writes, in its order."""
FULL = (
    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RAISE EXCEPTION ''no room'' USING ERRCODE=''disk_full''; END'"
)


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


class Network:
    """Links through a process of their own, all in the same weather."""

    def __init__(self, stack: contextlib.ExitStack, control: Path, links: Sequence[tuple[str, str]]) -> None:
        """``links``: where each listens, and where it leads."""
        self._control, self._weather = control, {"delay": 0.0, "cut": 0}
        tell(control, self._weather)
        process = Process(SCRIPTS / "crash_proxy.py", control, *("=".join(link) for link in links))
        stack.callback(process.kill)

    def cut(self) -> None:
        """Every connection ends in the middle of whatever it carries."""
        self._weather["cut"] += 1
        tell(self._control, self._weather)

    def slow(self, delay: float, seconds: float) -> None:
        """Every chunk waits so long; then it goes on."""
        self._weather["delay"] = delay
        tell(self._control, self._weather)
        time.sleep(seconds)
        self._weather["delay"] = 0.0
        tell(self._control, self._weather)


def tell(control: Path, said: object) -> None:
    """Writes a control file, whole."""
    beside = control.with_suffix(".new")
    beside.write_text(json.dumps(said))
    beside.replace(control)


class World:
    """One deployment: its nodes, its database, its evaluators, its members, and the networks between them."""

    def __init__(self, stack: contextlib.ExitStack, store: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.checks = 0
        self._stack = stack
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daxa-crash-")))
        folder = deployment.deploy(scratch / "deployment", (*MEMBERS, GATEWAY), threshold=2, evaluators=EVALUATORS)
        deployment.without_grace(folder)
        configuration = folder / "registry/registry.toml"
        self.server: postgres.PostgresServer | None = None
        self.standby: postgres.PostgresServer | None = None
        self.between: Network | None = None
        """The network between nodes and PostgreSQL."""
        self.database = str(folder / "registry/data/registry.sqlite")
        if store == "postgres":
            text = configuration.read_text()
            configuration.write_text(text.replace("data/registry.sqlite", self._start_postgres(scratch)))
        self._control = scratch / "control.json"
        self._said = {"clock": 0.0, "file_bytes": 0}
        tell(self._control, self._said)
        nodes, evaluators = (2 if store == "postgres" else 1), range(1, EVALUATORS + 1)
        ports = deployment.free_ports(2 * nodes + EVALUATORS)
        own, targets, theirs = (
            [f"127.0.0.1:{ports.pop()}" for _ in some] for some in (range(nodes), range(nodes), evaluators)
        )
        files = [folder / f"evaluators/{number}/evaluator.toml" for number in evaluators]
        # Members know an evaluator by where it was to listen: there the network does.
        known = [deployment.target_of(file) for file in files]
        for file, before, after in zip(files, known, theirs, strict=True):
            file.write_text(file.read_text().replace(before, after))
        self.network = Network(
            stack, scratch / "network.json", [*zip(targets, own, strict=True), *zip(known, theirs, strict=True)]
        )
        self.nodes = [self._start(SCRIPTS / "crash_node.py", configuration, listen, self._control) for listen in own]
        program = "from daxa_registry.cli import main; main()"
        self.evaluators = [self._start("-c", program, "evaluator", file) for file in files]
        self.gateway = Gateway(folder / "members" / GATEWAY, GATEWAY, targets)
        keys = read_verification_keys(folder / "registry/verification.json")
        self.members = [
            Member(folder / "members" / name, name, targets, keys, seed + number) for number, name in enumerate(MEMBERS)
        ]

    def _start(self, *arguments: str | Path) -> Process:
        process = Process(*arguments)
        self._stack.callback(process.kill)
        return process

    def _start_postgres(self, scratch: Path) -> str:
        """A server, its standby, and the network to them; the URL by which nodes reach whichever can be written to."""
        self.server = postgres.PostgresServer.start(scratch / "postgres", DURABLE)
        self._stack.callback(self.server.remove)
        self.standby = self.server.make_standby(scratch / "standby")
        self._stack.callback(self.standby.remove)
        servers = (self.server, self.standby)
        ports = deployment.free_ports(len(servers))
        links = [
            (f"127.0.0.1:{port}", str(server.socket / ".s.PGSQL.5432"))
            for port, server in zip(ports, servers, strict=True)
        ]
        self.between = Network(self._stack, scratch / "between.json", links)
        own = self.server.create_database().partition("?")[0]
        both = ",".join(str(server.socket) for server in servers)
        self.database = f"{own}?host={both}&target_session_attrs=read-write"
        hosts = ",".join(here for here, _ in links)
        return f"{own.replace('@/', f'@{hosts}/')}?target_session_attrs=read-write"

    # what is done to it

    def kill(self) -> None:
        """A node dies, and is started again."""
        node = self.random.choice(self.nodes)
        node.kill()
        node.start()

    def step_clock(self) -> None:
        """The nodes' clock jumps, forwards or back."""
        self._said["clock"] = self.random.choice((-4_000.0, -60.0, 0.0, 30.0, 4_000.0))
        tell(self._control, self._said)

    def cut_network(self) -> None:
        """Members lose their connections to nodes and evaluators."""
        self.network.cut()

    def slow_network(self) -> None:
        """Between members, nodes and evaluators everything takes long."""
        self.network.slow(0.05 + self.random.random() * 0.2, seconds=2.0)

    def flap_evaluators(self) -> None:
        """One more evaluator is gone than can be spared, for a moment."""
        gone = self.random.sample(self.evaluators, 2)
        for evaluator in gone:
            evaluator.kill()
        for evaluator in gone:
            evaluator.start()

    def fill_disk(self) -> None:
        """There is room for nothing more, until somebody is refused for it."""
        if self.server is not None:
            table = self.random.choice(WRITTEN)
            with psycopg.connect(self.database, autocommit=True) as administrator:
                administrator.execute(FULL)
                with self._felt():
                    administrator.execute(
                        f"CREATE TRIGGER no_room BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION no_room()"
                    )
                administrator.execute("DROP FUNCTION no_room CASCADE")
            return
        self._said["file_bytes"] = max(Path(f"{self.database}-wal").stat().st_size, 1)
        with self._felt():
            tell(self._control, self._said)
        self._said["file_bytes"] = 0
        tell(self._control, self._said)

    @contextlib.contextmanager
    def _felt(self) -> Iterator[None]:
        """Waits after the block until a submission was refused because the database could not be written to."""
        before, deadline = self._unwritten(), time.monotonic() + FAULT_SECONDS
        yield
        while self._unwritten() == before:
            if time.monotonic() > deadline:
                raise AssertionError("nobody felt it")
            time.sleep(0.05)

    def _unwritten(self) -> int:
        return sum(member.unwritten for member in self.members)

    # what is done to PostgreSQL alone

    def cut_database(self) -> None:
        """Nodes lose their connections to the database, in the middle of their transactions."""
        assert self.between is not None
        with self._felt():
            for _ in range(20):
                self.between.cut()
                time.sleep(0.1)

    def slow_database(self) -> None:
        """Between nodes and the database everything takes long."""
        assert self.between is not None
        self.between.slow(0.005 + self.random.random() * 0.03, seconds=2.0)

    def fill_log_disk(self) -> None:
        """The disk of the database server's own log is full: it gives up, and recovers."""
        assert self.server is not None
        with self._felt():
            self.server.give_up_at_the_next_write()
        self._until_it_answers()

    def restart_postgres(self) -> None:
        """The database server dies without a goodbye, and recovers."""
        assert self.server is not None
        with self._felt():
            self.server.kill()
        self.server.restart()

    def fail_over(self) -> None:
        """The database server is lost, and its standby takes over."""
        assert self.server is not None
        assert self.standby is not None
        self.server.kill()
        self.standby.promote()
        self.server, self.standby = self.standby, None

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + FAULT_SECONDS
        while True:
            try:
                psycopg.connect(self.database).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    # and what is left

    def check(self) -> crash_check.Found:
        """Holds the database against what was acknowledged, while nobody submits."""
        self.checks += 1
        with contextlib.ExitStack() as held:
            for who in (*self.members, self.gateway):
                if not who.turn.acquire(timeout=ANSWERED_SECONDS):
                    return crash_check.Found(problems=[f"{who.name}: a batch was not answered to the end"])
                held.callback(who.turn.release)
            return crash_check.check(self.database, self.members, self.gateway)

    def plan(self, kills: int, others: int) -> list[Callable[[], None]]:
        """So many kills, and so many of each other thing, in random order; one failing over where there is a standby."""
        plan: list[Callable[[], None]] = [self.kill] * kills
        kinds = [self.step_clock, self.cut_network, self.slow_network, self.flap_evaluators, self.fill_disk]
        if self.server is not None:
            kinds += [self.cut_database, self.slow_database, self.fill_log_disk, self.restart_postgres]
        plan += kinds * others
        self.random.shuffle(plan)
        if self.standby is not None:
            plan.insert(len(plan) * 3 // 4, self.fail_over)
        return plan

    def run(self, plan: Sequence[Callable[[], None]], say: Callable[[str], None]) -> crash_check.Found:
        """Does all of that under load, and checks after each thing, and after every tenth kill: what the last check found, or the
        first that found something."""
        self.gateway.start()
        for member in self.members:
            member.start()
        for number, what in enumerate(plan, 1):
            time.sleep(0.2 + self.random.random() * 0.8)
            what()
            name = what.__name__
            self.done[name] += 1
            if name != "kill" or self.done[name] % KILLS_TO_A_CHECK == 1 or number == len(plan):
                found = self.check()
                if not found.fits():
                    found.problems.append(f"found after {name}, {number} of {len(plan)}")
                    break
            if number % 20 == 0:
                batches = sum(member.batches for member in self.members)
                say(f"{number} of {len(plan)} done, {batches} batches acknowledged")
        for who in (*self.members, self.gateway):
            who.stop()
        return found

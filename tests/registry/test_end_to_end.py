"""The whole path with real processes over mutual TLS, killed and started again."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import deployment
from daxa_client import Device, Gateway, InvalidInput, Level, RawSighting, RegistryClient

HOUR = int(time.time()) // 3_600
STACK = Device("ccxt/4.4.98 (python)", "t13d1516h2_8daaf6152771_02713d6af862")


def ring(exchange: str, address: str = "211.234.10.7", keys: int = 8) -> list[RawSighting]:
    """One operator's server behind that many people's keys, all of them in the same irregular hours."""
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    return [
        RawSighting(
            f"{exchange}-key-{i}",
            address,
            HOUR - h,
            device=STACK,
            account=f"{i}",
            holder=f"{exchange} holder {i}".encode(),
        )
        for i in range(keys)
        for h in hours
    ]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, list[deployment.Process]]]:
    """Three evaluators and a registry as processes."""
    folder = deployment.deploy(tmp_path / "deployment")
    deployment.without_grace(folder)
    processes: list[deployment.Process] = []
    try:
        processes += [deployment.Process("evaluator", folder / f"evaluators/{i}/evaluator.toml") for i in (1, 2, 3)]
        processes.append(deployment.Process("serve", folder / "registry/registry.toml"))
        assert [p.ready.split(" listening")[0] for p in processes] == [
            "evaluator 1",
            "evaluator 2",
            "evaluator 3",
            "registry",
        ]
        yield folder, processes
    finally:
        for process in processes:
            process.__exit__()


ENDED = """
import os, signal, sys
from pathlib import Path
from daxa_registry.bootstrap import run_evaluator, run_registry
run = run_evaluator if "evaluator" in sys.argv[1] else run_registry
run(Path(sys.argv[1]), lambda line: os.kill(os.getpid(), signal.SIGTERM))
"""


@pytest.mark.parametrize("server", ["evaluators/1/evaluator.toml", "registry/registry.toml"])
def test_who_hears_that_a_server_listens_may_end_it_at_once(tmp_path: Path, server: str) -> None:
    """Told with the very line that says so, it ends as one that is told, and is not killed by it."""
    folder = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    ended = subprocess.run([sys.executable, "-c", ENDED, folder / server], timeout=deployment.WAIT_SECONDS, check=False)
    assert ended.returncode == 0


def client(folder: Path, member: str) -> RegistryClient:
    return RegistryClient.from_file(folder / "members" / member / "client.toml")


def test_a_ring_is_found_and_a_lone_customer_is_not(running: tuple[Path, list[deployment.Process]]) -> None:
    """Keys of many people driven from one server rise; a key that is alone stays CLEAR; each member hears of its own alone."""
    folder, _ = running
    with client(folder, "upbit") as upbit, client(folder, "bithumb") as bithumb:
        upbit.submit(ring("upbit", keys=4))
        bithumb.submit(ring("bithumb", keys=4))
        lone = [
            RawSighting("lone", "121.130.1.1", HOUR - h, device=STACK, account="9", holder=b"alone") for h in range(30)
        ]
        upbit.submit(lone)
        keys = [f"upbit-key-{i}" for i in range(4)]
        deployment.wait_for(lambda: all(v.level >= Level.WARN for v in upbit.verdicts(keys).values()))
        levels = upbit.verdicts([*keys, "lone", "never-seen"])
        assert levels["lone"].level is Level.CLEAR
        assert levels["never-seen"].level is Level.CLEAR
        assert all(levels[f"upbit-key-{i}"].level >= Level.WARN for i in range(4))
        assert bithumb.verdicts(["upbit-key-0"])["upbit-key-0"].level is Level.CLEAR


def test_what_was_answered_survives_a_kill_and_the_watch_goes_on(
    running: tuple[Path, list[deployment.Process]],
) -> None:
    """The registry is killed after it answered: the counts are there, the verdicts too, and a watcher resumes without a gap."""
    folder, processes = running
    with client(folder, "upbit") as upbit:
        taken = upbit.submit(ring("upbit"))
        assert taken.refusals == ()
        processes[3].kill()
        watch = upbit.watch(0)
        processes[3] = deployment.Process("serve", folder / "registry/registry.toml")
        first = [next(watch) for _ in range(4)]
        assert [verdict.sequence for verdict in first] == [1, 2, 3, 4]
        processes[3].kill()
        processes[3] = deployment.Process("serve", folder / "registry/registry.toml")
        assert next(watch).sequence == 5
    processes[3].kill()
    with sqlite3.connect(folder / "registry/data/registry.sqlite") as database:
        assert (taken.accepted,) == database.execute("SELECT sum(count) FROM presence").fetchone()


def test_a_gateways_table_is_what_the_registry_holds(running: tuple[Path, list[deployment.Process]]) -> None:
    """Observed in the gateway, decided in the registry, found by raw key in memory; the digests of both sides are the same."""
    folder, _ = running
    with Gateway.from_file(folder / "members/upbit/client.toml") as gateway, client(folder, "upbit") as upbit:
        for seen in ring("upbit"):
            gateway.observe(
                seen.key,
                seen.address,
                device=seen.device,
                account=seen.account,
                holder=seen.holder,
                when=seen.hour * 3_600.0,
            )
        assert gateway.drain(60)
        keys = [f"upbit-key-{i}" for i in range(4)]
        compared = False
        while not compared:  # until nothing has moved meanwhile: the ladder moves one step at a time
            deployment.wait_for(lambda: gateway._table.cursor and upbit.verdict_digest(0)[1] == gateway._table.cursor)
            theirs, head = upbit.verdict_digest(gateway._table.cursor)
            ours = gateway._table.digest(), {key: gateway.verdict(key) for key in keys}
            wanted = theirs, upbit.verdicts(keys)
            compared = upbit.verdict_digest(0)[1] == head == gateway._table.cursor
        assert ours == wanted
        with pytest.raises(InvalidInput, match="CURSOR_OUT_OF_RANGE: at_sequence: 0 to "):
            upbit.verdict_digest(head + 1_000)


def test_a_dead_evaluator_is_passed_over_and_named(running: tuple[Path, list[deployment.Process]]) -> None:
    """Any two of three are enough; with one of three left, nothing is submitted and all are told why."""
    folder, processes = running
    processes[0].kill()
    with client(folder, "upbit") as upbit:
        assert upbit.submit(ring("upbit", keys=1)).accepted > 0
        processes[1].kill()
        with pytest.raises(Exception, match="NOT_ENOUGH_EVALUATORS.*evaluator 1.*evaluator 2"):
            upbit.submit([RawSighting("another", "121.130.1.2", HOUR)])


def test_a_quota_is_not_forgiven_by_a_restart(tmp_path: Path) -> None:
    """An evaluator that is killed after it answered still knows what was spent."""
    folder = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    configuration = folder / "evaluators/1/evaluator.toml"
    configuration.write_text(configuration.read_text().replace("KEY = 1000000", "KEY = 3"))
    with deployment.Process("evaluator", configuration) as process, client(folder, "upbit") as upbit:
        keys = upbit._fingerprinter
        assert len(keys.fingerprints(1, [b"a", b"b"])) == 2
        process.kill()
    with deployment.Process("evaluator", configuration), client(folder, "upbit") as upbit:
        with pytest.raises(Exception, match="QUOTA_EXHAUSTED: blinded_elements: at most 1 more") as caught:
            upbit._fingerprinter.fingerprints(1, [b"c", b"d"])
        assert 0 < caught.value.retry_after <= 86_400
        assert len(upbit._fingerprinter.fingerprints(1, [b"c"])) == 1


def test_nothing_raw_reaches_the_registrys_files_or_logs(running: tuple[Path, list[deployment.Process]]) -> None:
    """Every identifier that went in is looked for, as text and in hex, in the databases and logs of everybody but the member."""
    folder, processes = running
    with client(folder, "upbit") as upbit:
        upbit.submit([*ring("upbit", keys=2), RawSighting("secret-key-material", "not an address", HOUR)])
    logs = "".join(process.stop()[1] for process in processes)
    stored = b"".join(
        path.read_bytes()
        for part in ("registry", "evaluators")
        for path in (folder / part).rglob("data/*")
        if path.is_file()
    )
    assert len(stored) > 10_000
    texts = (b"upbit-key-0", b"211.234.10.7", b"ccxt", b"upbit holder", b"secret-key-material", b"not an address")
    for raw in (*texts, bytes([211, 234, 10, 7]).hex().encode()):
        assert raw not in stored
        assert raw.hex().encode() not in stored
        assert raw.decode() not in logs

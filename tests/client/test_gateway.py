"""A gateway against real peers: what is observed arrives once, whatever stops, forks or goes away in between."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peers
import pytest

import deployment
from daxa_client import ClientConfig, ConfigurationError, Device, ErrorCode, Gateway, Manner, Refused, _sealed_file
from daxa_client._spool import Spool
from daxa_core.model import BATCH_ID_BYTES

WAIT = 60.0


@pytest.fixture
def config(
    configured: Callable[..., ClientConfig],
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
    tmp_path: Path,
) -> Callable[..., ClientConfig]:
    """A configuration with a state folder of the test's own that writes quickly."""

    def make(**changes: Any) -> ClientConfig:
        fast = {"state": tmp_path / "state", "flush_seconds": 0.05, "count_seconds": 0.1}
        return configured(**{"evaluators": evaluators[0], **fast, **changes})

    return make


@contextlib.contextmanager
def gateway_of(config: ClientConfig) -> Iterator[Gateway]:
    with Gateway(config) as gateway:
        yield gateway


def counted(registry: peers.Registry) -> Counter[tuple[bytes, int]]:
    """How often each key and manner was seen, each batch id once."""
    out: Counter[tuple[bytes, int]] = Counter()
    for batch in {batch.batch_id: batch for batch in registry.batches}.values():
        for sighting in batch.sightings:
            out[sighting.key, sighting.manner] += sighting.count
    return out


def test_what_is_observed_arrives(
    deployed: Path, config: Callable[..., ClientConfig], registry: peers.Registry
) -> None:
    """From client.toml's words to the registry's: keys, manners and counts, in few batches of 16-byte ids."""
    with peers.registry(deployed, registry) as target, gateway_of(config(targets=(target,))) as gateway:
        for turn in range(30):
            assert gateway.observe(f"key-{turn % 3}", "8.8.8.8", device=Device("curl"), account="7")
        assert gateway.observe("key-0", "8.8.4.4", manner=Manner.REJECTED)
        assert gateway.drain(WAIT)
        health = gateway.health()
    assert sorted(counted(registry).values()) == [1, 10, 10, 10]
    assert {len(batch.batch_id) for batch in registry.batches} == {BATCH_ID_BYTES}
    assert (health.ships, health.waiting, health.problem) == (True, 0, "")
    assert health.evaluators == {"evaluator 1": "ok", "evaluator 2": "ok", "evaluator 3": "ok"}
    assert health.sent == sum(len(batch.sightings) for batch in registry.batches)


def test_a_registry_that_was_away_gets_it_all_once(
    deployed: Path, config: Callable[..., ClientConfig], registry: peers.Registry
) -> None:
    """Observed while nobody listens and by a process that ended; an answer that is lost is asked for under the same id."""
    (port,) = deployment.free_ports(1)
    settings = config(targets=(f"127.0.0.1:{port}",))
    with gateway_of(settings) as gateway:
        for turn in range(50):
            gateway.observe(f"key-{turn}", "8.8.8.8")
    registry.submit_errors = ["lost", Refused(ErrorCode.OVERLOADED, "", "", retry_after=0.1), None]
    with gateway_of(settings) as gateway:
        gateway.observe("key-0", "8.8.8.8")
        with peers.registry(deployed, registry, port):
            assert gateway.drain(WAIT)
    assert sorted(counted(registry).values()) == [1] * 49 + [2]
    assert len(registry.batches) > len({batch.batch_id for batch in registry.batches})


def test_what_is_refused_is_counted_and_the_rest_taken(
    deployed: Path, config: Callable[..., ClientConfig], registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """An address that is none and a private one cost themselves alone; one line for the code, without the addresses."""
    with peers.registry(deployed, registry) as target, gateway_of(config(targets=(target,))) as gateway:
        for address in ("8.8.8.8", "no address", "10.0.0.1", "10.0.0.2"):
            assert gateway.observe("key", address)
        assert gateway.drain(WAIT)
        assert gateway.health().refused_by_registry == {"INVALID_ADDRESS": 3}
    assert sum(counted(registry).values()) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("3 sightings were refused: INVALID_ADDRESS: address: ")
    assert "10.0.0" not in caplog.text


def test_what_goes_on_being_wrong_is_one_line(
    deployed: Path, config: Callable[..., ClientConfig], registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """A key version that is not in force: everything waits, and the log has a line of it, not one for each attempt."""
    registry.submit_errors = [Refused(ErrorCode.STALE_KEY_VERSION, "key_version", "2") for _ in range(3)]
    with peers.registry(deployed, registry) as target, gateway_of(config(targets=(target,))) as gateway:
        gateway.observe("key", "8.8.8.8")
        deployment.wait_for(lambda: gateway.health().problem == "STALE_KEY_VERSION: key_version: 2")
        assert gateway.health().waiting == 1
        deployment.wait_for(lambda: not registry.submit_errors)
        assert gateway.drain(WAIT)
    assert caplog.messages == ["sightings wait in the spool: STALE_KEY_VERSION: key_version: 2"]


KILLED = """
import os, signal, sys, time
from daxa_client import Gateway
gateway = Gateway.from_file(sys.argv[1])
note, noted = gateway._spool.note, 0

def flushing(process, changes, anew):
    global noted
    note(process, changes, anew)
    noted = (0 if anew else noted) + sum(change.times for change in changes)

gateway._spool.note = flushing
for turn in range(20):
    gateway.observe(f"key-{turn}", "8.8.8.8")
while gateway.health().waiting < 20:
    time.sleep(0.01)
for turn in range(100):
    gateway.observe(f"key-{turn % 20}", "8.8.8.8")
while noted < 100:
    time.sleep(0.01)
for turn in range(20):
    gateway.observe(f"key-{turn}", "8.8.8.8")
while noted < 120:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_more_than_the_last_flush(
    deployed: Path,
    tmp_path: Path,
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
    registry: peers.Registry,
) -> None:
    """SIGKILL after the flush interval: the next process sends what the dead one saw, and how often, long before it would have
    been added up."""
    folder = shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")
    (port,) = deployment.free_ports(1)
    path = peers.point(folder, f"127.0.0.1:{port}", evaluators[0])
    with open(path, "a") as file:
        file.write("\n[gateway]\nflush_seconds = 0.5\ncount_seconds = 3600\n")
    ended = subprocess.run([sys.executable, "-c", KILLED, path], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    with peers.registry(deployed, registry, port), Gateway.from_file(path) as gateway:
        assert gateway.drain(WAIT)
    assert sorted(counted(registry).values()) == [7] * 20


PREFORK = """
import os, sys, time
from daxa_client import Gateway
gateway = Gateway.from_file(sys.argv[1])
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        for turn in range(100):
            assert gateway.observe(f"key-{number}", "8.8.8.8")
        gateway.close()
        os._exit(0)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
gateway.observe("key-parent", "8.8.8.8")
child = os.fork()
if child == 0:  # after the parent has begun to ship
    gateway.observe("key-late", "8.8.8.8")
    gateway.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert gateway.drain(60)
"""


def test_workers_forked_before_and_after_the_first_call(
    deployed: Path,
    tmp_path: Path,
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
    registry: peers.Registry,
) -> None:
    """As an application server that preloads does it: each call counts once, and the interpreter ends."""
    folder = shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")
    with peers.registry(deployed, registry) as target:
        path = peers.point(folder, target, evaluators[0])
        ended = subprocess.run(
            [sys.executable, "-c", PREFORK, path], capture_output=True, text=True, timeout=300, check=False
        )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert sorted(counted(registry).values()) == [1, 1, 100, 100, 100, 100], ended.stderr


HELD = """
import os, sys, time, faulthandler
faulthandler.enable()
from daxa_client import Gateway
gateway = Gateway.from_file(sys.argv[1])
gateway.observe("key-parent", "8.8.8.8")
observe = gateway.observe
gateway.flush()
child = os.fork()
if child == 0:
    seen, end = observe("key-child", "8.8.8.8"), time.monotonic() + 60
    while gateway.health().waiting < 2 and time.monotonic() < end:
        time.sleep(0.02)
    os._exit(not (seen and gateway.health().waiting == 2))  # without close(), which would write what waits in memory
status = os.waitpid(child, 0)[1]
assert status == 0, f"what the child saw did not come to the disk: {status}"
"""


def test_what_held_the_method_before_a_fork_is_heard_after_it(deployed: Path, tmp_path: Path) -> None:
    """A child that calls an ``observe`` bound before the fork, which is where the parent had begun, writes by itself."""
    folder = shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")
    path = peers.point(folder, "127.0.0.1:9", {1: "127.0.0.1:9", 2: "127.0.0.1:9", 3: "127.0.0.1:9"})
    ended = subprocess.run([sys.executable, "-c", HELD, path], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr


def test_one_process_ships_and_another_takes_over(
    deployed: Path, config: Callable[..., ClientConfig], registry: peers.Registry
) -> None:
    """Two gateways on one folder: what the second saw is sent by the first, and by itself when the first is gone."""
    with peers.registry(deployed, registry) as target:
        settings = config(targets=(target,))
        first = Gateway(settings)
        first.observe("one", "8.8.8.8")
        deployment.wait_for(lambda: first.health().ships)
        with gateway_of(settings) as second:
            second.observe("two", "8.8.8.8")
            assert second.drain(WAIT)
            assert not second.health().ships
            first.close()
            second.observe("three", "8.8.8.8")
            assert second.drain(WAIT)
            assert second.health().ships
    assert sorted(counted(registry).values()) == [1, 1, 1]


def test_a_disk_that_fails_keeps_it_in_memory(
    deployed: Path, config: Callable[..., ClientConfig], registry: peers.Registry, tmp_path: Path
) -> None:
    """A state folder that cannot be made: observe() goes on, and when the folder can be made all of it is sent."""
    (tmp_path / "state").write_text("in the way")
    with peers.registry(deployed, registry) as target, gateway_of(config(targets=(target,))) as gateway:
        for _ in range(5):
            assert gateway.observe("key", "8.8.8.8")
        time.sleep(0.2)
        (tmp_path / "state").unlink()
        deployment.wait_for(lambda: (tmp_path / "state/spool.sqlite").exists())
        assert gateway.drain(WAIT)
    assert list(counted(registry).values()) == [5]


def test_what_another_process_keeps_from_the_disk_is_there_when_it_lets_go(
    config: Callable[..., ClientConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk its turn may come late: closing is the last chance and waits for it, draining asks again."""
    monkeypatch.setattr(_sealed_file, "_LOCKED_SECONDS", 0.01)
    made = config(flush_seconds=600.0)
    for turn, end in enumerate((Gateway.close, lambda gateway: gateway.drain(WAIT))):
        with gateway_of(made) as gateway:
            assert gateway.observe(f"first-{turn}", "8.8.8.8")
            gateway.flush()
            assert gateway.observe(f"last-{turn}", "8.8.8.8")
            with contextlib.closing(sqlite3.connect(made.state / "spool.sqlite", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                ending = threading.Thread(target=end, args=(gateway,))
                ending.start()
                ending.join(1.0)
                assert ending.is_alive()
            if end is not Gateway.close:
                deployment.wait_for(lambda: gateway.health().waiting == 4)
        ending.join(WAIT)
        with contextlib.closing(Spool(made.state / "spool.sqlite", made.account_secret)) as spool:
            assert spool.state().waiting == 2 * (turn + 1)


def test_after_close_nothing_is_taken_any_more(config: Callable[..., ClientConfig]) -> None:
    """observe() says so, also where it was held before; closing twice is closing once, what was seen before is in the spool."""
    gateway = Gateway(settings := config(targets=("127.0.0.1:9",)))
    assert gateway.observe("key", "8.8.8.8")
    held = gateway.observe
    gateway.close()
    gateway.close()
    assert gateway.observe("key", "8.8.8.8") is False
    assert held("key", "8.8.8.8") is False
    assert Spool(settings.state / "spool.sqlite", settings.account_secret).state().waiting == 1  # type: ignore[operator]


def test_a_gateway_needs_a_state_folder(configured: Callable[..., ClientConfig]) -> None:
    """Without one a crash would lose what was seen; the refusal names the key."""
    with pytest.raises(ConfigurationError) as refused:
        Gateway(configured(state=None))
    assert refused.value.field == "gateway.state"

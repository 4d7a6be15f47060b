"""Deployments for tests: folders made by ``init`` on free ports, servers in process or as processes of their own.

folder = deploy(tmp_path / "deployment", ["upbit"], threshold=1, evaluators=1)
configuration = folder / "evaluators/1/evaluator.toml"
with Process("evaluator", configuration) as process, channel(folder / "members/upbit", configuration) as open_channel:
    ...
    process.kill()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from daxa_registry.deployment import Plan, make_deployment
from free_ports import free_ports

WAIT_SECONDS = 60
PLAIN = (Path(__file__).parent / "policies/plain.toml").read_text("utf-8")
"""A policy set by hand: what these tests are about must not move when the weights are fitted anew."""


def deploy(
    folder: Path, members: Sequence[str] = ("upbit", "bithumb"), threshold: int = 2, evaluators: int = 3
) -> Path:
    """A deployment on free loopback ports; answers its folder."""
    make_deployment(folder, Plan(members, threshold, evaluators, ports=free_ports(evaluators + 1)))
    decide_by(folder, PLAIN)
    return folder


def decide_by(folder: Path, policy: str) -> None:
    """Gives the registry a policy of its own."""
    (folder / "registry/policy.toml").write_text(policy)
    configuration = folder / "registry/registry.toml"
    text = configuration.read_text()
    if 'policy = "policy.toml"' not in text:
        configuration.write_text('policy = "policy.toml"\n' + text)


def without_grace(folder: Path) -> None:
    """Gives the registry a policy whose every step of the ladder may be taken at once, and a sweep that is always there."""
    text = re.sub(r"(?m)^((?:warn|reauthenticate|revoke)_hours) *= *\d+", r"\1 = 0", PLAIN)
    decide_by(folder, text.replace('version = "', 'version = "hurried-', 1))
    configuration = folder / "registry/registry.toml"
    configuration.write_text("sweep_seconds = 0.05\n" + configuration.read_text())


_COMMAND = """
import os, threading
threading.Thread(target=lambda: os.read(0, 1) or os._exit(1), daemon=True).start()  # its end is the test's end
from daxa_registry.cli import main
main()
"""


class Process:
    """A ``daxa-registry`` command that runs until it is stopped or killed, or whoever started it is."""

    def __init__(self, *arguments: str | Path) -> None:
        """Starts it and waits for its line that says it listens; ``ready`` is empty where it ended instead."""
        # A file, because a pipe that nobody reads would one day stop the process that writes to it.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed where the process ends
        self._ended: tuple[int, str] | None = None
        theirs, self._lifeline = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *map(str, arguments)],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        os.close(theirs)
        assert self._process.stdout is not None
        self.ready = self._process.stdout.readline().strip()
        self.pid = self._process.pid

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or told."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """SIGTERM, or another signal: its exit code and what it wrote on standard error."""
        return self._end(number)

    def wait(self) -> tuple[int, str]:
        """For a process that ends by itself: its exit code and what it wrote on standard error."""
        return self._end(None)

    def _end(self, number: signal.Signals | None) -> tuple[int, str]:
        if self._ended is None:
            if number is not None:
                self._process.send_signal(number)
            self._process.communicate(timeout=WAIT_SECONDS)
            os.close(self._lifeline)
            self._log.seek(0)
            self._ended = (self._process.returncode, self._log.read())
            self._log.close()
        return self._ended

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def left_behind(folder: Path) -> list[str]:
    """The commands of the processes that work in that folder, as /proc has them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in command:
                found.append(command)
    return found


def wait_for(
    happened: Callable[[], object], seconds: float = WAIT_SECONDS, told: Callable[[], object] = lambda: ""
) -> None:
    """Until it is so; fails where that does not come, with what is ``told``."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not come: {told()}"
        time.sleep(0.02)


def target_of(configuration: Path) -> str:
    """Where the server of an evaluator.toml or registry.toml listens."""
    listen = tomllib.loads(configuration.read_text("utf-8"))["listen"]
    assert isinstance(listen, str)
    return listen


def channel(
    peer: Path, server: Path | str, options: list[tuple[str, int]] | None = None, **tls: bytes | None
) -> grpc.Channel:
    """A channel with the certificate in a peer's folder, or with the parts given (``ca``, ``key``, ``cert``) instead.

    ``server``: a configuration file, or host:port.
    """
    target = server if isinstance(server, str) else target_of(server)
    files = {name: (peer / f"{name}.pem").read_bytes() for name in ("ca", "key", "cert")} | tls
    credentials = grpc.ssl_channel_credentials(files["ca"], files["key"], files["cert"])
    return grpc.secure_channel(target, credentials, options)


@dataclass(frozen=True, slots=True)
class Told:
    """What a refused call tells: status, the catalogue's code, field, seconds to wait, and the request id."""

    status: grpc.StatusCode
    code: str
    field: str
    retry_after: float | None
    request_id: str


def told(error: grpc.RpcError) -> Told:
    """Reads the google.rpc details of a refused call; empty where there are none."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    info, bad, wait = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    retry = None
    for detail in status.details if status else ():
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(wait):
            retry = wait.retry_delay.ToMilliseconds() / 1_000
    field = bad.field_violations[0].field if bad.field_violations else ""
    request_id = dict(error.trailing_metadata() or ()).get("x-request-id", "")
    return Told(error.code(), info.reason, field, retry, str(request_id))


@contextlib.contextmanager
def in_process(*servers: Callable[[], contextlib.AbstractAsyncContextManager[Any]]) -> Iterator[None]:
    """Runs servers on an event loop of a thread while the block runs."""
    loop = asyncio.new_event_loop()
    ready, stop, failure = threading.Event(), asyncio.Event(), []

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server())
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(main())
        except BaseException as error:  # noqa: BLE001 - told to the test's thread
            failure.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(WAIT_SECONDS)
    try:
        if failure:
            raise failure[0]
        yield
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_SECONDS)

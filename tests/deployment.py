"""Deployments for tests: folders made by ``init`` on free ports, servers in process or as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from daxa_registry.deployment import Plan, make_deployment

WAIT_SECONDS = 60


def free_ports(number: int) -> list[int]:
    """That many ports that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def deploy(
    folder: Path, members: Sequence[str] = ("upbit", "bithumb"), threshold: int = 2, evaluators: int = 3
) -> Path:
    """A deployment on free loopback ports; answers its folder."""
    make_deployment(folder, Plan(members, threshold, evaluators, ports=free_ports(evaluators + 1)))
    return folder


class Process:
    """A ``daxa-registry`` command that runs until it is stopped or killed."""

    def __init__(self, *arguments: str | Path) -> None:
        """Starts it and waits for its line that says it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from daxa_registry.cli import main; main()", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        self.ready = self._process.stdout.readline().strip()

    def kill(self) -> None:
        """SIGKILL: nothing is flushed or told."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=WAIT_SECONDS)

    def stop(self) -> tuple[int, str]:
        """SIGTERM: its exit code and what it wrote on standard error."""
        self._process.send_signal(signal.SIGTERM)
        _, log = self._process.communicate(timeout=WAIT_SECONDS)
        return self._process.returncode, log

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


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

"""Several nodes of the registry on one machine, each a process of its own: for trying out what several hosts do.

A node that ends is told and not started again; the others go on. Where this process ends, however it does, its nodes end as if
they were told to. It refuses a database that is one file, which is one node's.

>>> run_nodes(Path("registry.toml"), 3, print)                      # doctest: +SKIP
node 4711: registry listening on 127.0.0.1:7400
0
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode

from .config import read_registry

PORTS_APART = 100
"""The ports next to the registry's are those of evaluators, where a deployment is tried on one machine."""
_NODE = """
import os, signal, sys, threading

def orphaned():
    os.read(0, 1)  # the other end is its parent's, who writes nothing: this comes back when that is gone
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=orphaned, daemon=True).start()
from daxa_registry.cli import main
main()
"""
"""The program of a node, whose standard input ends with who started it: a process that is killed tells nobody."""


def run_nodes(configuration: Path, nodes: int, say: Callable[[str], None]) -> int:
    """Serves at the configuration's port and at every hundredth after it, until SIGTERM or SIGINT, or until no node is left.

    Answers the worst exit code of a node, as a shell has it: 0 where each ended as it was told.
    """
    config = read_registry(configuration)
    if "://" not in config.database:
        wanted = "a postgresql:// URL where there are several nodes; one file is one node's"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
    host, _, port = config.listen.rpartition(":")
    if int(port) + PORTS_APART * (nodes - 1) > 65_535:
        raise ConfigurationError(
            ErrorCode.INVALID_CONFIGURATION, "listen", "a port with room for every hundredth after it"
        )
    program = [sys.executable, "-c", _NODE, "serve", str(configuration)]
    running: list[subprocess.Popen[str]] = []

    told: list[bool] = []

    def stop(*_: object) -> None:
        told.append(True)
        for process in running:
            process.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for node in range(nodes):
        listen = f"{host}:{int(port) + PORTS_APART * node}"
        pipe = subprocess.PIPE
        running.append(subprocess.Popen([*program, "--listen", listen], stdin=pipe, stdout=pipe, text=True))
    if told:  # while they were being started
        stop()
    watching = [threading.Thread(target=_watch, args=(process, say), daemon=True) for process in running]
    for thread in watching:
        thread.start()
    for process in running:
        process.wait()
    for thread in watching:
        thread.join()
    # A node that was told before it could listen to that was ended by the signal itself.
    as_told = (0, -signal.SIGTERM) if told else (0,)
    return max(_as_in_a_shell(process.returncode) if process.returncode not in as_told else 0 for process in running)


def _as_in_a_shell(code: int) -> int:
    return code if code >= 0 else 128 - code


def _watch(process: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        say(f"node {process.pid}: {line.strip()}")
    process.wait()
    say(f"node {process.pid} ended with {process.returncode}")

"""Real servers for the small apps, in processes of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sink import lines

from deployment import WAIT_SECONDS

HERE = Path(__file__).parent


@contextlib.contextmanager
def _running(command: list[str], sink: Path, ready: str) -> Iterator[None]:
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env={**os.environ, "SINK": str(sink), "PYTHONPATH": paths},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        said = ""
        while ready not in said:
            line = process.stderr.readline()
            assert line, f"{command[0]} ended at once: {said}"
            said += line
        yield
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_SECONDS)


def gunicorn(app: str, sink: Path, bind: str, workers: str = "sync") -> contextlib.AbstractContextManager[None]:
    """Two workers of that class."""
    command = ["gunicorn", "--bind", bind, "--workers", "2", "--worker-class", workers, "--chdir", str(HERE)]
    command += ["--timeout", "0", f"small_apps:{app}"]  # a worker that is slow to start is not begun anew
    return _running(command, sink, "Booting worker")


def uvicorn(app: str, sink: Path, port: int) -> contextlib.AbstractContextManager[None]:
    """One process, which leaves the client's address to the app."""
    return _running(
        ["uvicorn", "--port", str(port), "--no-proxy-headers", f"small_apps:{app}"], sink, "Uvicorn running"
    )


def waited(sink: Path, number: int) -> list[list[Any]]:
    """What was observed, once that many are there: an answer reaches the client before its worker has closed it."""
    until = time.monotonic() + WAIT_SECONDS
    while len(lines(sink)) < number and time.monotonic() < until:
        time.sleep(0.01)
    return lines(sink)

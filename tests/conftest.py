"""What every test may ask for: a PostgreSQL database of its own, on one server for the whole run, started at first use.

And what no test depends on: how fast the machine is, and on which side of an hour it began.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import postgres

URL = "DAXA_TEST_POSTGRES"
HOUR = 3_600
LAST_SECONDS = 60

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """No test begins in the last minute of an hour: what it sees would be of two hours, what it spends of two days' quotas."""
    left = HOUR - time.time() % HOUR
    if left <= LAST_SECONDS:
        time.sleep(left)


def _shared(temporary: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one run share."""
    base = temporary.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server on which databases may be made."""
    if os.environ.get(URL):
        yield os.environ[URL]
        return
    note = _shared(tmp_path_factory) / "postgres"
    with _alone(note):
        if not note.exists():
            server = postgres.PostgresServer.start(note.with_suffix(".home"))
            note.write_bytes(pickle.dumps((server, 0)))
        server, users = pickle.loads(note.read_bytes())  # noqa: S301 - written above
        note.write_bytes(pickle.dumps((server, users + 1)))
    yield server.url
    with _alone(note):
        server, users = pickle.loads(note.read_bytes())  # noqa: S301 - written above
        note.write_bytes(pickle.dumps((server, users - 1)))
        if users == 1:  # the last worker that uses it; one that comes later starts another
            server.stop()
            note.unlink()


@contextlib.contextmanager
def _alone(note: Path) -> Iterator[None]:
    with note.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database."""
    url = postgres.create_database(postgres_server)
    yield url
    postgres.drop_database(url)

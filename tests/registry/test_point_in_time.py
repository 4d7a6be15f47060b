"""Coming back to a moment with PostgreSQL's own means: the commands of docs/postgresql.md are run as they stand there."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import deployment
import postgres
from daxa_core.model import Level, Verdict
from daxa_registry.bootstrap import audit_database, open_log, open_store
from daxa_registry.config import read_registry
from daxa_registry.service.log import append_state
from daxa_registry.store.interface import StoredVerdict
from sightings import fine, seen

POLICY = b"p" * 32

PAGE = Path(__file__).parents[2] / "docs/postgresql.md"
SECTION = "## Backups and a point in time"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[postgres.PostgresServer]:
    made = postgres.PostgresServer.start(tmp_path / "postgres", ("synchronous_commit=on",))
    yield made
    made.remove()


class Page:
    """The page's indented lines, with this machine's folders, server and moment in the place of the page's."""

    def __init__(self, server: postgres.PostgresServer) -> None:
        section = PAGE.read_text("utf-8").partition(SECTION)[2].partition("\n## ")[0]
        self._lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
        self._server = server
        self._names = {
            "/archive/": f"{server.socket}/archive/", "/backup/monday": f"{server.socket}/monday",
            "/data": str(server.data), "db1.example.kr": str(server.socket), "replicator": "postgres",
        }  # fmt: skip

    def is_now(self, moment: str) -> None:
        self._names["2026-11-28 14:05:00+09"] = moment

    def settings(self) -> tuple[str, ...]:
        """As the server takes them on its command line."""
        found = [line.partition(" = ") for line in self._lines if line.startswith("archive_")]
        return tuple(shlex.quote(f"{name}={self._here(value).strip(chr(39))}") for name, _, value in found)

    def run(self, *programs: str) -> None:
        """The lines that begin with those programs, in the page's order; pg_ctl's with this server's own options."""
        options = f"-l {self._server.socket}/log -o '-k {self._server.socket} -c listen_addresses='"
        for line in self._lines:
            if line.split()[0] in programs:
                self._server.shell(self._here(line).replace("-w start", f"{options} -w start"))

    def _here(self, line: str) -> str:
        for name, here in self._names.items():
            line = line.replace(name, here)
        return line


def decide(configuration: Path, number: int) -> None:
    """One more verdict, stored and logged."""
    config = read_registry(configuration)
    store = open_store(config.database)
    log = open_log(store, config)
    with store.transaction():
        append_state(store, "policy", {"digest": POLICY.hex()}, 1_800_000_000)
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen(f"k{number}", "a")], fine).subjects
        assert subject is not None
        sequence = store.head(member) + 1
        verdict = Verdict(seen(f"k{number}", "a").key, Level.WARN, 2.0, sequence=sequence, decided_at=1_800_000_000,
                          policy_digest=POLICY)  # fmt: skip
        body = log.append_verdict(verdict, member, b"evidence")
        store.append_verdict(StoredVerdict(subject, member, sequence, Level.WARN, 1_800_000_000, body, b"evidence"))
    store.close()


def checkpoint(configuration: Path) -> str:
    """What a member would have kept."""
    config = read_registry(configuration)
    store = open_store(config.database)
    try:
        return open_log(store, config).checkpoint()
    finally:
        store.close()


def test_the_registry_comes_back_to_a_moment_by_the_pages_commands(
    server: postgres.PostgresServer, tmp_path: Path
) -> None:
    """What was written before it is there, nothing after it; a checkpoint from before fits, and one from after tells."""
    page = Page(server)
    server.shell(f"mkdir {server.socket}/archive")
    server.kill()
    server.settings = (*server.settings, *page.settings())
    server.restart()
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    url = server.create_database()
    configuration.write_text(configuration.read_text().replace("data/registry.sqlite", url))
    decide(configuration, 1)
    page.run("pg_basebackup")
    decide(configuration, 2)
    before = checkpoint(configuration)
    with psycopg.connect(server.url) as asked:
        page.is_now(str((asked.execute("SELECT now()").fetchone() or [""])[0]))
    time.sleep(0.1)
    decide(configuration, 3)
    after = checkpoint(configuration)
    server.run("pg_ctl", "-D", str(server.data), "-m", "fast", "stop")  # which hands over the rest
    server.shell(f"mv {server.data} {server.socket}/aside")
    page.run("cp", "echo", "touch", "pg_ctl")
    report = audit_database(configuration, before)
    assert (report.problem, report.verdicts) == (None, 2)
    told = audit_database(configuration, after).problem
    assert told is not None
    assert "leaves, and the checkpoint" in told.what
    decide(configuration, 4)
    assert audit_database(configuration, before).problem is None

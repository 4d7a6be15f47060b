"""Backups and restores beside others who work on the same database: real processes, and members who are answered meanwhile."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import crash_check
import deployment
import postgres
from busy import Busy, traffic
from daxa_core.errors import DaxaError, Unavailable
from daxa_registry import backups
from daxa_registry.bootstrap import audit_database, open_store
from daxa_registry.config import read_registry
from daxa_registry.service.acts import LOGGED_AS, ActKind, acts
from daxa_registry.store import sqlite, transfer
from sightings import fine, seen

PASSPHRASE = "a passphrase that is long enough"


@pytest.fixture(params=["sqlite", "postgres"])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Busy:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Busy(tmp_path / "deployment", url)


def database_of(busy: Busy) -> str:
    return read_registry(busy.configuration).database


def test_backups_beside_a_busy_registry_are_each_of_one_moment_and_fork_nothing(busy: Busy, tmp_path: Path) -> None:
    """Those with keys write into its log from a process of their own, whose leaf is one among the others. Nothing that was
    answered is lost, counted twice or missed by a watcher."""
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    sealed = ("--with-files", "--passphrase-file", tmp_path / "passphrase", "--yes", "--by", "kim")
    number = 4
    with busy.serve(), traffic(busy):
        for made in range(number):
            busy.more(1)
            with deployment.Process(
                "backup", busy.configuration, tmp_path / f"{made}", *(sealed * (made % 2))
            ) as backup:
                assert backup.wait()[0] == 0
        busy.more(1)
        with contextlib.ExitStack() as held:
            for member in busy.members:
                held.enter_context(member.turn)
            found = busy.found(database_of(busy))
    assert found == crash_check.Found(edges=found.edges, verdicts=found.verdicts, checkpoints=found.checkpoints)
    assert found.verdicts > 0
    assert audit_database(busy.configuration, None).problem is None
    with contextlib.closing(open_store(database_of(busy))) as store:
        done = [act.kind for act in acts(store)]
        logged = [
            json.loads(leaf.body)["detail"]["kind"] for leaf in store.leaves(0, 100_000) if leaf.event == LOGGED_AS
        ]
    assert done == logged
    assert done.count(ActKind.KEYS_BACKED_UP) == number // 2
    for made in range(number):
        check_one_moment(busy, tmp_path / f"{made}", f"{made}.toml")


def check_one_moment(busy: Busy, backup: Path, name: str) -> None:
    """What is remembered of batches, which a transaction writes last, is what is there of edges, which it writes first: each
    sighting was another hour of its edge."""
    own = busy.configuration.with_name(name)
    database = own.with_suffix(".sqlite")
    own.write_text(re.sub(r"(?m)^database = .*$", f'database = "{database.name}"', busy.configuration.read_text()))
    backups.restore(backup, own, PASSPHRASE.encode(), "kim")
    with contextlib.closing(sqlite3.connect(database)) as restored:
        [[accepted]] = restored.execute("SELECT sum(accepted) FROM batch")
        hours = [int.from_bytes(row[0], "little").bit_count() for row in restored.execute("SELECT hours FROM presence")]
    assert sum(hours) == accepted


@pytest.fixture(params=["sqlite", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A backup, and the configuration of a registry with an empty database."""
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    with contextlib.closing(open_store(read_registry(configuration).database)) as store, store.transaction():
        store.absorb(store.member_id("upbit"), [seen(f"k{number}", "a") for number in range(50)], fine)
    backups.make_backup(configuration, tmp_path / "one", False, None, "kim")
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else "data/second.sqlite"
    configuration.write_text(configuration.read_text().replace("data/registry.sqlite", url))
    return tmp_path / "one", configuration


def test_of_two_restores_into_one_database_one_is_made(filled: tuple[Path, Path]) -> None:
    """Whole, with its act; the other one is told that there is a registry, or that somebody is writing."""
    backup, configuration = filled
    begin = threading.Barrier(2)

    def restore(by: str) -> DaxaError | None:
        begin.wait()
        try:
            backups.restore(backup, configuration, None, by)
        except DaxaError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(restore, ("kim", "lee")))
    assert sorted(str(error is None) for error in told) == ["False", "True"]
    [refused] = [error for error in told if error is not None]
    assert "an empty database" in str(refused) or isinstance(refused, Unavailable)
    with contextlib.closing(open_store(read_registry(configuration).database)) as store:
        assert store.counts()["presence"] == 50
        assert [act.kind for act in acts(store)] == ["backup_restored"]


def test_a_restore_that_does_not_come_out_the_same_leaves_the_database_empty(
    filled: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is served from half of a backup, and the next restore finds room."""
    backup, configuration = filled
    columns = transfer.columns

    def without_nodes() -> Any:
        return {name: found for name, found in columns().items() if name != "node"}

    with monkeypatch.context() as patched:
        patched.setattr(transfer, "columns", without_nodes)
        with pytest.raises(DaxaError, match="it differs in node$"):
            backups.restore(backup, configuration, None, "kim")
    backups.restore(backup, configuration, None, "kim")


def test_who_takes_keys_out_waits_for_a_registry_that_is_always_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite keeps no queue: whoever comes from a process of its own may wait for longer than a member can."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    database = read_registry(configuration).database
    open_store(database).close()
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        making = pool.submit(backups.make_backup, configuration, tmp_path / "one", True, PASSPHRASE.encode(), "kim")
        with pytest.raises(TimeoutError):
            making.result(1.0)
        other.execute("ROLLBACK")
        assert making.result(60).files


def test_a_file_that_is_written_to_all_the_while_goes_into_a_backup_that_is_whole(tmp_path: Path) -> None:
    """As a log beside the configuration is: what of it was read is what the backup says it holds, and comes back."""
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    evaluator, stopped = folder / "evaluators/1/evaluator.toml", threading.Event()
    line = b"a line of a log\n"

    def write() -> None:
        with (evaluator.parent / "evaluator.log").open("wb", buffering=0) as log:
            while not stopped.wait(0.0001):
                log.write(line)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        deployment.wait_for((evaluator.parent / "evaluator.log").exists)
        for number in range(5):
            backups.make_backup(evaluator, tmp_path / f"{number}", True, PASSPHRASE.encode(), "kim")
        stopped.set()
        writing.result()
    for number in range(5):
        backups.restore(tmp_path / f"{number}", tmp_path / f"again-{number}", PASSPHRASE.encode(), "kim")
        assert set((tmp_path / f"again-{number}/evaluator.log").read_bytes().splitlines(keepends=True)) <= {line}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[postgres.PostgresServer]:
    made = postgres.PostgresServer.start(tmp_path / "postgres")
    yield made
    made.remove()


def test_a_backup_whose_server_is_restarted_is_not_there_and_is_made_again(
    server: postgres.PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of its copying: UNAVAILABLE, and nothing is left of it beside where it was to be."""
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    url = server.create_database()
    configuration.write_text(configuration.read_text().replace("data/registry.sqlite", url))
    with contextlib.closing(open_store(url)) as store, store.transaction():
        store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
    rows: Callable[..., Iterator[Any]] = transfer._rows
    tables: list[str] = []

    def restarts(connection: Any, table: str, names: Any) -> Iterator[Any]:
        tables.append(table)
        if len(tables) == 3:
            server.kill()
            server.restart()
        return rows(connection, table, names)

    (tmp_path / "out").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(transfer, "_rows", restarts)
        with pytest.raises(Unavailable, match="^UNAVAILABLE: store: a database that can be written to; try again$"):
            backups.make_backup(configuration, tmp_path / "out/one", False, None, "kim")
    assert len(tables) == 3
    assert list((tmp_path / "out").iterdir()) == []
    assert backups.make_backup(configuration, tmp_path / "out/one", False, None, "kim").rows["presence"] == 1

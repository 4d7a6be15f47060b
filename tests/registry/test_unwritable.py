"""A full disk and a database that somebody holds, through real gRPC: UNAVAILABLE, and nothing that was answered is lost."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import grpc
import psycopg
import pytest

import deployment
import postgres
from daxa_api.v1 import sighting_pb2, sighting_pb2_grpc, types_pb2, verdict_pb2, verdict_pb2_grpc
from daxa_core import oprf
from daxa_registry import bootstrap
from daxa_registry.config import read_registry
from daxa_registry.store import sqlite

NOW = 1_790_000_000
MANY = 300


@dataclass
class World:
    """A registry in this process, a member's calls, and the registry's own database."""

    submit: grpc.UnaryUnaryMultiCallable
    look_up: grpc.UnaryUnaryMultiCallable
    others_look_up: grpc.UnaryUnaryMultiCallable
    store: sqlite.SqliteStore
    path: Path

    def stored(self) -> tuple[int, int]:
        """Presences in the file, and the sum of their counts."""
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            found = database.execute("SELECT count(*), coalesce(sum(count), 0) FROM presence").fetchone()
            return int(found[0]), int(found[1])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    stores: list[sqlite.SqliteStore] = []
    opened = bootstrap.open_store

    def open_store(database: str) -> sqlite.SqliteStore:
        stores.append(opened(database))  # type: ignore[arg-type]
        return stores[-1]

    monkeypatch.setattr(bootstrap, "open_store", open_store)
    root = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    configuration = root / "registry/registry.toml"
    server = partial(bootstrap.registry_server, read_registry(configuration), lambda: float(NOW))
    with (
        deployment.in_process(server),
        deployment.channel(root / "members/upbit", configuration) as channel,
        deployment.channel(root / "members/bithumb", configuration) as others,
    ):
        submit = sighting_pb2_grpc.SightingServiceStub(channel).SubmitSightings
        look_up = verdict_pb2_grpc.VerdictServiceStub(channel).BatchGetVerdicts
        others_look_up = verdict_pb2_grpc.VerdictServiceStub(others).BatchGetVerdicts
        yield World(submit, look_up, others_look_up, stores[0], root / "registry/data/registry.sqlite")


def element() -> bytes:
    return oprf.hash_input(secrets.token_bytes(16))


def batch(number: int = 1) -> sighting_pb2.SubmitSightingsRequest:
    """That many new edges, counted twice each."""
    sightings = [
        sighting_pb2.Sighting(
            key=element(),
            address=element(),
            network=element(),
            hour=NOW // 3_600,
            count=2,
            manner=types_pb2.MANNER_USED,
        )
        for _ in range(number)
    ]
    return sighting_pb2.SubmitSightingsRequest(
        batch_id=secrets.token_bytes(16), member="upbit", key_version=1, canonical_version=1, sightings=sightings
    )


def refused(submit: grpc.UnaryUnaryMultiCallable, request: sighting_pb2.SubmitSightingsRequest) -> deployment.Told:
    with pytest.raises(grpc.RpcError) as caught:
        submit(request, timeout=30)
    return deployment.told(caught.value)


def check_unavailable(told: deployment.Told) -> None:
    assert (told.status, told.code, told.field) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "store")
    assert told.retry_after is not None


def check_full(submit: grpc.UnaryUnaryMultiCallable, request: sighting_pb2.SubmitSightingsRequest) -> None:
    """Refused, and told of the disk."""
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE: store: a disk that takes more of the database") as caught:
        submit(request, timeout=30)
    check_unavailable(deployment.told(caught.value))


def test_a_full_disk_refuses_whole_batches_and_keeps_what_was_answered(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What does not fit is refused, what was answered is there and is answered again, and with room it goes on by itself. The
    registry's own log says why."""
    caplog.set_level("INFO", "daxa_registry.rpc")
    first, second = batch(), batch(MANY)
    answer = world.submit(first)
    writer = world.store._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count={pages}")
    for _ in range(2):
        check_full(world.submit, second)
    assert caplog.text.count("member/upbit UNAVAILABLE: store: a disk that takes more of the database") == 2
    assert world.stored() == (1, 2)
    assert answer == world.submit(first)
    keys = [sighting.key for sighting in second.sightings]
    world.look_up(verdict_pb2.BatchGetVerdictsRequest(keys=keys, key_version=1))  # reading goes on
    writer.execute("PRAGMA max_page_count=1000000")
    assert world.submit(second).accepted == MANY
    assert world.submit(second).accepted == MANY
    assert world.stored() == (1 + MANY, 2 + 2 * MANY)


def test_a_database_that_somebody_holds_refuses_until_it_is_let_go(world: World) -> None:
    """A backup that holds the lock too long loses nothing: the same batch is taken once afterwards."""
    first, second = batch(), batch(MANY)
    assert world.submit(first).accepted == 1
    with contextlib.closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        check_unavailable(refused(world.submit, second))
        check_unavailable(refused(world.submit, first))
        other.execute("ROLLBACK")
    assert world.stored() == (1, 2)
    assert world.submit(first).accepted == 1
    assert world.submit(second).accepted == MANY
    assert world.stored() == (1 + MANY, 2 + 2 * MANY)


def test_a_member_that_calls_for_the_first_time_while_somebody_writes_holds_up_nobody(world: World) -> None:
    """Its number is written down, which waits for the writer; who is known is answered meanwhile."""
    request = verdict_pb2.BatchGetVerdictsRequest(keys=[element()], key_version=1)
    world.look_up(request, timeout=30)
    with world.store.transaction():
        waiting = world.others_look_up.future(request, timeout=600)
        for _ in range(5):
            world.look_up(request, timeout=60)
        assert not waiting.done()
    waiting.result()
    assert sorted(world.store.members().values()) == ["bithumb", "upbit"]


NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN RAISE EXCEPTION ''no room'' USING ERRCODE=''disk_full''; END';
CREATE TRIGGER no_room BEFORE INSERT ON {} FOR EACH STATEMENT EXECUTE FUNCTION no_room();
"""
"""What PostgreSQL says when it cannot make a table longer, at the beginning and at the end of intake's transaction."""


@pytest.mark.parametrize("table", ["presence", "batch"])
def test_a_full_disk_of_postgresql_refuses_whole_batches_and_keeps_what_was_answered(
    tmp_path: Path, postgres_url: str, table: str
) -> None:
    """As on SQLite: nothing of what was refused is there, reading goes on, and with room it goes on by itself."""
    root = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    configuration = root / "registry/registry.toml"
    configuration.write_text(configuration.read_text().replace("data/registry.sqlite", postgres_url))
    server = partial(bootstrap.registry_server, read_registry(configuration), lambda: float(NOW))
    first, second = batch(), batch(MANY)
    keys = [sighting.key for sighting in second.sightings]
    with (
        deployment.in_process(server),
        deployment.channel(root / "members/upbit", configuration) as channel,
        psycopg.connect(postgres_url, autocommit=True) as administrator,
    ):

        def stored() -> tuple[int, ...]:
            found = administrator.execute("SELECT count(*), coalesce(sum(count), 0) FROM presence").fetchone() or ()
            return tuple(int(one) for one in found)

        submit = sighting_pb2_grpc.SightingServiceStub(channel).SubmitSightings
        answer = submit(first)
        administrator.execute(NO_ROOM.format(table))
        for _ in range(2):
            check_full(submit, second)
        assert stored() == (1, 2)
        assert submit(first) == answer
        look_up = verdict_pb2_grpc.VerdictServiceStub(channel).BatchGetVerdicts
        look_up(verdict_pb2.BatchGetVerdictsRequest(keys=keys, key_version=1))
        administrator.execute("DROP FUNCTION no_room CASCADE")
        assert submit(second).accepted == MANY
        assert submit(second).accepted == MANY
        assert stored() == (1 + MANY, 2 + 2 * MANY)


SIZE = 17 << 20
FILLING = """
INSERT INTO batch SELECT 9, decode(md5(random()::text), 'hex'), '', 0, '[]', '[]', 0 FROM generate_series(1, %s)
"""


def fill(administrator: psycopg.Connection, rows: int) -> NoReturn:
    """So many rows at a time, until it is refused."""
    while True:
        administrator.execute(FILLING, (rows,))


def test_a_file_that_postgresql_may_not_make_longer_is_told_as_a_full_disk(tmp_path: Path) -> None:
    """To a real server a quota, or a system's limit of a file's size, is an internal error, which nobody would try again."""
    root = deployment.deploy(tmp_path / "deployment", threshold=1, evaluators=1)
    configuration = root / "registry/registry.toml"
    server = postgres.PostgresServer.start(tmp_path / "postgres", (*postgres.FAST, "autovacuum=off"))
    try:
        url = server.create_database()
        configuration.write_text(configuration.read_text().replace("data/registry.sqlite", url))
        registry = partial(bootstrap.registry_server, read_registry(configuration), lambda: float(NOW))
        with (
            deployment.in_process(registry),
            deployment.channel(root / "members/upbit", configuration) as channel,
            psycopg.connect(url, autocommit=True) as administrator,
        ):
            submit = sighting_pb2_grpc.SightingServiceStub(channel).SubmitSightings
            assert submit(batch()).accepted == 1
            server.let_files_grow(SIZE)
            for rows in (50_000, 100, 1):
                with pytest.raises(psycopg.errors.InternalError_, match="could not extend file"):
                    fill(administrator, rows)
            refused = batch(MANY)
            for _ in range(2):
                check_full(submit, refused)
            assert administrator.execute("SELECT count(*) FROM presence").fetchone() == (1,)
            server.let_files_grow(-1)
            assert submit(refused).accepted == MANY
            assert administrator.execute("SELECT count(*) FROM presence").fetchone() == (1 + MANY,)
    finally:
        server.remove()

"""A registry that moves from SQLite to PostgreSQL while members use it; every process is real, and so is the network."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import grpc
import psycopg
import pytest

import crash_check
import deployment
from busy import Busy, ask, traffic
from daxa_core.errors import ConfigurationError
from daxa_registry.backups import migrate_store
from daxa_registry.bootstrap import open_store

_BODIES = "SELECT member, sequence, body FROM verdict ORDER BY member, sequence"


class World(Busy):
    """On a file, and to be moved to the database of that URL."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url

    def move(self) -> deployment.Process:
        return deployment.Process("migrate-store", "--from", self.file, "--to", self.url, "--yes")


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> World:
    return World(tmp_path / "deployment", postgres_url)


def test_a_move_under_traffic_loses_nothing_and_every_cursor_goes_on(world: World) -> None:
    """The process on the file refuses, with a time to come back, from the move on; the one on PostgreSQL has the same verdicts
    and log; what was acknowledged before, meanwhile and afterwards is there once, and no watcher missed or saw anything twice."""
    with world.serve() as old, traffic(world):
        world.more(2)
        with world.move() as move:
            assert move.wait()[0] == 0
        assert ask(world.file, _BODIES) == ask(world.url, _BODIES)
        hashes = ask(world.file, crash_check.LEAVES)
        assert ask(world.url, crash_check.LEAVES)[: len(hashes)] == hashes
        [[last]] = ask(world.url, "SELECT body FROM leaf ORDER BY idx DESC LIMIT 1")
        assert b'"kind":"store_moved"' in bytes(last), "the act comes after what was compared"
        told = world.submit()
        assert told is not None
        assert (told.status, told.code, told.retry_after) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", 30.0)
        assert old.stop()[0] == 0
        with deployment.Process("serve", world.configuration) as again:
            code, said = again.wait()
            assert (code, "the one that this was moved to by migrate-store" in said) == (2, True)
        seen = [member.cursor() for member in world.members]
        world.configuration.write_text(
            world.configuration.read_text().replace('"data/registry.sqlite"', f'"{world.url}"')
        )
        with world.serve():
            world.more(2)
            deployment.wait_for(lambda: all(m.cursor() > n for m, n in zip(world.members, seen, strict=True)))
            with contextlib.ExitStack() as held:
                for member in world.members:
                    held.enter_context(member.turn)
                found = world.found(world.url)
            for member in world.members:
                member.stop()
    assert found == crash_check.Found(edges=found.edges, verdicts=found.verdicts, checkpoints=found.checkpoints)
    assert found.edges > 0
    assert found.verdicts > 0


def test_a_move_that_is_killed_leaves_the_file_in_use_and_is_made_again(world: World) -> None:
    """SIGKILL while it copies: the registry takes sightings again, the same command then moves everything."""
    with world.serve() as process:
        assert world.submit() is None
        open_store(world.url).close()
        with psycopg.connect(world.url) as held:
            held.execute("LOCK TABLE tree_hash IN SHARE MODE")
            with world.move() as move:
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation='tree_hash'::regclass"
                deployment.wait_for(lambda: held.execute(waiting).fetchone() != (0,))
                with (
                    contextlib.closing(sqlite3.connect(world.file, timeout=0)) as other,
                    pytest.raises(sqlite3.OperationalError, match="locked"),
                ):
                    other.execute("BEGIN IMMEDIATE")
                move.kill()
        assert world.submit() is None
        with world.move() as move:
            assert move.wait()[0] == 0
        assert process.stop()[0] == 0
    assert world.found(world.url).lost == 0


def copied(file: str, url: str) -> None:
    """What a move leaves that is killed when PostgreSQL has committed, and the file is not retired yet."""
    with contextlib.closing(open_store(url)) as new, new.transaction():
        new.load(Path(file))


def test_a_move_that_is_killed_when_all_was_copied_is_finished_by_the_next(world: World) -> None:
    """What is there already is looked at row by row, and the file is retired."""
    with world.serve() as process:
        assert world.submit() is None
        assert process.stop()[0] == 0
    copied(world.file, world.url)
    migrate_store(world.file, world.url, "kim", dry_run=True)
    migrate_store(world.file, world.url, "kim")
    with pytest.raises(ConfigurationError, match="the one that this was moved to by migrate-store"):
        open_store(world.file)
    assert world.found(world.url).lost == 0


def test_a_copy_that_a_killed_move_left_is_not_taken_for_the_registry_that_went_on(world: World) -> None:
    """One count more in the file is enough: it stays in use, the copy as it was, and it is told what to do."""
    with world.serve() as process:
        assert world.submit() is None
        assert process.stop()[0] == 0
    copied(world.file, world.url)
    with contextlib.closing(sqlite3.connect(world.file, isolation_level=None)) as file:
        file.execute("UPDATE presence SET count=count+1")
    with pytest.raises(
        ConfigurationError, match="--to: an empty database; this one holds the same registry as it was at a"
    ):
        migrate_store(world.file, world.url, "kim")
    open_store(world.file).close()
    counted = "SELECT sum(count) FROM presence"
    assert ask(world.url, counted) != ask(world.file, counted)

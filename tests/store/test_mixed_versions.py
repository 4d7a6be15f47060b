"""Nodes of two versions on one database: the older ones write nothing that the newer ones could not read, and lose nothing."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

import deployment
from daxa_client._errors import CLASSES
from daxa_core.errors import ConfigurationError, Unavailable
from daxa_registry.bootstrap import open_store
from daxa_registry.rpc.errors import status_of
from daxa_registry.service.intake import Intake, Submission
from daxa_registry.service.matching import Matcher
from daxa_registry.service.policies import follow, in_force, policies, unapplied
from daxa_registry.store import postgres_schema, sqlite_schema
from daxa_registry.store.interface import Store, Superseded
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.sqlite import SqliteStore
from sightings import fine, grow, seen

NOW = 1_000 * 3_600
THIS = len(postgres_schema.MIGRATIONS)
LATER = ("CREATE TABLE later (one bigint)",)
STRANGE = "a line that no program of this version reads"
DIGEST = "1a2b3c4d" * 8


def bring_into_force(store: Store, text: str, digest: str) -> None:
    """As a node of another version does."""
    with store.transaction():
        store.write_document("policy", digest, text)
        store.write_document("policy_active", "now", json.dumps({"digest": digest}), replace=True)


def test_a_node_whose_database_a_newer_program_migrated_writes_nothing_more(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migration waits for who is writing; from then on each of that node's transactions is refused, and it is told."""
    told: list[Superseded] = []
    with (
        contextlib.closing(PostgresStore(postgres_url)) as old,
        psycopg.connect(postgres_url, autocommit=True) as newer,
        ThreadPoolExecutor(1) as pool,
    ):
        old.share(lambda: None, lambda heads: None, lambda notice: None, told.append)
        monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, *LATER))
        with old.transaction():
            migrating = pool.submit(postgres_schema.migrate, newer)
            threading.Event().wait(0.3)
            assert not migrating.done()
            old.absorb(old.member_id("upbit"), [seen("k", "a")], fine)
        migrating.result(60)
        for _ in range(2):
            with pytest.raises(
                Superseded, match=f"that made schema version {THIS + 1}; this one writes version {THIS}$"
            ):
                grow(old, 1)
        assert len(told) == 2
        assert told[0].retry_after is not None
        assert (old.log_size(), old.counts()["presence"]) == (0, 1)


def test_a_program_whose_file_a_newer_one_migrated_writes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's file is one process's; where a newer one is started beside it, the older is refused each time, and told."""
    told: list[Superseded] = []
    own = len(sqlite_schema.MIGRATIONS)
    with contextlib.closing(SqliteStore(tmp_path / "registry.sqlite")) as old:
        old.share(lambda: None, lambda heads: None, lambda notice: None, told.append)
        grow(old, 1)
        with monkeypatch.context() as newer:
            newer.setattr(sqlite_schema, "MIGRATIONS", (*sqlite_schema.MIGRATIONS, *LATER))
            SqliteStore(tmp_path / "registry.sqlite").close()
        for _ in range(2):
            with pytest.raises(Superseded, match=f"made schema version {own + 1}; this one writes version {own}$"):
                grow(old, 1)
        assert len(told) == 2
        assert old.log_size() == 1


def test_a_batch_waits_where_the_policy_in_force_cannot_be_read(postgres_url: str) -> None:
    """UNAVAILABLE, which a member's client sends again: as a wrong argument it would be set aside for good."""
    told: list[Superseded] = []
    with (
        contextlib.closing(PostgresStore(postgres_url)) as other,
        contextlib.closing(PostgresStore(postgres_url)) as store,
    ):
        matcher = Matcher(store, in_force(store, deployment.PLAIN, NOW))
        before = matcher.policy.digest.hex()
        store.share(lambda: follow(store, matcher), lambda heads: None, lambda notice: None, told.append)
        bring_into_force(other, STRANGE, DIGEST)
        intake = Intake(store, matcher, check=fine, clock=lambda: NOW)
        batch = Submission("upbit", b"i" * 16, b"d" * 32, [seen("k", "a")])
        with pytest.raises(Unavailable, match="^UNAVAILABLE: policy: .* reads policy 1a2b3c4d1a2b3c4d") as caught:
            intake.submit(batch).result(60)
        assert status_of(caught.value.code).name == "UNAVAILABLE"
        assert issubclass(CLASSES[caught.value.code], Unavailable)
        assert caught.value.retry_after is not None
        assert told
        assert store.counts()["batch"] == 0
        with other.transaction():
            other.write_document("policy_active", "now", json.dumps({"digest": before}), replace=True)
        assert intake.submit(batch).result(60).accepted == 1
        intake.close()


def test_a_program_that_cannot_read_the_policy_in_force_does_not_start_and_leaves_it() -> None:
    """Other nodes may decide by it; only whoever names it brings another into force, and everybody is looked at again."""
    with contextlib.closing(open_store(":memory:")) as store:
        bring_into_force(store, STRANGE, DIGEST)
        with store.transaction():
            store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
        for instead_of in ("", "0" * 16):
            with pytest.raises(
                ConfigurationError, match=f"^INVALID_POLICY: policy: .*--instead-of-policy {DIGEST[:16]}$"
            ):
                in_force(store, deployment.PLAIN, NOW, instead_of)
        assert json.loads(store.document("policy_active", "now") or "")["digest"] == DIGEST
        policy = in_force(store, deployment.PLAIN, NOW, DIGEST[:16])
        assert [entry.digest for entry in policies(store) if entry.active] == [policy.digest.hex()]
        assert json.loads(store.last_event("policy") or b"")["detail"] == {"digest": policy.digest.hex()}
        assert list(unapplied(store)) == [1]
        assert in_force(store, "", NOW).digest == policy.digest

"""Backups, restores and the move to PostgreSQL, on both stores: the root comes back, and a torn file puts nothing anywhere."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from click.testing import CliRunner

import deployment
import postgres
from daxa_core import merkle
from daxa_core.errors import DaxaError, Unavailable
from daxa_core.leaks import Tlp
from daxa_core.model import Level, Verdict
from daxa_registry import backups
from daxa_registry.bootstrap import audit_database, open_log, open_store
from daxa_registry.cli import cli
from daxa_registry.config import read_registry
from daxa_registry.decision.ladder import START
from daxa_registry.service.acts import LOGGED_AS, acts
from daxa_registry.service.log import append_state
from daxa_registry.store import postgres as postgres_store
from daxa_registry.store import sqlite_schema, transfer
from daxa_registry.store.database import Database
from daxa_registry.store.interface import Store, StoredBatch, StoredVerdict
from daxa_registry.store.leak_interface import StoredLeak
from daxa_registry.store.sqlite_schema import TABLES
from sightings import fine, seen

NOW = 1_800_000_000
POLICY = b"p" * 32
PASSPHRASE = b"a passphrase that is long enough"


@dataclass
class World:
    """A deployment whose registry holds verdicts; ``opened`` is its store, in use."""

    folder: Path
    opened: Store

    @property
    def configuration(self) -> Path:
        return self.folder / "registry/registry.toml"

    def decide(self, number: int) -> None:
        """One more verdict, stored and logged."""
        config = read_registry(self.configuration)
        log = open_log(self.opened, config)
        with self.opened.transaction():
            append_state(self.opened, "policy", {"digest": POLICY.hex()}, NOW)
            member = self.opened.member_id("upbit")
            [subject] = self.opened.absorb(member, [seen(f"k{number}", "a", account=b"x" * 16)], fine).subjects
            assert subject is not None
            sequence = self.opened.head(member) + 1
            verdict = Verdict(seen(f"k{number}", "a").key, Level.WARN, 2.0, sequence=sequence, decided_at=NOW,
                              policy_digest=POLICY)  # fmt: skip
            body = log.append_verdict(verdict, member, b"evidence")
            self.opened.append_verdict(StoredVerdict(subject, member, sequence, Level.WARN, NOW, body, b"evidence"))


Make = Callable[[str], World]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a world on the database of that URL, or (``""``) on a file."""
    with contextlib.ExitStack() as stack:

        def world(url: str) -> World:
            folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
            if url:
                point(folder / "registry/registry.toml", url)
            store = open_store(read_registry(folder / "registry/registry.toml").database)
            stack.callback(store.close)
            made = World(folder, store)
            for number in range(5):
                made.decide(number)
            return made

        yield world


def point(configuration: Path, url: str) -> None:
    """The registry is on that database from now on."""
    configuration.write_text(configuration.read_text().replace('"data/registry.sqlite"', f'"{url}"'))


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, make: Make) -> World:
    return make(request.getfixturevalue("postgres_url") if request.param == "postgres" else "")


def root_at(store: Store, size: int) -> str:
    """The root that the log had at that size."""
    return merkle.root_at(size, store.tree_hashes).hex()


def said(configuration: Path) -> list[tuple[str, str, object]]:
    """Who did what, as the acts say and as the log says, with the root that it was done to."""
    store = open_store(read_registry(configuration).database)
    try:
        told = [json.loads(one.to_json()) for one in acts(store)]
        leaves = [json.loads(leaf.body)["detail"] for leaf in store.leaves(0, 1_000) if leaf.event == LOGGED_AS]
    finally:
        store.close()
    assert told == leaves
    return [(one["operator"], one["kind"], one["detail"]["root"]) for one in told]


def test_a_backup_of_a_store_in_use_is_of_one_moment_and_restores_to_the_same_root(
    world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What came after is not in it; the restored log is rebuilt, has that root, and goes on growing: by the act of the restore.

    That keys were taken out is in the log of the registry that they are of.
    """
    kept = backups.make_backup(
        world.configuration, tmp_path / "one.backup", with_files=True, passphrase=PASSPHRASE, by="kim"
    )
    world.decide(9)
    assert b"BEGIN" not in (tmp_path / "one.backup").read_bytes()
    assert (tmp_path / "one.backup").stat().st_mode & 0o777 == 0o600
    with pytest.raises(DaxaError, match="INVALID_CONFIGURATION: database: an empty database"):
        backups.restore(tmp_path / "one.backup", world.configuration, PASSPHRASE, "kim")
    world.opened.close()
    if "://" in read_registry(world.configuration).database:
        postgres.drop_database(read_registry(world.configuration).database)
        with psycopg.connect(request.getfixturevalue("postgres_server"), autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{urlsplit(read_registry(world.configuration).database).path[1:]}"')
    restored = backups.restore(tmp_path / "one.backup", tmp_path / "again", PASSPHRASE, "lee")
    assert restored == kept
    assert {"registry.toml", "signing.json", "key.pem"} <= set(restored.files)
    assert (tmp_path / "again/signing.json").stat().st_mode & 0o777 == 0o600
    report = audit_database(tmp_path / "again/registry.toml", None)
    assert (report.problem, report.size) == (None, kept.size + 1)
    again = open_store(read_registry(tmp_path / "again/registry.toml").database)
    assert (again.head(1), root_at(again, kept.size)) == (5, kept.root)
    again.close()
    assert said(tmp_path / "again/registry.toml") == [("registry/lee", "backup_restored", kept.root)]


def test_that_keys_are_taken_out_is_logged_before_they_are(world: World, tmp_path: Path) -> None:
    """With a name and the files; not where only the database is copied, nor where nothing came of it."""
    backups.make_backup(world.configuration, tmp_path / "bare", with_files=False, passphrase=None, by="kim")
    for passphrase, by in ((None, "kim"), (PASSPHRASE, "kim lee"), (PASSPHRASE, "")):
        with pytest.raises(DaxaError):
            backups.make_backup(world.configuration, tmp_path / "one", with_files=True, passphrase=passphrase, by=by)
    assert said(world.configuration) == []
    kept = backups.make_backup(world.configuration, tmp_path / "one", with_files=True, passphrase=PASSPHRASE, by="kim")
    assert said(world.configuration) == [("registry/kim", "keys_backed_up", kept.root)]
    [act] = acts(world.opened)
    assert act.detail["files"] == list(kept.files)
    assert {"signing.json", "key.pem"} <= set(kept.files)


def test_a_disk_that_does_not_take_a_copy_is_told(world: World, tmp_path: Path) -> None:
    """A folder that is not there, as a full disk: an error with a code, on either store; nor is what is no copy compared."""
    with pytest.raises(Unavailable):
        world.opened.save(tmp_path / "nowhere/one.sqlite")
    (tmp_path / "two.sqlite").write_bytes(b"no database " * 1_000)
    with pytest.raises(Unavailable, match=r"^UNAVAILABLE: two\.sqlite: a disk that takes it, got SQLITE_NOTADB"):
        transfer.same(tmp_path / "two.sqlite", tmp_path / "two.sqlite")


def test_what_one_store_saved_another_takes(make: Make, postgres_url: str, tmp_path: Path) -> None:
    """From SQLite to PostgreSQL and back: every row, every verdict, the root; and members made afterwards get new numbers."""
    world = make("")
    kept = backups.make_backup(
        world.configuration, tmp_path / "one.backup", with_files=False, passphrase=None, by="kim"
    )
    point(world.configuration, postgres_url)
    assert backups.restore(tmp_path / "one.backup", world.configuration, None, "kim") == kept
    assert audit_database(world.configuration, None).problem is None
    store = open_store(postgres_url)
    assert root_at(store, kept.size) == kept.root
    with store.transaction():
        assert store.member_id("upbit") == 1
        assert store.member_id("bithumb") == 2
        assert not store.absorb(1, [seen("k1", "a", account=b"x" * 16)], fine).moved
    store.close()
    back = backups.make_backup(
        world.configuration, tmp_path / "two.backup", with_files=False, passphrase=None, by="kim"
    )
    assert (back.size, back.rows["verdict"]) == (kept.size + 1, kept.rows["verdict"])
    point_back = world.configuration
    point_back.write_text(point_back.read_text().replace(postgres_url, "data/third.sqlite"))
    assert backups.restore(tmp_path / "two.backup", point_back, None, "kim") == back


def test_no_table_is_left_out(make: Make, postgres_url: str) -> None:
    """Every table of either store is among those that are copied, but for what is each database's own."""
    world = make("")
    with contextlib.closing(sqlite3.connect(world.folder / "registry/data/registry.sqlite")) as file:
        assert {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type='table'")} == set(TABLES)
    open_store(postgres_url).close()
    with psycopg.connect(postgres_url) as database:
        query = (
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace='public'::regnamespace"
        )
        assert {row[0] for row in database.execute(query)} == {*TABLES, "turn", "schema_version"}


def zipped(manifest: str) -> bytes:
    """Somebody else's ZIP, which has a manifest as well."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr("manifest.json", manifest)
        return file.getvalue()


def test_a_torn_backup_and_a_wrong_passphrase_are_told_apart_and_put_nothing_anywhere(
    make: Make, tmp_path: Path
) -> None:
    """Cut short at any chunk, one bit changed, another passphrase, none at all."""
    world = make("")
    whole = tmp_path / "one.backup"
    backups.make_backup(world.configuration, whole, with_files=True, passphrase=PASSPHRASE, by="kim")
    data = whole.read_bytes()
    broken = {
        "short": (data[:-1], PASSPHRASE, "this one is torn"),
        "half": (data[: len(data) // 2], PASSPHRASE, "this one is torn"),
        "bit": (data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], PASSPHRASE, "this one is torn"),
        "wrong": (data, PASSPHRASE + b"!", "this one is another"),
        "none": (data, None, "this backup is sealed"),
        "nothing": (b"", None, "this one is torn"),
        "other": (b"PK\x03\x04 no backup", None, "this one is torn"),
        "foreign": (zipped("[]"), None, "a manifest.json that is an object"),
        "strange": (zipped('{"parts": 7}'), None, "a manifest.json that is an object"),
        "deep": (zipped("[" * 99_999), None, "a manifest.json that is an object"),
    }
    for name, (content, passphrase, told) in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DaxaError, match=f"INVALID_FILE: {name}: .*{told}"):
            backups.restore(tmp_path / name, tmp_path / "again", passphrase, "kim")
    assert not (tmp_path / "again").exists()
    with pytest.raises(DaxaError, match="INVALID_FILE: one.backup: a file that is not there yet"):
        backups.make_backup(world.configuration, whole, with_files=False, passphrase=None, by="kim")
    with pytest.raises(DaxaError, match="INVALID_CONFIGURATION: --passphrase-file"):
        backups.make_backup(world.configuration, tmp_path / "bare", with_files=True, passphrase=None, by="kim")


def test_a_backup_whose_log_was_rewritten_is_not_made(make: Make, tmp_path: Path) -> None:
    """The tree is rebuilt from what was written; what does not fit is told with its leaf."""
    world = make("")
    world.opened.close()
    with sqlite3.connect(world.folder / "registry/data/registry.sqlite") as database:
        database.execute("UPDATE verdict SET body=zeroblob(9) WHERE sequence=3")
    with pytest.raises(DaxaError, match="a log that fits; leaf 4"):
        backups.make_backup(world.configuration, tmp_path / "one.backup", with_files=False, passphrase=None, by="kim")
    assert not (tmp_path / "one.backup").exists()


def test_an_evaluators_share_and_quota_come_back(make: Make, tmp_path: Path) -> None:
    """Sealed; the share is not in the file in plain. Who took it out and who put it back stands beside it: there is no log."""
    world = make("")
    home = world.folder / "evaluators/1"
    (home / "data").mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(home / "data/quota.sqlite")) as quota:
        quota.execute("CREATE TABLE spent (day INTEGER)")
        quota.commit()
    backups.make_backup(
        home / "evaluator.toml", tmp_path / "e.backup", with_files=True, passphrase=PASSPHRASE, by="kim"
    )
    backups.restore(tmp_path / "e.backup", tmp_path / "again", PASSPHRASE, "lee")
    assert (tmp_path / "again/share.json").read_bytes() == (home / "share.json").read_bytes()
    for place, by, act in ((home, "kim", "keys_backed_up"), (tmp_path / "again", "lee", "backup_restored")):
        [line] = map(json.loads, (place / "acts.jsonl").read_text().splitlines())
        assert (line["by"], line["act"]) == (by, act)
        assert "share.json" in line["files"]
    with contextlib.closing(sqlite3.connect(tmp_path / "again/data/quota.sqlite")) as quota:
        assert quota.execute("SELECT count(*) FROM spent").fetchone() == (0,)


def test_a_registry_moves_to_postgresql_while_it_is_open_and_the_file_takes_nothing_more(
    make: Make, postgres_url: str
) -> None:
    """Verdicts and root are the same, and the act is the next leaf; who has the file open is refused and loses nothing; a second
    move finds it taken."""
    world = make("")
    file = str(world.folder / "registry/data/registry.sqlite")
    ran = CliRunner().invoke(cli, ["migrate-store", "--from", file, "--to", postgres_url])
    assert (ran.exit_code, "would do" in ran.output) == (0, True)
    world.decide(7)
    kept = backups.migrate_store(file, postgres_url, "kim")
    assert kept.rows["verdict"] == 6
    with pytest.raises(Unavailable, match="the database that this was moved to"):
        world.decide(8)
    with pytest.raises(Unavailable, match="the database that this was moved to"), world.opened.transaction():
        world.opened.write_document("appeal", "upbit/1", "{}")
    with pytest.raises(DaxaError, match="the one that this was moved to by migrate-store"):
        open_store(file)
    point(world.configuration, postgres_url)
    report = audit_database(world.configuration, None)
    assert (report.problem, report.verdicts, report.size) == (None, 6, kept.size + 1)
    store = open_store(postgres_url)
    assert root_at(store, kept.size) == kept.root
    store.close()
    assert said(world.configuration) == [("registry/kim", "store_moved", kept.root)]


def skipping(table: str) -> Callable[[], Mapping[str, tuple[str, ...]]]:
    """The columns of every table but one: what a copy goes by."""
    return lambda: {name: columns for name, columns in sqlite_schema.columns().items() if name != table}


@pytest.mark.parametrize("table", ["document", "ladder", "cosignature", "activity", "leak", "leaked", "batch"])
def test_a_copy_that_lacks_a_table_is_no_move_and_no_restore(
    make: Make, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Whichever, though no verdict and no leaf is missing; the file stays in use."""
    world = make("")
    with world.opened.transaction():
        world.opened.write_document("appeal", "upbit/1", "{}")
        world.opened.save_ladder(1, START, 9)
        world.opened.save_batch(1, b"i" * 16, StoredBatch(b"d" * 32, 1, (), ()), NOW)
        leak = StoredLeak(0, b"i" * 16, 0, "one", "a paste", 1_000, Tlp.AMBER, 2_000)
        world.opened.add_leaked(world.opened.open_leak(leak).number, [seen("k1", "a").key])
    file = world.folder / "registry/data/registry.sqlite"
    backups.make_backup(world.configuration, tmp_path / "one.backup", with_files=False, passphrase=None, by="kim")
    if table == "cosignature":  # a backup's have to verify
        world.opened.save_cosignature(1, "somebody", "a line")
    monkeypatch.setattr(transfer, "columns", skipping(table))
    told = f"INVALID_CONFIGURATION: database: all rows of the source, and not others; it differs in {table}$"
    with pytest.raises(DaxaError, match=told):
        backups.migrate_store(str(file), postgres_url, "kim")
    world.decide(8)
    if table != "cosignature":
        world.configuration.write_text(world.configuration.read_text().replace("registry.sqlite", "second.sqlite"))
        with pytest.raises(DaxaError, match=told):
            backups.restore(tmp_path / "one.backup", world.configuration, None, "kim")


def test_a_copy_whose_leaves_are_not_those_of_its_tree_is_no_move(
    make: Make, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree's hashes are copied with everything else, and alone would make the same root."""
    world = make("")
    copy_in = postgres_store.copy_in

    def changing(database: Database, path: Path) -> None:
        copy_in(database, path)
        database.execute("UPDATE leaf SET body=? WHERE event<>''", (b"{}",))

    monkeypatch.setattr(postgres_store, "copy_in", changing)
    with pytest.raises(DaxaError, match="^INVALID_CONFIGURATION: database: leaves that make the root"):
        backups.migrate_store(str(world.folder / "registry/data/registry.sqlite"), postgres_url, "kim")
    world.decide(8)


def test_a_move_into_a_database_that_holds_something_changes_neither(make: Make, postgres_url: str) -> None:
    """The file stays in use."""
    world = make("")
    store = open_store(postgres_url)
    with store.transaction():
        store.member_id("gopax")
    store.close()
    with pytest.raises(DaxaError, match="INVALID_CONFIGURATION: database: an empty database"):
        backups.migrate_store(str(world.folder / "registry/data/registry.sqlite"), postgres_url, "kim")
    world.decide(8)
    assert world.opened.head(1) == 6


def test_the_commands_tell_the_root_and_refuse_a_short_passphrase(make: Make, tmp_path: Path) -> None:
    """``backup`` and ``restore`` as an operator calls them."""
    world = make("")
    secret = tmp_path / "passphrase"
    secret.write_text("short")
    arguments = [
        "backup",
        str(world.configuration),
        str(tmp_path / "b"),
        "--with-files",
        "--passphrase-file",
        str(secret),
    ]
    refused = CliRunner().invoke(cli, arguments)
    assert isinstance(refused.exception, DaxaError)
    secret.write_bytes(PASSPHRASE + b"\n")
    shown = CliRunner().invoke(cli, arguments)
    assert shown.output.startswith("would do: ")
    assert "signing.json" in shown.output
    assert not (tmp_path / "b").exists()
    made = CliRunner().invoke(cli, [*arguments, "--yes", "--by", "kim"])
    assert made.exit_code == 0, made.output
    root = made.output.splitlines()[1].split()[3]
    back = ["restore", str(tmp_path / "b"), str(tmp_path / "again"), "--passphrase-file", str(secret)]
    shown = CliRunner().invoke(cli, back)
    assert (shown.exit_code, root in shown.output, (tmp_path / "again").exists()) == (0, True, False), shown.output
    done = CliRunner().invoke(cli, [*back, "--yes", "--by", "lee"])
    assert (done.exit_code, root in done.output) == (0, True), done.output
    assert os.listdir(tmp_path / "again/data") == ["registry.sqlite"]
    assert said(tmp_path / "again/registry.toml") == [("registry/lee", "backup_restored", root)]
    bare = CliRunner().invoke(cli, ["backup", str(world.configuration), str(tmp_path / "bare")])
    assert (bare.exit_code, "nothing was changed" in bare.output, (tmp_path / "bare").exists()) == (0, False, True)


def test_a_dry_run_of_a_restore_refuses_what_the_restore_would(
    world: World, tmp_path: Path, postgres_server: str
) -> None:
    """A database that is not empty, a torn file, a folder that is there, a name that is none; and it makes no table."""
    one, taken = tmp_path / "one", world.configuration
    backups.make_backup(taken, one, with_files=True, passphrase=PASSPHRASE, by="kim")
    empty = taken.with_name("empty.toml")
    database = postgres.create_database(postgres_server)
    empty.write_text(re.sub("(?m)^database = .*$", f'database = "{database}"', taken.read_text()))
    (tmp_path / "torn").write_bytes(one.read_bytes()[:-1])
    for backup, target, by, told in (
        (one, taken, "kim", "an empty database to put it in"),
        (tmp_path / "torn", empty, "kim", "this one is torn"),
        (one, tmp_path, "kim", "a folder that is not there yet"),
        (one, empty, "kim lee", "INVALID_VALUE: by"),
    ):
        with pytest.raises(DaxaError, match=told):
            backups.restore(backup, target, PASSPHRASE, by, dry_run=True)
    kept = backups.restore(one, empty, PASSPHRASE, "kim", dry_run=True)
    with psycopg.connect(database) as found:
        assert found.execute("SELECT count(*) FROM pg_tables WHERE schemaname='public'").fetchone() == (0,)
    assert backups.restore(one, empty, PASSPHRASE, "kim") == kept

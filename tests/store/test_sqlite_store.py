"""What is SQLite's alone: its migrations, its locks, its write-ahead log."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from daxa_core.errors import DaxaError, Unavailable
from daxa_core.model import Kind, Manner
from daxa_registry.store import sqlite_checkpoint
from daxa_registry.store.sqlite import SqliteStore
from daxa_registry.store.sqlite_schema import MIGRATIONS
from sightings import NODES, fine, fp, grow, seen, stirring


def test_a_store_from_before_unusual_hours_were_counted_counts_what_it_has(tmp_path: Path) -> None:
    """The migration reads the hours out of the presences that are there."""
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    with store.transaction():
        for name in ("upbit", "bithumb"):
            sightings = [*stirring(90), seen("k1", "a1", 1_031, manner=Manner.REJECTED)]
            store.absorb(store.member_id(name), sightings, fine)
    store.close()
    database = sqlite3.connect(path)
    counted = database.execute("SELECT * FROM activity ORDER BY hour, member").fetchall()
    assert counted == [(1_000 + 24 * day, who, 90 if day == 3 else 60) for day in range(7) for who in (1, 2)]
    database.executescript(f"DROP TABLE activity; {BEFORE_MEMBERS}; PRAGMA user_version=4;")
    database.close()
    SqliteStore(path).close()
    database = sqlite3.connect(path)
    assert database.execute("SELECT * FROM activity ORDER BY hour, member").fetchall() == counted
    database.close()


WHOLE = "DROP INDEX node_head; CREATE UNIQUE INDEX node_fingerprint ON node (fingerprint, kind);"
BEFORE_MEMBERS = f"""
    {WHOLE}
    DROP TABLE leak;
    DROP TABLE leaked;
    DROP INDEX presence_place;
    DROP INDEX presence_refused;
    ALTER TABLE presence DROP COLUMN member;
    CREATE UNIQUE INDEX presence_place ON presence (address, device, subject, manner);
    DROP TABLE doubtful;
    DROP INDEX subject_holder;
    ALTER TABLE node ADD COLUMN addresses INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE node ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0
"""


def test_a_store_from_before_presences_had_their_member_reads_a_hub_by_member(tmp_path: Path) -> None:
    """The migration reads the members out of the subjects that are there."""
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path, hub_size=8)
    with store.transaction():
        for name, number in (("upbit", 10), ("bithumb", 2)):
            store.absorb(store.member_id(name), [seen(f"{name}{n}", "a") for n in range(number)], fine)
        before = next(store.neighbourhoods([1])).places
    store.close()
    database = sqlite3.connect(path)
    database.executescript(f"{BEFORE_MEMBERS}; PRAGMA user_version=5;")
    database.close()
    store = SqliteStore(path, hub_size=8)
    with store.transaction():
        assert next(store.neighbourhoods([1])).places == before
        assert next(iter(before.values())).by_member == ((1, 10), (2, 2))
    store.close()


def test_a_store_from_before_fingerprints_left_lets_go_of_those_that_nothing_names(tmp_path: Path) -> None:
    """Holders at once, networks and client stacks with the first walk through all presences."""
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen("k", "a", device="d", holder=fp("h"))], fine)
    store.close()
    with closing(sqlite3.connect(path)) as database:
        stored = database.execute(NODES).fetchall()
        left = ", ".join(f"({90 + kind}, {kind}, 'nobody')" for kind in (3, 4, 5))
        database.executescript(
            f"DROP TABLE doubtful; DROP INDEX subject_holder; DROP INDEX presence_refused; {WHOLE} PRAGMA user_version=8"
        )
        database.executescript(f"INSERT INTO node (id, kind, fingerprint) VALUES {left}; {OLD_PLACE}")
    store = SqliteStore(path)
    assert [store.counts()[f"node_{kind.name}"] for kind in (Kind.NETWORK, Kind.DEVICE, Kind.HOLDER)] == [2, 2, 1]
    with store.transaction():
        assert store.expire(0, 10).ended
    store.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(NODES).fetchall() == stored


OLD_PLACE = "INSERT INTO document VALUES ('retention', 'after', '17')"


def test_of_what_was_deleted_next_to_nothing_can_be_read_in_the_file(tmp_path: Path) -> None:
    """Also in pages that nothing has used since. SQLite itself would leave all of it there."""
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    names = [(f"key {n // 3}", f"address {n % 700}") for n in range(1_500)]
    with store.transaction():
        member = store.member_id("upbit")
        store.absorb(member, [seen(key, address, device=f"device {key}") for key, address in names], fine)
    for start in range(0, 500, 50):
        with store.transaction():
            for number in range(start, start + 50):
                store.withdraw(member, fp(f"key {number}"), 0, 2**32 - 1)
    with store.transaction():
        assert store.expire(0, 2_000).ended
    store.close()
    content = path.read_bytes()
    prints = {fp(name) for key, address in names for name in (key, address, f"n{address}", f"device {key}")}
    assert sum(one in content for one in prints) <= len(prints) // 100


def test_a_database_that_somebody_else_holds_is_unavailable_not_lost(tmp_path: Path) -> None:
    """A lock that does not go away answers UNAVAILABLE with a time to wait; afterwards the same transaction succeeds."""
    path = tmp_path / "registry.sqlite"
    store = SqliteStore(path)
    store._writer.execute("PRAGMA busy_timeout=50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="^UNAVAILABLE: store") as caught, store.transaction():
        raise AssertionError("not reached")
    assert caught.value.retry_after is not None
    other.execute("ROLLBACK")
    other.close()
    with store.transaction():
        assert store.member_id("upbit") == 1
    store.close()


def test_the_log_is_copied_back_and_begun_anew_between_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the writer, not in its commits: the database grows, the write-ahead log does not, and nothing is lost."""
    monkeypatch.setattr(sqlite_checkpoint, "PERIOD_SECONDS", 0.001)
    path, log = tmp_path / "registry.sqlite", tmp_path / "registry.sqlite-wal"
    store = SqliteStore(path)
    number = 0
    while path.stat().st_size < 2**20 or log.stat().st_size > number * 8_000 / 2:
        with store.transaction():
            store.write_document("text", f"{number:05}", "x" * 8_000)
        number += 1
        time.sleep(0.002)
        assert number < 5_000, "nothing was copied, or the log only grew"
    assert [name for name, _ in store.documents("text", limit=number + 1)] == [f"{n:05}" for n in range(number)]
    store.close()


def test_a_database_from_the_future_is_refused(tmp_path: Path) -> None:
    """A schema that this program does not know is not touched."""
    path = tmp_path / "registry.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(
        DaxaError, match=f"INVALID_CONFIGURATION: database: schema version up to {len(MIGRATIONS)}, this one is 99"
    ):
        SqliteStore(path)


def test_a_second_process_on_the_file_makes_what_the_first_remembers_worthless(tmp_path: Path) -> None:
    """Where somebody starts one after all: what either takes in is there, and not counted on rows that the other deleted."""
    one, two = (SqliteStore(tmp_path / "registry.sqlite") for _ in range(2))
    with one.transaction():
        member = one.member_id("upbit")
        one.absorb(member, [seen("k", "a")], fine)
    with two.transaction():
        assert not two.absorb(two.member_id("upbit"), [seen("k", "a")], fine).moved
        assert two.withdraw(member, fp("k"), 0, 2**32 - 1)[0] == 1
    with one.transaction():
        assert one.absorb(member, [seen("k", "a")], fine).moved
    grow(two, 1)
    grow(one, 1)
    assert (two.counts()["presence"], two.log_size()) == (1, 2)
    one.close()
    two.close()

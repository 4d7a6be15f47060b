"""What a store remembers is let go of with what leaves, no more and no less: it does as one that has just been opened."""

from __future__ import annotations

import gc
import itertools
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from daxa_core.model import Manner
from daxa_registry.store import sqlite_recall
from daxa_registry.store.interface import Store
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.sqlite import SqliteStore
from daxa_registry.store.sqlite_memory import Edge
from sightings import EDGES, IN_DOUBT, MISSING, NODES, SUBJECTS, UNNAMED, Open, fine, fp, seen

HOURS = "SELECT hour, member, active FROM activity WHERE active > 0 ORDER BY 1, 2"
HOUR = 1_000


def change(store: Store, chance: random.Random) -> tuple[list[object], set[object]]:
    """One transaction of everything that may come: what was answered, and glances at whom it moved."""
    told: list[object] = []
    glances: set[object] = set()
    with store.transaction():
        members = [store.member_id(name) for name in ("upbit", "bithumb", "coinone")]
        for _ in range(chance.randrange(1, 4)):
            key, member = f"k{chance.randrange(12)}", chance.choice(members)
            match chance.randrange(8):
                case 0:
                    first = chance.choice((0, HOUR + chance.randrange(12)))
                    told.append(store.withdraw(member, fp(key), first, 2**32 - 1)[0])
                case 1:
                    parts = [store.expire(HOUR + chance.randrange(8), 7) for _ in range(chance.randrange(1, 4))]
                    told += [part.ended for part in parts]
                case _:
                    sightings = [
                        seen(
                            f"k{chance.randrange(12)}",
                            f"a{chance.randrange(20)}",
                            HOUR + chance.randrange(12),
                            device=chance.choice(("d", "e", None)),
                            manner=chance.choice((Manner.USED, Manner.USED, Manner.USED, Manner.REJECTED)),
                            account=chance.choice((fp("x")[:16], fp("y")[:16], None)),
                            holder=chance.choice((fp("h"), fp("i"), None, None)),
                        )
                        for _ in range(chance.randrange(1, 9))
                    ]
                    absorbed = store.absorb(member, sightings, fine)
                    told.append((len(absorbed.moved), len(absorbed.grown)))
                    glances.update(glance[1:] for glance in store.glances(absorbed.moved))
    return told, glances


def bounded(monkeypatch: pytest.MonkeyPatch, kept: int, freed: int) -> None:
    """A memory of so many of each, of which so many are taken apart with a transaction."""
    for name in ("NODES_KEPT", "EDGES_KEPT", "SUBJECTS_KEPT", "ADDRESSES_KEPT"):
        monkeypatch.setattr(sqlite_recall, name, kept)
    monkeypatch.setattr(sqlite_recall, "FREED", freed)


@pytest.mark.parametrize("kept", [None, 8])
@pytest.mark.parametrize("seed", range(6))
def test_one_that_stays_open_does_as_one_that_is_opened_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, kept: int | None
) -> None:
    """The same sightings, withdrawals and retention leave the same rows, and say the same of whom they moved; also where it
    remembers little, and is still taking apart what it has dropped."""
    if kept is not None:
        bounded(monkeypatch, kept, 1)
    paths = tmp_path / "stays", tmp_path / "opened"
    stays = SqliteStore(paths[0], hub_size=5)
    for step in range(60):
        opened = SqliteStore(paths[1], hub_size=5)
        chances = random.Random(seed * 1_000 + step), random.Random(seed * 1_000 + step)
        (told, glances), (told_anew, glances_anew) = change(stays, chances[0]), change(opened, chances[1])
        assert told == told_anew
        assert glances >= glances_anew  # who is not at hand is not glanced at
        opened.close()
        for query in (EDGES, SUBJECTS, NODES, HOURS, MISSING, f"{UNNAMED} EXCEPT {IN_DOUBT}"):
            rows = []
            for path in paths:
                with closing(sqlite3.connect(path)) as database:
                    rows.append(database.execute(query).fetchall())
            assert rows[0] == rows[1]
            assert rows[0] == [] or query in (EDGES, SUBJECTS, NODES, HOURS)
    stays.close()


def rows(database: sqlite3.Connection | psycopg.Connection) -> list[object]:
    """What a database holds, by fingerprints, with nothing as empty bytes; the connection is closed."""
    with closing(database):
        found = [database.execute(query).fetchall() for query in (EDGES, SUBJECTS, NODES, HOURS)]
    return [[tuple(b"" if value == "" else value for value in row) for row in table] for table in found]


@pytest.mark.parametrize("kept", [None, 8])
@pytest.mark.parametrize("nodes", [1, 2])
def test_nodes_on_postgresql_do_as_one_file_that_is_opened_each_time(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, nodes: int, kept: int | None
) -> None:
    """One that stays, and two that write now the one and now the other: the same answers, the same rows."""
    if kept is not None:
        bounded(monkeypatch, kept, 1)
    path = tmp_path / "opened"
    stay = [PostgresStore(postgres_url, hub_size=5) for _ in range(nodes)]
    turns = random.Random(nodes)
    for step in range(40):
        chances = random.Random(step), random.Random(step)
        with closing(SqliteStore(path, hub_size=5)) as opened:
            told_anew, glances_anew = change(opened, chances[1])
        told, glances = change(turns.choice(stay), chances[0])
        assert told == told_anew
        assert glances >= glances_anew
        assert rows(psycopg.connect(postgres_url)) == rows(sqlite3.connect(path))
    for store in stay:
        store.close()


def test_what_is_dropped_goes_a_little_at_a_time_and_without_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edge and its record name each other: who waits for a collection to find them waits for one of everything."""
    bounded(monkeypatch, 500, 20)
    gc.collect()
    gc.disable()
    try:
        with closing(SqliteStore(":memory:")) as store:
            there: list[int] = []
            for batch in range(60):
                with store.transaction():
                    items = [seen(f"k{batch}-{n}", f"a{batch}-{n}", HOUR) for n in range(20)]
                    store.absorb(store.member_id("upbit"), items, fine)
                there.append(sum(type(one) is Edge for one in gc.get_objects()))
        assert max(there) <= 700, "five hundred that are remembered, and some that are being taken apart"
        freed = [before + 20 - after for before, after in itertools.pairwise(there)]
        assert max(freed) > 0
        assert max(freed) <= 20 + sqlite_recall.FREED_FOR_NEW * 3 * 20, "each new edge has a subject and an address"
    finally:
        gc.enable()


def test_what_came_before_a_withdrawal_in_one_transaction_is_seen(reopen: Open) -> None:
    """Of a place that was read before: the withdrawal of another key elsewhere does not make its new party forgotten."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        store.absorb(member, [seen("other", "b")], fine)
        assert [len(place.presences) for n in store.neighbourhoods([subject]) for place in n.places.values()] == [1]
    with store.transaction():
        store.absorb(member, [seen("new", "a")], fine)
        assert store.withdraw(member, fp("other"), 0, 2**32 - 1)[0] == 1
        assert [len(place.presences) for n in store.neighbourhoods([subject]) for place in n.places.values()] == [2]

"""A fingerprint leaves with the last row that names it, on every store; and what comes again is as on a fresh one."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from daxa_core.model import Kind, Level, Manner, Sighting
from daxa_registry.decision.ladder import START
from daxa_registry.store import sqlite_graph
from daxa_registry.store.interface import Store, StoredVerdict
from daxa_registry.store.sqlite import SqliteStore
from sightings import EDGES, IN_DOUBT, MISSING, NODES, SUBJECTS, UNNAMED, Open, fine, fp, seen

EVER = 2**32 - 1
HOUR = 1_000
MEMBERS = ("upbit", "bithumb")
KINDS = {f"node_{kind.name}" for kind in Kind}


def account(name: str) -> bytes:
    return name.encode().ljust(16, b"-")


def traffic(seed: int) -> list[tuple[str, list[Sighting]]]:
    """Batches of two members: keys on shared and own addresses, people whose holder and account change, failures, allow-lists."""
    chance = random.Random(seed)
    return [
        (
            chance.choice(MEMBERS),
            [
                seen(
                    f"key {chance.randrange(9)}",
                    f"address {chance.randrange(12)}",
                    HOUR + chance.randrange(40),
                    device=chance.choice(("device one", "device two", None)),
                    manner=chance.choice(tuple(Manner)),
                    holder=chance.choice((fp("holder one"), fp("holder two"), None)),
                    account=chance.choice((account("one"), account("two"), None)),
                )
                for _ in range(6)
            ],
        )
        for _ in range(30)
    ]


def take(store: Store, batches: Sequence[tuple[str, list[Sighting]]]) -> list[tuple[int, int]]:
    """Takes each batch in a transaction of its own: how many moved and grew with each."""
    told = []
    for name, batch in batches:
        with store.transaction():
            absorbed = store.absorb(store.member_id(name), batch, fine)
        told.append((len(absorbed.moved), len(absorbed.grown)))
    return told


def withdraw_all(store: Store) -> None:
    for name in MEMBERS:
        for key in range(9):
            with store.transaction():
                store.withdraw(store.member_id(name), fp(f"key {key}"), 0, EVER)


def expire_all(store: Store) -> None:
    walk(store, HOUR + 50)


def walk(store: Store, before_hour: int = 0, limit: int = 7) -> None:
    """The parts of retention until it ends."""
    ended = False
    while not ended:
        with store.transaction():
            ended = store.expire(before_hour, limit).ended


def rows(store: Store, path: Path, *queries: str) -> list[list[tuple[object, ...]]]:
    """What queries find in the whole database; ``path`` is a new file for it, and holds what is in use of it alone."""
    store.save(path)
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("VACUUM")
        return [copy.execute(query).fetchall() for query in queries]


@pytest.mark.parametrize("end", [withdraw_all, expire_all])
def test_of_what_was_withdrawn_or_has_expired_no_fingerprint_is_left_and_it_comes_again_as_if_new(
    reopen: Open, tmp_path: Path, end: Callable[[Store], None]
) -> None:
    """No byte of any kind, and no account; then the same traffic makes the same rows, and moves the same, as on a fresh store."""
    store = reopen()
    batches = traffic(1)
    take(store, batches)
    end(store)
    walk(store)
    assert rows(store, tmp_path / "after", NODES, SUBJECTS, EDGES) == [[], [], []]
    content = (tmp_path / "after").read_bytes()
    named = {
        one
        for _, batch in batches
        for s in batch
        for one in (s.key, s.address, s.network, s.device, s.holder, s.account)
    }
    assert not [one for one in named if one and one in content]
    with closing(SqliteStore(tmp_path / "fresh", hub_size=8)) as fresh:
        again = traffic(2)
        assert take(store, again) == take(fresh, again)
        there, expected = (
            rows(one, tmp_path / name, NODES, SUBJECTS, EDGES) for one, name in ((store, "a"), (fresh, "b"))
        )
    assert there == expected
    assert there[0]


def test_what_another_row_names_stays_until_that_leaves_too(reopen: Open) -> None:
    """Of two keys with one client stack, network and holder: also in a store that is opened anew in between."""
    store = reopen()
    both = [seen(key, "a", device="d", holder=fp("h")) for key in ("one", "two")]
    take(store, [("upbit", both)])
    left = []
    for key in ("one", "two"):
        with store.transaction():
            store.withdraw(store.member_id("upbit"), fp(key), 0, EVER)
        walk(store)
        counts = store.counts()
        left.append({name: counts[name] for name in KINDS})
        store = reopen()
    assert left == [dict.fromkeys(KINDS, 1), dict.fromkeys(KINDS, 0)]


def test_hours_that_are_left_keep_what_they_name(reopen: Open) -> None:
    """A presence that is shortened is still one; the second withdrawal takes the rest."""
    store = reopen()
    take(store, [("upbit", [seen("k", "a", hour, holder=fp("h")) for hour in (HOUR, HOUR + 5)])])
    left = []
    for last in (HOUR, HOUR, EVER):
        with store.transaction():
            store.withdraw(store.member_id("upbit"), fp("k"), 0, last)
        walk(store)
        left.append({store.counts()[name] for name in KINDS})
    assert left == [{1}, {1}, {0}]


def test_what_is_seen_again_during_a_walk_stays(reopen: Open) -> None:
    """Before its turn, and while what nothing names leaves, a few with each part; what is not seen again leaves."""
    store = reopen()
    names = [f"d{n}" for n in range(7)]
    take(store, [("upbit", [seen("k", "a", device=name) for name in names] + [seen(f"o{n}", "b") for n in range(3)])])
    with store.transaction():
        store.withdraw(store.member_id("upbit"), fp("k"), 0, EVER)
    for name in ("d0", "d1", "d2"):
        with store.transaction():
            assert not store.expire(0, 2).ended
        take(store, [("upbit", [seen(f"again {name}", "c", device=name)])])
    walk(store, limit=2)
    assert [name for name in names if store.node(Kind.DEVICE, fp(name)) is not None] == ["d0", "d1", "d2"]


def test_no_new_presence_is_behind_the_walk(reopen: Open, tmp_path: Path) -> None:
    """Where the newest presences are gone, and the store is opened anew, their numbers would be given again."""
    store = reopen()
    take(store, [("upbit", [seen("x", "a", device="d"), *(seen(f"k{n}", "b", device="e") for n in range(4))])])
    with store.transaction():
        store.withdraw(store.member_id("upbit"), fp("x"), 0, EVER)
        assert not store.expire(0, 4).ended
        for n in range(4):
            store.withdraw(store.member_id("upbit"), fp(f"k{n}"), 0, EVER)
    store = reopen()
    take(store, [("upbit", [seen("x", "a", device="d")])])
    with store.transaction():
        assert store.expire(0, 4).ended
    assert rows(store, tmp_path / "copy", MISSING) == [[]]
    assert store.node(Kind.DEVICE, fp("d")) is not None


@pytest.mark.parametrize("damaged", ["x y", "7 x"])
def test_a_walk_that_cannot_be_read_begins_anew(reopen: Open, tmp_path: Path, damaged: str) -> None:
    """What was in doubt leaves at the end of the next one, and nothing that is named."""
    store = reopen()
    for name, batch in traffic(1):
        with store.transaction():
            store.absorb(store.member_id(name), batch, fine)
    walk(store)
    walk(store)
    with store.transaction():
        store.withdraw(store.member_id("upbit"), fp("key 1"), 0, EVER)
        assert not store.expire(0, 3).ended
        store.write_document("retention", "walk", damaged, replace=True)
    store = reopen()
    walk(store)
    walk(store)
    assert rows(store, tmp_path / "end", MISSING, UNNAMED) == [[], []]


def test_a_holder_whom_nobodys_key_has_any_more_leaves(reopen: Open) -> None:
    """When the member says that it is somebody else: at once, and only the last key's holder; also within one batch."""
    store = reopen()
    take(store, [("upbit", [seen("k", "a", holder=fp("h1")), seen("l", "a", holder=fp("h1"))])])
    seen_holders = []
    for batch in (
        [seen("k", "a", holder=fp("h2"))],
        [seen("l", "a", holder=fp("h2"))],
        [seen("k", "a", holder=fp("h3")), seen("k", "a", holder=fp("h4")), seen("k", "a", holder=fp("h2"))],
        [seen("k", "a", holder=fp("h1"))],
    ):
        take(store, [("upbit", batch)])
        seen_holders.append(
            [name for name in ("h1", "h2", "h3", "h4") if store.node(Kind.HOLDER, fp(name)) is not None]
        )
    assert seen_holders == [["h1", "h2"], ["h2"], ["h2"], ["h1", "h2"]]


def test_a_network_that_contradicts_a_known_presence_is_not_stored(reopen: Open) -> None:
    """Of the same key, address and client stack, told by a store that has just been opened: the first network stands."""
    store = reopen()
    take(store, [("upbit", [seen("k", "a")])])
    store = reopen()
    take(store, [("upbit", [seen("k", "a", HOUR + 1)._replace(network=fp("another"))])])
    assert store.counts()["node_NETWORK"] == 1
    assert store.node(Kind.NETWORK, fp("another")) is None


def test_a_key_that_was_told_a_verdict_keeps_neither_account_nor_holder(reopen: Open, tmp_path: Path) -> None:
    """Its row stays with its verdict, as a key that its exchange knew; of whose it was nothing is left."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        mine = [seen("told", "a", account=account("mine"), holder=fp("h")), seen("by", "a")]
        [told, by] = store.absorb(member, mine, fine).subjects
        assert told is not None
        assert by is not None
        store.append_verdict(StoredVerdict(told, member, 1, Level.WARN, 50, b"body", b"evidence"))
        store.save_ladder(told, START, 9)
        list(store.neighbourhoods([by]))  # remembers whose the other key is
    with store.transaction():
        store.withdraw(member, fp("told"), 0, EVER)
    [[subject]] = rows(store, tmp_path / "after", "SELECT account, holder FROM subject WHERE sequence>0")
    assert subject == (b"", None)
    content = (tmp_path / "after").read_bytes()
    assert [one in content for one in (account("mine"), fp("h"), fp("told"))] == [False, False, True]
    assert store.current_verdicts(member, [fp("told")]) == {fp("told"): b"body"}
    assert store.only_refused("upbit", [fp("told")]) == frozenset()
    with store.transaction():
        again = store.absorb(member, [seen("told", "a", account=account("new"), holder=fp("h2"))], fine)
        assert again.subjects == (told,)
        [neighbourhood] = store.neighbourhoods([by])
    [place] = neighbourhood.places.values()
    [there] = [p.subject for p in place.presences if p.subject.id == told]
    assert (there.account, there.holder) == (account("new"), store.node(Kind.HOLDER, fp("h2")))


def test_whose_key_it_is_now_is_seen_where_the_place_was_forgotten(
    reopen: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place is forgotten sooner than who was there, of whom the old account and holder must not be believed."""
    monkeypatch.setattr(sqlite_graph, "PLACES_CACHED", -1)
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        batch = [seen("k", "a", account=account("one"), holder=fp("h1")), seen("by", "a"), seen("far", "b")]
        [key, by, far] = store.absorb(member, batch, fine).subjects
        for subject in (by, far):
            list(store.neighbourhoods([subject or 0]))
        store.absorb(member, [seen("k", "a", account=account("two"), holder=fp("h2"))], fine)
        [neighbourhood] = store.neighbourhoods([by or 0])
    [there] = {p.subject for place in neighbourhood.places.values() for p in place.presences if p.subject.id == key}
    assert (there.account, there.holder) == (account("two"), store.node(Kind.HOLDER, fp("h2")))


def test_an_address_that_was_only_declared_leaves_with_the_declaration(reopen: Open) -> None:
    """And stays as long as either holds."""
    store = reopen()
    there = []
    for used, until in ((False, 500), (True, 500), (True, 0), (True, 500), (False, 500), (False, 0)):
        with store.transaction():
            member = store.member_id("upbit")
            if used:
                store.absorb(member, [seen("k", "a")], fine)
            else:
                store.withdraw(member, fp("k"), 0, EVER)
            store.infrastructure(Kind.ADDRESS, fp("a"), "bots", until)
        there.append(store.node(Kind.ADDRESS, fp("a")) is not None)
    assert there == [True, True, True, True, True, False]


@pytest.mark.parametrize("seed", range(3))
def test_no_row_names_what_is_not_there_and_what_no_row_names_is_in_doubt(
    reopen: Open, tmp_path: Path, seed: int
) -> None:
    """After whatever came, was withdrawn in part and expired, in the midst of walks; at the end of the last one it is gone."""
    store = reopen()
    chance = random.Random(seed)
    for number, (name, batch) in enumerate(traffic(seed) + traffic(seed + 1)):
        with store.transaction():
            store.absorb(store.member_id(name), batch, fine)
            key = fp(f"key {chance.randrange(9)}")
            store.withdraw(store.member_id(chance.choice(MEMBERS)), key, 0, HOUR + chance.randrange(60))
            store.expire(HOUR + chance.randrange(10), chance.randrange(1, 40))
        assert rows(store, tmp_path / str(number), MISSING, f"{UNNAMED} EXCEPT {IN_DOUBT}") == [[], []]
        if number % 7 == 0:
            store = reopen()
    walk(store)
    walk(store)
    assert rows(store, tmp_path / "end", MISSING, UNNAMED) == [[], []]

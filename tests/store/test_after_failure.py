"""What a failure must not leave behind, on every store: numbers, memory, or anything of whoever was withdrawn."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import psycopg
import pytest

from daxa_core.errors import DaxaError
from daxa_core.model import Level
from daxa_registry.decision.ladder import START
from daxa_registry.store.interface import StoredVerdict
from daxa_registry.store.sqlite import SqliteStore
from sightings import Open, fine, fp, seen

T = TypeVar("T")


def elsewhere(work: Callable[[], T], meanwhile: Callable[[], None] = lambda: None) -> T:
    """What that comes to on another thread; ``meanwhile`` runs on this one, after a moment."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        threading.Event().wait(0.1)
        meanwhile()
        return future.result(60)


def test_a_member_number_that_was_rolled_back_was_given_to_nobody(reopen: Open) -> None:
    """Who asks while it is not committed yet gets the number that stays: with the other it would be told another's verdicts."""
    store = reopen()
    told: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
            store.member_id("upbit")
            asked = pool.submit(store.member_id, "upbit")
            threading.Event().wait(0.1)
            raise RuntimeError
        told.append(asked.result(60))
    with store.transaction():
        other = store.member_id("bithumb")
    assert store.members() == {told[0]: "upbit", other: "bithumb"}
    assert store.member_id("upbit") == told[0]


def test_who_reads_beside_a_transaction_sees_what_was_committed(reopen: Open) -> None:
    """Standings, ladders, batches and bodies too, and nothing is written for them in the writer's name."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        store.append_verdict(StoredVerdict(subject, member, 1, Level.MONITOR, 50, b"first", b""))
    with store.transaction():
        store.append_verdict(StoredVerdict(subject, member, 2, Level.WARN, 50, b"second", b""))
        store.save_ladder(subject, replace(START, level=Level.WARN), 7)
        assert elsewhere(lambda: store.standings([subject])[subject].sequence) == 1
        assert elsewhere(lambda: store.ladder([subject])) == {}
        assert elsewhere(lambda: store.verdicts_at(member, [1, 2])) == [b"first"]
        assert elsewhere(lambda: store.find_batch(member, b"i" * 16)) is None
        assert store.standings([subject])[subject].sequence == 2
    assert store.standings([subject])[subject].sequence == 2


def test_what_could_not_be_forgotten_at_once_is_forgotten_before_anything_is_taken(
    reopen: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next sighting of an edge that was rolled back would be acknowledged, and counted on a row that is not there."""
    store = reopen()
    absorber = store._absorber  # type: ignore[attr-defined]
    forget = absorber.forget
    failures: list[Exception] = [
        sqlite3.OperationalError() if isinstance(store, SqliteStore) else psycopg.OperationalError()
    ]

    def fails_first() -> None:
        if failures:
            raise failures.pop()
        forget()

    monkeypatch.setattr(absorber, "forget", fails_first)
    with pytest.raises((RuntimeError, DaxaError)), store.transaction():  # noqa: PT012
        store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
        raise RuntimeError
    for _ in range(3):
        try:
            with store.transaction():
                store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
            break
        except DaxaError:
            continue
    assert store.counts()["presence"] == 1


def test_nothing_of_a_withdrawn_key_is_left_for_who_gets_its_number(reopen: Open) -> None:
    """Its grace period above all: another's key would begin halfway up the ladder."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        store.save_ladder(subject, replace(START, deadline=99), 100)
    with store.transaction():
        assert store.withdraw(member, fp("k"), 0, 2**32 - 1)[0] == 1
    counts = store.counts()
    assert (counts["subject"], counts["node_KEY"], counts["node_ADDRESS"]) == (0, 0, 0)
    store = reopen()  # numbers go on from those that are there
    with store.transaction():
        [again] = store.absorb(member, [seen("l", "b")], fine).moved
        assert (again, store.ladder([again])) == (subject, {})


def test_hours_are_counted_right_on_both_sides_of_a_round_number(reopen: Open) -> None:
    """Two devices in one hour are one hour, also in January 2027, when the hours since the epoch pass 500,000."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        one = [seen("k", "a", hour, device="d") for hour in (499_998, 499_999, 500_000)]
        other = [seen("k", "a", hour, device="e") for hour in (500_000, 500_001)]
        [subject] = store.absorb(member, [*one, *other], fine).moved
        store.withdraw(member, fp("k"), 499_998, 499_998)
        [neighbourhood] = store.neighbourhoods([subject])
    assert neighbourhood.subject.hours == 3

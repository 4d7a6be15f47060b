"""A standby that is lost: commits wait for it for as long as it takes, and nobody who only looks something up does."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest

import postgres
from daxa_core.errors import Unavailable
from daxa_core.model import Level
from daxa_registry.store.interface import StoredVerdict
from daxa_registry.store.postgres import PostgresStore
from sightings import fine, fp, grow, seen

SOON = 60
"""Seconds within which what waits for nothing is there, also on a busy machine; what waits for the standby never is."""
T = TypeVar("T")


class Lost:
    """A registry whose primary waits for a standby that nobody is."""

    def __init__(self, server: postgres.PostgresServer) -> None:
        self.url = server.create_database()
        self.store = PostgresStore(self.url)
        with self.store.transaction():
            self.member = self.store.member_id("upbit")
            [self.subject] = self.store.absorb(self.member, [seen("k", "a")], fine).moved
            self.tell(1)
        self.operator = psycopg.connect(server.url, autocommit=True)
        postgres.lose_standby(self.operator)
        self.pool = ThreadPoolExecutor(4)

    def tell(self, sequence: int) -> None:
        self.store.append_verdict(StoredVerdict(self.subject, self.member, sequence, Level.WARN, 50, b"body", b""))

    def hang(self, work: Callable[[], T]) -> Future[T]:
        """Begins something whose commit waits for the standby."""
        hanging = self.pool.submit(work)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event='SyncRep' AND datname=%s"
        until = time.monotonic() + 60
        while not self.operator.execute(waiting, (urlsplit(self.url).path[1:],)).fetchall():
            assert time.monotonic() < until
            assert not hanging.done()
        return hanging

    def soon(self, work: Callable[[], T]) -> T:
        return self.pool.submit(work).result(SOON)

    def look_up(self) -> None:
        """Everything that a member looks up is answered."""
        assert self.soon(lambda: self.store.head(self.member)) == 1
        assert self.soon(lambda: self.store.current_verdicts(self.member, [fp("k")])) == {fp("k"): b"body"}
        assert self.soon(lambda: self.store.verdicts_after(self.member, 0, 5)) == [(1, b"body")]

    def end(self) -> None:
        self.operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
        self.operator.execute("SELECT pg_reload_conf()")


@pytest.fixture
def lost(tmp_path: Path) -> Iterator[Lost]:
    server = postgres.PostgresServer.start(tmp_path / "postgres", settings=())
    try:
        made = Lost(server)
        yield made
        made.end()
        made.pool.shutdown()
        made.store.close()
        made.operator.close()
    finally:
        server.stop()


def test_a_commit_that_waits_for_a_standby_stops_no_look_up_and_no_notice(lost: Lost) -> None:
    """What peers have spent of their limits is told to the other nodes all the same, and waits for nobody's disk."""
    heard: queue.Queue[str] = queue.Queue()
    with contextlib.closing(PostgresStore(lost.url)) as other:
        other.share(lambda: None, lambda heads: None, heard.put)
        committing = lost.hang(lambda: grow(lost.store, 1))
        lost.look_up()
        while True:  # until the other one listens
            lost.soon(lambda: lost.store.notify("spent"))
            with contextlib.suppress(queue.Empty):
                assert heard.get(timeout=0.2) == "spent"
                break
        lost.look_up()
        assert not committing.done()
        lost.end()
        assert len(committing.result(SOON)) == 1


def test_a_notice_that_waits_for_a_commit_with_news_stops_no_look_up(lost: Lost) -> None:
    """PostgreSQL hands such commits on one after the other: the notice gives up after a while, and nobody else waits with it."""

    def news() -> None:
        with lost.store.transaction():
            lost.tell(2)

    committing = lost.hang(news)
    telling = lost.pool.submit(lost.store.notify, "spent")
    while not telling.done():
        lost.look_up()
    with pytest.raises(Unavailable):
        telling.result()
    assert not committing.done()
    lost.end()
    committing.result(SOON)
    lost.store.notify("spent")


def test_a_member_that_is_new_while_the_standby_is_lost_stops_no_look_up(lost: Lost) -> None:
    """Its number is no number before it is where the failover will look for it."""
    numbering = lost.hang(lambda: lost.store.member_id("bithumb"))
    lost.look_up()
    assert not numbering.done()
    lost.end()
    assert numbering.result(SOON) == lost.member + 1

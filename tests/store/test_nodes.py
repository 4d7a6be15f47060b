"""Several stores on one PostgreSQL: each sees what the others wrote, and what one loses is nobody else's loss."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

import deployment
import postgres
from daxa_core import merkle
from daxa_core.errors import ConfigurationError, Unavailable
from daxa_core.leaks import LeakState, Tlp
from daxa_core.model import Kind, Level
from daxa_registry.store import postgres_rows
from daxa_registry.store.interface import StoredBatch, StoredVerdict
from daxa_registry.store.leak_interface import StoredLeak
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.postgres_schema import MIGRATION_LOCK, MIGRATIONS
from daxa_registry.store.postgres_signals import HEADS, NOTICES
from sightings import IN_DOUBT, MISSING, NODES, UNNAMED, fine, fp, grow, seen

Node = Callable[[], PostgresStore]


@pytest.fixture
def node(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """Opens one more node on the same database. It waits for its turn as long as it takes, however busy the machine is."""
    monkeypatch.setitem(postgres_rows.SETTINGS, "lock_timeout", "60s")
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(PostgresStore(postgres_url, hub_size=8)))


def test_what_one_node_remembers_is_forgotten_when_another_has_written(node: Node) -> None:
    """Nodes, subjects, presences, counters and verdicts: each node goes on from what the other left."""
    one, two = node(), node()
    with one.transaction():
        member = one.member_id("upbit")
        [subject] = one.absorb(member, [seen("k", "a", 1_000)], fine).moved
    with two.transaction():
        assert two.member_id("upbit") == member
        assert not two.absorb(member, [seen("k", "a", 1_000)], fine).moved
        assert two.absorb(member, [seen("k", "a", 1_001), seen("l", "a", 1_000)], fine).moved
        two.append_verdict(StoredVerdict(subject, member, 1, Level.WARN, 50, b"body", b"evidence"))
        assert two.find_batch(member, b"i" * 16) is None
        two.save_batch(member, b"i" * 16, StoredBatch(b"d" * 32, 3, (), (1,)), 100)
    with one.transaction():
        assert one.find_batch(member, b"i" * 16) == StoredBatch(b"d" * 32, 3, (), (1,))
        assert one.standings([subject])[subject].level is Level.WARN
        assert one.sequences([subject]) == {subject: 1}
        assert not one.absorb(member, [seen("k", "a", 1_001)], fine).moved
        [neighbourhood] = one.neighbourhoods([subject])
    assert one.standings([subject])[subject].sequence == 1
    [place] = neighbourhood.places.values()
    assert (place.subjects, sum(p.count for p in neighbourhood.own)) == (2, 4)
    with pytest.raises(AssertionError), one.transaction():
        one.append_verdict(StoredVerdict(subject, member, 1, Level.WARN, 50, b"", b""))


def test_a_leak_that_one_node_brings_into_force_speaks_at_the_others(node: Node) -> None:
    """At the next batch, and as long as it is in force; though nothing had to be asked between two batches of one's own."""
    one, two = node(), node()

    def batch() -> frozenset[int]:
        with two.transaction():
            two.absorb(two.member_id("upbit"), [seen("k", "a")], fine)
            found = two.of_leaked_keys(two.all_subjects())
            assert set(two.leaks_of(sorted(two.all_subjects()))) == found
        return found

    assert batch() == batch() == frozenset()
    leak = StoredLeak(0, b"i" * 16, 0, "one", "a paste", 1_000, Tlp.AMBER, 2_000)
    for state, speaks in ((LeakState.IN_FORCE, True), (LeakState.WITHDRAWN, False)):
        with one.transaction():
            if state is LeakState.IN_FORCE:
                leak = one.open_leak(leak)
                one.add_leaked(leak.number, [fp("k")])
            one.save_leak(dataclasses.replace(leak, state=state, digest=b"d" * 32))
        assert bool(batch()) is speaks
        assert bool(batch()) is speaks


def test_the_log_has_one_order_whoever_writes(node: Node) -> None:
    """Three nodes at once: every index once, and the stored hashes make the root of the leaves in that order."""
    nodes = [node(), node(), node()]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda store: grow(store, 20), nodes))
    store = nodes[0]
    leaves = store.leaves(0, 100)
    assert [leaf.index for leaf in leaves] == list(range(60))
    frontier = merkle.Frontier()
    for leaf in leaves:
        frontier.append(merkle.leaf_hash(leaf.body))
    assert frontier.root() == merkle.root_at(60, store.tree_hashes)


def test_nodes_that_take_in_the_same_at_once_count_it_all_once(node: Node) -> None:
    """No deadlock, no double node, no lost count: as one node would have it."""
    nodes = [node(), node(), node()]

    def submit(store: PostgresStore) -> None:
        for turn in range(8):
            with store.transaction():
                member = store.member_id("upbit")
                store.absorb(member, [seen(f"k{i}", f"a{(i * turn) % 5}", 1_000 + turn) for i in range(12)], fine)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(submit, nodes))
    again = node()
    with again.transaction():
        counted = sum(p.count for n in again.neighbourhoods(list(again.all_subjects())) for p in n.own)
    assert (counted, again.counts()["node_KEY"], again.counts()["subject"]) == (3 * 8 * 12, 12, 12)


def test_other_nodes_are_told_whose_verdicts_moved_after_the_commit(node: Node) -> None:
    """Not of what was rolled back; and who begins to listen is told every head, so that no gap is left."""
    writer, listener = node(), node()
    heard: list[dict[int, int]] = []
    told = threading.Event()

    def hear(heads: dict[int, int]) -> None:
        heard.append(heads)
        if heads:
            told.set()

    with writer.transaction():
        member = writer.member_id("upbit")
        [subject] = writer.absorb(member, [seen("k", "a")], fine).moved
        writer.append_verdict(StoredVerdict(subject, member, 1, Level.WARN, 50, b"", b""))
    turns: list[int] = []
    notices: queue.Queue[str] = queue.Queue()
    listener.share(lambda: turns.append(1), hear, notices.put)
    assert told.wait(60)
    assert heard == [{member: 1}]
    told.clear()
    with pytest.raises(RuntimeError), writer.transaction():  # noqa: PT012
        writer.append_verdict(StoredVerdict(subject, member, 2, Level.WARN, 50, b"", b""))
        raise RuntimeError
    with writer.transaction():
        writer.append_verdict(StoredVerdict(subject, member, 2, Level.CLEAR, 50, b"", b""))
    assert told.wait(60)
    assert heard == [{member: 1}, {member: 2}]
    for _ in range(2):
        with listener.transaction():
            pass
    assert turns == [1]
    listener.notify("of its own")
    writer.notify("a notice")
    assert notices.get(timeout=60) == "a notice"


def test_what_no_node_tells_is_passed_over_and_the_next_is_heard(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody with the database's password may say anything on these channels; the thread that listens outlives it."""
    writer, listener = node(), node()
    heard: list[dict[int, int]] = []
    notices: queue.Queue[str] = queue.Queue()
    listener.share(lambda: None, heard.append, notices.put)
    deployment.wait_for(lambda: heard)  # it listens
    assert isinstance(writer, PostgresStore)
    for payload in (
        "",
        "no JSON",
        "[]",
        "7",
        '["node", [1]]',
        '["node", 5]',
        '["node", {}]',
        '["node", ["1", "2"]]',
        "[" * 3_000,
    ):
        for channel in (HEADS, NOTICES):
            writer._reader.execute("SELECT pg_notify(?, ?)", (channel, payload))
    writer.notify("a notice")
    assert notices.get(timeout=60) == "a notice"
    assert len(heard) == 1
    assert "what was told on daxa_heads is passed over: INVALID_VALUE: signal" in caplog.text


def test_work_for_one_node_alone_is_done_by_one(node: Node) -> None:
    """The second finds it taken until the first has ended it, or is gone."""
    one, two = node(), node()
    with one.only_here("sweep") as first, two.only_here("sweep") as second, two.only_here("other") as other:
        assert (first, second, other) == (True, False, True)
    with two.only_here("sweep") as mine:
        assert mine
        two.close()
    deployment.wait_for(lambda: sweeps(one))  # the server has to see that its connection ended


def sweeps(store: PostgresStore) -> bool:
    with store.only_here("sweep") as mine:
        return mine


def test_a_node_that_dies_in_its_turn_leaves_nothing_and_holds_nobody_up(node: Node) -> None:
    """Its connection ends: what it had written is gone, and the next node has its turn."""
    one, two = node(), node()
    with pytest.raises(Unavailable, match="^UNAVAILABLE: store"), one.transaction():  # noqa: PT012
        one.absorb(one.member_id("upbit"), [seen("k", "a")], fine)
        one._absorber.flush()
        backend = one._connection.raw.info.backend_pid
        two._connection.execute("SELECT pg_terminate_backend(?::int)", (backend,))
        one.counts()
    with two.transaction():
        assert two.absorb(two.member_id("upbit"), [seen("k", "a")], fine).moved
    with one.transaction():
        assert not one.absorb(one.member_id("upbit"), [seen("k", "a")], fine).moved


def looked_up(ask: Callable[[], int]) -> int:
    """The answer to a look-up, which is told UNAVAILABLE as long as a thread connects."""
    answers: list[int] = []

    def answered() -> bool:
        with contextlib.suppress(Unavailable):
            answers.append(ask())
        return bool(answers)

    deployment.wait_for(answered)
    return answers[0]


def test_a_server_that_restarts_is_unavailable_and_then_goes_on(tmp_path: Path) -> None:
    """Writing and reading, through the store that was open all the time; what was committed is there."""
    server = postgres.PostgresServer.start(tmp_path / "postgres", settings=())
    try:
        store = PostgresStore(server.create_database())
        grow(store, 3)
        server.kill()
        for _ in range(2):
            with pytest.raises(Unavailable), store.transaction():
                raise AssertionError("not reached")
            with pytest.raises(Unavailable):
                store.log_size()
        server.restart()
        grow(store, 2)
        assert looked_up(store.log_size) == 5
        store.close()
    finally:
        server.stop()


def test_a_turn_that_somebody_keeps_is_unavailable_and_not_waited_for_longer(node: Node, postgres_url: str) -> None:
    """As with a locked file: a time to wait, nothing changed, and it goes on when the lock is gone."""
    store = node()
    store._connection.execute("SET lock_timeout='50ms'")
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT * FROM turn FOR UPDATE")
        with pytest.raises(Unavailable) as caught, store.transaction():
            raise AssertionError("not reached")
    assert caught.value.retry_after is not None
    grow(store, 1)


def test_a_database_from_the_future_is_refused_untouched(postgres_url: str) -> None:
    """And one that holds tables without their version, as somebody's half-done work leaves it."""
    PostgresStore(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute("INSERT INTO schema_version VALUES (99)")
        with pytest.raises(
            ConfigurationError, match=f"database: schema version up to {len(MIGRATIONS)}, this one is 99: use"
        ):
            PostgresStore(postgres_url)
        database.execute("DELETE FROM schema_version")
        with pytest.raises(
            ConfigurationError, match=r"database: an empty database, or a registry's with all its tables"
        ):
            PostgresStore(postgres_url)
        assert database.execute("SELECT count(*) FROM schema_version").fetchone() == (0,)


def test_every_node_that_starts_at_once_finds_the_tables_made_once(postgres_url: str) -> None:
    """The migrations of nodes that start together wait for each other."""
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: PostgresStore(postgres_url), range(4)))
    assert [store.counts()["subject"] for store in stores] == [0] * 4
    for store in stores:
        store.close()


def test_a_node_waits_for_as_long_as_another_migrates(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large database takes longer than the patience for any other lock."""
    monkeypatch.setattr(postgres_rows, "SETTINGS", {"lock_timeout": "50ms"})
    with psycopg.connect(postgres_url) as migrating, ThreadPoolExecutor(1) as pool:
        migrating.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        opening = pool.submit(PostgresStore, postgres_url)
        threading.Event().wait(0.5)
        assert not opening.done()
        migrating.rollback()
        opening.result(60).close()


def test_a_transaction_whose_error_was_swallowed_is_not_answered_as_committed(node: Node) -> None:
    """PostgreSQL rolls such a one back at COMMIT without an error: what was written is gone, and must not be acknowledged."""
    store = node()
    with pytest.raises(Unavailable), store.transaction():  # noqa: PT012
        store.write_document("text", "a", "b")
        with contextlib.suppress(psycopg.Error):
            store._connection.execute("SELECT 1/0")
    assert store.document("text", "a") is None
    grow(store, 1)


def test_a_commit_whose_wait_for_the_standby_was_cut_short_is_not_acknowledged(tmp_path: Path) -> None:
    """PostgreSQL answers it with a warning; a failover would lose it. It is UNAVAILABLE, and comes again under its batch id."""
    server = postgres.PostgresServer.start(tmp_path / "postgres", settings=())
    try:
        url = server.create_database()
        store = PostgresStore(url)
        with psycopg.connect(server.url, autocommit=True) as operator, ThreadPoolExecutor(1) as pool:
            postgres.lose_standby(operator)
            committing = pool.submit(grow, store, 1)
            cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event='SyncRep' AND datname=%s"
            while not operator.execute(cancel, (urlsplit(url).path[1:],)).fetchall():
                assert not committing.done()
            with pytest.raises(Unavailable):
                committing.result(60)
        assert store.log_size() == 1
        store.close()
    finally:
        server.stop()


def test_turns_are_taken_whatever_isolation_the_server_has_by_default(node: Node, postgres_url: str) -> None:
    """With an older snapshot a node that waited for its turn would not see what was written in the one before."""
    with psycopg.connect(postgres_url, autocommit=True) as database:
        [name] = database.execute("SELECT current_database()").fetchone() or [""]
        database.execute(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation='serializable'")
        database.execute(f'ALTER DATABASE "{name}" SET statement_timeout=1')
    nodes = [node(), node()]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda store: grow(store, 20), nodes))
    assert nodes[0].log_size() == 40


def test_hours_counted_before_they_were_counted_by_member_are_counted_again(node: Node, postgres_url: str) -> None:
    """The migration reads them out of the presences that are there."""
    store = node()
    with store.transaction():
        for name in ("upbit", "bithumb"):
            store.absorb(store.member_id(name), [seen("k", "a", hour) for hour in (1_000, 1_007, 1_008, 1_031)], fine)
    store.close()
    counted = [(hour, member, 1) for hour in (1_000, 1_007, 1_008, 1_031) for member in (1, 2)]
    with psycopg.connect(postgres_url, autocommit=True) as database:
        assert database.execute("SELECT * FROM activity ORDER BY hour, member").fetchall() == counted
        database.execute("DROP TABLE activity")
        database.execute("DROP INDEX presence_refused")
        database.execute("CREATE TABLE activity (hour bigint PRIMARY KEY, active bigint NOT NULL)")
        database.execute("DROP TABLE doubtful")
        database.execute("DROP INDEX subject_holder")
        database.execute("UPDATE schema_version SET version=2")
    node().close()
    with psycopg.connect(postgres_url) as database:
        assert database.execute("SELECT * FROM activity ORDER BY hour, member").fetchall() == counted


def test_a_database_from_before_fingerprints_left_lets_go_of_those_that_nothing_names(
    node: Node, postgres_url: str
) -> None:
    """Holders at once, networks and client stacks with the first walk through all presences."""
    store = node()
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen("k", "a", device="d", holder=fp("h"))], fine)
    store.close()
    with psycopg.connect(postgres_url, autocommit=True) as database:
        stored = database.execute(NODES).fetchall()
        database.execute("DROP TABLE doubtful; DROP INDEX subject_holder; DROP INDEX presence_refused")
        database.execute("UPDATE schema_version SET version=3")
        for kind in (3, 4, 5):
            database.execute("INSERT INTO node (id, kind, fingerprint) VALUES (%s, %s, 'nobody')", (90 + kind, kind))
    store = node()
    assert [store.counts()[f"node_{kind.name}"] for kind in (Kind.NETWORK, Kind.DEVICE, Kind.HOLDER)] == [2, 2, 1]
    with store.transaction():
        assert store.expire(0, 10).ended
    with psycopg.connect(postgres_url) as database:
        assert database.execute(NODES).fetchall() == stored


def test_what_nodes_in_turn_let_go_of_is_what_nothing_names_whoever_takes_in_meanwhile(
    node: Node, postgres_url: str, tmp_path: Path
) -> None:
    """Each does a part of the walk, withdraws and takes in again what the others have let go of, or are about to."""
    nodes = [node(), node(), node()]
    chance = random.Random(8)
    gone = 0
    for step in range(60):
        store = chance.choice(nodes)
        before = store.counts()["node_DEVICE"]
        with store.transaction():
            member = store.member_id("upbit")
            if chance.random() < 0.4:
                store.withdraw(member, fp(f"k{chance.randrange(6)}"), 0, 2**32 - 1)
            elif chance.random() < 0.5:
                keys = (chance.randrange(6), chance.randrange(6))
                batch = [
                    seen(f"k{n}", f"a{n}", device=f"d{chance.randrange(6)}", holder=fp(f"h{n // 2}")) for n in keys
                ]
                store.absorb(member, batch, fine)
            store.expire(0, 3)
        gone += max(before - store.counts()["node_DEVICE"], 0)
        store.save(tmp_path / str(step))
        with contextlib.closing(sqlite3.connect(tmp_path / str(step))) as copy:
            assert copy.execute(MISSING).fetchall() == copy.execute(f"{UNNAMED} EXCEPT {IN_DOUBT}").fetchall() == []
    assert gone > 5


def test_the_settings_are_in_force_before_the_first_statement_whatever_the_url_says(
    node: Node, postgres_url: str
) -> None:
    """``SET`` would itself be cut short by a server whose own limit is short."""
    asked = f"{postgres_url}&options=-c%20statement_timeout%3D1%20-c%20work_mem%3D7MB"
    with contextlib.closing(PostgresStore(asked)) as store:
        found = store._connection.execute("SELECT name, setting, source FROM pg_settings").fetchall()
    settings = {name: (setting, source) for name, setting, source in found}
    assert settings["statement_timeout"] == ("0", "client")
    assert settings["default_transaction_isolation"] == ("read committed", "client")
    assert settings["work_mem"][0] == str(7 * 1024)


def test_a_connection_notices_that_a_server_is_gone_and_the_url_may_say_otherwise(
    node: Node, postgres_url: str
) -> None:
    """A machine that is lost says no goodbye; the system's own patience is two hours."""
    assert node()._connection.raw.info.get_parameters()["tcp_user_timeout"] == "10000"
    with contextlib.closing(PostgresStore(f"{postgres_url}&keepalives_idle=60")) as other:
        assert other._connection.raw.info.get_parameters()["keepalives_idle"] == "60"


def test_no_look_up_waits_for_a_server_that_does_not_answer(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told UNAVAILABLE while a thread connects, and answered when that has come to an end."""
    store = node()
    answering, connected = threading.Event(), threading.Event()
    connect = store._reader._connect

    def slowly() -> psycopg.Connection:
        assert answering.wait(60)
        made = connect()
        connected.set()
        return made

    monkeypatch.setattr(store._reader, "_connect", slowly)
    store._reader.raw.close()
    for _ in range(2):
        with pytest.raises(Unavailable, match="^UNAVAILABLE: store: a database that can be written to; try again"):
            store.head(1)
    answering.set()
    assert connected.wait(60)
    assert looked_up(lambda: store.head(1)) == 0

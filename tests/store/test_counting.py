"""Going through whole tables, as metrics do every few seconds, is nobody's wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg

from daxa_core.leaks import Tlp
from daxa_core.model import Level
from daxa_registry.store.interface import StoredVerdict
from daxa_registry.store.leak_interface import StoredLeak
from daxa_registry.store.postgres import PostgresStore
from sightings import Open, fine, fp, seen


def test_no_look_up_waits_while_tables_are_counted_and_no_count_while_somebody_looks_up(reopen: Open) -> None:
    """Counting has a connection of its own, as writing has; what is counted is what was committed."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        store.append_verdict(StoredVerdict(subject, member, 1, Level.WARN, 50, b"body", b""))
        leak = store.open_leak(StoredLeak(0, b"i" * 16, 0, "one", "a paste", 1_000, Tlp.AMBER, 2_000))
        store.add_leaked(leak.number, [fp("k")])
    with ThreadPoolExecutor(1) as pool:
        with store._reading():  # type: ignore[attr-defined]
            asked = [pool.submit(ask) for ask in (store.counts, store.levels, store.contradictions)]
            leaks = [
                pool.submit(store.testers, 2, 10),
                pool.submit(store.leak_matches, leak.number),
                pool.submit(store.leaked_subjects, leak.number, 0),
                pool.submit(lambda: list(store.all_subjects())),
            ]
            counts, levels, contradictions = (one.result(10) for one in asked)
            assert [one.result(10) for one in leaks] == [[], {member: (1, 1)}, [subject], [subject]]
        with store._counting():  # type: ignore[attr-defined]
            assert pool.submit(store.current_verdicts, member, [fp("k")]).result(10) == {fp("k"): b"body"}
    assert (counts["verdict"], levels[Level.WARN], contradictions) == (1, 1, {"upbit": (0, 1)})
    with store.transaction():
        store.absorb(member, [seen("l", "a")], fine)
        store.subjects_on([])  # writes what is pending
        assert store.counts()["subject"] == 2


def test_each_of_many_fingerprints_is_looked_for_in_its_own_partition_alone(postgres_url: str) -> None:
    """As many looks into an index as fingerprints: asked for as an array, each would be looked for in all eight."""
    store = PostgresStore(postgres_url)
    asked: list[tuple[str, list[object]]] = []
    connection = store._connection
    execute = connection.execute

    def note(statement: str, parameters: list[object]) -> object:
        asked.append((statement, parameters))
        return execute(statement, parameters)

    connection.execute = note  # type: ignore[method-assign, assignment]
    list(
        connection.select(
            "SELECT kind, fingerprint, id FROM node WHERE fingerprint IN ({})", [fp("a"), fp("b"), fp("c")]
        )
    )
    [(statement, parameters)] = asked
    with psycopg.connect(postgres_url, cursor_factory=psycopg.ClientCursor) as database:
        database.execute("SET enable_seqscan=off; SET plan_cache_mode=force_generic_plan")
        database.execute(f"PREPARE look (bytea[]) AS {statement.replace('?', '$1')}")
        [[whole]] = database.execute("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE look (%s)", parameters).fetchall()
    assert _looks(whole[0]["Plan"]) == 3
    store.close()


def _looks(plan: dict) -> int:  # type: ignore[type-arg]
    own = plan["Actual Loops"] if "Relation Name" in plan else 0
    return own + sum(_looks(below) for below in plan.get("Plans", ()))

"""Going through whole tables, as metrics do every few seconds, is nobody's wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from daxa_core.leaks import Tlp
from daxa_core.model import Level, Manner
from daxa_registry.store.interface import Claims, StoredVerdict
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
            asked = [pool.submit(ask) for ask in (store.counts, store.levels, store.claims)]
            leaks = [
                pool.submit(store.testers, 2, 10),
                pool.submit(store.leak_matches, leak.number),
                pool.submit(store.leaked_subjects, leak.number, 0),
                pool.submit(lambda: list(store.all_subjects())),
            ]
            counts, levels, claims = (one.result(60) for one in asked)
            assert [one.result(60) for one in leaks] == [[], {member: (1, 1)}, [subject], [subject]]
        with store._counting():  # type: ignore[attr-defined]
            assert pool.submit(store.current_verdicts, member, [fp("k")]).result(60) == {fp("k"): b"body"}
    assert (counts["verdict"], levels[Level.WARN], claims) == (1, 1, {"upbit": Claims(1, 0, 0)})
    with store.transaction():
        store.absorb(member, [seen("l", "a")], fine)
        store.subjects_on([])  # writes what is pending
        assert store.counts()["subject"] == 2


@pytest.mark.parametrize("order", [("upbit", "korbit", "gopax"), ("gopax", "korbit", "upbit")])
def test_of_members_that_claim_the_same_key_each_is_contradicted_whoever_was_first(
    reopen: Open, order: tuple[str, ...]
) -> None:
    """Used or on an allow-list; a failure is no claim, and a claim that is withdrawn is none any more."""
    store = reopen()
    claimed = {
        "upbit": [seen(f"u{n}", "a", hour) for n in range(4) for hour in (1_000, 1_001)],
        "korbit": [seen("u0", "b"), seen("u1", "b", manner=Manner.DECLARED), seen("u2", "b", manner=Manner.REJECTED)],
        "gopax": [seen("u0", "c"), seen("g", "c"), seen("g", "c", device="e")],
    }
    with store.transaction():
        for name in order:
            store.absorb(store.member_id(name), claimed[name], fine)
    assert store.claims() == {"upbit": Claims(4, 2, 2), "korbit": Claims(2, 2, 2), "gopax": Claims(2, 1, 2)}
    with store.transaction():
        store.withdraw(store.member_id("korbit"), fp("u0"), 0, 2**32 - 1)
    assert store.claims() == {"upbit": Claims(4, 2, 2), "korbit": Claims(1, 1, 1), "gopax": Claims(2, 1, 1)}
    assert [claims.rate for _, claims in sorted(store.claims().items())] == [0.5, 1.0, 0.5]
    with store.transaction():
        store.member_id("coinone")
    assert (store.claims()["coinone"], store.claims()["coinone"].rate) == (Claims(0, 0, 0), 0.0)


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
    list(connection.named("SELECT n.kind, n.fingerprint, n.id FROM node n WHERE {}", [fp("a"), fp("b"), fp("c")]))
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

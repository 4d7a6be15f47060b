"""Which of a store's own statements name the partition that they go to: all that docs/postgresql.md does not list."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from daxa_core.model import Kind, Manner
from daxa_registry.store import postgres_rows
from daxa_registry.store.postgres import PostgresStore
from sightings import fine, fp, seen
from store_operations import ANYWHERE, INSIDE, filled

DOCUMENT = Path(__file__).parents[2] / "docs/postgresql.md"
PARTITIONED_BY = {"node": "fingerprint", "presence": "address"}
_NAMED = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO|COPY)\s+(node|presence)\b(?:\s+(?!SET|WHERE|GROUP|ORDER|JOIN|LEFT|ON)(\w+))?"
)
Parameters = Sequence[object] | dict[str, object]


def documented() -> list[str]:
    """The statements that the document says go to all partitions, as far as it quotes them."""
    section = DOCUMENT.read_text("utf-8").partition("\n## Sharding\n")[2].partition("\n## ")[0]
    return re.findall(r"(?m)^\| `(.+?)` \|", section)


def names_its_partition(statement: str, table: str, alias: str) -> bool:
    """Whether a statement compares what one of its tables is partitioned by, or writes it into new rows."""
    column = PARTITIONED_BY[table]
    if re.match("INSERT|COPY", statement):
        return bool(re.search(rf"(INTO|COPY) {table} \([^)]*\b{column}\b", statement))
    name = rf"\b{alias}\." if alias else rf"(?<![\w.])(?:{table}\.)?"
    return bool(re.search(rf"{name}{column}\s*(=|IN\b)|=\s*{name}{column}\b", statement))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Parameters]:
    """Every statement that PostgreSQL is asked from now on, with the parameters of its last time."""
    statements: dict[str, Parameters] = {}

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            statements[str(query)] = params or ()
            return super().execute(query, params, **more)

        def executemany(self, query: Any, params_seq: Any, **more: Any) -> Any:
            rows = list(params_seq)
            statements[str(query)] = rows[-1] if rows else ()
            return super().executemany(query, rows, **more)

        @contextlib.contextmanager
        def copy(self, statement: Any, *arguments: Any, **more: Any) -> Iterator[Any]:
            statements[str(statement)] = ()
            with super().copy(statement, *arguments, **more) as copy:
                yield copy

    connect = postgres_rows.PostgresConnection._connect

    def connect_noting(self: postgres_rows.PostgresConnection) -> psycopg.Connection:
        connection = connect(self)
        connection.cursor_factory = Noting
        return connection

    monkeypatch.setattr(postgres_rows.PostgresConnection, "_connect", connect_noting)
    return statements


def do_everything(url: str, asked: dict[str, Parameters]) -> None:
    """Every operation of the contract, and those of matching again on a second node, with crowds, failures and withdrawals."""
    with (
        contextlib.closing(PostgresStore(url, hub_size=4)) as one,
        contextlib.closing(PostgresStore(url, hub_size=4)) as other,
    ):
        asked.clear()  # what is asked while a store is opened
        filled(one)
        for call in INSIDE.values():
            with contextlib.suppress(RuntimeError), one.transaction():
                call(one)
                raise RuntimeError
        for name, call in ANYWHERE.items():
            if name not in ("transaction", "load"):
                call(one)
        for hour, store in enumerate((one, other, one, other), 1_000):
            with store.transaction():
                upbit, bithumb = store.member_id("upbit"), store.member_id("bithumb")
                crowd = [seen(f"c{n}", "hub", hour, holder=fp(f"h{n}")) for n in range(hour - 990)]
                grown = store.absorb(upbit, [*crowd, seen("k", "a", hour), seen("m", "a", hour)], fine).grown
                store.absorb(upbit, [seen(f"many {hour} {n}", f"b{n}", hour) for n in range(40)], fine)  # by COPY
                store.absorb(bithumb, [seen("k", "b", hour, manner=Manner.REJECTED)], fine)
                store.subjects_on([*grown, store.node(Kind.ADDRESS, fp("a")) or 0])
                list(store.glances(list(store.all_subjects())))
                list(store.neighbourhoods(list(store.all_subjects())))
                store.withdraw(upbit, fp("k"), hour - 1, hour - 1)
                store.withdraw(upbit, fp("m"), 0, 2**32 - 1)


def test_every_statement_names_its_partition_or_is_listed_with_its_reason(
    postgres_url: str, asked: dict[str, Parameters]
) -> None:
    """Those that an operator of an engine that shards has to know of; and nothing is listed that is never asked."""
    do_everything(postgres_url, asked)
    listed, used = documented(), set[str]()
    for statement in asked:
        shown = re.sub(r"%s|%\(p\d+\)s", "?", statement)
        for table, alias in _NAMED.findall(statement):
            if not names_its_partition(statement, table, alias):
                fitting = {one for one in listed if one in shown and table in one}
                assert fitting, f"neither names the partition of {table} nor is in {DOCUMENT.name}: {shown}"
                used |= fitting
    assert sorted(used) == sorted(listed)


def test_what_names_one_value_is_planned_for_its_partition_alone(
    postgres_url: str, asked: dict[str, Parameters]
) -> None:
    """By PostgreSQL, for each such statement of the store's own, with the parameters that it had."""
    do_everything(postgres_url, asked)
    planned: list[str] = []
    with psycopg.connect(postgres_url, cursor_factory=psycopg.ClientCursor) as database:
        for statement, parameters in asked.items():
            for table, alias in _NAMED.findall(statement):
                name = rf"\b{alias}\." if alias else rf"(?<![\w.])(?:{table}\.)?"
                if re.search(rf"{name}{PARTITIONED_BY[table]}=%s", statement):
                    explained = database.execute(f"EXPLAIN {statement}", parameters)
                    plan = "\n".join(row[0] for row in explained)
                    assert len(set(re.findall(rf" on ({table}_\d)\b", plan))) == 1, (statement, plan)
                    planned.append(statement)
    assert len(planned) >= 5
    assert {statement.split()[0] for statement in planned} >= {"SELECT", "DELETE"}

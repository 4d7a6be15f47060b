"""The other readings of the market: what each world promises, whoever wrote it."""

from __future__ import annotations

import doctest
import ipaddress
import json
from collections import Counter

import pytest

import readings
from daxa_registry.bootstrap import make_backtest
from daxa_registry.decision import default_policy
from fitting.tables import OUTSIDE
from fitting.worlds import judge
from readings import READINGS, ReadingSpec, market
from simulation import EXCHANGES
from simulation.patterns import LOOKALIKES

SMALL = {"keys": 1_400, "days": 3}
FIELDS = ["account", "count", "device", "exchange", "holder", "ip", "key", "kind", "ts"]


@pytest.mark.parametrize("world", READINGS)
def test_a_world_is_a_function_of_its_specification(world: str) -> None:
    """The same seed gives the same market, another seed another one."""
    first, again = (market(ReadingSpec(world, 5, 600, 2)) for _ in range(2))
    assert list(first[0]) == list(again[0])
    assert first[1:] == again[1:]
    assert first[1] != market(ReadingSpec(world, 6, 600, 2))[1]


@pytest.mark.parametrize("world", READINGS)
def test_every_sighting_is_what_the_back_test_takes(world: str) -> None:
    """In time order, of global addresses, of a known exchange, and none refused; who has an account is in the truth."""
    sightings, truth, declared = market(ReadingSpec(world, 7, **SMALL))
    rows = list(sightings)
    issued = {(entry["exchange"], entry["key"]) for entry in truth}
    assert len(issued) == len(truth)
    assert [row["ts"] for row in rows] == sorted(row["ts"] for row in rows)
    assert {row["exchange"] for row in rows} == set(EXCHANGES)
    assert {row["kind"] for row in rows} == {"use", "auth_fail", "allowlist"}
    assert all(sorted(row) == FIELDS for row in rows)
    assert all(ipaddress.ip_address(ip).is_global for ip in {row["ip"] for row in rows})
    of_account = [(row["exchange"], row["key"]) for row in rows if row["account"] is not None]
    assert set(of_account) <= issued
    own = sum((row["exchange"], row["key"]) in issued for row in rows)
    assert len(of_account) >= 0.95 * own, "lines lack the account now and then"
    run = make_backtest(default_policy())
    run.declare(declared)
    assert not list(run.read(json.dumps(row).encode() for row in rows[:4_000]))


@pytest.mark.parametrize("world", READINGS)
def test_the_truth_has_both_sides_and_the_look_alikes_by_their_names(world: str) -> None:
    """The share of innocents is as asked, and the hard innocents go by the names that figures are told by."""
    _, truth, _ = market(ReadingSpec(world, 8, 8_000, 3))
    guilty = sum(entry["guilty"] for entry in truth)
    assert 0.015 <= guilty / len(truth) <= 0.03
    assert sum(e["guilty"] for e in market(ReadingSpec(world, 8, 8_000, 3, innocent=0.94))[1]) > 2 * guilty
    patterns = Counter(entry["pattern"] for entry in truth)
    assert {"class_image", "household_one", "platform_small", "power_user"} <= patterns.keys() & set(LOOKALIKES)
    assert not any(entry["guilty"] for entry in truth if entry["role"] in OUTSIDE)


@pytest.mark.parametrize("world", READINGS)
def test_without_holders_none_is_known(world: str) -> None:
    """And with them, the share of an exchange's accounts that lack one lies between a twentieth and two thirds."""
    assert all(row["holder"] is None for row in market(ReadingSpec(world, 9, **SMALL, holders=False))[0])
    known: Counter[str] = Counter()
    accounts: set[tuple[str, str]] = set()
    for row in market(ReadingSpec(world, 9, **SMALL))[0]:
        account = (row["exchange"], row["account"])
        if row["account"] is not None and row["kind"] == "use" and account not in accounts:
            accounts.add(account)
            known[row["exchange"]] += row["holder"] is not None
    for exchange in EXCHANGES:
        of_exchange = sum(1 for name, _ in accounts if name == exchange)
        assert 0.3 <= known[exchange] / of_exchange <= 0.97


@pytest.mark.parametrize("world", READINGS)
def test_its_evidence_carries_its_own_truth(world: str) -> None:
    """Each judged key has the truth of that key: the graph's numbers and the truth's names are brought together."""
    spec = ReadingSpec(world, 10, **SMALL)
    judged, graph = judge(spec, keep=True)
    sightings, truth, _ = market(spec)
    used = {(row["exchange"], row["key"]) for row in sightings if row["kind"] != "auth_fail"}
    expected = Counter((e["pattern"], e["guilty"], e["role"]) for e in truth if (e["exchange"], e["key"]) in used)
    assert Counter(zip(judged.pattern, judged.guilty.tolist(), judged.role, strict=True)) == expected
    assert len(judged.keys) == len(list(graph.judged())) > 1_000


def test_doctests() -> None:
    """What the package's page shows."""
    assert doctest.testmod(readings).failed == 0

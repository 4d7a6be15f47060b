"""What every simulated world promises: determinism, order, format, labels, and that each named pattern is there."""

from __future__ import annotations

import base64
import doctest
import importlib
import ipaddress
import json
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import simulation
from simulation import EXCHANGES, GUILTY, PATTERNS, Simulation, WorldSpec, generate

ROOT = Path(__file__).resolve().parents[2]
SHAPES = {
    "upbit": r"[A-Za-z0-9]{40}",
    "bithumb": r"[A-Za-z0-9]{40}|[0-9a-f]{48}|[0-9a-f]{32}",
    "coinone": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "korbit": r"[A-Za-z0-9_-]{8,64}",
    "gopax": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}


@pytest.fixture(scope="module")
def small() -> Simulation:
    """A demo's world: one day, 1,500 keys."""
    return generate(WorldSpec(seed=11, keys=1_500, days=1))


@pytest.fixture(scope="module")
def full() -> Simulation:
    """A world large enough to hold every pattern, kept short so that the tests are fast."""
    return generate(WorldSpec(seed=12, keys=12_000, days=2))


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    """A world is a function of its specification alone."""
    spec = WorldSpec(seed=5, keys=300, days=2, world="random")
    first, again = list(generate(spec).lines()), list(generate(spec).lines())
    assert first == again
    assert first != list(generate(WorldSpec(seed=6, keys=300, days=2, world="random")).lines())


def test_lines_are_in_time_order_and_in_the_window(small: Simulation) -> None:
    """``backtest`` reads in time order; nothing lies before the start or after the end."""
    times = [s["ts"] for s in small.sightings()]
    assert times == sorted(times)
    assert small.world.clock.start <= times[0]
    assert times[-1] < small.world.clock.start + 86_400


def test_every_pattern_is_present_under_its_own_name(full: Simulation) -> None:
    """Each pattern that the evidence model names makes keys, as many as its quota, labelled with its own side."""
    counts = Counter(entry["pattern"] for entry in full.truth())
    assert [name for name in PATTERNS if not counts[name]] == []
    assert {e["pattern"] for e in full.truth() if e["guilty"]} == set(GUILTY)


def test_format_of_every_line(small: Simulation) -> None:
    """Field by field: types, key shapes, 88-character holders, JA4 and user agent, addresses that are global."""
    fields = ["ts", "exchange", "key", "account", "holder", "ip", "device", "count", "kind"]
    kinds = Counter()
    for line in small.lines():
        sighting = json.loads(line)
        assert list(sighting) == fields
        kinds[sighting["kind"]] += 1
        assert sighting["exchange"] in EXCHANGES
        assert isinstance(sighting["ts"], int)
        assert sighting["count"] >= 1
        assert ipaddress.ip_address(sighting["ip"]).is_global
        if sighting["account"] is not None and sighting["kind"] != "auth_fail":
            assert re.fullmatch(SHAPES[sighting["exchange"]], sighting["key"])
        if sighting["holder"] is not None:
            assert sighting["account"] is not None
            assert len(sighting["holder"]) == 88
            assert len(base64.b64decode(sighting["holder"], validate=True)) == 64
        if sighting["device"] is not None:
            assert re.fullmatch(r"[tq]1[23]d\d{4}h[123]_[0-9a-f]{12}_[0-9a-f]{12}\|.+", sighting["device"])
        if sighting["kind"] == "allowlist":
            assert sighting["device"] is None
    assert set(kinds) == {"use", "auth_fail", "allowlist"}


def test_every_pool_is_public() -> None:
    """Each pool's ranges lie in public space from end to end, IPv6 too, and no two pools overlap."""
    from simulation.addresses import V4_POOLS, V6_POOLS

    for pools in (V4_POOLS, V6_POOLS):
        nets = [ipaddress.ip_network(cidr) for cidrs in pools.values() for cidr in cidrs]
        assert nets
        for number, net in enumerate(nets):
            assert net[0].is_global
            assert net[-1].is_global
            assert not any(net.overlaps(other) for other in nets[:number])


def test_truth_covers_every_key_its_exchange_knows(small: Simulation) -> None:
    """A sighting with an account is of a key in the truth; one without is at an exchange that never issued the key."""
    issued = {(e["exchange"], e["key"]) for e in small.truth()}
    assert len(issued) == len(list(small.truth()))
    foreign = 0
    for s in small.sightings():
        if s["account"] is not None:
            assert (s["exchange"], s["key"]) in issued
        else:
            foreign += 1
            assert s["kind"] == "auth_fail"
            assert (s["exchange"], s["key"]) not in issued
    assert foreign


def test_one_account_per_person_and_exchange(small: Simulation) -> None:
    """An account has one holder; a holder has one account at an exchange."""
    held: dict[str, str] = {}
    accounts: dict[tuple[str, str], str] = {}
    for s in small.sightings():
        if s["account"] is not None and s["holder"] is not None:
            assert held.setdefault(s["account"], s["holder"]) == s["holder"]
            assert accounts.setdefault((s["exchange"], s["holder"]), s["account"]) == s["account"]


@pytest.mark.parametrize(("innocent", "world"), [(0.978, "wild"), (0.9, "random"), (1.0, "hard"), (0.978, "tame")])
def test_innocent_share_is_as_asked(innocent: float, world: str) -> None:
    """Exactly the asked share of keys is guilty; operators' own keys and lenders' other keys come on top."""
    made = generate(WorldSpec(seed=3, keys=1_000, days=1, world=world, innocent=innocent))
    truth = list(made.truth())
    assert sum(e["guilty"] for e in truth) == round(1_000 * (1 - innocent))
    extra = sum(e["role"] in ("operator-own", "lender-other") for e in truth)
    assert len(truth) == 1_000 + extra


def test_a_ring_is_at_least_three_holders(full: Simulation) -> None:
    """One person is not a ring, nor are two: each ring drives the keys of three people or more."""
    lenders: dict[str, set[str]] = {}
    for e in full.truth():
        if e["role"] == "operator-driven":
            lenders.setdefault(e["ring"], set()).add(e["person"])
    assert lenders
    assert min(len(people) for people in lenders.values()) >= 3
    assert max(len(people) for people in lenders.values()) >= 25


def test_guilty_keys_show_it(full: Simulation) -> None:
    """No key is guilty without a trace: driven and shared ones are used, leaked ones are met with a foreign hand."""
    driven = [e for e in full.truth() if e["role"] in ("operator-driven", "shared")]
    assert sum(not e["seen"] for e in driven) <= 0.02 * len(driven)
    tried = {s["key"] for s in full.sightings() if s["kind"] == "auth_fail"}
    leaked = [e["key"] for e in full.truth() if e["role"] == "leaked"]
    assert sum(k in tried for k in leaked) >= 0.8 * len(leaked)


def test_holders_are_missing_as_asked() -> None:
    """``holders`` 0 names nobody; 1 names all but the lapses."""
    nobody = generate(WorldSpec(seed=4, keys=300, days=1, holders=0.0))
    assert all(s["holder"] is None for s in nobody.sightings())
    everybody = generate(WorldSpec(seed=4, keys=300, days=1, holders=1.0, world="tame"))
    known = [s["holder"] is not None for s in everybody.sightings() if s["account"] is not None]
    assert sum(known) > 0.97 * len(known)


def test_only_the_named_patterns() -> None:
    """``patterns`` keeps a side's named patterns, and all of the side of which none is named."""
    made = generate(WorldSpec(seed=8, keys=400, days=1, patterns=("ring_small",), innocent=0.9))
    assert {e["pattern"] for e in made.truth() if e["guilty"]} == {"ring_small"}
    assert len({e["pattern"] for e in made.truth() if not e["guilty"]}) > 5
    made = generate(WorldSpec(seed=8, keys=400, days=1, patterns=("platform_small",), innocent=1.0))
    assert {e["pattern"] for e in made.truth()} == {"platform_small"}


def test_poison_is_labelled_and_guilty_of_nothing() -> None:
    """An inventing member adds known holders on its victims' addresses; victims and inventions are innocent."""
    made = generate(WorldSpec(seed=9, keys=400, days=1, poison="gopax"))
    truth = list(made.truth())
    roles = Counter(e["role"] for e in truth)
    assert roles["framed"] >= 3
    assert roles["invented"] >= 5 * 3
    assert not any(e["guilty"] for e in truth if e["role"] in ("framed", "invented"))
    assert {e["exchange"] for e in truth if e["role"] == "invented"} == {"gopax"}


def test_an_invention_does_what_its_victim_does_and_has_a_holder() -> None:
    """At the inventor's exchange, at the same places and times; all else is as it is without."""
    spec = WorldSpec(seed=9, keys=400, days=1, poison="gopax")
    made, honest = generate(spec), list(generate(replace(spec, poison=None)).sightings())
    invented = {e["key"] for e in made.truth() if e["role"] == "invented"}
    told = list(made.sightings())
    assert [line for line in told if line["key"] not in invented] == honest
    framed = {(e["exchange"], e["key"]) for e in made.truth() if e["role"] == "framed"}
    places = {(s["ip"], s["device"], s["ts"]) for s in honest if (s["exchange"], s["key"]) in framed}
    mine = [line for line in told if line["key"] in invented]
    assert len({line["holder"] for line in mine}) == len({line["key"] for line in mine}) > 10
    assert {line["exchange"] for line in mine} == {"gopax"}
    assert {(line["ip"], line["device"], line["ts"]) for line in mine} <= places


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"keys": 10}, "keys"),
        ({"days": 0}, "days"),
        ({"world": "calm"}, "world"),
        ({"holders": 1.5}, "holders"),
        ({"innocent": -0.1}, "innocent"),
        ({"poison": "binance"}, "poison"),
        ({"patterns": ("ring_plain", "ring_round")}, "patterns: unknown ring_round"),
    ],
)
def test_absurd_worlds_are_refused_by_field(arguments: dict[str, object], named: str) -> None:
    """A world that cannot be is refused with the name of what is wrong."""
    with pytest.raises(ValueError, match=named):
        generate(WorldSpec(**arguments))  # type: ignore[arg-type]


def test_command_line_writes_the_three_files(tmp_path: Path) -> None:
    """The script writes what the function makes, and refuses without a traceback."""
    script = [sys.executable, str(ROOT / "scripts" / "simulate")]
    done = subprocess.run(
        [*script, "--out", str(tmp_path), "--seed", "2", "--keys", "200", "--days", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    made = generate(WorldSpec(seed=2, keys=200, days=1))
    assert (tmp_path / "sightings.jsonl").read_text().splitlines() == list(made.lines())
    assert len((tmp_path / "truth.jsonl").read_text().splitlines()) == len(list(made.truth()))
    assert json.loads((tmp_path / "declared.json").read_text()) == made.declared()
    assert f"{len(made.table):,} sightings" in done.stdout
    refused = subprocess.run([*script, "--out", str(tmp_path), "--keys", "1"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "keys: at least 50" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_modules_examples_run() -> None:
    """The examples in the modules' docstrings are true."""
    tried = 0
    for found in pkgutil.iter_modules(simulation.__path__, "simulation."):
        failed, count = doctest.testmod(importlib.import_module(found.name))
        assert failed == 0
        tried += count
    failed, count = doctest.testmod(simulation)
    assert failed == 0
    assert tried + count >= 5

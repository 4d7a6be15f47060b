"""``daxa-registry backtest``: its interface, its refusals, and that it finds what it is for."""

from __future__ import annotations

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_registry.bootstrap import make_backtest
from daxa_registry.cli.backtest import backtest
from daxa_registry.decision import default_policy

HOUR = 3_600
PLAIN = Path(__file__).parent.parent / "policies/plain.toml"
START = 1_790_000_000 // HOUR * HOUR


def line(key: str = "k1", ip: str = "211.234.10.7", hour: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "ts": START + hour * HOUR, "exchange": "upbit", "key": key, "account": f"a-{key}", "holder": f"h-{key}",
        "ip": ip, "device": "t13d1516h2_8daaf6152771_02713d6af862|ccxt/4", "count": 3, "kind": "use",
    } | changed  # fmt: skip


def ring(keys: int = 6) -> list[dict[str, Any]]:
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    return [line(f"ring{i}", hour=h, exchange=("upbit", "bithumb")[i % 2]) for h in hours for i in range(keys)]


def run(
    folder: Path, lines: list[Any], declared: Any = None, text: bytes = b""
) -> tuple[Any, dict[tuple[str, str], dict[str, Any]]]:
    sightings, verdicts = folder / "in.jsonl", folder / "out.jsonl"
    sightings.write_bytes(b"".join(json.dumps(item).encode() + b"\n" for item in lines) + text)
    # By hand-set weights: these tests are about the interface, not about how good the weights are.
    arguments = ["--sightings", str(sightings), "--verdicts", str(verdicts), "--policy", str(PLAIN)]
    if declared is not None:
        (folder / "declared.json").write_text(json.dumps(declared))
        arguments += ["--declared", str(folder / "declared.json")]
    result = CliRunner().invoke(backtest, arguments, catch_exceptions=False)
    found = [json.loads(row) for row in verdicts.read_text().splitlines()]
    return result, {(row["exchange"], row["key"]): row for row in found}


def test_a_ring_rises_and_a_customer_alone_does_not(tmp_path: Path) -> None:
    """One line for each key that was used or declared, with level, score and reasons; a key that only failed has none."""
    lone = [line("lone", "121.130.9.9", h) for h in range(96)]
    failed = line("failed", "121.130.9.8", kind="auth_fail", account=None, holder=None)
    declared_key = line("declared", "121.130.9.7", kind="allowlist", device=None, count=1)
    _, found = run(tmp_path, [*ring(), *lone, failed, declared_key])
    assert {"lone", "declared", *(f"ring{i}" for i in range(6))} == {key for _, key in found}
    assert all(row["level"] >= 2 for (_, key), row in found.items() if key.startswith("ring"))
    assert found["upbit", "lone"]["level"] == 0
    reasons = found["upbit", "ring0"]["reasons"]
    assert reasons
    assert all({"code", "contribution", "count"} == set(reason) for reason in reasons)


def test_declared_infrastructure_clears_its_customers(tmp_path: Path) -> None:
    """The same traffic from a licensed service's address is no ring."""
    _, found = run(tmp_path, ring(), [{"name": "a licensed bot service", "ips": ["211.234.10.7"], "device": None}])
    assert all(row["level"] < 2 for row in found.values())


def crowd(people: int) -> list[dict[str, Any]]:
    """Strangers behind one address, each in hours of his own, and a ring of three there that is on a server too."""
    lines = [
        line(f"crowd{n}", "112.170.1.1", hour, device=f"app/{n}")
        for n in range(people)
        for hour in random.Random(n).sample(range(96), 12)
    ]
    addresses = ("112.170.1.1", "211.234.10.7")
    lines += [
        line(f"ring{n}", ip, hour) for hour in range(96) for n in range(3) for ip in addresses if hour * 7 % 5 < 2
    ]
    return sorted(lines, key=lambda one: one["ts"])


def test_a_hub_that_was_left_out_is_told_and_no_more_when_its_people_are_few(tmp_path: Path) -> None:
    """Whoever is on it is told SUPPRESSED_HUB and how many they are, in steps, CLEAR or not; where they are few, nobody is."""
    _, found = run(tmp_path, crowd(100))
    for (_, key), row in found.items():
        told = [reason for reason in row["reasons"] if reason["code"] == "SUPPRESSED_HUB"]
        assert [(reason["contribution"], reason["count"]) for reason in told] == [(0.0, "FROM_50")], key
    assert {row["level"] for (_, key), row in found.items() if key.startswith("crowd")} <= {0, 1}
    assert all(
        row["level"] and row["reasons"][0]["code"] == "SUPPRESSED_HUB"
        for (_, key), row in found.items()
        if "ring" in key
    )
    _, found = run(tmp_path, crowd(20))
    assert not [row for row in found.values() if "SUPPRESSED_HUB" in str(row["reasons"])]


def test_everybody_on_an_address_with_too_many_to_look_at_each_is_told_of_the_hub(tmp_path: Path) -> None:
    """A decision looks at some of a member's keys there: the others are on it too."""
    lines = [line(f"crowd{n}", "112.170.1.1", n % 96, holder=f"h{n}") for n in range(300)]
    _, found = run(tmp_path, sorted(lines, key=lambda one: one["ts"]))
    assert len(found) == 300
    assert all("SUPPRESSED_HUB" in str(row["reasons"]) for row in found.values())


def test_where_verdicts_cannot_be_written_is_told_before_anything_is_read(tmp_path: Path) -> None:
    """Nor over what was given: the sightings are there as before. A link stays one, and what is no file is written into."""
    given = tmp_path / "in.jsonl"
    given.write_text(json.dumps(line()) + "\n")

    def into(out: Path) -> Any:
        return CliRunner().invoke(backtest, ["--sightings", str(given), "--verdicts", str(out)])

    (tmp_path / "same").symlink_to(given)
    for out, told in (
        (given, "--verdicts: another file than --sightings"),
        (tmp_path / "same", "--verdicts: another file than --sightings"),
        (tmp_path / "nowhere/out.jsonl", "--verdicts: a path that can be written to, got ENOENT"),
    ):
        assert told in str(into(out).exception)
    assert given.read_text() == json.dumps(line()) + "\n"
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert into(tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "there").read_text())["key"] == "k1"
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_text)
        assert into(tmp_path / "pipe").exit_code == 0
        assert json.loads(read.result())["key"] == "k1"
    assert (tmp_path / "pipe").is_fifo()


def test_milliseconds_are_no_seconds_and_a_declaration_may_say_that_nothing_was_asked(tmp_path: Path) -> None:
    """A time of the far future would be "now" for everybody else; a list is no request."""
    lines = [line("good"), line("late", ts=START * 1_000), line("listed", kind="allowlist", device=None, count=0)]
    result, found = run(tmp_path, lines)
    assert {key for _, key in found} == {"good", "listed"}
    assert "line 2: " in result.stderr
    assert ": ts: " in result.stderr


def test_bad_lines_are_refused_by_number_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Each is told with its field; not one value of a bad line is shown."""
    bad = [
        line(ip="not-an-address"), line(ts=-1), line(ts=None), line(count=0), line(count=True), line(kind="used"),
        line(key="a b"), line(exchange=""), line(holder="x" * 129), line(device="a\nb"), [1], "text",
    ]  # fmt: skip
    result, found = run(tmp_path, [line("good"), *bad, line("good2")], text=b"{torn\n\xff\xfe\n\n")
    assert {("upbit", "good"), ("upbit", "good2")} == set(found)
    told = result.stderr
    for number, field in enumerate(
        ("ip", "ts", "ts", "count", "count", "kind", "key", "exchange", "holder", "device"), 2
    ):
        assert f"line {number}: " in told
        assert f": {field}: " in told
    assert "2 sightings taken, 14 lines refused, 2 verdicts" in told
    assert "not-an-address" not in told
    assert "a b" not in told


def test_time_is_the_sightings_and_an_empty_file_is_an_empty_answer(tmp_path: Path) -> None:
    """Traffic of the year 2001 is decided as of 2001, alike; nothing gives nothing."""
    old = [item | {"ts": item["ts"] - START + 1_000_000_800} for item in ring()]
    _, now = run(tmp_path, ring())
    _, then = run(tmp_path, old)
    assert {key: row["level"] for key, row in now.items()} == {key: row["level"] for key, row in then.items()}
    assert run(tmp_path, [])[1] == {}


@pytest.mark.parametrize(
    "declared", [{"name": "x"}, [{"ips": []}], [{"name": "x", "ips": "1.1.1.1"}], [{"name": "x", "ips": ["?"]}]]
)
def test_wrong_declarations_are_refused(tmp_path: Path, declared: Any) -> None:
    """A declaration that cannot be read stops the run: going on without it would accuse its customers."""
    with pytest.raises(Exception, match=r"declared(\[0\]\.(name|ips|address))?: "):
        run(tmp_path, ring(1), declared)


ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text()
    | st.just("\ud800")
    | st.just([])
)
ODDER = ODD | st.lists(ODD, max_size=2) | st.dictionaries(st.text(max_size=3), ODD, max_size=2)
NAMES = ("ts", "exchange", "key", "account", "holder", "ip", "device", "count", "kind")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(NAMES), ODDER, min_size=1, max_size=2) | st.binary(max_size=40), max_size=20
    )
)
def test_no_line_stops_the_run(wrongs: list[dict[str, Any] | bytes]) -> None:
    """Whatever stands in a field or in place of a line: it is taken, or refused with its number, and the rest goes on."""
    lines = [
        wrong.replace(b"\n", b"") if isinstance(wrong, bytes) else json.dumps(line() | wrong).encode()
        for wrong in wrongs
    ]
    backtest_run = make_backtest(default_policy())
    refused = [bad.number for bad in backtest_run.read([*lines, json.dumps(line("last")).encode()])]
    blank = sum(not one.strip() for one in lines)
    assert len(set(refused)) == len(refused)
    assert backtest_run.sightings == len(lines) + 1 - len(refused) - blank
    assert "last" in {verdict.key for verdict in backtest_run.verdicts()}

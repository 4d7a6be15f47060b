"""Operators' commands against a running registry: appeals, infrastructure, cases, replay, policies; real gRPC and mutual TLS."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner

import deployment
import life
from daxa_client import Act, AppealStatus, Cause, DaxaError, ErrorCode, Ground, Level, RawSighting
from daxa_core.model import Manner
from daxa_registry.cli import cli
from daxa_registry.logs import JsonLines

Run = Callable[..., str]
ADDRESS = "211.234.10.7"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[life.World]:
    """One operator's ring at two members, and its members' clients."""
    with life.world(tmp_path) as made:
        made.client("upbit").submit(made.ring("upbit"))
        made.client("bithumb").submit(made.ring("bithumb"))
        yield made


@pytest.fixture
def run(world: life.World) -> Run:
    def call(*arguments: str, code: int = 0, by: str | None = "kim") -> str:
        named = ["--by", by] if "--yes" in arguments and by else []
        words = [*arguments, *named, "--operator", str(world.operator())]
        result = CliRunner().invoke(cli, words, standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code == (result.exit_code or 0), result.output
        return result.output

    return call


def refused(code: ErrorCode, call: Callable[[], object]) -> DaxaError:
    with pytest.raises(DaxaError) as caught:
        call()
    assert code is caught.value.code
    return caught.value


def acts(world: life.World) -> list[dict[str, Any]]:
    """The operators' acts as the database has them, but for the certificates that init made."""
    with sqlite3.connect(world.folder / "registry/data/registry.sqlite") as database:
        rows = database.execute("SELECT body FROM document WHERE kind='act' ORDER BY name").fetchall()
    found = [json.loads(row[0]) for row in rows]
    return [act for act in found if act["operator"] != "authority/init"]


def leaves(world: life.World) -> list[dict[str, Any]]:
    with sqlite3.connect(world.folder / "registry/data/registry.sqlite") as database:
        rows = database.execute("SELECT body FROM leaf WHERE event='operator-act' ORDER BY idx").fetchall()
    found = [json.loads(row[0])["detail"] for row in rows]
    return [act for act in found if act["operator"] != "authority/init"]


def test_a_call_that_is_refused_stands_in_both_logs_under_one_id(
    world: life.World, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator's own line and the registry's: who asks why finds the reason."""
    caplog.set_level("INFO", "daxa_registry.rpc")
    refused(ErrorCode.NOT_FOUND, lambda: run("case", "show", "999999"))
    records = {record.getMessage(): json.loads(JsonLines().format(record)) for record in caplog.records}
    [own] = [line for text, line in records.items() if text == "a call failed: NOT_FOUND"]
    [theirs] = [line for text, line in records.items() if "/ListCases operator/daxa NOT_FOUND " in text]
    assert own["request_id"] == theirs["request_id"]


# appeals


def test_a_granted_appeal_corrects_every_verdict_on_the_same_evidence_at_every_member(
    world: life.World, run: Run
) -> None:
    """A dry run says whom; then each is told with its own event, and stays clear though the same goes on."""
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    verdict = world.changes("upbit", 0, 4)[0]
    assert upbit.appeal(verdict, Ground.SHARED_PREMISES, "case-17").status is AppealStatus.OPEN
    assert "upbit:1" in run("appeal", "list")
    assert "case-17" in run("appeal", "list")
    shown = run("appeal", "show", "upbit:1")
    assert shown.count("MONITOR -> CLEAR") == 8
    dry = run("appeal", "grant", "upbit:1", "--reason", "one office, visited")
    assert dry.count("would do: S") == 8
    assert "nothing was changed" in dry
    assert upbit.appeal(verdict, Ground.SHARED_PREMISES, "case-17").status is AppealStatus.OPEN
    done = run("appeal", "grant", "upbit:1", "--reason", "one office, visited", "--yes")
    assert done.count("MONITOR -> CLEAR") == 8
    for member in ("upbit", "bithumb"):
        told = world.changes(member, 4, 4)
        assert {(v.level, v.cause) for v in told} == {(Level.CLEAR, Cause.CORRECTED)}
    receipt = upbit.appeal(verdict, Ground.SHARED_PREMISES, "case-17")
    assert receipt.status is AppealStatus.GRANTED
    world.pass_hours(30)
    again = world.ring("upbit")
    assert upbit.submit(again).accepted == len(again)
    assert {v.level for v in upbit.verdicts([f"upbit-key-{i}" for i in range(4)]).values()} == {Level.CLEAR}
    assert {v.level for v in bithumb.verdicts([f"bithumb-key-{i}" for i in range(4)]).values()} == {Level.CLEAR}
    [act] = acts(world)
    assert (act["operator"], act["kind"]) == ("daxa/kim", "appeal_answered")
    assert len(act["detail"]["corrected"]) == 8
    assert leaves(world) == [act]


def test_evidence_elsewhere_is_not_excused_by_a_grant(world: life.World, run: Run) -> None:
    """Another ring, on an address of its own, stands as it did."""
    upbit = world.client("upbit")
    upbit.submit(world.ring("upbit", "121.130.7.7", name="other"))
    verdict = world.changes("upbit", 0, 1)[0]
    upbit.appeal(verdict, Ground.ONE_HOLDER)
    run("appeal", "grant", "upbit:1", "--reason", "seen", "--yes")
    assert {v.level for v in upbit.verdicts([f"upbit-other-{i}" for i in range(4)]).values()} == {Level.MONITOR}


def test_a_denied_appeal_changes_no_verdict_and_neither_is_answered_twice(world: life.World, run: Run) -> None:
    """The member is told that it was denied; a second answer is refused, also as a dry run."""
    upbit = world.client("upbit")
    verdict = world.changes("upbit", 0, 4)[0]
    upbit.appeal(verdict, Ground.OTHER)
    run("appeal", "deny", "upbit:1", "--reason", "the hours speak for themselves", "--yes")
    assert upbit.appeal(verdict, Ground.OTHER).status is AppealStatus.DENIED
    assert upbit.verdicts(["upbit-key-0"])["upbit-key-0"].level is Level.MONITOR
    for extra in ([], ["--yes"]):
        error = refused(
            ErrorCode.ALREADY_ANSWERED, lambda e=extra: run("appeal", "grant", "upbit:1", "--reason", "x", *e)
        )
        assert "denied" in error.expected
    assert run("appeal", "list") == ""
    assert "DENIED" in run("appeal", "list", "--all")
    assert len(acts(world)) == 1


# infrastructure


def test_declared_infrastructure_lowers_expires_and_is_taken_back(world: life.World, run: Run) -> None:
    """A dry run changes nothing; declared, everybody there is let go; removed or expired, they come back; all of it is logged."""
    upbit = world.client("upbit")
    world.changes("upbit", 0, 4)
    dry = run("infrastructure", "add", ADDRESS, "--name", "a licensed platform", "--days", "30")
    assert "1 of them are known; 8 keys above CLEAR" in dry
    assert run("infrastructure", "list") == ""
    run("infrastructure", "add", ADDRESS, "121.130.9.9", "--name", "a licensed platform", "--days", "30", "--yes")
    told = world.changes("upbit", 4, 4)
    assert {(v.level, v.cause) for v in told} == {(Level.CLEAR, Cause.FELL)}
    listed = run("infrastructure", "list")
    assert listed.count("a licensed platform") == 2
    number = re.search(r"(A\d+) .* 8 keys", listed)
    assert number is not None
    assert "nothing was changed" in run("infrastructure", "remove", number[1])
    run("infrastructure", "remove", number[1], "--yes")
    assert {v.level for v in world.changes("upbit", 8, 4)} == {Level.MONITOR}
    run("infrastructure", "add", ADDRESS, "--name", "again", "--days", "1", "--yes")
    assert {v.level for v in world.changes("upbit", 12, 4)} == {Level.CLEAR}
    world.pass_hours(25)
    assert {v.level for v in world.changes("upbit", 16, 4)} == {Level.MONITOR}
    assert "again" not in run("infrastructure", "list")
    assert [act["kind"].removeprefix("infrastructure_") for act in acts(world)] == ["declared", "removed", "declared"]
    stored = (world.folder / "registry/data/registry.sqlite").read_bytes()
    assert ADDRESS.encode() not in stored
    assert upbit.health() == {"evaluator 1": "ok"}


def test_infrastructure_that_cannot_be_is_refused_naming_what_is_wrong(world: life.World, run: Run) -> None:
    """A private address, an address that is none, a name of a line break, a node that nobody declared; never the value."""
    for address in ("10.0.0.1", "not an address"):
        error = refused(
            ErrorCode.INVALID_ADDRESS,
            lambda a=address: run("infrastructure", "add", "1.1.1.1", a, "--name", "x", "--yes"),
        )
        assert error.field == "addresses[1]"
        assert address not in str(error)
    error = refused(ErrorCode.INVALID_VALUE, lambda: run("infrastructure", "add", ADDRESS, "--name", "a\nb", "--yes"))
    assert error.field == "name"
    assert refused(ErrorCode.NOT_FOUND, lambda: run("infrastructure", "remove", "A999", "--yes")).field == "number"
    with pytest.raises(click.BadParameter):
        run("infrastructure", "remove", "211.234.10.7", "--yes")
    bad = ("infrastructure", "add", ADDRESS, "--name", "x", "--yes")
    assert refused(ErrorCode.INVALID_VALUE, lambda: run(*bad, by="Kim Min-su")).field == "by"
    assert acts(world) == []


# cases


def test_a_case_names_who_drives_and_who_lends_and_is_drawn(world: life.World, run: Run, tmp_path: Path) -> None:
    """Both members' keys are one case; the picture is well-formed and holds pseudonyms alone."""
    upbit = world.client("upbit")
    lives_there = [
        RawSighting("upbit-driver", ADDRESS, world.hour() - h, device=life.STACK, account="d", holder=b"driver")
        for h in range(300)
        if h >= 96 or h * 7 % 5 < 2
    ]
    own = [
        RawSighting(f"upbit-key-{i}", f"121.130.1.{i + 1}", world.hour() - h, device=life.STACK, account=f"key {i}")
        for i in range(4)
        for h in range(100, 140)
    ]
    upbit.submit(lives_there + own)
    listed = run("case", "list")
    [number] = re.findall(r"case (\d+)", listed)
    assert "9 keys at bithumb, upbit" in listed
    assert "1 controller, 8 lender" in listed
    shown = run("case", "show", number, "--svg", str(tmp_path / "case.svg"))
    first = shown.splitlines()[2]
    assert "controller" in first
    assert "upbit" in first
    picture = (tmp_path / "case.svg").read_text("utf-8")
    root = ElementTree.fromstring(picture)  # noqa: S314 - made a line ago by the program under test
    assert len(root.findall("{http://www.w3.org/2000/svg}line")) >= 9
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(1 for text in texts if re.match(r"S\d+ ", text)) == 9
    for raw in (ADDRESS, "upbit-key", "driver", "ccxt"):
        assert raw not in picture
        assert raw not in shown
    assert refused(ErrorCode.NOT_FOUND, lambda: run("case", "show", "999999")).field == "case"


def test_a_leaks_victims_are_a_case_of_victims(world: life.World, run: Run) -> None:
    """Keys that one stranger tries at the wrong exchange belong together, and nobody among them is called an operator."""
    keys = [f"upbit-leaked-{i}" for i in range(12)]
    home = [
        RawSighting(key, f"121.131.2.{i + 1}", world.hour() - h, device=life.STACK, account=f"leaked {i}")
        for i, key in enumerate(keys)
        for h in range(40)
    ]
    world.client("upbit").submit(home)
    tried = [
        RawSighting(key, "45.67.89.10", world.hour() - h, Manner.REJECTED, device=life.Device("python-requests/2.32"))
        for key in keys
        for h in range(2)
    ]
    world.client("bithumb").submit(tried)
    world.client("upbit").submit(tried)
    listed = run("case", "list")
    assert "12 keys at upbit: 12 victim" in listed
    assert "8 keys at bithumb, upbit: 8 lender" in listed
    assert world.client("bithumb").verdicts([keys[0]])[keys[0]].sequence == 0
    [number] = re.findall(r"case (\d+) +12 keys", listed)
    shown = run("case", "show", number)
    assert shown.count("victim") == 13
    assert "controller" not in shown


# replay


def test_every_verdict_replays_to_the_same(world: life.World, run: Run) -> None:
    """By evidence, by time, by a report and by a granted appeal: stored evidence, policy and state give the same again."""
    upbit = world.client("upbit")
    one, two, three, four = world.changes("upbit", 0, 4)
    world.pass_hours(25)
    raised = {v.key: v for v in world.changes("upbit", 4, 4)}
    upbit.report_enforcement(raised[one.key], Act.WARNED)
    upbit.report_enforcement(raised[two.key], Act.REAUTHENTICATED)
    revoked = upbit.report_enforcement(raised[three.key], Act.REVOKED).verdict.sequence
    upbit.appeal(raised[four.key], Ground.ONE_HOLDER)
    run("appeal", "grant", "upbit:1", "--reason", "seen", "--yes")
    with sqlite3.connect(world.folder / "registry/data/registry.sqlite") as database:
        [head] = database.execute("SELECT head FROM member WHERE name='upbit'").fetchone()
    assert head >= 11
    for sequence in range(1, head + 1):
        assert "replayed: the same" in run("replay", f"upbit:{sequence}")
    assert "reported REVOKED" in run("replay", f"upbit:{revoked}")


def test_a_verdict_whose_evidence_was_changed_afterwards_is_found_out(world: life.World, run: Run) -> None:
    """One bit of the stored evidence, or another state before it: the replay says where it differs, with exit code 1."""
    world.changes("upbit", 0, 1)
    path = world.folder / "registry/data/registry.sqlite"
    with sqlite3.connect(path) as database:
        [evidence] = database.execute("SELECT evidence FROM verdict WHERE sequence=1").fetchone()
        changed = bytearray(evidence)
        changed[-3] ^= 1
        database.execute("UPDATE verdict SET evidence=? WHERE sequence=1", (bytes(changed),))
    output = run("replay", "upbit:1", code=1)
    assert "NOT the same" in output
    assert "evidence_digest" in output
    for which, field in (("upbit:999", "sequence"), ("gopax:1", "member")):
        assert refused(ErrorCode.NOT_FOUND, lambda w=which: run("replay", w)).field == field
    assert refused(ErrorCode.INVALID_VALUE, lambda: run("replay", "upbit")).field == "MEMBER:SEQUENCE"


# policies


def _lenient(tmp_path: Path, version: str = "lenient") -> str:
    text = re.sub(r'version = "[^"]*"', f'version = "{version}"', deployment.PLAIN, count=1)
    for name, value in (("monitor", 9.0), ("warn", 10.0), ("reauthenticate", 11.0), ("revoke", 12.0)):
        text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text, count=1)
    text = re.sub(r"(?m)^leak_confirmed = .*$", "leak_confirmed = 12.0", text)
    path = tmp_path / f"{version}.toml"
    path.write_text(text)
    return str(path)


def test_a_policy_is_tested_then_holds_at_once_without_a_restart(world: life.World, run: Run, tmp_path: Path) -> None:
    """The test says by level and member who would fall; activated, they fall, under the new policy's digest; it is an act."""
    world.changes("upbit", 0, 4)
    world.changes("bithumb", 0, 4)
    new = _lenient(tmp_path)
    refusal = refused(ErrorCode.POLICY_NOT_TESTED, lambda: run("policy", "activate", new, "--yes"))
    assert "policy test" in refusal.expected
    tested = run("policy", "test", new)
    assert "on 8 subjects" in tested
    for member in ("upbit", "bithumb"):
        assert re.search(rf"{member} +CLEAR +0 +4\n", tested)
    assert tested.count(" of upbit: ") == 4
    assert "would do: policy lenient" in run("policy", "activate", new)
    run("policy", "activate", new, "--yes")
    told = world.changes("upbit", 4, 4)
    assert {(v.level, v.cause) for v in told} == {(Level.CLEAR, Cause.FELL)}
    listed = run("policy", "list")
    assert re.search(r"\* [0-9a-f]{16}  lenient .* by daxa/kim", listed)
    assert run("policy", "show").strip() == Path(new).read_text().strip()
    assert "replayed: the same" in run("replay", "upbit:1")
    assert "replayed: the same" in run("replay", "upbit:5")
    [act] = acts(world)
    assert (act["kind"], act["detail"]["digest"]) == ("policy_activated", told[0].policy_digest.hex())


def test_a_stale_test_is_refused(world: life.World, run: Run, tmp_path: Path) -> None:
    """When verdicts changed since, when it is a day old, when another policy came into force meanwhile."""
    upbit = world.client("upbit")
    world.changes("upbit", 0, 4)
    new, other = _lenient(tmp_path), _lenient(tmp_path, "other")
    run("policy", "test", new)
    upbit.submit(world.ring("upbit", "121.130.7.7", name="more"))
    stale = refused(ErrorCode.POLICY_NOT_TESTED, lambda: run("policy", "activate", new, "--yes"))
    assert "have changed since" in stale.expected
    run("policy", "test", new)
    run("policy", "test", other)
    run("policy", "activate", other, "--yes")
    stale = refused(ErrorCode.POLICY_NOT_TESTED, lambda: run("policy", "activate", new, "--yes"))
    assert "in force now" in stale.expected
    same = refused(ErrorCode.POLICY_NOT_TESTED, lambda: run("policy", "activate", other, "--yes"))
    assert "other than the one in force" in same.expected
    world.changes("upbit", 8, 8)
    run("policy", "test", new)
    world.pass_hours(24.1)
    stale = refused(ErrorCode.POLICY_NOT_TESTED, lambda: run("policy", "activate", new, "--yes"))
    assert "24 hours" in stale.expected
    assert len(acts(world)) == 1


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("warn_hours = 24", "", "ladder.warn_hours"),
        ("warn_hours = 24", "warn_hours = -1", "ladder.warn_hours"),
        ("warn_hours = 24", "warn_hours = 1.5", "ladder.warn_hours"),
        ("warn_hours = 24", "warn_hours = 24\nmonitor_hours = 1", "ladder.monitor_hours"),
        ("clean_credit = 3.0", "clean_credit = nan", "ladder.clean_credit"),
        ("clean_credit = 3.0", "clean_credit = 1e9", "ladder.clean_credit"),
        ("clean_credit = 3.0", f"clean_credit = 1{'0' * 400}", "ladder.clean_credit"),
        ("valid_hours = 336", "valid_hours = true", "ladder.valid_hours"),
        ("wind_down_hours = 24", 'wind_down_hours = "24"', "ladder.wind_down_hours"),
        ("wind_down_hours = 24", "wind_down_hours = 0", "ladder.wind_down_hours"),
        ("fall_margin = 0.25", "fall_margin = 2.5", "ladder.fall_margin"),
        ("leak_confirmed = 4.5", "leak_confirmed = 4.4", "bounds.leak_confirmed"),
    ],
)
def test_a_policy_with_an_impossible_number_is_refused_naming_the_key(
    world: life.World, run: Run, tmp_path: Path, old: str, new: str, key: str
) -> None:
    """Here and at the registry alike: missing, unknown, absurd, of another type."""
    path = tmp_path / "bad.toml"
    assert old in deployment.PLAIN
    path.write_text(deployment.PLAIN.replace(old, new, 1))
    assert refused(ErrorCode.INVALID_POLICY, lambda: run("policy", "test", str(path))).field == key
    from daxa_registry.config import read_operator
    from daxa_registry.rpc.operator import Operator

    with Operator(read_operator(world.operator()), "kim") as operator:
        assert refused(ErrorCode.INVALID_POLICY, lambda: operator.try_policy(path.read_text())).field == key
        assert refused(ErrorCode.INVALID_POLICY, lambda: operator.activate(path.read_text(), False)).field == key


@pytest.mark.parametrize("value", ["9" * 5_000, "[" * 5_000, "{a = " * 5_000])
def test_a_policy_that_no_reader_can_hold_is_refused_as_no_toml(world: life.World, value: str) -> None:
    """Numbers of thousands of digits and tables thousands deep: what reads TOML breaks on them with errors of its own."""
    from daxa_registry.config import read_operator
    from daxa_registry.rpc.operator import Operator

    with Operator(read_operator(world.operator()), "kim") as operator:
        assert refused(ErrorCode.INVALID_POLICY, lambda: operator.try_policy(f"schema = {value}")).field == "policy"


# who


def test_a_member_has_no_office(world: life.World) -> None:
    """The same commands with a member's certificate are refused, whatever they ask."""
    from daxa_registry.config import read_operator
    from daxa_registry.rpc.operator import Operator

    for name in ("ca.pem", "cert.pem", "key.pem"):
        path = world.folder / "operators/daxa" / name
        path.write_bytes((world.folder / "members/upbit" / name).read_bytes())
    with Operator(read_operator(world.operator()), "kim") as operator:
        for call in (operator.appeals, operator.cases, operator.policies, lambda: operator.replay("upbit", 1)):
            assert refused(ErrorCode.PERMISSION_DENIED, call).field == "certificate"

"""Leaks end to end: told to issuers alone, verified, withdrawn; over real gRPC and mutual TLS."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import life
from daxa_client import Act, Cause, ErrorCode, Level, RawSighting
from daxa_core.model import Manner
from daxa_registry.bootstrap import registry_status
from daxa_registry.cli import cli
from daxa_registry.cli.status import attention
from leaking import Run, codes, customer, dump, key, load, member, refused, rows


def test_a_leak_reaches_its_keys_issuers_and_nobody_else(world: life.World, run: Run, tmp_path: Path) -> None:
    """An unverified one watches at once and never passes WARN; verified it goes to REVOKE without grace; each verdict replays."""
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    # u1 was also typed at bithumb, where it is of no use.
    bithumb.submit([RawSighting(key("u1"), "211.234.10.7", world.hour(), Manner.REJECTED, device=life.STACK)])
    told = load(run, dump(tmp_path, "u1", "nobody's"))
    assert "2 keys" in told
    assert "upbit" in told
    [first] = world.changes("upbit", 0, 1)
    assert (upbit.raw_key(first.key), first.level, first.cause) == (key("u1"), Level.MONITOR, Cause.SUPPORTED)
    assert "LEAKED_KEY_UNVERIFIED" in codes(first)
    for _ in range(4):
        world.pass_hours(100)
        upbit.submit([customer("u1", world.hour())])
    assert upbit.verdicts([key("u1")])[key("u1")].level is Level.WARN
    upbit.report_enforcement(upbit.verdicts([key("u1")])[key("u1")], Act.WARNED)
    world.pass_hours(200)
    upbit.submit([customer("u1", world.hour())])
    assert upbit.verdicts([key("u1")])[key("u1")].level is Level.WARN, "going on after a warning is no news of a dump"

    seen = upbit.verdicts([key("u1")])[key("u1")].sequence
    assert "would do" in run("verify", "L1", "--reason", "looked into it")
    run("verify", "L1", "--reason", "looked into it", "--yes")
    [verified] = world.changes("upbit", seen, 1)
    assert (verified.level, verified.cause, verified.scope.name) == (Level.REVOKE, Cause.LEAK, "EVERYTHING")
    assert "LEAKED_KEY" in codes(verified)

    assert bithumb.verdicts([key("u1"), key("b1")])[key("u1")].sequence == 0, "to the issuer alone"
    assert bithumb.verdicts([key("b1")])[key("b1")].sequence == 0
    assert upbit.verdicts([key("u2")])[key("u2")].sequence == 0

    for sequence in range(1, verified.sequence + 1):
        words = ["replay", f"upbit:{sequence}", "--operator", str(world.operator())]
        again = CliRunner().invoke(cli, words, standalone_mode=False)
        assert not again.exception, again.output
        assert "the same" in again.output


def test_a_key_that_is_seen_later_is_told_at_first_sight(world: life.World, run: Run, tmp_path: Path) -> None:
    """With the answer to the very batch that brought it."""
    load(run, dump(tmp_path, "late"))
    run("verify", "L1", "--reason", "known", "--yes")
    answer = world.client("korbit").submit([customer("late", world.hour(), "211.234.20.1")])
    verdict = answer.verdicts[key("late")]
    assert (verdict.level, verdict.cause) == (Level.REVOKE, Cause.LEAK)
    assert "LEAKED_KEY" in codes(verdict)


def test_a_withdrawal_corrects_what_rested_on_the_leak_and_forgets_its_keys(
    world: life.World, run: Run, tmp_path: Path
) -> None:
    """What another leak says too stays; nothing of the keys stays in the database; each act is in the log."""
    load(run, dump(tmp_path, "u1", "u2"), "one")
    load(run, dump(tmp_path, "u2"), "two")
    for number in ("L1", "L2"):
        run("verify", number, "--reason", "seen", "--yes")
    upbit = world.client("upbit")
    assert {v.level for v in upbit.verdicts([key("u1"), key("u2")]).values()} == {Level.REVOKE}
    run("withdraw", "L1", "--reason", "an old list", "--yes")
    verdicts = upbit.verdicts([key("u1"), key("u2")])
    assert (verdicts[key("u1")].level, verdicts[key("u1")].cause) == (Level.CLEAR, Cause.CORRECTED)
    assert verdicts[key("u2")].level is Level.REVOKE
    run("doubt", "L2", "--reason", "not so sure", "--yes")
    doubted = upbit.verdicts([key("u2")])[key("u2")]
    assert (doubted.level, doubted.cause) == (Level.WARN, Cause.CORRECTED)
    assert rows(world, "SELECT leak, count(*) FROM leaked GROUP BY leak") == [(2, 1)]
    told = [json.loads(row[0]) for row in rows(world, "SELECT body FROM document WHERE kind='act' ORDER BY name")]
    acts = [act["kind"] for act in told if act["operator"] != "authority/init"]
    assert acts == ["leak_loaded", "leak_loaded", "leak_verified", "leak_verified", "leak_withdrawn", "leak_doubted"]
    refused(ErrorCode.LEAK_CLOSED, lambda: run("verify", "L1", "--reason", "again", "--yes"))
    refused(ErrorCode.NOT_FOUND, lambda: run("verify", "L9", "--reason", "none", "--yes"))


def test_a_dump_that_another_loaded_as_well_is_in_force_beside_it(world: life.World, run: Run, tmp_path: Path) -> None:
    """Whoever loads it is told what is known already, and an operator alone; the other's withdrawal takes nothing from it."""
    member(world, "bithumb", "report", dump(tmp_path, "u1", "u2"), "--name", "a paste", "--source", "found")
    shown = load(run, dump(tmp_path, "u1", "u2"), "the same")
    assert "2 of its 2 keys stand in L1 already" in shown
    shown = load(run, dump(tmp_path, "u1", "u2", "more"), "a later one")
    assert "2 of its 3 keys stand in L1 already" in shown
    assert "2 of its 3 keys stand in L2 already" in shown
    [report] = member(world, "korbit", "report", dump(tmp_path, "u1"), "--name", "again", "--source", "found")
    assert (report["leak"], report["keys"]) == ("L4", 1)
    member(world, "bithumb", "withdraw", "L1")
    run("verify", "L2", "--reason", "confirmed", "--yes")
    assert "2 of its 3 keys stand in L2 already" in run("verify", "L3", "--reason", "is it one?")
    verdicts = world.client("upbit").verdicts([key("u1"), key("u2")])
    assert {verdict.level for verdict in verdicts.values()} == {Level.REVOKE}


def test_a_member_that_reports_anothers_whole_inventory_moves_it_to_monitor_at_most(
    world: life.World, run: Run, tmp_path: Path
) -> None:
    """A poisoning attempt: one member's word alone; the operator's list and its own counts show what it is."""
    upbit = world.client("upbit")
    names = [f"i{n}" for n in range(12)]
    upbit.submit([customer(name, world.hour(), f"211.234.30.{n}") for n, name in enumerate(names)])
    [report] = member(world, "bithumb", "report", dump(tmp_path, *names), "--name", "poison", "--source", "made up")
    assert (report["leak"], report["confidence"], report["keys"]) == ("L1", "UNVERIFIED", 12)
    for _ in range(5):
        world.pass_hours(150)
        upbit.submit([customer(name, world.hour(), f"211.234.30.{n}") for n, name in enumerate(names)])
    assert {upbit.verdicts([key(name)])[key(name)].level for name in names} == {Level.MONITOR}
    shown = run("verify", "L1", "--reason", "is it one?")
    assert "It looks like its inventory" in shown
    has = "L1, reported by bithumb, has 12 of upbit's 14 keys: an inventory rather than a dump? Ask upbit before it is verified"
    assert has in attention(registry_status(world.folder / "registry/registry.toml"))
    # A second member's word makes it WARN, and no more.
    member(world, "korbit", "report", dump(tmp_path, *names), "--name", "the same", "--source", "made up")
    for _ in range(4):
        world.pass_hours(150)
        upbit.submit([customer(name, world.hour(), f"211.234.30.{n}") for n, name in enumerate(names)])
    assert {upbit.verdicts([key(name)])[key(name)].level for name in names} == {Level.WARN}
    # A member takes its own report back, and nobody else's.
    assert [one["leak"] for one in member(world, "bithumb", "list")] == ["L1"]
    member(world, "korbit", "withdraw", "L1", code=2)
    [gone] = member(world, "bithumb", "withdraw", "L1")
    assert gone["state"] == "WITHDRAWN"
    # What falls by that is told as a correction, and can be decided again.
    corrected = upbit.verdicts([key("i0")])[key("i0")]
    assert (corrected.level, corrected.cause) == (Level.MONITOR, Cause.CORRECTED)
    replayed = CliRunner().invoke(cli, ["replay", f"upbit:{corrected.sequence}", "--operator", str(world.operator())])
    assert (replayed.exit_code, "replayed: the same" in replayed.output) == (0, True), replayed.output

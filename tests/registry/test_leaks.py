"""Leaks end to end: loaded blind, told to issuers alone, verified, withdrawn, screened; over real gRPC and mutual TLS."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import life
from daxa_client import Act, Cause, DaxaError, ErrorCode, Level, RawSighting
from daxa_client import _cli as client_cli
from daxa_core.model import Manner
from daxa_registry.cli import cli

Run = Callable[..., str]
DUMP_WORDS = "from a paste:\nuser1@example.com;pass;{};2022-12-28\n"


def key(name: str) -> str:
    return f"{name}X".ljust(40, "0")


def customer(name: str, hour: int, address: str = "211.234.10.7", **more: Any) -> RawSighting:
    return RawSighting(key(name), address, hour, device=life.STACK, account=name, **more)


def dump(folder: Path, *names: str) -> Path:
    path = folder / f"dump-{'-'.join(names)[:40]}.txt"
    path.write_text("".join(DUMP_WORDS.format(key(name)) for name in names))
    return path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[life.World]:
    with life.world(tmp_path, ("upbit", "bithumb", "korbit")) as made:
        made.client("upbit").submit([customer("u1", made.hour()), customer("u2", made.hour(), "211.234.10.8")])
        made.client("bithumb").submit([customer("b1", made.hour(), "211.234.10.9")])
        yield made


@pytest.fixture
def run(world: life.World) -> Run:
    def call(*arguments: str | Path) -> str:
        words = ["leak", *map(str, arguments)]
        by = ["--by", "kim"] if "--yes" in words else []
        result = CliRunner().invoke(cli, [*words, *by, "--operator", str(world.operator())], standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


def load(run: Run, path: Path, name: str = "a paste") -> str:
    return run("load", path, "--name", name, "--source", "found by hand", "--found", "2022-12-28", "--yes")


def member(world: life.World, name: str, *words: str | Path, code: int = 0) -> list[dict[str, Any]]:
    """``daxa-client leak``: the objects that it printed."""
    import contextlib
    import io

    out = io.StringIO()
    config = world.folder / "members" / name / "client.toml"
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as ended:
        client_cli.main(["--config", str(config), "leak", *map(str, words)])
    assert ended.value.code == code
    return [json.loads(line) for line in out.getvalue().splitlines()]


def refused(code: ErrorCode, call: Callable[[], object]) -> DaxaError:
    with pytest.raises(DaxaError) as caught:
        call()
    assert caught.value.code is code
    return caught.value


def codes(verdict: Any) -> set[str]:
    return {reason.code for reason in verdict.reasons}


def rows(world: life.World, query: str) -> list[Any]:
    with sqlite3.connect(world.folder / "registry/data/registry.sqlite") as database:
        return database.execute(query).fetchall()


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
    from daxa_registry.cli import cli as registry_cli

    for sequence in range(1, verified.sequence + 1):
        words = ["replay", f"upbit:{sequence}", "--operator", str(world.operator())]
        again = CliRunner().invoke(registry_cli, words, standalone_mode=False)
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
    acts = [
        json.loads(row[0])["kind"] for row in rows(world, "SELECT body FROM document WHERE kind='act' ORDER BY name")
    ]
    assert acts == ["leak_loaded", "leak_loaded", "leak_verified", "leak_verified", "leak_withdrawn", "leak_doubted"]
    refused(ErrorCode.LEAK_CLOSED, lambda: run("verify", "L1", "--reason", "again", "--yes"))
    refused(ErrorCode.NOT_FOUND, lambda: run("verify", "L9", "--reason", "none", "--yes"))


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
    # A second member's word makes it WARN, and no more.
    member(world, "korbit", "report", dump(tmp_path, *names), "--name", "the same", "--source", "made up")
    for _ in range(4):
        world.pass_hours(150)
    assert {v.level for v in world.changes("upbit", upbit.verdicts([key("i0")])[key("i0")].sequence, 1)} <= {
        Level.MONITOR,
        Level.WARN,
    }
    world.pass_hours(1)
    # A member takes its own report back, and nobody else's.
    assert [one["leak"] for one in member(world, "bithumb", "list")] == ["L1"]
    member(world, "korbit", "withdraw", "L1", code=2)
    [gone] = member(world, "bithumb", "withdraw", "L1")
    assert gone["state"] == "WITHDRAWN"


def test_the_same_leak_twice_is_told_and_an_empty_one_is_refused(world: life.World, run: Run, tmp_path: Path) -> None:
    """Nothing of either is left; the number of the first is named."""
    load(run, dump(tmp_path, "u1", "x1"))
    again = dump(tmp_path, "x1", "u1")
    error = refused(ErrorCode.LEAK_KNOWN, lambda: load(run, again, "other words"))
    assert "L1" in error.expected
    empty = tmp_path / "empty.txt"
    empty.write_bytes(bytes(range(256)) * 64)
    refused(ErrorCode.EMPTY_BATCH, lambda: load(run, empty, "junk"))
    # A name stands in the log and is told to others: no key belongs in it.
    refused(ErrorCode.INVALID_VALUE, lambda: load(run, empty, f"the list with {key('u1')}"))
    assert rows(world, "SELECT count(*) FROM leaked") == [(2,)]
    assert not list(tmp_path.glob("*.leak-progress"))


@pytest.mark.parametrize("text", [key("u1"), "the list of 211.234.10.7", "a\ud800"])
@pytest.mark.parametrize("field", ["name", "source", "reason"])
def test_nothing_is_sent_of_a_leak_whose_texts_hold_a_key_or_an_address(
    world: life.World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, field: str
) -> None:
    """By operators and by members: what the registry would refuse it must not see either; what no message carries is typed."""
    from daxa_client._config import read_config
    from daxa_client._leaks import LeakClient
    from daxa_client._registry import Registry
    from daxa_core.leaks import Leak, Progress
    from daxa_registry.rpc.operator import Operator

    def called(*_: object) -> object:
        raise AssertionError("something was sent")

    monkeypatch.setattr(Operator, "_call", called)
    monkeypatch.setattr(Registry, "about_leaks", called)
    path = dump(tmp_path, "u1")
    texts = {"name": "a name", "source": "a source", field: text}
    words = ("--name", texts["name"], "--source", texts["source"], "--yes")
    if field == "reason":
        error = refused(ErrorCode.INVALID_VALUE, lambda: run("verify", "L1", "--reason", text, "--yes"))
    else:
        refused(ErrorCode.INVALID_VALUE, lambda: run("load", path, *words))
        leak, progress = Leak(texts["name"], texts["source"], 1_000), Progress("", bytes(16))
        with LeakClient(read_config(world.folder / "members/upbit/client.toml")) as client, path.open("rb") as file:
            error = refused(ErrorCode.INVALID_VALUE, lambda: client.report(file, leak, progress, called))
    assert error.field == field
    assert not list(tmp_path.glob("*.leak-progress"))


def test_an_interrupted_load_goes_on_where_it_was_and_counts_only_when_it_is_whole(
    world: life.World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is half loaded: until the commit nobody is told; another file's progress is refused."""
    from daxa_core import dump as reading
    from daxa_core import leaks

    names = ["u1", *(f"x{n}" for n in range(300)), "u2"]
    path = dump(tmp_path, *names)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(leaks, "MAX_LEAKED_PER_CALL", 50)
    monkeypatch.setattr(leaks.load, "__defaults__", (50,))
    from daxa_registry.rpc.operator_leaks import OperatorLeaks

    add, calls = OperatorLeaks.add, []

    def failing(self: OperatorLeaks, leak_id: bytes, fingerprints: Any) -> int:
        calls.append(len(fingerprints))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return add(self, leak_id, fingerprints)

    monkeypatch.setattr(OperatorLeaks, "add", failing)
    with pytest.raises((KeyboardInterrupt, click.exceptions.Abort)):
        load(run, path)
    [kept] = tmp_path.glob("*.leak-progress")
    assert 0 < json.loads(kept.read_text())["sent"] < len(names)
    assert world.client("upbit").verdicts([key("u1")])[key("u1")].sequence == 0
    other = dump(tmp_path, "another")
    refused(
        ErrorCode.INVALID_FILE,
        lambda: run("load", other, "--name", "n", "--source", "s", "--progress", kept, "--yes"),
    )
    told = load(run, path)
    assert f"{len(names)} keys" in told
    assert sum(calls) < len(names) + 150, "what was sent is not sent again"
    assert {v.level for v in world.changes("upbit", 0, 2)} == {Level.MONITOR}


def test_screening_finds_ones_own_leaked_keys_and_asks_about_those_alone(
    world: life.World, run: Run, tmp_path: Path
) -> None:
    """Used or not; what was evaluated and fetched once is not again; a RED leak has no set."""
    load(run, dump(tmp_path, "u1", "unused", "foreign"))
    run("load", dump(tmp_path, "u2"), "--name", "secret", "--source", "s", "--tlp", "RED", "--yes")
    inventory = tmp_path / "keys.csv"
    lines = ["id,api_key,since", *(f"{n},{key(f'own{n}')},2026" for n in range(3_000))]
    lines[1_500:1_500] = [f"7,{key('unused')},2025", "8,,2025", f"9,{key('u2')},2025"]
    inventory.write_text("\n".join(lines) + "\n")
    config = world.folder / "members/upbit/client.toml"
    from daxa_client._config import read_config
    from daxa_client._leaks import LeakClient
    from daxa_client._screening import ScreeningCache, screen

    def once() -> Any:
        with (
            LeakClient(read_config(config)) as client,
            ScreeningCache.beside(read_config(config)) as cache,
            inventory.open("rb") as file,
        ):
            asked: list[int] = []
            confirm = client.confirm
            client.confirm = lambda prints: asked.append(len(prints)) or confirm(prints)  # type: ignore[method-assign,func-returns-value]
            result = screen(client, cache, file)
            return result, asked

    first, asked = once()
    assert [(hit.line, hit.key, [one.leak.name for one in hit.leaks]) for hit in first.hits] == [
        (1_501, key("unused"), ["a paste"])
    ]
    assert (first.keys, first.refused, first.sets, first.evaluated, asked) == (3_002, (1_502,), 1, 3_002, [1])
    assert first.fetched_bytes > 0
    again, _ = once()
    assert (again.hits, again.evaluated, again.fetched_bytes) == (first.hits, 0, 0)
    # One line more is one block more, not all of them.
    lines[2_000:2_000] = [f"1,{key('foreign')},2026"]
    inventory.write_text("\n".join(lines) + "\n")
    third, _ = once()
    assert [hit.key for hit in third.hits] == [key("unused"), key("foreign")]
    assert third.evaluated < 3_000
    [printed, _] = member(world, "upbit", "screen", inventory, code=3)
    assert printed["key"] == key("unused")
    # No key, in any of its forms, is in the screening's own file.
    data = b"".join(p.read_bytes() for p in config.parent.rglob("*.screening*"))
    assert data
    assert key("unused").encode() not in data


def test_a_torn_chunk_is_told_and_a_torn_cache_is_made_anew(world: life.World, run: Run, tmp_path: Path) -> None:
    """What the registry sends has to be what its manifest names; what the disk tore is fetched or evaluated again."""
    from daxa_client._config import read_config
    from daxa_client._leaks import LeakClient
    from daxa_client._screening import ScreeningCache, screen

    load(run, dump(tmp_path, "u1"))
    inventory = tmp_path / "keys.txt"
    inventory.write_text(f"{key('u1')}\n{key('own')}\n")
    config = read_config(world.folder / "members/upbit/client.toml")
    cache_path = tmp_path / "screening"

    def screened() -> Any:
        cache = ScreeningCache(cache_path, config.account_secret, config.parameters.digest)
        with LeakClient(config) as client, cache, inventory.open("rb") as file:
            return screen(client, cache, file)

    with LeakClient(config) as client:
        about = client._registry.about_leaks
        [one] = client.sets()

        def torn(call: str, request: Any) -> Any:
            answer = about(call, request)
            if call == "GetLeakSetChunk":
                answer.chunk = answer.chunk[:-1] + bytes([answer.chunk[-1] ^ 1])
            return answer

        client._registry.about_leaks = torn  # type: ignore[method-assign]
        refused(ErrorCode.INVALID_CHUNK, lambda: client.chunk(one, 0))
    assert len(screened().hits) == 1
    for broken in (b"no database", cache_path.read_bytes()[:-100]):
        for beside in cache_path.parent.glob("screening-*"):
            beside.unlink()
        cache_path.write_bytes(broken)
        assert len(screened().hits) == 1


def test_nothing_of_a_dump_but_fingerprints_reaches_the_registry(world: life.World, run: Run, tmp_path: Path) -> None:
    """Neither keys nor what stood beside them is in its files or in the progress file."""
    path = dump(tmp_path, "u1", "foreign")
    load(run, path)
    for file in (world.folder / "registry").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            for secret in (key("u1"), key("foreign"), "user1@example.com"):
                assert secret.encode() not in data
                assert secret.encode().hex().encode() not in data


# the wrong door


def test_the_issuer_alone_is_told_that_its_key_was_presented_elsewhere(world: life.World) -> None:
    """How often, bucketed, and when last; the other exchange's answer is the same for a key that nobody issued."""
    upbit, bithumb = world.client("upbit"), world.client("bithumb")
    hour = world.hour()
    strange = [
        RawSighting(key(name), "185.220.101.7", hour - n, Manner.REJECTED, count=2)
        for name in ("u1", "nobody's")
        for n in range(3)
    ]
    answer = bithumb.submit(strange)
    issued, foreign = answer.verdicts[key("u1")], answer.verdicts[key("nobody's")]
    assert (issued.level, issued.sequence, issued.reasons) == (foreign.level, foreign.sequence, foreign.reasons)
    assert (issued.level, issued.sequence) == (Level.CLEAR, 0)
    told = upbit.verdicts([key("u1")])[key("u1")]
    [reason] = [reason for reason in told.reasons if reason.code == "PRESENTED_ELSEWHERE"]
    assert (told.level, reason.count.name, reason.hour) == (Level.MONITOR, "FROM_5_TO_9", hour)
    # It is told for two weeks; by one exchange's word alone it never becomes more.
    for _ in range(3):
        world.pass_hours(100)
        upbit.submit([customer("u1", world.hour())])
        assert upbit.verdicts([key("u1")])[key("u1")].level is Level.MONITOR
    world.pass_hours(100)
    upbit.submit([customer("u1", world.hour())])
    assert upbit.verdicts([key("u1")])[key("u1")].level is Level.CLEAR


def test_ones_own_key_typed_at_the_wrong_exchange_is_no_attack(world: life.World) -> None:
    """From where the holder is otherwise, as often as may be, and from elsewhere once: no verdict, nothing told."""
    for address, count in (("211.234.10.7", 50), ("185.220.101.7", 1)):
        slip = RawSighting(key("u1"), address, world.hour(), Manner.REJECTED, count, device=life.STACK)
        world.client("bithumb").submit([slip])
    assert world.client("upbit").verdicts([key("u1")])[key("u1")].sequence == 0


def test_who_goes_through_a_list_is_marked_and_so_are_the_keys(world: life.World, run: Run) -> None:
    """The address for operators, each key for its own exchange, with a reason of its own."""
    names = [f"t{n}" for n in range(8)]
    upbit = world.client("upbit")
    upbit.submit([customer(name, world.hour(), f"211.234.40.{n}") for n, name in enumerate(names)])
    tried = [RawSighting(key(name), "185.220.101.9", world.hour(), Manner.REJECTED) for name in names]
    world.client("bithumb").submit(tried)
    world.client("korbit").submit(tried)
    verdicts = upbit.verdicts([key(name) for name in names])
    assert all(verdict.level >= Level.MONITOR for verdict in verdicts.values())
    assert all(
        "PRESENTED_ELSEWHERE" in codes(verdict) and codes(verdict) & {"BREADTH", "WRONG_DOORS"}
        for verdict in verdicts.values()
    )
    [line] = run("testers").splitlines()
    assert "8 keys tried at 2 exchanges" in line

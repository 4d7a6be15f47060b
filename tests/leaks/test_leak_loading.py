"""Loading a dump end to end: blind, interrupted, known already, closed meanwhile; by operators and by members."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import grpc._channel
import pytest

import life
from daxa_client import ErrorCode, Level
from daxa_client._config import read_config
from daxa_client._leaks import LeakClient
from daxa_core.leaks import Leak, Progress
from daxa_registry.rpc.operator import Operator
from leaking import Run, dump, key, load, member, refused, rows


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
    from daxa_client._registry import Registry

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


def test_nothing_of_a_dump_but_fingerprints_leaves_the_loader(
    world: life.World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither keys nor what stood beside them is in what is sent, in the registry's files or in the progress file; the
    fingerprints are."""
    from daxa_registry.rpc.operator_leaks import OperatorLeaks

    path = dump(tmp_path, "u1", "foreign")
    fingerprint = world.client("upbit").fingerprints([key("u1")])[key("u1")]
    written: list[bytes] = []
    call, make = Operator._call, OperatorLeaks.commit

    def sent(self: Operator, method: Any, request: Any, *more: Any) -> Any:
        written.append(request.SerializeToString())
        return call(self, method, request, *more)

    def committed(self: OperatorLeaks, leak_id: bytes) -> Any:
        [kept] = tmp_path.glob("*.leak-progress")
        assert kept.stat().st_mode & 0o777 == 0o600
        written.append(kept.read_bytes())
        return make(self, leak_id)

    monkeypatch.setattr(Operator, "_call", sent)
    monkeypatch.setattr(OperatorLeaks, "commit", committed)
    load(run, path)
    assert any(fingerprint in data for data in written), "it is what was sent that is looked at"
    stored = [file.read_bytes() for file in (world.folder / "registry").rglob("*") if file.is_file()]
    assert any(fingerprint in data for data in stored), "and what was kept"
    for data in [*written, *stored]:
        for secret in (key("u1"), key("foreign"), "user1@example.com"):
            assert secret.encode() not in data
            assert secret.encode().hex().encode() not in data


def test_a_load_that_is_closed_meanwhile_begins_anew(
    world: life.World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Withdrawn by an operator while it was on its way, at either loader: its progress is dropped, and the next load is whole."""
    from daxa_registry.rpc.operator_leaks import OperatorLeaks

    kept: list[int] = []

    def load_again(loader: Callable[[], object], owner: Any, name: str) -> None:
        first = getattr(owner, name)

        def meanwhile(self: Any, *arguments: Any) -> Any:
            monkeypatch.setattr(owner, name, first)
            [progress] = tmp_path.glob("*.leak-progress")
            kept.append(progress.stat().st_mode & 0o777)
            number = len(rows(world, "SELECT 1 FROM leak"))
            run("withdraw", f"L{number}", "--reason", "not this one", "--yes")
            return first(self, *arguments)

        monkeypatch.setattr(owner, name, meanwhile)
        loader()
        assert not list(tmp_path.glob("*.leak-progress"))

    path = dump(tmp_path, "u1")
    load_again(lambda: refused(ErrorCode.LEAK_CLOSED, lambda: load(run, path)), OperatorLeaks, "add")
    assert "1 keys" in load(run, path)
    words = ("report", path, "--name", "n", "--source", "s")
    load_again(lambda: member(world, "korbit", *words, code=2), LeakClient, "fingerprints")
    assert member(world, "korbit", *words)[0]["state"] == "IN_FORCE"
    assert kept == [0o600, 0o600]


def test_a_member_waits_as_long_as_a_leak_of_that_size_may_take(
    world: life.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than for its everyday calls: a commit tells every issuer before it answers."""
    given: dict[str, float] = {}
    made = grpc._channel._UnaryUnaryMultiCallable
    call = made.with_call

    def timed(self: Any, request: Any, timeout: float, **more: Any) -> Any:
        given[type(request).__name__] = timeout
        return call(self, request, timeout=timeout, **more)

    monkeypatch.setattr(made, "with_call", timed)
    path = dump(tmp_path, "u1")
    with LeakClient(read_config(world.folder / "members/korbit/client.toml")) as client, path.open("rb") as file:
        said = Leak("a name", "a source", 1_000)
        report, _ = client.report(file, said, Progress("", bytes(16)), lambda progress: None)
        client.sets()
        client.withdraw(report.number)
    for asked in ("CommitLeakRequest", "ListLeakSetsRequest", "JudgeLeakRequest"):
        assert given[asked] >= 1_800, asked
    assert given["AddLeakedKeysRequest"] >= 60


def test_a_packed_dump_is_told_and_not_taken_for_one_without_keys(
    world: life.World, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a dry run, in a load, at a member's loader and by a screening; nothing is left of the try."""
    path = tmp_path / "dump.csv"
    path.write_bytes(gzip.compress(key("u1").encode()))
    words = ("load", path, "--name", "n", "--source", "s")
    for more in ((), ("--yes",)):
        error = refused(ErrorCode.INVALID_FILE, lambda more=more: run(*words, *more))  # type: ignore[misc]
        assert "gzip" in error.expected
    member(world, "korbit", "report", path, "--name", "n", "--source", "s", code=2)
    member(world, "korbit", "screen", path, code=2)
    assert capsys.readouterr().err.count("gzip") == 2
    assert [one.name for one in tmp_path.glob("dump*")] == ["dump.csv"]

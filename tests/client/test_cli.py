"""``daxa-client``: its two commands against running peers, and how it says that something is wrong."""

from __future__ import annotations

import io
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import peers
import pytest

from daxa_api.v1 import verdict_pb2
from daxa_client._cli import main
from daxa_core.note import Witness


@pytest.fixture
def folder(deployed: Path, tmp_path: Path) -> Path:
    """The member's folder, to be pointed at the test's peers."""
    return shutil.copytree(deployed / "members/upbit", tmp_path / "upbit")


def test_verdicts_are_a_line_each(
    deployed: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys on standard input, JSON out, the key as it was given; a key that is wrong is exit code 2 and its place."""
    servicer = peers.Registry()
    servicer.look_up = lambda request: verdict_pb2.BatchGetVerdictsResponse(
        verdicts=[peers.verdict(key, n) for n, key in enumerate(request.keys, 1)]
    )
    with peers.registry(deployed, servicer) as target, peers.evaluators(deployed, 1, 2) as (targets, _):
        path = peers.point(folder, target, targets)
        monkeypatch.setattr(sys, "stdin", io.StringIO("key-one\n\nkey-two\n"))
        main(["--config", path, "verdicts"])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(v["key"], v["level"], v["sequence"]) for v in lines] == [
            ("key-one", "WARN", 1),
            ("key-two", "WARN", 2),
        ]
        monkeypatch.setattr(sys, "stdin", io.StringIO("key-one\nkey two\n"))
        with pytest.raises(SystemExit) as ended:
            main(["--config", path, "verdicts"])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    told = "INVALID_KEY: keys[1].key: 1 to 128 visible ASCII characters (The API key has no valid form)"
    assert captured.err == f"daxa-client: {told}\n"


def test_watch_prints_as_it_happens(deployed: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts after the sequence given, until something is wrong that waiting does not mend: here, a gap."""
    servicer = peers.Registry()
    servicer.streams = [[[peers.verdict(b"k" * 32, 8)], [peers.verdict(b"k" * 32, 10)]]]
    with peers.registry(deployed, servicer) as target, pytest.raises(SystemExit) as ended:
        main(["--config", peers.point(folder, target, {1: target, 2: target}), "watch", "--after", "7"])
    captured = capsys.readouterr()
    assert [(v["sequence"], v["key"]) for v in map(json.loads, captured.out.splitlines())] == [(8, None)]
    assert ended.value.code == 2
    assert captured.err.startswith("daxa-client: CURSOR_OUT_OF_RANGE: registry: ")
    assert servicer.cursors == [7]


def test_a_witness_key_is_made_once_and_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is the public half of what is in the file; a file that is there is not written over."""
    path = tmp_path / "witness.key"
    main(["witness-key", "upbit.example/witness", str(path)])
    printed = capsys.readouterr().out.strip()
    made = Witness.from_text(path.read_text())
    assert printed == made.verifier.vkey()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for arguments, said in (
        (["witness-key", "upbit.example/witness", str(path)], "INVALID_FILE: witness.key: a file that can be made"),
        (["witness-key", "with space", str(tmp_path / "new")], "INVALID_VALUE: name"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert said in capsys.readouterr().err
    assert Witness.from_text(path.read_text()).verifier == made.verifier


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "nowhere.toml", "watch"], "INVALID_CONFIGURATION: nowhere.toml: a readable file"),
        (["watch", "--after", "x"], "a sequence, 0 for all"),
        (["watch", "--after", "-1"], "a readable file"),
        ([], "command"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    """No traceback, exit code 2, from a folder without a client.toml."""
    command = [sys.executable, "-c", "from daxa_client._cli import main; main()", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr

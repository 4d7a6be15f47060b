"""What the audit of dependencies and the fuzzing say at their end: a run that looked at nothing is not called sound."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import fuzzing
from daxa_core.errors import ErrorCode, InvalidInput
from fuzzing import Decoder, calls

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SOUND = {"name": "numpy", "version": "1", "vulns": []}


def script(name: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(f"script_{name}", str(SCRIPTS / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# the audit


def audited(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[int, list[str]]:
    """The exit code, and the locks that were asked about; the last answer is that for all the others."""
    audit, asked, left = script("audit"), [], list(answers)

    def ask(python: Path, lock: str, service: str) -> Any:
        asked.append(lock)
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(audit, "auditor", lambda: Path(sys.executable))
    monkeypatch.setattr(audit, "ask", ask)
    monkeypatch.setattr(sys, "argv", ["audit"])
    return audit.main(), asked


def test_everything_that_is_locked_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration's packages too: people run it."""
    code, asked = audited(monkeypatch, [SOUND])
    assert code == 0
    assert set(asked) == {path.name for path in (SCRIPTS / "locks").iterdir()} >= {"demo.lock"}


@pytest.mark.parametrize(
    ("answer", "code"),
    [([], 2), (None, 2), ([{"name": "x", "skip_reason": "?"}], 2),
     ([SOUND | {"vulns": [{"id": "V-1", "fix_versions": []}]}], 1)],
)  # fmt: skip
def test_one_lock_that_was_not_audited_or_is_vulnerable_is_enough(
    monkeypatch: pytest.MonkeyPatch, answer: Any, code: int
) -> None:
    """None of none is not all of all."""
    assert audited(monkeypatch, answer, [SOUND])[0] == code


# the fuzzing


def typed(data: bytes) -> None:
    raise InvalidInput(ErrorCode.INVALID_VALUE, "data", "something else")


def leaves(data: bytes) -> None:
    raise SystemExit(0)


def untyped(data: bytes) -> None:
    raise KeyError(1)


def fuzzed(fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, inputs: int, *readers: Any) -> int:
    table = {f"reader {n}": Decoder(read, (b"{}",)) for n, read in enumerate(readers)}
    monkeypatch.setattr(fuzz, "ensure_environment", lambda: None)
    armed: list[int] = []
    watchdog = SimpleNamespace(
        enable=lambda: None,
        dump_traceback_later=lambda seconds, exit: armed.append(seconds),
        cancel_dump_traceback_later=armed.clear,
    )
    monkeypatch.setattr(fuzz, "faulthandler", watchdog)
    monkeypatch.setattr(fuzzing, "decoders", lambda folder: table)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--inputs", str(inputs), "--examples", "20", "--runs", "0"])
    try:
        code: int = fuzz.main()
    finally:
        assert not armed, "a watchdog that outlives the run ends whoever started it"
    return code


def test_every_call_of_every_service_is_fuzzed() -> None:
    """A call that is new fails here until the fuzzing has a good request of it."""
    with tempfile.TemporaryDirectory() as folder:
        table = calls.decoders(Path(folder))
    assert {name.removeprefix("call ") for name in table} == set(calls.calls())


def test_a_decoder_that_was_never_fed_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the help promises."""
    assert fuzzed(script("fuzz"), monkeypatch, 20, typed, typed) == 0
    assert fuzzed(script("fuzz"), monkeypatch, 1, typed, typed) == 1


@pytest.mark.parametrize("read", [leaves, untyped])
def test_a_decoder_that_lets_out_anything_untyped_ends_the_run_as_a_failure(
    monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    """An exit with code 0 too: an exception that nobody catches is exit code 1."""
    fuzz = script("fuzz")
    with pytest.raises(fuzz.Finding):
        fuzzed(fuzz, monkeypatch, 20, typed, read)


def test_what_the_steered_run_writes_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """libFuzzer ends its process from within, so the one that started it cleans up."""
    fuzz = script("fuzz")
    (tmp_path / ".cache/fuzz/atheris").mkdir(parents=True)
    monkeypatch.setattr(fuzz, "ROOT", tmp_path)
    folders: list[Path] = []

    def run(command: list[str], env: dict[str, str], **_: Any) -> Any:
        folders.append(Path(env["TMPDIR"]))
        (folders[0] / "corpus").mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fuzz.subprocess, "run", run)
    assert "no untyped error" in fuzz.steered(10, 1)
    assert [folder.exists() for folder in folders] == [False]

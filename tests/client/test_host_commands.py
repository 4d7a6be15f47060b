"""The commands of a member's host: doctor finds what is wrong and says what to mend, enroll makes what the registry signs."""

from __future__ import annotations

import json
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import deployment
from daxa_client import _doctor as doctor_module
from daxa_client._cli import main
from daxa_client._config import read_config
from daxa_client._doctor import examine


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A deployment whose processes run: two of three evaluators are needed."""
    folder = deployment.deploy(tmp_path_factory.mktemp("doctor") / "deployment", members=("upbit",))
    processes = [deployment.Process("evaluator", folder / f"evaluators/{i}/evaluator.toml") for i in (1, 2, 3)]
    processes.append(deployment.Process("serve", folder / "registry/registry.toml"))
    yield folder
    for process in processes:
        process.kill()


@pytest.fixture
def member(running: Path, tmp_path: Path) -> Path:
    """The member's folder, to break."""
    return shutil.copytree(running / "members/upbit", tmp_path / "upbit")


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_healthy_member(member: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every check is well, exit code 0, and it says how long the certificate is good for."""
    assert run("--config", member / "client.toml", "doctor") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "ok   canonical form", "ok   certificate", "ok   evaluator 1", "ok   evaluator 2", "ok   evaluator 3",
        "ok   canary collision", "ok   registry", "ok   clock", "ok   spool",
    ]  # fmt: skip
    assert " days left" in lines[1]
    assert "KEY 1,000,000" in lines[2]
    assert "3 of 3 groups" in lines[5]


def test_a_wrong_clock_and_an_evaluator_away(
    member: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named with what to do, the rest is still looked at, exit code 1."""
    text = (member / "client.toml").read_text()
    (port,) = deployment.free_ports(1)
    target = f'index = 3\ntarget = "127.0.0.1:{port}"'
    (member / "client.toml").write_text(
        text.partition("index = 3")[0] + target + text.partition("index = 3")[2].partition('"')[2].partition('"')[2]
    )

    class Ahead:
        @staticmethod
        def time() -> float:
            return time.time() + 7_200

    monkeypatch.setattr(doctor_module, "time", Ahead)
    assert run("--config", member / "client.toml", "doctor") == 1
    out = capsys.readouterr().out
    assert "MEND evaluator 3: UNAVAILABLE: evaluator 3: to be reachable\n       see that the host and port" in out
    assert "1 of 3 groups" in out
    assert re.search(
        r"MEND clock: -7[12]\d\d s from the registry's; more than 60 s apart\n       set this host's clock", out
    )


def test_parameters_of_another_ceremony(member: Path, tmp_path: Path) -> None:
    """A member that would silently match nobody: each evaluator says so, and the canary finds it too."""
    other = deployment.deploy(tmp_path / "other", members=("upbit",))
    shutil.copy(other / "members/upbit/parameters.json", member / "parameters.json")
    found = {finding.check: finding for finding in examine(read_config(member / "client.toml"))}
    assert all("INVALID_PARAMETERS" in found[f"evaluator {i}"].problem for i in (1, 2, 3))
    assert not found["canary collision"].well


def test_a_call_that_fails_stands_in_both_logs_under_one_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks an evaluator's operator why can name it."""
    folder = deployment.deploy(tmp_path / "deployment", members=("upbit",), threshold=1, evaluators=1)
    for name in ("cert.pem", "key.pem"):  # a role that may not ask
        shutil.copy(folder / "registry" / name, folder / "members/upbit" / name)
    caplog.set_level("INFO", "daxa_client")
    with deployment.Process("evaluator", folder / "evaluators/1/evaluator.toml") as evaluator:
        found = {finding.check: finding for finding in examine(read_config(folder / "members/upbit/client.toml"))}
        _, log = evaluator.stop()
    assert "PERMISSION_DENIED" in found["evaluator 1"].problem
    [told] = [one for one in caplog.messages if one.startswith("a call failed: PERMISSION_DENIED, request id ")]
    refused = [line for line in map(json.loads, log.splitlines()) if line["call"].endswith("/GetParameters")]
    assert [line["request_id"] for line in refused] == [told.rpartition(" ")[2]]


def test_enroll_makes_a_key_and_a_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The request names the member as the registry knows peers; the key is its owner's alone, and is never overwritten."""
    arguments = ("enroll", "upbit", "--trust-domain", "daxa.test", "--out", tmp_path / "new")
    assert run(*arguments) == 0
    request = x509.load_pem_x509_csr((tmp_path / "new/request.pem").read_bytes())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://daxa.test/member/upbit"]
    assert request.is_signature_valid
    key = (tmp_path / "new/key.pem").read_bytes()
    assert stat.S_IMODE((tmp_path / "new/key.pem").stat().st_mode) == 0o600
    public = serialization.load_pem_private_key(key, None).public_key()
    assert public == request.public_key()
    assert run(*arguments) == 2
    assert (tmp_path / "new/key.pem").read_bytes() == key
    assert "INVALID_FILE: out: a folder without key.pem" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ship", "nowhere.log", "--exchange", "korbit"], "INVALID_FILE: nowhere.log: a file that can be read"),
        (["ship", "nowhere.log", "--exchange", "nowhere"], "INVALID_VALUE: exchange: one of"),
        (["sidecar", "--exchange", "korbit"], "INVALID_CONFIGURATION: sidecar: a socket to open"),
        (["ship", "x", "--exchange", "korbit", "--trusted-proxy", "10.1/8"], "INVALID_CONFIGURATION: trusted_proxies"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    member: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, naming what it was."""
    assert run("--config", member / "client.toml", *arguments) == 2
    assert said in capsys.readouterr().err

"""The commands of a member's host: doctor finds what is wrong and says what to mend, enroll makes what the registry signs."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import re
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import deployment
from daxa_client import _doctor as doctor_module
from daxa_client import _host_commands as commands_module
from daxa_client._cli import main
from daxa_client._config import read_config
from daxa_client._doctor import Finding, _Doctor, examine
from daxa_client._spool import Spool
from daxa_client.testing import TestRegistry
from daxa_client.texts import Language
from daxa_core.model import RawSighting
from daxa_registry.keys.pki import Authority


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
    assert lines[8].endswith("none yet: nothing was observed here")
    assert list((member / "data").iterdir()) == [], "it makes nothing"


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
    assert "MEND evaluator 3: UNAVAILABLE: evaluator 3: to be reachable (The server cannot" in out
    assert ")\n       see that the host and port are right" in out
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


def issued(running: Path, member: Path, **how: Any) -> None:
    """Gives the member another certificate, of the deployment's authority unless told otherwise."""
    authority = how.pop("authority", None)
    if authority is None:
        authority = Authority.load((running / "ca/ca.pem").read_bytes(), (running / "ca/ca.key").read_bytes())
    made = authority.issue("member/upbit", (), **how)
    (member / "cert.pem").write_bytes(made.certificate)
    (member / "key.pem").write_bytes(made.key)


def test_a_certificate_that_does_not_hold(running: Path, member: Path) -> None:
    """Expired, not begun, of another authority, soon to end: each is found here, before the registry is asked."""
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    for how, code, to_do in (
        ({"not_before": now - 3 * day, "days": 1}, "CERTIFICATE_EXPIRED", "have a new certificate issued"),
        ({"not_before": now + day, "days": 9}, "CERTIFICATE_EXPIRED", "set this host's clock right"),
        ({"authority": Authority.create("other.test")}, "CERTIFICATE_FOREIGN", "tls.ca from the same registry"),
        ({"days": 10}, "fewer than 30 days left", "have a new certificate issued"),
    ):
        issued(running, member, **how)  # type: ignore[arg-type]
        found = {one.check: one for one in itertools.islice(examine(read_config(member / "client.toml")), 2)}
        assert found["certificate"].problem.startswith(code)
        assert to_do in found["certificate"].mend


def test_another_key_version_and_another_canonical_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would match nobody: the evaluator says which it holds, and each has its own way to be mended."""
    with TestRegistry(tmp_path) as registry:
        config = registry.config(parameters=dataclasses.replace(registry.parameters, key_version=2))
        found = {one.check: one for one in examine(config)}
        assert found["evaluator 1"].problem.startswith("STALE_KEY_VERSION: evaluator 1: version 2")
        assert found["evaluator 1"].mend.startswith("take the parameters file that is in force")
        monkeypatch.setattr(doctor_module, "CANONICAL_VERSION", 2)
        found = {one.check: one for one in examine(registry.config())}
        assert found["evaluator 1"].problem.startswith("STALE_CANONICAL_VERSION: evaluator 1: version 2")
        assert found["evaluator 1"].mend.startswith(
            "install the daxa-client whose version and canonical form are in force"
        )


def test_a_log_that_was_read_and_could_not_be_sent_is_no_success(
    member: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who runs it by a timer hears of it, and of lines that were no records; the next run, with the registry there, sends it."""
    log, config = tmp_path / "access.log", member / "client.toml"
    log.write_text('{"key": "k_live_0000000001", "address": "8.8.8.8"}\nno record\nnor this\n')
    text = config.read_text()
    (port,) = deployment.free_ports(1)
    target = str(read_config(config).targets[0])
    monkeypatch.setattr(commands_module, "DRAIN_SECONDS", 1.0)
    config.write_text(text.replace(target, f"localhost:{port}"))
    assert run("--config", config, "ship", log, "--exchange", "korbit") == 1
    told = capsys.readouterr().err
    assert "lines that were no records: 2/3" in told
    assert "not all sent" in told
    monkeypatch.setattr(commands_module, "DRAIN_SECONDS", 60.0)
    config.write_text(text)
    assert run("--config", config, "ship", log, "--exchange", "korbit") == 0
    assert capsys.readouterr().err == ""


def test_each_address_of_the_registry_is_reached(tmp_path: Path) -> None:
    """A client goes on with the first that answers, so nobody would hear of the others until that one is gone."""
    (port,) = deployment.free_ports(1)
    with TestRegistry(tmp_path) as registry:
        good = registry.config().targets[0]
        found = {one.check: one for one in examine(registry.config(targets=(good, f"localhost:{port}")))}
    assert found[f"registry {good}"].told == "reached"
    assert found[f"registry localhost:{port}"].problem.startswith("UNAVAILABLE: registry: to be reachable")
    assert found["clock"].well


def test_it_speaks_korean(member: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the terminal does, or where it is told to: the code and the field as ever, what it means and what to do in words."""
    config = member / "client.toml"
    for arguments, environment in ((("--language", "ko"), "C"), ((), "ko_KR.UTF-8")):
        monkeypatch.setenv("LC_ALL", environment)
        assert run(*arguments, "--config", config, "ship", "nowhere.log", "--exchange", "korbit") == 2
        told = "daxa-client: INVALID_FILE: nowhere.log: a file that can be read (파일의 내용이 올바르지 않습니다)"
        assert capsys.readouterr().err.strip() == told
    text = config.read_text()
    (port,) = deployment.free_ports(1)
    config.write_text(
        text.partition("[registry]")[0] + f'[registry]\ntargets = ["127.0.0.1:{port}"]\n' + text[text.index("[[") :]
    )
    assert run("--config", config, "doctor") == 1
    out = capsys.readouterr().out
    assert "MEND registry: UNAVAILABLE: registry: to be reachable (서버에 연결할 수 없습니다" in out
    assert "호스트와 포트가 맞는지" in out


def files(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """All that stands in a folder, but for SQLite's own index of a log that is open."""
    return {
        one.name: (one.read_bytes(), one.stat().st_mode, one.stat().st_mtime_ns)
        for one in folder.iterdir()
        if not one.name.endswith("-shm")
    }


def spool_of(folder: Path, language: Language = "en") -> Finding:
    """What doctor says of the spool there; and that it leaves all as it is."""
    before = files(folder)
    unused: Any = None
    found = _Doctor(unused, language)._spool(folder / "spool.sqlite")
    assert files(folder) == before
    return found


def test_a_spool_is_looked_at_and_not_touched(tmp_path: Path) -> None:
    """None, one that a gateway has open, one that is at rest, a newer one, a torn one: as they were, byte for byte."""
    path = tmp_path / "spool.sqlite"
    assert spool_of(tmp_path).well
    spool = Spool(path, bytes(32))
    spool.add([RawSighting("k", "8.8.8.8", 495_000)], due=1)
    assert spool_of(tmp_path).told.startswith("1 sightings wait, the oldest ")
    spool.close()
    assert spool_of(tmp_path).well
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE report")  # as an older client left it
    assert spool_of(tmp_path).well
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version=99")
    found = spool_of(tmp_path)
    assert found.problem.startswith("INVALID_FILE: spool.sqlite: a spool of this client's version, not newer (")
    path.write_bytes(b"torn" * 9_999)
    found = spool_of(tmp_path)
    assert found.problem.startswith("INVALID_FILE: spool.sqlite: a spool that is not torn (")
    assert found.mend.startswith("look as the user that the gateway runs as")


def test_what_a_spool_has_lost_is_to_be_mended(tmp_path: Path) -> None:
    """Dropped, unreadable, set aside, discarded, and files beside it: each with its number, and an exit code that says so."""
    path = tmp_path / "spool.sqlite"
    spool = Spool(path, bytes(32))
    spool.add([RawSighting("k", "8.8.8.8", 495_000)], due=1)
    with spool._file.transaction() as database:
        for number, name in enumerate(("dropped", "unreadable", "refused", "discarded", "reports_lost"), 1):
            database.execute("INSERT INTO total VALUES (?,?)", (name, number))
    spool.close()
    (tmp_path / "spool.sqlite.broken-1").write_bytes(b"torn")
    (tmp_path / "spool.sqlite.newer-2.unread").write_bytes(b"new")
    found = spool_of(tmp_path)
    assert found.problem == (
        "1 dropped because it was full; 2 could not be read and are set aside; "
        "3 are set aside in batches that the registry can never take; 4 of those set aside had to make room; "
        "5 reports of what was done are lost; spool.sqlite.broken-1 was set aside; spool.sqlite.newer-2.unread was set aside"
    )
    assert "see the gateway's log" in found.mend
    found = spool_of(tmp_path, "ko")
    assert found.problem.startswith("1 건은 가득 차서 버려졌습니다; 2 건은 읽을 수 없어")
    assert found.problem.endswith("spool.sqlite.newer-2.unread 파일이 따로 보관되었습니다")


@pytest.mark.parametrize("state", ["file/spool", "file", "shut/spool"])
def test_a_state_folder_that_cannot_be_is_told_before_anything_is_lost(
    member: Path, tmp_path: Path, state: str
) -> None:
    """A gateway with it would keep nothing: below a file, a file itself, below a folder of somebody else's."""
    (tmp_path / "file").write_text("")
    (tmp_path / "shut").mkdir(mode=0o500)
    if state.startswith("shut") and os.geteuid() == 0:
        pytest.skip("nothing is shut to root")
    config = read_config(member / "client.toml")
    found = _Doctor(config, "en")._spool(tmp_path / state / "spool.sqlite")
    assert "client.toml: gateway.state: a folder that can be made and written in" in found.problem
    assert "gateway.state" in found.mend
    assert _Doctor(config, "en")._spool(tmp_path / "new/state/spool.sqlite").well
    assert not (tmp_path / "new").exists()


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

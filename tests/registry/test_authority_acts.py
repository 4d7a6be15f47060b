"""The authority's acts in the registry's log: taken from its record, each once, and told where the record is not what it was."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deployment
import life
from daxa_api.v1 import audit_pb2, audit_pb2_grpc
from daxa_core.envelope import EVENT_TYPE
from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode
from daxa_registry.bootstrap import audit_database, registry_status
from daxa_registry.cli import cli
from daxa_registry.cli.status import attention
from daxa_registry.keys.authority_folder import AuthorityFolder
from daxa_registry.service.acts import acts
from daxa_registry.service.authority_acts import PART, AuthorityActs, read_acts, untaken
from daxa_registry.store.interface import AUDITORS, Store
from daxa_registry.store.sqlite import SqliteStore

NOW = 1_800_000_000


def line(number: int, by: str = "kim", act: str = "issue") -> str:
    """An act as the authority's folder writes it."""
    told = {"at": "2027-01-15T08:00:00+00:00", "by": by, "act": act, "serial": f"{number:x}", "peer": "member/upbit"}
    return json.dumps(told) + "\n"


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty one."""
    made = SqliteStore(":memory:")
    yield made
    made.close()


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The copy of the authority's record; nothing is there yet."""
    return tmp_path / "acts.jsonl"


def pki(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, ["pki", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def leaves(peer: Path, configuration: Path) -> list[dict[str, object]]:
    """The details of the operators' acts that the log tells that peer."""
    with deployment.channel(peer, configuration) as channel:
        entries = (
            audit_pb2_grpc.AuditServiceStub(channel)
            .ListEntries(audit_pb2.ListEntriesRequest(limit=400), timeout=30)
            .entries
        )
    events = [json.loads(entry.payload) for entry in entries if entry.payload_type == EVENT_TYPE]
    return [event["detail"] for event in events if event["kind"] == "operator-act"]


def test_what_pki_does_is_in_the_log_within_a_moment_with_who_did_it(tmp_path: Path) -> None:
    """Issuing, signing, renewing, revoking, and what init issued; auditors alone read it; the rebuilt log fits."""
    with life.world(tmp_path, members=("upbit",)) as world:
        ca, home = world.folder / "ca", world.folder
        by = ("--ca", ca, "--by", "kim", "--yes")
        pki("issue", "auditor/fss", home / "auditor", *by)
        pki("renew", home / "members/upbit", *by)
        pki("issue", "member/bithumb", home / "bithumb", *by)
        pki("revoke", "member/bithumb", *by)
        configuration = home / "registry/registry.toml"
        wanted = ["certificate_issued", "certificate_renewed", "certificate_issued", "certificate_revoked"]
        until = time.monotonic() + 60
        found: list[dict[str, object]] = []
        while len(found) < 4 and time.monotonic() < until:
            told = leaves(home / "auditor", configuration)
            found = [act for act in told if act["operator"] == "authority/kim"]
        assert [act["kind"] for act in found] == wanted
        assert [act["detail"]["peer"] for act in found] == [  # type: ignore[index]
            "auditor/fss", "member/upbit", "member/bithumb", "member/bithumb",
        ]  # fmt: skip
        assert found[2]["detail"]["serial"] == found[3]["detail"]["serial"]  # type: ignore[index]
        made_by_init = [act for act in told if act["operator"] == "authority/init"]
        assert {act["detail"]["peer"] for act in made_by_init} == {  # type: ignore[index]
            "registry", "evaluator/1", "member/upbit", "operator/daxa",
        }  # fmt: skip
        assert leaves(home / "members/upbit", configuration) == []
        assert audit_database(configuration, None).problem is None
        assert registry_status(configuration).acts_problem == ""


def test_each_act_is_taken_once_whatever_copies_come_and_after_a_restart(store: Store, record: Path) -> None:
    """No file, the same file, a longer one, an older one again, one whose last line is just being written, a second node."""
    taking = AuthorityActs(store, record, lambda: NOW)
    assert taking.take() == 0
    record.write_text(line(1) + line(2))
    assert (taking.take(), taking.take()) == (2, 0)
    record.write_text(line(1) + line(2) + line(3, act="revoke") + line(4)[:30])
    assert (taking.take(), AuthorityActs(store, record, lambda: NOW).take()) == (1, 0)
    record.write_text(line(1))
    assert taking.take() == 0
    record.write_text("".join(line(number, act="revoke" if number == 3 else "issue") for number in range(1, PART + 10)))
    assert AuthorityActs(store, record, lambda: NOW).take() == PART + 9 - 3
    assert [(act.kind, act.operator, act.detail["serial"]) for act in acts(store)[:3]] == [
        ("certificate_issued", "authority/kim", "1"),
        ("certificate_issued", "authority/kim", "2"),
        ("certificate_revoked", "authority/kim", "3"),
    ]
    assert len(acts(store)) == store.log_size() == PART + 9
    assert {leaf.audience for leaf in store.leaves(0, 5)} == {AUDITORS}


REWRITTEN: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "another name": (lambda lines: [line(1, by="lee"), *lines[1:]], "in line 1 the act that stands in the log"),
    "one left out": (lambda lines: [lines[0], lines[2], line(9)], "in line 2 the act that stands in the log"),
    "begun anew": (lambda lines: [line(8), line(9)], "in line 1 the act that stands in the log"),
    "no act": (lambda lines: [*lines, "{}\n", line(9)], "in line 4 an act of the authority"),
    "an unknown act": (lambda lines: [*lines, line(9, act="forgive")], "in line 4 an act of the authority"),
    "no name": (lambda lines: [*lines, line(9, by="")], "in line 4 an act of the authority"),
}


@pytest.mark.parametrize("change", REWRITTEN)
def test_a_record_that_was_rewritten_is_told_and_nothing_of_it_is_taken(
    store: Store, record: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    """Once in the log, with the line; what stands in the log stays, and when the true record is back, it goes on."""
    lines = [line(number) for number in range(1, 4)]
    record.write_text("".join(lines))
    taking = AuthorityActs(store, record, lambda: NOW)
    assert taking.take() == 3
    rewrite, told = REWRITTEN[change]
    record.write_text("".join(rewrite(lines)))
    with caplog.at_level(logging.ERROR, "daxa_registry.service"):
        assert [taking.take() for _ in range(3)] == [0, 0, 0]
    assert [told in message for message in caplog.messages] == [True]
    with pytest.raises(ConfigurationError, match=told):
        untaken(store, record)
    assert store.log_size() == 3
    record.write_text("".join([*lines, line(4)]))
    assert taking.take() == 1


@given(st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode), st.just(b"[" * 100_000)))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_stands_in_the_record_is_read_or_refused(record: Path, data: bytes) -> None:
    """A disk tears files, and editors save in other encodings."""
    record.write_bytes(line(1).encode() + data + b"\n")
    try:
        read_acts(record)
    except DaxaError as error:
        assert error.code is ErrorCode.INVALID_FILE  # noqa: PT017 - reading it is well too
    record.unlink()
    record.mkdir()
    with pytest.raises(ConfigurationError, match=r"acts\.jsonl: a readable file"):
        read_acts(record)
    record.rmdir()


def test_status_says_when_a_revocation_came_without_its_act(tmp_path: Path) -> None:
    """Who carries crl.pem to the registry and forgets the record beside it is told, and so is one who brings another record."""
    folder = deployment.deploy(tmp_path / "deployment", ("upbit",), threshold=1, evaluators=1)
    configuration, record = folder / "registry/registry.toml", folder / "registry/acts.jsonl"
    SqliteStore(folder / "registry/data/registry.sqlite").close()
    before = record.read_bytes()
    pki("revoke", "member/upbit", "--ca", folder / "ca", "--by", "kim", "--yes")
    assert registry_status(configuration).acts_problem == ""
    carried = record.read_bytes()
    record.write_bytes(before)
    problem = registry_status(configuration).acts_problem
    assert problem == "acts.jsonl does not tell who revoked 1 of the certificates in the list"
    record.unlink()
    assert any(problem in one for one in attention(registry_status(configuration)))
    record.write_bytes(carried.replace(b'"kim"', b"'kim'"))
    assert "an act of the authority" in registry_status(configuration).acts_problem


def test_a_name_that_the_log_would_not_take_is_refused_by_the_authority(tmp_path: Path) -> None:
    """Else one line would keep every later one out of the log."""
    folder = AuthorityFolder.create(tmp_path / "ca", "daxa.kr")
    for name in ("", "김", "kim\n", "k" * 65):
        with pytest.raises(DaxaError, match="INVALID_VALUE: by"):
            folder.issue("member/upbit", [], by=name)
    assert folder.acts == b""
    assert list((tmp_path / "ca/issued").iterdir()) == []

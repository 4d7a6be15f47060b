"""What a Prometheus reads and what an operator's status says, of members whose claims are contradicted too."""

from __future__ import annotations

import json
import logging
import socket
import urllib.request
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import deployment
from daxa_api.v1 import verdict_pb2, verdict_pb2_grpc
from daxa_core.errors import ConfigurationError
from daxa_registry.bootstrap import open_store, registry_server, registry_status
from daxa_registry.cli.status import attention, status
from daxa_registry.config import read_registry
from daxa_registry.keys.authority_folder import AuthorityFolder
from daxa_registry.keys.files import replace_file
from daxa_registry.logs import JsonLines
from daxa_registry.service.metrics import ASKED_AGAIN_SECONDS, Gauge, Metrics
from daxa_registry.service.watched import watch_store
from sightings import fine, seen


def test_the_rate_of_a_members_contradicted_claims_is_shown_to_operators(tmp_path: Path) -> None:
    """In the metrics, and in status, which asks for attention past one in a hundred: of each member that claims the same key."""
    folder = deployment.deploy(tmp_path / "deployment", ["upbit"], threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    store = open_store(read_registry(configuration).database)
    claimed = {"upbit": range(200), "korbit": range(199, 207), "gopax": range(300, 301), "bithumb": ()}
    with store.transaction():
        for name, keys in claimed.items():
            store.absorb(store.member_id(name), [seen(f"k{key}", "a") for key in keys], fine)
    metrics = Metrics()
    watch_store(metrics, store)
    text = metrics.text()
    store.close()
    for name, rate in (("upbit", 0.005), ("korbit", 0.125), ("gopax", 0.0), ("bithumb", 0.0)):
        assert f'daxa_contradicted_ratio{{member="{name}"}} {rate}' in text
    told = CliRunner().invoke(status, [str(configuration)]).output
    asked = [line for line in told.splitlines() if line.startswith("ATTENTION") and "claim" in line]
    assert asked == [
        "ATTENTION: another member claims 1 of the 8 keys that korbit claims (12.5%), though a key has one issuer: ask them"
    ]
    shown = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.startswith("  ")}
    assert [shown[name] for name in ("upbit", "korbit", "gopax")] == [
        ["200", "0.50%", "1"], ["8", "12.50%", "1"], ["1", "0.00%", "0"],
    ]  # fmt: skip
    members = json.loads(CliRunner().invoke(status, [str(configuration), "--json"]).output)["members"]
    assert members["korbit"] == {"keys": 8, "contradicted": 1, "others": 1, "rate": 0.125}


def test_a_number_that_cannot_be_had_hides_no_other_and_is_not_asked_too_often() -> None:
    """A locked database costs its own numbers; a scrape a second costs one query in a quarter of a minute."""
    now, asked = [0.0], []
    metrics = Metrics(clock=lambda: now[0])

    def broken() -> dict[tuple[str, ...], float]:
        asked.append(now[0])
        raise OSError

    metrics.add(Gauge("daxa_broken", "x", (), broken))
    metrics.add(Gauge("daxa_fine", "x", ("which",), lambda: {("a",): 7.0}))
    for _ in range(3):
        assert 'daxa_fine{which="a"} 7.0' in metrics.text()
    assert asked == [0.0]
    now[0] = ASKED_AGAIN_SECONDS
    metrics.text()
    assert len(asked) == 2


def test_a_metrics_port_that_is_taken_is_said_so() -> None:
    """And none is served where none is configured."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="metrics_port"), Metrics().served(taken.getsockname()[1]):
            raise AssertionError("not reached")
    with Metrics().served(None) as port:
        assert port is None


def test_a_line_of_the_log_is_json_with_the_request_id_and_no_exceptions_text() -> None:
    """What a log collector needs, and nothing of what a call carried."""
    try:
        raise ValueError("SECRET-1234")
    except ValueError as error:
        record = logging.LogRecord(
            "daxa_registry.rpc", logging.ERROR, "", 0, "a call", None, (type(error), error, None)
        )
    record.request_id, record.peer = "7b3f", "member/upbit"
    line = json.loads(JsonLines().format(record))
    assert (line["request_id"], line["peer"], line["level"], line["exception"]) == (
        "7b3f", "member/upbit", "ERROR", "ValueError",
    )  # fmt: skip
    assert "SECRET" not in json.dumps(line)


def test_status_tells_of_an_authority_and_of_a_list_that_ends(tmp_path: Path) -> None:
    """And what to do about it."""
    folder = deployment.deploy(tmp_path / "deployment", ["upbit"], threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    open_store(read_registry(configuration).database).close()
    found = registry_status(configuration)
    assert not any("authority" in one for one in attention(found))
    soon = replace(found, days_left={**found.days_left, "authority": 20.0})
    assert any(one.startswith("the authority ends in 20 days: everybody") for one in attention(soon))
    late = replace(found, days_left={**found.days_left, "revocation list": -1.0})
    assert any("out of date since 1 days: `daxa-registry pki renew-crl`" in one for one in attention(late))


def test_metrics_and_status_of_a_registry_that_runs(tmp_path: Path) -> None:
    """Calls by code, verdicts by level, the log, certificates' days; status is well, and tells when something is not."""
    folder = deployment.deploy(tmp_path / "deployment", ["upbit"], threshold=1, evaluators=1)
    configuration = folder / "registry/registry.toml"
    [port] = deployment.free_ports(1)
    configuration.write_text(f"metrics_port = {port}\n" + configuration.read_text())
    with deployment.in_process(partial(registry_server, read_registry(configuration))):
        with deployment.channel(folder / "members/upbit", configuration) as channel:
            stub = verdict_pb2_grpc.VerdictServiceStub(channel)
            stub.BatchGetVerdicts(verdict_pb2.BatchGetVerdictsRequest(keys=[bytes(32)], key_version=1), timeout=30)
            with pytest.raises(Exception, match="EMPTY_BATCH"):
                stub.BatchGetVerdicts(verdict_pb2.BatchGetVerdictsRequest(key_version=1), timeout=30)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        for line in (
            'daxa_calls_total{call="BatchGetVerdicts",code="OK",role="member"} 1.0',
            'daxa_calls_total{call="BatchGetVerdicts",code="EMPTY_BATCH",role="member"} 1.0',
            'daxa_keys{level="CLEAR"} 0.0',
            "daxa_tls_files_refused 0.0",
        ):
            assert line in text
        assert 'daxa_days_left{file="certificate"} 364.' in text
        assert 'daxa_days_left{file="authority"} 36' in text
        assert "daxa_log_size" in text
        result = CliRunner().invoke(status, [str(configuration)], catch_exceptions=False)
        assert (result.exit_code, result.output.splitlines()[0]) == (0, "all is well")
        authority = AuthorityFolder.open(folder / "ca")
        issued = authority.issue("registry", ["127.0.0.1"], by="test", days=10)
        replace_file(folder / "registry/key.pem", issued.key, 0o600)
        replace_file(folder / "registry/cert.pem", issued.certificate)
        result = CliRunner().invoke(status, [str(configuration), "--json"], catch_exceptions=False)
        table = json.loads(result.output)
        assert (result.exit_code, table["serving"]) == (1, True)
        assert table["attention"] == ["the certificate ends in 10 days: `daxa-registry pki renew` makes the next"]
    (folder / "registry/key.pem").write_bytes(b"nonsense")
    down = registry_status(configuration)
    assert not down.serving
    assert "key" in down.tls_problem

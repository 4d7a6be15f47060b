"""Nothing raw leaves the client: every message that it sends, every file, log and metric of the servers, of a whole run.

What is searched for is every identifier that went in, at members and at operators, and its parts, as text, bytes, hexadecimal
and base64. That something else which went in is found everywhere shows that there is something to search in.
"""

from __future__ import annotations

import base64
import logging
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from click.testing import CliRunner

import deployment
from daxa_client import Act, Device, Ground, Level, Manner, RawSighting, RegistryClient, _channel, _cli
from daxa_client._leak_commands import LEAKED_EXIT
from daxa_registry.bootstrap import evaluator_server, open_store, registry_server
from daxa_registry.cli import cli
from daxa_registry.config import read_evaluator, read_registry
from daxa_registry.logs import JsonLines
from daxa_registry.rpc.operator import Operator
from daxa_registry.store.sqlite_schema import TABLES

KEYS = 8
HOUR = int(time.time()) // 3_600
STACK = Device("ccxt/4.4.98 (python)", "t13d1516h2_8daaf6152771_02713d6af862", (("x-library", "pyupbit-0.2.33"),))


class Answers:
    """A stream's call that hands each message on, and says which it was; in all else the call itself."""

    def __init__(self, call: Any, keep: Callable[[bytes], None]) -> None:
        self._call, self._keep = call, keep

    def __iter__(self) -> Iterator[Any]:
        for message in self._call:
            self._keep(message.SerializeToString())
            yield message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


class Recorder(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Keeps what the client hands to the transport, before TLS hides it: messages and metadata, both ways."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def _keep(self, details: grpc.ClientCallDetails, request: Any) -> None:
        self.sent.append(request.SerializeToString())
        self.sent.append(repr(details.metadata).encode())

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        self._keep(details, request)
        call = continuation(details, request)
        if call.exception() is None:
            self.sent.append(call.result().SerializeToString())
        self.sent.append(repr(call.trailing_metadata()).encode())
        return call

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        self._keep(details, request)
        return Answers(continuation(details, request), self.sent.append)


def forms(raw: bytes) -> Iterator[bytes]:
    """How an identifier could stand in what was sent: as it is, in hexadecimal, in base64 at each of the three alignments."""
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        start = -(-before * 4 // 3) + (1 if before else 0)
        part = whole[start : len(whole) - 4]
        if len(part) >= 8:
            yield part
            yield part.replace(b"+", b"-").replace(b"/", b"_")


KEY = "private-key-material-{}-of-somebody"
LEAKED, LOADED, SECRET = (
    "leaked0key0material".ljust(40, "X"),
    "loaded0key0material".ljust(40, "X"),
    "secret-key-material",
)
DUMP = "somebody@example.com;{};{};2022-12-28\n"
DECLARED = "121.130.94.37"
MARK = b"a paste that was found by hand"
"""What a leak is called: it is in the traffic and in the database, whichever that is."""
RAW = (
    [KEY.format(n).encode() for n in range(KEYS)]
    + [LEAKED.encode(), LOADED.encode(), SECRET.encode(), b"somebody@example.com", DECLARED.encode()]
    + [f"customer-number-{n}".encode() for n in range(KEYS)]
    + [f"holder identity {n}".encode() for n in range(KEYS)]
    + [
        b"10.9.8.7",
        b"211.234.10.7",
        b"2406:5900:1001:7::9",
        b"ccxt/4.4.98",
        b"t13d1516h2_8daaf6152771",
        b"pyupbit-0.2.33",
    ]
    + [bytes([211, 234, 10, 7]), bytes([121, 130, 94, 37]), bytes.fromhex("2406590010010007")]
)


def traffic() -> list[RawSighting]:
    """A ring over both kinds of address, in every manner, and one sighting that is refused for its address."""
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    good = [
        RawSighting(
            KEY.format(n), "211.234.10.7", HOUR - h, Manner.USED, 1, STACK, f"holder identity {n}".encode(),
            f"customer-number-{n}",
        )
        for n in range(KEYS)
        for h in hours
    ]  # fmt: skip
    good += [
        RawSighting(KEY.format(n), "2406:5900:1001:7::9", HOUR - 2, Manner.REJECTED, 1, STACK) for n in range(KEYS)
    ]
    declared = [RawSighting(KEY.format(n), "211.234.10.7", HOUR, Manner.DECLARED) for n in range(KEYS)]
    return [*good, *declared, RawSighting(SECRET, "10.9.8.7 is no address", HOUR)]


def test_the_search_finds_what_is_there() -> None:
    """Each form of each identifier is found where it does stand, whatever stands around it."""
    for raw in RAW:
        for around in (b"", b"a", b"ab"):
            text = base64.b64encode(around + raw + b"zz")
            assert len(raw) < 9 or any(form in text for form in forms(raw)), raw
        assert any(form in b"x" + raw.hex().encode() for form in forms(raw))


class Run:
    """A registry with an evaluator, and who works with it: one member, and an operator with his commands."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database = folder, database
        deployment.deploy(folder, ["upbit"], threshold=1, evaluators=1)
        deployment.without_grace(folder)
        self.configuration, self.evaluator = folder / "registry/registry.toml", folder / "evaluators/1/evaluator.toml"
        self.ports = deployment.free_ports(2)
        for configuration, port in zip((self.configuration, self.evaluator), self.ports, strict=True):
            configuration.write_text(f"metrics_port = {port}\n" + configuration.read_text())
        if database:
            text = self.configuration.read_text().replace('"data/registry.sqlite"', f'"{database}"')
            self.configuration.write_text(text)
        self.home = folder / "members/upbit"
        for name, key in (("leaked.txt", LEAKED), ("loaded.txt", LOADED)):
            (folder / name).write_text(DUMP.format(key, KEY.format(0)))
        (folder / "inventory.csv").write_text("".join(f"{KEY.format(n)}\n" for n in range(KEYS)) + f"{LEAKED}\n")

    def operator(self, *words: str | Path) -> str:
        """What ``daxa-registry`` prints."""
        place = ("--operator", self.folder / "operators/daxa/operator.toml")
        result = CliRunner().invoke(cli, [str(word) for word in (*words, *place)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def member(self, *words: str | Path) -> None:
        """``daxa-client``, with the member's configuration."""
        with pytest.raises(SystemExit) as ended:
            _cli.main(["--config", str(self.home / "client.toml"), *map(str, words)])
        assert ended.value.code in (0, LEAKED_EXIT), words

    def metrics(self) -> bytes:
        """The registry's and the evaluator's."""
        told = b""
        for port in self.ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                told += answer.read()
        return told

    def go(self) -> None:
        """Everything that members and operators call, one after the other."""
        keys = [KEY.format(n) for n in range(KEYS)]
        doing = ("--by", "kim", "--yes")
        reason = ("--reason", "looked at", *doing)
        with RegistryClient.from_file(self.home / "client.toml") as client:
            result = client.submit(traffic())
            assert (result.accepted, len(result.refusals)) == (len(traffic()) - 1, 1)
            # A verdict moves by one step a look, so its end is waited for.
            deployment.wait_for(lambda: all(verdict.level >= Level.WARN for verdict in client.verdicts(keys).values()))
            next(iter(client.watch(0)))
            verdicts = client.verdicts(keys)
            client.report_enforcement(verdicts[keys[0]], Act.WARNED)
            client.appeal(verdicts[keys[1]], Ground.SHARED_PREMISES, "case-17")
            self.operator("appeal", "show", "upbit:1")
            self.operator("appeal", "deny", "upbit:1", *reason)
            self.operator("case", "list")
            self.operator("replay", "upbit:1")
            found = ("--name", MARK.decode(), "--source", "a forum")
            self.member("leak", "report", self.folder / "leaked.txt", *found)
            self.operator("leak", "load", self.folder / "loaded.txt", *found, *doing)
            for act in ("verify", "doubt", "withdraw"):
                self.operator("leak", act, "L2", *reason)
            self.operator("leak", "testers")
            self.member("leak", "screen", self.folder / "inventory.csv")
            self.operator("incident", "open", MARK.decode(), "--class", "credential-compromise", *doing)
            self.operator("incident", "link", "1", "--leak", "L1", *doing)
            self.operator("incident", "link", "1", "--verdict", "upbit:1", *doing)
            self.operator("incident", "show", "1")
            self.operator("incident", "close", "1", "--outcome", "told", *doing)
            self.operator("policy", "test", self.folder / "registry/policy.toml")
            self.operator("infrastructure", "add", DECLARED, "--name", "a platform", *doing)
            [declared] = re.findall(r"^A\d+", self.operator("infrastructure", "list"))
            self.operator("infrastructure", "remove", declared, *doing)
            self.member("leak", "withdraw", "L1")
            self.member("doctor")
            for key in keys[1:]:
                client.withdraw(key)
            # What rested on the others' sightings is corrected: alone on its address, this key shares nothing.
            deployment.wait_for(lambda: client.verdicts(keys[:1])[keys[0]].level < Level.WARN)
            client.withdraw(keys[0])

    def stored(self) -> dict[str, bytes]:
        """Every file of every server and of the operator; of PostgreSQL every row, and the files of the database."""
        places = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for part in ("registry", "evaluators", "operators")
            for path in (self.folder / part).rglob("*")
            if path.is_file()
        }
        if not self.database:
            return places
        with psycopg.connect(self.database, autocommit=True) as connection:
            for table in TABLES:
                with connection.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT BINARY)") as rows:
                    places[f"table {table}"] = b"".join(map(bytes, rows))
            connection.execute("CHECKPOINT")
            home = "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname=current_database()"
            directory, database = connection.execute(home).fetchone() or ("", 0)
        files = [path.read_bytes() for path in (Path(directory) / f"base/{database}").iterdir()]
        return places | {"PostgreSQL's files": b"\n".join(files)}


@pytest.fixture(params=["sqlite", "postgres"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """What is to run, on either store."""
    database = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    return Run(tmp_path / "deployment", database)


def test_nothing_raw_leaves_the_client(
    running: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All that members and operators do with keys, addresses and dumps in hand; then search messages, metadata, databases, logs
    and metrics."""
    recorder = Recorder()
    opened, operators = _channel.open_channel, Operator._open
    for module in ("_registry", "_fingerprints", "_doctor"):
        monkeypatch.setattr(
            f"daxa_client.{module}.open_channel",
            lambda *arguments: grpc.intercept_channel(opened(*arguments), recorder),
        )
    monkeypatch.setattr(Operator, "_open", lambda *arguments: grpc.intercept_channel(operators(*arguments), recorder))
    caplog.set_level(logging.DEBUG)
    registry = partial(registry_server, read_registry(running.configuration))
    evaluator = partial(evaluator_server, read_evaluator(running.evaluator))
    with deployment.in_process(registry, evaluator):
        running.go()
        metrics = running.metrics()
    store = open_store(read_registry(running.configuration).database)
    assert store.counts()["presence"] == 0, "what was withdrawn is gone"
    store.close()
    places = {
        "messages": b"\n".join(recorder.sent),
        "metrics": metrics,
        "logs": "\n".join([caplog.text, *map(JsonLines().format, caplog.records)]).encode(),
        **running.stored(),
    }
    assert len(places["messages"]) > 50_000
    for number in (b"daxa_sightings_total{", b"daxa_matching_seconds_count", b"daxa_limit_used{", b"daxa_quota_used{"):
        assert number in metrics, f"{number!r} is not counted, so there is nothing to search in"
    held = ["table leak", "PostgreSQL's files"] if running.database else ["registry/data/registry.sqlite"]
    for name in ("messages", *held):
        assert MARK in places[name], f"what was told is not in {name}, so there is nothing to search in"
    for raw in RAW:
        for form in forms(raw):
            for name, content in places.items():
                # Four bytes by themselves stand in a megabyte of random ones by chance.
                assert len(form) < 5 or form not in content, name

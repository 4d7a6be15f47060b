"""Nothing raw leaves the client: every message that it sends, every file, log and metric of the servers, of a whole run.

What is searched for is every identifier that went in, and its parts, as text, bytes, hexadecimal and base64.
"""

from __future__ import annotations

import base64
import logging
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

import deployment
from daxa_client import Device, Level, Manner, RawSighting, RegistryClient, _channel
from daxa_registry.bootstrap import evaluator_server, open_store, registry_server
from daxa_registry.config import read_evaluator, read_registry

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


RAW = (
    [f"private-key-material-{n}".encode() for n in range(KEYS)]
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
    + [bytes([211, 234, 10, 7]), bytes.fromhex("2406590010010007")]
)


def traffic() -> list[RawSighting]:
    """A ring over both kinds of address, in every manner, and one sighting that is refused for its address."""
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    good = [
        RawSighting(
            f"private-key-material-{n}", "211.234.10.7", HOUR - h, Manner.USED, 1, STACK, f"holder identity {n}".encode(),
            f"customer-number-{n}",
        )
        for n in range(KEYS)
        for h in hours
    ]  # fmt: skip
    good += [
        RawSighting(f"private-key-material-{n}", "2406:5900:1001:7::9", HOUR - 2, Manner.REJECTED, 1, STACK)
        for n in range(KEYS)
    ]
    declared = [RawSighting(f"private-key-material-{n}", "211.234.10.7", HOUR, Manner.DECLARED) for n in range(KEYS)]
    return [*good, *declared, RawSighting("private-key-material-0", "10.9.8.7 is no address", HOUR)]


def until(holds: Callable[[], bool]) -> None:
    """Waits for it; fails where it does not come."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_search_finds_what_is_there() -> None:
    """Each form of each identifier is found where it does stand, whatever stands around it."""
    for raw in RAW:
        for around in (b"", b"a", b"ab"):
            text = base64.b64encode(around + raw + b"zz")
            assert len(raw) < 9 or any(form in text for form in forms(raw)), raw
        assert any(form in b"x" + raw.hex().encode() for form in forms(raw))


def test_nothing_raw_leaves_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Submit, look up, watch, withdraw; then search messages, metadata, databases, logs and metrics."""
    folder = deployment.deploy(tmp_path / "deployment", ["upbit"], threshold=1, evaluators=1)
    deployment.without_grace(folder)
    configuration = folder / "registry/registry.toml"
    [port] = deployment.free_ports(1)
    configuration.write_text(f"metrics_port = {port}\n" + configuration.read_text())
    recorder = Recorder()
    opened = _channel.open_channel
    for module in ("_registry", "_fingerprints"):
        monkeypatch.setattr(
            f"daxa_client.{module}.open_channel",
            lambda *arguments: grpc.intercept_channel(opened(*arguments), recorder),
        )
    caplog.set_level(logging.DEBUG, "daxa_client")
    caplog.set_level(logging.DEBUG, "daxa_registry")
    registry = partial(registry_server, read_registry(configuration))
    evaluator = partial(evaluator_server, read_evaluator(folder / "evaluators/1/evaluator.toml"))
    with deployment.in_process(registry, evaluator):
        with RegistryClient.from_file(folder / "members/upbit/client.toml") as client:
            result = client.submit(traffic())
            assert (result.accepted, len(result.refusals)) == (len(traffic()) - 1, 1)
            keys = [f"private-key-material-{n}" for n in range(KEYS)]
            # A verdict moves by one step a look, so its end is waited for.
            until(lambda: all(verdict.level >= Level.WARN for verdict in client.verdicts(keys).values()))
            watched = next(iter(client.watch(0)))
            assert any(watched.key in message for message in recorder.sent), "answers of streams are kept as well"
            for key in keys[1:]:
                client.withdraw(key)
            # What rested on the others' sightings is corrected: alone on its address, this key shares nothing.
            until(lambda: client.verdicts(keys[:1])[keys[0]].level < Level.WARN)
            client.withdraw(keys[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            metrics = answer.read()
    store = open_store(read_registry(configuration).database)
    assert store.counts()["presence"] == 0, "what was withdrawn is gone"
    store.close()
    places = {
        "messages": b"\n".join(recorder.sent),
        "metrics": metrics,
        "logs": caplog.text.encode(),
        **{
            str(path.relative_to(folder)): path.read_bytes()
            for part in ("registry", "evaluators")
            for path in (folder / part).rglob("*")
            if path.is_file()
        },
    }
    assert len(places["messages"]) > 50_000
    for number in (b"daxa_sightings_total{", b"daxa_matching_seconds_count", b"daxa_limit_used{"):
        assert number in metrics, f"{number!r} is not counted, so there is nothing to search in"
    for raw in RAW:
        for form in forms(raw):
            for name, content in places.items():
                # Four bytes by themselves stand in a megabyte of random ones by chance.
                assert len(form) < 5 or form not in content, name

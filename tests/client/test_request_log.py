"""Records of requests become sightings: whose key, from where, how it went; what is no record is refused by its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daxa_api.v1 import envoy_access_log_pb2 as envoy
from daxa_client import Gateway, InvalidInput, Manner
from daxa_client._middleware import device_of
from daxa_client._request_log import MAX_LINE_BYTES, RequestLog
from daxa_client.testing import TestRegistry
from daxa_core.model import Device
from formats import HEX_32, UUID, payload

KEY = "k_live_0123456789"


class Seen:
    """A gateway that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def observe(self, key: str, address: str, **more: Any) -> bool:
        self.calls.append((key, address, {name: value for name, value in more.items() if value is not None}))
        return True


def read(record: dict[str, Any], exchange: str = "korbit", **settings: Any) -> list[tuple[str, str, dict[str, Any]]]:
    seen = Seen()
    assert RequestLog(seen, exchange, **settings).line(json.dumps(record).encode())
    return seen.calls


REQUEST = {
    "time": "1790000000.250", "address": "8.8.8.8", "method": "GET", "path": "/v2/balance?x=1", "status": "200",
    "user_agent": "curl/8", "headers": {"X-KAPI-KEY": KEY}, "account": "-", "ja4": "",
}  # fmt: skip


def test_a_request_that_succeeded_is_a_use() -> None:
    """Everything as text, as nginx writes it; what is empty or a dash is absent."""
    [(key, address, more)] = read(REQUEST)
    assert (key, address) == (KEY, "8.8.8.8")
    assert more == {"manner": Manner.USED, "device": Device("curl/8"), "when": 1_790_000_000.25}


@pytest.mark.parametrize("agent", ["bot\xff/1", "봇/1"])
def test_bytes_that_are_no_utf_8_hide_nobody(agent: str) -> None:
    """nginx writes them as they came: such a value is Latin-1, as in the middleware, and its neighbours stay what they are."""
    raw = agent.encode("latin-1" if agent.startswith("bot") else "utf-8")
    seen = Seen()
    line = json.dumps({**REQUEST, "user_agent": "AGENT", "path": "/v2/balance?x=PATH"}).encode()
    assert RequestLog(seen, "korbit").line(line.replace(b"AGENT", raw).replace(b"PATH", b"\xff\xfe"))
    assert device_of(raw) == Device(agent)
    assert [(key, more["device"]) for key, _, more in seen.calls] == [(KEY, Device(agent))]


@pytest.mark.parametrize("name", [b"X-KAPI-KEY", b"X-\xff-KEY"])
def test_bytes_that_are_no_utf_8_in_a_header_are_a_header(name: bytes) -> None:
    """In its name or its value: read as it is, whatever key it gives, and no error."""
    line = json.dumps({**REQUEST, "headers": {"NAME": "a\udcffb", "x-kapi-key": KEY}}).encode()
    seen = Seen()
    assert RequestLog(seen, "korbit").line(line.replace(b"NAME", name).replace(b"\\udcff", b"\xff"))


@pytest.mark.parametrize("status", [401, "403"])
def test_a_request_that_was_refused_is_a_rejection(status: object) -> None:
    """And says nothing of an account."""
    [(_, _, more)] = read({**REQUEST, "status": status, "account": "7"})
    assert more["manner"] is Manner.REJECTED
    assert "account" not in more


@pytest.mark.parametrize(
    "change",
    [
        {"status": "500"}, {"status": "404"}, {"status": ""}, {"headers": {}}, {"path": "/v2/tickers"}, {"path": "/health"},
        {"path": "/v2/%74ickers"}, {"path": "/v2/balance/../tickers"}, {"method": "OPTIONS", "status": "204"},
        {"method": "HEAD"}, {"path": "/v2/balance/", "status": "307"}, {"status": "304"},
    ],
)  # fmt: skip
def test_what_says_nothing_of_a_key_is_passed_over(change: dict[str, Any]) -> None:
    """An error, no status, no key, a public route or one that is not known, a redirection, a preflight."""
    assert read({**REQUEST, **change}) == []


@pytest.mark.parametrize(
    ("exchange", "path", "headers"),
    [
        ("coinone", "/v2.1/order", {"x-coinone-payload": payload(access_token=UUID)}),
        ("bithumb", "/info/balance", {"api-key": HEX_32}),
    ],
)
def test_where_a_refusal_is_a_success_too_a_log_says_nothing_without_the_account(
    exchange: str, path: str, headers: dict[str, str]
) -> None:
    """The body that would tell is in no log: whose key it was is known where the account is named, or the manner."""
    record = {"address": "8.8.8.8", "method": "POST", "path": path, "status": "200", "headers": headers}
    named = {"address": "8.8.8.8", "key": UUID, "path": path, "status": 200}
    assert read(record, exchange=exchange) == []
    assert read(named, exchange=exchange) == []
    [(_, _, more)] = read({**record, "account": "7"}, exchange=exchange)
    assert more["manner"] is Manner.USED
    for told in ({"account": "7"}, {"manner": "USED"}):
        assert len(read({**named, **told}, exchange=exchange)) == 1


@pytest.mark.parametrize(
    ("status", "manner"), [(None, Manner.USED), (200, Manner.USED), (403, Manner.REJECTED), (404, None), (307, None)]
)
def test_a_key_that_is_named_with_a_status_went_as_the_status_says(status: int | None, manner: Manner | None) -> None:
    """Without one it was used, because the gateway says so; an answer that says nothing of the key is passed over."""
    record: dict[str, Any] = {"key": "any", "address": "8.8.8.8", "status": status}
    assert [more["manner"] for _, _, more in read(record)] == ([manner] if manner else [])
    assert len(read({**record, "account": "7"})) == 1


def test_the_forwarded_header_is_believed_from_a_trusted_proxy_alone() -> None:
    """From anybody else it is what the customer made up."""
    record = {**REQUEST, "address": "10.0.0.2", "forwarded": "1.1.1.1, 9.9.9.9"}
    assert read(record, trusted_proxies=["10.0.0.0/8"])[0][1] == "9.9.9.9"
    assert read(record)[0][1] == "10.0.0.2"


def test_a_key_from_nobody_knows_where_is_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Trusted proxies that say nothing, as where their header is another: in health(), and in one line an hour."""
    with TestRegistry(tmp_path) as registry, Gateway(registry.config()) as gateway:
        log = RequestLog(gateway, "korbit", ["10.0.0.0/8"])
        for account in ("", "7", "7"):
            assert log.record({**REQUEST, "address": "10.0.0.2", "account": account})
        gateway.flush()
        gateway.flush()
        health = gateway.health()
    assert (health.without_address, health.combinations, health.refused) == (3, 0, 0)
    said = [line for line in caplog.messages if "nobody knows where" in line]
    assert said == [
        "3 requests so far named a key and came from nobody knows where, and were not observed: "
        "are trusted_proxies and forwarded_header right?"
    ]


def test_a_record_that_names_the_key_needs_no_request() -> None:
    """The gateway says itself what it saw."""
    record = {"key": "any", "address": "8.8.8.8", "manner": "DECLARED", "account": "7", "holder": "00ff", "time": 7200}
    assert read(record) == [
        ("any", "8.8.8.8", {"manner": Manner.DECLARED, "account": "7", "holder": b"\x00\xff", "when": 7200.0})
    ]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"", "line"), (b"[]", "line"), (b"\xff", "line"), (b"{" * 9_999, "line"), (b'"' + b"x" * MAX_LINE_BYTES + b'"', "line"),
        (b'{"colour": 1}', "line"), (b'{"key": 7}', "key"), (b'{"key": "k"}', "address"),
        (b'{"key": "k", "address": "host"}', "address"), (b'{"key": "k", "address": "8.8.8.8", "manner": "SOLD"}', "manner"),
        (b'{"status": "ok"}', "status"), (b'{"status": 7}', "status"), (b'{"status": true}', "status"),
        (b'{"headers": ["a"]}', "headers"), (b'{"headers": {"a": 1}}', "headers"), (b'{"holder": "zz"}', "holder"),
        (b'{"path": "/v2/balance", "status": 200, "address": "8.8.8.8", "manner": "REJECTED"}', "manner"),
        (b'{"key": "k", "address": "8.8.8.8", "time": -4}', "time"),
        (b'{"key": "k", "address": "8.8.8.8", "time": "nan"}', "time"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_by_its_field(line: bytes, field: str) -> None:
    """InvalidInput, never another exception, and nothing of the line in it."""
    with pytest.raises(InvalidInput) as refused:
        RequestLog(Seen(), "korbit").line(line)
    assert refused.value.field == field


def entry(**changes: Any) -> envoy.EnvoyHTTPAccessLogEntry:
    """An entry as Envoy sends it."""
    made = envoy.EnvoyHTTPAccessLogEntry()
    made.common_properties.downstream_remote_address.socket_address.address = "8.8.8.8"
    made.common_properties.start_time.seconds = 1_790_000_000
    made.common_properties.intermediate_log_entry = changes.get("intermediate", False)
    made.common_properties.tls_properties.ja3_fingerprint = "abc"
    made.request.request_method = envoy.GET
    made.request.path = "/v2/balance"
    made.request.user_agent = "curl/8"
    made.request.request_headers["x-kapi-key"] = KEY
    made.response.response_code.value = changes.get("status", 200)
    return made


def test_an_entry_of_envoys_log_is_a_request() -> None:
    """Address, stack, time and outcome are Envoy's; an intermediate entry is not counted, the last one is."""
    seen = Seen()
    log = RequestLog(seen, "korbit")
    log.envoy(entry(intermediate=True))
    log.envoy(entry())
    log.envoy(entry(status=401))
    log.envoy(envoy.EnvoyHTTPAccessLogEntry())
    device = Device("curl/8", None, (("ja3", "abc"),))
    assert seen.calls == [
        (KEY, "8.8.8.8", {"manner": manner, "device": device, "when": 1_790_000_000.0})
        for manner in (Manner.USED, Manner.REJECTED)
    ]


def test_of_an_entrys_headers_the_one_that_the_proxies_write_names_the_customer() -> None:
    """And no other, which whoever sends the request may have written."""
    seen = Seen()
    log = RequestLog(seen, "korbit", trusted_proxies=["8.8.8.0/24"], forwarded_header="X-Real-IP")
    made = entry()
    made.request.request_headers["x-forwarded-for"] = "6.6.6.6"
    made.request.request_headers["x-real-ip"] = "9.9.9.9"
    log.envoy(made)
    assert [address for _, address, _ in seen.calls] == ["9.9.9.9"]

"""What an exchange's gateway and its operators feed the client: requests, answers, log lines, access logs, spooled rows."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from daxa_api.v1 import envoy_access_log_pb2 as envoy
from daxa_api.v1 import leak_pb2
from daxa_client import exchanges
from daxa_client._address import TrustedProxies
from daxa_client._follow import lines_of
from daxa_client._inventory import Inventory
from daxa_client._leaks import read_set
from daxa_client._log import LogEntry
from daxa_client._request_log import RequestLog
from daxa_client._rotation import Mark
from daxa_client._sidecar import asked_key
from daxa_client._spool import _UNREADABLE, _decode, _encode
from daxa_core.envelope import EVENT_TYPE, VERDICT_TYPE
from daxa_core.model import Device, RawSighting

from . import Decoder, Read, text
from .kernel import message

KEY, UUID = "k" * 40, "550e8400-e29b-41d4-a716-446655440000"
_CLAIMS = base64.b64encode(json.dumps({"access_key": KEY}).encode())
_JWT = b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9." + _CLAIMS + b".c2ln"
_PAYLOAD = b"X-COINONE-PAYLOAD: " + base64.b64encode(json.dumps({"access_token": UUID}).encode())
_REQUESTS = {
    "upbit": b"GET /v1/orders?x=1\n" + _JWT + b"\n\n",
    "bithumb": b"POST /info/balance\nApi-Key: 0123456789abcdef0123456789abcdef\n" + _JWT + b"\n\norder_currency=BTC",
    "coinone": b"POST /v2.1/order\n" + _PAYLOAD + b"\n\n{}",
    "korbit": b"POST /v1/oauth2/access_token\nX-KAPI-KEY: kbt_0123456789\n\nclient_id=kbt_0123456789&client_secret=s",
    "gopax": b"GET /?apiKey=%b&timestamp=1\nAPI-Key: %b\n\n" % (UUID.encode(), UUID.encode()),
}
_ANSWERS = (
    b'{"error": {"name": "no_authorization_ip"}}',
    b'{"status": "5302"}',
    b'{"result": "error", "errorCode": "12"}',
)
_LINES = (
    json.dumps({"key": KEY, "address": "8.8.8.8", "status": "401", "time": 1.79e9, "account": "a", "holder": "00"}),
    json.dumps(
        {"method": "GET", "path": "/", "headers": {"API-Key": UUID}, "status": 200, "address": "8.8.8.8", "ja4": "x"}
    ),
)

_INVENTORIES = (
    f"title\nid,note,api_key\n1,\"a\nb\",'{KEY}'\n".encode("utf-16"),
    json.dumps([{"api_key": KEY, "note": 'a "b"'}, {"api_key": UUID}]).encode(),
)


class _Deaf:
    """A gateway that hears nothing."""

    def observe(self, key: str, address: str, **more: Any) -> bool:
        return True


def _inventory(data: bytes) -> list[str]:
    inventory = Inventory(io.BytesIO(data))
    return [inventory.key(record) for record in inventory.records()]


def _extractor(name: str) -> Read:
    exchange = exchanges.get(name)

    def read(data: bytes) -> object:
        head, _, body = data.partition(b"\n\n")
        line, *rest = head.split(b"\n")
        method, _, path = line.partition(b" ")
        headers = [one.partition(b": ")[::2] for one in rest]
        key = exchange.extract(method=method, path=path, headers=headers, body=body)
        exchange.extract(
            method=method.decode("latin-1"), path=path.decode("utf-8", "replace"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in headers}, body=body,
        )  # fmt: skip
        text, _, query = path.decode("utf-8", "replace").partition("?")
        exchange.closes(text, headers, query, body)
        exchange.body_names_key(method.decode("latin-1"), text)
        exchange.routes.action(method.decode("latin-1"), text)
        assert key is None or key in exchange.candidates(method=method, path=path, headers=headers, body=body)
        return key is None or exchange.looks_like_own(key)

    return read


def _refusals(data: bytes) -> object:
    return [exchanges.get(name).refused(status, data) for name in exchanges.NAMES for status in (200, 400)]


def _forwarded(header: str) -> Read:
    """The customer's address out of what proxies wrote, one that is trusted and one that is not in front."""
    proxies = TrustedProxies(["10.0.0.0/8", "unix"], header)
    return lambda data: [
        proxies.client(peer, data.decode("latin-1").split("\n")) for peer in ("10.0.0.1", "8.8.8.8", None)
    ]


def _entry(data: bytes) -> object:
    """What the registry's log holds of an event and of a verdict."""
    return [LogEntry(0, bytes(32), kind, data).event() for kind in (EVENT_TYPE, VERDICT_TYPE)]


def _row(data: bytes) -> object:
    """A spooled row after its seal held: what the spool cannot read it sets aside (``_UNREADABLE``)."""
    try:
        return _decode(json.loads(data), 1)
    except _UNREADABLE:
        return None


def decoders() -> dict[str, Decoder]:
    """By name."""
    log = RequestLog(_Deaf(), "gopax")
    entry = envoy.EnvoyHTTPAccessLogEntry()
    entry.request.path = "/"
    entry.request.request_headers["api-key"] = UUID
    entry.response.response_code.value = 401
    entry.common_properties.downstream_remote_address.socket_address.address = "8.8.8.8"
    manifest = leak_pb2.LeakSet(number=1, keys=300, confidence=1, tlp=1, chunks=[bytes(32)], key_version=1)  # type: ignore[arg-type]
    row = _encode(
        RawSighting(KEY, "8.8.8.8", 490_000, device=Device("a", None, (("x", "y"),)), holder=b"h", account="a")
    )
    return {
        **{f"request at {name}": Decoder(_extractor(name), (seed,)) for name, seed in _REQUESTS.items()},
        "exchange's answer": Decoder(_refusals, _ANSWERS, 50),
        "forwarded for": Decoder(_forwarded("x-forwarded-for"), (b"8.8.8.8, 10.0.0.2", b"2001:4860::1\n10.1.1.1:443")),
        "forwarded": Decoder(_forwarded("forwarded"), (b'for="[2001:4860::1]:47";by=10.0.0.1, for=8.8.8.8',)),
        "sidecar's question": Decoder(asked_key, (json.dumps({"verdict": KEY}).encode(),)),
        "log's event": Decoder(_entry, (b'{"kind": "policy", "time": 1, "detail": {}}',)),
        "request log line": Decoder(log.line, tuple(line.encode() for line in _LINES)),
        "lines": Decoder(lambda data: list(lines_of(io.BytesIO(data))), (b"a\nb\n\nc",), 20),
        "envoy entry": Decoder(message(envoy.EnvoyHTTPAccessLogEntry, log.envoy), (entry.SerializeToString(),), 50),
        "spooled row": Decoder(_row, (row,)),
        "inventory": Decoder(_inventory, _INVENTORIES, 50),
        "leak set's manifest": Decoder(
            message(leak_pb2.LeakSet, lambda one: read_set(one, 1)), (manifest.SerializeToString(),)
        ),
        "mark of a log": Decoder(text(Mark.read), (b"[1234, 5678]", b'[1234, 5678, 1700000000000000000, "0f1e"]')),
    }

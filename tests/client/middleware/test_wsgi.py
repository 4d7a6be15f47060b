"""The WSGI middleware under a real gunicorn, in front of Flask and Django: what is observed and what is not."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import HERE, gunicorn, waited
from sink import Seen, Sink

from daxa_client import ConfigurationError, Manner
from daxa_client.wsgi import SightingMiddleware
from deployment import free_ports
from formats import FORMATS, HEX_32, KORBIT, SECRET, Request

CUSTOMER = "198.51.100.7"
PROXIED = {"X-Forwarded-For": f"192.0.2.1, {CUSTOMER}", "User-Agent": "bot/1.0"}


def test_flask_under_gunicorn(tmp_path: Path) -> None:
    """Uses with their account, refusals by the code in a successful answer, and nothing of public pages."""
    sink, (port,) = tmp_path / "sink", free_ports(1)
    signed = PROXIED | {"Api-Key": HEX_32, "Api-Sign": "c2lnbg==", "Api-Nonce": "1"}
    with gunicorn("flask_app", sink, f"127.0.0.1:{port}"):
        url = f"http://127.0.0.1:{port}"
        answer = requests.post(url + "/info/balance", data={"currency": "ALL"}, headers=signed, timeout=60)
        assert answer.json()["data"] == {"currency": "ALL"}
        requests.get(url + "/public/ticker/BTC_KRW", headers=signed, timeout=60)
        requests.post(url + "/info/balance", headers=signed | {"Api-Sign": "bad"}, timeout=60)
        assert sorted(waited(sink, 2), key=str) == [
            [HEX_32, CUSTOMER, "REJECTED", "bot/1.0", None],
            [HEX_32, CUSTOMER, "USED", "bot/1.0", "customer-1"],
        ]


def test_django_under_gunicorn_on_a_unix_socket(tmp_path: Path) -> None:
    """Behind a proxy on the same host, which has no address: its header is believed where "unix" is trusted."""
    sink, path = tmp_path / "sink", tmp_path / "s"

    def ask(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        named = PROXIED | {k.replace("_", "-"): v for k, v in headers.items()} | {"Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(f"{method} {target} HTTP/1.0\r\n{head}\r\n".encode() + body)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    form = f"client_id={KORBIT}&client_secret={SECRET}&grant_type=client_credentials".encode()
    with gunicorn("django_app", sink, f"unix:{path}"):
        assert b'"success": true' in ask("GET", "/v2/orders?timestamp=1&signature=ab", X_KAPI_KEY=KORBIT)
        assert b"KEY_EXPIRED" in ask("GET", "/v2/orders", X_KAPI_KEY="expired-" + KORBIT)
        ask("GET", "/v2/orderbook", X_KAPI_KEY=KORBIT)
        ask("GET", "/v2/nowhere", X_KAPI_KEY=KORBIT)
        assert Path(HERE / "small_apps.py").read_bytes() in ask("GET", "/v2/myTrades", X_KAPI_KEY="k-for-the-file")
        answer = ask("POST", "/v1/oauth2/access_token", form, Content_Type="application/x-www-form-urlencoded")
        assert b'["client_id", "client_secret", "grant_type"]' in answer
        found = waited(sink, 4)
    wanted = [(KORBIT, "USED"), (KORBIT, "USED"), ("expired-" + KORBIT, "REJECTED"), ("k-for-the-file", "USED")]
    assert sorted((key, manner) for key, _, manner, _, _ in found) == sorted(wanted)
    assert {address for _, address, _, _, _ in found} == {CUSTOMER}
    assert SECRET not in sink.read_text()


def environ_of(request: Request, **changes: Any) -> dict[str, Any]:
    """As PEP 3333 has it."""
    path, _, query = request.path.partition("?")
    plain: dict[str, Any] = {
        "REQUEST_METHOD": request.method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(request.body)), "REMOTE_ADDR": "198.51.100.9", "wsgi.input": io.BytesIO(request.body),
    }  # fmt: skip
    plain |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers}
    return plain | changes


def run(middleware: SightingMiddleware, environ: dict[str, Any]) -> bytes:
    """One request as a server makes it."""
    body = middleware(environ, lambda *_: None)
    with contextlib.closing(body) if hasattr(body, "close") else contextlib.nullcontext():
        return b"".join(body)


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith("websocket")])
def test_every_format_is_seen(name: str) -> None:
    """Where header names have lost their case and their hyphens; the body is still the app's to read."""
    request, sink = FORMATS[name], Sink()

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        assert environ["wsgi.input"].read() == request.body
        start("200 OK", [])
        return [b"{}"]

    run(SightingMiddleware(app, sink, request.exchange), environ_of(request))
    assert sink.seen == [Seen(request.key, "198.51.100.9")]


class Body:
    """A body that knows what was done to it."""

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.closed = list(parts), 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "400 Bad Request"])
@pytest.mark.parametrize("exchange", ["upbit", "coinone"])
def test_a_body_passes_as_it_came_and_is_closed_once(status: str, exchange: str) -> None:
    """A file stays the object that a server may send by itself, where nothing has to be looked at."""
    body, request = Body(b"", b'{"error_code":"0"}', b"x" * 9_000), FORMATS[exchange]

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, [])
        return body

    sink = Sink()
    middleware = SightingMiddleware(app, sink, exchange)
    passed = middleware(environ_of(request), lambda *_: None)
    assert (passed is body) == ((status[0] == "4" and status[2] == "1") or (exchange == "upbit" and status[0] == "2"))
    assert b"".join(passed) == b"".join(body.parts)
    passed.close()  # type: ignore[attr-defined]
    assert body.closed == 1
    assert len(sink.seen) == (status != "400 Bad Request")


def test_a_refusal_that_comes_in_parts_is_read_whole() -> None:
    """And one of which the customer read a part counts for what he read, when the server closes it."""
    for parts, read, manners in (
        ([b'{"result":"error",', b'"error_code":"40"}'], 9, [Manner.REJECTED]),
        ([b"", b'{"result":"success","x":"', b"x" * 9_000], 2, [Manner.USED]),
        ([b"", b'{"error_code":"0"}'], 1, []),
    ):

        def app(environ: dict[str, Any], start: Any, parts: list[bytes] = parts) -> Iterable[bytes]:
            start("200 OK", [])
            return Body(*parts)

        sink = Sink()
        passed: Any = SightingMiddleware(app, sink, "coinone")(environ_of(FORMATS["coinone"]), lambda *_: None)
        for _ in zip(range(read), passed, strict=False):
            pass
        passed.close()
        assert [seen.manner for seen in sink.seen] == manners


def test_an_answer_that_nobody_read_tells_nothing() -> None:
    """The customer was gone before the first part: whether the body would have refused the key is not known."""

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return Body(b'{"error_code":"12"}')

    sink = Sink()
    SightingMiddleware(app, sink, "coinone")(environ_of(FORMATS["coinone"]), lambda *_: None).close()  # type: ignore[attr-defined]
    assert sink.seen == []


def test_a_late_status_and_a_lazy_app_are_seen() -> None:
    """An app that is a generator calls ``start_response`` when its first part is asked for, as PEP 3333 lets it."""

    def app(environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        start("401 Unauthorized", [])
        yield b"no"

    sink = Sink()
    run(SightingMiddleware(app, sink, "upbit"), environ_of(FORMATS["upbit"]))
    assert [seen.manner for seen in sink.seen] == [Manner.REJECTED]


def test_an_apps_own_errors_reach_the_server() -> None:
    """And nothing is said of the key."""

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        raise RuntimeError("a bug of the app's")

    sink = Sink()
    with pytest.raises(RuntimeError, match="a bug of the app's"):
        SightingMiddleware(app, sink, "upbit")(environ_of(FORMATS["upbit"]), lambda *_: None)
    assert sink.seen == []


@given(st.dictionaries(st.sampled_from([
    "HTTP_AUTHORIZATION", "HTTP_API_KEY", "HTTP_X_KAPI_KEY", "HTTP_X_COINONE_PAYLOAD", "HTTP_USER_AGENT", "PATH_INFO",
    "QUERY_STRING", "REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "CONTENT_LENGTH", "SCRIPT_NAME", "HTTP_X_JA4",
]), st.text(max_size=60) | st.none()))  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_no_request_breaks_it(changes: dict[str, Any]) -> None:
    """Any text, and what a server left out or made None: the app answers."""

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"{}"]

    for name in ("upbit", "coinone", "korbit v1", "gopax websocket"):
        request = FORMATS[name]
        trusted: dict[str, Any] = {"trusted_proxies": ["198.51.100.0/24", "unix"], "ja4_header": "x-ja4"}
        middleware = SightingMiddleware(app, Sink(), request.exchange, **trusted)
        assert list(middleware(environ_of(request, **changes), lambda *_: None)) == [b"{}"]


def test_a_wrong_setting_is_refused_when_the_app_starts() -> None:
    """As with ASGI."""
    with pytest.raises(ConfigurationError, match=r"trusted_proxies\[0\]"):
        SightingMiddleware(lambda *_: [], Sink(), "upbit", trusted_proxies=["10.0.0.1/8"])
    with pytest.raises(ConfigurationError, match=r"header_order: False"):
        SightingMiddleware(lambda *_: [], Sink(), "upbit", header_order=True)

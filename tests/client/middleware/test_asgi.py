"""The ASGI middleware under a real uvicorn: what is observed, what is not, and that an app never notices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websockets
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from sink import Seen, Sink
from starlette.applications import Starlette
from starlette.routing import Route

from daxa_client import ConfigurationError, InvalidInput, Manner
from daxa_client.asgi import SightingMiddleware
from formats import FORMATS, KEY_40, KORBIT, SECRET, UUID, bearer
from gateways import serving

AUTHORIZED = {"Authorization": bearer({"access_key": KEY_40})}
CUSTOMER = "198.51.100.7"
PROXIED = AUTHORIZED | {"X-Forwarded-For": f"192.0.2.1, {CUSTOMER}", "User-Agent": "bot/1.0"}


def authenticated(request: Request) -> str:
    """As a gateway's own check would."""
    if (
        not request.headers.get("authorization", "").startswith("Bearer ")
        or request.headers.get("x-signature") == "bad"
    ):
        raise HTTPException(401, {"error": {"name": "jwt_verification"}})
    request.state.customer = "customer-1"
    return "customer-1"


def upbit_like(sink: Sink, **settings: Any) -> FastAPI:
    """A small exchange."""
    app = FastAPI()

    @app.get("/v1/accounts")
    async def accounts(_: str = Depends(authenticated)) -> list[str]:
        return ["KRW"]

    @app.get("/v1/order")
    async def order(_: str = Depends(authenticated)) -> None:
        raise HTTPException(404, {"error": {"name": "order_not_found"}})

    @app.get("/v1/ticker")
    async def ticker() -> list[int]:
        return [1]

    @app.get("/v1/broken")
    async def broken(_: str = Depends(authenticated)) -> None:
        raise RuntimeError("a bug of the app's")

    @app.get("/v1/long")
    async def long(_: str = Depends(authenticated)) -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b" * 100_000, b"c"]))

    @app.websocket("/websocket/v1/private")
    async def private(socket: WebSocket) -> None:
        if socket.headers.get("x-signature") == "bad":
            await socket.close()
            return
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    app.add_middleware(SightingMiddleware, gateway=sink, exchange="upbit", **settings)
    return app


def by_state(scope: Any) -> str | None:
    found = scope.get("state", {}).get("customer")
    assert found is None or isinstance(found, str)
    return found


@pytest.fixture(scope="module")
def sink() -> Sink:
    return Sink()


@pytest.fixture(scope="module")
def server(sink: Sink) -> Iterator[str]:
    """An exchange behind a proxy on this machine."""
    with serving(upbit_like(sink, trusted_proxies=["127.0.0.0/8"], account=by_state, ja4_header="X-JA4")) as url:
        yield url


@pytest.fixture(autouse=True)
def forget(sink: Sink) -> None:
    sink.seen.clear()


def get(url: str, path: str, **headers: str) -> requests.Response:
    return requests.get(url + path, headers=PROXIED | {k.replace("_", "-"): v for k, v in headers.items()}, timeout=60)


def test_a_request_that_was_authenticated_is_a_use(server: str, sink: Sink) -> None:
    """Key, customer's address behind the trusted proxy, client stack, account; also where the answer is an error of another
    kind, because the app named the account."""
    assert get(server, "/v1/accounts", X_JA4="t13d1516h2_8daaf6152771_b186095e22b6").json() == ["KRW"]
    assert get(server, "/v1/order").status_code == 404
    use = Seen(KEY_40, CUSTOMER, user_agent="bot/1.0", account="customer-1")
    with_tls = Seen(KEY_40, CUSTOMER, Manner.USED, "bot/1.0", "t13d1516h2_8daaf6152771_b186095e22b6", (), "customer-1")
    assert sink.seen == [with_tls, use]


def test_a_refused_key_is_a_rejection(server: str, sink: Sink) -> None:
    """By the status; no account is asked for, because the app named none."""
    assert get(server, "/v1/accounts", x_signature="bad").status_code == 401
    assert sink.seen == [Seen(KEY_40, CUSTOMER, Manner.REJECTED, "bot/1.0")]


def test_what_authenticated_nobody_blames_nobody(server: str, sink: Sink) -> None:
    """A stranger's key sent to a page that asks for none, to no page at all, or to one that breaks before it has looked."""
    for path in ("/v1/ticker", "/nowhere", "/docs"):
        get(server, path)
    requests.get(server + "/v1/accounts", timeout=60)
    assert sink.seen == []


def test_a_broken_app_stays_as_broken_as_it_is(server: str, sink: Sink) -> None:
    """Its error reaches the server; whether the key was used is not known, so nothing is said."""
    assert get(server, "/v1/broken").status_code == 500
    assert sink.seen == []


def test_a_streamed_answer_passes_whole_and_is_seen_once(server: str, sink: Sink) -> None:
    """Part by part."""
    assert get(server, "/v1/long").content == b"a" + b"b" * 100_000 + b"c"
    assert len(sink.seen) == 1


def test_a_websockets_handshake_is_seen(sink: Sink) -> None:
    """Accepted is a use, closed or denied a rejection; what follows is no new sighting."""

    async def connect(url: str, **more: str) -> str | int:
        target = url.replace("http", "ws") + "/websocket/v1/private"
        try:
            async with websockets.connect(
                target, additional_headers=PROXIED | more, user_agent_header=None, open_timeout=60
            ) as socket:
                return str(await socket.recv())
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    with serving(upbit_like(sink, trusted_proxies=["127.0.0.0/8"])) as url:
        assert asyncio.run(connect(url)) == "hello"
        assert asyncio.run(connect(url, **{"x-signature": "bad"})) == 403
    assert [(s.key, s.address, s.manner) for s in sink.seen] == [
        (KEY_40, CUSTOMER, Manner.USED),
        (KEY_40, CUSTOMER, Manner.REJECTED),
    ]


def test_untrusted_headers_are_ignored(sink: Sink) -> None:
    """Without trusted proxies the peer is the customer, whatever it says of itself; so is its JA4."""
    with serving(upbit_like(sink, ja4_header="x-ja4")) as url:
        get(url, "/v1/accounts", X_JA4="t13d1516h2_8daaf6152771_b186095e22b6", Forwarded="for=192.0.2.1")
    assert [(s.address, s.ja4) for s in sink.seen] == [("127.0.0.1", None)]


def test_without_an_account_callback_routes_and_status_tell(sink: Sink) -> None:
    """A success on a route that is known to need a key is a use; public routes, unknown ones and other answers say nothing."""
    with serving(upbit_like(sink, trusted_proxies=["127.0.0.0/8"])) as url:
        for path in ("/v1/accounts", "/v1/ticker", "/v1/order", "/nowhere"):
            get(url, path)
    assert sink.seen == [Seen(KEY_40, CUSTOMER, user_agent="bot/1.0")]


def test_callbacks_say_more_and_cannot_break_anything(sink: Sink) -> None:
    """Holder and outcome by the exchange's own code; one that raises costs the sighting, is counted, and nothing else."""
    settings: dict[str, Any] = {"trusted_proxies": ["127.0.0.0/8"], "header_order": True, "account": lambda scope: "a"}
    outcomes = iter([Manner.USED, Manner.REJECTED, None])
    mine = settings | {"holder": lambda scope: b"ci", "outcome": lambda scope, status, body: next(outcomes)}
    with serving(upbit_like(sink, **mine)) as url:
        for _ in range(4):
            assert get(url, "/v1/accounts").json() == ["KRW"]
    assert [(s.manner, s.account, s.holder) for s in sink.seen] == [(1, "a", b"ci"), (2, None, None)]
    assert sink.seen[0].headers == (("header-order", "host,user-agent,accept-encoding,accept,connection"),)


def test_the_apps_own_word_for_the_key_is_taken(sink: Sink) -> None:
    """Where it authenticated one; a refused request, or one of which it says nothing, is read as usual."""
    keys = iter(["the-key-it-checked", None])
    mine: dict[str, Any] = {"key": lambda scope: next(keys), "account": by_state}
    with serving(upbit_like(sink, **mine)) as url:
        for signature in ("good", "good", "bad"):
            get(url, "/v1/accounts", x_signature=signature)
    assert [(s.key, s.manner) for s in sink.seen] == [
        ("the-key-it-checked", Manner.USED), (KEY_40, Manner.USED), (KEY_40, Manner.REJECTED)
    ]  # fmt: skip


async def call(
    middleware: SightingMiddleware, scope: dict[str, Any], *incoming: dict[str, Any]
) -> list[dict[str, Any]]:
    """One request without a server; what was sent."""
    waiting, sent = list(incoming) or [{"type": "http.request", "body": b"", "more_body": False}], []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await middleware(scope, receive, send)
    return sent


def scope_of(method: str, path: str, headers: list[tuple[bytes, bytes]], query: bytes = b"") -> dict[str, Any]:
    return {
        "type": "http", "method": method, "path": path, "query_string": query, "headers": headers,
        "client": ("198.51.100.9", 1),
    }  # fmt: skip


HANDSHAKES = [name for name in FORMATS if name.endswith("websocket")]


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in HANDSHAKES])
@pytest.mark.parametrize(
    ("status", "answer", "manner"),
    [
        (200, {}, Manner.USED), (401, {"error": {"name": "jwt_verification"}}, Manner.REJECTED), (500, {}, None),
        (429, {}, None), (400, {"status": "5300"}, {"bithumb": Manner.REJECTED}),
        (200, {"status": "5302", "message": "m"}, {"bithumb": Manner.REJECTED}),
        (200, {"result": "error", "error_code": "12"}, {"coinone": Manner.REJECTED}),
        (200, {"result": "error", "error_code": 40}, {"coinone": Manner.REJECTED}),
        (200, {"result": "error", "errorCode": "12"}, {"coinone": Manner.REJECTED}),
        (200, {"result": "success", "error_code": "0"}, Manner.USED), (200, {"status": "0000"}, Manner.USED),
        (400, {"success": False, "error": {"message": "KEY_EXPIRED"}}, {"korbit": Manner.REJECTED}),
        (400, {"errorMessage": "Invalid API key", "errorCode": 10155}, {"gopax": Manner.REJECTED}),
        (400, {"error": {"name": "expired_access_key"}}, {"upbit": Manner.REJECTED}),
    ],
)  # fmt: skip
def test_each_exchanges_refusals_are_known(name: str, status: int, answer: Any, manner: Any) -> None:
    """By status, and by the code in the body where an exchange answers a refusal with another status."""
    request, sink = FORMATS[name], Sink()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == request.body
        await JSONResponse(answer, status)(scope, receive, send)

    path, _, query = request.path.partition("?")
    headers = [(n.lower().encode(), v.encode()) for n, v in request.headers]
    middleware = SightingMiddleware(app, sink, request.exchange)
    asyncio.run(
        call(
            middleware,
            scope_of(request.method, path, headers, query.encode()),
            {"type": "http.request", "body": request.body},
        )
    )
    if isinstance(manner, dict):
        exchange = "korbit" if request.exchange == "digitalx" else request.exchange
        manner = manner.get(exchange, Manner.USED if status < 400 else None)
    assert [(s.key, s.address, s.manner) for s in sink.seen] == (
        [(request.key, "198.51.100.9", manner)] if manner is not None else []
    )


@pytest.mark.parametrize("name", HANDSHAKES)
def test_each_exchanges_handshake_is_known(name: str) -> None:
    """Accepted it is a use; the same request without an upgrade says nothing, whatever is answered."""
    request, sink = FORMATS[name], Sink()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await JSONResponse({})(scope, receive, send)
        else:
            await send({"type": "websocket.accept"})

    path, _, query = request.path.partition("?")
    headers = [(n.lower().encode(), v.encode()) for n, v in request.headers]
    plain = scope_of("GET", path, headers, query.encode())
    upgrade = {**plain, "type": "websocket"}
    del upgrade["method"]
    for scope in (plain, upgrade):
        asyncio.run(call(SightingMiddleware(app, sink, request.exchange), scope))
    assert [(seen.key, seen.manner) for seen in sink.seen] == [(request.key, Manner.USED)]


@pytest.mark.parametrize(
    ("exchange", "method", "path", "status", "answer"),
    [
        ("korbit", "OPTIONS", "/v2/balance", 204, b""),
        ("korbit", "HEAD", "/v2/balance", 200, b""),
        ("korbit", "GET", "/v2/balance/", 307, b""),
        ("korbit", "GET", "/v2/balance", 304, b""),
        ("korbit", "GET", "/health", 200, b"ok"),
        ("korbit", "GET", "/", 200, b"ok"),
        ("korbit", "GET", "/v2/%74ickers", 200, b"{}"),
        ("korbit", "GET", "/v2/x/../tickers", 200, b"{}"),
        ("korbit", "GET", "/v2/tickers", 200, b"{}"),
        ("korbit", "POST", "/v2/login", 200, b"{}"),
        ("korbit", "GET", "/v1/user/balances", 200, b"{}"),
        ("coinone", "POST", "/v2.1/account/balance", 200, b""),
        ("coinone", "POST", "/v2.1/account/balance", 200, b"\x1f\x8b\x08\x00compressed"),
        (
            "coinone",
            "POST",
            "/v2.1/account/balance",
            200,
            b'{"result":"error","error_code":"123","error_msg":"signature"}',
        ),
        ("coinone", "POST", "/v2/account/balance", 200, b'{"result":"error","errorCode":"50"}'),
        ("coinone", "POST", "/v2/account/balance", 200, b'{"result":"error"}'),
        ("bithumb v1.2", "POST", "/info/balance", 200, b""),
        ("bithumb v1.2", "POST", "/info/balance", 200, b'{"status":"5100","message":"Bad Request"}'),
    ],
)
def test_without_an_account_a_success_blames_no_stranger(
    exchange: str, method: str, path: str, status: int, answer: bytes
) -> None:
    """Whoever sends a stranger's key to what needs none, or where a refusal may stand in what was not seen."""
    request, sink = FORMATS[exchange], Sink()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": answer})

    headers = [(n.lower().encode(), v.encode()) for n, v in request.headers]
    asyncio.run(call(SightingMiddleware(app, sink, request.exchange), scope_of(method, path, headers)))
    assert sink.seen == []


def test_a_refusal_that_comes_in_parts_is_read_whole() -> None:
    """A success of many parts counts once the first two KiB are there, and the end of it need not come."""
    for parts, manner in (
        ([b'{"result":"error",', b'"error_code":"40"}'], Manner.REJECTED),
        ([b'{"result":"success",', b'"balances":"', b"x" * 3_000], Manner.USED),
    ):
        sink, request = Sink(), FORMATS["coinone"]

        async def app(scope: Any, receive: Any, send: Any, parts: list[bytes] = parts) -> None:
            await send({"type": "http.response.start", "status": 200})
            for part in parts:
                await send(
                    {"type": "http.response.body", "body": part, "more_body": part != parts[-1] or len(part) > 999}
                )

        headers = [(n.lower().encode(), v.encode()) for n, v in request.headers]
        asyncio.run(call(SightingMiddleware(app, sink, "coinone"), scope_of("POST", "/v2.1/order", headers)))
        assert [seen.manner for seen in sink.seen] == [manner]


def test_a_question_mark_in_a_path_begins_no_query() -> None:
    """Percent-encoded it is the path's: what stands behind it is no key of Gopax's."""
    sink = Sink()
    scope = scope_of("GET", f"/?apiKey={UUID}&", [], f"apiKey={UUID[::-1]}".encode())
    asyncio.run(call(SightingMiddleware(JSONResponse([]), sink, "gopax", account=lambda scope: "7"), scope))
    assert [seen.key for seen in sink.seen] == [UUID[::-1]]


def test_a_form_in_parts_reaches_the_app_as_it_came() -> None:
    """Korbit's token request is looked at before the app has it; the app reads the same parts, the secret is kept nowhere."""
    sink = Sink()
    parts = [b"client_id=" + KORBIT[:5].encode(), KORBIT[5:].encode(), b"&client_secret=" + SECRET.encode()]
    read: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            read.append(message["body"])
            more = message["more_body"]
        await JSONResponse({})(scope, receive, send)

    messages = [{"type": "http.request", "body": p, "more_body": i < 2} for i, p in enumerate(parts)]
    middleware = SightingMiddleware(app, sink, "korbit", prefix="/api")
    asyncio.run(call(middleware, scope_of("POST", "/api/v1/oauth2/access_token", []), *messages))
    assert read == parts
    assert [s.key for s in sink.seen] == [KORBIT]
    assert SECRET not in repr(sink.seen)


@given(
    st.lists(st.tuples(st.binary(max_size=30), st.binary(max_size=80)), max_size=5), st.text(max_size=30),
    st.binary(max_size=30), st.binary(max_size=60), st.sampled_from(["GET", "POST", ""]),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_no_request_breaks_it(headers: Any, path: str, query: bytes, body: bytes, method: str) -> None:
    """Any bytes in header, path, query and body, for a key and an address and everything else: the app answers."""
    for exchange in ("upbit", "coinone", "korbit", "gopax"):
        middleware = SightingMiddleware(JSONResponse({}), Sink(), exchange, trusted_proxies=["198.51.100.0/24"])
        names = [
            (b"authorization", body),
            (b"x-kapi-key", body),
            (b"api-key", UUID.encode()),
            (b"x-forwarded-for", body),
        ]
        scope = scope_of(method, path, [*headers, *names, (b"user-agent", body)], query)
        assert asyncio.run(call(middleware, scope))[0]["status"] == 200


@pytest.mark.parametrize(
    "scope", [{}, {"path": 7}, {"headers": None}, {"client": None}, {"client": "x"}, {"headers": [1]}]
)
def test_a_server_that_is_not_quite_asgi_still_serves(scope: dict[str, Any]) -> None:
    """What is missing costs the sighting."""
    whole = scope_of("GET", "/v1/accounts", [(b"authorization", AUTHORIZED["Authorization"].encode())]) | scope
    if not scope:
        del whole["query_string"]
    sink = Sink()
    assert asyncio.run(call(SightingMiddleware(JSONResponse({}), sink, "upbit"), whole))[0]["status"] == 200
    assert sink.seen == []


def test_an_observer_that_raises_is_noticed_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line an hour, with the kind of error and nothing of the request."""

    class Broken(Sink):
        def observe(self, *arguments: Any, **named: Any) -> bool:
            raise RuntimeError(KEY_40)

    app = Starlette(routes=[Route("/v1/accounts", JSONResponse([]))])
    middleware = SightingMiddleware(app, Broken(), "upbit")
    header = [(b"authorization", AUTHORIZED["Authorization"].encode())]
    for _ in range(3):
        assert asyncio.run(call(middleware, scope_of("GET", "/v1/accounts", header)))[0]["status"] == 200
    assert [record.getMessage() for record in caplog.records] == [
        "a request could not be observed: RuntimeError in the middleware or a callback of it"
    ]


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ({"trusted_proxies": ["x"]}, "trusted_proxies[0]"), ({"account": "customer"}, "account"), ({"prefix": 7}, "prefix"),
        ({"header_order": "yes"}, "header_order"), ({"ja4_header": b"x"}, "ja4_header"), ({"trusted": []}, "settings"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_when_the_app_starts(setting: dict[str, Any], field: str) -> None:
    """Naming it, and what it should be."""
    with pytest.raises(ConfigurationError) as refused:
        SightingMiddleware(JSONResponse({}), Sink(), "upbit", **setting)
    assert refused.value.field == field
    with pytest.raises(InvalidInput, match="exchange: one of"):
        SightingMiddleware(JSONResponse({}), Sink(), "mtgox")


@pytest.mark.parametrize("status", [200, 401])
def test_what_a_server_sends_before_its_answer_says_nothing(status: int) -> None:
    """An early hint (RFC 8297) or another extension's message is no answer: the one that follows is."""
    sink, messages = Sink(), ("http.response.early_hint", "http.response.start", "http.response.body")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for kind in messages:
            await send({"type": kind, "status": status} if kind.endswith("start") else {"type": kind})

    header = [(b"authorization", AUTHORIZED["Authorization"].encode())]
    sent = asyncio.run(call(SightingMiddleware(app, sink, "upbit"), scope_of("GET", "/v1/accounts", header)))
    assert [message["type"] for message in sent] == list(messages)
    assert [seen.manner for seen in sink.seen] == [Manner.USED if status == 200 else Manner.REJECTED]


def test_the_lines_of_the_proxies_header_are_one_list() -> None:
    """RFC 9110 section 5.3: the last entry of the last line is what the nearest proxy wrote, whatever stands before it."""
    sink, proxies = Sink(), ["198.51.100.0/24", "10.0.0.0/8"]
    lines = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-for", b"203.0.113.7, 10.0.0.1")]
    headers = [*lines, (b"authorization", AUTHORIZED["Authorization"].encode())]
    middleware = SightingMiddleware(JSONResponse([]), sink, "upbit", trusted_proxies=proxies)
    for some in (headers, headers[1:], [headers[0], headers[2]]):
        asyncio.run(call(middleware, scope_of("GET", "/v1/accounts", some)))
    assert [seen.address for seen in sink.seen] == ["203.0.113.7", "203.0.113.7", "192.0.2.1"]

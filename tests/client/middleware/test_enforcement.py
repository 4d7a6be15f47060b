"""Verdicts acted on in the gateway: what each scope blocks at each exchange, in the exchange's own words, and what stays open."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi.responses import JSONResponse
from hypothesis import given, settings
from hypothesis import strategies as st
from sink import Sink

from daxa_client import ConfigurationError, Level, Verdict, asgi, texts, wsgi
from daxa_core.model import Act, Scope
from formats import FORMATS, HEX_32, KEY_40, KORBIT, UUID, Request, bearer, payload

SELL_UPBIT = {"market": "KRW-BTC", "side": "ask", "ord_type": "market", "volume": "1"}
BASE = {name: FORMATS[name] for name in ("upbit", "bithumb v2", "bithumb v1.2", "korbit", "gopax")}


def coinone(path: str, **fields: Any) -> Request:
    headers = (("X-COINONE-PAYLOAD", payload(access_token=UUID, **fields)),)
    return Request("coinone", UUID, "POST", path, headers, b"whatever")


def at(name: str, method: str, path: str, body: bytes | dict[str, Any] = b"") -> Request:
    plain = BASE[name]
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    return Request(plain.exchange, plain.key, method, path, plain.headers, data)


OPEN, ORDERS, ALL = "open", "orders", "all"
"""Never blocked; blocked from NEW_ORDERS_AND_WITHDRAWALS; blocked at EVERYTHING only."""
CASES: list[tuple[Request, str]] = [
    (at("upbit", "POST", "/v1/orders", {"side": "bid", "ord_type": "limit"}), ORDERS),
    (at("upbit", "POST", "/v1/orders", SELL_UPBIT), ALL),
    (at("upbit", "POST", "/v1/orders/", {"side": "ask", "ord_type": "limit"}), ORDERS),
    (at("upbit", "POST", "//v1//ORDERS", {"side": "bid"}), ORDERS),
    (at("upbit", "POST", "/v1/orders?side=ask", SELL_UPBIT), ORDERS),
    (at("upbit", "POST", "/v1/orders/cancel_and_new", {"new_ord_type": "limit"}), ORDERS),
    (at("upbit", "POST", "/v1/orders/cancel_and_new", SELL_UPBIT | {"new_ord_type": "limit"}), ORDERS),
    (at("upbit", "POST", "/v1/orders\n", {"side": "bid"}), ORDERS),
    (at("upbit", "POST", "/v1/orders;a=b", {"side": "bid"}), ORDERS),
    (at("upbit", "POST", "/v1/orders/test/../", {"side": "bid"}), ORDERS),
    (at("upbit", "POST", "/v1/%6frders", {"side": "bid"}), ORDERS),
    (at("upbit", "post", "/v1/orders", {"side": "bid"}), ORDERS),
    (at("upbit", "PUT", "/v1/orders", {"side": "bid"}), ORDERS),
    (at("upbit", "POST", "/v1/what_comes_next_year", SELL_UPBIT), ORDERS),
    (at("upbit", "DELETE", "/v1/order?uuid=u&_method=POST"), ORDERS),
    (at("upbit", "GET", "/v1/orders?_method=post"), ORDERS),
    (at("upbit", "GET", "/v1/ticker/../accounts"), ALL),
    (at("upbit", "GET", "/v1/ticker%2F..%2Faccounts"), ALL),
    (at("upbit", "POST", "/v1/deposits/generate_coin_address"), ALL),
    (at("upbit", "HEAD", "/v1/ticker"), OPEN),
    (at("upbit", "HEAD", "/v1/accounts"), ALL),
    (at("upbit", "POST", "/v1/withdraws/coin", SELL_UPBIT), ORDERS),
    (at("upbit", "POST", "/v1/withdraws/krw"), ORDERS),
    (at("upbit", "DELETE", "/v1/order?uuid=u"), ALL),
    (at("upbit", "DELETE", "/v1/orders/open"), ALL),
    (at("upbit", "GET", "/v1/accounts"), ALL),
    (at("upbit", "GET", "/v1/orders/chance"), ALL),
    (at("upbit", "POST", "/v1/orders/test", {"side": "bid"}), ALL),
    (at("upbit", "GET", "/v1/ticker"), OPEN),
    (at("bithumb v2", "POST", "/v2/orders", {"side": "bid", "order_type": "limit"}), ORDERS),
    (at("bithumb v2", "POST", "/v2/orders", {"side": "ask", "order_type": "market"}), ALL),
    (at("bithumb v2", "POST", "/v2/orders/batch", {"orders": [SELL_UPBIT]}), ORDERS),
    (at("bithumb v2", "POST", "/v2/orders/cancel"), ALL),
    (at("bithumb v2", "DELETE", "/v2/order"), ALL),
    (at("bithumb v2", "POST", "/v1/twap", SELL_UPBIT), ORDERS),
    (at("bithumb v2", "POST", "/v1/withdraws/coin"), ORDERS),
    (at("bithumb v1.2", "POST", "/trade/place", b"type=ask"), ORDERS),
    (at("bithumb v1.2", "POST", "/trade/market_buy"), ORDERS),
    (at("bithumb v1.2", "POST", "/trade/market_sell"), ALL),
    (at("bithumb v1.2", "POST", "/trade/cancel"), ALL),
    (at("bithumb v1.2", "POST", "/trade/btc_withdrawal"), ORDERS),
    (at("bithumb v1.2", "POST", "/info/balance"), ALL),
    (at("bithumb v1.2", "GET", "/public/ticker/BTC_KRW"), OPEN),
    (coinone("/v2.1/order", side="BUY", type="LIMIT"), ORDERS),
    (coinone("/v2.1/order", side="SELL", type="LIMIT"), ORDERS),
    (coinone("/v2.1/order", side="SELL", type="MARKET"), ALL),
    (coinone("/v2.1/order/limit"), ORDERS),
    (coinone("/v2/order/limit_buy/"), ORDERS),
    (coinone("/order/limit_sell"), ORDERS),
    (coinone("/v2.1/order/limit", side="SELL", type="MARKET"), ORDERS),
    (coinone("/v2.1/order/cancel/../limit"), ORDERS),
    (coinone("/v2.1/order/completed_orders"), ALL),
    (coinone("/v2.1/order/completed_orders/all"), ALL),
    (coinone("/v2.1/order/active_orders/all"), ALL),
    (coinone("/v2.1/order/cancel/all"), ALL),
    (coinone("/v2.1/order/open_orders"), ALL),
    (coinone("/v2/order/query_order"), ALL),
    (coinone("/v2.1/transaction/coin/withdrawal"), ORDERS),
    (coinone("/v2.1/transaction/coin/withdrawal/limit"), ALL),
    (coinone("/v2/transaction/coin/"), ORDERS),
    (coinone("/v2.1/account/balance"), ALL),
    (at("korbit", "POST", "/v2/orders", b"symbol=btc_krw&side=buy&orderType=market&signature=ab"), ORDERS),
    (at("korbit", "POST", "/v2/orders", b"symbol=btc_krw&side=sell&orderType=market&signature=ab"), ALL),
    (at("korbit", "POST", "/v2/orders", b"side=sell&orderType=market&side=buy"), ORDERS),
    (at("korbit", "DELETE", "/v2/orders?orderId=1&signature=ab"), ALL),
    (at("korbit", "POST", "/v2/coin/withdrawal", b"currency=btc"), ORDERS),
    (at("korbit", "POST", "/v2/krw/sendKrwWithdrawalPush"), ORDERS),
    (at("korbit", "GET", "/v2/balance"), ALL),
    (at("korbit", "GET", "/v2/tickers"), OPEN),
    (FORMATS["korbit v1"], ALL),
    (replace(FORMATS["korbit v1"], path="/v1/oauth2//access_token\n"), ORDERS),
    (at("gopax", "POST", "/orders", {"side": "buy", "type": "limit"}), ORDERS),
    (at("gopax", "POST", "/orders", {"side": "sell", "type": "market"}), ALL),
    (at("gopax", "DELETE", "/orders/17"), ALL),
    (at("gopax", "POST", "/withdrawals"), ORDERS),
    (at("gopax", "GET", "/balances"), ALL),
    (at("gopax", "GET", "/trading-pairs/BTC-KRW/book"), OPEN),
    (at("gopax", "GET", "/tickers"), OPEN),
]
EXPECTED = {
    "upbit": (401, {"error": {"name": "out_of_scope", "message": ...}}),
    "bithumb": (401, {"error": {"name": "out_of_scope", "message": ...}}),
    "bithumb v1.2": (401, {"status": "5300", "message": ...}),
    "coinone": (200, {"result": "error", "error_code": "40", "error_msg": ...}),
    "korbit": (403, {"success": False, "error": {"message": "KEY_DEACTIVATED", "detail": ...}}),
    "gopax": (401, {"errorCode": 10004, "errorMessage": ...}),
}


def verdict(scope: Scope, sequence: int = 7) -> Verdict:
    return Verdict(b"f" * 32, Level.REVOKE, sequence=sequence, scope=scope)


def ask_asgi(request: Request, sink: Any, **options: Any) -> tuple[int, Any, bytes | None]:
    """Status and answer over ASGI, and the body that reached the app, None where nothing did."""
    reached: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append((await receive())["body"])
        await JSONResponse({"passed": True})(scope, receive, send)

    sent: list[Any] = []
    path, _, query = request.path.partition("?")
    scope = {
        "type": "http", "method": request.method, "path": path, "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asgi.EnforcementMiddleware(app, sink, request.exchange, **options)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), reached[0] if reached else None


def ask_wsgi(request: Request, sink: Any, **options: Any) -> tuple[int, Any, bytes | None]:
    """The same over WSGI."""
    reached: list[bytes] = []
    statuses: list[str] = []

    def app(environ: Any, start: Any) -> list[bytes]:
        reached.append(environ["wsgi.input"].read())
        start("200 OK", [])
        return [b'{"passed":true}']

    path, _, query = request.path.partition("?")
    environ = {
        "REQUEST_METHOD": request.method, "PATH_INFO": path, "QUERY_STRING": query, "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.input": io.BytesIO(request.body),
    } | {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers}  # fmt: skip
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    middleware = wsgi.EnforcementMiddleware(app, sink, request.exchange, **options)
    body = b"".join(middleware(environ, lambda status, headers: statuses.append(status)))
    return int(statuses[0][:3]), json.loads(body), reached[0] if reached else None


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
@pytest.mark.parametrize(
    ("request_of", "blocked_from"), CASES, ids=[f"{r.exchange} {r.method} {r.path} {w}" for r, w in CASES]
)
@pytest.mark.parametrize("scope", Scope)
def test_each_scope_blocks_its_routes(ask: Any, request_of: Request, blocked_from: str, scope: Scope) -> None:
    """Orders and withdrawals first, everything at last; what passes reaches the app with its whole body."""
    sink = Sink(verdicts={request_of.key: verdict(scope)})
    status, answer, reached = ask(request_of, sink)
    blocked = scope is Scope.EVERYTHING and blocked_from != OPEN
    blocked |= scope is Scope.NEW_ORDERS_AND_WITHDRAWALS and blocked_from == ORDERS
    if not blocked:
        assert (status, answer, reached, sink.reports) == (200, {"passed": True}, request_of.body, [])
        return
    version_1 = request_of.path.startswith(("/trade", "/info"))
    wanted_status, wanted = EXPECTED["bithumb v1.2" if version_1 else request_of.exchange]
    message = texts.message("BLOCKED_ALL" if scope is Scope.EVERYTHING else "BLOCKED_NEW", "ko")
    assert (status, reached) == (wanted_status, None)
    assert answer == json.loads(json.dumps(wanted, default=lambda _: message))
    assert sink.reports == [(7, Act.REVOKED if scope is Scope.EVERYTHING else Act.MONITORED)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"side":"bid","side":"ask","ord_type":"market"}', b'{"side":"ask","SIDE":"bid","ord_type":"market"}', b"{", b"[]",
        b"null", b"\xff", b'{"side":["ask"],"ord_type":"market"}', b'{"side":"ask","ord_type":"market","type":"limit"}',
        b'{"side":"ask"}', b"[" * 10_000, b"side=ask&ord_type=market&" + b"x" * 20_000, b"", b"side=ask&ord_type=market&side",
        b'{"side":"ask","ord_type":"market","x":"&side=bid&ord_type=limit&y="}',
    ],
    ids=lambda body: repr(body[:30]),
)  # fmt: skip
@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_an_order_that_can_be_read_in_two_ways_does_not_close(ask: Any, body: bytes) -> None:
    """A name that stands twice, a part that was cut off, nothing that can be read: the app might read the other thing."""
    sink = Sink(verdicts={KEY_40: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS)})
    assert ask(at("upbit", "POST", "/v1/orders", body), sink)[2] is None


JSON_THAT_SELLS = b'{"side":"ask","ord_type":"market","x":"&side=bid&ord_type=limit&y="}'
MULTIPART_THAT_BUYS = (
    b'side=ask&ord_type=market&x=\r\n--b\r\ncontent-disposition: form-data; name="side"\r\n\r\nbid\r\n--b--\r\n'
)


@pytest.mark.parametrize(
    ("types", "body", "passes"),
    [
        (["application/json"], JSON_THAT_SELLS, True),
        (["Application/JSON; charset=utf-8"], json.dumps(SELL_UPBIT).encode(), True),
        (["application/x-www-form-urlencoded"], b"side=ask&ord_type=market", True),
        (["application/x-www-form-urlencoded"], JSON_THAT_SELLS, False),
        (["application/json"], b"side=ask&ord_type=market", False),
        (["multipart/form-data; boundary=b"], MULTIPART_THAT_BUYS, False),
        (["text/plain"], json.dumps(SELL_UPBIT).encode(), False),
    ],
)
@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_a_body_is_read_as_the_type_that_it_declares(ask: Any, types: list[str], body: bytes, passes: bool) -> None:
    """One that sells as JSON and buys as a form is what the app takes it for."""
    sink = Sink(verdicts={KEY_40: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS)})
    order = at("upbit", "POST", "/v1/orders", body)
    declared = replace(order, headers=(*order.headers, *(("Content-Type", one) for one in types)))
    assert (ask(declared, sink)[2] is not None) == passes


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_a_request_that_may_be_taken_for_another_method_is_that_too(ask: Any, name: str) -> None:
    """Some frameworks do; a cancellation that asks to be an order is blocked, an order that asks to be one too."""
    sink = Sink(verdicts={KEY_40: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS)})
    for method, asked, passes in (("DELETE", "POST", False), ("POST", "DELETE", False), ("DELETE", "delete", True)):
        plain = at("upbit", method, "/v1/orders")
        request = replace(plain, headers=(*plain.headers, (name, asked)))
        assert (ask(request, sink)[2] is not None) == passes


OTHER = {
    "upbit": KEY_40[::-1],
    "bithumb": KEY_40[::-1],
    "coinone": UUID[::-1],
    "korbit": KORBIT[::-1],
    "gopax": UUID[::-1],
}


def second(request: Request) -> tuple[str, str]:
    """A header that names another key where the first one's stands."""
    name, key = request.headers[0][0], OTHER[request.exchange]
    if name == "Authorization":
        return name, bearer({"access_key": key})
    return name, payload(access_token=key) if request.exchange == "coinone" else key


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "request_of",
    [*(at(name, "POST", "/v2/orders") for name in BASE), coinone("/v2.1/order")],
    ids=lambda request: f"{request.exchange} {request.headers[0][0]}",
)
def test_a_second_key_beside_a_restricted_one_helps_nobody(request_of: Request, first: bool) -> None:
    """Which of them the app authenticates is not known here: the one that may do less counts, wherever it stands."""
    for restricted in (request_of.key, OTHER[request_of.exchange]):
        sink = Sink(verdicts={restricted: verdict(Scope.EVERYTHING)})
        pair = (request_of.headers[0], second(request_of))
        both = replace(request_of, headers=pair if first else pair[::-1])
        assert ask_asgi(both, sink)[2] is None
    sink = Sink(verdicts={request_of.key: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS)})
    sink.verdicts[OTHER[request_of.exchange]] = verdict(Scope.EVERYTHING)
    assert ask_asgi(replace(both, method="GET"), sink)[2] is None


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_a_second_key_in_another_place_helps_nobody(ask: Any) -> None:
    """Bithumb's other version, Gopax's query."""
    both = Request("bithumb", HEX_32, "POST", "/info/balance", (("Api-Key", HEX_32), second(at("upbit", "GET", "/"))))
    assert ask(both, Sink(verdicts={KEY_40[::-1]: verdict(Scope.EVERYTHING)}))[2] is None
    gopax = at("gopax", "GET", f"/balances?apiKey={UUID[::-1]}")
    assert ask(gopax, Sink(verdicts={UUID[::-1]: verdict(Scope.EVERYTHING)}))[2] is None
    hidden = Request("gopax", UUID, "GET", f"/?x=#&apiKey={UUID}", ())
    assert ask(hidden, Sink(verdicts={UUID: verdict(Scope.EVERYTHING)}))[2] is None


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_the_key_that_the_app_authenticated_counts_alone(ask: Any) -> None:
    """A stranger's restricted key beside one's own blocks nothing and tells nothing; what the app names is blocked, wherever it
    stands in the request; where it names none, or its callback fails, the request is read."""

    def raises(context: Any) -> str:
        raise RuntimeError(KEY_40)

    order = at("upbit", "POST", "/v1/orders", {"side": "bid"})
    nothing = Request("upbit", KEY_40, "GET", "/v1/accounts", ())
    sink = Sink(verdicts={KEY_40: verdict(Scope.EVERYTHING)})
    callbacks: list[tuple[Any, Request, bool]] = [
        (lambda context: "mine", order, True), (lambda context: KEY_40, nothing, False), (lambda context: None, order, False),
        (lambda context: None, nothing, True), (raises, order, False),
    ]  # fmt: skip
    for callback, request_of, passes in callbacks:
        assert (ask(request_of, sink, key=callback)[2] is not None) == passes


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(deadline=None, max_examples=100)
def test_no_body_breaks_it(before: bytes, after: bytes) -> None:
    """Whatever stands around the parameters of an order: an answer of the app's or the exchange's."""
    sink = Sink(verdicts={KEY_40: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS), UUID: verdict(Scope.EVERYTHING)})
    body = before + json.dumps(SELL_UPBIT).encode() + after
    for ask in (ask_asgi, ask_wsgi):
        assert ask(at("upbit", "POST", "/v1/orders", body), sink)[0] in (200, 401)


def test_what_was_done_is_reported_once_for_each_verdict() -> None:
    """Not once for each request: a bot that hammers is no reason to hammer the registry."""
    sink = Sink(verdicts={KEY_40: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS)})
    middleware = wsgi.EnforcementMiddleware(lambda *_: [b"{}"], sink, "upbit", prefix="/api/", language="en")
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/orders",
        "HTTP_AUTHORIZATION": bearer({"access_key": KEY_40}),
    }
    environ["CONTENT_LENGTH"] = ""
    for _ in range(3):
        assert texts.message("BLOCKED_NEW", "en").encode() in b"".join(middleware(dict(environ), lambda *_: None))
    assert sink.reports == [(7, Act.MONITORED)]
    sink.verdicts[KEY_40] = verdict(Scope.EVERYTHING, sequence=8)
    list(middleware(dict(environ), lambda *_: None))
    assert sink.reports == [(7, Act.MONITORED), (8, Act.REVOKED)]


def test_a_report_that_could_not_be_queued_is_tried_again() -> None:
    """The next blocked request queues it."""

    class Full(Sink):
        def report(self, verdict: Verdict, act: Act) -> bool:
            super().report(verdict, act)
            return len(self.reports) > 1

    sink = Full(verdicts={KORBIT: verdict(Scope.EVERYTHING)})
    middleware = wsgi.EnforcementMiddleware(lambda *_: [b"{}"], sink, "digitalx")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v2/balance", "HTTP_X_KAPI_KEY": KORBIT}
    for _ in range(4):
        list(middleware(dict(environ), lambda *_: None))
    assert len(sink.reports) == 2


@pytest.mark.parametrize("ask", [ask_asgi, ask_wsgi])
def test_a_fault_of_ours_stops_nobody(ask: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that raises, or has no verdict: the request goes through, and one line says so."""

    class Broken(Sink):
        def verdict(self, key: str) -> Verdict:
            raise RuntimeError(key)

    order = at("upbit", "POST", "/v1/orders", {"side": "bid"})
    assert ask(order, Broken())[2] == order.body
    assert [record.getMessage() for record in caplog.records] == [
        "a request could not be checked and went through: RuntimeError"
    ]

    class Silent(Sink):
        def verdict(self, key: str) -> Verdict:
            return None  # type: ignore[return-value]

    assert ask(order, Silent())[2] == order.body


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    "scope",
    [{}, {"path": 7}, {"path": None}, {"headers": None}, {"headers": [1]}, {"method": None}, {"query_string": None}],
)
def test_a_server_that_is_not_quite_asgi_still_serves(scope: dict[str, Any], named: bool) -> None:
    """What is missing costs the check, not the trade."""
    served: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        served.append(True)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        served.append(False)

    sink = Sink(verdicts={KEY_40: verdict(Scope.NEW_ORDERS_AND_WITHDRAWALS)})
    key = (lambda context: KEY_40) if named else None
    middleware = asgi.EnforcementMiddleware(app, sink, "upbit", key=key)
    asyncio.run(middleware({"type": "http", "method": "GET", **scope}, receive, send))
    assert served == [True]


@pytest.mark.parametrize("query", [{"query_string": b""}, {"query_string": None}, {}])
def test_a_websocket_is_closed_at_everything_only(query: dict[str, Any]) -> None:
    """Private streams only read. A handshake without a query need not say that it has none."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/websocket/v1/private", "headers": [], **query}
    scope["headers"] = [(b"authorization", bearer({"access_key": KEY_40}).encode())]
    for restriction in (Scope.NEW_ORDERS_AND_WITHDRAWALS, Scope.EVERYTHING):
        middleware = asgi.EnforcementMiddleware(app, Sink(verdicts={KEY_40: verdict(restriction)}), "upbit")
        asyncio.run(middleware(dict(scope), None, send))  # type: ignore[arg-type]
    assert sent == ["websocket.accept", "websocket.close"]


@pytest.mark.parametrize("account", ["customer-1", None])
def test_a_blocked_request_is_a_use_only_where_the_app_knew_the_account(account: str | None) -> None:
    """It is no refusal of the exchange's; without authentication before it, it says nothing about who sent it."""
    sink = Sink(verdicts={KEY_40: verdict(Scope.EVERYTHING)})
    inner = wsgi.EnforcementMiddleware(lambda *_: [b"{}"], sink, "upbit")
    outer = wsgi.SightingMiddleware(inner, sink, "upbit", account=lambda environ: account)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/accounts", "REMOTE_ADDR": "198.51.100.7"}
    b"".join(outer(environ | {"HTTP_AUTHORIZATION": bearer({"access_key": KEY_40})}, lambda *_: None))
    assert [(seen.manner.name, seen.account) for seen in sink.seen] == ([("USED", account)] if account else [])


@pytest.mark.parametrize(
    ("options", "field"), [({"language": "jp"}, "language"), ({"prefix": 7}, "prefix"), ({"key": "access_key"}, "key")]
)
def test_a_wrong_setting_is_refused_when_the_app_starts(options: dict[str, Any], field: str) -> None:
    """Naming it."""
    for middleware in (asgi.EnforcementMiddleware, wsgi.EnforcementMiddleware):
        with pytest.raises(ConfigurationError) as refused:
            middleware(None, Sink(), "upbit", **options)  # type: ignore[arg-type]
        assert refused.value.field == field

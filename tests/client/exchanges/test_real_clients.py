"""The clients that customers run, against a real server: what they send names their key, and nothing public names one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import ccxt
import ccxt.pro
import pybithumb
import pykorbit
import pytest
import python_bithumb
import pyupbit
import requests
import upbit

from daxa_client.exchanges import get
from formats import HEX_32, HEX_48, KEY_40, KORBIT, SECRET, UUID
from gateways import WAIT_SECONDS, Recorder, sent_to, serving

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are not ours to mend


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    """What the server was asked."""
    return Recorder(answer={})


@pytest.fixture(scope="module")
def server(recorder: Recorder) -> Iterator[str]:
    """A real server at which every client is pointed."""
    with serving(recorder) as url, sent_to(url):
        yield url


def at(url: str, exchange: ccxt.Exchange) -> ccxt.Exchange:
    """A ccxt exchange with every address of its REST service replaced."""
    plain = exchange.urls["api"]
    tails = {
        name: "" if isinstance(old, dict) else old.partition("//")[2].partition("/")[2] for name, old in plain.items()
    }
    exchange.urls["api"] = {name: f"{url}/{tail}".rstrip("/") for name, tail in tails.items()}
    return exchange


def ccxt_upbit(url: str, key: str) -> None:
    client = at(url, ccxt.upbit({"apiKey": key, "secret": SECRET}))
    client.private_get_accounts()
    client.private_post_orders({"market": "KRW-BTC", "side": "bid", "volume": "1", "price": "1", "ord_type": "limit"})
    client.private_delete_order({"uuid": "u"})


def ccxt_bithumb(url: str, key: str) -> None:
    client = at(url, ccxt.bithumb({"apiKey": key, "secret": SECRET}))
    client.private_get_v1_accounts()
    client.private_post_v2_orders({"market": "KRW-BTC", "side": "bid"})
    client.private_delete_v2_order({"order_id": "o"})


def ccxt_bithumb_1(url: str, key: str) -> None:
    client = at(url, ccxt.bithumb({"apiKey": key, "secret": SECRET}))
    client.private_post_info_balance({"currency": "BTC"})
    client.private_post_trade_place({"order_currency": "BTC", "units": 1, "price": 1, "type": "bid"})


def ccxt_coinone(url: str, key: str) -> None:
    client = at(url, ccxt.coinone({"apiKey": key, "secret": SECRET}))
    client.v2_1private_post_order_limit({"side": "BUY", "qty": "1", "filler": "???>>>"})
    client.v2private_post_account_balance()
    client.private_post_order_cancel({"order_id": "o"})


def by_pyupbit(url: str, key: str) -> None:
    client = pyupbit.Upbit(key, SECRET)
    client.get_balances()
    client.buy_limit_order("KRW-BTC", 1_000, 1)
    client.cancel_order("u")


def upbit_sdk(url: str, key: str) -> None:
    with upbit.Upbit(access_key=key, secret_key=SECRET, base_url=url, max_retries=0) as client:
        client.accounts.list()
        client.orders.create(market="KRW-BTC", side="bid", ord_type="limit", price="1", volume="1")


def by_python_bithumb(url: str, key: str) -> None:
    client = python_bithumb.Bithumb(key, SECRET)
    client.get_balances()
    client.buy_limit_order("KRW-BTC", 1_000, 1)


def by_pybithumb(url: str, key: str) -> None:
    client = pybithumb.Bithumb(key, SECRET)
    client.get_balance("BTC")
    client.buy_limit_order("BTC", 1_000, 1)


def korbit_by_rule(url: str, key: str) -> None:
    """No packaged client: the header, and a signature over the urlencoded query or body."""

    def signed(**fields: Any) -> dict[str, Any]:
        fields["timestamp"] = int(time.time() * 1_000)
        return fields | {"signature": hmac.new(SECRET.encode(), urlencode(fields).encode(), hashlib.sha256).hexdigest()}

    headers = {"X-KAPI-KEY": key}
    requests.get(f"{url}/v2/balance", params=signed(), headers=headers, timeout=60)
    requests.post(f"{url}/v2/orders", data=signed(symbol="btc_krw", side="buy"), headers=headers, timeout=60)
    requests.delete(f"{url}/v2/orders", params=signed(symbol="btc_krw", orderId=1), headers=headers, timeout=60)


def gopax_by_rule(url: str, key: str) -> None:
    """As ccxt sent it up to 1.49: lower-case names; older clients write them in capitals."""
    for names in (("api-key", "timestamp", "signature"), ("API-Key", "Nonce", "Signature")):
        headers = dict(zip(names, (key, "1700000000000", "c2lnbmF0dXJl"), strict=True))
        requests.post(f"{url}/orders", json={"side": "buy"}, headers=headers, timeout=60)


CLIENTS: list[tuple[str, str, Callable[[str, str], None], int]] = [
    ("upbit", KEY_40, ccxt_upbit, 3),
    ("bithumb", HEX_48, ccxt_bithumb, 3),
    ("bithumb", HEX_32, ccxt_bithumb_1, 2),
    ("coinone", UUID, ccxt_coinone, 3),
    ("upbit", KEY_40, by_pyupbit, 3),
    ("upbit", KEY_40, upbit_sdk, 2),
    ("bithumb", HEX_48, by_python_bithumb, 2),
    ("bithumb", HEX_32, by_pybithumb, 2),
    ("korbit", KORBIT, korbit_by_rule, 3),
    ("gopax", UUID, gopax_by_rule, 2),
]


@pytest.mark.parametrize(("exchange", "key", "drive", "calls"), CLIENTS, ids=[c[2].__name__ for c in CLIENTS])
def test_a_real_clients_requests_name_its_key(
    server: str, recorder: Recorder, exchange: str, key: str, drive: Callable[[str, str], None], calls: int
) -> None:
    """Each private call, as it came over the wire; what the client makes of an empty answer is its own affair."""
    recorder.requests.clear()
    with contextlib.suppress(ccxt.BaseError, upbit.UpbitError, KeyError, TypeError):
        drive(server, key)
    assert [get(exchange).extract(**asked) for asked in recorder.requests] == [key] * calls


def pro_upbit(url: str, key: str) -> ccxt.pro.Exchange:
    client = ccxt.pro.upbit({"apiKey": key, "secret": SECRET})
    client.urls["api"]["ws"] = f"{url}/websocket/v1"
    return client


def pro_bithumb(url: str, key: str) -> ccxt.pro.Exchange:
    client = ccxt.pro.bithumb({"apiKey": key, "secret": SECRET})
    client.urls["api"]["ws"]["privateGen2"] = f"{url}/websocket/v2/private"
    return client


@pytest.mark.parametrize(("exchange", "key", "made"), [("upbit", KEY_40, pro_upbit), ("bithumb", HEX_48, pro_bithumb)])
def test_a_real_clients_private_websocket_names_its_key(
    server: str, recorder: Recorder, exchange: str, key: str, made: Callable[[str, str], ccxt.pro.Exchange]
) -> None:
    """The handshake, as ccxt.pro makes it to be told of its orders."""

    async def watched() -> None:
        client = made(server.replace("http", "ws", 1), key)
        client.markets = {}  # which is asked of the public service
        try:
            with contextlib.suppress(ccxt.BaseError):
                await asyncio.wait_for(client.watch_orders(), WAIT_SECONDS)
        finally:
            await client.close()

    recorder.requests.clear()
    asyncio.run(watched())
    assert [get(exchange).extract(**asked) for asked in recorder.requests] == [key]


def test_korbits_first_version_is_known_by_its_token_request_alone(server: str, recorder: Recorder) -> None:
    """pykorbit gets a token, then asks something public, then uses the token: one request of the three names the key."""
    recorder.requests.clear()
    recorder.answer = {"access_token": "d87Yf0rXqP3mWlKvN5b2Zc", "refresh_token": "r", "expires_in": 3600}
    try:
        pykorbit.Korbit(KORBIT, SECRET).get_balances()
    finally:
        recorder.answer = {}
    found = {asked["path"].decode(): get("korbit").extract(**asked) for asked in recorder.requests}
    assert len(found) == 3
    assert {path for path, key in found.items() if key == KORBIT} == {"/v1/oauth2/access_token"}


def test_public_calls_name_nobody(server: str, recorder: Recorder) -> None:
    """Prices are asked without a key."""
    recorder.requests.clear()
    with contextlib.suppress(ccxt.BaseError, KeyError, TypeError):
        at(server, ccxt.upbit({"apiKey": KEY_40, "secret": SECRET})).public_get_ticker({"markets": "KRW-BTC"})
        at(server, ccxt.bithumb({"apiKey": HEX_48, "secret": SECRET})).public_get_v1_ticker({"markets": "KRW-BTC"})
    assert len(recorder.requests) == 2
    assert [get(name).extract(**asked) for name in ("upbit", "bithumb") for asked in recorder.requests] == [None] * 4

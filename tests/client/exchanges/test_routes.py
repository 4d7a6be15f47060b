"""What a request does by its method and path: public clients' routes are known for what they are, and no spelling slips past."""

from __future__ import annotations

import itertools

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_client.exchanges import NAMES, Action, get

PREFIXES = {
    "upbit": {"public": "/v1/", "private": "/v1/"},
    "bithumb": {"public": "/", "private": "/"},
    "coinone": {
        "public": "/", "v2Public": "/public/v2/", "private": "/", "v2Private": "/v2/", "v2_1Private": "/v2.1/",
    },
}  # fmt: skip
OPEN = {Action.PUBLIC, Action.READ, Action.CANCEL, Action.CLOSE}
ORDERS = {
    "upbit": "/v1/orders",
    "bithumb": "/v2/orders",
    "coinone": "/v2.1/order",
    "korbit": "/v2/orders",
    "gopax": "/orders",
}


def of_ccxt() -> list[tuple[str, bool, str, str]]:
    """Exchange, whether it is public, method, path: the implicit calls of the version that is installed."""
    found = []
    for name, prefixes in PREFIXES.items():
        for kind, methods in getattr(ccxt, name)().describe()["api"].items():
            for method, paths in methods.items():
                for path in paths:
                    plain = path.replace("{", "").replace("}", "")
                    found.append((name, "ublic" in kind, method.upper(), prefixes[kind] + plain))
    return found


@pytest.mark.parametrize(("name", "public", "method", "path"), of_ccxt())
def test_every_route_of_ccxts_is_known(name: str, public: bool, method: str, path: str) -> None:
    """Public ones as public, all others as something that needs a key; what only looks is never an order."""
    action = get(name).routes.action(method, path)
    assert action is not Action.UNKNOWN
    assert (action is Action.PUBLIC) == public
    places = any(word in path for word in ("order", "trade/", "twap")) and method == "POST"
    looks = path.endswith(("orders", "orders/all", "info", "search", "query_order")) and not path.endswith("v2/orders")
    if action is Action.ORDER:
        assert places
        assert not looks or path == "/v1/orders"


# What the exchanges' documentation and other public clients have beside ccxt's.
DOCUMENTED: list[tuple[str, Action, str, list[str]]] = [
    ("coinone", Action.READ, "POST", [
        "/v2.1/order/completed_orders", "/v2.1/order/completed_orders/all", "/v2.1/order/active_orders",
        "/v2.1/order/active_orders/all", "/v2.1/order/open_orders/all", "/v2.1/order/detail", "/v2/account/balance/",
        "/v2.1/transaction/coin/history/detail", "/v2.1/transaction/coin/withdrawal/address_book",
    ]),
    ("coinone", Action.CANCEL, "POST", ["/v2.1/order/cancel", "/v2.1/order/cancel/all", "/order/cancel_all"]),
    ("coinone", Action.WITHDRAW, "POST", ["/v2.1/transaction/coin/withdrawal", "/v2/transaction/btc/"]),
    ("gopax", Action.PUBLIC, "GET", ["/tickers", "/trading-pairs/cautions", "/trading-pairs/BTC-KRW/book", "/time"]),
    ("gopax", Action.READ, "GET", ["/balances/BTC", "/orders/clientOrderId/a_b-1", "/trades", "/crypto-deposit-addresses"]),
    ("gopax", Action.CANCEL, "DELETE", ["/orders/17", "/orders/clientOrderId/a_b-1"]),
    ("gopax", Action.WITHDRAW, "POST", ["/withdrawals"]),
    ("korbit", Action.PUBLIC, "GET", ["/v2/tickers", "/v2/currencyPairs", "/v2/tickSizePolicy", "/v2/notices", "/v1/constants"]),
    ("korbit", Action.READ, "GET", ["/v2/balance", "/v2/openOrders", "/v2/currentKeyInfo", "/v2/coin/withdrawal"]),
    ("korbit", Action.READ, "POST", ["/v2/coin/depositAddress", "/v2/krw/sendKrwDepositPush", "/v1/oauth2/access_token"]),
    ("korbit", Action.CANCEL, "DELETE", ["/v2/orders", "/v2/coin/withdrawal"]),
    ("korbit", Action.CANCEL, "POST", ["/v1/user/orders/cancel"]),
    ("korbit", Action.WITHDRAW, "POST", ["/v2/coin/withdrawal", "/v2/krw/sendKrwWithdrawalPush", "/v1/user/coins/out"]),
    ("upbit", Action.READ, "GET", ["//v1/deposits", "/v1/orders/closed", "/v1/withdraw"]),
    ("bithumb", Action.CLOSE, "POST", ["/trade/market_sell"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "action", "method", "paths"), DOCUMENTED)
def test_documented_routes_are_known(name: str, action: Action, method: str, paths: list[str]) -> None:
    """One by one."""
    routes = get(name).routes
    assert {path: routes.action(method, path) for path in paths} == dict.fromkeys(paths, action)


ODD = [
    "{}\n",
    "{}%0A",
    "{} ",
    "\t{}",
    "{}\x00",
    "{};x=1",
    "{}%2Ftest",
    "{}/../orders",
    "{}/./",
    "{}\\",
    "{}?x",
    "{}#",
    "{}/%2e%2e",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", ODD)
def test_an_order_that_is_spelled_oddly_is_no_open_route(name: str, odd: str) -> None:
    """FastAPI takes a path that ends with a line feed for the route without it; proxies decode, cut and resolve the rest."""
    assert get(name).routes.action("POST", odd.format(ORDERS[name])) not in OPEN


@pytest.mark.parametrize("name", NAMES)
def test_what_is_open_is_open_as_it_is_spelled_alone(name: str) -> None:
    """No open route with something odd in it, before it or behind it is still open: a proxy may make an order of it."""
    opened = [
        ("POST", "/v1/orders/test"), ("DELETE", "/v1/order"), ("POST", "/trade/cancel"), ("POST", "/v2/order/cancel"),
        ("DELETE", "/v2/orders"), ("DELETE", "/orders/1"), ("GET", "/v1/ticker"), ("GET", "/v2/tickers"), ("GET", "/tickers"),
        ("POST", "/v2.1/account/balance"), ("GET", "/v2/balance"),
    ]  # fmt: skip
    routes = get(name).routes
    some = [(method, path) for method, path in opened if routes.action(method, path) in OPEN]
    assert some
    for (method, path), odd in itertools.product(
        some, ["%2e%2e", "..", ".", "%2F", ";", "\n", " ", "\\", "%00", "\u017f"]
    ):
        behind = [] if odd in (".", "..") else [path + odd]  # a dot at the end of a name is a name
        for spelled in (f"{path}/{odd}/x", f"/{odd}{path}", *behind):
            assert routes.action(method, spelled) is Action.UNKNOWN


@given(
    st.sampled_from(NAMES),
    st.sampled_from(["PUT", "PATCH", "post", "POST ", "", "QUERY", "LINK"]),
    st.text(max_size=40),
)
def test_what_is_in_no_table_is_unknown(name: str, method: str, path: str) -> None:
    """Another method, or one in small letters: never open."""
    for one in (path, ORDERS[name], ORDERS[name] + path):
        assert get(name).routes.action(method, one) is Action.UNKNOWN


def test_a_long_path_is_unknown() -> None:
    """Nobody's route; nothing is searched through it."""
    assert get("upbit").routes.action("GET", "/v1/ticker/" + "a" * 1_000_000) is Action.UNKNOWN

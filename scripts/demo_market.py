"""Who trades in the demonstration, from where and when, and the real clients with which they do it.

The cast is drawn from a seed. Each customer has one key at one exchange and drives a client that people really use there; Korbit
and Gopax have no packaged one, so theirs follow the published rule. All of them send to loopback: the network between a customer
and an exchange, with the exchange's own proxy that adds the address a connection came from, is :class:`Network`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

import ccxt
import pybithumb
import python_bithumb
import pyupbit
import requests

RING, OWN, OFFICE, HOME = "ring", "own", "office", "home"
GROUPS = {
    RING: "a ring: lent keys",
    OWN: "one person's own keys",
    OFFICE: "people of one office",
    HOME: "people at home",
}
FROM_WHERE = {
    RING: "seven people's, all driven from one operator's server in the hours that he chooses",
    OWN: "at four exchanges, from one server too: from outside it looks alike",
    OFFICE: "twelve, through one address by day, each at home otherwise",
    HOME: "fifteen",
}
SERVER, OWN_SERVER, OFFICE_EGRESS = "158.247.192.14", "141.164.33.90", "211.234.118.6"
MISSED = 0.07  # how often a bot of the ring sits an hour out
STACKS = tuple(f"t13d{n:02}1{n % 3}h1_8daaf6152771_{hashlib.sha256(b'%d' % n).hexdigest()[:12]}" for n in range(9))
"""JA4 of TLS libraries, as the exchanges' proxies see them; the ring's server has the first, and so have some others."""
STRAY = "8.8.8.8"  # what a customer writes into X-Forwarded-For himself: nobody may believe it


class Client(Protocol):
    """What a customer does with his key."""

    def look(self) -> object: ...
    def buy(self) -> object: ...
    def cancel(self) -> object: ...


class Ccxt:
    """ccxt at Upbit, Bithumb or Coinone, by the exchange's own calls: what it calls unified asks for markets first."""

    _CALLS: ClassVar = {
        "upbit": ("private_get_accounts", "private_post_orders", "private_delete_order"),
        "bithumb": ("private_get_v1_accounts", "private_post_v2_orders", "private_delete_v2_order"),
        "coinone": ("v2private_post_account_balance", "v2_1private_post_order_limit", "v2_1private_post_order_cancel"),
    }

    def __init__(self, exchange: str, key: str, secret: str) -> None:
        client = getattr(ccxt, exchange)({"apiKey": key, "secret": secret, "enableRateLimit": False})
        self._look, self._buy, self._cancel = (getattr(client, call) for call in self._CALLS[exchange])
        self._order = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "95000000", "volume": "0.01"}

    def look(self) -> object:
        return self._look()

    def buy(self) -> object:
        return self._buy(dict(self._order))

    def cancel(self) -> object:
        return self._cancel({"uuid": "u", "order_id": "o"})


class Pyupbit:
    """pyupbit."""

    def __init__(self, exchange: str, key: str, secret: str) -> None:
        self._client = pyupbit.Upbit(key, secret)

    def look(self) -> object:
        return self._client.get_balances()

    def buy(self) -> object:
        return self._client.buy_limit_order("KRW-BTC", 95_000_000, 0.01)

    def cancel(self) -> object:
        return self._client.cancel_order("u")


class PythonBithumb:
    """python-bithumb, which speaks version 2."""

    def __init__(self, exchange: str, key: str, secret: str) -> None:
        self._client = python_bithumb.Bithumb(key, secret)

    def look(self) -> object:
        return self._client.get_balances()

    def buy(self) -> object:
        return self._client.buy_limit_order("KRW-BTC", 95_000_000, 0.01)

    def cancel(self) -> object:
        return self._client.cancel_order("u")


class Pybithumb:
    """pybithumb, which speaks version 1.2."""

    def __init__(self, exchange: str, key: str, secret: str) -> None:
        self._client = pybithumb.Bithumb(key, secret)

    def look(self) -> object:
        return self._client.get_balance("BTC")

    def buy(self) -> object:
        return self._client.buy_limit_order("BTC", 95_000_000, 0.01)

    def cancel(self) -> object:
        return self._client.cancel_order(("bid", "BTC", "o", "KRW"))


class Korbit:
    """Korbit's version 2 by its rule, through ``requests``."""

    _URL = "https://api.korbit.co.kr/v2/"

    def __init__(self, exchange: str, key: str, secret: str) -> None:
        self._session, self._secret = requests.Session(), secret.encode()
        self._session.headers["X-KAPI-KEY"] = key

    def _signed(self, **fields: Any) -> dict[str, Any]:
        fields["timestamp"] = int(time.time() * 1_000)
        return fields | {"signature": hmac.new(self._secret, urlencode(fields).encode(), hashlib.sha256).hexdigest()}

    def look(self) -> object:
        return self._session.get(self._URL + "balance", params=self._signed())

    def buy(self) -> object:
        order = self._signed(symbol="btc_krw", side="buy", price="95000000", qty="0.01", orderType="limit")
        return self._session.post(self._URL + "orders", data=order)

    def cancel(self) -> object:
        return self._session.delete(self._URL + "orders", params=self._signed(symbol="btc_krw", orderId=1))


class Gopax:
    """Gopax by its rule, through ``requests``."""

    _URL = "https://api.gopax.co.kr"

    def __init__(self, exchange: str, key: str, secret: str) -> None:
        self._session, self._key, self._secret = requests.Session(), key, base64.b64decode(secret)

    def _ask(self, method: str, path: str, body: str = "") -> object:
        at = str(int(time.time() * 1_000))
        made = hmac.new(self._secret, f"t{at}{method}{path}{body}".encode(), hashlib.sha512).digest()
        headers = {"api-key": self._key, "timestamp": at, "signature": base64.b64encode(made).decode()}
        return self._session.request(method, self._URL + path, data=body, headers=headers)

    def look(self) -> object:
        return self._ask("GET", "/balances")

    def buy(self) -> object:
        return self._ask(
            "POST", "/orders", '{"side":"buy","type":"limit","tradingPairName":"BTC-KRW","price":1,"amount":1}'
        )

    def cancel(self) -> object:
        return self._ask("DELETE", "/orders/1")


Made = Callable[[str, str, str], Client]
CLIENTS: dict[str, tuple[Made, ...]] = {
    "upbit": (Ccxt, Pyupbit),
    "bithumb": (Ccxt, PythonBithumb, Pybithumb),
    "coinone": (Ccxt,),
    "korbit": (Korbit,),
    "gopax": (Gopax,),
}


@dataclass(slots=True)
class Customer:
    """One key of one person at one exchange.

    ``ci`` is what the exchange knows the person by, where it does; ``allowed`` are the addresses on the key's allow-list.
    """

    group: str
    person: str
    exchange: str
    key: str
    secret: str = field(repr=False)
    made: Made
    home: str
    ja4: str
    ci: str | None
    allowed: tuple[str, ...] = ()
    sent: int = 0
    client: Client | None = None

    def drive(self, action: str) -> Exception | None:
        """One request; what the client itself raised about the answer, which is its own affair."""
        if self.client is None:
            self.client = self.made(self.exchange, self.key, self.secret)
        self.sent += action == "buy"
        try:
            getattr(self.client, action)()
        except (ccxt.BaseError, KeyError, TypeError, ValueError, AttributeError) as error:
            return error
        return None


def _credentials(dice: random.Random, made: Made, exchange: str) -> tuple[str, str]:
    """A key of the exchange's shape and its secret."""
    hexadecimal = f"{dice.getrandbits(256):064x}"
    letters = "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789", k=40))
    if exchange in ("coinone", "gopax"):
        return str(uuid.UUID(int=dice.getrandbits(128), version=4)), base64.b64encode(hexadecimal.encode()).decode()
    if exchange == "bithumb":
        return hexadecimal[: 32 if made is Pybithumb else 48], hexadecimal
    return letters, hexadecimal


def cast(dice: random.Random) -> list[Customer]:
    """Everybody, in the order in which they are told of."""
    everyone: list[Customer] = []

    def add(group: str, person: int, exchange: str, made: Made | None = None) -> None:
        made = made or dice.choice(CLIENTS[exchange])
        key, secret = _credentials(dice, made, exchange)
        name = f"{group}-{person}"
        ci = (
            None if exchange == "korbit" else f"CI of {name}".ljust(88, "=")
        )  # it is optional, and Korbit here has none
        home = f"{118 + person % 7}.{41 + len(group)}.{10 + person}.{20 + 3 * person}"
        ja4 = STACKS[0] if group == RING else STACKS[1] if group == OWN else dice.choice(STACKS)
        allowed = {RING: (SERVER,), OWN: (OWN_SERVER,), OFFICE: (OFFICE_EGRESS, home), HOME: (home,)}[group]
        everyone.append(Customer(group, name, exchange, key, secret, made, home, ja4, ci, allowed))

    for person, exchange in enumerate(("upbit", "upbit", "bithumb", "bithumb", "coinone", "korbit", "gopax")):
        add(RING, person, exchange, CLIENTS[exchange][0])
    for exchange in ("upbit", "bithumb", "coinone", "gopax"):
        add(OWN, 0, exchange, CLIENTS[exchange][0])
    for group, people in ((OFFICE, 12), (HOME, 15)):
        for person in range(people):
            add(group, person, list(CLIENTS)[person % len(CLIENTS)])
    return everyone


@dataclass(frozen=True, slots=True)
class Visit:
    """A customer's requests in one hour (counted from the day's first), from one address."""

    customer: Customer
    hour: int
    address: str
    actions: tuple[str, ...]


def day(dice: random.Random, everyone: list[Customer]) -> list[Visit]:
    """One day's visits, in time order."""
    visits: list[Visit] = []

    def visit(customer: Customer, hour: int, address: str) -> None:
        actions = ("buy",) if dice.random() < 0.6 else (dice.choice(("look", "cancel")),)
        visits.append(Visit(customer, hour, address, actions))

    ring = dice.sample(range(24), 9)  # the operator wakes all of them together
    own = dice.sample(range(24), 10)
    for customer in everyone:
        if customer.group == RING:
            for hour in ring:
                if dice.random() >= MISSED:
                    visit(customer, hour, SERVER)
        elif customer.group == OWN:
            for hour in own:
                visit(customer, hour, OWN_SERVER)
        else:
            if customer.group == OFFICE and dice.random() < 0.5:
                for hour in dice.sample(range(9, 19), 2):
                    visit(customer, hour, OFFICE_EGRESS)
            for hour in dice.sample([h for h in range(24) if not 9 <= h < 19], 4):
                visit(customer, hour, customer.home)
    return sorted(visits, key=lambda one: one.hour)


class Network:
    """Takes what clients send to an exchange's public name to its gateway on loopback, as that exchange's proxy would.

    The proxy appends the address that a connection came from, as it should; what the customer himself wrote stands before it. It
    also says what it saw of the TLS handshake.
    """

    def __init__(self, gateways: dict[str, str]) -> None:
        self._gateways = gateways
        self._now = threading.local()

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """While the block runs; everything that ``requests`` sends goes this way."""
        plain = requests.Session.send

        def send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            there = urlsplit(self._gateways[self._now.exchange])
            request.url = urlunsplit(urlsplit(request.url or "")._replace(scheme=there.scheme, netloc=there.netloc))
            request.headers["X-Forwarded-For"] = f"{STRAY}, {self._now.address}"
            request.headers["X-JA4"] = self._now.ja4
            request.headers["X-Demo-Hour"] = str(self._now.hour)
            return plain(session, request, **options)

        requests.Session.send = send  # type: ignore[method-assign]
        try:
            yield
        finally:
            requests.Session.send = plain  # type: ignore[method-assign]

    def carry(self, visit: Visit, first_hour: int) -> Exception | None:
        """Makes a visit's requests; the last thing that the customer's client complained of."""
        self._now.exchange, self._now.address = visit.customer.exchange, visit.address
        self._now.ja4, self._now.hour = visit.customer.ja4, first_hour + visit.hour
        complaint = None
        for action in visit.actions:
            complaint = visit.customer.drive(action) or complaint
        return complaint

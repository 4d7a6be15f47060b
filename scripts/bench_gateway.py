"""What the client costs an exchange's gateway: reading a key out of a request, and the middleware in front of an app.

The app is a small FastAPI exchange under uvicorn that does what a gateway cannot do without: it looks the key up, checks the
token's signature, its hash of the parameters and its nonce, validates the order and writes it down, in SQLite. It runs in a
process of its own, once with the middleware and a real :class:`Gateway` behind it and once without; both serve at the same
time, and the same requests go to them in turns. Each has a nonce of its own, so that nothing is remembered that a gateway
could not remember.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from daxa_client import Gateway
from daxa_client.asgi import SightingMiddleware
from daxa_client.exchanges import get
from daxa_registry.deployment import Plan, make_deployment

Row = dict[str, Any]
SECRET = b"a secret of a customer's, long enough for its algorithm, as issued to him"
KEYS = 200
CUSTOMERS = 50
SETTLE_SECONDS = 5
ANSWER = b'{"market":"KRW-BTC","side":"bid","state":"wait"}'
HEADERS = [
    ("Host", "api.example.com"), ("User-Agent", "python-requests/2.32.5"), ("Accept-Encoding", "gzip, deflate"),
    ("Accept", "*/*"), ("Connection", "keep-alive"), ("X-Request-Id", "4711"), ("X-Forwarded-Proto", "https"),
]  # fmt: skip


ORDER = {"market": "KRW-BTC", "side": "bid", "ord_type": "limit", "price": "95000000", "volume": "0.01"}


def bearer(key: str) -> str:
    """A token as real clients make it, with a nonce of its own."""
    query_hash = hashlib.sha512(urlencode(ORDER).encode()).hexdigest()
    claims = {"access_key": key, "nonce": str(uuid.uuid4()), "query_hash": query_hash, "query_hash_alg": "SHA512"}
    return "Bearer " + jwt.encode(claims, SECRET, "HS256")


# the app


class Order(BaseModel):
    """What a customer asks for."""

    market: str = Field(pattern="[A-Z]+-[A-Z0-9]+")
    side: Literal["bid", "ask"]
    ord_type: Literal["limit", "market", "price"]
    price: Decimal | None = Field(None, gt=0)
    volume: Decimal | None = Field(None, gt=0)


def app(middleware: bool, configuration: str) -> Any:
    """A small exchange."""
    database = sqlite3.connect(f"{configuration}.exchange{int(middleware)}", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("CREATE TABLE credential (access_key TEXT PRIMARY KEY, secret BLOB, customer TEXT)")
    database.execute("CREATE TABLE nonce (nonce TEXT PRIMARY KEY) WITHOUT ROWID")
    database.execute("CREATE TABLE asked (customer TEXT, market TEXT, side TEXT, price TEXT, volume TEXT)")
    people = [(f"{n:040d}", SECRET, f"customer {n}") for n in range(KEYS)]
    database.executemany("INSERT INTO credential VALUES (?, ?, ?)", people)
    exchange = FastAPI()

    async def customer(request: Request, order: Order) -> str:
        token = request.headers["authorization"].partition(" ")[2]
        key = jwt.decode(token, options={"verify_signature": False})["access_key"]
        secret, number = database.execute(
            "SELECT secret, customer FROM credential WHERE access_key = ?", (key,)
        ).fetchone()
        claims = jwt.decode(token, secret, ["HS256"])
        asked = urlencode({name: str(value) for name, value in order.model_dump(exclude_none=True).items()})
        if claims["query_hash"] != hashlib.sha512(asked.encode()).hexdigest():
            raise HTTPException(401, {"error": {"name": "invalid_query_payload"}})
        database.execute("INSERT INTO nonce VALUES (?)", (claims["nonce"],))
        request.state.access_key, request.state.customer = key, number
        return str(number)

    @exchange.post("/v1/orders", status_code=201)
    async def place(order: Order, number: str = Depends(customer)) -> dict[str, str]:
        fields = (number, order.market, order.side, str(order.price), str(order.volume))
        database.execute("INSERT INTO asked VALUES (?, ?, ?, ?, ?)", fields)
        return {"market": order.market, "side": order.side, "state": "wait"}

    if middleware:
        exchange.add_middleware(
            SightingMiddleware, gateway=Gateway.from_file(configuration), exchange="upbit", trusted_proxies=["127.0.0.0/8"],
            key=lambda scope: scope["state"].get("access_key"), account=lambda scope: scope["state"].get("customer"),
        )  # fmt: skip
    return exchange


def serve(middleware: str, configuration: str) -> None:
    """What the server's process runs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    settings: dict[str, Any] = {
        "log_level": "error",
        "access_log": False,
        "proxy_headers": False,
        "timeout_keep_alive": 600,
    }
    uvicorn.Server(uvicorn.Config(app(middleware == "1", configuration), **settings)).run([listener])


def receive(connection: socket.socket) -> None:
    """One whole answer, which is a success of a known length."""
    answer = connection.recv(4_096)
    while not answer.endswith(ANSWER):
        more = connection.recv(4_096)
        assert more, "the server closed the connection"
        answer += more
    assert answer.startswith(b"HTTP/1.1 201"), answer


class Server:
    """One app's process, and connections to it."""

    def __init__(self, middleware: bool, configuration: Path) -> None:
        command = "import bench_gateway, sys; bench_gateway.serve(*sys.argv[1:])"
        self._process = subprocess.Popen(
            [sys.executable, "-c", command, str(int(middleware)), str(configuration)], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self.connections = []
        for _ in range(8):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(connection)

    def cpu_seconds(self) -> float:
        """What the process's threads have used of a processor so far."""
        threads = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def ask(self, request: bytes) -> float:
        """One request on one connection; seconds."""
        start = time.perf_counter()
        self.connections[0].sendall(request)
        receive(self.connections[0])
        return time.perf_counter() - start

    def flood(self, requests: list[bytes]) -> float:
        """All of them, one in flight on each connection; seconds. The server is never idle."""
        start, many = time.perf_counter(), len(self.connections)
        for connection, request in zip(self.connections, requests, strict=False):
            connection.sendall(request)
        for turn in range(len(requests)):
            connection = self.connections[turn % many]
            receive(connection)
            if turn + many < len(requests):
                connection.sendall(requests[turn + many])
        return time.perf_counter() - start

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self._process.terminate()
        self._process.wait(30)


def requests_of(number: int) -> list[bytes]:
    """Requests of many keys from many customers behind one proxy; a combination comes again and again, a token never."""
    made, body = [], json.dumps(ORDER).encode()
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    for n in range(number):
        headers = [*HEADERS, *own, ("X-Forwarded-For", f"1.0.0.{n % CUSTOMERS}")]
        headers.append(("Authorization", bearer(f"{n % KEYS:040d}")))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        made.append(f"POST /v1/orders HTTP/1.1\r\n{lines}\r\n".encode() + body)
    return made


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Path]:
    """An evaluator and a registry in processes of their own, so that what is observed is shipped; the member's configuration."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(2):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
    make_deployment(folder, Plan(("upbit",), 1, 1, ports=ports))
    started = []
    try:
        for command, part in (("evaluator", "evaluators/1/evaluator.toml"), ("serve", "registry/registry.toml")):
            code = "from daxa_registry.cli import main; main()"
            process = subprocess.Popen(
                [sys.executable, "-c", code, command, str(folder / part)], stdout=subprocess.PIPE, text=True,
                stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
            started.append(process)
            assert process.stdout is not None
            process.stdout.readline()
        yield folder / "members/upbit/client.toml"
    finally:
        for process in started:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    """The app without and with the middleware."""
    with registry(folder) as configuration:
        plain, watched = Server(False, configuration), Server(True, configuration)
        try:
            yield plain, watched
        finally:
            plain.close()
            watched.close()


def middleware(pairs: int, rounds: int, flood: int, asked: int) -> list[Row]:
    """Requests per second lost to it, and what it adds to the slowest hundredth.

    A server that is never idle answers as many requests as its processor's time allows, so that time is what is compared: on a
    machine with other tenants the clock measures them. Two processes of the same app differ by as much as is to be measured,
    by where their memory happens to lie, so several pairs are asked.
    """
    lost: list[float] = []
    rates: list[float] = []
    slower: list[float] = []
    middle: list[float] = []
    late: list[float] = []
    used = [0.0, 0.0]
    for _ in range(pairs):
        with tempfile.TemporaryDirectory() as folder, servers(Path(folder) / "d") as both:
            for server in both:
                server.flood(requests_of(flood))
            # What is new is fingerprinted and shipped; a gateway sees the same again and again.
            time.sleep(SETTLE_SECONDS)
            for turn in range(rounds):
                wall, spent = [0.0, 0.0], [0.0, 0.0]
                for n in (0, 1) if turn % 2 else (1, 0):
                    requests, before = requests_of(flood), both[n].cpu_seconds()
                    wall[n] = both[n].flood(requests)
                    spent[n] = both[n].cpu_seconds() - before
                    used[n] += spent[n]
                lost.append(1 - spent[0] / spent[1])
                rates.append(1 - wall[0] / wall[1])
            for _ in range(rounds):
                times: tuple[list[float], list[float]] = ([], [])
                for turn, request in enumerate(requests_of(asked)):
                    for n in (0, 1) if turn % 2 else (1, 0):
                        times[n].append(both[n].ask(request))
                slow = [statistics.quantiles(taken, n=100)[98] for taken in times]
                slower.append(slow[0])
                late.append(slow[1] - slow[0])
                middle.append(statistics.median(times[1]) - statistics.median(times[0]))
    cost, added = 100 * statistics.median(lost), 1e6 * statistics.median(late)
    busy, more = (1e6 * one / len(lost) / flood for one in used)
    clock = f"by the clock {100 * statistics.median(rates):+.1f} %"
    detail = f"processor: {busy:.0f} us without, {more - busy:+.1f} with; {clock}; {pairs} pairs of processes"
    beside = f"p99 {1e6 * statistics.median(slower):.0f} us without; median {1e6 * statistics.median(middle):+.1f} us"
    share = {
        "name": "middleware: share of requests/s lost",
        "value": cost,
        "unit": "%",
        "target": "<= 3",
        "ok": cost <= 3,
    }
    tail = {"name": "middleware: added at p99", "value": added, "unit": "us", "target": "<= 100", "ok": added <= 100}
    return [share | {"detail": detail}, tail | {"detail": beside}]


# extract


def extracts(calls: int) -> list[Row]:
    """Microseconds of one ``extract()``, by format, with the headers that a proxy hands on."""
    key, uuid = "x" * 40, "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    order = {
        "access_token": uuid,
        "nonce": uuid,
        "quote_currency": "KRW",
        "target_currency": "BTC",
        "type": "LIMIT",
        "qty": "1",
    }
    payload = base64.b64encode(json.dumps(order).encode()).decode()
    formats: dict[str, tuple[str, str, str, list[tuple[str, str]], bytes]] = {
        "upbit": ("upbit", "POST", "/v1/orders", [("Authorization", bearer(key))], b""),
        "bithumb v2": ("bithumb", "POST", "/v2/orders", [("Authorization", bearer(key))], b""),
        "bithumb v1.2": ("bithumb", "POST", "/info/balance", [("Api-Key", "a" * 32)], b""),
        "coinone": ("coinone", "POST", "/v2.1/order", [("X-COINONE-PAYLOAD", payload)], b""),
        "korbit": ("korbit", "POST", "/v2/orders", [("X-KAPI-KEY", key)], b""),
        "korbit v1": (
            "korbit",
            "POST",
            "/v1/oauth2/access_token",
            [],
            b"client_id=" + key.encode() + b"&client_secret=x",
        ),
        "gopax": ("gopax", "POST", "/orders", [("api-key", uuid)], b""),
        "gopax websocket": ("gopax", "GET", f"/?apiKey={uuid}&timestamp=t1&signature=x", [], b""),
    }
    rows = []
    for name, (exchange, method, path, own, body) in formats.items():
        headers = [(n.lower().encode(), v.encode()) for n, v in [*HEADERS, *own]]
        extract, times = get(exchange).extract, []
        assert extract(method=method, path=path, headers=headers, body=body)
        for _ in range(11):
            start = time.perf_counter()
            for _ in range(calls):
                extract(method=method, path=path, headers=headers, body=body)
            times.append((time.perf_counter() - start) / calls * 1e6)
        value = statistics.median(times)
        rows.append(
            {"name": f"extract(): {name}", "value": value, "unit": "us", "target": "<= 10", "ok": value <= 10,
             "detail": f"{len(headers)} headers; median of {len(times)} rounds of {calls:,} calls"}
        )  # fmt: skip
    return rows


def run(pairs: int = 4, rounds: int = 6, flood: int = 1_500, asked: int = 600, calls: int = 3_000) -> Iterator[Row]:
    """The rows of the table."""
    yield from extracts(calls)
    yield from middleware(pairs, rounds, flood, asked)

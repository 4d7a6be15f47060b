"""One small exchange of the demonstration, under uvicorn: real clients talk to it, and the client library stands in it.

A request passes the three layers that an exchange's gateway would have: ``SightingMiddleware`` sees it, the exchange's own
authentication verifies the signature, ``EnforcementMiddleware`` blocks what a verdict restricts. What is left are orders.
``/-/`` is for the demonstration alone: what this exchange knows just now.

    python scripts/demo_gateway.py upbit client.toml customers.json
"""

from __future__ import annotations

import base64
import contextvars
import dataclasses
import hashlib
import hmac
import json
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from daxa_client import Gateway
from daxa_client._config import read_config
from daxa_client.asgi import EnforcementMiddleware, SightingMiddleware
from daxa_client.exchanges import Action, get
from daxa_core.errors import DaxaError
from daxa_core.model import Act, Manner, Verdict

PROXY = "127.0.0.0/8"
HOUR = contextvars.ContextVar("HOUR", default="")
DRAIN_SECONDS = 60


def signed(exchange: str, secret: str, request: dict[str, Any]) -> bool:
    """Whether the request was signed with the key's secret, by the exchange's own rule."""
    headers, path, body = request["headers"], request["path"], request["body"]
    key = secret.encode()
    if "authorization" in headers:  # Upbit, and Bithumb's version 2
        try:
            jwt.decode(headers["authorization"].partition(" ")[2], key, ["HS256", "HS512"])
        except jwt.InvalidTokenError:
            return False
        return True
    if exchange == "bithumb":
        text = "\0".join((path, body.decode(), headers.get("api-nonce", "")))
        made = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha512).hexdigest().encode()).decode()
        return hmac.compare_digest(made, headers.get("api-sign", ""))
    if exchange == "coinone":
        payload = headers["x-coinone-payload"].encode()
        made = hmac.new(secret.upper().encode(), payload, hashlib.sha512).hexdigest()
        return hmac.compare_digest(made, headers.get("x-coinone-signature", ""))
    if exchange == "korbit":
        fields = parse_qsl(body.decode() or request["query"])
        text = urlencode([(name, value) for name, value in fields if name != "signature"])
        made = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return hmac.compare_digest(made, dict(fields).get("signature", ""))
    text = f"t{headers.get('timestamp', '')}{request['method']}{path}{body.decode()}"
    made = base64.b64encode(hmac.new(base64.b64decode(secret), text.encode(), hashlib.sha512).digest()).decode()
    return hmac.compare_digest(made, headers.get("signature", ""))


class Authentication:
    """The exchange's own: puts the customer into the scope's state, or answers 401 itself."""

    def __init__(self, app: Any, exchange: str, customers: dict[str, dict[str, Any]]) -> None:
        self._app, self._exchange, self._customers = app, get(exchange), customers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        request = {
            "method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(), "body": body,
            "headers": {name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
        }  # fmt: skip
        key = self._exchange.extract(method=scope["method"], path=scope["path"], headers=scope["headers"], body=body)
        customer = self._customers.get(key or "")
        if customer is None or not signed(self._exchange.name, customer["secret"], request):
            await JSONResponse({"error": {"name": "invalid_access_key"}}, 401)(scope, receive, send)
            return
        scope["state"] = {"key": key, "customer": customer}
        unread = [{"type": "http.request", "body": body}]

        async def again() -> Any:
            return unread.pop() if unread else await receive()

        await self._app(scope, again, send)


class AtItsHour:
    """The gateway, told the hour that is being played: days pass in seconds here, and a sighting's time is its own."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def observe(self, key: str, address: str, **more: Any) -> bool:
        hour = HOUR.get()
        return self._gateway.observe(key, address, **more, when=int(hour) * 3_600.0 if hour else None)

    def verdict(self, key: str) -> Verdict:
        return self._gateway.verdict(key)

    def report(self, verdict: Verdict, act: Act) -> bool:
        return self._gateway.report(verdict, act)


class Exchange:
    """The app."""

    def __init__(self, name: str, configuration: Path, customers: dict[str, dict[str, Any]]) -> None:
        self._name, self._customers = name, customers
        self._gateway = Gateway(dataclasses.replace(read_config(configuration), flush_seconds=0.2))
        self._placed: Counter[str] = Counter()
        self._served: Counter[str] = Counter()
        observer = AtItsHour(self._gateway)
        for key, one in customers.items():  # an exchange tells a key's allow-list when it changes, and all of them once
            for address in one["allowed"]:
                account, holder = one["account"], self._holder(one)
                self._gateway.observe(
                    key, address, manner=Manner.DECLARED, account=account, holder=holder, when=one["since"]
                )
        layers = [
            Middleware(
                SightingMiddleware, gateway=observer, exchange=name, trusted_proxies=[PROXY], ja4_header="x-ja4",
                key=lambda scope: scope.get("state", {}).get("key"),
                account=lambda scope: scope.get("state", {}).get("customer", {}).get("account"),
                holder=lambda scope: self._holder(scope["state"]["customer"]),
            ),
            Middleware(Authentication, exchange=name, customers=customers),
            Middleware(EnforcementMiddleware, gateway=observer, exchange=name, key=lambda scope: scope["state"]["key"]),
        ]  # fmt: skip
        methods = ["GET", "POST", "DELETE", "PUT"]
        self._exchange = Starlette(routes=[Route("/{rest:path}", self._answer, methods=methods)], middleware=layers)
        self._inside = Starlette(routes=[Route("/-/", self._knows)])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            HOUR.set(next((value.decode() for name, value in scope["headers"] if name == b"x-demo-hour"), ""))
        await (self._inside if scope.get("path") == "/-/" else self._exchange)(scope, receive, send)

    @staticmethod
    def _holder(customer: dict[str, Any]) -> bytes | None:
        return customer["ci"].encode() if customer["ci"] else None

    async def _answer(self, request: Request) -> JSONResponse:
        """What comes this far was authenticated and not blocked."""
        action = get(self._name).routes.action(request.method, request.url.path)
        (self._placed if action is Action.ORDER else self._served)[request.state.key] += 1
        # pyupbit reads how many requests are left.
        return JSONResponse({"status": "0000"}, headers={"Remaining-Req": "group=default; min=1800; sec=29"})

    async def _knows(self, request: Request) -> JSONResponse:
        """With ``?drain`` once all that was seen is at the registry."""
        if "drain" in request.query_params and not await run_in_threadpool(self._gateway.drain, DRAIN_SECONDS):
            return JSONResponse({"problem": self._gateway.health().problem or "the registry takes nothing"}, 503)
        keys = {}
        for key in self._customers:
            verdict = self._gateway.verdict(key)
            keys[key] = {
                "level": int(verdict.level), "scope": int(verdict.scope), "score": verdict.score, "sequence": verdict.sequence,
                "reasons": [[one.code, one.contribution, one.count.name] for one in verdict.reasons],
                "placed": self._placed[key], "served": self._served[key],
            }  # fmt: skip
        health = self._gateway.health()
        told = {"receipts": health.receipts, "untold": health.reports_waiting}
        return JSONResponse({"keys": keys, "sent": health.sent, **told})


def main() -> None:
    name, configuration, customers = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    exchange = Exchange(name, configuration, customers)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        # On a slow machine a customer is quiet for a while between two days, and the answer to that is no closed connection.
        settings: Any = {
            "log_level": "warning", "access_log": False, "proxy_headers": False, "lifespan": "off", "timeout_keep_alive": 600,
        }  # fmt: skip
        uvicorn.Server(uvicorn.Config(exchange, **settings)).run([listener])


if __name__ == "__main__":
    try:
        main()
    except DaxaError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None

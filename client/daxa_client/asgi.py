"""Middleware for ASGI apps (Starlette, FastAPI, Django and others under uvicorn, hypercorn or gunicorn's workers).

    app = FastAPI()
    app.add_middleware(
        SightingMiddleware, gateway=Gateway.from_file("client.toml"), exchange="upbit", trusted_proxies=["10.0.0.0/8"],
        account=lambda scope: scope["state"].get("customer"),
    )

It reads what a request says, lets it through untouched, and observes it as the answer goes out: HTTP requests and
websocket handshakes. What it refuses is a wrong setting, when the app starts.

``EnforcementMiddleware`` is a step of its own, for exchanges that want verdicts acted on in the gateway. It belongs behind the
gateway's authentication: before it, whoever knows the public half of a key could learn that the key is restricted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Unpack

from daxa_core.model import Device

from ._blocking import BLOCKED, KEY, Answer, Blocking, Judges
from ._middleware import MAX_ANSWER, Observes, RequestObserver, Settings
from .exchanges._reading import MAX_FORM_BYTES
from .texts import Language

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class SightingMiddleware:
    """Observes which keys are used or refused, and from where. See :class:`daxa_client._middleware.Settings`."""

    def __init__(self, app: App, gateway: Observes, exchange: str, **settings: Unpack[Settings]) -> None:
        """Raises InvalidInput naming ``exchange``, ConfigurationError naming a setting."""
        self._app = app
        self._requests = requests = RequestObserver(gateway, exchange, settings, _request, self._key, self._client)
        self._answered, self._clients, self._success = requests.answered, requests.clients, requests.success
        self._named = frozenset(name.data for name in requests.exchange.headers)
        self._reads_forms = requests.exchange.keys_in_bodies
        self._wanted = {b"user-agent", *([requests.proxies.header.encode()] if requests.proxies.any else [])}
        self._more = requests.ja4_header.encode(), requests.ja3_header.encode(), requests.header_order
        self._asks_more = any(self._more)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection of the app."""
        kind = scope["type"]
        if kind != "http" and kind != "websocket":
            await self._app(scope, receive, send)
            return
        answered, success, form, status, answer = self._answered, self._success, b"", 0, b""
        if self._reads_forms and kind == "http":
            form, receive = await _token_request(self._requests, scope, receive)

        def answering(message: Message) -> Awaitable[None]:
            # No coroutine of its own, which would cost more than all that is done here.
            nonlocal answer, status
            if status == 0:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    if status < success:
                        told, status = status, -1
                        answered(scope, told, b"", form)
                elif scope["type"] == "websocket":  # the handshake: accepted, denied with a status, or closed
                    told, status = 101 if message["type"] == "websocket.accept" else message.get("status", 403), -1
                    answered(scope, told)
            elif status > 0:
                answer += (message.get("body") or b"")[:MAX_ANSWER]
                if len(answer) >= MAX_ANSWER or not message.get("more_body"):
                    told, status = status, -1
                    answered(scope, told, answer[:MAX_ANSWER], form)
            return send(message)

        await self._app(scope, receive, answering)

    def _key(self, scope: Scope, body: bytes) -> str | None:
        query, named = _query(scope), self._named  # ASGI has names in lower case: no need to look closer
        headers = [pair for pair in scope["headers"] if pair[0] in named]
        if not headers and not query and not body:
            return None
        path = _target(self._requests.local_path(scope["path"]), query)
        return self._requests.exchange.extract(method=scope.get("method", "GET"), path=path, headers=headers, body=body)

    def _client(self, scope: Scope) -> tuple[str | None, Device | None]:
        wanted, forwarded, agent = self._wanted, None, None
        for name, value in scope["headers"]:  # a table of them all would take half as long again
            if name in wanted:
                if name == b"user-agent":
                    agent = value
                else:
                    forwarded = value if forwarded is None else b"%b,%b" % (forwarded, value)
        peer = scope.get("client")
        address = peer[0] if peer else None
        if not self._asks_more:
            return self._clients.get((address, forwarded, agent)) or self._requests.client(address, forwarded, agent)
        ja4, ja3, order = self._more
        found = dict(scope["headers"])
        names = tuple(name for name, _ in scope["headers"]) if order else ()
        return self._requests.client(address, forwarded, agent, found.get(ja4), found.get(ja3), names)


class EnforcementMiddleware:
    """Blocks what the scope of a key's verdict blocks, with the exchange's own error, and has the gateway report it.

    Reading, cancelling and selling at market go through below ``EVERYTHING``; where no verdict can be had, everything does.
    ``key`` is called with the scope and names the key that the app authenticated: give it, or whoever is let in with one key may
    be blocked for another that he names beside it. What it does not name is read out of the request.
    """

    def __init__(
        self, app: App, gateway: Judges, exchange: str, *, language: Language = "ko", prefix: str = "",
        key: Callable[[Any], str | None] | None = None,
    ) -> None:  # fmt: skip
        """``language`` of the message, ``prefix`` to cut off paths. Raises as :class:`SightingMiddleware`."""
        self._app = app
        self._blocking = Blocking(gateway, exchange, language, prefix, key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection of the app."""
        kind, blocking, form = scope["type"], self._blocking, b""
        if kind != "http" and kind != "websocket":
            await self._app(scope, receive, send)
            return
        key = blocking.authenticated(scope)
        if key is None and kind == "http" and blocking.exchange.keys_in_bodies:
            form, receive = await _token_request(blocking, scope, receive)
        verdict = blocking.restricting(self._keys(scope, key, form))
        if verdict is not None:
            method, path, body = scope.get("method", "GET"), scope.get("path", ""), b""
            if kind == "http" and blocking.guarded(lambda: blocking.needs_body(verdict, method, path)):
                body, whole, receive = await _read_form(receive)
                body = body if whole else b""
            query = scope.get("query_string") or b""
            answer = blocking.guarded(
                lambda: blocking.answer(verdict, (method, path, query.decode("latin-1")), scope["headers"], body)
            )
            if answer is not None:
                scope[BLOCKED] = True
                await _deny(kind, answer, send)
                return
        await self._app(scope, receive, send)

    def _keys(self, scope: Scope, key: str | None, form: bytes) -> list[str]:
        try:
            key = key or scope.get(KEY)
            keys = [key] if key else self._named(scope, form)
            if len(keys) == 1:
                scope[KEY] = keys[0]
        except Exception as error:  # noqa: BLE001 - a server that is not quite ASGI is no reason to stop a trade
            self._blocking.trouble(error)
            return []
        return keys

    def _named(self, scope: Scope, form: bytes) -> list[str]:
        target = _target(self._blocking.local_path(scope["path"]), _query(scope))
        return self._blocking.exchange.candidates(
            method=scope.get("method", "GET"), path=target, headers=scope["headers"], body=form
        )


def _query(scope: Scope) -> bytes:
    """A handshake without one need not say so, ASGI has it; a request has to."""
    query: bytes = scope["query_string"] if scope["type"] == "http" else scope.get("query_string") or b""
    return query


def _target(path: str, query: bytes) -> str:
    """Path and query in one. The path is decoded already: a question mark in it begins no query."""
    path = path.replace("?", "%3F") if "?" in path else path
    return f"{path}?{query.decode('latin-1')}" if query else path


def _request(scope: Scope) -> tuple[str, str]:
    return scope.get("method", "GET"), scope["path"]  # a handshake is a GET


async def _token_request(reader: RequestObserver | Blocking, scope: Scope, receive: Receive) -> tuple[bytes, Receive]:
    """The body where it may name a key, and a ``receive`` that gives it again."""
    try:
        names = reader.exchange.body_names_key(scope["method"], reader.local_path(scope["path"]))
    except Exception as error:  # noqa: BLE001 - a server that is not quite ASGI is no reason to stop a trade
        reader.trouble(error)
        names = False
    if not names:
        return b"", receive
    body, _, again = await _read_form(receive)
    return body, again


async def _deny(kind: str, answer: Answer, send: Send) -> None:
    """The exchange's own refusal; a websocket is closed before it is accepted, which a server answers with 403."""
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _read_form(receive: Receive) -> tuple[bytes, bool, Receive]:
    """The start of a body, whether that is all of it, and a ``receive`` that gives the app all of it as it came."""
    kept: list[Message] = []
    body, more = b"", True
    while more and len(body) <= MAX_FORM_BYTES:
        message = await receive()
        kept.append(message)
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    kept.reverse()

    async def again() -> Message:
        return kept.pop() if kept else await receive()

    return body, not more and len(body) <= MAX_FORM_BYTES, again

"""Middleware for ASGI apps (Starlette, FastAPI, Django and others under uvicorn, hypercorn or gunicorn's workers).

    app = FastAPI()
    app.add_middleware(
        SightingMiddleware, gateway=Gateway.from_file("client.toml"), exchange="upbit", trusted_proxies=["10.0.0.0/8"],
        account=lambda scope: scope["state"].get("customer"),
    )

It reads what a request says, lets it through untouched, and observes it when the answer has been sent: HTTP requests and
websocket handshakes. What it refuses is a wrong setting, when the app starts.

``EnforcementMiddleware`` is a step of its own, for exchanges that want verdicts acted on in the gateway. It belongs behind the
gateway's authentication: before it, whoever knows the public half of a key could learn that the key is restricted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Unpack

from daxa_core.model import Verdict

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
        self._requests = RequestObserver(gateway, exchange, settings)
        requests = self._requests
        self._extract = requests.exchange.extract
        self._forwarded = requests.proxies.header.encode() if requests.proxies.any else b""
        self._ja4, self._ja3 = requests.ja4_header.encode(), requests.ja3_header.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection of the app."""
        kind = scope["type"]
        if kind != "http" and kind != "websocket":
            await self._app(scope, receive, send)
            return
        key, body = None, b""
        try:
            path, query = scope["path"], scope["query_string"]
            method = scope["method"] if kind == "http" else "GET"
            if kind == "http" and self._requests.exchange.body_names_key(method, self._requests.local_path(path)):
                body, _, receive = await _read_form(receive)
                path = self._requests.local_path(path)
            key = self._extract(
                method=method,
                path=f"{path}?{query.decode('latin-1')}" if query else path,
                headers=scope["headers"],
                body=body,
            )
        except Exception as error:  # noqa: BLE001 - a server that is not quite ASGI is no reason to stop a trade
            self._requests.trouble(error)
        if key is None:
            await self._app(scope, receive, send)
            return
        scope[KEY] = key
        await self._app(
            scope, receive, _Answer(self, scope, key, send) if kind == "http" else self._accepts(scope, key, send)
        )

    def _accepts(self, scope: Scope, key: str, send: Send) -> Send:
        """``send`` of a websocket: a handshake that is accepted is a success, one that is closed or denied a refusal."""
        told = False

        async def accepting(message: Message) -> None:
            nonlocal told
            try:
                await send(message)
            finally:
                if not told:
                    told = True
                    kind = message["type"]
                    denied = message.get("status", 403) if kind == "websocket.http.response.start" else 403
                    self.answered(scope, key, 101 if kind == "websocket.accept" else denied, b"")

        return accepting

    def answered(self, scope: Scope, key: str, status: int, body: bytes) -> None:
        """Reads peer, proxies' headers and client stack from the scope, and observes. Never raises."""
        requests = self._requests
        try:
            user_agent = ja4 = ja3 = None
            forwarded: list[str] = []
            headers, header, ja4_name, ja3_name = scope["headers"], self._forwarded, self._ja4, self._ja3
            for name, value in headers:
                if name == b"user-agent":
                    user_agent = value
                elif name == header:
                    forwarded.append(value.decode("latin-1"))
                elif name == ja4_name:
                    ja4 = value
                elif name == ja3_name:
                    ja3 = value
            client = scope.get("client")
            peer = client[0] if client else None
            if (ja4 is not None or ja3 is not None) and not requests.proxies.trusts(peer):
                ja4 = ja3 = None
            order = tuple(name for name, _ in headers) if requests.header_order else None
            device = requests.device(user_agent, ja4, ja3, order)
        except Exception as error:  # noqa: BLE001 - as above
            requests.trouble(error)
            return
        method = scope.get("method", "GET")
        requests.answered(scope, key, (method, scope["path"]), (status, body), peer, forwarded, device)


class _Answer:
    """``send`` of one HTTP request: passes everything on, and tells the middleware once enough was seen."""

    __slots__ = ("_key", "_middleware", "_scope", "_send", "_status")

    def __init__(self, middleware: SightingMiddleware, scope: Scope, key: str, send: Send) -> None:
        self._middleware, self._scope, self._key, self._send = middleware, scope, key, send
        self._status = 0

    async def __call__(self, message: Message) -> None:
        status = self._status
        if status < 0:
            await self._send(message)
            return
        try:
            await self._send(message)
        finally:
            if status:
                body = message.get("body") or b""
                if body or not message.get("more_body"):
                    self._status = -1
                    self._middleware.answered(self._scope, self._key, status, body[:MAX_ANSWER])
            elif message["type"] == "http.response.start":
                self._status = message["status"]


class EnforcementMiddleware:
    """Blocks what the scope of a key's verdict blocks, with the exchange's own error, and has the gateway report it.

    Reading, cancelling and selling at market go through below ``EVERYTHING``; where no verdict can be had, everything does.
    """

    def __init__(
        self, app: App, gateway: Judges, exchange: str, *, language: Language = "ko", prefix: str = ""
    ) -> None:
        """``language`` of the message, ``prefix`` to cut off paths. Raises as :class:`SightingMiddleware`."""
        self._app = app
        self._blocking = Blocking(gateway, exchange, language, prefix)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection of the app."""
        kind, blocking = scope["type"], self._blocking
        verdict = self._restricting(scope) if kind == "http" or kind == "websocket" else None
        if verdict is not None:
            method, path = scope.get("method", "GET"), scope["path"]
            body = b""
            if kind == "http" and blocking.needs_body(verdict, method, path):
                body, whole, receive = await _read_form(receive)
                body = body if whole else b""
            request = (method, path, scope["query_string"].decode("latin-1"))
            answer = blocking.guarded(lambda: blocking.answer(verdict, request, scope["headers"], body))
            if answer is not None:
                scope[BLOCKED] = True
                await _deny(kind, answer, send)
                return
        await self._app(scope, receive, send)

    def _restricting(self, scope: Scope) -> Verdict | None:
        try:
            key = scope.get(KEY) or self._key(scope)
        except Exception as error:  # noqa: BLE001 - a server that is not quite ASGI is no reason to stop a trade
            self._blocking.trouble(error)
            return None
        return self._blocking.restricting(key) if key else None

    def _key(self, scope: Scope) -> str | None:
        path, query = self._blocking.local_path(scope["path"]), scope["query_string"].decode("latin-1")
        return self._blocking.exchange.extract(
            method=scope.get("method", "GET"), path=f"{path}?{query}", headers=scope["headers"]
        )


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

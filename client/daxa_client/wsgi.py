"""Middleware for WSGI apps (Django, Flask and others under gunicorn, uWSGI or mod_wsgi).

    application = SightingMiddleware(
        application, gateway=Gateway.from_file("client.toml"), exchange="bithumb", trusted_proxies=["10.0.0.0/8"],
        account=lambda environ: environ.get("exchange.customer"),
    )

It reads what a request says, lets it through untouched, and observes it when the app has answered. What it refuses is a wrong
setting, when the app starts.

``EnforcementMiddleware`` is a step of its own, for exchanges that want verdicts acted on in the gateway. It belongs behind the
gateway's authentication: before it, whoever knows the public half of a key could learn that the key is restricted.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Unpack

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Device

from ._blocking import BLOCKED, KEY, Answer, Blocking, Judges
from ._middleware import MAX_ANSWER, Observes, RequestObserver, Settings
from .exchanges import Exchange
from .exchanges._reading import MAX_FORM_BYTES
from .texts import Language

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]


class SightingMiddleware:
    """Observes which keys are used or refused, and from where. See :class:`daxa_client._middleware.Settings`."""

    def __init__(self, app: App, gateway: Observes, exchange: str, **settings: Unpack[Settings]) -> None:
        """Raises InvalidInput naming ``exchange``, ConfigurationError naming a setting."""
        self._app = app
        self._requests = requests = RequestObserver(gateway, exchange, settings, _request, self._key, self._client)
        if requests.header_order:
            raise ConfigurationError(
                ErrorCode.INVALID_CONFIGURATION, "header_order", "False: WSGI does not say in which order headers came"
            )
        self._forwarded = _environ_name(requests.proxies.header) if requests.proxies.any else ""
        self._ja4, self._ja3 = _environ_name(requests.ja4_header), _environ_name(requests.ja3_header)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """One request of the app."""
        form = b""
        if self._requests.exchange.keys_in_bodies:
            try:
                local = self._requests.local_path(_path(environ))
                if self._requests.exchange.body_names_key(environ["REQUEST_METHOD"], local):
                    form = _form(environ)
            except Exception as error:  # noqa: BLE001 - a server that is not quite WSGI is no reason to stop a trade
                self._requests.trouble(error)
        answer = _Told(self._requests, environ, form, start_response)
        body = self._app(environ, answer.start)
        if answer.told_by_status():
            return body  # as it came: a file stays one that the server may send by itself
        return _Watched(body, answer)

    def _key(self, environ: Environ, body: bytes) -> str | None:
        exchange, local = self._requests.exchange, self._requests.local_path(_path(environ))
        return exchange.extract(
            method=environ["REQUEST_METHOD"],
            path=_target(environ, local),
            headers=_headers(environ, exchange),
            body=body,
        )

    def _client(self, environ: Environ) -> tuple[str | None, Device | None]:
        forwarded = environ[self._forwarded].encode("latin-1") if self._forwarded in environ else None
        more = (_raw(environ.get(self._ja4)), _raw(environ.get(self._ja3))) if self._ja4 or self._ja3 else ()
        user_agent = _raw(environ.get("HTTP_USER_AGENT"))
        return self._requests.client(environ.get("REMOTE_ADDR"), forwarded, user_agent, *more)


class _Told:
    """What one request was answered: told once."""

    __slots__ = ("_environ", "_form", "_requests", "_start", "_status", "_told")

    def __init__(self, requests: RequestObserver, environ: Environ, form: bytes, start: Any) -> None:
        self._requests, self._environ, self._form, self._start = requests, environ, form, start
        self._status, self._told = 0, False

    def start(self, status: str, *arguments: Any, **named: Any) -> Any:
        """``start_response`` of PEP 3333."""
        number = status[:3]
        self._status = int(number) if number.isdecimal() else 0
        return self._start(status, *arguments, **named)

    def told_by_status(self) -> bool:
        """Observes if the status is there and says enough; whether it was."""
        if self._status and self._requests.decided_by(self._status):
            self.tell(b"")
        return self._told

    def tell(self, body: bytes) -> None:
        """Observes."""
        if not self._told and self._status:
            self._told = True
            self._requests.answered(self._environ, self._status, body[:MAX_ANSWER], self._form)


class _Watched:
    """The app's body, its first bytes looked at as they go by; closed as PEP 3333 asks."""

    __slots__ = ("_answer", "_body", "_parts", "_seen")

    def __init__(self, body: Iterable[bytes], answer: _Told) -> None:
        self._body, self._answer, self._seen = body, answer, b""
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> bytes:
        if self._parts is None:
            self._parts = iter(self._body)
        part = next(self._parts, None)
        if part is None:
            self._answer.tell(self._seen)
            raise StopIteration
        if len(self._seen) < MAX_ANSWER:
            self._seen += part[:MAX_ANSWER]
        return part

    def close(self) -> None:
        """Closes the app's body, where it can be. An answer of which nobody read a byte tells nothing."""
        if self._seen:
            self._answer.tell(self._seen)
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class EnforcementMiddleware:
    """Blocks what the scope of a key's verdict blocks, with the exchange's own error, and has the gateway report it.

    Reading, cancelling and selling at market go through below ``EVERYTHING``; where no verdict can be had, everything does.
    ``key`` is called with the environ and names the key that the app authenticated: give it, or whoever is let in with one key
    may be blocked for another that he names beside it. What it does not name is read out of the request.
    """

    def __init__(
        self, app: App, gateway: Judges, exchange: str, *, language: Language = "ko", prefix: str = "",
        key: Callable[[Any], str | None] | None = None,
    ) -> None:  # fmt: skip
        """``language`` of the message, ``prefix`` to cut off paths. Raises as :class:`SightingMiddleware`."""
        self._app = app
        self._blocking = Blocking(gateway, exchange, language, prefix, key)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """One request of the app."""
        answer = self._blocking.guarded(lambda: self._answer(environ))
        if answer is None:
            return self._app(environ, start_response)
        environ[BLOCKED] = True
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer.body)))]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [answer.body]

    def _answer(self, environ: Environ) -> Answer | None:
        blocking, method, path = self._blocking, environ["REQUEST_METHOD"], _path(environ)
        key = blocking.authenticated(environ) or environ.get(KEY)
        keys = [key] if key else self._named(environ, method, blocking.local_path(path))
        if len(keys) == 1:
            environ[KEY] = keys[0]
        verdict = blocking.restricting(keys)
        if verdict is None:
            return None
        body = _form(environ) if blocking.needs_body(verdict, method, path) else b""
        headers = [*environ.items(), ("content-type", environ.get("CONTENT_TYPE"))]
        return blocking.answer(verdict, (method, path, environ.get("QUERY_STRING", "")), headers, body)

    def _named(self, environ: Environ, method: str, local: str) -> list[str]:
        exchange = self._blocking.exchange
        form = _form(environ) if exchange.body_names_key(method, local) else b""
        target, headers = _target(environ, local), _headers(environ, exchange)
        return exchange.candidates(method=method, path=target, headers=headers, body=form)


def _headers(environ: Environ, exchange: Exchange) -> list[tuple[str, Any]]:
    return [(name.text, environ[name.wsgi]) for name in exchange.headers if name.wsgi in environ]


def _target(environ: Environ, local: str) -> str:
    """Path and query in one. The path is decoded already: a question mark in it begins no query."""
    path, query = local.replace("?", "%3F"), environ.get("QUERY_STRING")
    return f"{path}?{query}" if query else path


def _environ_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_") if header else ""


def _request(environ: Environ) -> tuple[str, str]:
    return environ.get("REQUEST_METHOD", ""), _path(environ)


def _path(environ: Environ) -> str:
    return f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"


def _raw(value: str | None) -> bytes | None:
    return value.encode("latin-1") if value else None


def _form(environ: Environ) -> bytes:
    """A short body that may name a key; the app reads it again from the start."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdecimal() or not 0 < int(length) <= MAX_FORM_BYTES:
        return b""
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    return body

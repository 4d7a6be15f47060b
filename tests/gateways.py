"""Servers for tests: an ASGI app under a real uvicorn on a free loopback port, and the customers' clients sent there.

with serving(app) as url, sent_to(url):
    pyupbit.Upbit(key, secret).get_balances()
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
import uvicorn

WAIT_SECONDS = 60


@contextlib.contextmanager
def serving(app: Any, **settings: Any) -> Iterator[str]:
    """Runs an ASGI app under uvicorn in a thread while the block runs; answers its URL."""
    quiet: dict[str, Any] = {"port": 0, "log_level": "error", "lifespan": "off", "proxy_headers": False}
    quiet["timeout_keep_alive"] = 600  # a client that is slow on a busy machine does not find its connection closed
    server = uvicorn.Server(uvicorn.Config(app, **(quiet | settings)))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + WAIT_SECONDS
        while not server.started:
            assert thread.is_alive(), "the server ended at once"
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)


@contextlib.contextmanager
def sent_to(url: str) -> Iterator[None]:
    """Clients that know one address only and go through ``requests`` reach this one instead, the request as they made it."""
    there = urlsplit(url)
    plain = requests.Session.send

    def send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        request.url = urlunsplit(parts._replace(scheme=there.scheme, netloc=there.netloc))
        return plain(self, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", send)
        yield


@dataclass(slots=True)
class Recorder:
    """An ASGI app that keeps what it was asked as ``extract``'s arguments, and answers what it was told to.

    A websocket is taken and closed when the first message has come.
    """

    answer: Any = None
    status: int = 200
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        if scope["type"] == "websocket":
            self.requests.append({"method": "GET", "path": path, "headers": scope["headers"], "body": b""})
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            await send({"type": "websocket.close"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.requests.append({"method": scope["method"], "path": path, "headers": scope["headers"], "body": body})
        headers = [(b"content-type", b"application/json"), (b"remaining-req", b"group=default; min=1800; sec=29")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(self.answer).encode()})

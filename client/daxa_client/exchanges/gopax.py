"""Gopax: the header ``api-key``, ``API-Key`` with older clients; at the private websocket the query's ``apiKey``.

The websocket's URL holds the signature beside the key: it is read here and never logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from daxa_core.key_shapes import UUID

from ._actions import Action, Routes
from ._exchange import Exchange
from ._reading import as_text, form_values, header_values, split_target
from .bithumb import API_KEY

HANDSHAKES = ("GET", "CONNECT", "")  # RFC 6455; RFC 8441 over HTTP/2; ASGI names no method for a websocket


class Gopax(Exchange):
    """``api-key`` in any case; else ``?apiKey=`` of a handshake."""

    name = "gopax"
    own = re.compile(UUID)
    headers = (API_KEY,)
    routes = Routes(
        ("*", r"/(trading-pairs|assets|notices|price-tick-size|currencies|time)(/.*)?", Action.PUBLIC),
        ("DELETE", r"/orders(/.*)?", Action.CANCEL),
        ("POST", r"/orders(/.*)?", Action.ORDER),
        ("POST", r"/.*withdraw.*", Action.WITHDRAW),
    )
    refusals = frozenset({"10004", "10155"})
    refuses_with_success = True

    def _code(self, answer: dict[str, Any]) -> str:
        return str(answer.get("errorCode", ""))

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        return 401, {"errorCode": 10004, "errorMessage": message}

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        named = [value for value in header_values(headers, API_KEY) if self.accepted.fullmatch(value)]
        if named or (as_text(method) or "").strip().upper() not in HANDSHAKES:
            return named
        return form_values(split_target(path)[1], "apiKey")

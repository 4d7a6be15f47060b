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
    """``api-key`` in any case, ``?apiKey=`` of a handshake; where a request that is not known as REST has both, both."""

    name = "gopax"
    own = re.compile(UUID)
    headers = (API_KEY,)
    routes = Routes(
        ("GET", r"/(trading-pairs|tickers|assets|notices|price-tick-size|currencies|time)(/.*)?", Action.PUBLIC),
        ("GET", r"/(balances|orders|trades)(/.*)?", Action.READ),
        ("GET", r"/(deposit-withdrawal-status|crypto-(deposit|withdrawal)-addresses)", Action.READ),
        ("UPGRADE", r"/", Action.READ),
        ("DELETE", r"/orders(/.*)?", Action.CANCEL),
        ("POST", r"/orders(/.*)?", Action.ORDER),
        ("POST", r"/.*withdraw.*", Action.WITHDRAW),
    )
    typed_orders = frozenset({"/orders"})
    refusals = frozenset({"10004", "10155"})
    refuses_with_success = True

    def _code(self, answer: dict[str, Any]) -> str:
        return str(answer.get("errorCode", ""))

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        return 401, {"errorCode": 10004, "errorMessage": message}

    def _named(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        named, queried = header_values(headers, API_KEY), list(self._in_query(method, path))
        if named and queried and self.routes.action("GET", split_target(path)[0]) is not Action.UNKNOWN:
            return named  # REST: what stands in its query is no key
        return [*named, *queried]

    def _anywhere(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        return [*header_values(headers, API_KEY), *self._in_query(method, path)]

    def _in_query(self, method: Any, path: Any) -> Iterable[str]:
        handshake = (as_text(method) or "").strip().upper() in HANDSHAKES
        return form_values(split_target(path)[1], "apiKey") if handshake else ()

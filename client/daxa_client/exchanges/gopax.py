"""Gopax: the header ``api-key``, ``API-Key`` with older clients; at the private websocket the query's ``apiKey``.

The websocket's URL holds the signature beside the key: it is read here and never logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._exchange import UUID, Exchange
from ._reading import as_text, form_values, header_values, split_target
from .bithumb import API_KEY

HANDSHAKES = ("GET", "CONNECT", "")  # RFC 6455; RFC 8441 over HTTP/2; ASGI names no method for a websocket


class Gopax(Exchange):
    """``api-key`` in any case; else ``?apiKey=`` of a handshake."""

    name = "gopax"
    own = re.compile(UUID)

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        named = [value for value in header_values(headers, API_KEY) if self.accepted.fullmatch(value)]
        if named or (as_text(method) or "").strip().upper() not in HANDSHAKES:
            return named
        return form_values(split_target(path)[1], "apiKey")

"""Coinone: v2, v2.1 and the private websocket; the key is ``access_token`` in the header ``X-COINONE-PAYLOAD``.

The body is never read: some clients send the payload's base64 as the body, others its JSON, others something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._exchange import UUID, Exchange
from ._reading import HeaderName, header_values, json_object

PAYLOAD = HeaderName("x-coinone-payload")


class Coinone(Exchange):
    """``X-COINONE-PAYLOAD``: base64 of JSON, field ``access_token``."""

    name = "coinone"
    own = re.compile(UUID)

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        payloads = (json_object(value) for value in header_values(headers, PAYLOAD))
        return (payload.get("access_token") for payload in payloads if payload is not None)

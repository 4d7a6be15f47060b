"""Korbit (Digital X since September 2026): v2's header ``X-KAPI-KEY``, and the token request of v1's OAuth.

That request's body holds the secret beside the key: one field of it is decoded, and nothing of it is kept. Later calls of v1
carry an opaque token, which names no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from daxa_core.key_shapes import UNPUBLISHED

from ._actions import Action, Routes
from ._exchange import Exchange
from ._reading import HeaderName, as_text, form_values, header_values, split_target

KAPI_KEY = HeaderName("x-kapi-key")
TOKEN_PATH = "/v1/oauth2/access_token"  # noqa: S105 - a path
_V2 = re.compile(UNPUBLISHED)


class Korbit(Exchange):
    """``X-KAPI-KEY``; at v1's token request the form field ``client_id``. Neither format is published."""

    name = "korbit"
    # v1's; v2's is told apart below. No separator of forms: in a form that was put together wrongly, "client_id=key" may run
    # into "client_secret=…", and the secret must not come along.
    accepted = re.compile("[A-Za-z0-9._~:@/+-]{1,126}={0,2}")
    own = _V2
    headers = (KAPI_KEY,)
    routes = Routes(
        (
            "*",
            r"/v2/(tickers|orderbook|trades|candles|currencyPairs|currencies|tickSizePolicy|time|public)(/.*)?",
            Action.PUBLIC,
        ),
        ("*", r"/v1/(ticker|orderbook|transactions|constants)(/.*)?", Action.PUBLIC),
        ("DELETE", r"/v2/(orders|coin/withdrawals?)(/.*)?", Action.CANCEL),
        ("POST", r"/v2/orders(/.*)?", Action.ORDER),
        ("POST", r"/v2/(coin|krw)/.*withdrawal.*", Action.WITHDRAW),
    )
    refusals = frozenset({"KEY_NOT_FOUND", "KEY_EXPIRED", "KEY_DEACTIVATED"})
    keys_in_bodies = True
    refuses_with_success = True

    def body_names_key(self, method: str, path: str) -> bool:
        return method == "POST" and path.rstrip("/") == TOKEN_PATH

    def _code(self, answer: dict[str, Any]) -> str:
        error = answer.get("error")
        return str(error.get("message", "")) if isinstance(error, dict) else ""

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        return 403, {"success": False, "error": {"message": "KEY_DEACTIVATED", "detail": message}}

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        named = [value for value in header_values(headers, KAPI_KEY) if _V2.fullmatch(value)]
        if named or split_target(path)[0] != TOKEN_PATH:
            return named
        if (as_text(method) or "").strip().upper() != "POST":
            return ()
        return form_values(body, "client_id")

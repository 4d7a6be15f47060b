"""Korbit (Digital X since September 2026): v2's header ``X-KAPI-KEY``, and the token request of v1's OAuth.

That request's body holds the secret beside the key: one field of it is decoded, and nothing of it is kept. Later calls of v1
carry an opaque token, which names no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from daxa_core.key_shapes import UNPUBLISHED

from ._actions import Action, Routes, plain_path
from ._exchange import Exchange
from ._reading import HeaderName, as_text, form_values, header_values, split_target

KAPI_KEY = HeaderName("x-kapi-key")
_TOKEN_PATH = re.compile(r"\s*/+v1/+oauth2/+access_token[/\s]*", re.IGNORECASE)
_V2 = re.compile(UNPUBLISHED)


class Korbit(Exchange):
    """``X-KAPI-KEY``; at v1's token request the form field ``client_id``. Neither format is published."""

    name = "korbit"
    # v1's; v2's is told apart below. No separator of forms: in a form that was put together wrongly, "client_id=key" may run
    # into "client_secret=…", and the secret must not come along.
    accepted = re.compile("[A-Za-z0-9._~:@/+-]{1,126}={0,2}")
    own = accepted
    headers = (KAPI_KEY,)
    routes = Routes(
        ("GET", r"/v2/(tickers|orderbook|trades|candles|currencypairs|ticksizepolicy)", Action.PUBLIC),
        ("GET", r"/v2/(currencies|time|notices|marketalerts)(/.*)?", Action.PUBLIC),
        ("GET UPGRADE", r"/v2/public", Action.PUBLIC),
        ("GET", r"/v1/(ticker|orderbook|transactions|constants)(/.*)?", Action.PUBLIC),
        ("GET", r"/v2/(orders|openorders|allorders|mytrades|balance|tradingfeepolicy|currentkeyinfo)", Action.READ),
        ("GET", r"/v2/(coin|krw)/[a-z]+", Action.READ),
        ("UPGRADE", r"/v2/private", Action.READ),
        # The token names no key: what is done with it is known only to who gives the middleware the key that he authenticated.
        ("POST", r"/v2/coin/depositaddress|/v2/krw/sendkrwdepositpush|/v1/oauth2/access_token", Action.READ),
        ("DELETE", r"/v2/(orders|coin/withdrawals?)", Action.CANCEL),
        ("POST", r"/v1/user/(orders|coins/out)/cancel", Action.CANCEL),
        ("POST", r"/v2/orders(/.*)?|/v1/user/orders/(buy|sell)", Action.ORDER),
        ("POST", r"/v2/(coin|krw)/.*withdrawal.*|/v1/user/coins/out", Action.WITHDRAW),
    )
    typed_orders = frozenset({"/v2/orders"})
    refusals = frozenset({"KEY_NOT_FOUND", "KEY_EXPIRED", "KEY_DEACTIVATED"})
    keys_in_bodies = True
    refuses_with_success = True

    def body_names_key(self, method: str, path: str) -> bool:
        return _asks_for_token(method, path)

    def _code(self, answer: dict[str, Any]) -> str:
        error = answer.get("error")
        return str(error.get("message", "")) if isinstance(error, dict) else ""

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        return 403, {"success": False, "error": {"message": "KEY_DEACTIVATED", "detail": message}}

    def _named(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        if _asks_for_token(method, path):
            return form_values(body, "client_id")
        if (plain_path(split_target(path)[0]) or "").startswith("/v1/"):
            return ()  # authenticated by the token, whatever else stands there
        return [value for value in header_values(headers, KAPI_KEY) if _V2.fullmatch(value)]


def _asks_for_token(method: Any, path: Any) -> bool:
    # As loosely as a router could: what it takes for another path has no such field in its body.
    return (as_text(method) or "").strip().upper() == "POST" and _TOKEN_PATH.fullmatch(
        split_target(path)[0]
    ) is not None

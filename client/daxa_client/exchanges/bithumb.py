"""Bithumb: version 2 as Upbit's bearer JWT, version 1.2 with the header ``Api-Key``; one exchange serves both.

Which of the two a request is authenticated by follows from its path. Where the path does not carry that version's key the
other is looked at: a key sent to the wrong door is refused there, and the refusal is worth knowing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from daxa_core.key_shapes import ALPHANUMERIC_40, HEX_32, HEX_48

from ._actions import Action, Routes
from ._exchange import Exchange
from ._reading import HeaderName, bearer_claim, header_values, split_target
from .upbit import AUTHORIZATION, named_error

API_KEY = HeaderName("api-key")
_VERSION_1 = ("/info/", "/trade/")


class Bithumb(Exchange):
    """``Authorization: Bearer <JWT>`` with the claim ``access_key``; below ``/info`` and ``/trade`` the header ``Api-Key``."""

    name = "bithumb"
    own = re.compile(f"{ALPHANUMERIC_40}|{HEX_48}|{HEX_32}")
    headers = (AUTHORIZATION, API_KEY)
    routes = Routes(
        ("*", r"/public(/.*)?|/v2/fee(/.*)?|/websocket/v1", Action.PUBLIC),
        ("*", r"/v1/(market|candles|trades|ticker|orderbook|notices)(/.*)?", Action.PUBLIC),
        ("DELETE", r"/v[12]/(orders?|twap|withdraws)(/.*)?", Action.CANCEL),
        ("POST", r"/v2/orders/cancel(/.*)?|/trade/cancel", Action.CANCEL),
        ("POST", r"/v2/orders/search", Action.READ),
        ("POST", r"/trade/market_sell", Action.CLOSE),
        ("POST", r"/v[12]/(orders?|twap)(/.*)?|/trade/(place|market_buy|stop_limit)", Action.ORDER),
        ("POST", r"/v[12]/withdraws(/.*)?|/trade/.*withdrawal", Action.WITHDRAW),
    )
    refusals = frozenset({"NotAllowIP", "jwt_verification", "expired_jwt", "out_of_scope", "5300", "5302"})
    refuses_with_success = True

    def _code(self, answer: dict[str, Any]) -> str:
        return named_error(answer) or str(answer.get("status", ""))

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        if path.startswith(_VERSION_1):
            return 401, {"status": "5300", "message": message}
        return 401, {"error": {"name": "out_of_scope", "message": message}}

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        pairs = headers
        if type(headers) is not list:  # it is gone through twice
            pairs = list(headers.items()) if hasattr(headers, "items") else list(headers)
        version_2: list[object] = [bearer_claim(value, "access_key") for value in header_values(pairs, AUTHORIZATION)]
        version_1: list[object] = [*header_values(pairs, API_KEY)]
        first, second = version_2, version_1
        if version_1 and version_2 and split_target(path)[0].startswith(_VERSION_1):
            first, second = version_1, version_2
        usable = [value for value in first if isinstance(value, str) and self.accepted.fullmatch(value)]
        return usable or second

"""Bithumb: version 2 as Upbit's bearer JWT, version 1.2 with the header ``Api-Key``; one exchange serves both.

Which of the two a request is authenticated by follows from its path. Where the path does not carry that version's key the
other is looked at: a key sent to the wrong door is refused there, and the refusal is worth knowing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from daxa_core.key_shapes import ALPHANUMERIC_40, HEX_32, HEX_48

from ._actions import Action, Routes, plain_path
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
        ("GET", r"/public(/.*)?|/v2/fee(/.*)?", Action.PUBLIC),
        ("GET", r"/v1/(market|candles|trades|ticker|orderbook|notices)(/.*)?", Action.PUBLIC),
        ("GET UPGRADE", r"/websocket/v1", Action.PUBLIC),
        ("GET", r"/v[12]/(accounts|api_keys|status/wallet)", Action.READ),
        ("GET", r"/v[12]/(orders?|twap|withdraws?|deposits?)(/.*)?", Action.READ),
        ("UPGRADE", r"/websocket/v[12]/private", Action.READ),
        ("POST", r"/v2/orders/search|/v1/deposits/(krw|generate_coin_address)", Action.READ),
        ("POST", r"/info/[a-z_]+|/trade/krw_deposit", Action.READ),
        ("DELETE", r"/v[12]/(orders?|twap|withdraws)(/.*)?", Action.CANCEL),
        ("POST", r"/v2/orders/cancel|/trade/cancel", Action.CANCEL),
        ("POST", r"/trade/market_sell", Action.CLOSE),
        ("POST", r"/v[12]/(orders?|twap)(/.*)?|/trade/(place|market_buy|stop_limit)", Action.ORDER),
        ("POST", r"/v[12]/withdraws(/.*)?|/trade/.*withdrawal", Action.WITHDRAW),
    )
    typed_orders = frozenset({"/v1/orders", "/v2/orders"})
    refusals = frozenset({"NotAllowIP", "jwt_verification", "expired_jwt", "out_of_scope", "5300", "5302"})
    successes = frozenset({"", "0000"})
    refuses_with_success = True

    def _code(self, answer: dict[str, Any]) -> str:
        return named_error(answer) or str(answer.get("status", ""))

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        if path.startswith(_VERSION_1):
            return 401, {"status": "5300", "message": message}
        return 401, {"error": {"name": "out_of_scope", "message": message}}

    def answers_errors_with_success(self, path: str) -> bool:
        return (plain_path(path) or "").startswith(_VERSION_1)

    def _named(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        version_1, version_2 = header_values(headers, API_KEY), self._version_2(headers)
        if not version_1 or not version_2:
            return version_1 or version_2
        plain = plain_path(split_target(path)[0])
        if plain is None:  # the gateway may take it for a path of either
            return [*version_1, *version_2]
        first, second = (version_1, version_2) if plain.startswith(_VERSION_1) else (version_2, version_1)
        return [value for value in first if isinstance(value, str) and self.accepted.fullmatch(value)] or second

    def _anywhere(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        return [*header_values(headers, API_KEY), *self._version_2(headers)]

    def _version_2(self, headers: list[Any]) -> list[object]:
        return [bearer_claim(value, "access_key") for value in header_values(headers, AUTHORIZATION)]

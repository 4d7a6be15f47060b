"""Upbit: REST v1 and the private websocket; the key is the claim ``access_key`` of the bearer JWT."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from daxa_core.key_shapes import ALPHANUMERIC_40

from ._actions import Action, Routes
from ._exchange import Exchange
from ._reading import HeaderName, bearer_claim, header_values

AUTHORIZATION = HeaderName("authorization")


def named_error(answer: dict[str, Any]) -> str:
    """``{"error": {"name": "…"}}``."""
    error = answer.get("error")
    name = error.get("name") if isinstance(error, dict) else None
    return name if isinstance(name, str) else ""


class Upbit(Exchange):
    """``Authorization: Bearer <JWT>``, claim ``access_key``."""

    name = "upbit"
    own = re.compile(ALPHANUMERIC_40)
    headers = (AUTHORIZATION,)
    routes = Routes(
        ("GET", r"/v1/(market|candles|trades|ticker|orderbook)(/.*)?", Action.PUBLIC),
        ("GET UPGRADE", r"/websocket/v1", Action.PUBLIC),
        ("GET", r"/v1/(accounts|api_keys|status/wallet|travel_rule/vasps)", Action.READ),
        ("GET", r"/v1/(orders?|withdraws?|deposits?|pockets)(/.*)?", Action.READ),
        ("UPGRADE", r"/websocket/v1/private", Action.READ),
        (
            "POST",
            r"/v1/(orders/test|deposits/(krw|generate_coin_address)|travel_rule/deposit/(uuid|txid))",
            Action.READ,
        ),
        ("DELETE", r"/v1/(orders?|withdraws)(/.*)?", Action.CANCEL),
        ("POST", r"/v1/orders(/.*)?", Action.ORDER),
        ("POST", r"/v1/(withdraws|pockets)(/.*)?", Action.WITHDRAW),
    )
    typed_orders = frozenset({"/v1/orders"})
    refusals = frozenset(
        {
            "no_authorization_ip",
            "invalid_access_key",
            "expired_access_key",
            "jwt_verification",
            "nonce_used",
            "out_of_scope",
        }
    )

    def _code(self, answer: dict[str, Any]) -> str:
        return named_error(answer)

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        return 401, {"error": {"name": "out_of_scope", "message": message}}

    def _named(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        return [bearer_claim(value, "access_key") for value in header_values(headers, AUTHORIZATION)]

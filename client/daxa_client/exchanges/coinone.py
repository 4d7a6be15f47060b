"""Coinone: v2, v2.1 and the private websocket; the key is ``access_token`` in the header ``X-COINONE-PAYLOAD``.

The body is never read: some clients send the payload's base64 as the body, others its JSON, others something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from daxa_core.key_shapes import UUID

from ._actions import Action, Routes, parameters
from ._exchange import Exchange
from ._reading import HeaderName, decoded, header_values, json_object

PAYLOAD = HeaderName("x-coinone-payload")


class Coinone(Exchange):
    """``X-COINONE-PAYLOAD``: base64 of JSON, field ``access_token``."""

    name = "coinone"
    own = re.compile(UUID)
    headers = (PAYLOAD,)
    routes = Routes(
        ("GET", r"/public(/.*)?|/(orderbook|ticker|ticker_utc|trades)(/.*)?", Action.PUBLIC),
        ("UPGRADE", r"/v1/private", Action.READ),
        ("POST", r"(/v2(\.1)?)?/(account/.+|event/order-reward/(programs|history))", Action.READ),
        ("POST", r"(/v2(\.1)?)?/transaction/(auth_number|history|(coin|krw)/history(/.*)?)", Action.READ),
        ("POST", r"(/v2(\.1)?)?/transaction/coin/withdrawal/(limit|address(_book)?)", Action.READ),
        ("POST", r"(/v2(\.1)?)?/order/(open|active|limit|completed?)_orders(/.*)?", Action.READ),
        ("POST", r"(/v2(\.1)?)?/order/(order_info|query_order|info|detail|reward/(markets|history))", Action.READ),
        ("POST", r"(/v2(\.1)?)?/order/cancel([_/]all)?", Action.CANCEL),
        ("POST", r"(/v2(\.1)?)?/order(/.*)?", Action.ORDER),
        ("POST", r"(/v2(\.1)?)?/transaction/(btc|coin|(coin|krw)/withdrawal)", Action.WITHDRAW),
    )
    typed_orders = frozenset({"/v2.1/order"})
    refusals = frozenset({"10", "12", "27", "40"})
    successes = frozenset({"", "0", "success"})
    refuses_with_success = True

    def answers_errors_with_success(self, path: str) -> bool:
        return True

    def _code(self, answer: dict[str, Any]) -> str:
        code = answer.get("error_code", answer.get("errorCode"))  # v2.1, v2
        return str(answer.get("result", "") if code is None else code)

    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        return 200, {"result": "error", "error_code": "40", "error_msg": message}

    def _named(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        payloads = [json_object(value) for value in header_values(headers, PAYLOAD)]
        return [payload.get("access_token") for payload in payloads if payload is not None]

    def _parameters(self, headers: Any, query: str, body: bytes) -> Mapping[str, Any]:
        """The payload's, which is what is signed."""
        payloads = [decoded(value) for value in header_values(headers, PAYLOAD)]
        return parameters(payloads[0], query, "application/json") if len(payloads) == 1 else {}

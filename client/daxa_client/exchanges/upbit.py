"""Upbit: REST v1 and the private websocket; the key is the claim ``access_key`` of the bearer JWT."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._exchange import ALPHANUMERIC_40, Exchange
from ._reading import HeaderName, bearer_claim, header_values

AUTHORIZATION = HeaderName("authorization")


class Upbit(Exchange):
    """``Authorization: Bearer <JWT>``, claim ``access_key``."""

    name = "upbit"
    own = re.compile(ALPHANUMERIC_40)

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        return (bearer_claim(value, "access_key") for value in header_values(headers, AUTHORIZATION))

"""Bithumb: version 2 as Upbit's bearer JWT, version 1.2 with the header ``Api-Key``; one exchange serves both.

Which of the two a request is authenticated by follows from its path. Where the path does not carry that version's key the
other is looked at: a key sent to the wrong door is refused there, and the refusal is worth knowing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._exchange import ALPHANUMERIC_40, HEX_32, HEX_48, Exchange
from ._reading import HeaderName, bearer_claim, header_values, split_target
from .upbit import AUTHORIZATION

API_KEY = HeaderName("api-key")


class Bithumb(Exchange):
    """``Authorization: Bearer <JWT>`` with the claim ``access_key``; below ``/info`` and ``/trade`` the header ``Api-Key``."""

    name = "bithumb"
    own = re.compile(f"{ALPHANUMERIC_40}|{HEX_48}|{HEX_32}")

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        pairs = list(headers.items()) if hasattr(headers, "items") else list(headers)
        version_2: list[object] = [bearer_claim(value, "access_key") for value in header_values(pairs, AUTHORIZATION)]
        version_1: list[object] = list(header_values(pairs, API_KEY))
        first, second = version_2, version_1
        if version_1 and version_2 and split_target(path)[0].startswith(("/info/", "/trade/")):
            first, second = version_1, version_2
        usable = [value for value in first if isinstance(value, str) and self.accepted.fullmatch(value)]
        return usable or second

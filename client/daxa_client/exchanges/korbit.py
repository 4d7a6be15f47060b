"""Korbit (Digital X since September 2026): v2's header ``X-KAPI-KEY``, and the token request of v1's OAuth.

That request's body holds the secret beside the key: one field of it is decoded, and nothing of it is kept. Later calls of v1
carry an opaque token, which names no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._exchange import Exchange
from ._reading import HeaderName, as_text, form_values, header_values, split_target

KAPI_KEY = HeaderName("x-kapi-key")
TOKEN_PATH = "/v1/oauth2/access_token"  # noqa: S105 - a path
_V2 = re.compile("[A-Za-z0-9_-]{8,64}")


class Korbit(Exchange):
    """``X-KAPI-KEY``; at v1's token request the form field ``client_id``. Neither format is published."""

    name = "korbit"
    accepted = re.compile("[!-~]{1,128}")  # v1's; v2's is told apart below
    own = _V2

    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        named = [value for value in header_values(headers, KAPI_KEY) if _V2.fullmatch(value)]
        if named or split_target(path)[0] != TOKEN_PATH:
            return named
        if (as_text(method) or "").strip().upper() != "POST":
            return ()
        return form_values(body, "client_id")

"""What a request asks an exchange to do, by method and path: the table each exchange's module fills from its documentation.

Rows are tried in order and the first that fits counts; what fits none is ``UNKNOWN``. Paths are compared without regard to case,
doubled slashes or a slash at the end. One that a router and a proxy may read in two ways (percent signs, dot segments, white
space, control characters, semicolons, backslashes) fits no row: whatever an open route is spelled like, it slips nothing past.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl

MAX_PARAMETERS = 64
MAX_ROUTE_CHARACTERS = 512
UPGRADE = "UPGRADE"
"""What a table calls the method of a websocket's handshake that was accepted: 101, or CONNECT (RFC 8441)."""
SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110 section 9.2.1: such a request changes nothing
_PLAIN = re.compile(r"(?:/+[A-Za-z0-9_~:@+,=-][A-Za-z0-9._~:@+,=-]*)*/*")
_SLASHES = re.compile("//+")


class Action(Enum):
    """Kinds of requests that a verdict's scope tells apart."""

    PUBLIC = auto()  # needs no key: that it succeeded proves nothing about the key it carried
    READ = auto()  # and what changes something, but neither orders nor takes away: an address to deposit to
    ORDER = auto()
    CLOSE = auto()  # sells a holding at the market's price: ends a risk, and cannot stand in the book as a lure
    CANCEL = auto()
    WITHDRAW = auto()
    UNKNOWN = auto()  # in no table: by a safe method it reads, by any other it may be an order by another name


def plain_path(path: str) -> str | None:
    """The path in lower case, without doubled slashes and the one at the end; None for one that can be read in two ways."""
    if len(path) > MAX_ROUTE_CHARACTERS or not _PLAIN.fullmatch(path):
        return None
    return _SLASHES.sub("/", path).rstrip("/").lower() or "/"


class Routes:
    """Rows of (methods; regular expression of the whole path, in lower case; action)."""

    def __init__(self, *rows: tuple[str, str, Action]) -> None:
        self._rows = [(methods.split(), re.compile(path), action) for methods, path, action in rows]

    def action(self, method: str, path: str) -> Action:
        """What a request does; ``path`` is without query."""
        plain = plain_path(path)
        if plain is not None:
            for methods, pattern, action in self._rows:
                if method in methods and pattern.fullmatch(plain):
                    return action
        return Action.UNKNOWN


class _Ambiguous(ValueError):
    """A name that stands twice: the gateway may read the other one."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise _Ambiguous
    return dict(pairs)


def parameters(body: bytes, query: str, content_type: str = "") -> Mapping[str, Any]:
    """An order's parameters, from JSON or a form; empty where there are none, or where they can be read in two ways.

    That is where a name stands twice or in two places, where the body is of another type (the preamble of a multipart body
    may look like a form), and where JSON of no declared type has an ampersand in it: as a form it says something else.
    """
    declared = content_type.partition(";")[0].strip().lower()
    if declared not in ("", "application/json", "application/x-www-form-urlencoded"):
        return {}
    try:
        text = body.decode()
        if declared == "application/json" or (not declared and text.lstrip().startswith("{")):
            found = json.loads(text, object_pairs_hook=_once)
            if not isinstance(found, dict) or (not declared and "&" in text):
                return {}
        else:
            found = _once(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except (ValueError, RecursionError):
        return {}
    return {} if query and found else found


def sells_at_market(fields: Mapping[str, Any]) -> bool:
    """Whether these are the parameters of a market order that sells, in any of the five exchanges' words."""
    kinds = [fields[name] for name in ("ord_type", "order_type", "orderType", "type") if name in fields]
    words = [str(value).lower() for value in (fields.get("side"), *kinds)]
    return words[0] in ("ask", "sell") and len(words) > 1 and all(word == "market" for word in words[1:])

"""What a request asks an exchange to do, by method and path: the table each exchange's module fills from its documentation.

Rows are tried in order and the first that fits counts; what fits none is ``READ``. Paths are compared without regard to case,
doubled slashes or a slash at the end, so that a spelling that some router takes does not slip past.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl

MAX_PARAMETERS = 64
_SLASHES = re.compile("//+")


class Action(Enum):
    """Kinds of requests that a verdict's scope tells apart."""

    PUBLIC = auto()  # needs no key: that it succeeded proves nothing about the key it carried
    READ = auto()
    ORDER = auto()
    CLOSE = auto()  # sells a holding at the market's price: ends a risk, and cannot stand in the book as a lure
    CANCEL = auto()
    WITHDRAW = auto()


class Routes:
    """Rows of (methods, or "*" for any; regular expression of the whole path; action)."""

    def __init__(self, *rows: tuple[str, str, Action]) -> None:
        self._rows = [(set(methods.split()), re.compile(path, re.IGNORECASE), action) for methods, path, action in rows]

    def action(self, method: str, path: str) -> Action:
        """What a request does; ``path`` is without query."""
        path = _SLASHES.sub("/", path).rstrip("/") or "/"
        for methods, pattern, action in self._rows:
            if ("*" in methods or method in methods) and pattern.fullmatch(path):
                return action
        return Action.READ


class _Ambiguous(ValueError):
    """A name that stands twice: the gateway may read the other one."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise _Ambiguous
    return dict(pairs)


def parameters(body: bytes, query: str) -> Mapping[str, Any]:
    """An order's parameters, from JSON or a form; empty where there are none, where a name stands twice, or in two places."""
    try:
        text = body.decode()
        if text.lstrip().startswith("{"):
            found = json.loads(text, object_pairs_hook=_once)
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

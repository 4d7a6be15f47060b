"""How the five exchanges name the API key of a request, REST and private-websocket handshakes alike.

>>> get("korbit").extract(method="GET", path="/v2/balance", headers=[("X-KAPI-KEY", "k_0123456789")])
'k_0123456789'
>>> get("upbit").extract(method="GET", path="/v1/accounts", headers=[("Authorization", "Bearer what?")]) is None
True

An exchange configures which one it is: the shape of a key does not tell. Which name means which, and from where each key
is taken, stands in the module of each.
"""

from __future__ import annotations

from daxa_core.errors import ErrorCode, InvalidInput

from ._actions import Action
from ._exchange import Exchange
from .bithumb import Bithumb
from .coinone import Coinone
from .gopax import Gopax
from .korbit import Korbit
from .upbit import Upbit

_ALL: dict[str, Exchange] = {one.name: one for one in (Upbit(), Bithumb(), Coinone(), Korbit(), Gopax())}
NAMES = tuple(_ALL)
ALIASES = {"digitalx": "korbit"}

__all__ = ["ALIASES", "NAMES", "Action", "Exchange", "get"]


def get(name: str) -> Exchange:
    """The format of one exchange, by its name in any case. Raises InvalidInput naming ``exchange`` for any other."""
    lowered = name.strip().lower() if isinstance(name, str) else ""
    found = _ALL.get(ALIASES.get(lowered, lowered))
    if found is None:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "exchange", f"one of {', '.join((*NAMES, *ALIASES))}")
    return found

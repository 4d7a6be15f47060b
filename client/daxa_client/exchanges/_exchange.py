"""What every exchange's format can do: find the key identifier of a request, and tell whether a key could be its own.

``extract`` finds the *public* half of the credentials. It refuses, by answering None, what is not there, what has no
exchange's shape, and what is ambiguous: two headers that name two keys are never guessed between, because the gateway may
have authenticated the other one.

A key of another exchange's shape is given all the same: somebody who tries a stolen key at every door is what the registry
looks for. ``looks_like_own`` tells the two apart.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

# 40 letters and digits (Upbit, Bithumb 2), 48 or 32 hexadecimal digits (Bithumb 2 and 1.2), UUID (Coinone, Gopax)
ALPHANUMERIC_40 = "[A-Za-z0-9]{40}"
HEX_48 = "[0-9A-Fa-f]{48}"
HEX_32 = "[0-9A-Fa-f]{32}"
UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
ANY_PUBLISHED = re.compile(f"{ALPHANUMERIC_40}|{HEX_48}|{HEX_32}|{UUID}")


class Exchange(ABC):
    """One exchange's way of authenticating a request. Stateless; ``daxa_client.exchanges.get`` has one of each."""

    name: ClassVar[str]
    accepted: ClassVar[re.Pattern[str]] = ANY_PUBLISHED
    own: ClassVar[re.Pattern[str]]

    def extract(self, *, method: Any = "GET", path: Any = "/", headers: Any = (), body: Any = b"") -> str | None:
        """The key identifier that the request names, or None. Never raises, and keeps nothing of what it was given.

        ``path`` may hold the query or be a whole URL; ``headers`` are pairs of text or bytes, or a mapping; a private
        websocket's handshake is a request like any other. ``body`` is looked at where an exchange sends the key there.
        """
        try:
            found: str | None = None
            for candidate in self._candidates(method, path, headers, body):
                if not isinstance(candidate, str) or not self.accepted.fullmatch(candidate):
                    continue
                if found is not None and candidate != found:
                    return None
                found = candidate
        except Exception:  # noqa: BLE001 - it stands in front of every trade; arguments may be objects that themselves raise
            return None
        return found

    def looks_like_own(self, key: Any) -> bool:
        """Whether this exchange could have issued the key, by its shape. False means that it certainly did not."""
        return isinstance(key, str) and self.own.fullmatch(key) is not None

    @abstractmethod
    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        """What stands where the key identifier travels, in no particular shape."""

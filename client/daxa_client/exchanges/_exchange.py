"""What every exchange's format can do: find the key identifier of a request, tell whether a key could be its own, what the
request asks for and how it was answered.

``extract`` finds the *public* half of the credentials. It refuses, by answering None, what is not there, what has no
exchange's shape, and what is ambiguous: two headers that name two keys are never guessed between, because the gateway may
have authenticated the other one.

A key of another exchange's shape is given all the same: somebody who tries a stolen key at every door is what the registry
looks for. ``looks_like_own`` tells the two apart.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from daxa_core.key_shapes import PUBLISHED

from ._actions import Routes, parameters, sells_at_market
from ._reading import HeaderName

ANY_PUBLISHED = re.compile(PUBLISHED)


class Exchange(ABC):
    """One exchange's way of authenticating a request. Stateless; ``daxa_client.exchanges.get`` has one of each."""

    name: ClassVar[str]
    accepted: ClassVar[re.Pattern[str]] = ANY_PUBLISHED
    own: ClassVar[re.Pattern[str]]
    headers: ClassVar[tuple[HeaderName, ...]]  # all that ``extract`` looks at
    routes: ClassVar[Routes]
    refusals: ClassVar[frozenset[str]]  # the codes with which a gateway refuses a key
    keys_in_bodies: ClassVar[bool] = False  # whether ``body_names_key`` is ever true
    refuses_with_success: ClassVar[bool] = False  # whether such an answer may have a status below 400

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

    def closes(self, headers: Any, query: str, body: bytes) -> bool:
        """Whether a request whose action is ``ORDER`` is one that sells at market: then it counts as ``CLOSE``.

        ``body`` is the whole of it, or nothing. Parameters that can be read in two ways are no such order.
        """
        return sells_at_market(parameters(body, query))

    def body_names_key(self, method: str, path: str) -> bool:
        """Whether ``extract`` needs the body of this request."""
        return False

    def refused(self, status: int, body: bytes) -> bool:
        """Whether an answer refuses the key: by its status, or by one of the exchange's own codes in its body."""
        if status in (401, 403):
            return True
        if status >= 500 or not body.lstrip().startswith(b"{") or (status < 400 and not self.refuses_with_success):
            return False
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return False
        return self._code(answer) in self.refusals

    def blocked(self, path: str, message: str) -> tuple[int, bytes]:
        """Status and JSON with which this exchange says that a key may not do this."""
        status, answer = self._blocked(path, message)
        return status, json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()

    @abstractmethod
    def _code(self, answer: dict[str, Any]) -> str:
        """The exchange's code in an error's body; empty where there is none."""

    @abstractmethod
    def _blocked(self, path: str, message: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of :meth:`blocked`."""

    @abstractmethod
    def _candidates(self, method: Any, path: Any, headers: Any, body: Any) -> Iterable[object]:
        """What stands where the key identifier travels, in no particular shape."""

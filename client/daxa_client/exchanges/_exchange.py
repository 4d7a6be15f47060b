"""What every exchange's format can do: find the key identifier of a request, tell whether a key could be its own, what the
request asks for and how it was answered.

``extract`` finds the *public* half of the credentials. It refuses, by answering None, what is not there, what cannot be a key
of any exchange, and what is ambiguous: two headers that name two keys are never guessed between, because the gateway may have
authenticated the other one. ``candidates`` gives both, for who blocks keys and must not be fooled by a second one.

A key of another exchange's shape is given all the same: somebody who tries a stolen key at every door is what the registry
looks for. ``looks_like_own`` tells the two apart.
"""

from __future__ import annotations

import codecs
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from daxa_core.key_shapes import UNPUBLISHED

from ._actions import Routes, parameters, plain_path, sells_at_market
from ._reading import HeaderName, header_list, header_values

ANY_SHAPE = re.compile(UNPUBLISHED)  # the published ones too: Korbit's unpublished one has room for all of them
CONTENT_TYPE = HeaderName("content-type")


class Exchange(ABC):
    """One exchange's way of authenticating a request. Stateless; ``daxa_client.exchanges.get`` has one of each."""

    name: ClassVar[str]
    accepted: ClassVar[re.Pattern[str]] = ANY_SHAPE
    own: ClassVar[re.Pattern[str]]
    headers: ClassVar[tuple[HeaderName, ...]]  # all that ``extract`` looks at
    routes: ClassVar[Routes]
    typed_orders: ClassVar[frozenset[str]]  # the routes at which the parameters say whether an order is one at market
    refusals: ClassVar[frozenset[str]]  # the codes with which a gateway refuses a key
    successes: ClassVar[frozenset[str]] = frozenset()  # those of no error, where errors come with a status of success
    keys_in_bodies: ClassVar[bool] = False  # whether ``body_names_key`` is ever true
    refuses_with_success: ClassVar[bool] = False  # whether such an answer may have a status below 400

    def extract(self, *, method: Any = "GET", path: Any = "/", headers: Any = (), body: Any = b"") -> str | None:
        """The key identifier that the request names, or None. Never raises, and keeps nothing of what it was given.

        ``path`` may hold the query or be a whole URL; ``headers`` are pairs of text or bytes, or a mapping; a private
        websocket's handshake is a request like any other. ``body`` is looked at where an exchange sends the key there.
        """
        try:
            found: str | None = None
            for candidate in self._named(method, path, header_list(headers), body):
                if not isinstance(candidate, str) or not self.accepted.fullmatch(candidate):
                    continue
                if found is not None and candidate != found:
                    return None
                found = candidate
        except Exception:  # noqa: BLE001 - it stands in front of every trade; arguments may be objects that themselves raise
            return None
        return found

    def candidates(self, *, method: Any = "GET", path: Any = "/", headers: Any = (), body: Any = b"") -> list[str]:
        """Every key identifier that stands where any request's may stand, each once; else as :meth:`extract`."""
        try:
            named = self._anywhere(method, path, header_list(headers), body)
            return list(dict.fromkeys(one for one in named if isinstance(one, str) and self.accepted.fullmatch(one)))
        except Exception:  # noqa: BLE001 - see above
            return []

    def looks_like_own(self, key: Any) -> bool:
        """Whether this exchange could have issued the key, by its shape. False means that it certainly did not."""
        return isinstance(key, str) and self.own.fullmatch(key) is not None

    def closes(self, path: str, headers: Any, query: str, body: bytes) -> bool:
        """Whether a request whose action is ``ORDER`` is one that sells at market: then it counts as ``CLOSE``.

        ``body`` is the whole of it, or nothing. Parameters that can be read in two ways are no such order, nor are any at a
        route that takes orders of another kind, whatever they say.
        """
        return self.takes_typed_orders(path) and sells_at_market(self._parameters(headers, query, body))

    def takes_typed_orders(self, path: str) -> bool:
        """Whether ``closes`` can be true at this path."""
        return plain_path(path) in self.typed_orders

    def answers_errors_with_success(self, path: str) -> bool:
        """Whether a refusal, or any other error, comes with a status of success at this path."""
        return False

    def shows_success(self, path: str, body: bytes) -> bool:
        """Whether an answer with a status of success is one, as far as the first bytes of its body tell.

        Where errors have such a status too, a body that is compressed or was not seen tells nothing.
        """
        if not self.answers_errors_with_success(path):
            return True
        try:
            text, _ = codecs.utf_8_decode(body, "strict", False)
        except UnicodeDecodeError:
            return False
        code = self._read_code(body)
        return bool(text) and (code is None or code in self.successes)

    def body_names_key(self, method: str, path: str) -> bool:
        """Whether ``extract`` needs the body of this request."""
        return False

    def refused(self, status: int, body: bytes) -> bool:
        """Whether an answer refuses the key: by its status, or by one of the exchange's own codes in its body."""
        if status in (401, 403):
            return True
        if status >= 500 or (status < 400 and not self.refuses_with_success):
            return False
        return self._read_code(body) in self.refusals

    def _read_code(self, body: bytes) -> str | None:
        """The code in an answer; None where it is not the whole of a JSON object, as what is longer than an error is not."""
        if not body.lstrip().startswith(b"{"):
            return None
        try:
            return self._code(json.loads(body))
        except (ValueError, RecursionError):
            return None

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
    def _named(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        """What stands where this request's key identifier travels, in no particular shape."""

    def _anywhere(self, method: Any, path: Any, headers: list[Any], body: Any) -> Iterable[object]:
        """What stands where any request's travels."""
        return self._named(method, path, headers, body)

    def _parameters(self, headers: Any, query: str, body: bytes) -> Mapping[str, Any]:
        types = header_values(headers, CONTENT_TYPE)
        return parameters(body, query, *types) if len(types) <= 1 else {}

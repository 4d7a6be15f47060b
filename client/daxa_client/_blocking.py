"""What a verdict's scope blocks at an exchange, by the exchange's own routes, and what the blocked request is answered.

A key that is cut in the middle of a trade leaves a position without its stop. So below ``EVERYTHING`` only new orders and
withdrawals are blocked: reading, cancelling, and selling a holding at market stay open. The five are spot exchanges and know no
reduce-only order; a market sale is what closes a position there, and it cannot stand in the book as a lure.

Where a verdict cannot be had, holds no longer, or anything goes wrong, nothing is blocked: a fault of ours stops nobody's trade.
What cannot be told apart counts as what is blocked: a request that names two keys as the one that may do less, a route that is in
no table as an order unless its method is safe, one that asks to be taken for another method as that one too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Act, Scope, Verdict

from . import texts
from ._complaints import Complaints
from .exchanges import Action, get
from .exchanges._actions import SAFE
from .exchanges._reading import HeaderName, form_values, header_values

BLOCKED = "daxa.blocked"
"""Where the ASGI scope or the WSGI environ says that a request was blocked: it is no refusal of the exchange's."""
KEY = "daxa.key"
"""Where it says which key the request named, so that it is read once."""
REMEMBERED = 10_000
_T = TypeVar("_T")
OVERRIDES = tuple(map(HeaderName, ("x-http-method-override", "x-http-method", "x-method-override")))
"""Headers with which some frameworks let a request be taken for one of another method."""
_OPEN = {
    Scope.NEW_ORDERS_AND_WITHDRAWALS: (Action.PUBLIC, Action.READ, Action.CLOSE, Action.CANCEL),
    Scope.EVERYTHING: (Action.PUBLIC,),
}
_ACTS = {Scope.NEW_ORDERS_AND_WITHDRAWALS: Act.MONITORED, Scope.EVERYTHING: Act.REVOKED}


class Judges(Protocol):
    """What enforcement needs of :class:`daxa_client.Gateway`."""

    def verdict(self, key: str) -> Verdict | None:
        """The verdict in memory."""

    def report(self, verdict: Verdict, act: Act) -> bool:
        """Queues what was done about a verdict, for the registry."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a blocked request is answered: a status, and JSON."""

    status: int
    body: bytes


class Blocking:
    """Decides request by request, and reports the first time that something was blocked under a verdict."""

    def __init__(
        self, gateway: Judges, exchange: str, language: texts.Language = "ko", prefix: str = "",
        key: Callable[[Any], str | None] | None = None,
    ) -> None:  # fmt: skip
        """Raises InvalidInput naming ``exchange``, ConfigurationError naming ``language``, ``prefix`` or ``key``."""
        self.exchange = get(exchange)
        for name, value, wanted in (("language", language, texts.LANGUAGES), ("prefix", prefix, None)):
            if not isinstance(value, str) or (wanted and value not in wanted):
                expected = f"one of {', '.join(wanted)}" if wanted else "a path"
                raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, expected)
        if key is not None and not callable(key):
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "key", "something to call")
        self._gateway, self._language, self._prefix, self._key = gateway, language, prefix.rstrip("/"), key
        self._reported: set[tuple[bytes, int, Act]] = set()
        self._complaints = Complaints()

    def local_path(self, path: str) -> str:
        """The path as the exchange's documentation has it."""
        return path[len(self._prefix) :] if self._prefix and path.startswith(self._prefix) else path

    def authenticated(self, context: Any) -> str | None:
        """The key that the app says it authenticated. Never raises: where the callback fails, the request is read instead."""
        try:
            return self._key(context) if self._key is not None else None
        except Exception as error:  # noqa: BLE001 - see above
            self.trouble(error)
            return None

    def restricting(self, keys: Iterable[str]) -> Verdict | None:
        """Of the verdicts on these keys the one whose scope blocks most; None where none blocks anything. Never raises."""
        found = []
        for key in keys:
            try:
                verdict = self._gateway.verdict(key)
                if verdict is not None and verdict.scope in _OPEN:
                    found.append(verdict)
            except Exception as error:  # noqa: BLE001 - see above
                self.trouble(error)
        return max(found, key=lambda verdict: verdict.scope, default=None)

    def needs_body(self, verdict: Verdict, method: str, path: str) -> bool:
        """Whether the body decides: an order is let through where it closes."""
        return (
            verdict.scope is Scope.NEW_ORDERS_AND_WITHDRAWALS
            and self._action(method, self.local_path(path)) is Action.ORDER
            and self.exchange.takes_typed_orders(self.local_path(path))
        )

    def answer(self, verdict: Verdict, request: tuple[str, str, str], headers: Any, body: bytes) -> Answer | None:
        """What the request is answered instead of being let through, or None. ``request`` is method, path and query."""
        method, path, query = request[0], self.local_path(request[1]), request[2]
        asked = [value for name in OVERRIDES for value in header_values(headers, name)]
        for one in (method, *asked, *form_values(query, "_method")):
            action = self._action(one, path)
            if action is Action.ORDER and self.exchange.closes(path, headers, query, body):
                action = Action.CLOSE
            if action not in _OPEN[verdict.scope]:
                break
        else:
            return None
        name = "BLOCKED_ALL" if verdict.scope is Scope.EVERYTHING else "BLOCKED_NEW"
        answer = Answer(*self.exchange.blocked(path, texts.message(name, self._language)))
        self._report(verdict)
        return answer

    def _action(self, method: str, path: str) -> Action:
        """As the table has it; of what is in no table what is safe reads."""
        method = method.strip().upper()
        action = self.exchange.routes.action("GET" if method == "HEAD" else method, path)
        return Action.READ if action is Action.UNKNOWN and method in SAFE else action

    def _report(self, verdict: Verdict) -> None:
        act = _ACTS[verdict.scope]
        done = (verdict.key, verdict.sequence, act)
        if done in self._reported:
            return
        if len(self._reported) >= REMEMBERED:
            self._reported.clear()
        if self._gateway.report(verdict, act):
            self._reported.add(done)

    def trouble(self, error: Exception) -> None:
        """Says once an hour that a request went through unchecked: the kind of error, never its text."""
        self._complaints.say("enforcement", f"a request could not be checked and went through: {type(error).__name__}")

    def guarded(self, decide: Callable[[], _T]) -> _T | None:
        """What ``decide`` says; None where it fails."""
        try:
            return decide()
        except Exception as error:  # noqa: BLE001 - see above
            self.trouble(error)
            return None

"""What the ASGI and the WSGI middleware do alike: which key a request named, what became of it, and from where it came.

It stands in front of somebody else's trades. So everything here is bounded, nothing waits, and nothing raises into the app: what
goes wrong is counted, told in one line an hour, and costs a sighting at most. What is refused at the start is a wrong setting.

Whether a key was *used* is the app's to know: reading a key out of a request proves nothing, and whoever sends a stranger's key
to a page that asks for none must not be able to blame that stranger. With the ``account`` callback a key was used where the app
named the account behind the request; without it, where the request succeeded on a route of which this client knows that it needs
a key, and no refusal can have come with that success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypedDict

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Device, Manner

from ._address import TrustedProxies
from ._blocking import BLOCKED, KEY
from ._complaints import Complaints
from .exchanges import Action, get
from .exchanges._actions import UPGRADE

MAX_ANSWER = 2_048  # refusals are short: what is longer is data
REMEMBERED = 10_000
_USED = Manner.USED
_PROVES_NOTHING = (Action.PUBLIC, Action.UNKNOWN)
_STACK_HEADERS = frozenset(
    ("host", "user-agent", "accept", "accept-encoding", "accept-language", "connection", "cache-control", "origin")
)


class Observes(Protocol):
    """What a middleware needs of :class:`daxa_client.Gateway`."""

    def observe(
        self,
        key: str,
        address: str,
        *,
        manner: Manner = ...,
        device: Device | None = ...,
        account: str | None = ...,
        holder: bytes | None = ...,
        when: float | None = ...,
    ) -> bool:
        """A key was seen from an address. Where it has ``unplaced()`` too, that is called for a key from nobody knows where."""


class Settings(TypedDict, total=False):
    """Keyword arguments of both middlewares.

    ``trusted_proxies`` are networks (``"10.0.0.0/8"``; ``"unix"`` for a Unix socket) whose ``forwarded_header`` is believed:
    ``x-forwarded-for``, ``forwarded``, or a header of one address. Without any, the peer is the customer, as it is behind a
    server that speaks the PROXY protocol or that resolves proxies itself.

    ``key``, ``account``, ``holder`` and ``outcome`` are called with the ASGI scope or the WSGI environ once the app has answered,
    and must be quick: the key that the app authenticated, which spares reading it out of the request a second time; that
    customer's number, None where the app authenticated nobody; the person's CI as bytes; and, with status and the first bytes
    of the body, how it went, where the exchange's own codes do not tell.

    ``prefix`` is cut off paths before they are compared with the exchange's. ``ja4_header`` and ``ja3_header`` name headers
    that a trusted proxy writes. ``header_order`` adds the order of the client stack's headers to the device, ASGI only. All
    members must build devices of the same parts: a device with one part more matches nobody's.
    """

    trusted_proxies: Iterable[str]
    forwarded_header: str
    key: Callable[[Any], str | None] | None
    account: Callable[[Any], str | None] | None
    holder: Callable[[Any], bytes | None] | None
    outcome: Callable[[Any, int, bytes], Manner | None] | None
    prefix: str
    ja4_header: str | None
    ja3_header: str | None
    header_order: bool


def _setting(settings: Settings, name: str, kind: type, default: Any) -> Any:
    value = settings.get(name, default)
    if not (value is None and default is None) and not isinstance(value, kind):
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, f"of type {kind.__name__}")
    return value


def readable(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is that, else Latin-1, so that one client is one device at every member."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class RequestObserver:
    """One exchange's requests, as one middleware sees them. Thread-safe as far as what it holds is only remembered."""

    def __init__(
        self,
        gateway: Observes,
        exchange: str,
        settings: Settings,
        request_of: Callable[[Any], tuple[str, str]],
        key_of: Callable[[Any, bytes], str | None],
        client_of: Callable[[Any], tuple[str | None, Device | None]],
    ) -> None:
        """The last three read a scope or an environ: method and path; the key, given the body; what :meth:`client` says.

        Raises InvalidInput naming ``exchange``, ConfigurationError naming a setting."""
        unknown = set(settings) - Settings.__annotations__.keys()
        if unknown:
            raise ConfigurationError(
                ErrorCode.INVALID_CONFIGURATION, "settings", f"of {sorted(Settings.__annotations__)}"
            )
        self.exchange = get(exchange)
        header = _setting(settings, "forwarded_header", str, "x-forwarded-for")
        self.proxies = TrustedProxies(settings.get("trusted_proxies", ()), header)
        self.prefix = _setting(settings, "prefix", str, "").rstrip("/")
        self.header_order = _setting(settings, "header_order", bool, False)
        self.ja4_header = (_setting(settings, "ja4_header", str, None) or "").lower()
        self.ja3_header = (_setting(settings, "ja3_header", str, None) or "").lower()
        self._request_of, self._key_of, self._client_of = request_of, key_of, client_of
        self._looks_closer = self.exchange.refuses_with_success
        self._key, self._account = settings.get("key"), settings.get("account")
        self._holder, self._outcome = settings.get("holder"), settings.get("outcome")
        self._by_account = None if self._outcome is not None or self._looks_closer else self._account
        self.success = 400 if self._outcome is None and not self._looks_closer else 0
        """Any status below it tells how it went, without the body."""
        for name in ("key", "account", "holder", "outcome"):
            if settings.get(name) is not None and not callable(settings.get(name)):
                raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, "something to call")
        self.complaints = Complaints()
        self.troubles = 0
        self._gateway = gateway
        self._unplaced: Callable[[], object] = getattr(gateway, "unplaced", lambda: None)
        self.clients: dict[tuple[Any, ...], tuple[str | None, Device | None]] = {}
        """What :meth:`client` said of the same parts before: for who has them at hand, and asks again for what is not here."""

    def trouble(self, error: Exception) -> None:
        """Counts what went wrong in here or in a callback, and says it once an hour: the kind, never the text."""
        self.troubles += 1
        self.complaints.say(
            "middleware",
            f"a request could not be observed: {type(error).__name__} in the middleware or a callback of it",
        )

    def local_path(self, path: str) -> str:
        """The path as the exchange's documentation has it."""
        return path[len(self.prefix) :] if self.prefix and path.startswith(self.prefix) else path

    def decided_by(self, status: int) -> bool:
        """Whether the status alone tells how it went, without the body."""
        return status < self.success or (self._outcome is None and (status in (401, 403) or status >= 500))

    def answered(self, context: Any, status: int, answer: bytes = b"", form: bytes = b"") -> None:
        """The app has answered: observes the key if the answer says anything about one. Never raises.

        ``answer`` are its body's first bytes, ``form`` is the request's body where it may name the key. What the request itself
        says is read now and not before: most of it is needed only where the answer counts.
        """
        try:
            manner = _USED
            if status < 400 and self._by_account is not None and BLOCKED not in context:  # what nearly all are
                account = self._by_account(context)
                if account is None:
                    return
            else:
                told, account = self._manner(context, status, answer)
                if told is None:
                    return
                manner = told
            used = manner is _USED
            key = self._key(context) if used and self._key is not None else None
            if key is None:
                key = context.get(KEY) or self._key_of(context, form)
                if key is None:
                    return
            address, device = self._client_of(context)
            if address is None:
                self._unplaced()
                return
            holder = self._holder(context) if used and self._holder is not None else None
            self._gateway.observe(key, address, manner=manner, device=device, account=account, holder=holder)
        except Exception as error:  # noqa: BLE001 - callbacks are the exchange's own; its trades must not fail on them
            self.trouble(error)

    def _manner(self, context: Any, status: int, answer: bytes) -> tuple[Manner | None, str | None]:
        if BLOCKED in context:
            # Refused by a verdict, not by the exchange: a use where the app had authenticated it before, else nothing.
            account = self._account(context) if self._account is not None else None
            return (None, None) if account is None else (Manner.USED, account)
        if self._outcome is not None:
            manner = self._outcome(context, status, answer)
            named = self._account is not None and manner is Manner.USED
            return manner, self._account(context) if named and self._account is not None else None
        if (status >= 400 or self._looks_closer) and self.exchange.refused(status, answer):
            return Manner.REJECTED, None
        if self._account is not None:
            account = self._account(context) if status < 500 else None
            return (None, None) if account is None else (Manner.USED, account)
        return Manner.USED if self._proves_use(status, *self._request_of(context), answer) else None, None

    def _proves_use(self, status: int, method: str, path: str, answer: bytes) -> bool:
        """Whether how a request went says that its key was authenticated."""
        method = UPGRADE if status == 101 or method == "CONNECT" else method
        known = self.exchange.routes.action(method, self.local_path(path)) not in _PROVES_NOTHING
        return known and self.succeeded(status, path, answer)

    def succeeded(self, status: int, path: str, answer: bytes = b"") -> bool:
        """Whether it was no refusal, as far as the answer's first bytes tell. A redirection is no success."""
        if status == 101:  # a handshake that is refused is not answered so
            return True
        return 200 <= status < 300 and self.exchange.shows_success(self.local_path(path), answer)

    def client(
        self, peer: str | None, forwarded: bytes | None, user_agent: bytes | None, *more: Any
    ) -> tuple[str | None, Device | None]:
        """Address and client stack, the same objects for the same parts, which come again and again.

        ``forwarded`` are the lines of the proxies' header, a comma between them (RFC 9110 section 5.3); ``more`` are JA4, JA3
        and the names of the headers in order.
        """
        parts = (peer, forwarded, user_agent, *more)
        found = self.clients.get(parts)
        if found is None:
            address = self.proxies.client(peer, [] if forwarded is None else [forwarded.decode("latin-1")])
            found = address, device_of(user_agent, *(more if self.proxies.trusts(peer) else (None, None, *more[2:])))
            if len(self.clients) >= REMEMBERED:
                self.clients.clear()
            if len(repr(parts)) <= MAX_ANSWER:  # what is longer comes from nobody who comes often
                self.clients[parts] = found
        return found


def device_of(
    user_agent: bytes | None, ja4: bytes | None = None, ja3: bytes | None = None, order: tuple[bytes, ...] = ()
) -> Device | None:
    """The client's stack; None where nothing of it is known."""
    headers: list[tuple[str, str]] = []
    if ja3:
        headers.append(("ja3", readable(ja3)))
    if order:
        names = [name for name in (readable(one).lower() for one in order) if name in _STACK_HEADERS]
        headers.append(("header-order", ",".join(names)))
    agent, tls = readable(user_agent) if user_agent else None, readable(ja4) if ja4 else None
    return Device(agent, tls, tuple(headers)) if agent or tls or headers else None

"""Sightings out of other people's records of requests: lines of JSON, entries of Envoy's access log.

A line is one object. Either it names the key itself (``key``), or it describes the request and the key is where the exchange's
format has it: ``method``, ``path`` with its query, ``headers``, ``status``. Beside that: ``address`` (the peer), ``forwarded``
(the forwarded header, believed from trusted proxies alone), ``time`` in seconds since the epoch, ``user_agent``, ``ja4``,
``ja3``, ``account``, ``holder`` (hexadecimal), ``manner``. Numbers may be texts; what is empty or ``-`` is absent, as proxies
write it. A value that is no UTF-8 is read as Latin-1.

    >>> class Printer:
    ...     def observe(self, key, address, **more): print(key, address, more["manner"].name)
    >>> log = RequestLog(Printer(), "korbit")
    >>> log.line(b'{"headers": {"x-kapi-key": "k_live_0123456789"}, "status": "401", "address": "8.8.8.8"}')
    k_live_0123456789 8.8.8.8 REJECTED
    True
    >>> log.line(b'{"key": "any", "address": "8.8.8.8"}')
    any 8.8.8.8 USED
    True
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from daxa_api.v1 import envoy_access_log_pb2 as envoy
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import Device, Manner

from ._middleware import Observes, RequestObserver, device_of, readable

MAX_LINE_BYTES = 64 << 10
ACCOUNT_HEADER = "x-daxa-account"
_FIELDS = frozenset(
    ("key", "address", "manner", "forwarded", "method", "path", "headers", "status", "time", "user_agent", "ja4", "ja3",
     "account", "holder")
)  # fmt: skip


class _At:
    """A gateway, seen from one moment and one account of a log."""

    def __init__(self, gateway: Observes) -> None:
        self.gateway = gateway
        self.when: float | None = None
        self.account: str | None = None
        self.holder: bytes | None = None
        self.taken = True
        self.unplaced: Callable[[], object] = getattr(gateway, "unplaced", lambda: None)

    def observe(self, key: str, address: str, **more: Any) -> bool:
        used = more.get("manner") is Manner.USED
        extra = {"account": self.account, "holder": self.holder} if used else {}
        self.taken = self.gateway.observe(key, address, **{**more, **extra, "when": self.when}) is not False
        return self.taken


class RequestLog:
    """Reads records of one exchange's requests. One thread at a time."""

    def __init__(
        self, gateway: Observes, exchange: str, trusted_proxies: Iterable[str] = (), forwarded_header: str = "x-forwarded-for",
        prefix: str = "", ja4_header: str = "",
    ) -> None:  # fmt: skip
        """``ja4_header`` names a request header in which the proxy itself has written the JA4.

        Raises InvalidInput naming ``exchange``, ConfigurationError naming another setting."""
        self._gateway = _At(gateway)
        self._ja4_header = ja4_header.lower()
        settings: Any = {"trusted_proxies": trusted_proxies, "forwarded_header": forwarded_header, "prefix": prefix}
        self._by_status = RequestObserver(self._gateway, exchange, settings, _asked, _key, _client)
        named: Any = {**settings, "account": lambda context: context.get("account")}
        self._by_account = RequestObserver(self._gateway, exchange, named, _asked, _key, _client)

    def line(self, line: bytes) -> bool:
        """Observes what a line says; whether it was taken, or said nothing of a key. Raises InvalidInput naming the field."""
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInput(ErrorCode.INVALID_LENGTH, "line", f"at most {MAX_LINE_BYTES} bytes")
        try:
            record = _decoded(line)
        except (ValueError, RecursionError):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "line", "a JSON object in UTF-8") from None
        if not isinstance(record, dict):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "line", "a JSON object in UTF-8")
        return self.record(record)

    def record(self, record: dict[str, Any]) -> bool:
        """As :meth:`line`, of the object itself."""
        unknown = record.keys() - _FIELDS
        if unknown:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "line", f"the fields {', '.join(sorted(_FIELDS))}")
        status = _whole(record, "status", 100, 599)
        headers = _headers(record)
        holder = _text(record, "holder")
        try:
            held = bytes.fromhex(holder) if holder else None
        except ValueError:
            raise InvalidInput(ErrorCode.INVALID_HOLDER, "holder", "hexadecimal") from None
        key = _text(record, "key")
        if key is not None:
            return self._named(key, record, status, held)
        if _text(record, "manner") is not None:  # of a request, its status says it
            raise InvalidInput(ErrorCode.UNKNOWN_MANNER, "manner", "one beside a key alone")
        agent = _text(record, "user_agent") or headers.get("user-agent")
        return self._request(
            _text(record, "method") or "GET",
            _text(record, "path") or "/",
            headers,
            status,
            (_text(record, "address"), _text(record, "forwarded")),
            (agent, _text(record, "ja4"), _text(record, "ja3")),
            _text(record, "account"),
            held,
            _time(record),
        )

    def envoy(self, entry: envoy.EnvoyHTTPAccessLogEntry) -> bool:
        """Observes what an entry of Envoy's access log says; as :meth:`line`. Raises nothing."""
        common, request, response = entry.common_properties, entry.request, entry.response
        if common.intermediate_log_entry:
            return True
        headers = {name.lower(): value for name, value in request.request_headers.items()}
        started = common.start_time
        return self._request(
            envoy.EnvoyRequestMethod.Name(request.request_method) if request.request_method in range(1, 10) else "GET",
            request.original_path or request.path or "/",
            headers,
            response.response_code.value if response.HasField("response_code") else None,
            (
                common.downstream_remote_address.socket_address.address or None,
                headers.get(self._by_status.proxies.header),
            ),
            (
                request.user_agent or None,
                headers.get(self._ja4_header) or None,
                common.tls_properties.ja3_fingerprint or None,
            ),
            response.response_headers.get(ACCOUNT_HEADER) or None,
            None,
            started.seconds + started.nanos / 1e9 if started.seconds else None,
        )

    def _named(self, key: str, record: dict[str, Any], status: int | None, holder: bytes | None) -> bool:
        """The gateway says itself which key it was."""
        address = self._by_status.proxies.client(_text(record, "address"), _listed(_text(record, "forwarded")))
        if address is None:
            raise InvalidInput(ErrorCode.INVALID_ADDRESS, "address", "an IPv4 or IPv6 address")
        told = _text(record, "manner")
        if told is not None and told not in Manner.__members__:
            raise InvalidInput(ErrorCode.UNKNOWN_MANNER, "manner", "USED, REJECTED or DECLARED")
        account, path = _text(record, "account"), (_text(record, "path") or "/").partition("?")[0]
        if told:
            manner = Manner[told]
        elif status in (401, 403):
            manner = Manner.REJECTED
        elif status is None or account is not None or self._by_status.succeeded(status, path):
            manner = Manner.USED
        else:
            return True
        parts = [_text(record, name) for name in ("user_agent", "ja4", "ja3")]
        return (
            self._gateway.gateway.observe(
                key, address, manner=manner, device=self._device(parts), account=account, holder=holder,
                when=_time(record),
            )
            is not False
        )  # fmt: skip

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        status: int | None,
        origin: tuple[str | None, str | None],
        stack: tuple[str | None, str | None, str | None],
        account: str | None,
        holder: bytes | None,
        when: float | None,
    ) -> bool:
        key = self._by_status.exchange.extract(method=method, path=path, headers=headers)
        if key is None or status is None:
            return True
        at = self._gateway
        at.when, at.account, at.holder, at.taken = when, account, holder, True
        # Where the record names the account, that proves the use; where it does not, the status has to.
        observer = self._by_account if account is not None else self._by_status
        client = observer.proxies.client(origin[0], _listed(origin[1])), self._device(stack)
        request = method, path.partition("?")[0]
        observer.answered({"account": account, "request": request, "named": key, "client": client}, status)
        return at.taken

    def _device(self, parts: Iterable[str | None]) -> Device | None:
        # JA4 and JA3 are the log writer's own: no header of the customer's stands behind them.
        agent, ja4, ja3 = (None if part is None else part.encode("utf-8", "surrogatepass") for part in parts)
        return device_of(agent, ja4, ja3)


def _decoded(line: bytes) -> Any:
    """The JSON of a line, in UTF-8 but for values of which somebody else chose the bytes. Raises ValueError, RecursionError."""
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        text = line.decode("utf-8", "surrogateescape")
        return json.loads(
            text, object_pairs_hook=lambda pairs: {_mended(name): _mended(value) for name, value in pairs}
        )


def _mended(value: Any) -> Any:
    """A text with bytes in it that are no UTF-8 is Latin-1, as in a middleware: proxies write what a customer sent."""
    try:
        return readable(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else value
    except UnicodeEncodeError:  # half a character that was written as an escape
        return value


def _asked(context: dict[str, Any]) -> tuple[str, str]:
    request: tuple[str, str] = context["request"]
    return request


def _key(context: dict[str, Any], body: bytes) -> str | None:
    key: str | None = context["named"]
    return key


def _client(context: dict[str, Any]) -> tuple[str | None, Device | None]:
    client: tuple[str | None, Device | None] = context["client"]
    return client


def _listed(forwarded: str | None) -> list[str]:
    return [] if forwarded is None else [forwarded]


def _text(record: dict[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or value in ("", "-"):
        return None
    if not isinstance(value, str):
        raise InvalidInput(ErrorCode.INVALID_VALUE, name, "a text")
    return value


def _number(record: dict[str, Any], name: str) -> float | None:
    value = record.get(name)
    if value is None or value in ("", "-"):
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise InvalidInput(ErrorCode.INVALID_VALUE, name, "a number") from None


def _whole(record: dict[str, Any], name: str, low: int, high: int) -> int | None:
    value = _number(record, name)
    if value is None:
        return None
    if not low <= value <= high:
        raise InvalidInput(ErrorCode.INVALID_VALUE, name, f"a whole number from {low} to {high}")
    return int(value)


def _time(record: dict[str, Any]) -> float | None:
    value = _number(record, "time")
    if value is not None and not 0 < value < 2**32:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "time", "seconds since 1970")
    return value


def _headers(record: dict[str, Any]) -> dict[str, str]:
    value = record.get("headers")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "headers", "an object of texts")
    return {name.lower(): text for name, text in value.items() if text and text != "-"}

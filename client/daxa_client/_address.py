"""Where a request came from: the peer, or what trusted proxies say of it, and never what anybody else says.

The header that names the address is one, the one that the gateway's own proxies write: if two were read, whoever sends the
one that the proxies leave alone could choose an address. It is read from its right end, where those proxies append. Every
entry that a trusted proxy itself stands for is passed over; the first other one is the customer, and what stands to the left
of it was sent by the customer and means nothing. ``Forwarded`` (RFC 7239) is read from its right end too, quotes and all: a comma
in a host that a proxy quoted parts nothing, and a quote that the customer opened swallows nothing of what a proxy appended.

>>> proxies = TrustedProxies(["10.0.0.0/8", "unix"])
>>> proxies.client("203.0.113.7", ["198.51.100.1"])
'203.0.113.7'
>>> proxies.client("10.0.0.2", ["192.0.2.1, 198.51.100.1, 10.1.2.3"])
'198.51.100.1'
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from daxa_core.errors import ConfigurationError, ErrorCode

UNIX = "unix"
FORWARDED = "forwarded"
MAX_CHARACTERS = 4_096
MAX_HOPS = 32
_UNIX_PEER = f"{UNIX}:"  # nginx's $remote_addr of a Unix socket
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: object, field: str) -> _Network:
    try:
        return ipaddress.ip_network(text) if isinstance(text, str) else ipaddress.ip_network("")
    except ValueError:
        expected = f'a network like 10.0.0.0/8 (host bits zero), or "{UNIX}" for a Unix socket'
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, field, expected) from None


def _unmapped(address: _Address) -> _Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _parsed(text: str) -> _Address | None:
    """An address with or without port, brackets and quotes; None for names, ``unknown`` and obfuscated identifiers."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None


_MARK = re.compile(r'\\+|[",]')
_PARAMETER = re.compile(
    r'\s*+(?:([^\s"(),/:;<=>?@\[\\\]{}]++)\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^\s",;=\\]*+)\s*+)?(?:;|\Z)', re.DOTALL
)


def _elements(text: str) -> Iterator[str]:
    """The elements of ``Forwarded`` from the right, cut at commas that stand in no quotes.

    Within quotes a quote stands behind a backslash, and one that opens stands behind ``=``: so what a proxy appended is cut in
    the same way whatever was sent before it. The left-most element is empty where its quotes do not match.
    """
    marks = list(_MARK.finditer(text))
    end, quoted = len(text), False
    for place in range(len(marks) - 1, -1, -1):
        mark = marks[place]
        if mark[0] == '"':
            before = marks[place - 1] if place else None
            escaped = (
                before is not None and before[0][0] == "\\" and before.end() == mark.start() and len(before[0]) % 2
            )
            quoted = quoted != (not escaped)
        elif mark[0] == "," and not quoted:
            yield text[mark.end() : end]
            end = mark.start()
    yield "" if quoted else text[:end]


def _forwarded_for(element: str) -> str:
    """The value of ``for`` in one element (RFC 7239 section 4); empty where it has none or several, or is no element."""
    values: list[str] = []
    place = 0
    while place < len(element):
        parameter = _PARAMETER.match(element, place)
        if parameter is None:
            return ""
        name, value = parameter.groups()
        if name is not None and name.lower() == "for":
            values.append(re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value)
        place = parameter.end()
    return values[0] if len(values) == 1 else ""


class TrustedProxies:
    """The networks of the proxies in front of the gateway, and the header that they write."""

    def __init__(self, networks: Iterable[str] = (), header: str = "x-forwarded-for") -> None:
        """Raises ConfigurationError naming ``trusted_proxies``, or ``trusted_proxies[i]``."""
        try:
            texts = list(networks) if not isinstance(networks, str) else [networks]
        except TypeError:
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "trusted_proxies", "a list of networks") from None
        self._unix = UNIX in texts
        self._networks = [_network(text, f"trusted_proxies[{i}]") for i, text in enumerate(texts) if text != UNIX]
        self.any = bool(texts)
        self.header = header.lower()
        self._forwarded = self.header == FORWARDED

    def trusts(self, peer: str | None) -> bool:
        """Whether this peer is one of the proxies; None, the empty text and ``unix:`` stand for a Unix socket."""
        if not peer or peer == _UNIX_PEER:
            return self._unix
        address = _parsed(peer)
        return address is not None and self._trusted(address)

    def client(self, peer: str | None, values: Sequence[str]) -> str | None:
        """The address of the customer. ``values`` are the header's, each line in order.

        None where it cannot be known: a trusted proxy named nobody. The proxy's own address would join all its customers.
        """
        if not self.trusts(peer):
            address = _parsed(peer or "")
            return None if address is None else str(address)
        text = ",".join(values)[-MAX_CHARACTERS:]
        entries = map(_forwarded_for, _elements(text)) if self._forwarded else reversed(text.split(","))
        found: _Address | None = None
        for entry in itertools.islice(entries, MAX_HOPS):
            if self._unix and entry.strip() == _UNIX_PEER:
                found = None
                continue
            found = _parsed(entry)
            if found is None or not self._trusted(found):
                break
        return None if found is None else str(found)

    def _trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

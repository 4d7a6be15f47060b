"""Canonical form, version 1: the exact bytes that are fingerprinted for each kind of identifier.

Obliviousness hides mistakes: a member with one wrong rule would simply never match. So the rules are here, versioned,
with known-answer vectors (``vectors/canonical-v1.json``, which :func:`self_test` runs wherever the client is installed),
and what cannot be canonicalised is refused, never guessed at. No refusal's text holds the refused value.

Layout: ``b"daxa"``, the version (1 byte), the kind (1 byte, as in :class:`~daxa_core.model.Kind`), then

========  =======================================================================================================
KEY       the key's ASCII bytes; UUIDs and pure hexadecimal of 32 or 48 digits in lower case, all else as it is
ADDRESS   4 bytes (IPv4), or the first 8 bytes (the /64) of an IPv6 address
NETWORK   3 bytes (the /24), or 6 bytes (the /48)
DEVICE    user agent, JA4, then each header's name and value; each as 2 bytes of length (big-endian) and its bytes
HOLDER    the exact bytes
========  =======================================================================================================

The rule for a key depends on the key alone and never on the exchange: a key that is pasted at the wrong one still matches.

    >>> canonical_address("::ffff:8.8.8.8") == canonical_address("8.8.8.8")
    True
    >>> canonical_key("two words")
    Traceback (most recent call last):
        ...
    daxa_core.errors.InvalidInput: INVALID_KEY: key: 1 to 128 visible ASCII characters
"""

from __future__ import annotations

import ipaddress
import json
import re
from importlib import resources
from typing import Any

from .errors import ErrorCode, InvalidInput
from .model import Device, Kind

CANONICAL_VERSION = 1
MAX_KEY_CHARACTERS = 128
MAX_ADDRESS_CHARACTERS = 64
MAX_DEVICE_BYTES = 512
MAX_HEADERS = 16
MAX_HOLDER_BYTES = 512

_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_CHARACTERS}}}")
_CASELESS = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[0-9a-fA-F]{48}"
)
_JA4 = re.compile(r"[a-zA-Z0-9]{10}_[0-9a-fA-F]{12}_[0-9a-fA-F]{12}")
_JA4_TEXT = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 section 5.6.2, token
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PREFIX = {kind: b"daxa" + bytes([CANONICAL_VERSION, kind]) for kind in Kind}
_NETWORK_BYTES = {4: 3, 6: 6}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Blocks = tuple[tuple[int, int], ...]


def _blocks(*texts: str) -> _Blocks:
    networks = [ipaddress.ip_network(text) for text in texts]
    return tuple((int(network.netmask), int(network.network_address)) for network in networks)


# The registries of special-purpose addresses (RFC 6890) as this version knows them. ``ipaddress.is_global`` changes from
# one patch release of Python to the next, and what is an address must not depend on a member's interpreter.
_NO_HOST = {
    4: _blocks("0.0.0.0/32", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32"),
    6: _blocks("::/127", "ff00::/8"),
}
_NOT_GLOBAL = {
    4: _blocks(
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    ),
    6: _blocks("2001::/23", "2001:db8::/32", "3fff::/20"),
}  # fmt: skip
_GLOBAL = {4: _blocks("0.0.0.0/0"), 6: _blocks("2000::/3")}  # IPv6 outside 2000::/3 is not given to anybody
_NAT64 = _blocks("64:ff9b::/96")


def _within(number: int, blocks: _Blocks) -> bool:
    for mask, value in blocks:  # noqa: SIM110 - a generator would take most of the time that an address takes
        if number & mask == value:
            return True
    return False


def canonical_key(key: str) -> bytes:
    """An API key's public half. Raises InvalidInput INVALID_KEY unless it is 1 to 128 visible ASCII characters.

    White space is refused, not stripped: a key that was cut out of a line wrongly may have lost more than that.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InvalidInput(ErrorCode.INVALID_KEY, "key", f"1 to {MAX_KEY_CHARACTERS} visible ASCII characters")
    return _PREFIX[Kind.KEY] + (key.lower() if _CASELESS.fullmatch(key) else key).encode("ascii")


def _refuse_address(expected: str) -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID_ADDRESS, "address", expected)


def _host(text: str, allow_non_global: bool) -> _Address:
    if not isinstance(text, str) or len(text) > MAX_ADDRESS_CHARACTERS:
        raise _refuse_address("an IPv4 or IPv6 address")
    try:
        parsed: _Address = ipaddress.ip_address(text)
    except ValueError:  # a port, brackets, a prefix length and leading zeros (octal to some) among the reasons
        raise _refuse_address("an IPv4 or IPv6 address, bare") from None
    number = int(parsed)  # without the zone, which has a meaning on one machine only
    if parsed.version == 6 and (number >> 32 == 0xFFFF or _within(number, _NAT64)):
        number &= 0xFFFFFFFF
        parsed = ipaddress.IPv4Address(number)
    version = parsed.version
    if _within(number, _NO_HOST[version]):
        raise _refuse_address("the address of a host")
    # A gateway that sees its own proxy instead of the customer would join everybody in one place.
    if not allow_non_global and (_within(number, _NOT_GLOBAL[version]) or not _within(number, _GLOBAL[version])):
        raise _refuse_address("a global address")
    return parsed


def canonical_address(address: str, allow_non_global: bool = False) -> bytes:
    """An address: IPv4 as it is, IPv6 cut to its /64, the zone stripped.

    IPv4-mapped addresses are unwrapped, and so is NAT64's well-known prefix 64:ff9b::/96 (RFC 6052): a data centre that is
    IPv6 inside (RFC 7755) sees every IPv4 customer under it, and its /64 would join the whole internet in one place.
    6to4 and others stay what they are: the /64 keeps them apart. Raises InvalidInput INVALID_ADDRESS for what is no bare
    address; for multicast, loopback and unspecified ones; for private or reserved ones unless ``allow_non_global``.
    """
    return canonical_place(address, allow_non_global)[0]


def canonical_network(address: str, allow_non_global: bool = False) -> bytes:
    """The network of an address: its /24 or /48. Unwraps and raises as :func:`canonical_address`."""
    return canonical_place(address, allow_non_global)[1]


def canonical_place(address: str, allow_non_global: bool = False) -> tuple[bytes, bytes]:
    """The address and its network, read once. As :func:`canonical_address` and :func:`canonical_network`."""
    host = _host(address, allow_non_global)
    packed, version = host.packed, host.version
    own = packed if version == 4 else packed[:8]
    return _PREFIX[Kind.ADDRESS] + own, _PREFIX[Kind.NETWORK] + packed[: _NETWORK_BYTES[version]]


def _refuse_device(expected: str) -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID_DEVICE, "device", expected)


def _device_part(text: str) -> bytes:
    if isinstance(text, str) and not _CONTROL.search(text):
        try:
            # RFC 9110 section 5.5: spaces around a field's value are no part of it; some gateways leave them on.
            data = text.strip(" ").encode()
        except UnicodeEncodeError:
            data = bytes(MAX_DEVICE_BYTES + 1)
        if len(data) <= MAX_DEVICE_BYTES:
            return len(data).to_bytes(2, "big") + data
    raise _refuse_device(f"parts of up to {MAX_DEVICE_BYTES} bytes of UTF-8 without control characters")


def canonical_device(device: Device) -> bytes:
    """A client's stack: user agent, JA4, headers by name. Missing and empty parts are the same; so are a JA4's and a
    header name's cases, and the order in which headers are given.

    Raises InvalidInput INVALID_DEVICE where nothing is given, or a part is too long or has characters it cannot have.
    """
    user_agent, ja4 = device.user_agent or "", device.ja4 or ""
    if ja4 and not (isinstance(ja4, str) and _JA4_TEXT.fullmatch(ja4)):
        raise _refuse_device("a JA4 of up to 128 letters, digits and _.:-")
    if len(device.headers) > MAX_HEADERS:
        raise _refuse_device(f"at most {MAX_HEADERS} headers")
    for name, value in device.headers:
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name) and isinstance(value, str)):
            raise _refuse_device("header names that are tokens of up to 128 characters")
    parts = [_device_part(user_agent), _device_part(ja4.lower())]
    for name, value in sorted((name.lower(), value) for name, value in device.headers):
        parts += [_device_part(name), _device_part(value)]
    if all(part == b"\0\0" for part in parts):
        raise _refuse_device("a user agent, a JA4 or a header")
    return _PREFIX[Kind.DEVICE] + b"".join(parts)


def device_from_text(text: str) -> Device:
    """``"JA4|user agent"``, cut at the first bar; without a bar, a JA4 where it has its shape, else a user agent."""
    if not isinstance(text, str):
        raise _refuse_device("a text")
    first, bar, rest = text.partition("|")
    if bar:
        return Device(user_agent=rest or None, ja4=first or None)
    return Device(ja4=text) if _JA4.fullmatch(text) else Device(user_agent=text)


def canonical_holder(holder: bytes | str) -> bytes:
    """The person, as exact bytes (text as UTF-8). Raises InvalidInput INVALID_HOLDER unless 1 to 512 bytes."""
    data = b""
    if isinstance(holder, str):
        try:
            data = holder.encode()
        except UnicodeEncodeError:
            data = b""
    elif isinstance(holder, bytes):
        data = holder
    if not 1 <= len(data) <= MAX_HOLDER_BYTES:
        raise InvalidInput(ErrorCode.INVALID_HOLDER, "holder", f"1 to {MAX_HOLDER_BYTES} bytes")
    return _PREFIX[Kind.HOLDER] + data


def known_answers() -> dict[str, Any]:
    """The vectors of this version: ``vectors`` (kind, input, canonical in hexadecimal) and ``refusals`` (kind, input,
    code). A device's input is a text for :func:`device_from_text` or an object of :class:`Device`'s fields."""
    file = resources.files(__package__).joinpath("vectors", f"canonical-v{CANONICAL_VERSION}.json")
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded


def canonical(kind: Kind, value: Any) -> bytes:
    """The canonical form of a value of any kind, in the shape that :func:`known_answers` gives it."""
    if kind is Kind.KEY:
        return canonical_key(value)
    if kind is Kind.ADDRESS:
        return canonical_address(value)
    if kind is Kind.NETWORK:
        return canonical_network(value)
    if kind is Kind.HOLDER:
        return canonical_holder(value)
    if isinstance(value, dict):
        headers = tuple((name, text) for name, text in value.get("headers", ()))
        return canonical_device(Device(value.get("user_agent"), value.get("ja4"), headers))
    return canonical_device(device_from_text(value))


def self_test() -> int:
    """Runs every known answer and refusal of this version; their number. For the client's ``doctor``.

    Raises InvalidInput INVALID_VALUE naming the vector: whoever runs this build would silently never match.
    """
    vectors = known_answers()
    for i, vector in enumerate(vectors["vectors"]):
        if canonical(Kind[vector["kind"]], vector["input"]).hex() != vector["canonical"]:
            raise InvalidInput(ErrorCode.INVALID_VALUE, f"vectors[{i}]", "the known answer")
    for i, vector in enumerate(vectors["refusals"]):
        try:
            canonical(Kind[vector["kind"]], vector["input"])
        except InvalidInput as error:
            if error.code == vector["code"]:
                continue
        raise InvalidInput(ErrorCode.INVALID_VALUE, f"refusals[{i}]", "a refusal with the known code")
    return len(vectors["vectors"]) + len(vectors["refusals"])

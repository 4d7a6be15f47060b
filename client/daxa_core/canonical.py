"""Canonical form, version 1: the exact bytes that are fingerprinted for each kind of identifier.

Obliviousness hides mistakes: a member with one wrong rule would simply never match. So the rules are here, versioned, with
known-answer vectors (``vectors/canonical-v1.json``), and what cannot be canonicalised is refused, never guessed at.

Layout: ``b"daxa"``, the version (1 byte), the kind (1 byte), then

========  ==========================================================================================================
KEY       the key's ASCII bytes; UUIDs and pure hexadecimal of 32 or 48 digits in lower case, everything else as it is
ADDRESS   4 bytes (IPv4), or the first 8 bytes (the /64) of an IPv6 address
NETWORK   3 bytes (the /24), or 6 bytes (the /48)
DEVICE    user agent, JA4, then each header's name and value; each as 2 bytes of length and its bytes
HOLDER    the exact bytes
========  ==========================================================================================================

The rule for a key depends on the key alone and never on the exchange: a key that is pasted at the wrong one still matches.

    >>> canonical_address("::ffff:8.8.8.8") == canonical_address("8.8.8.8")
    True
"""

from __future__ import annotations

import ipaddress
import re

from .errors import ErrorCode, InvalidInput
from .model import Device, Kind

CANONICAL_VERSION = 1
MAX_KEY_CHARACTERS = 128
MAX_DEVICE_BYTES = 512
MAX_HEADERS = 16
MAX_HOLDER_BYTES = 512

_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_CHARACTERS}}}")
_CASELESS = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[0-9a-fA-F]{48}"
)
_JA4 = re.compile(r"[a-z0-9]{10}_[0-9a-f]{12}_[0-9a-f]{12}")
_JA4_TEXT = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PREFIX = {kind: b"daxa" + bytes([CANONICAL_VERSION, kind]) for kind in Kind}
_NETWORK_MASK = {4: 3, 6: 6}


def canonical_key(key: str) -> bytes:
    """An API key's public half. Raises InvalidInput INVALID_KEY unless it is 1 to 128 visible ASCII characters."""
    if not _KEY.fullmatch(key):
        raise InvalidInput(ErrorCode.INVALID_KEY, "key", f"1 to {MAX_KEY_CHARACTERS} visible ASCII characters")
    return _PREFIX[Kind.KEY] + (key.lower() if _CASELESS.fullmatch(key) else key).encode("ascii")


def _packed(address: str, allow_non_global: bool) -> tuple[int, bytes]:
    text, zone, _ = address.partition("%")
    try:
        if len(address) > 128 or (zone and ":" not in text):
            raise ValueError
        parsed: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(ErrorCode.INVALID_ADDRESS, "address", "an IPv4 or IPv6 address") from None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    # A gateway that sees its own proxy instead of the customer would join everybody in one place.
    if parsed.is_multicast or parsed.is_unspecified or parsed.is_loopback:
        raise InvalidInput(ErrorCode.INVALID_ADDRESS, "address", "a unicast address of a host")
    if not (parsed.is_global or allow_non_global):
        raise InvalidInput(ErrorCode.INVALID_ADDRESS, "address", "a global address")
    return parsed.version, parsed.packed


def canonical_address(address: str, allow_non_global: bool = False) -> bytes:
    """An address: IPv4-mapped IPv6 unwrapped, the zone stripped, IPv6 cut to its /64.

    6to4 and NAT64 addresses stay what they are: the IPv4 host inside is not the one that connected. Raises InvalidInput
    INVALID_ADDRESS for what is no address, and for a private or reserved one unless ``allow_non_global``.
    """
    version, packed = _packed(address, allow_non_global)
    return _PREFIX[Kind.ADDRESS] + (packed if version == 4 else packed[:8])


def canonical_network(address: str, allow_non_global: bool = False) -> bytes:
    """The network of an address: its /24 or /48. Raises as :func:`canonical_address`."""
    version, packed = _packed(address, allow_non_global)
    return _PREFIX[Kind.NETWORK] + packed[: _NETWORK_MASK[version]]


def _device_part(text: str, expected: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = b"\0"
    if len(data) > MAX_DEVICE_BYTES or _CONTROL.search(text) or b"\0" in data:
        raise InvalidInput(ErrorCode.INVALID_DEVICE, "device", expected)
    return len(data).to_bytes(2, "big") + data


def canonical_device(device: Device) -> bytes:
    """A client's stack: user agent, JA4, headers by name. Missing and empty parts are the same.

    Raises InvalidInput INVALID_DEVICE where nothing is given, or a part is too long or has control characters.
    """
    if not (device.user_agent or device.ja4 or device.headers):
        raise InvalidInput(ErrorCode.INVALID_DEVICE, "device", "a user agent, a JA4 or a header")
    if device.ja4 and not _JA4_TEXT.fullmatch(device.ja4):
        raise InvalidInput(ErrorCode.INVALID_DEVICE, "device", "a JA4 of up to 128 letters, digits and _.:-")
    if len(device.headers) > MAX_HEADERS:
        raise InvalidInput(ErrorCode.INVALID_DEVICE, "device", f"at most {MAX_HEADERS} headers")
    bound = f"parts of up to {MAX_DEVICE_BYTES} bytes without control characters"
    parts = [device.user_agent or "", device.ja4 or ""]
    for name, value in sorted((name.lower(), value) for name, value in device.headers):
        parts += [name, value]
    return _PREFIX[Kind.DEVICE] + b"".join(_device_part(part, bound) for part in parts)


def device_from_text(text: str) -> Device:
    """``"JA4|user agent"``, cut at the first bar; without a bar, a JA4 where it has the shape of one, else a user agent."""
    first, bar, rest = text.partition("|")
    if bar:
        return Device(user_agent=rest or None, ja4=first or None)
    return Device(ja4=text) if _JA4.fullmatch(text) else Device(user_agent=text)


def canonical_holder(holder: bytes | str) -> bytes:
    """The person, as exact bytes (text as UTF-8). Raises InvalidInput INVALID_HOLDER unless 1 to 512 bytes."""
    try:
        data = holder.encode() if isinstance(holder, str) else bytes(holder)
    except UnicodeEncodeError:
        data = b""
    if not 1 <= len(data) <= MAX_HOLDER_BYTES:
        raise InvalidInput(ErrorCode.INVALID_HOLDER, "holder", f"1 to {MAX_HOLDER_BYTES} bytes")
    return _PREFIX[Kind.HOLDER] + data

"""A short text that others will read: a leak's name and source, an incident's title and outcome.

It stands in the log and goes out to others, so it names nobody's key and nobody's address. Refused, naming the field: what is not
printable (a lone surrogate is not), begins or ends in a space, is empty or too long, or has something of either kind in it.

    >>> check_text("name", "3commas, December 2022", most=100)
    >>> holds_address("from 203.0.113.7, at noon"), holds_address("version 1.2.3")
    (True, False)
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from .dump import holds_key
from .errors import ErrorCode, InvalidInput

# Letters of ASCII alone: in Korean a particle follows without a space.
_IPV4 = re.compile(r"(?<![A-Za-z0-9_.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.?[A-Za-z0-9_])")
_IPV6 = re.compile(r"(?<![A-Za-z0-9_:])[0-9A-Fa-f:]{2,39}(?![A-Za-z0-9_:])")


def check_text(field: str, text: str, most: int) -> None:
    """Raises InvalidInput INVALID_VALUE."""
    if not isinstance(text, str) or not 1 <= len(text) <= most or not text.isprintable() or text != text.strip():
        raise InvalidInput(ErrorCode.INVALID_VALUE, field, f"1 to {most} printable characters, no space at either end")
    plain = unicodedata.normalize("NFKC", text)  # full-width digits are digits to whoever reads them
    if holds_key(plain):
        raise InvalidInput(ErrorCode.INVALID_VALUE, field, "a text without a key in it")
    if holds_address(plain):
        raise InvalidInput(ErrorCode.INVALID_VALUE, field, "a text without an address in it")


def holds_address(text: str) -> bool:
    """Whether an IPv4 or IPv6 address stands in it, as it is written or with its dots in brackets."""
    plain = text.replace("[.]", ".")
    return any(_is_address(found) or _is_address(found.rpartition(":")[0]) for found in _IPV6.findall(plain)) or any(
        all(int(part) < 256 for part in found.split(".")) for found in _IPV4.findall(plain)
    )


def _is_address(text: str) -> bool:
    try:
        return int(ipaddress.IPv6Address(text)) > 0
    except ValueError:
        return False

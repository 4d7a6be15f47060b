"""Reading what a request carries, whatever its bytes: headers, queries, forms, bearer tokens, base64 of JSON.

Nothing here raises on a malformed part: a part that is not what it should be is nothing, and the next one is looked at.
Everything is bounded before it is decoded: a header may be megabytes long, and a gateway decodes it for free.

>>> header_values([(b"X-Kapi-Key", b" abc ")], HeaderName("x-kapi-key"))
['abc']
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

MAX_TOKEN_CHARACTERS = 65_536  # servers take 8 to 64 KiB of headers: a key that is padded is read where they read it
MAX_TARGET_CHARACTERS = 65_536
MAX_FORM_BYTES = 16_384
MAX_FIELD_CHARACTERS = 1_024
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_JSON = json.JSONDecoder()
_URL_SAFE_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


class HeaderName:
    """A header's name in the forms in which gateways hand it on: any case, text or bytes, or WSGI's ``HTTP_…``."""

    __slots__ = ("data", "environ", "text", "wsgi")

    def __init__(self, name: str) -> None:
        self.text = name
        self.data = name.encode()
        self.environ = "http_" + name.replace("-", "_")
        self.wsgi = self.environ.upper()


def as_text(value: object) -> str | None:
    """A header's value, a path or a method as text; HTTP's bytes are Latin-1. None for what is neither text nor bytes."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    return None


def header_list(headers: Any) -> list[Any]:
    """Pairs of names and values: of an iterable of them, or of what has ``items``. Raises where it is neither."""
    if type(headers) is list:
        return headers
    items = getattr(headers, "items", None)
    return list(items() if callable(items) else headers)


def header_values(headers: Any, name: HeaderName) -> list[str]:
    """Every value that the header has, in order, without the white space around it; a list of values is that many of them."""
    values = []
    text, data, environ, size = name.text, name.data, name.environ, len(name.data)
    for pair in header_list(headers):
        try:
            found, value = pair
        except (TypeError, ValueError):
            continue
        if isinstance(found, bytes):
            # Most names are told apart by their length: this runs for each header of each request.
            if found != data and (len(found) < size or found.strip().lower() != data):
                continue
        elif isinstance(found, str):
            if found != text and (len(found) < size or found.strip().lower() not in (text, environ)):
                continue
        else:
            continue
        for one in value if isinstance(value, list | tuple) else (value,):
            decoded = as_text(one)
            if decoded is not None:
                values.append(decoded.strip())
    return values


def split_target(target: Any) -> tuple[str, str]:
    """Path and query of a path, of a path with its query, or of a whole URL; the path without a slash at its end.

    A URL's fragment goes. A server that is asked for a path takes a ``#`` in it for what it is, and reads what comes after it.
    """
    text = as_text(target) or ""
    if len(text) > MAX_TARGET_CHARACTERS:
        return "", ""
    if not text.startswith("/"):
        scheme, mark, rest = text.partition("://")
        if mark and scheme.isalpha():
            cut = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
            text = rest[cut:].partition("#")[0]
    path, _, query = text.partition("?")
    return path.rstrip("/") or "/", query


def form_values(form: Any, name: str) -> Iterator[str]:
    """Every value of one field of a query or an urlencoded body; no other field is decoded, so no secret among them is."""
    if isinstance(form, bytearray | memoryview):
        form = bytes(form)
    if isinstance(form, bytes):
        form = form.decode("latin-1") if len(form) <= MAX_FORM_BYTES else ""
    if not isinstance(form, str) or len(form) > MAX_TARGET_CHARACTERS:
        return
    for field in form.split("&"):
        key, mark, value = field.partition("=")
        if not mark or len(key) > MAX_FIELD_CHARACTERS or len(value) > MAX_FIELD_CHARACTERS:
            continue
        if key == name or ("%" in key and unquote_plus(key) == name):
            yield unquote_plus(value).strip()


def decoded(encoded: str) -> bytes:
    """The bytes in base64 or base64url, padded or not; nothing where it is neither, or too long."""
    if len(encoded) > MAX_TOKEN_CHARACTERS or not encoded.isascii():
        return b""
    data = encoded.encode().rstrip(b"=").translate(_URL_SAFE_TO_STANDARD)
    if data.translate(None, _BASE64):
        return b""
    try:
        return binascii.a2b_base64(data + b"=" * (-len(data) % 4))
    except ValueError:
        return b""


def json_object(encoded: str) -> dict[str, Any] | None:
    """The object in base64 or base64url of JSON, padded or not.

    Of a name that stands twice the last value counts, as in most parsers (RFC 7519 section 4 has it so, or a refusal).
    """
    try:
        loaded = _JSON.decode(decoded(encoded).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def bearer_claim(authorization: str, claim: str) -> object:
    """A claim of the JWT in an ``Authorization`` header, unverified: the gateway has verified it, or will refuse it.

    Neither the JWT's header nor its signature is looked at: documentation and real clients differ in ``alg``.
    """
    if len(authorization) > MAX_TOKEN_CHARACTERS:
        return None
    parts = authorization.split()
    if len(parts) != 2 or parts[0].lower() != "bearer":
        return None
    segments = parts[1].split(".", 3)
    if len(segments) != 3:
        return None
    claims = json_object(segments[1])
    return None if claims is None else claims.get(claim)

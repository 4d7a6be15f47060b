"""What need not be oblivious is BLAKE3, each use under a derive-key context of its own.

>>> len(account_pseudonym(bytes(32), "17"))
16
"""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3

from .errors import ErrorCode, InvalidInput
from .model import ACCOUNT_BYTES, Level

SECRET_BYTES = 32
MAX_ACCOUNT_BYTES = 256
_VERDICTS_CONTEXT = "daxa 2026-11 verdict digest v1"
_ACCOUNT_CONTEXT = "daxa 2026-05 account pseudonym v1"


def derive_key(context: str, secret: bytes) -> bytes:
    """A 32-byte key for one use, from a 32-byte secret and a context that no other use has."""
    return blake3(secret, derive_key_context=context).digest()


def digest(context: str, data: bytes) -> bytes:
    """The 32-byte digest of public data under its own context."""
    return blake3(data, derive_key_context=context).digest()


def account_pseudonym(secret: bytes, account: str) -> bytes:
    """A member's customer number under that member's own 32-byte secret: 16 bytes that link nothing across members.

    Raises InvalidInput INVALID_ACCOUNT unless the number is 1 to 256 bytes of UTF-8.
    """
    if len(secret) != SECRET_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "account_secret", f"{SECRET_BYTES} bytes, got {len(secret)}")
    try:
        data = account.encode()
    except UnicodeEncodeError:
        data = b""
    if not 1 <= len(data) <= MAX_ACCOUNT_BYTES:
        raise InvalidInput(ErrorCode.INVALID_ACCOUNT, "account", f"1 to {MAX_ACCOUNT_BYTES} bytes of UTF-8")
    return blake3(data, key=derive_key(_ACCOUNT_CONTEXT, secret)).digest(length=ACCOUNT_BYTES)


def verdict_digest(verdicts: Iterable[tuple[int, Level, bytes]]) -> bytes:
    """The 32-byte digest of a member's verdicts, each key's newest as (sequence, level, fingerprint) in ascending sequence.

    It is that of ``GetVerdictDigest`` (proto/daxa_api/v1/verdict.proto), so that two sides can tell whether they hold the same.
    """
    hasher = blake3(derive_key_context=_VERDICTS_CONTEXT)
    for sequence, level, key in verdicts:
        hasher.update(sequence.to_bytes(8, "big") + bytes([level + 1]) + key)
    return hasher.digest()

"""RFC 9497's suite ristretto255-SHA512 (section 4.1): hashing to the group and the field, keys, serialisation.

The names are the RFC's in snake case; elements and scalars are ``bytes``, so that serialising is checking. ``mode``
separates the two variants of the protocol; this project's fingerprints use VOPRF, which is the default everywhere.

    >>> secret, public = derive_key_pair(bytes(32), b"info")
    >>> len(secret), len(public)
    (32, 32)
    >>> deserialize_element(bytes(32))
    Traceback (most recent call last):
        ...
    daxa_core.errors.CryptoError: IDENTITY_ELEMENT: element: an element other than the identity
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from . import group
from .errors import CryptoError, ErrorCode, InvalidInput
from .group import ORDER

IDENTIFIER = "ristretto255-SHA512"
NE = group.ELEMENT_BYTES
NS = group.SCALAR_BYTES
NH = 64
SEED_BYTES = 32
MAX_INPUT_BYTES = 2**16 - 1
_BLOCK_BYTES = 128
_PAD = bytes(_BLOCK_BYTES)


class Mode(IntEnum):
    """RFC 9497 section 3.1."""

    OPRF = 0x00
    VOPRF = 0x01


class KeyPair(NamedTuple):
    """RFC 9497 (skS, pkS): unpacks into the secret scalar and the public element; the secret is never shown."""

    secret: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"KeyPair(secret=<redacted>, public={self.public.hex()})"


def create_context_string(mode: Mode = Mode.VOPRF) -> bytes:
    """RFC 9497 section 3.1, CreateContextString."""
    return b"OPRFV1-" + bytes([mode]) + b"-" + IDENTIFIER.encode()


def expand_message_xmd(message: bytes, dst: bytes, length: int = 64) -> bytes:
    """RFC 9380 section 5.3.1 with SHA-512, for up to 255 blocks of 64 bytes. Raises InvalidInput beyond its bounds."""
    if not 0 < len(dst) <= 255 or not 0 < length <= 255 * NH:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "dst", "1 to 255 bytes, for at most 16,320 bytes of output")
    tail = dst + bytes([len(dst)])
    b0 = hashlib.sha512(_PAD + message + length.to_bytes(2, "big") + b"\0" + tail).digest()
    block = hashlib.sha512(b0 + b"\x01" + tail).digest()
    if length <= NH:
        return block[:length]
    out = [block]
    for i in range(2, -(-length // NH) + 1):
        block = hashlib.sha512(bytes(x ^ y for x, y in zip(b0, block, strict=True)) + bytes([i]) + tail).digest()
        out.append(block)
    return b"".join(out)[:length]


_CONTEXT = {mode: create_context_string(mode) for mode in Mode}
_GROUP_DST = {mode: b"HashToGroup-" + context for mode, context in _CONTEXT.items()}
_SCALAR_DST = {mode: b"HashToScalar-" + context for mode, context in _CONTEXT.items()}


def hash_to_group(input: bytes, mode: Mode = Mode.VOPRF) -> bytes:
    """RFC 9497 section 4.1, HashToGroup: an element, possibly (with negligible chance) the identity."""
    return group.from_uniform(expand_message_xmd(input, _GROUP_DST[mode]))


def hash_to_group_each(inputs: Sequence[bytes], mode: Mode = Mode.VOPRF) -> list[bytes]:
    """As :func:`hash_to_group` for many."""
    dst = _GROUP_DST[mode]
    return group.from_uniform_each([expand_message_xmd(input, dst) for input in inputs])


def hash_to_scalar(input: bytes, mode: Mode = Mode.VOPRF, dst: bytes | None = None) -> bytes:
    """RFC 9497 section 4.1, HashToScalar: 64 uniform bytes, little-endian, modulo the order; possibly zero."""
    return group.scalar_reduce(expand_message_xmd(input, _SCALAR_DST[mode] if dst is None else dst))


def random_scalar() -> bytes:
    """RFC 9497 RandomScalar: uniform and not zero."""
    return group.random_scalar()


def scalar_inverse(scalar: bytes) -> bytes:
    """RFC 9497 ScalarInverse. Raises CryptoError INVALID_SCALAR for zero."""
    return group.scalar_inverses([group.secret_scalar(scalar)])[0]


def serialize_element(element: bytes) -> bytes:
    """RFC 9497 SerializeElement: an element already is its encoding; what is none is refused here too."""
    return group.element(element)


def deserialize_element(data: bytes) -> bytes:
    """RFC 9497 DeserializeElement. Raises CryptoError for a non-canonical encoding and for the identity."""
    return group.element(data)


def serialize_scalar(scalar: bytes) -> bytes:
    """RFC 9497 SerializeScalar: a scalar already is its encoding; one that is not reduced is refused here too."""
    return deserialize_scalar(scalar)


def deserialize_scalar(data: bytes) -> bytes:
    """RFC 9497 DeserializeScalar: zero is a scalar (a key it is not: :func:`daxa_core.group.secret_scalar`).

    Raises CryptoError for a wrong length and for a scalar that is not reduced.
    """
    group.scalar_int(data)
    return data


def derive_key_pair(seed: bytes, info: bytes = b"", mode: Mode = Mode.VOPRF) -> KeyPair:
    """RFC 9497 section 3.2.1, DeriveKeyPair. ``seed`` is 32 secret bytes, ``info`` up to 65,535 public ones."""
    if len(seed) != SEED_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "seed", f"{SEED_BYTES} bytes, got {len(seed)}")
    if len(info) > MAX_INPUT_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "info", f"at most {MAX_INPUT_BYTES} bytes")
    derive = seed + len(info).to_bytes(2, "big") + info
    for counter in range(256):
        secret = hash_to_scalar(derive + bytes([counter]), mode, b"DeriveKeyPair" + _CONTEXT[mode])
        if any(secret):
            return KeyPair(secret, group.base_multiply(secret))
    raise CryptoError(ErrorCode.INVALID_SCALAR, "seed", "one that derives a key")  # DeriveKeyPairError


def generate_key_pair() -> KeyPair:
    """RFC 9497 section 3.2, GenerateKeyPair: a fresh key."""
    secret = group.random_scalar()
    return KeyPair(secret, group.base_multiply(secret))


GENERATOR = group.base_multiply(group.scalar_bytes(1))

__all__ = [
    "GENERATOR", "IDENTIFIER", "MAX_INPUT_BYTES", "NE", "NH", "NS", "ORDER", "SEED_BYTES", "KeyPair", "Mode",
    "create_context_string", "derive_key_pair", "deserialize_element", "deserialize_scalar", "expand_message_xmd",
    "generate_key_pair", "hash_to_group", "hash_to_group_each", "hash_to_scalar", "random_scalar", "scalar_inverse",
    "serialize_element", "serialize_scalar",
]  # fmt: skip

"""ristretto255 and its scalar field, over libsodium: refuses what is no canonical element, the identity and the zero scalar.

Elements and scalars are 32 ``bytes``. The library comes with the ``rbcl`` wheel and is called through ctypes, which lets go of
the interpreter lock: two threads multiply at once. There is no curve arithmetic of our own.

    >>> element(base_multiply(scalar_bytes(7))) == base_multiply(scalar_bytes(7))
    True
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
from collections.abc import Sequence
from typing import Any

from rbcl import rbcl as _rbcl

from .errors import CryptoError, ErrorCode

ELEMENT_BYTES = 32
SCALAR_BYTES = 32
UNIFORM_BYTES = 64
ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY = bytes(ELEMENT_BYTES)


def _load() -> Any:
    """The library that rbcl has loaded, without the 2.8 MB file that it leaves in the temporary folder."""
    library = _rbcl._sodium
    name = getattr(library, "_name", "")
    if name and os.path.basename(name).startswith("tmp"):
        with contextlib.suppress(OSError):
            os.unlink(name)
    return library


_sodium = _load()


def _raw(name: str, pointers: int) -> Any:
    found = ctypes.cast(getattr(_sodium, name), ctypes.c_void_p).value
    assert found is not None
    return ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p if i == 0 else ctypes.c_char_p for i in range(pointers)])(
        found
    )


_from_hash = _raw("crypto_core_ristretto255_from_hash", 2)
_scalarmult = _raw("crypto_scalarmult_ristretto255", 3)
_scalarmult_base = _raw("crypto_scalarmult_ristretto255_base", 2)
_add = _raw("crypto_core_ristretto255_add", 3)
_is_valid = _raw("crypto_core_ristretto255_is_valid_point", 1)
_Buffer = ctypes.c_char * ELEMENT_BYTES


def element(data: bytes) -> bytes:
    """RFC 9497 DeserializeElement: the bytes if they are a canonical element other than the identity.

    Raises CryptoError INVALID_LENGTH, IDENTITY_ELEMENT (a zero key or a collapsed answer looks like that) or INVALID_ELEMENT.
    """
    if len(data) != ELEMENT_BYTES:
        raise CryptoError(ErrorCode.INVALID_LENGTH, "element", f"{ELEMENT_BYTES} bytes, got {len(data)}")
    if data == IDENTITY:
        raise CryptoError(ErrorCode.IDENTITY_ELEMENT, "element", "an element other than the identity")
    if _is_valid(bytes(data)) != 1:
        raise CryptoError(ErrorCode.INVALID_ELEMENT, "element", "a canonical ristretto255 encoding")
    return bytes(data)


def from_uniform(data: bytes) -> bytes:
    """The element that 64 uniform bytes map to (RFC 9496 section 4.3.4)."""
    out = _Buffer()
    _from_hash(out, data)
    return out.raw


def multiply(scalar: bytes, point: bytes) -> bytes:
    """scalar · point. Raises CryptoError where the point is no element or the product is the identity."""
    out = _Buffer()
    if _scalarmult(out, scalar, point) != 0:
        element(point)
        raise CryptoError(ErrorCode.IDENTITY_ELEMENT, "element", "a product other than the identity")
    return out.raw


def base_multiply(scalar: bytes) -> bytes:
    """scalar · G. Raises CryptoError INVALID_SCALAR for zero."""
    out = _Buffer()
    if _scalarmult_base(out, scalar) != 0:
        raise CryptoError(ErrorCode.INVALID_SCALAR, "scalar", "not zero")
    return out.raw


def add(left: bytes, right: bytes) -> bytes:
    """left + right; either may be the identity. Raises CryptoError INVALID_ELEMENT where one is no element."""
    out = _Buffer()
    if _add(out, left, right) != 0:
        raise CryptoError(ErrorCode.INVALID_ELEMENT, "element", "a canonical ristretto255 encoding")
    return out.raw


def weighted_sum(scalars: Sequence[bytes], points: Sequence[bytes]) -> bytes:
    """The sum of scalars[i] · points[i], the identity among the possible results."""
    total, product = _Buffer(), _Buffer()
    for scalar, point in zip(scalars, points, strict=True):
        if _scalarmult(product, scalar, point) != 0:
            element(point)
            continue  # a zero weight adds nothing
        if _add(total, total.raw, product.raw) != 0:
            raise CryptoError(ErrorCode.INVALID_ELEMENT, "element", "a canonical ristretto255 encoding")
    return total.raw


def scalar_bytes(value: int) -> bytes:
    """A scalar as its 32 canonical little-endian bytes; the value is taken modulo the order."""
    return (value % ORDER).to_bytes(SCALAR_BYTES, "little")


def scalar_int(data: bytes) -> int:
    """RFC 9497 DeserializeScalar. Raises CryptoError INVALID_LENGTH or INVALID_SCALAR (not reduced)."""
    if len(data) != SCALAR_BYTES:
        raise CryptoError(ErrorCode.INVALID_LENGTH, "scalar", f"{SCALAR_BYTES} bytes, got {len(data)}")
    value = int.from_bytes(data, "little")
    if value >= ORDER:
        raise CryptoError(ErrorCode.INVALID_SCALAR, "scalar", "less than the group's order")
    return value


def secret_scalar(data: bytes) -> bytes:
    """A key, refused when it is read and not when it is used. Raises CryptoError: a zero key collapses the function."""
    if scalar_int(data) == 0:
        raise CryptoError(ErrorCode.INVALID_SCALAR, "scalar", "not zero")
    return bytes(data)


def random_scalar() -> bytes:
    """A uniform scalar, not zero (RFC 9497 section 4.7.2: rejection sampling)."""
    return scalar_bytes(1 + secrets.randbelow(ORDER - 1))


def invert(scalars: Sequence[int]) -> list[int]:
    """The inverses of nonzero scalars, at the price of one inversion (Montgomery's trick)."""
    prefix = [1]
    for value in scalars:
        prefix.append(prefix[-1] * value % ORDER)
    if prefix[-1] == 0:
        raise CryptoError(ErrorCode.INVALID_SCALAR, "scalar", "not zero")
    running = pow(prefix[-1], -1, ORDER)
    out = [0] * len(scalars)
    for i in range(len(scalars) - 1, -1, -1):
        out[i] = running * prefix[i] % ORDER
        running = running * scalars[i] % ORDER
    return out

"""ristretto255 and its scalar field, over libsodium: refuses what is no canonical element, the identity and the zero scalar.

Elements and scalars are 32 ``bytes``. The library comes with the ``rbcl`` wheel and is called through ctypes, which lets
go of the interpreter lock: two threads multiply at once. There is no curve arithmetic of our own, and arithmetic on
secret scalars is libsodium's too, in constant time; Python's integers carry public ones only.

    >>> two, three = scalar_bytes(2), scalar_bytes(3)
    >>> add(base_multiply(two), base_multiply(three)) == base_multiply(scalar_bytes(5))
    True
    >>> multiply(bytes(32), base_multiply(two))
    Traceback (most recent call last):
        ...
    daxa_core.errors.CryptoError: INVALID_SCALAR: scalar: not zero
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise, repeat
from typing import Any, TypeVar

from rbcl import rbcl as _rbcl

from .errors import CryptoError, ErrorCode

ELEMENT_BYTES = 32
SCALAR_BYTES = 32
UNIFORM_BYTES = 64
ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY = bytes(ELEMENT_BYTES)
LEAST_PART = 16
"""Fewer multiplications than this are not worth a thread of their own."""

_T = TypeVar("_T")


def _load() -> Any:
    """The library that rbcl has loaded, without the 2.8 MB file that it leaves in the temporary folder."""
    library = _rbcl._sodium
    # Only the file that rbcl itself wrote: a later rbcl may load one that is part of an installation.
    written = getattr(sys.modules.get("rbcl._sodium"), "lib_path", None)
    name = getattr(library, "_name", None)
    if name and name == written and os.path.dirname(os.path.abspath(name)) == os.path.abspath(tempfile.gettempdir()):
        with contextlib.suppress(OSError):  # Windows keeps a loaded library's file locked
            os.unlink(name)
    return library


_sodium = _load()


def _raw(name: str, *inputs: Any, prototype: Any = ctypes.CFUNCTYPE) -> Any:
    """A function of the library with types of its own: rbcl's stay as rbcl set them."""
    address = ctypes.cast(getattr(_sodium, name), ctypes.c_void_p).value
    assert address is not None
    return prototype(ctypes.c_int, *inputs)(address)


# Every pointer is c_void_p, which takes bytes and addresses alike; what is passed was checked to be one of them.
_P = ctypes.c_void_p
_is_valid = _raw("crypto_core_ristretto255_is_valid_point", _P)
_from_hash = _raw("crypto_core_ristretto255_from_hash", _P, _P)
_scalarmult = _raw("crypto_scalarmult_ristretto255", _P, _P, _P)
_scalarmult_base = _raw("crypto_scalarmult_ristretto255_base", _P, _P)
_add = _raw("crypto_core_ristretto255_add", _P, _P, _P)
_sub = _raw("crypto_core_ristretto255_sub", _P, _P, _P)
_scalar_invert = _raw("crypto_core_ristretto255_scalar_invert", _P, _P)
# These take a quarter of a microsecond and keep the interpreter's lock: handing it over would cost more than the call.
_scalar_random = _raw("crypto_core_ristretto255_scalar_random", _P, prototype=ctypes.PYFUNCTYPE)
_scalar_reduce = _raw("crypto_core_ristretto255_scalar_reduce", _P, _P, prototype=ctypes.PYFUNCTYPE)
_scalar_mul = _raw("crypto_core_ristretto255_scalar_mul", _P, _P, _P, prototype=ctypes.PYFUNCTYPE)
_scalar_add = _raw("crypto_core_ristretto255_scalar_add", _P, _P, _P, prototype=ctypes.PYFUNCTYPE)
_scalar_sub = _raw("crypto_core_ristretto255_scalar_sub", _P, _P, _P, prototype=ctypes.PYFUNCTYPE)
_Buffer = ctypes.c_char * ELEMENT_BYTES


class _Row:
    """Room for many elements, filled by one call each and read out at once.

    The calls are made by ``map`` with nothing between them: a thread that came back to Python after each would find the
    lock taken by the other and fall asleep, and two threads would be hardly faster than one.
    """

    __slots__ = ("addresses", "buffer")

    def __init__(self, count: int) -> None:
        self.buffer = ctypes.create_string_buffer(ELEMENT_BYTES * count)
        start = ctypes.addressof(self.buffer)
        self.addresses = range(start, start + ELEMENT_BYTES * count, ELEMENT_BYTES)

    def elements(self) -> list[bytes]:
        raw = self.buffer.raw
        return [raw[i : i + ELEMENT_BYTES] for i in range(0, ELEMENT_BYTES * len(self.addresses), ELEMENT_BYTES)]


def _all_right(values: Sequence[object], length: int = ELEMENT_BYTES) -> bool:
    return all(isinstance(value, bytes) and len(value) == length for value in values)


def _check_length(data: object, field: str, length: int = ELEMENT_BYTES) -> None:
    # The library reads that many bytes whatever it is given: a short one would be read past its end.
    if not isinstance(data, bytes):
        raise CryptoError(ErrorCode.INVALID_LENGTH, field, f"{length} bytes, got {type(data).__name__}")
    if len(data) != length:
        raise CryptoError(ErrorCode.INVALID_LENGTH, field, f"{length} bytes, got {len(data)}")


def element(data: bytes, field: str = "element") -> bytes:
    """RFC 9497 DeserializeElement: the bytes if they are a canonical element other than the identity.

    Raises CryptoError INVALID_LENGTH, IDENTITY_ELEMENT (a zero key or a collapsed answer looks like that) or
    INVALID_ELEMENT (RFC 9496 section 4.3.1: one element, one encoding; a second would be a second fingerprint).
    """
    _check_length(data, field)
    if data == IDENTITY:
        raise CryptoError(ErrorCode.IDENTITY_ELEMENT, field, "an element other than the identity")
    if _is_valid(data) != 1:
        raise CryptoError(ErrorCode.INVALID_ELEMENT, field, "a canonical ristretto255 encoding")
    return data


def refused_elements(candidates: Sequence[bytes]) -> dict[bytes, CryptoError]:
    """Those of many candidates that :func:`element` refuses, each with why."""
    if _all_right(candidates) and IDENTITY not in candidates and all(map(_is_valid, candidates)):
        return {}
    refused: dict[bytes, CryptoError] = {}
    for candidate in candidates:
        try:
            element(candidate)
        except CryptoError as error:
            refused[candidate] = error
    return refused


def from_uniform(data: bytes) -> bytes:
    """The element that 64 uniform bytes map to (RFC 9496 section 4.3.4)."""
    _check_length(data, "uniform", UNIFORM_BYTES)
    out = _Buffer()
    _from_hash(out, data)
    return out.raw


def from_uniform_each(uniforms: Sequence[bytes]) -> list[bytes]:
    """As :func:`from_uniform` for many."""
    if not _all_right(uniforms, UNIFORM_BYTES):
        raise CryptoError(ErrorCode.INVALID_LENGTH, "uniform", f"{UNIFORM_BYTES} bytes each")
    row = _Row(len(uniforms))
    any(map(_from_hash, row.addresses, uniforms))
    return row.elements()


def _explain(scalar: bytes, point: bytes, field: str) -> CryptoError:
    """Why the library gave no product. The group's order is prime, so one of the two must be wrong."""
    try:
        _check_length(scalar, "scalar")
        element(point, field)
    except CryptoError as error:
        return error
    return CryptoError(ErrorCode.INVALID_SCALAR, "scalar", "not zero")


def multiply(scalar: bytes, point: bytes, field: str = "element") -> bytes:
    """scalar · point. Raises CryptoError where the point is no element, is the identity, or the scalar is zero."""
    out = _Buffer()
    if not _all_right((scalar, point)) or _scalarmult(out, scalar, point) != 0:
        raise _explain(scalar, point, field)
    return out.raw


def multiply_each(
    scalars: Sequence[bytes], points: Sequence[bytes], field: str = "elements", threads: int = 1
) -> list[bytes]:
    """scalars[i] · points[i]. Raises CryptoError as :func:`multiply`, naming ``field[i]``."""
    if len(scalars) != len(points):
        raise CryptoError(ErrorCode.INVALID_LENGTH, field, f"{len(scalars)} elements, got {len(points)}")

    def part(start: int, stop: int) -> list[bytes]:
        some, at = scalars[start:stop], points[start:stop]
        row = _Row(len(at))
        if _all_right(some) and _all_right(at) and not any(map(_scalarmult, row.addresses, some, at)):
            return row.elements()
        return [
            multiply(scalar, point, f"{field}[{i}]")
            for i, (scalar, point) in enumerate(zip(some, at, strict=True), start)
        ]

    return [product for some in in_threads(part, len(points), threads) for product in some]


def base_multiply(scalar: bytes) -> bytes:
    """scalar · G. Raises CryptoError INVALID_SCALAR for zero."""
    _check_length(scalar, "scalar")
    out = _Buffer()
    if _scalarmult_base(out, scalar) != 0:
        raise CryptoError(ErrorCode.INVALID_SCALAR, "scalar", "not zero")
    return out.raw


def add(left: bytes, right: bytes) -> bytes:
    """left + right; either may be the identity. Raises CryptoError INVALID_ELEMENT where one is no element."""
    _check_length(left, "element")
    _check_length(right, "element")
    out = _Buffer()
    if _add(out, left, right) != 0:
        raise CryptoError(ErrorCode.INVALID_ELEMENT, "element", "a canonical ristretto255 encoding")
    return out.raw


def add_each(left: Sequence[bytes], right: Sequence[bytes], field: str = "elements", threads: int = 1) -> list[bytes]:
    """left[i] + right[i]. Raises CryptoError where one is no element."""
    return _pairwise(_add, left, right, field, threads)


def subtract_each(
    left: Sequence[bytes], right: Sequence[bytes], field: str = "elements", threads: int = 1
) -> list[bytes]:
    """left[i] - right[i]. Raises CryptoError where one is no element."""
    return _pairwise(_sub, left, right, field, threads)


def _pairwise(
    call: Callable[..., int], left: Sequence[bytes], right: Sequence[bytes], field: str, threads: int
) -> list[bytes]:
    if len(left) != len(right) or not (_all_right(left) and _all_right(right)):
        raise CryptoError(ErrorCode.INVALID_LENGTH, field, f"as many left as right, {ELEMENT_BYTES} bytes each")

    def part(start: int, stop: int) -> list[bytes]:
        row = _Row(stop - start)
        if any(map(call, row.addresses, left[start:stop], right[start:stop])):
            raise CryptoError(ErrorCode.INVALID_ELEMENT, field, "canonical ristretto255 encodings")
        return row.elements()

    return [total for some in in_threads(part, len(left), threads) for total in some]


def weighted_sum(scalars: Sequence[bytes], points: Sequence[bytes], field: str = "elements", first: int = 0) -> bytes:
    """The sum of scalars[i] · points[i], the identity among the possible results; a zero scalar adds nothing.

    Raises CryptoError naming ``field[first + i]`` where a point is no element or is the identity.
    """
    if len(scalars) != len(points):
        raise CryptoError(ErrorCode.INVALID_LENGTH, field, f"{len(scalars)} elements, got {len(points)}")
    row, total = _Row(len(points)), _Buffer()  # zeros: the identity
    if not (_all_right(scalars) and _all_right(points)) or any(map(_scalarmult, row.addresses, scalars, points)):
        for i, (address, scalar, point) in enumerate(zip(row.addresses, scalars, points, strict=True)):
            if not _all_right((scalar, point)) or _scalarmult(address, scalar, point) != 0:
                error = _explain(scalar, point, f"{field}[{first + i}]")
                if error.code is not ErrorCode.INVALID_SCALAR:
                    raise error
                # A zero scalar: the library has written zeros, the identity.
    any(map(_add, repeat(total), repeat(total), row.addresses))
    return total.raw


def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: one that is started anew for each batch finds no core of its own on a busy machine."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="daxa-group")
        return _pool


def _forget_helpers() -> None:
    """In a forked child the parent's threads do not run, and its lock may be held for ever."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_helpers)


def in_threads(work: Callable[[int, int], _T], count: int, threads: int) -> list[_T]:
    """``work(start, stop)`` over up to ``threads`` adjoining parts of ``range(count)``, the results in order.

    The caller's thread takes the first part, and afterwards any that no helper has begun: it never waits for others' work.
    """
    parts = max(1, min(threads, count // LEAST_PART))
    bounds = [count * i // parts for i in range(parts + 1)]
    waiting: list[tuple[int, int, Future[_T] | None]] = []
    for start, stop in pairwise(bounds[1:]):
        try:
            waiting.append((start, stop, _helpers().submit(work, start, stop)))
        except RuntimeError:  # the interpreter is going down and gives no more threads
            waiting.append((start, stop, None))
    results = [work(0, bounds[1])]
    for start, stop, future in waiting:
        results.append(work(start, stop) if future is None or future.cancel() else future.result())
    return results


def scalar_bytes(value: int) -> bytes:
    """A public scalar as its 32 canonical little-endian bytes; the value is taken modulo the order."""
    return (value % ORDER).to_bytes(SCALAR_BYTES, "little")


def scalar_int(data: bytes, field: str = "scalar") -> int:
    """RFC 9497 DeserializeScalar. Raises CryptoError INVALID_LENGTH or INVALID_SCALAR (not reduced: a second encoding)."""
    _check_length(data, field)
    value = int.from_bytes(data, "little")
    if value >= ORDER:
        raise CryptoError(ErrorCode.INVALID_SCALAR, field, "less than the group's order")
    return value


def secret_scalar(data: bytes, field: str = "scalar") -> bytes:
    """A key, refused when it is read and not when it is used. Raises CryptoError: a zero key collapses the function."""
    if scalar_int(data, field) == 0:
        raise CryptoError(ErrorCode.INVALID_SCALAR, field, "not zero")
    return data


def random_scalar() -> bytes:
    """A uniform scalar, not zero (RFC 9497 section 4.7.1, rejection sampling)."""
    out = _Buffer()
    _scalar_random(out)
    return out.raw


def scalar_reduce(data: bytes) -> bytes:
    """64 uniform bytes, little-endian, modulo the order."""
    _check_length(data, "uniform", UNIFORM_BYTES)
    out = _Buffer()
    _scalar_reduce(out, data)
    return out.raw


def scalar_product(left: bytes, right: bytes) -> bytes:
    """left · right modulo the order; both 32 bytes."""
    _check_length(left, "scalar")
    _check_length(right, "scalar")
    out = _Buffer()
    _scalar_mul(out, left, right)
    return out.raw


def scalar_sum(left: bytes, right: bytes) -> bytes:
    """left + right modulo the order; both 32 bytes."""
    _check_length(left, "scalar")
    _check_length(right, "scalar")
    out = _Buffer()
    _scalar_add(out, left, right)
    return out.raw


def scalar_difference(left: bytes, right: bytes) -> bytes:
    """left - right modulo the order; both 32 bytes."""
    _check_length(left, "scalar")
    _check_length(right, "scalar")
    out = _Buffer()
    _scalar_sub(out, left, right)
    return out.raw


def scalar_inverses(scalars: Sequence[bytes], field: str = "scalars") -> list[bytes]:
    """The inverses of nonzero scalars at the price of one inversion (Montgomery's trick), in constant time.

    Raises CryptoError naming ``field[i]`` for a zero scalar: it would make the product, and so every inverse, zero.
    """
    prefix = [scalar_bytes(1)]
    for i, scalar in enumerate(scalars):
        secret_scalar(scalar, f"{field}[{i}]")
        prefix.append(scalar_product(prefix[-1], scalar))
    out = _Buffer()
    _scalar_invert(out, prefix[-1])
    running, inverses = out.raw, []
    for i in range(len(scalars) - 1, -1, -1):
        inverses.append(scalar_product(running, prefix[i]))
        running = scalar_product(running, scalars[i])
    inverses.reverse()
    return inverses

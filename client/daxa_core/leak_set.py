"""The published set of a leak: what a member holds its own keys against, at home, so that nobody learns which it holds.

A fingerprint is a group element that an oblivious function gave, so its bytes are as good as random: eight of them, cut to as
many bits as the set needs, stand for it. The values are sorted, and the gaps between them Golomb-Rice coded (as in BIP 158,
without its hash): 1.07 times the least that a set of this false-positive rate can take. A set is cut into chunks by the values'
upper bits; each chunk stands alone and is named by its digest, so it can be fetched in any order, again, and kept.

False positives: one value in 2^32 that is not in the set is found in it, for each set, at most. A hit is therefore a question,
and is asked exactly. So many keys may be held against one set until one false hit is to be expected, in millions:

    >>> 2**RATE_BITS // 1_000_000
    4294

A chunk that is torn, or another than the manifest names, is refused before anything of it is believed.

    >>> shape = Shape.of(3)
    >>> chunk = encode(shape, sorted(shape.value(bytes(8) + bytes([n]) * 8 + bytes(16)) for n in (1, 9, 200)))
    >>> shape.value(bytes(8) + bytes([9]) * 8 + bytes(16)) in decode(shape, 0, chunk)
    True
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import CryptoError, ErrorCode, InvalidInput
from .model import FINGERPRINT_BYTES
from .pseudonym import digest

RATE_BITS = 32
"""A value that is not in a set is found in it once in 2 to the power of this."""
CHUNK_KEYS = 65_536
"""About how many values a chunk has: 270 KiB."""
MAX_CHUNK_BYTES = 1 << 20
VALUE_BITS = 64
MAX_KEYS = 1 << 30
DIGEST_CONTEXT = "daxa 2026-11 leak set chunk v1"


@dataclass(frozen=True, slots=True)
class Shape:
    """A set's numbers, all of which follow from how many keys it has: bits of a value, of a remainder, of a chunk's name."""

    keys: int
    bits: int
    rice: int
    split: int

    @classmethod
    def of(cls, keys: int) -> Shape:
        """The shape of a set of so many keys. Raises InvalidInput INVALID_VALUE naming ``keys``."""
        if isinstance(keys, bool) or not isinstance(keys, int) or not 1 <= keys <= MAX_KEYS:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "keys", f"1 to {MAX_KEYS}")
        bits = RATE_BITS + (keys - 1).bit_length()
        # The best parameter for gaps whose mean is 2^bits / keys is ln 2 of that mean.
        rice = max((int((1 << bits) / keys * 0.6931) or 1).bit_length() - 1, 0)
        return cls(keys, min(bits, VALUE_BITS), rice, max((keys - 1) // CHUNK_KEYS, 0).bit_length())

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return 1 << self.split

    def value(self, fingerprint: bytes) -> int:
        """What stands for a fingerprint in the set."""
        return value_of(fingerprint) >> (VALUE_BITS - self.bits)

    def chunk_of(self, value: int) -> int:
        """Which chunk a value is in."""
        return value >> (self.bits - self.split)

    def least_bytes(self) -> float:
        """What information theory asks for a set of this size and false-positive rate."""
        return self.keys * RATE_BITS / 8


def value_of(fingerprint: bytes) -> int:
    """The 64 bits of a fingerprint that are looked at. Raises InvalidInput INVALID_LENGTH."""
    if len(fingerprint) != FINGERPRINT_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "fingerprint", f"{FINGERPRINT_BYTES} bytes")
    return int.from_bytes(fingerprint[8:16], "big")  # away from both ends, whose bits an encoding fixes


def encode(shape: Shape, values: Sequence[int], number: int = 0) -> bytes:
    """One chunk: how many values (4 bytes), then the gaps from its first possible value on, quotients unary, remainders plain."""
    rice, mask = shape.rice, (1 << shape.rice) - 1
    last = number << (shape.bits - shape.split)
    bits: list[str] = []
    for value in values:
        gap = value - last
        bits.append("1" * (gap >> rice) + "0" + (format(gap & mask, f"0{rice}b") if rice else ""))
        last = value
    text = "".join(bits)
    padded = text + "0" * (-len(text) % 8)
    body = int(padded, 2).to_bytes(len(padded) // 8, "big") if padded else b""
    return len(values).to_bytes(4, "big") + body


def decode(shape: Shape, number: int, chunk: bytes) -> array[int]:
    """The values of a chunk, ascending. Raises CryptoError INVALID_CHUNK where it is cut, or is no chunk of that number."""
    if not 4 <= len(chunk) <= MAX_CHUNK_BYTES:
        raise _torn()
    count = int.from_bytes(chunk[:4], "big")
    body = chunk[4:]
    if count > len(body) * 8:
        raise _torn()
    rice, first = shape.rice, number << (shape.bits - shape.split)
    out = array("Q")
    if not count:
        if body:
            raise _torn()
        return out
    text = format(int.from_bytes(body, "big"), f"0{len(body) * 8}b")
    at, last, end = 0, first, first + (1 << (shape.bits - shape.split))
    find = text.find
    for _ in range(count):
        zero = find("0", at)
        stop = zero + 1 + rice
        if zero < 0 or stop > len(text):
            raise _torn()
        last += ((zero - at) << rice) + (int(text[zero + 1 : stop], 2) if rice else 0)
        if last >= end:
            raise _torn()
        out.append(last)
        at = stop
    if len(text) - at >= 8 or "1" in text[at:]:
        raise _torn()
    return out


def chunk_digest(chunk: bytes) -> bytes:
    """32 bytes that name a chunk."""
    return digest(DIGEST_CONTEXT, chunk)


def checked(chunk: bytes, named: bytes) -> bytes:
    """The chunk, if it is the one of that digest. Raises CryptoError INVALID_CHUNK."""
    if chunk_digest(chunk) != named:
        raise _torn()
    return chunk


def _torn() -> CryptoError:
    return CryptoError(ErrorCode.INVALID_CHUNK, "chunk", "the whole chunk that the manifest names")

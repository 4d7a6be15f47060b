"""Hours as a bit set anchored at the first: how a presence keeps when it was seen, in a few bytes.

>>> merge(100, 0b1, 98, 0b1)
(98, 5)
"""

from __future__ import annotations


def merge(first: int, bits: int, other_first: int, other_bits: int) -> tuple[int, int]:
    """The union of two sets of hours: (first hour, bits), bit 0 set."""
    if other_first >= first:
        return first, bits | other_bits << (other_first - first)
    return other_first, other_bits | bits << (first - other_first)


def without(first: int, bits: int, from_hour: int, to_hour: int) -> tuple[int, int]:
    """The set less the hours from_hour to to_hour, both included; bits 0 where nothing is left."""
    # No further than what is there: "everything" would else be a number of half a gigabyte.
    low, high = max(from_hour - first, 0), min(to_hour - first, bits.bit_length() - 1)
    if high >= low:
        bits &= ~(((1 << (high - low + 1)) - 1) << low)
    if not bits:
        return first, 0
    shift = (bits & -bits).bit_length() - 1
    return first + shift, bits >> shift


def pack(bits: int) -> bytes:
    """The bits as few bytes, little-endian."""
    if bits == 1:
        return b"\x01"
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def unpack(data: bytes) -> int:
    """The bits of :func:`pack`."""
    return int.from_bytes(data, "little")

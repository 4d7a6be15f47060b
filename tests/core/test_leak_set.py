"""The published set: everything that is in it is found, it is small, and what is torn is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core import leak_set
from daxa_core.errors import CryptoError, ErrorCode, InvalidInput
from daxa_core.leak_set import CHUNK_KEYS, RATE_BITS, Shape, checked, chunk_digest, decode, encode, value_of

RNG = random.Random(3)


def made(number: int) -> tuple[Shape, list[bytes], list[bytes]]:
    """A set of that many random fingerprints: its shape, the fingerprints, its chunks."""
    prints = [RNG.randbytes(32) for _ in range(number)]
    shape = Shape.of(number)
    parts: list[list[int]] = [[] for _ in range(shape.chunks)]
    for value in sorted({shape.value(one) for one in prints}):
        parts[shape.chunk_of(value)].append(value)
    return shape, prints, [encode(shape, part, place) for place, part in enumerate(parts)]


@pytest.mark.parametrize("number", [1, 2, 3, 1_000, CHUNK_KEYS, CHUNK_KEYS + 1])
def test_every_key_of_the_set_is_found_in_its_chunk(number: int) -> None:
    """And no more values come out than went in."""
    shape, prints, chunks = made(number)
    decoded = [decode(shape, place, chunk) for place, chunk in enumerate(chunks)]
    assert sum(map(len, decoded)) <= number
    known = [set(values) for values in decoded]
    assert all(shape.value(one) in known[shape.chunk_of(shape.value(one))] for one in prints)
    assert sorted(value for values in decoded for value in values) == [v for values in decoded for v in values]


@pytest.mark.parametrize("number", [1_000, 50_000])
def test_it_is_at_most_a_quarter_above_the_least_there_can_be(number: int) -> None:
    """For its false-positive rate, which is 2 to the -32: below the promised 2 to the -30."""
    shape, _, chunks = made(number)
    assert RATE_BITS >= 30
    assert number / 2**shape.bits <= 2**-RATE_BITS
    assert sum(map(len, chunks)) <= 1.25 * shape.least_bytes()


@pytest.mark.parametrize(("number", "bits"), [(700, 5), (1_024, 5), (1_500, 8)])
def test_a_set_of_any_size_has_the_false_positive_rate_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch, number: int, bits: int
) -> None:
    """Measured with rates that can be: no more of 200,000 others are found in it, and no less than half as many."""
    monkeypatch.setattr(leak_set, "RATE_BITS", bits)
    shape, _, chunks = made(number)
    known = {value for place, chunk in enumerate(chunks) for value in decode(shape, place, chunk)}
    found = sum(shape.value(RNG.randbytes(32)) in known for _ in range(200_000))
    expected = 200_000 * 2**-bits
    assert 0.45 * expected < found < 1.1 * expected


@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(0, 255))
def test_a_chunk_that_was_changed_is_not_the_one_that_was_named(place: int, length: int, byte: int) -> None:
    """Any byte: put in, changed or cut off."""
    _, _, [chunk] = SMALL
    at = place % len(chunk)
    for torn in (chunk[:at], chunk[:at] + bytes([byte]) * length + chunk[at:]):
        with pytest.raises(CryptoError) as caught:
            checked(torn, chunk_digest(chunk))
        assert caught.value.code is ErrorCode.INVALID_CHUNK
    assert checked(chunk, chunk_digest(chunk)) == chunk


SMALL = made(200)


@given(st.binary(max_size=400) | st.integers(0, 1_000).map(lambda cut: SMALL[2][0][:cut]))
def test_any_bytes_are_a_chunk_or_refused(data: bytes) -> None:
    """What is read gives the same bytes again."""
    shape = SMALL[0]
    try:
        values = decode(shape, 0, data)
    except CryptoError:
        return
    assert encode(shape, values) == data
    assert list(values) == sorted(values)


@pytest.mark.parametrize("keys", [0, -1, True, 2**31, "7"])
def test_a_shape_that_cannot_be_is_refused(keys: object) -> None:
    """What a manifest says is checked before memory is taken for it."""
    with pytest.raises(InvalidInput) as caught:
        Shape.of(keys)  # type: ignore[arg-type]
    assert caught.value.field == "keys"


def test_a_value_is_of_a_whole_fingerprint() -> None:
    """31 bytes are none."""
    with pytest.raises(InvalidInput):
        value_of(bytes(31))

"""The suite's functions: expansion against RFC 9380, keys, serialisation, and secrets that do not show."""

from __future__ import annotations

import pytest

from daxa_core import group, suite
from daxa_core.errors import InvalidInput

DST = b"QUUX-V01-CS02-with-expander-SHA512-256"
# RFC 9380 appendix K.3, expand_message_xmd with SHA-512.
EXPANSIONS = [
    (b"", "6b9a7312411d92f921c6f68ca0b6380730a1a4d982c507211a90964c394179ba"),
    (b"abc", "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc"),
    (
        b"",
        "41b037d1734a5f8df225dd8c7de38f851efdb45c372887be655212d07251b921b052b62eaed99b46f72f2ef4cc96bfaf"
        "254ebbbec091e1a3b9e4fb5e5b619d2e0c5414800a1d882b62bb5cd1778f098b8eb6cb399d5d9d18f5d5842cf5d13d7e"
        "b00a7cff859b605da678b318bd0e65ebff70bec88c753b159a805d2c89c55961",
    ),
]


@pytest.mark.parametrize(("message", "expected"), EXPANSIONS)
def test_expansion_is_the_published_one(message: bytes, expected: str) -> None:
    """One block and several, as RFC 9380 gives them."""
    assert expected == suite.expand_message_xmd(message, DST, len(expected) // 2).hex()


@pytest.mark.parametrize(("dst", "length"), [(b"", 64), (b"x" * 256, 64), (b"x", 0), (b"x", 16321)])
def test_expansion_refuses_what_the_rfc_does_not_define(dst: bytes, length: int) -> None:
    """A separation tag that is empty or does not fit its length byte would separate nothing."""
    with pytest.raises(InvalidInput, match="INVALID_LENGTH"):
        suite.expand_message_xmd(b"", dst, length)


def test_the_modes_are_separate() -> None:
    """The same input, seed and information give other elements, scalars and keys in another mode."""
    for function in (
        lambda mode: suite.create_context_string(mode),
        lambda mode: suite.hash_to_group(b"x", mode),
        lambda mode: suite.hash_to_scalar(b"x", mode),
        lambda mode: suite.derive_key_pair(bytes(32), b"x", mode),
    ):
        assert function(suite.Mode.OPRF) != function(suite.Mode.VOPRF)


def test_a_derived_key_depends_on_seed_and_info_and_fits_its_public_key() -> None:
    """RFC 9497 section 3.2.1."""
    secret, public = suite.derive_key_pair(bytes(32), b"info")
    assert public == group.base_multiply(secret)
    assert (secret, public) == suite.derive_key_pair(bytes(32), b"info")
    assert (secret, public) != suite.derive_key_pair(bytes(32), b"other")
    assert (secret, public) != suite.derive_key_pair(bytes([1] * 32), b"info")


@pytest.mark.parametrize(("seed", "info"), [(bytes(31), b""), (bytes(33), b""), (bytes(32), bytes(2**16))])
def test_a_seed_or_info_of_the_wrong_length_is_refused(seed: bytes, info: bytes) -> None:
    """Seeds are 32 bytes; the information's length must fit two bytes."""
    with pytest.raises(InvalidInput, match="INVALID_LENGTH"):
        suite.derive_key_pair(seed, info)


def test_a_secret_key_never_shows() -> None:
    """A key pair's repr has the public half only."""
    pair = suite.generate_key_pair()
    assert pair.public.hex() in repr(pair)
    for shown in (repr(pair), str(pair), f"{pair}"):
        assert pair.secret.hex() not in shown
        assert repr(pair.secret) not in shown


def test_serialising_gives_the_bytes_back() -> None:
    """Elements and scalars are their encodings; zero is a scalar."""
    element, scalar = suite.hash_to_group(b"x"), suite.random_scalar()
    assert element == suite.deserialize_element(suite.serialize_element(element))
    assert scalar == suite.deserialize_scalar(suite.serialize_scalar(scalar))
    assert bytes(32) == suite.deserialize_scalar(bytes(32))
    assert group.scalar_bytes(1) == group.scalar_product(scalar, suite.scalar_inverse(scalar))

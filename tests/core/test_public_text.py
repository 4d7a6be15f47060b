"""A text that others will read names no key and no address, in whatever way they are written."""

from __future__ import annotations

import pytest

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.public_text import check_text, holds_address


@pytest.mark.parametrize(
    "address",
    [
        "211.234.10.7",
        "211[.]234[.]10[.]7",
        "2001:db8::1",
        "2001:db8:0:0:0:0:0:1",
        "::1",
        "::ffff:211.234.10.7",
        "\uff12.1.1.1",
    ],
)
@pytest.mark.parametrize("text", ["{}", "from {}, at noon", "({}:443)", "\uc8fc\uc18c {}\uc5d0\uc11c", "at {}."])
def test_an_address_is_found_however_it_stands_in_a_sentence(text: str, address: str) -> None:
    """Plain, with a port, in brackets, in full-width digits, with a Korean particle behind it; the refusal repeats nothing."""
    with pytest.raises(InvalidInput) as refused:
        check_text("name", text.format(address), 100)
    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_VALUE, "name")
    assert "211" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["3commas 2022", "v1.2.3.4", "1.2.3", "300.1.1.1", "12:30:45", "std::cout", "a :: b", "\uac70\ub798\uc18c"]
)
def test_what_only_looks_a_little_like_an_address_is_a_text(text: str) -> None:
    """Versions, times and words."""
    assert not holds_address(text)
    check_text("name", text, 100)


@pytest.mark.parametrize("text", ["", " a", "a ", "a" * 101, "a\nb", "a\ud800", "the list with " + "0aB1" * 10])
def test_what_is_no_short_printable_text_or_holds_a_key_is_refused(text: str) -> None:
    """A lone surrogate too, which no message can carry."""
    with pytest.raises(InvalidInput):
        check_text("name", text, 100)

"""Account pseudonyms and digests: what they tell apart, and what they keep to themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core import pseudonym
from daxa_core.errors import InvalidInput

SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
KNOWN = "7a68e7e773be1bad321cdb0afe8ed83d"


def test_a_pseudonym_is_the_known_one() -> None:
    """A member's stored pseudonyms stay joinable: the function never changes for a version."""
    assert pseudonym.account_pseudonym(SECRET, "12345").hex() == KNOWN


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_accounts_are_told_apart_and_never_link_across_members(one: str, other: str) -> None:
    """Another account, or another member's secret, gives another pseudonym of 16 bytes."""
    mine = pseudonym.account_pseudonym(SECRET, one)
    assert len(mine) == 16
    assert (one == other) == (mine == pseudonym.account_pseudonym(SECRET, other))
    assert mine != pseudonym.account_pseudonym(OTHER, one)


@pytest.mark.parametrize("account", ["", "x" * 257, "\ud800"])
def test_an_account_of_no_use_is_refused(account: str) -> None:
    """1 to 256 bytes of UTF-8; the error does not show it."""
    with pytest.raises(InvalidInput, match=r"^INVALID_ACCOUNT: account: 1 to 256 bytes of UTF-8$"):
        pseudonym.account_pseudonym(SECRET, account)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_secret_of_the_wrong_length_is_refused(length: int) -> None:
    """A short secret would make every customer number guessable."""
    with pytest.raises(InvalidInput, match="INVALID_LENGTH: account_secret"):
        pseudonym.account_pseudonym(bytes(length), "1")


def test_contexts_separate() -> None:
    """The same data or secret under another context gives another digest or key."""
    assert pseudonym.digest("a", b"x") != pseudonym.digest("b", b"x")
    assert pseudonym.derive_key("a", SECRET) != pseudonym.derive_key("b", SECRET)
    assert 32 == len(pseudonym.digest("a", b"")) == len(pseudonym.derive_key("a", SECRET))

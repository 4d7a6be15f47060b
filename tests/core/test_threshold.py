"""Shares: any t of n give the same, and none that is wrong is taken."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_core import group, oprf, suite, threshold
from daxa_core.errors import CryptoError, InvalidInput


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_t_shares_give_what_the_whole_key_gives(data: st.DataObject) -> None:
    """Lagrange combination of any t partial evaluations is the evaluation under the dealt key."""
    evaluators = data.draw(st.integers(1, 7))
    needed = data.draw(st.integers(1, evaluators))
    secret, public = suite.generate_key_pair()
    commitments, shares = threshold.deal(secret, needed, evaluators)
    assert public == commitments[0]
    chosen = data.draw(st.permutations(shares))[:needed]
    x = oprf.hash_input(data.draw(st.binary(max_size=40)))
    partials = {share.index: group.multiply(share.scalar, x) for share in chosen}
    assert group.multiply(secret, x) == threshold.combine(partials)


def test_combining_and_unblinding_at_once_is_the_same_as_one_after_the_other() -> None:
    """The folded scalar of the hot path gives what combine and unblind give, for every choice of evaluators."""
    secret, _ = suite.generate_key_pair()
    _, shares = threshold.deal(secret, 2, 4)
    blinded = oprf.blind_batch([b"a", b"b", b"c"])
    expected = [group.multiply(secret, oprf.hash_input(x)) for x in (b"a", b"b", b"c")]
    for pair in combinations(shares, 2):
        partials = {s.index: [oprf.evaluate(s.scalar, one.element) for one in blinded] for s in pair}
        assert expected == threshold.combine_unblind_batch([one.blind for one in blinded], partials)


def test_fewer_than_t_give_something_else() -> None:
    """One share of two says nothing of the key."""
    secret, _ = suite.generate_key_pair()
    _, shares = threshold.deal(secret, 2, 3)
    x = oprf.hash_input(b"x")
    assert threshold.combine({1: group.multiply(shares[0].scalar, x)}) != group.multiply(secret, x)


def test_a_share_is_checked_against_the_commitments() -> None:
    """Each share lies on the committed polynomial; another's, or a changed one, does not, and its index is named."""
    secret, _ = suite.generate_key_pair()
    commitments, shares = threshold.deal(secret, 3, 5)
    for share in shares:
        assert threshold.verify_share(share.index, share.scalar, commitments)
        assert group.base_multiply(share.scalar) == threshold.public_share(share.index, commitments)
    with pytest.raises(CryptoError, match=r"INVALID_SHARE: shares\[2\]"):
        threshold.check_share(2, shares[0].scalar, commitments)


@pytest.mark.parametrize("indexes", [[], [1, 1], [0], [256], [-1]])
def test_indexes_that_make_no_sense_are_refused(indexes: list[int]) -> None:
    """None, one twice, zero (that would be the key itself) and out of range."""
    with pytest.raises(InvalidInput, match="INVALID_PARAMETERS"):
        threshold.lagrange_coefficients(indexes)


@pytest.mark.parametrize(("needed", "evaluators"), [(0, 3), (4, 3), (1, 256)])
def test_an_impossible_deal_is_refused(needed: int, evaluators: int) -> None:
    """The threshold is at least one and at most the number of evaluators."""
    with pytest.raises(InvalidInput, match="threshold"):
        threshold.deal(suite.random_scalar(), needed, evaluators)


def test_a_share_never_shows() -> None:
    """A share's scalar is not in its repr."""
    _, shares = threshold.deal(suite.random_scalar(), 1, 1)
    assert shares[0].scalar.hex() not in repr(shares[0])
    assert str(shares[0].scalar) not in repr(shares[0])

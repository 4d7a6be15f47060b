"""Shares: any t of n give the same, and none that is wrong is taken."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_core import group, oprf, suite, threshold
from daxa_core.errors import CryptoError, DaxaError, InvalidInput


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


@pytest.mark.parametrize("needed", range(1, 7))
def test_combining_and_unblinding_at_once_is_the_same_as_one_after_the_other(needed: int) -> None:
    """Weights that are small and such that are not, of either sign, for every choice of evaluators in either order."""
    secret, _ = suite.generate_key_pair()
    _, shares = threshold.deal(secret, needed, 7)
    shares.append(threshold.Share(255, share_at(shares[:needed], 255)))
    blinded = oprf.blind_batch([b"a", b"b", b"c"])
    blinds = [one.blind for one in blinded]
    expected = [group.multiply(secret, oprf.hash_input(x)) for x in (b"a", b"b", b"c")]
    answers = {s.index: [oprf.evaluate(s.scalar, one.element) for one in blinded] for s in shares}
    for chosen in combinations(answers, needed):
        for order in (chosen, chosen[::-1]):
            assert expected == threshold.combine_unblind_batch(blinds, {index: answers[index] for index in order})


def share_at(shares: list[threshold.Share], index: int) -> bytes:
    """What lies on the shares' polynomial there."""
    total = 0
    for one in shares:
        term = int.from_bytes(one.scalar, "little")
        for other in shares:
            if other is not one:
                term = term * (index - other.index) * pow(one.index - other.index, -1, group.ORDER) % group.ORDER
        total += term
    return group.scalar_bytes(total)


@pytest.mark.parametrize(
    ("chosen", "multiplied"), [((1, 2), 1), ((3, 2), 1), ((3, 4, 5), 3), ((1, 2, 3), 1), ((7, 255), 2)]
)
def test_few_evaluators_answers_are_added_and_multiplied_once(
    monkeypatch: pytest.MonkeyPatch, chosen: tuple[int, ...], multiplied: int
) -> None:
    """A multiplication costs more than three additions; where the weights are large, each answer has its own."""
    calls: list[int] = []
    multiply_each = group.multiply_each
    monkeypatch.setattr(group, "multiply_each", lambda *asked: calls.append(1) or multiply_each(*asked))
    blinded = oprf.blind_batch([b"a"])
    calls.clear()
    threshold.combine_unblind_batch([blinded[0].blind], {index: [oprf.hash_input(b"x")] for index in chosen})
    assert len(calls) == multiplied


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


@pytest.fixture
def dealt() -> tuple[bytes, list[bytes], list[threshold.Share]]:
    secret, _ = suite.generate_key_pair()
    return secret, *threshold.deal(secret, 2, 3)


def _answer(
    commitments: list[bytes], share: threshold.Share, elements: list[bytes]
) -> tuple[int, list[bytes], list[bytes], list[bytes], bytes]:
    own = threshold.public_share(share.index, commitments)
    evaluated, proof = oprf.blind_evaluate(share.scalar, own, elements)
    return share.index, commitments, elements, evaluated, proof


def test_verified_partials_of_any_two_give_the_fingerprint(
    dealt: tuple[bytes, list[bytes], list[threshold.Share]],
) -> None:
    """Whichever evaluators answer, and however many threads work, the fingerprint is the whole key's evaluation."""
    secret, commitments, shares = dealt
    inputs = [bytes([i]) for i in range(40)]
    blinded = oprf.blind_batch(inputs, threads=2)
    blinds, elements = [one.blind for one in blinded], [one.element for one in blinded]
    expected = [group.multiply(secret, oprf.hash_input(x)) for x in inputs]
    partials = [threshold.verify_partial(*_answer(commitments, share, elements)) for share in shares]
    for chosen in (*combinations(partials, 2), tuple(partials), tuple(reversed(partials))):
        for threads in (1, 2):
            assert expected == threshold.combine_verified(blinds, chosen, threads)


def test_a_wrong_evaluator_is_named(dealt: tuple[bytes, list[bytes], list[threshold.Share]]) -> None:
    """An answer under another share, a changed element, or one too few is refused, and says whose it was."""
    _, commitments, shares = dealt
    elements = [one.element for one in oprf.blind_batch([b"a", b"b"])]
    _, _, _, evaluated, proof = _answer(commitments, shares[0], elements)
    wrong: list[tuple[int, list[bytes], bytes, str]] = [
        (2, evaluated, proof, "INVALID_PROOF"),
        (1, evaluated[::-1], proof, "INVALID_PROOF"),
        (1, evaluated, bytes(64), "INVALID_PROOF"),
        (1, evaluated[:1], proof, "INVALID_LENGTH"),
        (1, [evaluated[0], bytes(32)], proof, "IDENTITY_ELEMENT"),
        (1, [evaluated[0], b"\xff" * 32], proof, "INVALID_ELEMENT"),
        (1, [evaluated[0], evaluated[1][:31]], proof, "INVALID_LENGTH"),
    ]
    for index, answer, shown, code in wrong:
        with pytest.raises(DaxaError, match=rf"^{code}: partials\[{index}\]"):
            threshold.verify_partial(index, commitments, elements, answer, shown)


def test_nothing_unverified_is_combined(dealt: tuple[bytes, list[bytes], list[threshold.Share]]) -> None:
    """Only verify_partial makes a partial; too few, one twice, or answers to other questions do not combine."""
    _, commitments, shares = dealt
    blinded = oprf.blind_batch([b"a"])
    blinds, elements = [one.blind for one in blinded], [one.element for one in blinded]
    first, second = (threshold.verify_partial(*_answer(commitments, share, elements)) for share in shares[:2])
    other = threshold.verify_partial(*_answer(commitments, shares[1], [oprf.blind(b"a")[1]]))
    with pytest.raises(CryptoError, match="INVALID_PROOF"):
        threshold.VerifiedPartial(1, tuple(commitments), tuple(elements), tuple(elements), object())
    for too_few in ([], [first]):
        with pytest.raises(CryptoError, match="NOT_ENOUGH_EVALUATORS"):
            threshold.combine_verified(blinds, too_few)
    for unfit in ([first, first], [first, other], [second, other]):
        with pytest.raises(InvalidInput, match="partials"):
            threshold.combine_verified(blinds, unfit)


def test_the_largest_deal_works() -> None:
    """255 of 255, the most that indexes of one byte allow."""
    secret, _ = suite.generate_key_pair()
    commitments, shares = threshold.deal(secret, 255, 255)
    threshold.check_share(255, shares[-1].scalar, commitments)
    x = oprf.hash_input(b"x")
    assert group.multiply(secret, x) == threshold.combine({s.index: group.multiply(s.scalar, x) for s in shares})


def test_a_zero_or_unreduced_key_cannot_be_dealt_or_held() -> None:
    """A zero key would give everything one fingerprint; it is refused when it is read."""
    for secret in (bytes(32), group.ORDER.to_bytes(32, "little"), b"\xff" * 32):
        with pytest.raises(CryptoError, match="INVALID_SCALAR"):
            threshold.deal(secret, 1, 1)
        with pytest.raises(CryptoError, match=r"INVALID_SCALAR: shares\[1\]"):
            threshold.check_share(1, secret, [suite.GENERATOR])


def test_commitments_that_are_no_elements_are_refused() -> None:
    """A file of parameters that somebody changed is found out where it is read."""
    for commitments in ([], [bytes(32)], [suite.GENERATOR, b"\xff" * 32], [b""]):
        with pytest.raises(DaxaError):
            threshold.public_share(1, commitments)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (7, 255)])
def test_answers_that_cancel_each_other_are_refused(one: int, other: int) -> None:
    """Shares that were dealt so would give every key one fingerprint; whether few additions or multiplications combine them."""
    [blinded] = oprf.blind_batch([b"a"])
    x = oprf.hash_input(b"x")
    partials = {index: [group.multiply(group.scalar_bytes(index), x)] for index in (one, other)}
    with pytest.raises(CryptoError, match="IDENTITY_ELEMENT: partials"):
        threshold.combine_unblind_batch([blinded.blind], partials)

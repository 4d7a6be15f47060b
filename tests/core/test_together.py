"""Answers that are checked together: right ones combine to the fingerprint, and of wrong ones nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from daxa_core import group, oprf, suite, threshold, together
from daxa_core.errors import CryptoError, InvalidInput
from daxa_core.threshold import VerifiedPartial
from daxa_core.together import Question

Answers = dict[int, list[bytes]]
INPUTS = [bytes([n]) for n in range(40)]


class Asked:
    """Two of three evaluators were asked about 40 inputs, without a proof."""

    def __init__(self, chosen: Sequence[int] = (1, 3)) -> None:
        self.secret, _ = suite.generate_key_pair()
        self.commitments, shares = threshold.deal(self.secret, 2, 3)
        self.shares = {share.index: share for share in shares}
        blinded = oprf.blind_batch(INPUTS)
        self.blinds, self.elements = [one.blind for one in blinded], [one.element for one in blinded]
        self.answers: Answers = {i: oprf.evaluate_batch(self.shares[i].scalar, self.elements) for i in chosen}

    def proved(self, element: bytes, indexes: Sequence[int] | None = None) -> list[VerifiedPartial]:
        """What evaluators prove of one element."""
        found = []
        for index in self.answers if indexes is None else indexes:
            own = threshold.public_share(index, self.commitments)
            evaluated, proof = oprf.blind_evaluate(self.shares[index].scalar, own, [element])
            found.append(threshold.verify_partial(index, self.commitments, [element], evaluated, proof))
        return found


@pytest.mark.parametrize("chosen", [(1, 2), (3, 1), (2, 3)])
@pytest.mark.parametrize("threads", [1, 2])
def test_right_answers_of_any_two_give_the_fingerprints(chosen: Sequence[int], threads: int) -> None:
    """In whatever order the proofs come."""
    asked = Asked(chosen)
    question = together.ask(asked.elements, threads)
    proved = asked.proved(question.element)[::-1]
    wanted = [group.multiply(asked.secret, oprf.hash_input(one)) for one in INPUTS]
    assert together.combine(asked.blinds, asked.answers, question, proved, threads) == wanted
    assert together.liars(asked.answers, question, proved, threads) == []


def swapped(asked: Asked) -> None:
    asked.answers[1][7], asked.answers[1][8] = asked.answers[1][8], asked.answers[1][7]


def moved_apart(asked: Asked) -> None:
    """Two errors that cancel in a sum without weights."""
    error = group.base_multiply(group.random_scalar())
    asked.answers[1][7] = group.add(asked.answers[1][7], error)
    [asked.answers[1][8]] = group.subtract_each([asked.answers[1][8]], [error])


def another_key(asked: Asked) -> None:
    asked.answers[1] = oprf.evaluate_batch(group.random_scalar(), asked.elements)


def no_element(asked: Asked) -> None:
    asked.answers[1][39] = b"\xff" * 32


def the_identity(asked: Asked) -> None:
    asked.answers[1][0] = group.IDENTITY


def short(asked: Asked) -> None:
    asked.answers[1][0] = asked.answers[1][0][:31]


@pytest.mark.parametrize("wrong", [swapped, moved_apart, another_key, no_element, the_identity, short])
def test_of_wrong_answers_nothing_is_made_and_who_gave_them_is_named(wrong: Callable[[Asked], None]) -> None:
    """One element of forty is enough, and who answers the question rightly is named all the same."""
    asked = Asked()
    wrong(asked)
    question = together.ask(asked.elements)
    proved = asked.proved(question.element)
    with pytest.raises(CryptoError, match="INVALID_PROOF: answers"):
        together.combine(asked.blinds, asked.answers, question, proved)
    assert together.liars(asked.answers, question, proved) == [1]


def test_what_cancels_in_the_combination_harms_nobody_and_names_both() -> None:
    """Two who lie together so that the fingerprint is right: it is taken."""
    asked = Asked((1, 2))
    # Combined is twice the first less the second.
    error = group.base_multiply(group.random_scalar())
    asked.answers[1][5] = group.add(asked.answers[1][5], error)
    asked.answers[2][5] = group.add(asked.answers[2][5], group.add(error, error))
    question = together.ask(asked.elements)
    proved = asked.proved(question.element)
    assert together.combine(asked.blinds, asked.answers, question, proved)[5] == group.multiply(
        asked.secret, oprf.hash_input(INPUTS[5])
    )
    assert together.liars(asked.answers, question, proved) == [1, 2]


def test_each_question_has_weights_of_its_own_and_shows_none() -> None:
    """Who knew them could make errors that cancel."""
    asked = Asked()
    first, second = together.ask(asked.elements), together.ask(asked.elements)
    assert first.element != second.element
    assert len({*first.weights, *second.weights}) == 2 * len(INPUTS)
    assert first.weights[0].hex() not in repr(first)
    assert str(first.weights[0]) not in repr(first)


def test_proofs_of_something_else_are_refused() -> None:
    """Of another question, of too few, of one evaluator twice, of one who did not answer; and answers that are too few."""
    asked = Asked()
    question = together.ask(asked.elements)
    proved = asked.proved(question.element)
    other = asked.proved(together.ask(asked.elements).element)
    for wrong in (
        other,
        [proved[0], other[1]],
        proved[:1],
        [proved[0], proved[0]],
        asked.proved(question.element, (1, 2)),
        [],
    ):
        with pytest.raises(InvalidInput, match="proved"):
            together.combine(asked.blinds, asked.answers, question, wrong)
    asked.answers[1].pop()
    with pytest.raises(InvalidInput, match="answers"):
        together.combine(asked.blinds, asked.answers, question, proved)
    one = Question(question.element, question.weights)
    with pytest.raises(InvalidInput, match="proved"):  # fewer than t would make something else
        together.combine(asked.blinds, {1: asked.answers[1]}, one, proved[:1])

"""Answers to a batch that are checked together, after they were given, by one proof of each evaluator for one element.

RFC 9497's proof for a batch is one proof for two weighted sums whose weights are hashed out of the answers: so each evaluator's
answers cost whoever checks them two multiplications a key, and the evaluator one. Here whoever asks draws the weights, once all
answers are there. He has the weighted sum of the *blinded* elements evaluated with the RFC's proof, a batch of one, by the same
evaluators; their combination must be the weighted sum of what was combined. Weights have 128 bits and nobody knew them when he
answered, so a wrong answer passes with a chance of 2^-128, whatever its maker can compute (Bellare, Garay, Rabin 1998, the small
exponents test). An evaluator learns a combination, by weights that it does not know, of elements that are random to it.

Refused: a batch of which one combination is wrong; :func:`liars` says who gave it.

    >>> from daxa_core import oprf, suite
    >>> secret, public = suite.generate_key_pair()
    >>> commitments, shares = threshold.deal(secret, threshold=2, evaluators=3)
    >>> blinded = oprf.blind_batch([b"x", b"y"])
    >>> elements = [one.element for one in blinded]
    >>> answers = {share.index: oprf.evaluate_batch(share.scalar, elements) for share in shares[:2]}
    >>> question = ask(elements)
    >>> proved = []
    >>> for share in shares[:2]:
    ...     own = threshold.public_share(share.index, commitments)
    ...     evaluated, proof = oprf.blind_evaluate(share.scalar, own, [question.element])
    ...     proved.append(threshold.verify_partial(share.index, commitments, [question.element], evaluated, proof))
    >>> fingerprints = combine([one.blind for one in blinded], answers, question, proved)
    >>> fingerprints[0] == group.multiply(secret, oprf.hash_input(b"x"))
    True
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import group, threshold
from .errors import CryptoError, ErrorCode, InvalidInput
from .threshold import VerifiedPartial

WEIGHT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Question:
    """A weighted sum of a batch's blinded elements, to be evaluated with a proof; the weights are told to nobody."""

    element: bytes
    weights: list[bytes] = field(repr=False)


def ask(blinded_elements: Sequence[bytes], threads: int = 1) -> Question:
    """The question about a batch. Make it when all the answers are there: who knew the weights could answer as he liked."""
    rest = bytes(group.SCALAR_BYTES - WEIGHT_BYTES)
    weights = [secrets.token_bytes(WEIGHT_BYTES) + rest for _ in blinded_elements]
    return Question(_sum(weights, blinded_elements, "blinded_elements", threads), weights)


def combine(
    blinds: Sequence[bytes],
    answers: Mapping[int, Sequence[bytes]],
    question: Question,
    proved: Sequence[VerifiedPartial],
    threads: int = 1,
) -> list[bytes]:
    """Combines and unblinds the answers of t evaluators, by index, if they agree with what the same ones proved of the question.

    For evaluators whose answers are added up (:func:`daxa_core.threshold.adds_up`). Raises CryptoError INVALID_PROOF ``answers``
    where they do not, or where one is no element; InvalidInput where the proofs are not of these evaluators for that question.
    """
    by_index = {one.index: one.evaluated_elements for one in proved if one.blinded_elements == (question.element,)}
    needed = {len(one.commitments) for one in proved}
    if by_index.keys() != answers.keys() or len(proved) != len(answers) or needed != {len(answers)}:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "proved", "one proof of each who answered, of the question")
    if any(len(elements) != len(question.weights) for elements in answers.values()):
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "answers", f"{len(question.weights)} elements of each evaluator")
    in_order = {index: by_index[index] for index in answers}
    try:
        totals, denominator = threshold.sums(answers, threads)
        [expected], _ = threshold.sums(in_order)
        right = _sum(question.weights, totals, "answers", threads) == expected
    except CryptoError:
        right = False
    if not right:
        raise CryptoError(ErrorCode.INVALID_PROOF, "answers", "what the evaluators prove of a combination of them")
    return threshold.unblind_sums(blinds, totals, denominator, threads)


def liars(
    answers: Mapping[int, Sequence[bytes]], question: Question, proved: Sequence[VerifiedPartial], threads: int = 1
) -> list[int]:
    """Whose answers are not what he proved of their combination."""
    found = []
    for one in proved:
        try:
            right = _sum(question.weights, answers[one.index], "answers", threads) == one.evaluated_elements[0]
        except CryptoError:
            right = False
        if not right:
            found.append(one.index)
    return found


def _sum(weights: Sequence[bytes], points: Sequence[bytes], name: str, threads: int) -> bytes:
    def part(start: int, stop: int) -> bytes:
        return group.weighted_sum(weights[start:stop], points[start:stop], name, start)

    first, *more = group.in_threads(part, len(points), threads)
    for one in more:
        first = group.add(first, one)
    return first

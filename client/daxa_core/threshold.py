"""Shamir shares of a key with Feldman commitments, and the combination of any t of n verified evaluations.

A share is checked against the commitments, an evaluation by its proof against the public share that the commitments
give, and the combination is Lagrange's at zero. Indexes are the shares' x-coordinates, 1 to 255. A wrong share or
evaluation is refused naming its index. :func:`combine_verified` takes nothing that was not verified; :func:`combine`
and :func:`combine_unblind_batch` trust their caller to have done it.

    >>> from daxa_core import oprf, suite
    >>> secret, public = suite.generate_key_pair()
    >>> commitments, shares = deal(secret, threshold=2, evaluators=3)
    >>> blinded = oprf.blind_batch([b"x", b"y"])
    >>> elements = [one.element for one in blinded]
    >>> partials = []
    >>> for share in shares[1:]:
    ...     own = public_share(share.index, commitments)
    ...     evaluated, proof = oprf.blind_evaluate(share.scalar, own, elements)
    ...     partials.append(verify_partial(share.index, commitments, elements, evaluated, proof))
    >>> fingerprints = combine_verified([one.blind for one in blinded], partials)
    >>> fingerprints[0] == group.multiply(secret, oprf.hash_input(b"x"))
    True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from math import lcm

from . import dleq, group, suite
from .errors import CryptoError, ErrorCode, InvalidInput
from .group import ORDER
from .suite import Mode

MAX_EVALUATORS = 255
MULTIPLICATION = 3
"""A multiplication takes as long as so many additions, and half of one more."""
_VERIFIED = object()


@dataclass(frozen=True, slots=True)
class Share:
    """One evaluator's share: never shown."""

    index: int
    scalar: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerifiedPartial:
    """One evaluator's answer to a batch, its proof checked; only :func:`verify_partial` makes one."""

    index: int
    commitments: tuple[bytes, ...] = field(repr=False)
    blinded_elements: tuple[bytes, ...] = field(repr=False)
    evaluated_elements: tuple[bytes, ...] = field(repr=False)
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _VERIFIED:
            raise CryptoError(ErrorCode.INVALID_PROOF, f"partials[{self.index}]", "one that verify_partial made")


def deal(secret: bytes, threshold: int, evaluators: int) -> tuple[list[bytes], list[Share]]:
    """Splits a key: the commitments to the polynomial's coefficients (the first is the public key), and n shares.

    Raises InvalidInput unless 1 <= threshold <= evaluators <= 255, CryptoError for a zero key.
    """
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (threshold, evaluators))
    if not whole or not 1 <= threshold <= evaluators <= MAX_EVALUATORS:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "threshold", f"1 <= threshold <= evaluators <= {MAX_EVALUATORS}")
    coefficients = [group.secret_scalar(secret, "secret")]
    coefficients += [group.random_scalar() for _ in range(threshold - 1)]
    commitments = [group.base_multiply(coefficient) for coefficient in coefficients]
    shares = []
    for index in range(1, evaluators + 1):
        x, value = group.scalar_bytes(index), coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            value = group.scalar_sum(group.scalar_product(value, x), coefficient)
        if not any(value):  # one chance in 2^252: a zero share is refused by its evaluator, so deal again
            return deal(secret, threshold, evaluators)
        shares.append(Share(index, value))
    return commitments, shares


def public_share(index: int, commitments: Sequence[bytes]) -> bytes:
    """The public key of the share at ``index``: the committed polynomial there.

    Raises CryptoError naming ``commitments[i]`` that is no element, and where the public share is the identity.
    """
    return _public_share(index, tuple(commitments))


@lru_cache(4096)
def _public_share(index: int, commitments: tuple[bytes, ...]) -> bytes:
    _check_index(index)
    if not 1 <= len(commitments) <= MAX_EVALUATORS:
        raise InvalidInput(ErrorCode.INVALID_PARAMETERS, "commitments", f"1 to {MAX_EVALUATORS}")
    powers = [group.scalar_bytes(pow(index, j, ORDER)) for j in range(len(commitments))]
    return group.element(group.weighted_sum(powers, commitments, "commitments"), "public_share")


def verify_share(index: int, share: bytes, commitments: Sequence[bytes]) -> bool:
    """Whether the share lies on the committed polynomial (Feldman 1987). Raises CryptoError for what is no scalar."""
    return group.base_multiply(group.secret_scalar(share, f"shares[{index}]")) == public_share(index, commitments)


def check_share(index: int, share: bytes, commitments: Sequence[bytes]) -> None:
    """As :func:`verify_share`, but raises CryptoError INVALID_SHARE naming the index."""
    if not verify_share(index, share, commitments):
        raise CryptoError(ErrorCode.INVALID_SHARE, f"shares[{index}]", "a share of the committed key")


def verify_partial(
    index: int,
    commitments: Sequence[bytes],
    blinded_elements: Sequence[bytes],
    evaluated_elements: Sequence[bytes],
    proof: bytes,
    mode: Mode = Mode.VOPRF,
    threads: int = 1,
) -> VerifiedPartial:
    """Checks the proof of the evaluator at ``index`` for a batch against its public share.

    Raises CryptoError or InvalidInput whose field begins with ``partials[index]``: that evaluator is broken or lies.
    """
    committed, c, d = tuple(commitments), tuple(blinded_elements), tuple(evaluated_elements)
    public = public_share(index, committed)
    try:
        dleq.check(suite.GENERATOR, public, c, d, proof, mode, threads)
    except (CryptoError, InvalidInput) as error:
        raise error.within(f"partials[{index}]") from None
    return VerifiedPartial(index, committed, c, d, _VERIFIED)


def lagrange_coefficients(indexes: Iterable[int]) -> dict[int, int]:
    """The weight of each index for the value at zero. Raises InvalidInput for none, one twice, or one out of range."""
    listed = list(indexes)
    for index in listed:
        _check_index(index)
    if not listed or len(set(listed)) != len(listed):  # equal indexes would divide by zero
        raise InvalidInput(ErrorCode.INVALID_PARAMETERS, "indexes", "one or more, each once")
    out = {}
    for i in listed:
        top = bottom = 1
        for j in listed:
            if j != i:
                top = top * j % ORDER
                bottom = bottom * (j - i) % ORDER
        out[i] = top * pow(bottom, -1, ORDER) % ORDER
    return out


def combine(partials: Mapping[int, bytes]) -> bytes:
    """The evaluation under the whole key from t evaluations by index. Verify each one first, and give t or more:
    fewer make another element, and nothing can tell."""
    weights = lagrange_coefficients(partials)
    scalars = [group.scalar_bytes(weights[i]) for i in partials]
    elements = [group.element(element, f"partials[{index}]") for index, element in partials.items()]
    return group.element(group.weighted_sum(scalars, elements), "partials")


def combine_verified(blinds: Sequence[bytes], partials: Sequence[VerifiedPartial], threads: int = 1) -> list[bytes]:
    """Combines and unblinds what t evaluators answered to one batch; of more than t, the first t are used.

    Raises CryptoError NOT_ENOUGH_EVALUATORS for fewer than t, InvalidInput where the partials do not answer the same
    batch under the same commitments, or one evaluator stands twice.
    """
    if not partials:
        raise CryptoError(ErrorCode.NOT_ENOUGH_EVALUATORS, "partials", "one or more")
    commitments, elements = partials[0].commitments, partials[0].blinded_elements
    for partial in partials:
        if partial.commitments != commitments or partial.blinded_elements != elements:
            raise InvalidInput(ErrorCode.INVALID_VALUE, f"partials[{partial.index}]", "the same batch, key and shares")
    by_index = {partial.index: partial.evaluated_elements for partial in partials}
    if len(by_index) != len(partials):
        raise InvalidInput(ErrorCode.INVALID_PARAMETERS, "partials", "each evaluator once")
    needed = len(commitments)
    if len(partials) < needed:
        raise CryptoError(ErrorCode.NOT_ENOUGH_EVALUATORS, "partials", f"{needed}, got {len(partials)}")
    return combine_unblind_batch(blinds, dict(list(by_index.items())[:needed]), threads)


def combine_unblind_batch(
    blinds: Sequence[bytes], partials: Mapping[int, Sequence[bytes]], threads: int = 1
) -> list[bytes]:
    """Combines and unblinds many.

    The Lagrange weights of few evaluators are small whole numbers over one denominator: then the partials are added up as often
    as those say, and multiplied once, by the inverse of denominator and blind. Otherwise each is multiplied, by its weight over
    the blind. ``partials`` has one list by index, each as long as ``blinds``. Verify each list's proof first.
    """
    weights = lagrange_coefficients(partials)
    if any(len(elements) != len(blinds) for elements in partials.values()):
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "partials", f"{len(blinds)} elements of each evaluator")
    if adds_up(list(partials)):
        return unblind_sums(blinds, *sums(partials, threads), threads)
    inverses = group.scalar_inverses(blinds, "blinds")
    totals: list[bytes] = []
    for index, elements in partials.items():
        weight = group.scalar_bytes(weights[index])
        scalars = [group.scalar_product(weight, inverse) for inverse in inverses]
        products = group.multiply_each(scalars, elements, f"partials[{index}]", threads)
        totals = group.add_each(totals, products, "partials", threads) if totals else products
    return _not_cancelled(totals)


def adds_up(indexes: Sequence[int]) -> bool:
    """Whether the answers of those evaluators are combined sooner by adding them up than by multiplying each."""
    wholes, _ = _whole_weights(indexes)
    return _additions(wholes.values()) < (len(indexes) - 1) * (MULTIPLICATION + 1)


def sums(partials: Mapping[int, Sequence[bytes]], threads: int = 1) -> tuple[list[bytes], int]:
    """Of many the combination times a whole number, and that number. Raises CryptoError for what is no element, or cancels."""
    wholes, denominator = _whole_weights(list(partials))
    return _not_cancelled(_added_up(partials, wholes, threads)), denominator


def unblind_sums(blinds: Sequence[bytes], totals: Sequence[bytes], denominator: int, threads: int = 1) -> list[bytes]:
    """What :func:`sums` gave, divided by its number and each by its blind."""
    inverse = group.scalar_bytes(pow(denominator, -1, ORDER))
    scalars = [group.scalar_product(inverse, one) for one in group.scalar_inverses(blinds, "blinds")]
    return group.multiply_each(scalars, totals, "partials", threads)


def _whole_weights(indexes: Sequence[int]) -> tuple[dict[int, int], int]:
    """The weights at zero as whole numbers, and what all of them are to be divided by; a positive one comes in first."""
    exact = {i: Fraction(1) for i in indexes}
    for i, j in permutations(indexes, 2):
        exact[i] *= Fraction(j, j - i)
    denominator = lcm(*(weight.denominator for weight in exact.values()))
    wholes = {i: int(weight * denominator) for i, weight in exact.items()}
    if max(wholes.values()).bit_length() < _width(wholes.values()):
        wholes, denominator = {i: -weight for i, weight in wholes.items()}, -denominator
    return dict(sorted(wholes.items(), key=lambda one: one[1], reverse=True)), denominator


def _width(weights: Iterable[int]) -> int:
    return max(weight.bit_length() for weight in weights)


def _additions(weights: Iterable[int]) -> int:
    """How many :func:`_added_up` takes for one input."""
    listed = list(weights)
    return _width(listed) - 1 + sum(weight.bit_count() for weight in listed) - 1


def _added_up(partials: Mapping[int, Sequence[bytes]], weights: Mapping[int, int], threads: int) -> list[bytes]:
    """The sum of each one's elements as often as its weight says, bit by bit. Weights and partials are public."""
    totals: list[bytes] = []
    for bit in reversed(range(_width(weights.values()))):
        if totals:
            totals = group.add_each(totals, totals, "partials", threads)
        for index, weight in weights.items():
            if abs(weight) >> bit & 1:
                put = group.add_each if weight > 0 else group.subtract_each
                elements = partials[index]
                totals = put(totals, elements, f"partials[{index}]", threads) if totals else list(elements)
    return totals


def _not_cancelled(totals: list[bytes]) -> list[bytes]:
    if group.IDENTITY in totals:  # shares chosen to cancel: everybody's fingerprint would be the same
        raise CryptoError(ErrorCode.IDENTITY_ELEMENT, "partials", "a combination other than the identity")
    return totals


def _check_index(index: int) -> None:
    if not isinstance(index, int) or isinstance(index, bool) or not 1 <= index <= MAX_EVALUATORS:
        raise InvalidInput(ErrorCode.INVALID_PARAMETERS, "index", f"1 to {MAX_EVALUATORS}")

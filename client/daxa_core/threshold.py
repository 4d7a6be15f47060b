"""Shamir shares of a key with Feldman commitments, and the combination of any t of n evaluations.

A share is checked against the commitments, an evaluation by its proof against the public share that the commitments give, and
the combination by Lagrange's coefficients at zero. Indexes are the shares' x-coordinates, 1 to 255.

    >>> from daxa_core import suite
    >>> secret, public = suite.generate_key_pair()
    >>> commitments, shares = deal(secret, threshold=2, evaluators=3)
    >>> x = suite.hash_to_group(b"x")
    >>> partials = {share.index: group.multiply(share.scalar, x) for share in shares[1:]}
    >>> combine(partials) == group.multiply(secret, x)
    True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from . import group
from .errors import CryptoError, ErrorCode, InvalidInput
from .group import ORDER

MAX_EVALUATORS = 255


@dataclass(frozen=True, slots=True)
class Share:
    """One evaluator's share: never shown."""

    index: int
    scalar: bytes = field(repr=False)


def deal(secret: bytes, threshold: int, evaluators: int) -> tuple[list[bytes], list[Share]]:
    """Splits a key: the commitments to the polynomial's coefficients (the first is the public key), and n shares.

    Raises InvalidInput unless 1 <= threshold <= evaluators <= 255.
    """
    if not 1 <= threshold <= evaluators <= MAX_EVALUATORS:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "threshold", f"1 <= threshold <= evaluators <= {MAX_EVALUATORS}")
    coefficients = [group.scalar_int(group.secret_scalar(secret))]
    coefficients += [group.scalar_int(group.random_scalar()) for _ in range(threshold - 1)]
    commitments = [group.base_multiply(group.scalar_bytes(value)) for value in coefficients]
    shares = []
    for index in range(1, evaluators + 1):
        value = 0
        for coefficient in reversed(coefficients):
            value = (value * index + coefficient) % ORDER
        if value == 0:  # one chance in 2^252: a zero share is refused by its evaluator, so deal again
            return deal(secret, threshold, evaluators)
        shares.append(Share(index, group.scalar_bytes(value)))
    return commitments, shares


def public_share(index: int, commitments: Sequence[bytes]) -> bytes:
    """The public key of the share at ``index``: the committed polynomial there."""
    _check_index(index)
    if not commitments:
        raise InvalidInput(ErrorCode.INVALID_PARAMETERS, "commitments", "one or more")
    powers = [group.scalar_bytes(pow(index, j, ORDER)) for j in range(len(commitments))]
    return group.weighted_sum(powers, [group.element(c) for c in commitments])


def verify_share(index: int, share: bytes, commitments: Sequence[bytes]) -> bool:
    """Whether the share lies on the committed polynomial (Feldman 1987)."""
    return group.base_multiply(group.secret_scalar(share)) == public_share(index, commitments)


def check_share(index: int, share: bytes, commitments: Sequence[bytes]) -> None:
    """As :func:`verify_share`, but raises CryptoError INVALID_SHARE naming the index."""
    if not verify_share(index, share, commitments):
        raise CryptoError(ErrorCode.INVALID_SHARE, f"shares[{index}]", "a share of the committed key")


def lagrange_coefficients(indexes: Iterable[int]) -> dict[int, int]:
    """The weight of each index for the value at zero. Raises InvalidInput for none, one twice, or one out of range."""
    listed = list(indexes)
    for index in listed:
        _check_index(index)
    if not listed or len(set(listed)) != len(listed):
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
    """The evaluation under the whole key from t evaluations by index. Verify each one first."""
    weights = lagrange_coefficients(partials)
    result = group.weighted_sum([group.scalar_bytes(weights[i]) for i in partials], list(partials.values()))
    return group.element(result)


def combine_unblind_batch(blinds: Sequence[bytes], partials: Mapping[int, Sequence[bytes]]) -> list[bytes]:
    """Combines and unblinds many: each partial is multiplied once, by its Lagrange weight over the blind.

    ``partials`` has one list by index, each as long as ``blinds``. Verify each list's proof first.
    """
    weights = lagrange_coefficients(partials)
    inverses = group.invert([group.scalar_int(blind) for blind in blinds])
    lists = [(weights[index], elements) for index, elements in partials.items()]
    if any(len(elements) != len(blinds) for _, elements in lists):
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "partials", f"{len(blinds)} elements of each evaluator")
    out = []
    for position, inverse in enumerate(inverses):
        scalars = [group.scalar_bytes(weight * inverse) for weight, _ in lists]
        total = group.weighted_sum(scalars, [elements[position] for _, elements in lists])
        if total == group.IDENTITY:
            raise CryptoError(ErrorCode.IDENTITY_ELEMENT, "partials", "a combination other than the identity")
        out.append(total)
    return out


def _check_index(index: int) -> None:
    if not 1 <= index <= MAX_EVALUATORS:
        raise InvalidInput(ErrorCode.INVALID_PARAMETERS, "index", f"1 to {MAX_EVALUATORS}")

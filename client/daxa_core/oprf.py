"""RFC 9497 section 3.3: blind, evaluate, unblind, finalize, in modes OPRF and VOPRF.

The client blinds an input, a server evaluates it without learning it, the client unblinds. This project's fingerprint is what
``unblind`` gives, an element, because that can be re-keyed; ``finalize`` is the RFC's hash of it, for conformance.

    >>> secret, public = suite.generate_key_pair()
    >>> blind_scalar, blinded = blind(b"input")
    >>> evaluated, proof = blind_evaluate(secret, public, [blinded])
    >>> dleq.check(suite.GENERATOR, public, [blinded], evaluated, proof)
    >>> finalize(b"input", blind_scalar, evaluated[0]) == direct_evaluate(secret, b"input")
    True
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import dleq, group, suite
from .errors import CryptoError, ErrorCode, InvalidInput
from .suite import MAX_INPUT_BYTES, Mode


@dataclass(frozen=True, slots=True)
class Blinded:
    """One blinded input: what goes to the evaluators, and the blind that stays here."""

    element: bytes
    blind: bytes = field(repr=False)


def blind(input: bytes, mode: Mode = Mode.VOPRF) -> tuple[bytes, bytes]:
    """RFC 9497 Blind: (blind, blinded element), the blind fresh and uniform.

    Raises InvalidInput for an input over 65,535 bytes or one that maps to the identity.
    """
    return _blind_with(input, group.random_scalar(), mode)


def _blind_with(input: bytes, blind: bytes, mode: Mode = Mode.VOPRF) -> tuple[bytes, bytes]:
    """Hazardous: an input blinded twice with one blind can be linked. For the RFC's vectors only."""
    return blind, group.multiply(blind, hash_input(input, mode))


def hash_input(input: bytes, mode: Mode = Mode.VOPRF) -> bytes:
    """The element that stands for the input. Raises InvalidInput where it is too long or maps to the identity."""
    if len(input) > MAX_INPUT_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "input", f"at most {MAX_INPUT_BYTES} bytes")
    point = suite.hash_to_group(input, mode)
    if point == group.IDENTITY:
        raise InvalidInput(ErrorCode.IDENTITY_ELEMENT, "input", "one that maps to another element than the identity")
    return point


def blind_batch(inputs: Sequence[bytes], mode: Mode = Mode.VOPRF) -> list[Blinded]:
    """Blinds each input with a blind of its own."""
    out = []
    for item in inputs:
        scalar, element = blind(item, mode)
        out.append(Blinded(element, scalar))
    return out


def evaluate(secret: bytes, blinded_element: bytes) -> bytes:
    """RFC 9497 section 3.3.1, BlindEvaluate: the element times the key. Raises CryptoError where it is no element."""
    return group.multiply(secret, blinded_element)


def blind_evaluate(
    secret: bytes, public: bytes, blinded_elements: Sequence[bytes], mode: Mode = Mode.VOPRF
) -> tuple[list[bytes], bytes]:
    """RFC 9497 section 3.3.2, BlindEvaluate for a batch: the evaluated elements and one proof for all of them.

    Raises CryptoError whose field names the element, ``blinded_elements[i]``, that is none.
    """
    evaluated = []
    for index, element in enumerate(blinded_elements):
        try:
            evaluated.append(group.multiply(secret, element))
        except CryptoError as error:
            raise CryptoError(error.code, f"blinded_elements[{index}]", error.expected) from None
    return evaluated, dleq.prove(secret, suite.GENERATOR, public, blinded_elements, evaluated, mode)


def unblind(blind: bytes, evaluated_element: bytes) -> bytes:
    """The evaluation of the input itself: the evaluated element divided by the blind."""
    return group.multiply(suite.scalar_inverse(blind), evaluated_element)


def unblind_batch(blinds: Sequence[bytes], evaluated_elements: Sequence[bytes]) -> list[bytes]:
    """As :func:`unblind` for many, with one inversion for all the blinds."""
    inverses = group.invert([group.scalar_int(b) for b in blinds])
    return [
        group.multiply(group.scalar_bytes(inverse), element)
        for inverse, element in zip(inverses, evaluated_elements, strict=True)
    ]


def finalize(input: bytes, blind: bytes, evaluated_element: bytes) -> bytes:
    """RFC 9497 Finalize without the proof's check (:func:`dleq.check` does that): the 64-byte output."""
    return _output(input, unblind(blind, evaluated_element))


def direct_evaluate(secret: bytes, input: bytes, mode: Mode = Mode.VOPRF) -> bytes:
    """RFC 9497 Evaluate: the output that :func:`finalize` would give, by whoever holds the whole key."""
    return _output(input, group.multiply(secret, hash_input(input, mode)))


def _output(input: bytes, element: bytes) -> bytes:
    framed = len(input).to_bytes(2, "big") + input + len(element).to_bytes(2, "big") + element
    return hashlib.sha512(framed + b"Finalize").digest()

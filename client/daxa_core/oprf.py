"""RFC 9497 section 3.3: blind, evaluate, unblind, finalize, in modes OPRF and VOPRF.

The client blinds an input, a server evaluates it without learning it, the client unblinds. This project's fingerprint is
what ``unblind`` gives, an element, because that can be re-keyed; ``finalize`` is the RFC's hash of it, for conformance.
Blinds are always fresh: blinding with a chosen scalar is not public. What many inputs go through at once takes
``threads``, how many threads to spread a batch over.

    >>> secret, public = suite.generate_key_pair()
    >>> blind_scalar, blinded = blind(b"input")
    >>> evaluated, proof = blind_evaluate(secret, public, [blinded])
    >>> output = finalize(b"input", blind_scalar, evaluated[0], blinded, public, proof)
    >>> output == direct_evaluate(secret, b"input")
    True
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import dleq, group, suite
from .errors import ErrorCode, InvalidInput
from .suite import MAX_INPUT_BYTES, Mode


@dataclass(frozen=True, slots=True)
class Blinded:
    """One blinded input: what goes to the evaluators, and the blind that stays here and is never shown."""

    element: bytes
    blind: bytes = field(repr=False)


def hash_input(input: bytes, mode: Mode = Mode.VOPRF) -> bytes:
    """The element that stands for the input. Raises InvalidInput where it is too long or maps to the identity."""
    return _hash_inputs([input], mode, lambda _: "input")[0]


def _hash_inputs(inputs: Sequence[bytes], mode: Mode, name: Callable[[int], str]) -> list[bytes]:
    for i, input in enumerate(inputs):
        if not isinstance(input, bytes) or len(input) > MAX_INPUT_BYTES:
            raise InvalidInput(ErrorCode.INVALID_LENGTH, name(i), f"bytes, at most {MAX_INPUT_BYTES}")
    points = suite.hash_to_group_each(inputs, mode)
    if group.IDENTITY in points:  # RFC 9497 section 3.3: InvalidInputError; no key would change its evaluation
        expected = "one that maps to another element than the identity"
        raise InvalidInput(ErrorCode.IDENTITY_ELEMENT, name(points.index(group.IDENTITY)), expected)
    return points


def blind(input: bytes, mode: Mode = Mode.VOPRF) -> tuple[bytes, bytes]:
    """RFC 9497 Blind: (blind, blinded element), the blind fresh and uniform.

    Raises InvalidInput for an input over 65,535 bytes or one that maps to the identity.
    """
    return _blind_with(input, group.random_scalar(), mode)


def _blind_with(input: bytes, blind: bytes, mode: Mode = Mode.VOPRF) -> tuple[bytes, bytes]:
    """Hazardous: an input blinded twice with one blind can be linked. For the RFC's vectors only."""
    return blind, group.multiply(blind, hash_input(input, mode))


def blind_batch(inputs: Sequence[bytes], mode: Mode = Mode.VOPRF, threads: int = 1) -> list[Blinded]:
    """Blinds each input with a blind of its own. Raises InvalidInput naming ``inputs[i]``."""

    def part(start: int, stop: int) -> list[Blinded]:
        points = _hash_inputs(inputs[start:stop], mode, lambda i: f"inputs[{start + i}]")
        blinds = [group.random_scalar() for _ in points]
        return [Blinded(e, b) for e, b in zip(group.multiply_each(blinds, points), blinds, strict=True)]

    return [one for some in group.in_threads(part, len(inputs), threads) for one in some]


def evaluate(secret: bytes, blinded_element: bytes) -> bytes:
    """RFC 9497 section 3.3.1, BlindEvaluate: the element times the key. Raises CryptoError where it is no element."""
    return group.multiply(group.secret_scalar(secret, "secret"), blinded_element, "blinded_element")


def evaluate_batch(secret: bytes, blinded_elements: Sequence[bytes], threads: int = 1) -> list[bytes]:
    """As :func:`evaluate` for many. Raises CryptoError whose field names the element, ``blinded_elements[i]``, that is none."""
    keys = [group.secret_scalar(secret, "secret")] * len(blinded_elements)
    return group.multiply_each(keys, blinded_elements, "blinded_elements", threads)


def blind_evaluate(
    secret: bytes, public: bytes, blinded_elements: Sequence[bytes], mode: Mode = Mode.VOPRF, threads: int = 1
) -> tuple[list[bytes], bytes]:
    """RFC 9497 section 3.3.2, BlindEvaluate for a batch: the evaluated elements and one proof for all of them.

    Raises CryptoError whose field names the element, ``blinded_elements[i]``, that is none.
    """
    evaluated = evaluate_batch(secret, blinded_elements, threads)
    return evaluated, dleq.prove(secret, suite.GENERATOR, public, blinded_elements, evaluated, mode, threads)


def unblind(blind: bytes, evaluated_element: bytes) -> bytes:
    """The evaluation of the input itself: the evaluated element divided by the blind."""
    return group.multiply(suite.scalar_inverse(blind), evaluated_element, "evaluated_element")


def unblind_batch(blinds: Sequence[bytes], evaluated_elements: Sequence[bytes], threads: int = 1) -> list[bytes]:
    """As :func:`unblind` for many, with one inversion for all the blinds. Check the batch's proof first.

    Raises CryptoError naming ``evaluated_elements[i]``.
    """
    return group.multiply_each(
        group.scalar_inverses(blinds, "blinds"), evaluated_elements, "evaluated_elements", threads
    )


def finalize(
    input: bytes,
    blind: bytes,
    evaluated_element: bytes,
    blinded_element: bytes | None = None,
    public: bytes | None = None,
    proof: bytes | None = None,
    mode: Mode = Mode.VOPRF,
) -> bytes:
    """RFC 9497 Finalize: the 64-byte output. With the last three, section 3.3.2: the proof is checked first.

    Raises CryptoError INVALID_PROOF for a wrong proof, InvalidInput where some but not all of the three are given.
    """
    if blinded_element is None and public is None and proof is None:
        return _output(input, unblind(blind, evaluated_element))
    if blinded_element is None or public is None or proof is None:
        raise InvalidInput(ErrorCode.MISSING_FIELD, "proof", "blinded_element, public and proof together")
    return finalize_batch([input], [blind], [evaluated_element], [blinded_element], public, proof, mode)[0]


def finalize_batch(
    inputs: Sequence[bytes],
    blinds: Sequence[bytes],
    evaluated_elements: Sequence[bytes],
    blinded_elements: Sequence[bytes],
    public: bytes,
    proof: bytes,
    mode: Mode = Mode.VOPRF,
    threads: int = 1,
) -> list[bytes]:
    """RFC 9497 section 3.3.2, Finalize for a batch with one proof, which is checked first."""
    dleq.check(suite.GENERATOR, public, blinded_elements, evaluated_elements, proof, mode, threads)
    elements = unblind_batch(blinds, evaluated_elements, threads)
    return [_output(input, element) for input, element in zip(inputs, elements, strict=True)]


def direct_evaluate(secret: bytes, input: bytes, mode: Mode = Mode.VOPRF) -> bytes:
    """RFC 9497 Evaluate: the output that :func:`finalize` would give, by whoever holds the whole key."""
    return _output(input, evaluate(secret, hash_input(input, mode)))


def _output(input: bytes, element: bytes) -> bytes:
    if len(input) > MAX_INPUT_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "input", f"at most {MAX_INPUT_BYTES} bytes")
    framed = len(input).to_bytes(2, "big") + input + len(element).to_bytes(2, "big") + element
    return hashlib.sha512(framed + b"Finalize").digest()

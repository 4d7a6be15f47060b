"""The protocol: any input comes out as the key's evaluation, and nothing that was tampered with does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voprf import ristretto

from daxa_core import dleq, group, oprf, suite
from daxa_core.errors import CryptoError, DaxaError, InvalidInput

SECRET, PUBLIC = suite.derive_key_pair(bytes(32), b"tests")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=5), st.sampled_from(suite.Mode))
def test_blinding_comes_off_again(inputs: list[bytes], mode: suite.Mode) -> None:
    """Blind, evaluate and unblind give k·H(x) and the RFC's output, one by one and in a batch, in both modes."""
    blinded = oprf.blind_batch(inputs, mode)
    elements, blinds = [one.element for one in blinded], [one.blind for one in blinded]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, elements, mode)
    unblinded = oprf.unblind_batch(blinds, evaluated)
    assert unblinded == [group.multiply(SECRET, oprf.hash_input(x, mode)) for x in inputs]
    assert unblinded == [oprf.unblind(b, e) for b, e in zip(blinds, evaluated, strict=True)]
    outputs = [oprf.direct_evaluate(SECRET, x, mode) for x in inputs]
    assert outputs == oprf.finalize_batch(inputs, blinds, evaluated, elements, PUBLIC, proof, mode)


def test_the_same_input_is_never_blinded_alike() -> None:
    """What an evaluator sees does not repeat, so it cannot count how often an identifier is asked about."""
    blinded = oprf.blind_batch([b"same"] * 50)
    assert len({one.element for one in blinded}) == 50
    assert len({one.blind for one in blinded}) == 50


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2), st.integers(0, 31), st.integers(0, 7), st.booleans())
def test_no_changed_bit_of_an_answer_is_taken(which: int, byte: int, bit: int, in_proof: bool) -> None:
    """One flipped bit in an evaluated element or in the proof: no element, or no proof."""
    elements = [one.element for one in oprf.blind_batch([b"a", b"b", b"c"])]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, elements)
    target = bytearray(proof if in_proof else evaluated[which])
    target[byte] ^= 1 << bit
    if in_proof:
        proof = bytes(target)
    else:
        evaluated[which] = bytes(target)
    with pytest.raises(CryptoError):
        dleq.check(suite.GENERATOR, PUBLIC, elements, evaluated, proof)


def test_errors_that_cancel_are_found() -> None:
    """Adding a point to one answer and taking it from another keeps their plain sum; the weights tell."""
    elements = [one.element for one in oprf.blind_batch([b"a", b"b"])]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, elements)
    minus = group.multiply(group.scalar_bytes(-1), suite.GENERATOR)
    shifted = [group.add(evaluated[0], suite.GENERATOR), group.add(evaluated[1], minus)]
    assert group.add(*shifted) == group.add(*evaluated)
    assert not dleq.verify(suite.GENERATOR, PUBLIC, elements, shifted, proof)


def test_a_proof_is_for_its_mode() -> None:
    """A proof made for another context does not verify."""
    elements = [oprf.blind(b"a")[1]]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, elements, suite.Mode.OPRF)
    assert dleq.verify(suite.GENERATOR, PUBLIC, elements, evaluated, proof, suite.Mode.OPRF)
    assert not dleq.verify(suite.GENERATOR, PUBLIC, elements, evaluated, proof)


def test_scalars_of_a_proof_are_reduced() -> None:
    """A scalar plus the order would verify too if it were taken: one proof, one encoding."""
    elements = [oprf.blind(b"a")[1]]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, elements)
    for part in (0, 32):
        value = int.from_bytes(proof[part : part + 32], "little") + group.ORDER
        other = proof[:part] + value.to_bytes(32, "little") + proof[part + 32 :]
        assert not dleq.verify(suite.GENERATOR, PUBLIC, elements, evaluated, other)


@pytest.mark.parametrize("key", [bytes(32), group.ORDER.to_bytes(32, "little"), b"k" * 31])
def test_a_key_that_is_none_evaluates_nothing(key: bytes) -> None:
    """Zero, not reduced, too short: refused before any element is touched."""
    elements = [oprf.blind(b"a")[1]]
    for refused in (
        lambda: oprf.evaluate(key, elements[0]),
        lambda: oprf.blind_evaluate(key, PUBLIC, elements),
        lambda: oprf.direct_evaluate(key, b"a"),
        lambda: dleq.prove(key, suite.GENERATOR, PUBLIC, elements, elements),
    ):
        with pytest.raises(CryptoError):
            refused()


def test_an_identity_public_key_proves_nothing() -> None:
    """Under the identity every answer of zeros would verify."""
    elements = [oprf.blind(b"a")[1]]
    with pytest.raises(CryptoError, match="IDENTITY_ELEMENT: public"):
        dleq.verify(suite.GENERATOR, bytes(32), elements, elements, bytes(64))


def test_a_bad_element_of_a_batch_is_named() -> None:
    """The evaluator's refusal says which of the blinded elements is none."""
    elements = [one.element for one in oprf.blind_batch([b"a", b"b"])]
    for bad in (bytes(32), b"\xff" * 32, b"short"):
        with pytest.raises(CryptoError, match=r"blinded_elements\[1\]"):
            oprf.blind_evaluate(SECRET, PUBLIC, [elements[0], bad])
        with pytest.raises(CryptoError, match=r"evaluated_elements\[1\]"):
            oprf.unblind_batch([suite.random_scalar()] * 2, [elements[0], bad])


def test_inputs_are_bounded() -> None:
    """RFC 9497 section 5.1: up to 65,535 bytes; the longest still works."""
    assert oprf.blind(bytes(2**16 - 1))
    with pytest.raises(InvalidInput, match="INVALID_LENGTH: input"):
        oprf.blind(bytes(2**16))
    with pytest.raises(InvalidInput, match=r"inputs\[1\]"):
        oprf.blind_batch([b"", bytes(2**16)])


def test_an_input_that_maps_to_the_identity_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9497's InvalidInputError: its evaluation would be the same under every key."""
    monkeypatch.setattr(suite, "hash_to_group_each", lambda inputs, _: [group.IDENTITY for _ in inputs])
    with pytest.raises(InvalidInput, match="IDENTITY_ELEMENT"):
        oprf.blind(b"x")


def test_empty_and_uneven_batches_are_refused() -> None:
    """A proof of nothing, or of lists that do not pair up, is not made and not read."""
    element = oprf.blind(b"a")[1]
    for c, d in (([], []), ([element], []), ([element], [element, element])):
        for refused in (
            lambda c=c, d=d: dleq.prove(SECRET, suite.GENERATOR, PUBLIC, c, d),
            lambda c=c, d=d: dleq.verify(suite.GENERATOR, PUBLIC, c, d, bytes(64)),
        ):
            with pytest.raises(InvalidInput, match="INVALID_LENGTH"):
                refused()


def test_finalize_takes_all_of_the_proof_or_none() -> None:
    """With some of it, a caller meant to verify, and must not be left unverified."""
    blind, element = oprf.blind(b"a")
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, [element])
    assert oprf.finalize(b"a", blind, evaluated[0], element, PUBLIC, proof) == oprf.direct_evaluate(SECRET, b"a")
    with pytest.raises(InvalidInput, match="MISSING_FIELD"):
        oprf.finalize(b"a", blind, evaluated[0], element, PUBLIC)
    with pytest.raises(CryptoError, match="INVALID_PROOF"):
        oprf.finalize(b"a", blind, evaluated[0], element, PUBLIC, bytes(64))


def test_threads_change_nothing() -> None:
    """A batch over several threads verifies and unblinds as one that is not."""
    inputs = [bytes([i]) for i in range(100)]
    blinded = oprf.blind_batch(inputs, threads=3)
    elements, blinds = [one.element for one in blinded], [one.blind for one in blinded]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, elements, threads=2)
    for threads in (1, 2, 5):
        dleq.check(suite.GENERATOR, PUBLIC, elements, evaluated, proof, threads=threads)
        assert oprf.unblind_batch(blinds, evaluated, threads) == oprf.unblind_batch(blinds, evaluated)
    evaluated[77] = b"\xff" * 32
    with pytest.raises(DaxaError, match=r"evaluated_elements\[77\]"):
        dleq.check(suite.GENERATOR, PUBLIC, elements, evaluated, proof, threads=3)


def test_a_blind_never_shows() -> None:
    """Who has the blind can try guesses at the input."""
    one = oprf.blind_batch([b"a"])[0]
    assert one.blind.hex() not in repr(one)
    assert repr(one.blind) not in repr(one)


def test_batches_interoperate_in_both_directions() -> None:
    """The ``voprf`` wheel's client takes our batch and its one proof, and ours takes the wheel's."""
    inputs = [b"%d" % i for i in range(20)]
    clients = [ristretto.Client.blind(x) for x in inputs]
    evaluated, proof = oprf.blind_evaluate(SECRET, PUBLIC, [bytes(c[1].serialize()) for c in clients])
    answer = ristretto.VerifiableBatchOutput.deserialize(proof + b"".join(evaluated))
    key = ristretto.PublicKey.deserialize(PUBLIC)
    outputs = ristretto.Client.finalize_batch([c[0] for c in clients], answer, key)
    assert [bytes(o) for o in outputs] == [oprf.direct_evaluate(SECRET, x) for x in inputs]

    server = ristretto.Evaluator.from_seed(bytes(32), b"tests")
    blinded = oprf.blind_batch(inputs)
    elements = [one.element for one in blinded]
    raw = bytes(server.evaluate_batch([ristretto.BlindedInput.deserialize(e) for e in elements]).serialize())
    theirs = [raw[i : i + 32] for i in range(64, len(raw), 32)]
    blinds = [one.blind for one in blinded]
    assert outputs == oprf.finalize_batch(inputs, blinds, theirs, elements, PUBLIC, raw[:64])
    with pytest.raises(CryptoError, match="INVALID_PROOF"):
        oprf.finalize_batch(inputs, blinds, theirs[::-1], elements, PUBLIC, raw[:64])

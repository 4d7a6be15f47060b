"""The published vectors of RFC 9497, and an independent implementation at either end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from voprf import ristretto

from daxa_core import dleq, group, oprf, suite
from daxa_core.errors import CryptoError, InvalidInput

VECTORS = Path(__file__).parent / "vectors" / "rfc9497-ristretto255-sha512.json"


def _cases() -> list[tuple[dict, dict]]:
    groups = json.loads(VECTORS.read_text())["groups"]
    cases = [(g, v) for g in groups for v in g["vectors"]]
    assert len(cases) == 5, "the RFC has five vectors for this suite in modes OPRF and VOPRF"
    return cases


def _list(text: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in text.split(",")]


@pytest.mark.parametrize(("header", "vector"), _cases())
def test_every_published_vector_is_met(header: dict, vector: dict) -> None:
    """Keys, blinded elements, evaluations, proofs and outputs are the RFC's, byte for byte."""
    mode = suite.Mode(header["mode"])
    secret, public = suite.derive_key_pair(bytes.fromhex(header["seed"]), bytes.fromhex(header["keyInfo"]), mode)
    assert header["skSm"] == secret.hex()
    inputs, blinds = _list(vector["Input"]), _list(vector["Blind"])
    blinded = [oprf._blind_with(i, b, mode)[1] for i, b in zip(inputs, blinds, strict=True)]
    assert _list(vector["BlindedElement"]) == blinded
    evaluated = [oprf.evaluate(secret, element) for element in blinded]
    assert _list(vector["EvaluationElement"]) == evaluated
    outputs = [oprf.finalize(i, b, e) for i, b, e in zip(inputs, blinds, evaluated, strict=True)]
    assert _list(vector["Output"]) == outputs
    assert outputs == [oprf.direct_evaluate(secret, i, mode) for i in inputs]
    if mode is suite.Mode.VOPRF:
        assert header["pkSm"] == public.hex()
        nonce = bytes.fromhex(vector["Proof"]["r"])
        proof = dleq._prove_with(secret, suite.GENERATOR, public, blinded, evaluated, nonce, mode)
        assert vector["Proof"]["proof"] == proof.hex()
        assert dleq.verify(suite.GENERATOR, public, blinded, evaluated, proof)


def test_another_implementations_client_accepts_our_server() -> None:
    """The ``voprf`` wheel blinds, we evaluate and prove, it verifies and finishes with the output that we would give."""
    secret, public = suite.generate_key_pair()
    theirs, blinded = ristretto.Client.blind(b"an input")
    [evaluated], proof = oprf.blind_evaluate(secret, public, [blinded.serialize()])
    answer = ristretto.VerifiableOutput.deserialize(proof + evaluated)
    output = theirs.finalize(answer, ristretto.PublicKey.deserialize(public))
    assert oprf.direct_evaluate(secret, b"an input") == bytes(output)


def test_our_client_accepts_another_implementations_server() -> None:
    """The ``voprf`` wheel evaluates and proves, we verify its proof and finish with the output that it would give."""
    server = ristretto.Evaluator.from_seed(bytes(range(32)), b"info")
    secret, public = suite.derive_key_pair(bytes(range(32)), b"info")
    assert bytes(server.public_key.serialize()) == public
    blind, blinded = oprf.blind(b"an input")
    answer = server.evaluate(ristretto.BlindedInput.deserialize(blinded))
    proof, evaluated = answer.serialize()[:64], answer.serialize()[64:]
    dleq.check(suite.GENERATOR, public, [blinded], [evaluated], proof)
    assert oprf.direct_evaluate(secret, b"an input") == oprf.finalize(b"an input", blind, evaluated)


@pytest.fixture
def batch() -> tuple[bytes, list[bytes], list[bytes], bytes]:
    secret, public = suite.generate_key_pair()
    blinded = [one.element for one in oprf.blind_batch([b"a", b"b", b"c"])]
    evaluated, proof = oprf.blind_evaluate(secret, public, blinded)
    return public, blinded, evaluated, proof


def test_a_proof_holds_for_its_batch_alone(batch: tuple[bytes, list[bytes], list[bytes], bytes]) -> None:
    """Another key, a swapped pair, a changed byte and a proof of the wrong length are all refused."""
    public, blinded, evaluated, proof = batch
    g = suite.GENERATOR
    assert dleq.verify(g, public, blinded, evaluated, proof)
    assert not dleq.verify(g, suite.generate_key_pair()[1], blinded, evaluated, proof)
    assert not dleq.verify(g, public, blinded, evaluated[::-1], proof)
    assert not dleq.verify(g, public, blinded, evaluated, proof[:-1])
    for place in (0, 31, 32, 63):
        wrong = bytearray(proof)
        wrong[place] ^= 1
        assert not dleq.verify(g, public, blinded, evaluated, bytes(wrong))
    with pytest.raises(CryptoError, match="INVALID_PROOF"):
        dleq.check(g, public, blinded, evaluated[::-1], proof)
    with pytest.raises(InvalidInput, match="INVALID_LENGTH"):
        dleq.verify(g, public, blinded, evaluated[:2], proof)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bytes(32), "IDENTITY_ELEMENT"),
        (b"\xff" * 32, "INVALID_ELEMENT"),
        (b"\x01" + bytes(31), "INVALID_ELEMENT"),
        (bytes(31), "INVALID_LENGTH"),
        (bytes(33), "INVALID_LENGTH"),
    ],
)
def test_what_is_no_element_is_refused_by_its_own_code(data: bytes, code: str) -> None:
    """RFC 9497 DeserializeElement: the identity, a non-canonical encoding and a wrong length are no elements."""
    with pytest.raises(CryptoError, match=code):
        suite.deserialize_element(data)


def test_scalars_are_refused_when_they_are_read() -> None:
    """A scalar that is not reduced, and a zero key, never get as far as being used."""
    with pytest.raises(CryptoError, match="INVALID_SCALAR"):
        suite.deserialize_scalar(suite.ORDER.to_bytes(32, "little"))
    with pytest.raises(CryptoError, match="INVALID_SCALAR"):
        group.secret_scalar(bytes(32))
    with pytest.raises(CryptoError, match="INVALID_SCALAR"):
        suite.scalar_inverse(bytes(32))


def test_a_batch_names_the_element_that_is_wrong() -> None:
    """An evaluator that is handed one bad element says which."""
    secret, public = suite.generate_key_pair()
    good = oprf.blind(b"x")[1]
    with pytest.raises(CryptoError, match=r"blinded_elements\[1\]"):
        oprf.blind_evaluate(secret, public, [good, b"\xff" * 32])


def test_blinds_do_not_show_and_never_repeat() -> None:
    """The secret half of a blinded input is not in its repr, and the same input is never blinded the same way."""
    one, two = oprf.blind_batch([b"x", b"x"])
    assert one.blind.hex() not in repr(one)
    assert repr(one.blind) not in repr(one)
    assert one.element != two.element

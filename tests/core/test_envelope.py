"""DSSE envelopes against the published example and an implementation that somebody else wrote, and what wrong ones get."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from daxa_core.envelope import Envelope, Signature, SigningKey, pae, public_key_info, verify
from daxa_core.errors import CryptoError, ErrorCode

TYPE = "application/vnd.example+protobuf"
KEY, OTHER = SigningKey(bytes(range(32))), SigningKey(b"\x07" * 32)
KEYS = {KEY.key_id: KEY.public}
GOOD = KEY.sign(TYPE, b"a payload of some length")


def code_of(envelope: Envelope) -> ErrorCode:
    with pytest.raises(CryptoError) as caught:
        verify(envelope, TYPE, KEYS)
    return caught.value.code


def test_the_published_example() -> None:
    """DSSE's own: the encoding to the byte, and its ECDSA signature verifies over it."""
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    example = Envelope.from_json(
        '{"payload": "aGVsbG8gd29ybGQ=", "payloadType": "http://example.com/HelloWorld", "signatures": [{"sig":'
        '"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}'
    )
    assert (example.payload, example.payload_type) == (b"hello world", "http://example.com/HelloWorld")
    x = 46950820868899156662930047687818585632848591499744589407958293238635476079160
    y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
    raw = example.signatures[0].signature
    signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key().verify(signature, encoded, ECDSA(SHA256()))


@given(st.binary(max_size=300), st.text(st.characters(codec="utf-8"), max_size=40))
def test_others_verify_what_is_signed_here(payload: bytes, kind: str) -> None:
    """securesystemslib reads the JSON and verifies the signature under the same key, and refuses another payload."""
    envelope = KEY.sign(kind, payload)
    theirs = TheirEnvelope.from_dict(json.loads(envelope.to_json()))
    key = SSlibKey(KEY.key_id, "ed25519", "ed25519", {"public": KEY.public.hex()})
    assert theirs.pae() == pae(kind, payload)
    assert set(theirs.verify([key], 1)) == {KEY.key_id}
    theirs.payload += b"."
    with pytest.raises(VerificationError):
        theirs.verify([key], 1)
    assert Envelope.from_json(envelope.to_json()) == envelope
    assert verify(envelope, kind, KEYS) == KEY.public


def test_openssl_verifies_with_the_public_key_alone(tmp_path: Path) -> None:
    """What stands in the threat model for an auditor without our code: OpenSSL and the encoded bytes."""
    for name, data in (
        ("key.der", public_key_info(KEY.public)),
        ("signed", pae(TYPE, GOOD.payload)),
        ("signature", GOOD.signatures[0].signature),
    ):
        (tmp_path / name).write_bytes(data)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.der", "-keyform", "DER", "-rawin", "-in", "signed",
               "-sigfile", "signature"]  # fmt: skip
    try:
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    except FileNotFoundError:
        pytest.skip("no openssl on this machine")
    (tmp_path / "signed").write_bytes(pae(TYPE, GOOD.payload + b"."))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


def test_what_is_wrong_with_an_envelope_has_its_own_code() -> None:
    """Unsigned, foreign key or type, re-signed under a claimed id, cut signature. That a payload was cut can be told by whoever
    knows what it should be: here it is one that was not signed."""
    bare = dataclasses.replace(GOOD, signatures=())
    resigned = dataclasses.replace(OTHER.sign(TYPE, GOOD.payload))
    claimed = dataclasses.replace(GOOD, signatures=(Signature(KEY.key_id, resigned.signatures[0].signature),))
    cut = dataclasses.replace(GOOD, payload=GOOD.payload[:-1])
    short = dataclasses.replace(GOOD, signatures=(Signature(KEY.key_id, GOOD.signatures[0].signature[:-1]),))
    assert code_of(bare) is ErrorCode.UNSIGNED_ENVELOPE
    assert code_of(resigned) is ErrorCode.FOREIGN_ENVELOPE
    assert code_of(KEY.sign("application/other", GOOD.payload)) is ErrorCode.FOREIGN_ENVELOPE
    assert code_of(claimed) is ErrorCode.INVALID_SIGNATURE
    assert code_of(cut) is ErrorCode.INVALID_SIGNATURE
    assert code_of(short) is ErrorCode.INVALID_ENVELOPE
    assert code_of(dataclasses.replace(GOOD, signatures=GOOD.signatures * 17)) is ErrorCode.INVALID_ENVELOPE


def test_a_second_signature_does_not_spoil_the_first() -> None:
    """While a key is being replaced both may sign; one trusted signature is enough, whatever stands beside it."""
    other = OTHER.sign(TYPE, GOOD.payload).signatures
    assert verify(dataclasses.replace(GOOD, signatures=other + GOOD.signatures), TYPE, KEYS) == KEY.public


@given(st.integers(0, len(GOOD.to_json()) - 1))
def test_an_envelope_cut_anywhere_is_refused_as_cut(length: int) -> None:
    """A file that was not written to its end."""
    with pytest.raises(CryptoError, match="INVALID_ENVELOPE"):
        Envelope.from_json(GOOD.to_json()[:length])


@given(st.one_of(st.binary(max_size=200), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]), inner, max_size=5),
    max_leaves=12,
).map(json.dumps)))  # fmt: skip
def test_any_text_at_all_is_read_or_refused(text: str | bytes) -> None:
    """No other exception, whatever stands in the file."""
    try:
        envelope = Envelope.from_json(text)
    except CryptoError as error:
        assert error.code is ErrorCode.INVALID_ENVELOPE  # noqa: PT017
    else:
        assert code_of(envelope) in set(ErrorCode)


def test_url_safe_base64_is_read_too() -> None:
    """DSSE: a verifier must take both."""
    envelope = KEY.sign(TYPE, b"\xff\xfe\xfb" * 20)
    text = envelope.to_json()
    safe = json.dumps(
        {
            key: value.replace("+", "-").replace("/", "_") if key == "payload" else value
            for key, value in json.loads(text).items()
        }
    )
    assert safe != text
    assert Envelope.from_json(safe) == envelope


def test_a_private_key_shows_nothing_of_itself() -> None:
    """Neither in ``repr`` nor where its length is refused."""
    assert KEY.private_bytes().hex() not in repr(KEY)
    with pytest.raises(CryptoError, match="INVALID_LENGTH: private: 32 bytes, got 31"):
        SigningKey(b"x" * 31)

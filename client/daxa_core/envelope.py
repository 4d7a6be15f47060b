"""DSSE version 1 envelopes: Ed25519 signatures over a payload's exact bytes together with its type.

What is signed is the pre-authentication encoding of type and payload, so that a payload signed as one thing cannot be shown as
another. The same encoding is the leaf of a signed payload in the log: a signature made again under a new key changes no leaf.

    >>> key = SigningKey.generate()
    >>> envelope = key.sign("application/x", b"payload")
    >>> verify(envelope, "application/x", {key.key_id: key.public}).hex() == key.public.hex()
    True
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from .errors import CryptoError, ErrorCode

if TYPE_CHECKING:
    import nacl.signing

VERDICT_TYPE = "application/vnd.daxa.verdict.v1+protobuf"
"""A ``daxa_api.v1.Verdict`` as it was serialised once: nobody serialises it again."""
EVENT_TYPE = "application/vnd.daxa.event.v1+json"
"""An event of the log other than a verdict: a JSON object in UTF-8."""
PUBLIC_BYTES = PRIVATE_BYTES = 32
SIGNATURE_BYTES = 64
MAX_SIGNATURES = 16
MAX_JSON_BYTES = 1 << 20
# RFC 8410: what stands before the 32 bytes in a SubjectPublicKeyInfo of Ed25519.
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature and the id of the key that made it; the id is a hint that nobody signed."""

    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and who signed them."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def to_json(self) -> str:
        """DSSE's JSON form, on one line."""
        signatures = [{"keyid": s.key_id, "sig": base64.b64encode(s.signature).decode()} for s in self.signatures]
        payload = base64.b64encode(self.payload).decode()
        return json.dumps({"payload": payload, "payloadType": self.payload_type, "signatures": signatures})

    @classmethod
    def from_json(cls, text: str | bytes) -> Envelope:
        """Reads DSSE's JSON form; standard and URL-safe base64 are taken, as DSSE demands.

        Raises CryptoError INVALID_ENVELOPE naming the field where it is cut or is none.
        """
        if len(text) > MAX_JSON_BYTES:
            raise invalid("envelope", f"at most {MAX_JSON_BYTES} bytes")
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise invalid("envelope", "one whole JSON object") from None
        if not isinstance(raw, dict):
            raise invalid("envelope", "one whole JSON object")
        kind, listed = raw.get("payloadType"), raw.get("signatures")
        if not isinstance(kind, str):
            raise invalid("payloadType", "a text")
        if not isinstance(listed, list) or len(listed) > MAX_SIGNATURES:
            raise invalid("signatures", f"a list of at most {MAX_SIGNATURES}")
        payload = _base64(raw.get("payload"), "payload")
        signatures = []
        for index, one in enumerate(listed):
            field = f"signatures[{index}]"
            if not isinstance(one, dict) or not isinstance(one.get("keyid", ""), str):
                raise invalid(field, "an object with sig and keyid")
            signatures.append(Signature(one.get("keyid", ""), _base64(one.get("sig"), f"{field}.sig")))
        return cls(payload, kind, tuple(signatures))


def invalid(field: str, expected: str) -> CryptoError:
    """The error for what is no whole envelope."""
    return CryptoError(ErrorCode.INVALID_ENVELOPE, field, expected)


def _base64(value: Any, field: str) -> bytes:
    try:
        return base64.b64decode(value.translate({45: "+", 95: "/"}), validate=True)
    except (AttributeError, binascii.Error, ValueError):
        raise invalid(field, "base64") from None


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed, and what a leaf of the log holds."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def public_key_info(public: bytes) -> bytes:
    """The DER of a public key as OpenSSL reads and writes it (RFC 8410)."""
    return _SPKI_PREFIX + public


def key_id(public: bytes) -> str:
    """SHA-256 over :func:`public_key_info`, in hexadecimal: what ``openssl pkey -pubin -outform DER | sha256sum`` prints."""
    return sha256(public_key_info(public)).hexdigest()


class SigningKey:
    """An Ed25519 private key. Its ``repr`` shows its id alone."""

    def __init__(self, private: bytes) -> None:
        """``private``: RFC 8032's 32 secret bytes."""
        from nacl.signing import SigningKey as Key  # with the first key: what need not be loaded to start is not

        if len(private) != PRIVATE_BYTES:
            raise CryptoError(ErrorCode.INVALID_LENGTH, "private", f"{PRIVATE_BYTES} bytes, got {len(private)}")
        self._key: nacl.signing.SigningKey = Key(private)
        self.public = bytes(self._key.verify_key)
        self.key_id = key_id(self.public)

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh one."""
        return cls(secrets.token_bytes(PRIVATE_BYTES))

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id[:16]}…)"

    def private_bytes(self) -> bytes:
        """RFC 8032's 32 secret bytes, for the file that keeps them."""
        return bytes(self._key)

    def sign_bytes(self, message: bytes) -> bytes:
        """The signature over bytes that say themselves what they are: 64 bytes."""
        return bytes(self._key.sign(message).signature)

    def sign(self, payload_type: str, payload: bytes) -> Envelope:
        """The payload in an envelope."""
        signature = Signature(self.key_id, self.sign_bytes(pae(payload_type, payload)))
        return Envelope(payload, payload_type, (signature,))


def verify_bytes(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether that Ed25519 key signed exactly that message. Keys and signatures of small order, which several messages could
    have, are none."""
    from nacl.exceptions import CryptoError as NotSigned
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(message, signature)
    except (NotSigned, ValueError):
        return False
    return True


def verify(envelope: Envelope, payload_type: str, keys: Mapping[str, bytes]) -> bytes:
    """The public key that signed it; ``keys``: the trusted public keys by their ids.

    Raises CryptoError: UNSIGNED_ENVELOPE where there is no signature; INVALID_ENVELOPE where one is not 64 bytes;
    FOREIGN_ENVELOPE where no signature is of a trusted key, or the payload is of another type; INVALID_SIGNATURE where the bytes
    are not what that key signed.
    """
    if not envelope.signatures:
        raise CryptoError(ErrorCode.UNSIGNED_ENVELOPE, "signatures", "one or more")
    if len(envelope.signatures) > MAX_SIGNATURES or any(
        len(s.signature) != SIGNATURE_BYTES for s in envelope.signatures
    ):
        raise invalid("signatures", f"at most {MAX_SIGNATURES}, of {SIGNATURE_BYTES} bytes each")
    if envelope.payload_type != payload_type:
        raise CryptoError(ErrorCode.FOREIGN_ENVELOPE, "payload_type", payload_type)
    known = [(s, keys[s.key_id]) for s in envelope.signatures if s.key_id in keys]
    if not known:
        raise CryptoError(ErrorCode.FOREIGN_ENVELOPE, "signatures", "one by a key in the verification keys")
    message = pae(envelope.payload_type, envelope.payload)
    for signature, public in known:
        if verify_bytes(public, signature.signature, message):
            return public
    raise CryptoError(
        ErrorCode.INVALID_SIGNATURE, "signatures", "one over exactly this payload by the key that it names"
    )

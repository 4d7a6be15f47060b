"""RFC 9497 section 2.2: one proof that every D[i] is C[i] multiplied by the secret behind a public key.

Without it an evaluator could use another key for one member, and that member's fingerprints would silently never match.

    >>> secret, public = suite.generate_key_pair()
    >>> c = [suite.hash_to_group(b"a"), suite.hash_to_group(b"b")]
    >>> d = [group.multiply(secret, point) for point in c]
    >>> verify(suite.GENERATOR, public, c, d, prove(secret, suite.GENERATOR, public, c, d))
    True
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from . import group, suite
from .errors import CryptoError, ErrorCode, InvalidInput
from .group import ORDER
from .suite import Mode

PROOF_BYTES = 2 * suite.NS


def _framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _weights(public: bytes, c: Sequence[bytes], d: Sequence[bytes], mode: Mode) -> list[bytes]:
    """The d_i of ComputeComposites: each element's weight depends on all that came before the call."""
    seed_dst = b"Seed-" + suite.create_context_string(mode)
    seed = hashlib.sha512(_framed(public, seed_dst)).digest()
    head = _framed(seed)
    hash_to_scalar = suite.hash_to_scalar
    return [
        hash_to_scalar(head + i.to_bytes(2, "big") + b"\x00\x20" + ci + b"\x00\x20" + di + b"Composite", mode)
        for i, (ci, di) in enumerate(zip(c, d, strict=True))
    ]


def compute_composites(
    public: bytes, c: Sequence[bytes], d: Sequence[bytes], mode: Mode = Mode.VOPRF
) -> tuple[bytes, bytes]:
    """RFC 9497 section 2.2.1, ComputeComposites: (M, Z)."""
    weights = _weights(public, c, d, mode)
    return group.weighted_sum(weights, c), group.weighted_sum(weights, d)


def compute_composites_fast(
    secret: bytes, public: bytes, c: Sequence[bytes], d: Sequence[bytes], mode: Mode = Mode.VOPRF
) -> tuple[bytes, bytes]:
    """RFC 9497 section 2.2.1, ComputeCompositesFast: the prover knows that Z is its key times M."""
    m = group.weighted_sum(_weights(public, c, d, mode), c)
    return m, group.multiply(secret, m)


def _challenge(public: bytes, m: bytes, z: bytes, t2: bytes, t3: bytes, mode: Mode) -> bytes:
    return suite.hash_to_scalar(_framed(public, m, z, t2, t3) + b"Challenge", mode)


def prove(
    secret: bytes,
    a: bytes,
    b: bytes,
    c: Sequence[bytes],
    d: Sequence[bytes],
    mode: Mode = Mode.VOPRF,
) -> bytes:
    """RFC 9497 GenerateProof: 64 bytes, the scalars c and s. ``b`` is ``secret`` · ``a``, each d[i] ``secret`` · c[i]."""
    return _prove_with(secret, a, b, c, d, group.random_scalar(), mode)


def _prove_with(
    secret: bytes, a: bytes, b: bytes, c: Sequence[bytes], d: Sequence[bytes], r: bytes, mode: Mode
) -> bytes:
    """Hazardous: a nonce ``r`` used twice gives the key away. For the RFC's vectors only."""
    _check_lengths(c, d)
    m, z = compute_composites_fast(secret, b, c, d, mode)
    t2 = group.multiply(r, a)
    t3 = group.multiply(r, m)
    challenge = _challenge(b, m, z, t2, t3, mode)
    s = group.scalar_int(r) - group.scalar_int(challenge) * group.scalar_int(secret)
    return challenge + group.scalar_bytes(s)


def verify(a: bytes, b: bytes, c: Sequence[bytes], d: Sequence[bytes], proof: bytes, mode: Mode = Mode.VOPRF) -> bool:
    """RFC 9497 VerifyProof. False for a wrong proof; :func:`check` raises instead and cannot be overlooked.

    Raises CryptoError where an element is none, InvalidInput where c and d differ in length or are empty.
    """
    _check_lengths(c, d)
    if len(proof) != PROOF_BYTES:
        return False
    challenge, s = proof[: suite.NS], proof[suite.NS :]
    if int.from_bytes(challenge, "little") >= ORDER or int.from_bytes(s, "little") >= ORDER:
        return False
    m, z = compute_composites(b, c, d, mode)
    t2 = group.weighted_sum((s, challenge), (a, b))
    t3 = group.weighted_sum((s, challenge), (m, z))
    return hmac.compare_digest(_challenge(b, m, z, t2, t3, mode), challenge)


def check(a: bytes, b: bytes, c: Sequence[bytes], d: Sequence[bytes], proof: bytes, mode: Mode = Mode.VOPRF) -> None:
    """As :func:`verify`, but raises CryptoError INVALID_PROOF: whoever evaluated used another key than ``b``'s."""
    if not verify(a, b, c, d, proof, mode):
        raise CryptoError(ErrorCode.INVALID_PROOF, "proof", "a proof against the evaluator's public share")


def _check_lengths(c: Sequence[bytes], d: Sequence[bytes]) -> None:
    if not 0 < len(c) == len(d) < 2**16:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "elements", "as many evaluated as blinded ones, 1 to 65,535")


generate_proof = prove
verify_proof = verify

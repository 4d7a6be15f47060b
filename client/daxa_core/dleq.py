"""RFC 9497 section 2.2: one proof that every D[i] is C[i] multiplied by the secret behind a public key.

Without it an evaluator could use another key for one member, and that member's fingerprints would silently never match.
:func:`verify` is the RFC's, and answers; :func:`check` raises, and cannot be overlooked: prefer it.

    >>> secret, public = suite.generate_key_pair()
    >>> c = [suite.hash_to_group(b"a"), suite.hash_to_group(b"b")]
    >>> d = [group.multiply(secret, point) for point in c]
    >>> proof = prove(secret, suite.GENERATOR, public, c, d)
    >>> verify(suite.GENERATOR, public, c, d, proof), verify(suite.GENERATOR, public, c, d[::-1], proof)
    (True, False)
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
MAX_BATCH = 2**16 - 1


def _framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def _composite(
    public: bytes, c: Sequence[bytes], d: Sequence[bytes], mode: Mode, threads: int, both: bool
) -> tuple[bytes, bytes]:
    """The weighted sums of c and, where ``both``, of d (else the identity), over ComputeComposites' weights d_i."""
    seed = hashlib.sha512(_framed(public, b"Seed-" + suite.create_context_string(mode))).digest()
    head = _framed(seed)
    hash_to_scalar = suite.hash_to_scalar

    def part(start: int, stop: int) -> tuple[bytes, bytes]:
        weights = []
        for i in range(start, stop):
            # Each weight depends on both of its elements: nobody can choose them to cancel another's error.
            pair = b"\x00\x20" + c[i] + b"\x00\x20" + d[i]
            weights.append(hash_to_scalar(head + i.to_bytes(2, "big") + pair + b"Composite", mode))
        m = group.weighted_sum(weights, c[start:stop], "blinded_elements", start)
        z = group.weighted_sum(weights, d[start:stop], "evaluated_elements", start) if both else group.IDENTITY
        return m, z

    parts = group.in_threads(part, len(c), threads)
    m, z = parts[0]
    for more_m, more_z in parts[1:]:
        m, z = group.add(m, more_m), group.add(z, more_z)
    return m, z


def compute_composites(
    public: bytes, c: Sequence[bytes], d: Sequence[bytes], mode: Mode = Mode.VOPRF, threads: int = 1
) -> tuple[bytes, bytes]:
    """RFC 9497 section 2.2.1, ComputeComposites: (M, Z)."""
    _check_shapes(c, d)
    return _composite(public, c, d, mode, threads, both=True)


def compute_composites_fast(
    secret: bytes, public: bytes, c: Sequence[bytes], d: Sequence[bytes], mode: Mode = Mode.VOPRF, threads: int = 1
) -> tuple[bytes, bytes]:
    """RFC 9497 section 2.2.1, ComputeCompositesFast: the prover knows that Z is its key times M."""
    _check_shapes(c, d)
    m, _ = _composite(public, c, d, mode, threads, both=False)
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
    threads: int = 1,
) -> bytes:
    """RFC 9497 section 2.2.1, GenerateProof: 64 bytes, the scalars c and s.

    ``b`` is ``secret`` · ``a``, each d[i] is ``secret`` · c[i]; from others comes a proof that does not verify. Raises
    CryptoError for a zero key or what is no element, InvalidInput where c and d differ in length or are empty.
    """
    return _prove_with(secret, a, b, c, d, group.random_scalar(), mode, threads)


def _prove_with(
    secret: bytes,
    a: bytes,
    b: bytes,
    c: Sequence[bytes],
    d: Sequence[bytes],
    r: bytes,
    mode: Mode = Mode.VOPRF,
    threads: int = 1,
) -> bytes:
    """Hazardous: a nonce ``r`` used twice gives the key away. For the RFC's vectors only."""
    group.secret_scalar(secret, "secret")
    group.element(b, "public")
    m, z = compute_composites_fast(secret, b, c, d, mode, threads)
    t2 = group.base_multiply(r) if a == suite.GENERATOR else group.multiply(r, a)
    t3 = group.multiply(r, m)
    challenge = _challenge(b, m, z, t2, t3, mode)
    return challenge + group.scalar_difference(r, group.scalar_product(challenge, secret))


def verify(
    a: bytes,
    b: bytes,
    c: Sequence[bytes],
    d: Sequence[bytes],
    proof: bytes,
    mode: Mode = Mode.VOPRF,
    threads: int = 1,
) -> bool:
    """RFC 9497 section 2.2.2, VerifyProof. False for a wrong proof, whatever is wrong with it.

    Raises CryptoError naming the element that is none, InvalidInput where c and d differ in length or are empty.
    """
    _check_shapes(c, d)
    group.element(b, "public")  # an identity key proves anything
    if not isinstance(proof, bytes) or len(proof) != PROOF_BYTES:
        return False
    challenge, s = proof[: suite.NS], proof[suite.NS :]
    # A scalar that is not reduced would make a second valid proof out of a first.
    if int.from_bytes(challenge, "little") >= ORDER or int.from_bytes(s, "little") >= ORDER:
        return False
    m, z = compute_composites(b, c, d, mode, threads)
    if group.IDENTITY in (m, z):
        return False
    t2 = group.weighted_sum((s, challenge), (a, b))
    t3 = group.weighted_sum((s, challenge), (m, z))
    return hmac.compare_digest(_challenge(b, m, z, t2, t3, mode), challenge)


def check(
    a: bytes,
    b: bytes,
    c: Sequence[bytes],
    d: Sequence[bytes],
    proof: bytes,
    mode: Mode = Mode.VOPRF,
    threads: int = 1,
) -> None:
    """As :func:`verify`, but raises CryptoError INVALID_PROOF: whoever evaluated used another key than ``b``'s."""
    if not verify(a, b, c, d, proof, mode, threads):
        raise CryptoError(ErrorCode.INVALID_PROOF, "proof", "a proof against the evaluator's public share")


def _check_shapes(c: Sequence[bytes], d: Sequence[bytes]) -> None:
    if not 0 < len(c) == len(d) <= MAX_BATCH:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "elements", "as many evaluated as blinded ones, 1 to 65,535")
    for name, points in (("blinded_elements", c), ("evaluated_elements", d)):
        for i, point in enumerate(points):
            if not isinstance(point, bytes) or len(point) != suite.NE:  # the transcript frames them all as 32 bytes
                raise CryptoError(ErrorCode.INVALID_LENGTH, f"{name}[{i}]", f"{suite.NE} bytes")


generate_proof = prove
verify_proof = verify

"""The kernel's decoders: messages, canonical forms, elements, proofs, envelopes, notes, checkpoints, parameters."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError

from daxa_api.v1 import sighting_pb2, types_pb2
from daxa_core import canonical, codec, group, merkle, oprf, suite, threshold
from daxa_core.dump import candidates
from daxa_core.envelope import VERDICT_TYPE, Envelope, SigningKey, verify
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.leak_set import Shape, decode, encode
from daxa_core.leaks import Progress
from daxa_core.model import Device, Kind, Level, Manner, Sighting, Verdict
from daxa_core.note import (
    Checkpoint,
    Note,
    NoteSignature,
    NoteSigner,
    NoteVerifier,
    Witness,
    cosigned_by,
    read_checkpoint,
)
from daxa_core.parameters import Parameters
from daxa_core.settings import Table
from daxa_core.verification import VerdictKey, VerificationKeys
from daxa_registry.keys.shares import deal

from . import Decoder, Read, text


def message(kind: type, read: Callable[[object], object]) -> Read:
    """A reader of a protocol buffers message: bytes that are none are refused as gRPC's reader does (see rpc.guard)."""

    def decode(data: bytes) -> object:
        try:
            parsed = kind.FromString(data)
        except DecodeError:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "message", "the encoding") from None
        return read(parsed)

    return decode


def decoders() -> dict[str, Decoder]:
    """By name."""
    element = group.base_multiply(group.random_scalar())
    sighting = Sighting(element, element, element, 490_000, Manner.USED, 3, element, element, b"a" * 16)
    parameters, shares = deal(2, 3)
    return {
        "sighting": Decoder(
            message(sighting_pb2.Sighting, codec.read_sighting), (codec.write_sighting(sighting).SerializeToString(),)
        ),
        "verdict": Decoder(codec.decode_verdict, (types_pb2.Verdict(key=element, level=2).SerializeToString(),)),
        "refusal": Decoder(
            message(types_pb2.Refusal, codec.read_refusal), (types_pb2.Refusal(code="X", field="f").SerializeToString(),)
        ),
        "element": Decoder(group.element, (element,)),
        "address": Decoder(
            text(canonical.canonical_address), (b"203.0.113.7", b"2001:4860::8888", b"::ffff:8.8.8.8")
        ),
        "key": Decoder(text(canonical.canonical_key), (b"k" * 40, b"550e8400-e29b-41d4-a716-446655440000")),
        "device": Decoder(text(lambda t: canonical.canonical_device(Device(t, t[::-1]))), (b"ccxt/4.4 (python)",)),
        "holder": Decoder(canonical.canonical_holder, (b"holder",)),
        "parameters": Decoder(text(Parameters.from_json), (parameters.to_json().encode(),), 5),
        "settings": Decoder(lambda data: Table.parse(Path("x.toml"), data).done(), (b'listen = "127.0.0.1:1"',)),
    } | _proofs(parameters, shares) | _signed(element) | _leaks()  # fmt: skip


def _proofs(parameters: Parameters, shares: object) -> dict[str, Decoder]:
    from daxa_core import dleq

    leaves = [merkle.leaf_hash(bytes([n])) for n in range(9)]
    stored: list[bytes] = []
    frontier = merkle.Frontier()
    for leaf in leaves:
        stored += frontier.append(leaf)
    read = lambda positions: [stored[p] for p in positions]  # noqa: E731 - a table's look-up
    root, path = merkle.root_at(9, read), merkle.prove_inclusion(3, 9, read)
    grown = merkle.prove_consistency(5, 9, read)
    before = merkle.root_at(5, read)

    def hashes(data: bytes) -> list[bytes]:
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    secret = group.random_scalar()
    public = group.base_multiply(secret)
    [blinded] = oprf.blind_batch([canonical.canonical_key("k" * 40)])
    evaluated = group.multiply(secret, blinded.element)
    proof = dleq.prove(secret, suite.GENERATOR, public, [blinded.element], [evaluated])
    commitments = parameters.commitments(Kind.KEY)
    return {
        "inclusion proof": Decoder(
            lambda data: merkle.verify_inclusion(leaves[3], 3, 9, hashes(data), root), (b"".join(path),)
        ),
        "consistency proof": Decoder(
            lambda data: merkle.verify_consistency(5, before, 9, root, hashes(data)), (b"".join(grown),)
        ),
        "evaluation proof": Decoder(
            lambda data: dleq.check(suite.GENERATOR, public, [blinded.element], [data[:32]], data[32:]),
            (evaluated + proof,), 20,
        ),
        "evaluator's answer": Decoder(
            lambda data: threshold.verify_partial(1, commitments, [blinded.element], hashes(data[64:]), data[:64]),
            (proof + evaluated,), 20,
        ),
    }  # fmt: skip


def _signed(element: bytes) -> dict[str, Decoder]:
    key, log, witness = SigningKey.generate(), NoteSigner("daxa.kr/log", SigningKey.generate()), SigningKey.generate()
    cosigner = Witness("upbit.example/witness", witness)
    checkpoint = Checkpoint("daxa.kr/log", 9, bytes(32))
    line = cosigner.cosign(checkpoint.text(), 1_790_000_000).line()
    note = log.sign(checkpoint.text()) + line
    keys = VerificationKeys(log.verifier, (VerdictKey(key.public, 0, 0),), (cosigner.verifier,))
    verdict = Verdict(element, Level.WARN, member="upbit", sequence=1, decided_at=1_790_000_000)
    envelope = key.sign(VERDICT_TYPE, codec.encode_verdict(verdict))
    wire = message(types_pb2.Envelope, lambda one: keys.verdict(codec.read_envelope(one), "upbit"))
    return {
        "envelope": Decoder(
            lambda data: keys.verdict(Envelope.from_json(data), "upbit"), (envelope.to_json().encode(),)
        ),
        "envelope on the wire": Decoder(wire, (codec.encode_envelope(envelope),)),
        "signature": Decoder(
            lambda data: verify(
                type(envelope)(envelope.payload, envelope.payload_type, (type(envelope.signatures[0])(key.key_id, data),)),
                VERDICT_TYPE, {key.key_id: key.public},
            ),
            (envelope.signatures[0].signature,),
        ),
        "signed note": Decoder(text(Note.parse), (note.encode(),)),
        "checkpoint": Decoder(text(lambda t: read_checkpoint(t, log.verifier)), (note.encode(),)),
        "cosignatures": Decoder(text(lambda t: cosigned_by(t, [cosigner.verifier])), (note.encode(),)),
        "cosignature": Decoder(text(NoteSignature.parse), (line.encode(),)),
        "verifier key": Decoder(text(NoteVerifier.parse), (log.verifier.vkey().encode(),)),
        "witness's secret": Decoder(text(Witness.from_text), (cosigner.to_text().encode(),)),
        "verification keys": Decoder(text(VerificationKeys.from_json), (keys.to_json().encode(),)),
    }  # fmt: skip


def _leaks() -> dict[str, Decoder]:
    shape = Shape.of(300)
    values = sorted(random.Random(1).getrandbits(shape.bits) for _ in range(300))
    progress = Progress("identity", bytes(16), 7, 1, 1).to_json().encode()
    paste = b"id;api_key\n1;kbt_0123456789\nuser x " + b"k" * 40 + b" api_key: 550e8400-e29b-41d4-a716-446655440000\n"
    return {
        "dump": Decoder(
            lambda data: [canonical.canonical_key(key.decode()) for _, keys in candidates(io.BytesIO(data)) for key in keys],
            (paste, paste.decode().encode("utf-16")), 50,
        ),
        "leak set chunk": Decoder(lambda data: decode(shape, 0, data), (encode(shape, values),), 20),
        "leak progress": Decoder(text(Progress.from_json), (progress,)),
    }  # fmt: skip

"""Between the wire's messages and the words of :mod:`daxa_core.model`; both ends of the wire use this one file.

Reading refuses what has the wrong shape with :class:`~daxa_core.errors.InvalidInput`, naming the wire's field.
It checks lengths, ranges and enums; that a fingerprint is a canonical element is for whoever first stores it.

    >>> write_sighting(Sighting(b"k" * 32, b"a" * 32, b"n" * 32, 490_000, Manner.USED, 3)).count
    3
"""

from __future__ import annotations

import sys

from google.protobuf.message import DecodeError

from daxa_api.v1 import sighting_pb2, types_pb2

from .envelope import Envelope, Signature
from .errors import ErrorCode, InvalidInput
from .model import (
    ACCOUNT_BYTES,
    FINGERPRINT_BYTES,
    MAX_COUNT,
    Cause,
    CountBucket,
    Level,
    Manner,
    Reason,
    Refusal,
    Scope,
    Sighting,
    Verdict,
)

_MANNERS = {int(m): m for m in Manner}
_LEVELS, _SCOPES = tuple(Level), tuple(Scope)
_BUCKETS = {int(bucket): bucket for bucket in CountBucket}
_CAUSES = {int(cause): cause for cause in Cause}
_REQUIRED = (FINGERPRINT_BYTES,)
_OPTIONAL = (0, FINGERPRINT_BYTES)
_LENGTHS = (("key", _REQUIRED), ("address", _REQUIRED), ("network", _REQUIRED), ("device", _OPTIONAL),
            ("holder", _OPTIONAL), ("account", (0, ACCOUNT_BYTES)))  # fmt: skip


def _wrong_length(message: sighting_pb2.Sighting) -> InvalidInput:
    for name, lengths in _LENGTHS:
        got = len(getattr(message, name))
        if got not in lengths:
            if got == 0:
                return InvalidInput(ErrorCode.MISSING_FIELD, name, f"{lengths[-1]} bytes, got none")
            return InvalidInput(ErrorCode.INVALID_LENGTH, name, f"{lengths[-1]} bytes, got {got}")
    raise AssertionError("every length is right")


def read_sighting(message: sighting_pb2.Sighting) -> Sighting:
    """The sighting that the message stands for. Raises InvalidInput naming the first field that is wrong."""
    key, address, network = message.key, message.address, message.network
    device, holder, account = message.device, message.holder, message.account
    if (
        not len(key) == len(address) == len(network) == FINGERPRINT_BYTES
        or (device and len(device) != FINGERPRINT_BYTES)
        or (holder and len(holder) != FINGERPRINT_BYTES)
        or (account and len(account) != ACCOUNT_BYTES)
    ):
        raise _wrong_length(message)
    manner = _MANNERS.get(message.manner)
    if manner is None:
        raise InvalidInput(ErrorCode.UNKNOWN_MANNER, "manner", "USED, REJECTED or DECLARED")
    count = message.count
    if not 1 <= count <= MAX_COUNT:
        raise InvalidInput(ErrorCode.COUNT_OUT_OF_RANGE, "count", f"1 to {MAX_COUNT}")
    if manner is Manner.DECLARED and count != 1:
        raise InvalidInput(ErrorCode.COUNT_OUT_OF_RANGE, "count", "1 where the manner is DECLARED")
    return Sighting(key, address, network, message.hour, manner, count, device or None, holder or None, account or None)


def write_sighting(sighting: Sighting, message: sighting_pb2.Sighting | None = None) -> sighting_pb2.Sighting:
    """The message that stands for the sighting: a new one, or an empty ``message`` where it is to stand already.

    To put a message into a list is to copy it; and one that is made from arguments takes longer than one whose fields are set.
    """
    message = sighting_pb2.Sighting() if message is None else message
    message.key, message.address, message.network = sighting.key, sighting.address, sighting.network
    message.hour, message.count, message.manner = sighting.hour, sighting.count, int(sighting.manner)  # type: ignore[assignment]
    if sighting.device:
        message.device = sighting.device
    if sighting.holder:
        message.holder = sighting.holder
    if sighting.account:
        message.account = sighting.account
    return message


def read_verdict(message: types_pb2.Verdict, envelope: Envelope | None = None) -> Verdict:
    """The verdict that the message stands for, with the ``envelope`` that it came in. Raises InvalidInput where the level or a
    length is impossible.

    A client keeps thousands: the few texts that all of them have are one object each.
    """
    level, key, scope = message.level, message.key, message.scope
    if not 1 <= level <= len(_LEVELS):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "level", "a level of the ladder")
    if len(key) != FINGERPRINT_BYTES:
        raise InvalidInput(ErrorCode.INVALID_LENGTH, "key", f"{FINGERPRINT_BYTES} bytes, got {len(key)}")
    if scope > len(_SCOPES):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "scope", "a scope that this client knows")
    return Verdict(
        key,
        _LEVELS[level - 1],
        message.score,
        tuple([
            Reason(sys.intern(r.code), r.contribution, _BUCKETS.get(r.count, CountBucket.NONE), r.hour)
            for r in message.reasons
        ]),
        message.sequence,
        message.decided_at,
        message.valid_until,
        message.policy_digest,
        message.evidence_digest,
        scope=_SCOPES[max(scope - 1, 0)],
        deadline=message.deadline,
        cause=_CAUSES.get(message.cause, Cause.NONE),
        member=sys.intern(message.member),
        log_index=message.log_index,
        envelope=envelope,
    )  # fmt: skip


def write_verdict(verdict: Verdict) -> types_pb2.Verdict:
    """The message that stands for the verdict."""
    return types_pb2.Verdict(
        key=verdict.key,
        level=int(verdict.level) + 1,  # type: ignore[arg-type]
        score=verdict.score,
        reasons=[
            types_pb2.Reason(code=r.code, contribution=r.contribution, count=int(r.count), hour=r.hour)  # type: ignore[arg-type]
            for r in verdict.reasons
        ],
        sequence=verdict.sequence,
        decided_at=verdict.decided_at,
        valid_until=verdict.valid_until,
        policy_digest=verdict.policy_digest,
        evidence_digest=verdict.evidence_digest,
        scope=int(verdict.scope) + 1,  # type: ignore[arg-type]
        deadline=verdict.deadline,
        cause=int(verdict.cause),  # type: ignore[arg-type]
        member=verdict.member,
        log_index=verdict.log_index,
    )


def read_refusal(message: types_pb2.Refusal) -> Refusal:
    """The refusal that the message stands for."""
    return Refusal(message.index, message.code, message.field, message.expected)


def write_refusal(refusal: Refusal) -> types_pb2.Refusal:
    """The message that stands for the refusal."""
    return types_pb2.Refusal(index=refusal.index, code=refusal.code, field=refusal.field, expected=refusal.expected)


def encode_verdict(verdict: Verdict) -> bytes:
    """The exact bytes that are signed for the verdict. Made once: no second serialisation need give them again."""
    return write_verdict(verdict).SerializeToString(deterministic=True)


def decode_verdict(payload: bytes, envelope: Envelope | None = None) -> Verdict:
    """The verdict whose bytes :func:`encode_verdict` made, with the ``envelope`` that it came in.

    Raises InvalidInput as :func:`read_verdict`, or where it is none.
    """
    try:
        message = types_pb2.Verdict.FromString(payload)
    except DecodeError:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "payload", "a serialised verdict") from None
    return read_verdict(message, envelope)


def read_envelope(message: types_pb2.Envelope) -> Envelope:
    """The envelope that the message stands for. Nothing of it is verified."""
    signatures = tuple([Signature(sys.intern(one.keyid), one.sig) for one in message.signatures])
    return Envelope(message.payload, sys.intern(message.payload_type), signatures)


def write_envelope(envelope: Envelope) -> types_pb2.Envelope:
    """The message that stands for the envelope."""
    return types_pb2.Envelope(
        payload=envelope.payload,
        payload_type=envelope.payload_type,
        signatures=[types_pb2.Signature(sig=one.signature, keyid=one.key_id) for one in envelope.signatures],
    )


def encode_envelope(envelope: Envelope) -> bytes:
    """The bytes that are stored and shipped for the envelope."""
    return write_envelope(envelope).SerializeToString(deterministic=True)


def decode_envelope(body: bytes) -> types_pb2.Envelope:
    """The message whose bytes :func:`encode_envelope` made."""
    return types_pb2.Envelope.FromString(body)

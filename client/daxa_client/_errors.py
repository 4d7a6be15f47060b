"""From gRPC's statuses back to the typed errors of :mod:`daxa_core.errors`; a raw RpcError that escapes is a bug.

The class follows from the code, by one total table. A peer that told no code is read by its status; where it cannot be reached
at all, the client's own certificate is looked at, because a handshake that fails says nothing else.

    >>> CLASSES[ErrorCode.QUOTA_EXHAUSTED].__name__
    'Refused'
"""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from daxa_core.errors import ConfigurationError, CryptoError, DaxaError, ErrorCode, InvalidInput, Refused, Unavailable
from daxa_core.handshake import certificate_problem, unreached

MAX_TEXT = 500
ROLE = "registry"
"""How the registry is named wherever a person reads it."""
_C = ErrorCode

CLASSES: dict[ErrorCode, type[DaxaError]] = {
    **dict.fromkeys((_C.INVALID_KEY, _C.INVALID_ADDRESS, _C.INVALID_DEVICE, _C.INVALID_HOLDER), InvalidInput),
    **dict.fromkeys((_C.INVALID_ACCOUNT, _C.INVALID_LENGTH, _C.INVALID_VALUE, _C.MISSING_FIELD), InvalidInput),
    **dict.fromkeys((_C.UNKNOWN_KIND, _C.UNKNOWN_MANNER, _C.COUNT_OUT_OF_RANGE, _C.HOUR_OUT_OF_WINDOW), InvalidInput),
    **dict.fromkeys((_C.TOO_MANY_ITEMS, _C.EMPTY_BATCH, _C.MESSAGE_TOO_LARGE), InvalidInput),
    **dict.fromkeys((_C.BATCH_ID_REUSED, _C.CURSOR_OUT_OF_RANGE, _C.ID_REUSED), InvalidInput),
    **dict.fromkeys((_C.INVALID_ELEMENT, _C.IDENTITY_ELEMENT, _C.INVALID_SCALAR), CryptoError),
    **dict.fromkeys((_C.INVALID_PROOF, _C.INVALID_SHARE), CryptoError),
    **dict.fromkeys((_C.INVALID_ENVELOPE, _C.UNSIGNED_ENVELOPE, _C.FOREIGN_ENVELOPE), CryptoError),
    **dict.fromkeys((_C.REPLAYED_ENVELOPE, _C.INVALID_SIGNATURE, _C.INVALID_CHECKPOINT), CryptoError),
    **dict.fromkeys((_C.INVALID_INCLUSION, _C.FORKED_LOG, _C.SHRUNK_LOG, _C.UNPROVED_LOG), CryptoError),
    _C.INVALID_CHUNK: CryptoError,
    **dict.fromkeys((_C.STALE_KEY_VERSION, _C.STALE_CANONICAL_VERSION), Refused),
    **dict.fromkeys((_C.LEAK_CLOSED, _C.LEAK_KNOWN), Refused),
    **dict.fromkeys((_C.CERTIFICATE_MISSING, _C.CERTIFICATE_EXPIRED, _C.CERTIFICATE_FOREIGN), Refused),
    **dict.fromkeys(
        (_C.CERTIFICATE_REVOKED, _C.CERTIFICATE_IDENTITY, _C.CERTIFICATE_AMBIGUOUS, _C.NOT_A_MEMBER), Refused
    ),
    **dict.fromkeys((_C.MEMBER_MISMATCH, _C.PERMISSION_DENIED), Refused),
    **dict.fromkeys((_C.SUPERSEDED, _C.ALREADY_ANSWERED, _C.POLICY_NOT_TESTED), Refused),
    **dict.fromkeys((_C.QUOTA_EXHAUSTED, _C.OVERLOADED, _C.TOO_MANY_CALLS, _C.NOT_FOUND), Refused),
    **dict.fromkeys((_C.NOT_ENOUGH_EVALUATORS, _C.UNAVAILABLE, _C.DEADLINE_EXCEEDED, _C.INTERNAL), Unavailable),
    **dict.fromkeys((_C.INVALID_PARAMETERS, _C.INVALID_CONFIGURATION), ConfigurationError),
    **dict.fromkeys((_C.INVALID_POLICY, _C.INVALID_FILE), ConfigurationError),
}
"""The class of every code; a test asks it for each."""

_S = grpc.StatusCode
_BY_STATUS: dict[grpc.StatusCode, ErrorCode] = {
    _S.INVALID_ARGUMENT: _C.INVALID_VALUE,
    _S.OUT_OF_RANGE: _C.CURSOR_OUT_OF_RANGE,
    _S.ALREADY_EXISTS: _C.BATCH_ID_REUSED,
    _S.NOT_FOUND: _C.NOT_FOUND,
    _S.PERMISSION_DENIED: _C.PERMISSION_DENIED,
    _S.UNAUTHENTICATED: _C.CERTIFICATE_IDENTITY,
    _S.RESOURCE_EXHAUSTED: _C.OVERLOADED,
    _S.DEADLINE_EXCEEDED: _C.DEADLINE_EXCEEDED,
    _S.FAILED_PRECONDITION: _C.INTERNAL,
    _S.UNIMPLEMENTED: _C.INTERNAL,
    _S.INTERNAL: _C.INTERNAL,
    _S.DATA_LOSS: _C.INTERNAL,
}


def make_error(code: ErrorCode, field: str, expected: str, retry_after: float | None = None) -> DaxaError:
    """The error of the class that the code has."""
    return CLASSES[code](code, field, expected, retry_after=retry_after)


def malformed(peer: str, expected: str) -> Unavailable:
    """A peer answered something that the wire's contract does not allow."""
    return Unavailable(ErrorCode.INTERNAL, peer, f"an answer {expected}")


def closed() -> Unavailable:
    """Somebody used a client after closing it."""
    return Unavailable(ErrorCode.UNAVAILABLE, "client", "one that is not closed")


def from_rpc(error: grpc.RpcError, peer: str, ca: bytes, certificate: bytes) -> DaxaError:
    """The typed error behind a failed call; ``peer`` is its role, such as ``"evaluator 2"``."""
    told = _told(error)
    if told is not None:
        return told
    status = error.code() if isinstance(error, grpc.Call) else _S.UNAVAILABLE
    text = (error.details() or "") if isinstance(error, grpc.Call) else ""
    code = _BY_STATUS.get(status, ErrorCode.UNAVAILABLE)
    if status is _S.UNAVAILABLE:
        return certificate_problem(ca, certificate) or Unavailable(code, peer, unreached(text))
    if code is ErrorCode.OVERLOADED and "larger than max" in text:
        return make_error(ErrorCode.MESSAGE_TOO_LARGE, peer, "a message under 1 MiB")
    return make_error(code, peer, f"to answer, got {status.name}")


def _told(error: grpc.RpcError) -> DaxaError | None:
    """The error as the peer told it in its details; None where there are none, or its code is not of the catalogue."""
    try:
        status = rpc_status.from_call(error)
    except (ValueError, AttributeError, NotImplementedError):
        return None
    if status is None:
        return None
    code, field, expected, retry = None, "", "", None
    for detail in status.details:
        info, bad, wait = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            code = ErrorCode(info.reason) if info.reason in ErrorCode.__members__ else None
        elif detail.Unpack(bad):
            if bad.field_violations:
                field, expected = bad.field_violations[0].field, bad.field_violations[0].description
        elif detail.Unpack(wait):
            retry = max(wait.retry_delay.ToMilliseconds() / 1_000, 0.0)
    if code is None:
        return None
    expected = expected or status.message.removeprefix(f"{code}: ").removeprefix(": ")
    return make_error(code, field[:MAX_TEXT], expected[:MAX_TEXT], retry)

"""The error catalogue on the wire: one status for every code, and details that name the field.

The status's message is ``CODE: field: expected``. An exception that is not ours becomes INTERNAL with a fixed text.
"""

from __future__ import annotations

from typing import NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from daxa_core.errors import DaxaError, ErrorCode
from daxa_core.handshake import unreached

from .identity import Context

DOMAIN = "daxa.registry"
NOT_BY_THE_TRANSPORT = ("grpc-retry-pushback-ms", "-1")
"""A caller's gRPC makes a call that was lost again at once (its ``retryPolicy``); one that was answered is for the caller to make
again, after the RetryInfo that only it reads."""
_S = grpc.StatusCode

STATUS: dict[ErrorCode, grpc.StatusCode] = {
    ErrorCode.INVALID_KEY: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_ADDRESS: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_DEVICE: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_HOLDER: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_ACCOUNT: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_LENGTH: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_VALUE: _S.INVALID_ARGUMENT,
    ErrorCode.MISSING_FIELD: _S.INVALID_ARGUMENT,
    ErrorCode.UNKNOWN_KIND: _S.INVALID_ARGUMENT,
    ErrorCode.UNKNOWN_MANNER: _S.INVALID_ARGUMENT,
    ErrorCode.COUNT_OUT_OF_RANGE: _S.INVALID_ARGUMENT,
    ErrorCode.HOUR_OUT_OF_WINDOW: _S.INVALID_ARGUMENT,
    ErrorCode.TOO_MANY_ITEMS: _S.INVALID_ARGUMENT,
    ErrorCode.EMPTY_BATCH: _S.INVALID_ARGUMENT,
    ErrorCode.MESSAGE_TOO_LARGE: _S.RESOURCE_EXHAUSTED,
    ErrorCode.INVALID_ELEMENT: _S.INVALID_ARGUMENT,
    ErrorCode.IDENTITY_ELEMENT: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_SCALAR: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_PROOF: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_SHARE: _S.INTERNAL,
    ErrorCode.INVALID_PARAMETERS: _S.FAILED_PRECONDITION,
    ErrorCode.NOT_ENOUGH_EVALUATORS: _S.UNAVAILABLE,
    ErrorCode.STALE_KEY_VERSION: _S.FAILED_PRECONDITION,
    ErrorCode.STALE_CANONICAL_VERSION: _S.FAILED_PRECONDITION,
    ErrorCode.INVALID_ENVELOPE: _S.INVALID_ARGUMENT,
    ErrorCode.UNSIGNED_ENVELOPE: _S.INVALID_ARGUMENT,
    ErrorCode.FOREIGN_ENVELOPE: _S.INVALID_ARGUMENT,
    ErrorCode.REPLAYED_ENVELOPE: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_SIGNATURE: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_CHECKPOINT: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_INCLUSION: _S.INTERNAL,
    ErrorCode.FORKED_LOG: _S.INTERNAL,
    ErrorCode.SHRUNK_LOG: _S.INTERNAL,
    ErrorCode.UNPROVED_LOG: _S.INTERNAL,
    ErrorCode.INVALID_CHUNK: _S.INTERNAL,
    ErrorCode.LEAK_CLOSED: _S.FAILED_PRECONDITION,
    ErrorCode.LEAK_KNOWN: _S.ALREADY_EXISTS,
    ErrorCode.BATCH_ID_REUSED: _S.ALREADY_EXISTS,
    ErrorCode.CURSOR_OUT_OF_RANGE: _S.OUT_OF_RANGE,
    ErrorCode.ID_REUSED: _S.ALREADY_EXISTS,
    ErrorCode.SUPERSEDED: _S.FAILED_PRECONDITION,
    ErrorCode.ALREADY_ANSWERED: _S.FAILED_PRECONDITION,
    ErrorCode.POLICY_NOT_TESTED: _S.FAILED_PRECONDITION,
    ErrorCode.CERTIFICATE_MISSING: _S.UNAUTHENTICATED,
    ErrorCode.CERTIFICATE_EXPIRED: _S.UNAUTHENTICATED,
    ErrorCode.CERTIFICATE_FOREIGN: _S.UNAUTHENTICATED,
    ErrorCode.CERTIFICATE_IDENTITY: _S.UNAUTHENTICATED,
    ErrorCode.CERTIFICATE_AMBIGUOUS: _S.UNAUTHENTICATED,
    ErrorCode.CERTIFICATE_REVOKED: _S.UNAUTHENTICATED,
    ErrorCode.NOT_A_MEMBER: _S.PERMISSION_DENIED,
    ErrorCode.MEMBER_MISMATCH: _S.PERMISSION_DENIED,
    ErrorCode.PERMISSION_DENIED: _S.PERMISSION_DENIED,
    ErrorCode.QUOTA_EXHAUSTED: _S.RESOURCE_EXHAUSTED,
    ErrorCode.OVERLOADED: _S.RESOURCE_EXHAUSTED,
    ErrorCode.TOO_MANY_CALLS: _S.RESOURCE_EXHAUSTED,
    ErrorCode.NOT_FOUND: _S.NOT_FOUND,
    ErrorCode.UNAVAILABLE: _S.UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED: _S.DEADLINE_EXCEEDED,
    ErrorCode.INVALID_CONFIGURATION: _S.FAILED_PRECONDITION,
    ErrorCode.INVALID_POLICY: _S.INVALID_ARGUMENT,
    ErrorCode.INVALID_FILE: _S.INVALID_ARGUMENT,
    ErrorCode.INTERNAL: _S.INTERNAL,
}


def status_of(code: ErrorCode) -> grpc.StatusCode:
    """The gRPC status of a code. Total: a test asks it for every code."""
    return STATUS[code]


def to_status(error: Exception) -> grpc.Status:
    """The status with its google.rpc details: ErrorInfo always, BadRequest where there is a field, RetryInfo where it helps."""
    if not isinstance(error, DaxaError):
        error = DaxaError(ErrorCode.INTERNAL, "call", "to succeed; why it did not is in the server's log")
    details: list[object] = [error_details_pb2.ErrorInfo(reason=str(error.code), domain=DOMAIN)]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.expected)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(max(int(error.retry_after * 1_000), 1))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)  # type: ignore[arg-type]
        packed.append(box)
    code = code_pb2.Code.Value(status_of(error.code).name)
    status = rpc_status.to_status(status_pb2.Status(code=code, message=str(error), details=packed))
    if status.code is _S.UNAVAILABLE:
        status = status._replace(trailing_metadata=(*status.trailing_metadata, NOT_BY_THE_TRANSPORT))
    told: grpc.Status = status
    return told


async def abort(context: Context, error: Exception, request_id: str) -> NoReturn:
    """Ends the call with the error's status; the trailing metadata tells the request id that the log has too."""
    status = to_status(error)
    await context.abort(status.code, status.details, (*status.trailing_metadata, ("x-request-id", request_id)))
    raise AssertionError("abort always raises")


def from_rpc(error: grpc.RpcError, peer: str) -> DaxaError:
    """The error that a peer told, for the side that called it; one that told none is named by its role, ``peer``."""
    try:
        status = rpc_status.from_call(error)
    except (ValueError, AttributeError, NotImplementedError):
        status = None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        detail.Unpack(info)
        detail.Unpack(bad)
    if status is None or info.reason not in ErrorCode.__members__:
        if not isinstance(error, grpc.Call):
            return DaxaError(ErrorCode.UNAVAILABLE, peer, f"to answer, got {type(error).__name__}")
        if error.code() is _S.UNAVAILABLE:
            return DaxaError(ErrorCode.UNAVAILABLE, peer, unreached(error.details() or ""))
        return DaxaError(ErrorCode.UNAVAILABLE, peer, f"to answer, got {error.code().name}")
    code = ErrorCode(info.reason)
    if not bad.field_violations:
        return DaxaError(code, peer, status.message.removeprefix(f"{code}: ").removeprefix(": "))
    return DaxaError(code, bad.field_violations[0].field, bad.field_violations[0].description)

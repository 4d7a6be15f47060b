"""From gRPC's statuses back to the typed errors of :mod:`daxa_core.errors`; a raw RpcError that escapes is a bug.

When a peer cannot be reached, the client's own certificate is looked at: a handshake that fails says nothing else.
"""

from __future__ import annotations

import datetime

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from daxa_core.errors import CryptoError, DaxaError, ErrorCode, InvalidInput, Refused, Unavailable

_CODES = {str(code): code for code in ErrorCode}
_BY_STATUS: dict[grpc.StatusCode, tuple[type[DaxaError], ErrorCode]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (InvalidInput, ErrorCode.INVALID_VALUE),
    grpc.StatusCode.OUT_OF_RANGE: (InvalidInput, ErrorCode.CURSOR_OUT_OF_RANGE),
    grpc.StatusCode.ALREADY_EXISTS: (InvalidInput, ErrorCode.BATCH_ID_REUSED),
    grpc.StatusCode.NOT_FOUND: (Refused, ErrorCode.NOT_FOUND),
    grpc.StatusCode.PERMISSION_DENIED: (Refused, ErrorCode.PERMISSION_DENIED),
    grpc.StatusCode.UNAUTHENTICATED: (Refused, ErrorCode.CERTIFICATE_IDENTITY),
    grpc.StatusCode.FAILED_PRECONDITION: (Refused, ErrorCode.STALE_KEY_VERSION),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Refused, ErrorCode.MESSAGE_TOO_LARGE),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Unavailable, ErrorCode.DEADLINE_EXCEEDED),
}


def from_rpc(error: grpc.RpcError, peer: str, ca: bytes, certificate: bytes) -> DaxaError:
    """The typed error behind a failed call; ``peer`` is its role, such as ``"evaluator 2"``."""
    status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNAVAILABLE
    kind, code = _BY_STATUS.get(status, (Unavailable, ErrorCode.UNAVAILABLE))
    told = _details(error)
    if told is not None:
        code, field, expected, retry_after = told
        return kind(code, field, expected, retry_after=retry_after)
    if code is ErrorCode.UNAVAILABLE:
        return certificate_problem(ca, certificate) or Unavailable(code, peer, "to be reachable")
    if code is ErrorCode.MESSAGE_TOO_LARGE:
        return Refused(code, peer, "a message under 1 MiB")
    return kind(code, peer, f"to answer, got {status.name}")


def _details(error: grpc.RpcError) -> tuple[ErrorCode, str, str, float | None] | None:
    """Code, field, expected and seconds to wait, where the peer told them."""
    try:
        status = rpc_status.from_call(error)
    except (ValueError, AttributeError, NotImplementedError):
        return None
    if status is None:
        return None
    code, field, expected, retry = None, "", status.message, None
    for detail in status.details:
        info, bad, wait = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            code = _CODES.get(info.reason)
        elif detail.Unpack(bad) and bad.field_violations:
            field, expected = bad.field_violations[0].field, bad.field_violations[0].description
        elif detail.Unpack(wait):
            retry = wait.retry_delay.ToMilliseconds() / 1_000
    return (code or ErrorCode.INTERNAL, field, expected, retry)


def certificate_problem(ca: bytes, certificate: bytes) -> DaxaError | None:
    """What is wrong with the client's own certificate, if that can be seen from here."""
    try:
        own = x509.load_pem_x509_certificate(certificate)
        authorities = x509.load_pem_x509_certificates(ca)
    except ValueError:
        return CryptoError(ErrorCode.CERTIFICATE_MISSING, "tls.certificate", "a certificate in PEM")
    now = datetime.datetime.now(datetime.UTC)
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        until = own.not_valid_after_utc.date().isoformat()
        return Refused(
            ErrorCode.CERTIFICATE_EXPIRED, "tls.certificate", f"one that holds today; this one: until {until}"
        )
    for authority in authorities:
        try:
            own.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return None
    return Refused(ErrorCode.CERTIFICATE_FOREIGN, "tls.certificate", "one issued by the authority in tls.ca")

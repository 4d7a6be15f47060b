"""What a handshake failed of, as far as one side can see it: TLS tells its peer nothing that could be turned into a code.

>>> unreached("tls: CERTIFICATE_VERIFY_FAILED")
'a certificate issued by the authority in tls.ca, for the host in its target'
"""

from __future__ import annotations

import datetime

from .errors import DaxaError, ErrorCode, Refused

FIELD = "tls.certificate"


def unreached(text: str) -> str:
    """What was expected of a peer that could not be reached, by what gRPC says of it."""
    if "CERTIFICATE_VERIFY_FAILED" in text or "Hostname Verification" in text:
        return "a certificate issued by the authority in tls.ca, for the host in its target"
    return "to be reachable"


def certificate_problem(ca: bytes, certificate: bytes) -> DaxaError | None:
    """What is wrong with one's own certificate, both in PEM: CERTIFICATE_MISSING, CERTIFICATE_EXPIRED, CERTIFICATE_FOREIGN."""
    # Imported only when something went wrong: it is a third of the time that the client takes to start.
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        own = x509.load_pem_x509_certificate(certificate)
        # Who brings a certificate from an authority of its own puts that authority's certificate after it.
        authorities = x509.load_pem_x509_certificates(ca) + x509.load_pem_x509_certificates(certificate)[1:]
    except (ValueError, x509.InvalidVersion):
        return Refused(ErrorCode.CERTIFICATE_MISSING, FIELD, "a certificate in PEM, and one or more in tls.ca")
    since, until, now = own.not_valid_before_utc, own.not_valid_after_utc, datetime.datetime.now(datetime.UTC)
    if not since <= now <= until:
        return Refused(ErrorCode.CERTIFICATE_EXPIRED, FIELD, out_of_date(since, until, now.timestamp()))
    for authority in authorities:
        try:
            own.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return None
    return Refused(ErrorCode.CERTIFICATE_FOREIGN, FIELD, "one issued by the authority in tls.ca")


def out_of_date(since: datetime.datetime, until: datetime.datetime, now: float) -> str:
    """What to expect of a certificate that does not hold at ``now`` (seconds), and what to do where its time is over."""
    if now < since.timestamp():
        return f"one that holds today; this one holds from {since.date().isoformat()}"
    return (
        f"one that holds today; this one ended on {until.date().isoformat()}: `daxa-registry pki renew` makes the next"
    )

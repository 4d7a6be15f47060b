"""Whom a server believes: which authority may vouch for which ids, and which certificates are no longer good.

The deployment's own authorities vouch for everybody. An outside authority, which a member brings, vouches for the ids that
the operator listed beside it and for no others: without the list, a member's authority could make itself an operator. Each
authority may have a revocation list (RFC 5280), and what it lists is taken by its key, not by its name: an outside authority
that calls itself like ours revokes nothing of ours.

    >>> trust = Trust([Anchor(own, None)])                                                            # doctest: +SKIP
    >>> trust.check(pem, chain, "member/upbit")                                                       # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from daxa_core.errors import ErrorCode, Refused

from .pki import certificates, refuse

MAX_CHAIN = 4
_CHECKED = 4_096
_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """What one authority says is no longer good. ``until`` (seconds) is when a newer list should have come."""

    serials: frozenset[int]
    number: int
    until: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """An authority, the ids (``role/name``) that it may vouch for (None: every id), and its revocation list if it has one."""

    certificate: x509.Certificate
    ids: frozenset[str] | None = None
    revoked: RevocationList | None = None


def read_anchors(authorities: bytes, ids: frozenset[str] | None, lists: bytes | None, prefix: str = "") -> list[Anchor]:
    """The authorities of one file, with the lists (CRLs one after the other, PEM) that they signed.

    Raises ConfigurationError naming ``ca`` or ``crl``, after ``prefix``: no PEM, or a list that none of them signed.
    """
    found = certificates(authorities, f"{prefix}ca")
    signed: dict[int, RevocationList] = {}
    if lists is not None:
        blocks = _BLOCK.findall(lists)
        if not blocks:
            raise refuse(f"{prefix}crl", "a certificate revocation list in PEM")
        for block in blocks:
            place, listed = _read_list(block, found, f"{prefix}crl")
            signed[place] = listed
    return [Anchor(one, ids, signed.get(place)) for place, one in enumerate(found)]


def _read_list(block: bytes, authorities: Sequence[x509.Certificate], field: str) -> tuple[int, RevocationList]:
    try:
        listed = x509.load_pem_x509_crl(block)
        number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        serials = frozenset(entry.serial_number for entry in listed)
    except (ValueError, x509.InvalidVersion, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise refuse(field, "numbered certificate revocation lists in PEM") from None
    for place, authority in enumerate(authorities):
        if _signed(listed, authority):
            until = listed.next_update_utc
            return place, RevocationList(serials, number, until.timestamp() if until else float("inf"))
    raise refuse(field, "revocation lists signed by an authority beside them")


def _signed(listed: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):  # what TLS takes
        return False
    try:
        return listed.is_signature_valid(key)
    except (TypeError, ValueError):
        return False


class Trust:
    """Decides whether a certificate that the handshake took may stand for the id that it names."""

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self.anchors = tuple(anchors)
        self._checked: dict[tuple[bytes, bytes, str], ErrorCode | None] = {}

    def check(self, pem: bytes, chain: bytes, peer: str) -> None:
        """``pem`` is the peer's certificate, ``chain`` what it sent beside it.

        Raises Refused CERTIFICATE_FOREIGN where no authority that vouches for ``peer`` issued it, and CERTIFICATE_REVOKED
        where the certificate, or one between it and its authority, was revoked.
        """
        asked = (pem, chain, peer)
        if asked not in self._checked:
            if len(self._checked) >= _CHECKED:
                self._checked.clear()
            self._checked[asked] = self._problem(pem, chain, peer)
        match self._checked[asked]:
            case ErrorCode.CERTIFICATE_REVOKED as code:
                raise Refused(code, "certificate", "one that was not revoked")
            case ErrorCode.CERTIFICATE_FOREIGN as code:
                raise Refused(code, "certificate", "one issued by an authority that may vouch for the id in it")

    def _problem(self, pem: bytes, chain: bytes, peer: str) -> ErrorCode | None:
        try:
            current = certificates(pem, "certificate")[0]
            between = [one for one in certificates(chain, "chain") if _is_authority(one)] if chain else []
        except Exception:  # noqa: BLE001 - whatever cannot be read vouches for nobody
            return ErrorCode.CERTIFICATE_FOREIGN
        for _ in range(MAX_CHAIN):
            anchors = [anchor for anchor in self.anchors if _issued(anchor.certificate, current)]
            if any(anchor.revoked and current.serial_number in anchor.revoked.serials for anchor in anchors):
                return ErrorCode.CERTIFICATE_REVOKED
            if any(anchor.ids is None or peer in anchor.ids for anchor in anchors):
                return None
            issuer = next((one for one in between if _issued(one, current)), None)
            if anchors or issuer is None:
                break
            current = issuer
        return ErrorCode.CERTIFICATE_FOREIGN


def _is_authority(certificate: x509.Certificate) -> bool:
    with contextlib.suppress(ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True

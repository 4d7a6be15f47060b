"""The deployment's own certificate authority: one root, leaves that carry one SPIFFE id each.

>>> authority = Authority.create("daxa.kr")
>>> issued = authority.issue("member/upbit", [])
>>> b"BEGIN CERTIFICATE" in issued.certificate
True
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3_650
LEAF_DAYS = 365
_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs leaves for one trust domain."""

    def __init__(self, trust_domain: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.trust_domain = trust_domain
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, trust_domain: str) -> Authority:
        """A fresh root, good for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"{trust_domain} registry CA")
        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(trust_domain, certificate, key)

    @property
    def certificate(self) -> bytes:
        """The root's certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """The root's private key, PEM: keep it offline."""
        return _pem(self._key)

    def issue(
        self,
        path: str,
        hosts: Sequence[str],
        *,
        days: float = LEAF_DAYS,
        not_before: datetime.datetime | None = None,
        more_ids: Sequence[str] = (),
    ) -> Issued:
        """A leaf for ``spiffe://<trust domain>/<path>`` with a fresh P-256 key; ``hosts`` are names or addresses it serves at.

        ``not_before`` and ``more_ids`` are there for tests of what has to be refused.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        start = not_before or datetime.datetime.now(datetime.UTC) - _SKEW
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(f"spiffe://{self.trust_domain}/{one}") for one in (path, *more_ids) if one
        ]
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(path or "nobody"))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

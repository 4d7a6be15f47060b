"""The deployment's own certificate authority: one root, leaves that carry one SPIFFE id each; and what a server checks of its
own files before it starts, because TLS itself would only say that nobody can connect.

>>> authority = Authority.create("daxa.kr")
>>> issued = authority.issue("member/upbit", [])
>>> b"BEGIN CERTIFICATE" in issued.certificate
True
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daxa_core.errors import ConfigurationError, ErrorCode

CA_DAYS = 3_650
LEAF_DAYS = 365
PEER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""The name after the role in a SPIFFE id."""
TRUST_DOMAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")
_SKEW = datetime.timedelta(minutes=5)
_MAX_COMMON_NAME = 64


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
    # For people to read only: a peer is known by the URI name, which X.520 does not shorten.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_MAX_COMMON_NAME])])


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

    @classmethod
    def load(cls, trust_domain: str, certificate: bytes, key: bytes) -> Authority:
        """The authority whose PEM files ``init`` wrote. Raises ConfigurationError naming ``ca.pem`` or ``ca.key``."""
        try:
            root = x509.load_pem_x509_certificate(certificate)
        except ValueError:
            raise _refuse("ca.pem", "a certificate in PEM") from None
        private = _private_key(key, "ca.key")
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != root.public_key():
            raise _refuse("ca.key", "the private key of ca.pem")
        return cls(trust_domain, root, private)

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


def check_credentials(ca: bytes, certificate: bytes, key: bytes, now: datetime.datetime | None = None) -> None:
    """Checks what a server is to present and to trust; all PEM, and ``certificate`` may be a chain, its own first.

    Raises ConfigurationError naming ``ca``, ``certificate`` or ``key``: no certificate, one that does not hold now, a key that is
    not that of the certificate.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    own = _certificates(certificate, "certificate")[0]
    _check_holds([own], "certificate", now)
    _check_holds(_certificates(ca, "ca"), "ca", now)
    if _private_key(key, "key").public_key() != own.public_key():
        raise _refuse("key", "the private key of the certificate")


def _check_holds(certificates: Sequence[x509.Certificate], name: str, now: datetime.datetime) -> None:
    """One of them is enough: a file of authorities may keep those that are being replaced."""
    if not any(one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in certificates):
        since, until = certificates[0].not_valid_before_utc.date(), certificates[0].not_valid_after_utc.date()
        raise _refuse(name, f"a certificate that holds now; this one holds from {since} until {until}")


def _certificates(data: bytes, field: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise _refuse(field, "one certificate or more in PEM") from None


def _private_key(data: bytes, field: str) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise _refuse(field, "a private key in PEM, without a password") from None


def _refuse(field: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, field, expected)

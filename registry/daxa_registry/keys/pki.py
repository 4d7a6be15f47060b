"""The deployment's own certificate authority: one root, leaves that carry one SPIFFE id each, and the list of those revoked.

What is signed for a key that somebody else made (a CSR) gets its names from the caller alone: what the request asks for
is compared, never copied.

>>> authority = Authority.create("daxa.kr")
>>> issued = authority.issue("member/upbit", [])
>>> b"BEGIN CERTIFICATE" in issued.certificate
True
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from daxa_core.errors import ConfigurationError, ErrorCode, InvalidInput

CA_DAYS = 3_650
LEAF_DAYS = 365
CRL_DAYS = 365
MIN_RSA_BITS = 3_072
PEER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""The name after the role in a SPIFFE id."""
TRUST_DOMAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")
PEER_PATH = re.compile(rf"(member|operator|auditor|evaluator)/{PEER_NAME.pattern}|registry")
"""What follows the trust domain in a SPIFFE id that this authority signs."""
PERSON = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Who acts, as the record names him."""
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
            # SPIFFE X509-SVID section 3: a signing certificate carries the id of its trust domain, without a path.
            .add_extension(x509.SubjectAlternativeName([_spiffe(trust_domain, "")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(trust_domain, certificate, key)

    @classmethod
    def load(cls, certificate: bytes, key: bytes) -> Authority:
        """The authority whose PEM files ``init`` wrote. Raises ConfigurationError naming ``ca.pem`` or ``ca.key``."""
        try:
            root = x509.load_pem_x509_certificate(certificate)
        except (ValueError, x509.InvalidVersion):
            raise refuse("ca.pem", "a certificate in PEM") from None
        uris = uri_names(root)
        domain = uris[0].removeprefix(_SCHEME) if len(uris) == 1 else ""
        if not TRUST_DOMAIN.fullmatch(domain):
            raise refuse("ca.pem", "the certificate of an authority that init made, naming its trust domain")
        private = private_key(key, "ca.key")
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != root.public_key():
            raise refuse("ca.key", "the private key of ca.pem")
        return cls(domain, root, private)

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
        certificate = self._sign(key.public_key(), path, hosts, days, not_before, more_ids)
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def sign_request(self, request: bytes, path: str, hosts: Sequence[str], *, days: float = LEAF_DAYS) -> bytes:
        """A leaf, PEM, for the key behind a certificate signing request in PEM; its names are those given here.

        Raises InvalidInput naming ``csr``: no request, not signed by its own key, a weak key, or URI names other than the id.
        """
        try:
            asked = x509.load_pem_x509_csr(request)
            signed = asked.is_signature_valid
            key = asked.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
            raise _bad_request("a certificate signing request in PEM") from None
        if not signed:
            raise _bad_request("signed by the key that it is for")
        strong_ec = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
        if not strong_ec and not (isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS):
            raise _bad_request(f"a key on P-256 or P-384, or RSA of at least {MIN_RSA_BITS} bits")
        uris = uri_names(asked)
        if uris and uris != [_spiffe(self.trust_domain, path).value]:
            raise _bad_request("no URI name but the id that is to be signed")
        return self._sign(key, path, hosts, days).public_bytes(serialization.Encoding.PEM)

    def revocation_list(
        self, revoked: Mapping[int, datetime.datetime], number: int, now: datetime.datetime | None = None
    ) -> bytes:
        """The CRL (RFC 5280 section 5), PEM: serial numbers and since when; ``number`` grows with every list."""
        now = now or datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - _SKEW)
            .next_update(now + datetime.timedelta(days=CRL_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for serial, since in sorted(revoked.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _sign(
        self,
        key: CertificatePublicKeyTypes,
        path: str,
        hosts: Sequence[str],
        days: float,
        not_before: datetime.datetime | None = None,
        more_ids: Sequence[str] = (),
    ) -> x509.Certificate:
        start = not_before or datetime.datetime.now(datetime.UTC) - _SKEW
        names: list[x509.GeneralName] = [_spiffe(self.trust_domain, one) for one in (path, *more_ids) if one]
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
            .public_key(key)
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
        return builder.sign(self._key, hashes.SHA256())


_SCHEME = "spiffe://"


def check_person(by: str) -> None:
    """Raises InvalidInput INVALID_VALUE unless it is a name for the record."""
    if not PERSON.fullmatch(by):
        raise InvalidInput(ErrorCode.INVALID_VALUE, "by", "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")


def _spiffe(trust_domain: str, path: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(f"{_SCHEME}{trust_domain}/{path}" if path else f"{_SCHEME}{trust_domain}")


def uri_names(certificate: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """The URI names; none where there are none or the extensions cannot be read."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def certificates(data: bytes, field: str) -> list[x509.Certificate]:
    """One certificate or more in PEM. Raises ConfigurationError naming ``field``."""
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion):
        raise refuse(field, "one certificate or more in PEM") from None


def private_key(data: bytes, field: str) -> PrivateKeyTypes:
    """A private key in PEM. Raises ConfigurationError naming ``field``."""
    try:
        return serialization.load_pem_private_key(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise refuse(field, "a private key in PEM, without a password") from None


def refuse(field: str, expected: str) -> ConfigurationError:
    """The error for one file of a server or of an authority."""
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, field, expected)


def _bad_request(expected: str) -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID_FILE, "csr", expected)

"""Which authority may vouch for whom, what is revoked, and what a server does when its files change under it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daxa_core.errors import ConfigurationError, ErrorCode, Refused
from daxa_registry.keys.credentials import RELOAD_SECONDS, Credentials, OutsideAuthority, TlsFiles, load
from daxa_registry.keys.pki import Authority
from daxa_registry.keys.trust import Anchor, Trust, read_anchors

OURS = Authority.create("daxa.kr")
THEIRS = Authority.create("daxa.kr")
NOW = datetime.datetime.now(datetime.UTC)


def serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


def problem(trust: Trust, pem: bytes, peer: str, chain: bytes = b"") -> str:
    """The code that the check refuses with, empty where it does not."""
    try:
        trust.check(pem, chain, peer)
    except Refused as error:
        return str(error.code)
    return ""


def outside(*ids: str) -> Trust:
    """Ours for everybody, theirs for those ids."""
    return Trust([*read_anchors(OURS.certificate, None, None), *read_anchors(THEIRS.certificate, frozenset(ids), None)])


def test_an_outside_authority_vouches_for_the_ids_listed_and_for_no_other() -> None:
    """It may not make an operator, another member, or the registry; ours may make anybody."""
    trust = outside("member/upbit", "auditor/fss")
    for peer, theirs in (
        ("member/upbit", ""),
        ("auditor/fss", ""),
        ("member/bithumb", "CERTIFICATE_FOREIGN"),
        ("operator/daxa", "CERTIFICATE_FOREIGN"),
        ("registry", "CERTIFICATE_FOREIGN"),
    ):
        assert theirs == problem(trust, THEIRS.issue(peer, []).certificate, peer)
        assert problem(trust, OURS.issue(peer, []).certificate, peer) == ""


def test_a_certificate_of_nobody_we_know_is_foreign() -> None:
    """Even one from an authority that has our authority's name, and bytes that are no certificate at all."""
    trust = outside()
    assert problem(trust, Authority.create("daxa.kr").issue("member/upbit", []).certificate, "member/upbit") == (
        "CERTIFICATE_FOREIGN"
    )
    assert problem(trust, b"nonsense", "member/upbit") == "CERTIFICATE_FOREIGN"
    assert problem(trust, OURS.issue("member/upbit", []).certificate, "member/upbit", b"nonsense") == (
        "CERTIFICATE_FOREIGN"
    )


def intermediate(authority: Authority, ca: bool) -> tuple[bytes, Authority]:
    """A certificate issued by the authority's root to another authority, and that authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    root = x509.load_pem_x509_certificate(authority.certificate)
    root_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "between")]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), Authority("daxa.kr", certificate, key)


def test_an_authority_between_counts_only_when_it_is_one() -> None:
    """A chain leads to the outside root; a plain certificate in its place vouches for nobody."""
    for ca, expected in ((True, ""), (False, "CERTIFICATE_FOREIGN")):
        between, authority = intermediate(THEIRS, ca)
        leaf = authority.issue("member/upbit", []).certificate
        assert expected == problem(outside("member/upbit"), leaf, "member/upbit", between)
        assert problem(outside("member/upbit"), leaf, "member/upbit") == "CERTIFICATE_FOREIGN"


def test_what_is_revoked_is_refused_and_the_rest_is_not() -> None:
    """By serial number, and an authority between by its root's list."""
    one, two = OURS.issue("member/upbit", []).certificate, OURS.issue("member/upbit", []).certificate
    between, authority = intermediate(OURS, ca=True)
    listed = OURS.revocation_list({serial(one): NOW, serial(between): NOW}, 2)
    trust = Trust(read_anchors(OURS.certificate, None, listed))
    assert problem(trust, one, "member/upbit") == "CERTIFICATE_REVOKED"
    assert problem(trust, two, "member/upbit") == ""
    leaf = authority.issue("member/upbit", []).certificate
    assert problem(trust, leaf, "member/upbit", between) == "CERTIFICATE_REVOKED"


def test_an_outside_authority_of_our_name_revokes_nothing_of_ours() -> None:
    """A list speaks for the key that signed it: else a member could shut out another."""
    ours = OURS.issue("member/bithumb", []).certificate
    theirs = THEIRS.issue("member/upbit", []).certificate
    listed = THEIRS.revocation_list({serial(ours): NOW, serial(theirs): NOW}, 1)
    anchors = read_anchors(THEIRS.certificate, frozenset({"member/upbit"}), listed)
    trust = Trust([*read_anchors(OURS.certificate, None, None), *anchors])
    assert problem(trust, ours, "member/bithumb") == ""
    assert problem(trust, theirs, "member/upbit") == "CERTIFICATE_REVOKED"


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (b"", "a certificate revocation list in PEM"),
        (OURS.certificate, "a certificate revocation list in PEM"),
        (THEIRS.revocation_list({}, 1), "revocation lists signed by an authority beside them"),
        (
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
            "numbered certificate revocation lists in PEM",
        ),
    ],
)
def test_a_list_that_its_authority_did_not_sign_is_refused(listed: bytes, expected: str) -> None:
    """Whoever can write the file cannot empty the list without the authority's key."""
    with pytest.raises(ConfigurationError) as caught:
        read_anchors(OURS.certificate, None, listed)
    assert (caught.value.field, caught.value.expected) == ("crl", expected)


def test_lists_of_two_authorities_stand_in_one_file() -> None:
    """While an authority is being replaced, both revoke."""
    old, new = OURS.issue("member/upbit", []).certificate, THEIRS.issue("member/upbit", []).certificate
    lists = OURS.revocation_list({serial(old): NOW}, 1) + THEIRS.revocation_list({serial(new): NOW}, 1)
    trust = Trust(read_anchors(OURS.certificate + THEIRS.certificate, None, lists))
    assert problem(trust, old, "member/upbit") == problem(trust, new, "member/upbit") == "CERTIFICATE_REVOKED"


class Files:
    """A server's files, and the clock that its credentials look at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        issued = OURS.issue("registry", ["127.0.0.1"])
        self.write(ca=OURS.certificate, cert=issued.certificate, key=issued.key, crl=OURS.revocation_list({}, 5))
        self.files = TlsFiles(*(folder / f"{name}.pem" for name in ("ca", "cert", "key", "crl")))
        self.credentials = Credentials(self.files, lambda: self.now)

    def write(self, **parts: bytes) -> None:
        for name, data in parts.items():
            (self.folder / f"{name}.pem").write_bytes(data)

    def later(self) -> Credentials:
        self.now += RELOAD_SECONDS
        self.credentials.current()
        return self.credentials


def test_a_new_list_is_in_force_without_a_restart(tmp_path: Path) -> None:
    """Within RELOAD_SECONDS, which is far less than a minute."""
    server = Files(tmp_path)
    leaf = OURS.issue("member/upbit", []).certificate
    assert problem(server.later().current().trust, leaf, "member/upbit") == ""
    server.write(crl=OURS.revocation_list({serial(leaf): NOW}, 6))
    assert problem(server.later().current().trust, leaf, "member/upbit") == "CERTIFICATE_REVOKED"
    assert RELOAD_SECONDS <= 60


def test_files_that_do_not_fit_change_nothing_until_they_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A half-made renewal, garbage, a missing file: the last good ones stay in force, said once in the log."""
    server = Files(tmp_path)
    before = server.credentials.current()
    renewed = OURS.issue("registry", ["127.0.0.1"])
    server.write(cert=renewed.certificate)
    assert server.later().current() is before
    assert server.later().current() is before
    assert "key: the private key of the certificate" in server.credentials.complaint
    assert len(caplog.records) == 1
    server.write(key=renewed.key)
    assert server.later().current().certificate == renewed.certificate
    assert server.credentials.complaint == ""
    (tmp_path / "crl.pem").unlink()
    assert server.later().current().certificate == renewed.certificate
    assert server.credentials.complaint != ""


def test_an_older_list_does_not_forgive(tmp_path: Path) -> None:
    """A list with a lower number, or an empty file, leaves the revoked ones revoked."""
    server = Files(tmp_path)
    leaf = OURS.issue("member/upbit", []).certificate
    server.write(crl=OURS.revocation_list({serial(leaf): NOW}, 6))
    assert problem(server.later().current().trust, leaf, "member/upbit") == "CERTIFICATE_REVOKED"
    for older in (OURS.revocation_list({}, 5), b""):
        server.write(crl=older)
        assert problem(server.later().current().trust, leaf, "member/upbit") == "CERTIFICATE_REVOKED"
        assert "crl" in server.credentials.complaint


def test_the_private_key_is_not_shown(tmp_path: Path) -> None:
    """Nothing that is printed or logged by accident holds the server's key."""
    server = Files(tmp_path)
    loaded = server.credentials.current()
    assert loaded.key.decode()[40:80] not in repr(loaded)
    assert "PRIVATE" not in repr(loaded)


@pytest.mark.parametrize(
    ("name", "data", "field"),
    [
        ("ca", b"", "ca"),
        (
            "cert",
            OURS.issue("registry", [], not_before=NOW - datetime.timedelta(days=9), days=1).certificate,
            "certificate",
        ),
        ("cert", OURS.issue("registry", [], not_before=NOW + datetime.timedelta(days=9)).certificate, "certificate"),
        ("key", b"nonsense", "key"),
        ("crl", b"nonsense", "crl"),
    ],
)
def test_a_server_does_not_start_on_files_that_are_wrong(tmp_path: Path, name: str, data: bytes, field: str) -> None:
    """The error names the file; TLS itself would only say that nobody can connect."""
    server = Files(tmp_path)
    server.write(**{name: data})
    with pytest.raises(ConfigurationError) as caught:
        load(server.files)
    expected = ErrorCode.CERTIFICATE_EXPIRED if name == "cert" else ErrorCode.INVALID_CONFIGURATION
    assert (caught.value.code, caught.value.field) == (expected, field)


def test_an_outside_authority_is_named_by_its_place(tmp_path: Path) -> None:
    """The error says which of several it is."""
    server = Files(tmp_path)
    (tmp_path / "theirs.pem").write_bytes(b"nonsense")
    one = OutsideAuthority(tmp_path / "ca.pem", frozenset({"member/upbit"}))
    two = OutsideAuthority(tmp_path / "theirs.pem", frozenset({"member/bithumb"}))
    files = TlsFiles(server.files.ca, server.files.certificate, server.files.key, None, (one, two))
    with pytest.raises(ConfigurationError) as caught:
        load(files)
    assert caught.value.field == "outside[1].ca"


def test_an_anchor_without_ids_vouches_for_nobody() -> None:
    """An empty list is not everybody."""
    [anchor] = read_anchors(OURS.certificate, None, None)
    trust = Trust([Anchor(anchor.certificate, frozenset())])
    assert problem(trust, OURS.issue("member/upbit", []).certificate, "member/upbit") == "CERTIFICATE_FOREIGN"

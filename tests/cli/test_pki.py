"""``daxa-registry pki``: each act as a dry run and done, the record of it, and what is refused."""

from __future__ import annotations

import datetime
import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from daxa_core.errors import DaxaError
from daxa_registry.cli.pki import pki
from daxa_registry.keys.authority_folder import AuthorityFolder
from daxa_registry.keys.credentials import TlsFiles, load
from daxa_registry.rpc.identity import peer_of_certificate
from daxa_registry.service.authority_acts import read_acts


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """An authority's folder."""
    AuthorityFolder.create(tmp_path / "ca", "daxa.kr")
    return tmp_path / "ca"


def tree(folder: Path) -> dict[str, bytes]:
    """Everything that is there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(*arguments: str | Path) -> str:
    """What the command prints; a refusal is raised."""
    result = CliRunner().invoke(pki, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def request(key: CertificateIssuerPrivateKeyTypes, *uris: str) -> bytes:
    """A certificate signing request."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    )
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def test_without_yes_nothing_changes(ca: Path, tmp_path: Path) -> None:
    """Each act says what it would do and leaves every file as it was."""
    run("issue", "member/upbit", tmp_path / "upbit", "--ca", ca, "--yes")
    (tmp_path / "gw.csr").write_bytes(request(ec.generate_private_key(ec.SECP256R1())))
    before = tree(tmp_path)
    for act in (
        ("issue", "member/bithumb", tmp_path / "bithumb"),
        ("sign-csr", tmp_path / "gw.csr", "member/bithumb", tmp_path / "out.pem"),
        ("renew", tmp_path / "upbit"),
        ("revoke", "member/upbit"),
    ):
        told = run(*act, "--ca", ca)
        assert told.startswith("would do: ")
        assert told.endswith("nothing was changed; do it with --yes\n")
    assert tree(tmp_path) == before


def test_issue_makes_a_folder_that_works_and_a_record_of_who_did_it(ca: Path, tmp_path: Path) -> None:
    """Certificate and key fit, the key is its owner's alone, and the act stands in acts.jsonl with a name."""
    run("issue", "member/upbit", tmp_path / "upbit", "--ca", ca, "--days", "30", "--by", "kim", "--yes")
    folder = tmp_path / "upbit"
    load(TlsFiles(folder / "ca.pem", folder / "cert.pem", folder / "key.pem"))
    assert str(peer_of_certificate((folder / "cert.pem").read_bytes(), "daxa.kr")) == "member/upbit"
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    [line] = (ca / "acts.jsonl").read_text().splitlines()
    act = json.loads(line)
    assert (act["by"], act["act"], act["peer"]) == ("kim", "issue", "member/upbit")
    [row] = map(json.loads, run("list", "--ca", ca, "--json").splitlines())
    assert (row["peer"], row["state"], row["days_left"], row["serial"]) == ("member/upbit", "good", 29, act["serial"])


def test_issue_never_writes_over_what_is_there(ca: Path, tmp_path: Path) -> None:
    """A second issue into the same folder is refused before anything is signed."""
    run("issue", "member/upbit", tmp_path / "upbit", "--ca", ca, "--yes")
    before = tree(tmp_path)
    with pytest.raises(DaxaError, match="INVALID_FILE: cert.pem"):
        run("issue", "member/upbit", tmp_path / "upbit", "--ca", ca, "--yes")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("peer", ["upbit", "member/", "member/UP", "root/x", "registry/1", "member/a/b", ""])
def test_a_peer_that_no_server_would_know_is_refused(ca: Path, tmp_path: Path, peer: str) -> None:
    """A certificate that names nobody would only be found useless later."""
    with pytest.raises(DaxaError, match="INVALID_VALUE: peer"):
        run("issue", peer, tmp_path / "x", "--ca", ca, "--yes")


def test_a_csr_is_signed_for_the_peer_that_the_operator_names(ca: Path, tmp_path: Path) -> None:
    """The key is the member's, the id the operator's."""
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "gw.csr").write_bytes(request(key, "spiffe://daxa.kr/member/upbit"))
    run("sign-csr", tmp_path / "gw.csr", "member/upbit", tmp_path / "cert.pem", "--ca", ca, "--yes")
    signed = x509.load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
    assert signed.public_key() == key.public_key()
    assert peer_of_certificate((tmp_path / "cert.pem").read_bytes(), "daxa.kr").name == "upbit"


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"nonsense", "a certificate signing request in PEM"),
        (request(ec.generate_private_key(ec.SECP256R1()), "spiffe://daxa.kr/operator/daxa"), "no URI name but the id"),
        (
            request(
                ec.generate_private_key(ec.SECP256R1()), "spiffe://daxa.kr/member/upbit", "spiffe://daxa.kr/member/x"
            ),
            "no URI name but the id",
        ),
        (request(rsa.generate_private_key(65_537, 2_048)), "RSA of at least 3072 bits"),
        (request(ed25519.Ed25519PrivateKey.generate()), "a key on P-256 or P-384"),
    ],
)
def test_a_csr_that_asks_for_more_or_is_weak_is_refused(ca: Path, tmp_path: Path, data: bytes, wanted: str) -> None:
    """Another id, two ids, a short key, a kind of key that TLS peers do not take; in the dry run already."""
    (tmp_path / "gw.csr").write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(DaxaError, match=f"INVALID_FILE: csr: .*{wanted}"):
        run("sign-csr", tmp_path / "gw.csr", "member/upbit", tmp_path / "cert.pem", "--ca", ca)
    assert tree(tmp_path) == before


def test_a_csr_that_its_key_did_not_sign_is_refused(ca: Path, tmp_path: Path) -> None:
    """Else somebody could have a certificate for a key of another's."""
    der = bytearray(
        x509.load_pem_x509_csr(request(ec.generate_private_key(ec.SECP256R1()))).public_bytes(
            serialization.Encoding.DER
        )
    )
    der[60] ^= 1  # within the public key or the name: the signature no longer fits
    try:
        data = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    except ValueError:
        data = b""
    (tmp_path / "gw.csr").write_bytes(data)
    with pytest.raises(DaxaError, match="INVALID_FILE: csr"):
        run("sign-csr", tmp_path / "gw.csr", "member/upbit", tmp_path / "cert.pem", "--ca", ca, "--yes")


def test_renew_keeps_who_and_where_and_changes_the_key(ca: Path, tmp_path: Path) -> None:
    """The same peer and hosts, a fresh key; both certificates are good until somebody says otherwise."""
    folder = tmp_path / "registry"
    run("issue", "registry", folder, "--ca", ca, "--host", "localhost", "--host", "192.0.2.1", "--days", "10", "--yes")
    old = tree(folder)
    run("renew", folder, "--ca", ca, "--yes")
    fresh = load(TlsFiles(folder / "ca.pem", folder / "cert.pem", folder / "key.pem"))
    assert old["key.pem"] != fresh.key
    rows = [json.loads(line) for line in run("list", "--ca", ca, "--json").splitlines()]
    assert [(row["peer"], row["state"], row["hosts"]) for row in rows] == [
        ("registry", "good", ["localhost", "192.0.2.1"])
    ] * 2
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600


def test_revoking_a_peer_revokes_its_good_certificates_and_reaches_the_servers_beside(ca: Path, tmp_path: Path) -> None:
    """Every good certificate of that peer, and nobody else's; the list of servers in the same deployment is replaced."""
    for name in ("upbit", "bithumb"):
        run("issue", f"member/{name}", tmp_path / name, "--ca", ca, "--yes")
    run("renew", tmp_path / "upbit", "--ca", ca, "--yes")
    for place in ("registry", "evaluators/1", "evaluators/2"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "registry/acts.jsonl").touch()
    for place in ("registry", "evaluators/1", "evaluators/2"):
        (tmp_path / place / "crl.pem").write_bytes((ca / "crl.pem").read_bytes())
    run("revoke", "member/upbit", "--ca", ca, "--by", "kim", "--yes")
    states = [json.loads(line) for line in run("list", "--ca", ca, "--json").splitlines()]
    assert [(row["peer"], row["state"]) for row in states] == [
        ("member/bithumb", "good"), ("member/upbit", "revoked"), ("member/upbit", "revoked"),
    ]  # fmt: skip
    lists = {
        (tmp_path / place / "crl.pem").read_bytes() for place in ("ca", "registry", "evaluators/1", "evaluators/2")
    }
    assert len(lists) == 1
    listed = x509.load_pem_x509_crl(lists.pop())
    assert {f"{entry.serial_number:x}" for entry in listed} == {
        row["serial"] for row in states if row["state"] == "revoked"
    }
    acts = (ca / "acts.jsonl").read_text()
    assert [json.loads(line)["by"] for line in acts.splitlines()][-2:] == ["kim", "kim"]
    assert (tmp_path / "registry/acts.jsonl").read_text() == acts


def test_lists_follow_one_another_and_forget_nobody(ca: Path, tmp_path: Path) -> None:
    """The number grows, and what was revoked stays on the list."""
    for name in ("a", "b"):
        run("issue", f"member/{name}", tmp_path / name, "--ca", ca, "--yes")
    serials = [json.loads(line)["serial"] for line in run("list", "--ca", ca, "--json").splitlines()]
    for serial in serials:
        run("revoke", serial, "--ca", ca, "--yes")
    listed = x509.load_pem_x509_crl((ca / "crl.pem").read_bytes())
    assert listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    assert {f"{entry.serial_number:x}" for entry in listed} == set(serials)
    for gone in ("member/a", serials[0], "abc", "member/never"):
        with pytest.raises(DaxaError, match="NOT_FOUND"):
            run("revoke", gone, "--ca", ca, "--yes")


def test_a_list_that_runs_out_is_made_anew_with_everybody_on_it(ca: Path, tmp_path: Path) -> None:
    """In a year in which nobody had to be revoked; it reaches the servers beside, and who did it is on record."""
    run("issue", "member/upbit", tmp_path / "upbit", "--ca", ca, "--yes")
    run("revoke", "member/upbit", "--ca", ca, "--yes")
    [row] = [json.loads(line) for line in run("list", "--ca", ca, "--json").splitlines()]
    authority = AuthorityFolder.open(ca).authority
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=364)
    old = authority.revocation_list({int(row["serial"], 16): long_ago}, 2, long_ago)
    (tmp_path / "registry").mkdir()
    for place in (ca, tmp_path / "registry"):
        (place / "crl.pem").write_bytes(old)
    told = run("renew-crl", "--ca", ca, "--by", "kim")
    assert told.startswith("would do: ")
    assert (ca / "crl.pem").read_bytes() == old
    run("renew-crl", "--ca", ca, "--by", "kim", "--yes")
    assert (tmp_path / "registry/crl.pem").read_bytes() == (ca / "crl.pem").read_bytes()
    listed = x509.load_pem_x509_crl((ca / "crl.pem").read_bytes())
    assert listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    assert [f"{entry.serial_number:x}" for entry in listed] == [row["serial"]]
    assert listed.next_update_utc is not None
    assert listed.next_update_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=300)
    [*_, last] = read_acts(ca / "acts.jsonl")
    assert (last["act"], last["by"], last["serial"]) == ("renew-crl", "kim", "3")


def test_a_folder_that_is_no_authoritys_is_refused(tmp_path: Path) -> None:
    """The error names the file that is missing."""
    with pytest.raises(DaxaError, match=r"INVALID_FILE: ca\.pem: a readable file"):
        run("list", "--ca", tmp_path)

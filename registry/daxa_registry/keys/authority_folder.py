"""The folder of the deployment's authority: its root, what it issued, what it revoked, and who did each.

``ca.pem`` and ``ca.key`` are the root; ``issued/SERIAL.pem`` each certificate; ``crl.pem`` the revocation list that servers read;
``acts.jsonl`` one line for each act: when, who, what; from a copy beside registry.toml it goes into the log
(``service.authority_acts``). Every act writes its line first and is whole or refused: a certificate that nobody recorded could
never be revoked.

>>> folder = AuthorityFolder.open(Path("deployment/ca"))                                              # doctest: +SKIP
>>> folder.issue("member/upbit", [], days=365, by="kim")                                              # doctest: +SKIP
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from daxa_core.errors import ConfigurationError, ErrorCode, InvalidInput

from .files import append_line, make_private_folder, replace_file, write_public, write_secret
from .pki import LEAF_DAYS, PEER_PATH, Authority, Issued, check_person, uri_names

ACTS = "acts.jsonl"
_SCHEME = "spiffe://"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that this authority issued. ``peer`` is ``role/name``; ``revoked`` since when, None where it is good."""

    serial: int
    peer: str
    hosts: tuple[str, ...]
    since: datetime.datetime
    until: datetime.datetime
    revoked: datetime.datetime | None

    def state(self, now: datetime.datetime) -> str:
        """revoked, expired or good."""
        if self.revoked is not None:
            return "revoked"
        return "good" if now <= self.until else "expired"


class AuthorityFolder:
    """An authority on disk. One process acts on it at a time."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._folder = folder
        self.authority = authority

    @classmethod
    def create(cls, folder: Path, trust_domain: str) -> AuthorityFolder:
        """A fresh root with an empty revocation list. Raises ConfigurationError where something is there."""
        make_private_folder(folder)
        made = cls(folder, Authority.create(trust_domain))
        write_public(folder / "ca.pem", made.authority.certificate)
        write_secret(folder / "ca.key", made.authority.key)
        write_public(folder / "crl.pem", made.authority.revocation_list({}, 1))
        make_private_folder(folder / "issued")
        return made

    @classmethod
    def open(cls, folder: Path) -> AuthorityFolder:
        """The authority that ``create`` made. Raises ConfigurationError naming the file that is missing or wrong."""
        return cls(folder, Authority.load(_read(folder / "ca.pem"), _read(folder / "ca.key")))

    @property
    def revocation_list(self) -> bytes:
        """``crl.pem``, PEM."""
        return _read(self._folder / "crl.pem")

    @property
    def acts(self) -> bytes:
        """``acts.jsonl``; empty where there is none yet."""
        path = self._folder / ACTS
        return _read(path) if path.exists() else b""

    def issue(self, peer: str, hosts: Sequence[str], *, by: str, days: int = LEAF_DAYS, act: str = "issue") -> Issued:
        """A certificate and key for ``role/name``. Raises InvalidInput for a name that is none."""
        check_peer(peer)
        issued = self.authority.issue(peer, hosts, days=days)
        self._record(act, issued.certificate, peer, by)
        return issued

    def sign_request(self, request: bytes, peer: str, hosts: Sequence[str], *, by: str, days: int = LEAF_DAYS) -> bytes:
        """A certificate, PEM, for a request. Raises InvalidInput as :meth:`Authority.sign_request`."""
        check_peer(peer)
        certificate = self.authority.sign_request(request, peer, hosts, days=days)
        self._record("sign-csr", certificate, peer, by)
        return certificate

    def revoke(self, serials: Sequence[int], *, by: str) -> bytes:
        """Revokes certificates by serial number; the new list, PEM. Raises InvalidInput for one that was never issued."""
        known = {leaf.serial: leaf.peer for leaf in self.leaves()}
        if not set(serials) <= known.keys():
            raise InvalidInput(ErrorCode.NOT_FOUND, "serial", "that of a certificate that this authority issued")
        now = datetime.datetime.now(datetime.UTC)
        revoked, number = self._revoked()
        for serial in serials:
            revoked.setdefault(serial, now)
            self._act("revoke", serial, known[serial], by)
        return self._list(revoked, number + 1)

    def renew_list(self, *, by: str) -> bytes:
        """The revocation list, PEM, with those on it who were, good from now on; its number stands in the record as a serial."""
        revoked, number = self._revoked()
        self._act("renew-crl", number + 1, "", by)
        return self._list(revoked, number + 1)

    def _list(self, revoked: Mapping[int, datetime.datetime], number: int) -> bytes:
        data = self.authority.revocation_list(revoked, number)
        replace_file(self._folder / "crl.pem", data)
        return data

    def leaves(self) -> list[Leaf]:
        """Every certificate that was issued, by peer and then the newest first."""
        revoked, _ = self._revoked()
        found = []
        for path in (self._folder / "issued").glob("*.pem"):
            try:
                certificate = x509.load_pem_x509_certificate(_read(path))
            except (ValueError, x509.InvalidVersion):
                raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, "a certificate in PEM") from None
            found.append(_leaf(certificate, revoked.get(certificate.serial_number)))
        return sorted(found, key=lambda leaf: (leaf.peer, -leaf.until.timestamp(), leaf.serial))

    def _revoked(self) -> tuple[dict[int, datetime.datetime], int]:
        try:
            listed = x509.load_pem_x509_crl(self.revocation_list)
            number = listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except (ValueError, x509.InvalidVersion, x509.ExtensionNotFound):
            raise ConfigurationError(ErrorCode.INVALID_FILE, "crl.pem", "this authority's revocation list") from None
        return {entry.serial_number: entry.revocation_date_utc for entry in listed}, number

    def _record(self, act: str, certificate: bytes, peer: str, by: str) -> None:
        serial = x509.load_pem_x509_certificate(certificate).serial_number
        self._act(act, serial, peer, by)
        write_public(self._folder / "issued" / f"{serial:x}.pem", certificate)

    def _act(self, act: str, serial: int, peer: str, by: str) -> None:
        check_person(by)
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        table = {"at": at, "by": by, "act": act, "serial": f"{serial:x}"} | ({"peer": peer} if peer else {})
        append_line(self._folder / ACTS, json.dumps(table))


def check_peer(peer: str) -> None:
    """Raises InvalidInput INVALID_VALUE unless it is an id that this project knows."""
    if not PEER_PATH.fullmatch(peer):
        wanted = "member/NAME, operator/NAME, auditor/NAME, evaluator/NAME or registry"
        raise InvalidInput(ErrorCode.INVALID_VALUE, "peer", wanted)


def read_leaf(path: Path) -> Leaf:
    """The certificate in a peer's folder. Raises ConfigurationError naming the file."""
    try:
        return _leaf(x509.load_pem_x509_certificate(_read(path)), None)
    except (ValueError, x509.InvalidVersion):
        raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, "a certificate in PEM") from None


def _leaf(certificate: x509.Certificate, revoked: datetime.datetime | None) -> Leaf:
    uris = uri_names(certificate)
    peer = uris[0].removeprefix(_SCHEME).partition("/")[2] if len(uris) == 1 else ""
    hosts: list[str] = []
    if uris:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts += names.get_values_for_type(x509.DNSName)
        hosts += [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Leaf(certificate.serial_number, peer, tuple(hosts), since, until, revoked)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            ErrorCode.INVALID_FILE, path.name, f"a readable file, got {type(error).__name__}"
        ) from None

"""What a client needs to know, from client.toml or from arguments; a wrong key is refused naming file and key.

>>> read_config("missing.toml")
Traceback (most recent call last):
    ...
daxa_core.errors.ConfigurationError: INVALID_CONFIGURATION: missing.toml: a readable file, got FileNotFoundError
"""

from __future__ import annotations

import logging
import re
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from daxa_core.errors import ConfigurationError, CryptoError, ErrorCode
from daxa_core.note import Witness
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import SECRET_BYTES
from daxa_core.settings import Table
from daxa_core.verification import VerificationKeys

LOG = logging.getLogger("daxa_client")
_TARGET = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_A_TARGET = "host:port, the port from 1 to 65535"
_PORTS = range(1, 65_536)


def _refuse(name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, expected)


def _is_target(text: str) -> bool:
    found = _TARGET.fullmatch(text)
    return found is not None and int(found[1]) in _PORTS


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where authority, certificate and key stand, so that renewed ones are found; ``name`` is the file that named them."""

    ca: Path
    certificate: Path
    key: Path
    name: str

    def stamp(self) -> tuple[object, ...]:
        """What changes when one of the files does."""
        found: list[object] = []
        for path in (self.ca, self.certificate, self.key):
            try:
                status = path.stat()
                found.append((status.st_ino, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return tuple(found)

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Their content, if it belongs together: gRPC would only say that it could not connect. Raises ConfigurationError."""
        paths = {"ca": self.ca, "certificate": self.certificate, "key": self.key}
        found = {name: _read(partial(self._refuse, name), path, name == "key") for name, path in paths.items()}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=found["ca"].decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            raise self._refuse("ca", "one certificate or more in PEM") from None
        try:
            context.load_cert_chain(
                self.certificate, self.key, password=""
            )  # else an encrypted key would ask the terminal
            same = (self.certificate.read_bytes(), self.key.read_bytes()) == (found["certificate"], found["key"])
        except (ssl.SSLError, OSError, ValueError):
            same = False
        if not same:
            raise self._refuse("key", "the unencrypted private key, in PEM, of the certificate in tls.certificate")
        return found["ca"], found["certificate"], found["key"]

    def _refuse(self, key: str, expected: str) -> ConfigurationError:
        return _refuse(f"{self.name}: tls.{key}", expected)


class Connection(Protocol):
    """What it takes to call the registry and to verify what it answers: a member's configuration, or an auditor's."""

    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def ca(self) -> bytes: ...
    @property
    def certificate(self) -> bytes: ...
    @property
    def key(self) -> bytes: ...
    @property
    def tls_files(self) -> TlsFiles | None: ...
    @property
    def deadline_seconds(self) -> float: ...
    @property
    def verification(self) -> VerificationKeys: ...
    @property
    def checkpoint(self) -> Path | None: ...
    @property
    def witness(self) -> Witness | None: ...
    @property
    def verdicts_of(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One member's client, checked when it is made.

    ``targets`` are the registry's addresses (``host:port``), each as good as the next; ``evaluators`` maps each evaluator's
    index to its address; ``ca``, ``certificate`` and ``key`` are PEM; ``account_secret`` is 32 bytes and the member's alone.
    ``cache`` is the file of the fingerprint cache and ``cursor`` that of :meth:`RegistryClient.watch`; None keeps nothing.
    ``verification`` are the keys that the registry's verdicts and log are verified with; ``checkpoint`` is where the last
    checkpoint of the log is kept, ``witness`` what this member cosigns checkpoints with.
    ``deadline_seconds`` is for each attempt of a call. ``state`` is the folder in which a :class:`Gateway` keeps what it has seen
    and the verdicts; ``spool_megabytes`` bounds the former. What was seen, and how often, is on the disk ``flush_seconds`` after
    it was; how often a combination was seen again is added up there ``count_seconds`` after. Where ``tls_files`` says in which
    files ``ca``, ``certificate`` and ``key`` stand, renewed ones are taken up while the client runs; so are keys from
    ``verification_file``.
    """

    member: str
    targets: tuple[str, ...]
    evaluators: Mapping[int, str]
    parameters: Parameters
    account_secret: bytes = field(repr=False)
    verification: VerificationKeys
    ca: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    cache: Path | None = None
    cursor: Path | None = None
    checkpoint: Path | None = None
    witness: Witness | None = field(default=None, repr=False)
    allow_non_global_addresses: bool = False
    deadline_seconds: float = 10.0
    state: Path | None = None
    spool_megabytes: int = 512
    flush_seconds: float = 2.0
    count_seconds: float = 60.0
    tls_files: TlsFiles | None = None
    verification_file: Path | None = None

    @property
    def verdicts_of(self) -> str:
        """Whose verdicts it believes: the member's own."""
        return self.member

    def __post_init__(self) -> None:
        """Raises ConfigurationError naming the key as client.toml has it."""
        if not self.member:
            raise _refuse("member", "a text")
        if not self.targets or not all(map(_is_target, self.targets)):
            raise _refuse("registry.targets", "one host:port or more, ports from 1 to 65535")
        for index, target in self.evaluators.items():
            if not 1 <= index <= self.parameters.evaluators:
                raise _refuse("evaluator.index", f"1 to {self.parameters.evaluators}, as in the parameters")
            if not _is_target(target):
                raise _refuse("evaluator.target", _A_TARGET)
        if len(self.evaluators) < self.parameters.threshold:
            raise _refuse("evaluator", f"{self.parameters.threshold} tables or more, as the parameters need")
        if len(self.account_secret) != SECRET_BYTES:
            raise _refuse("fingerprints.account_secret", f"{SECRET_BYTES} bytes")
        for name, pem, label in (
            ("tls.ca", self.ca, b"CERTIFICATE"),
            ("tls.certificate", self.certificate, b"CERTIFICATE"),
            ("tls.key", self.key, b"PRIVATE KEY"),
        ):
            if b"-----BEGIN " not in pem or label + b"-----" not in pem:
                raise _refuse(name, f"a {label.decode().lower()} in PEM")
        for name, path in (
            ("fingerprints.cache", self.cache),
            ("cursor", self.cursor),
            ("verification.checkpoint", self.checkpoint),
            ("gateway.state", self.state),
        ):
            if "\0" in str(path):
                raise _refuse(name, "a path")
        if not 0.1 <= self.deadline_seconds <= 600.0:
            raise _refuse("deadline_seconds", "a number from 0.1 to 600")
        if not 1 <= self.spool_megabytes <= 1 << 20:
            raise _refuse("gateway.spool_megabytes", "a whole number from 1 to 1048576")
        if not 0.05 <= self.flush_seconds <= 600.0:
            raise _refuse("gateway.flush_seconds", "a number from 0.05 to 600")
        if not 0.05 <= self.count_seconds <= 3_600.0:
            raise _refuse("gateway.count_seconds", "a number from 0.05 to 3600")


def _bytes(table: Table, key: str, *, secret: bool = False) -> bytes:
    return _read(lambda wanted: table.refuse(key, wanted), table.path(key), secret)


def _read(refuse: Callable[[str], ConfigurationError], path: Path, secret: bool) -> bytes:
    try:
        data = path.read_bytes()
        others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except (OSError, ValueError) as error:  # a ValueError where there is a NUL in the path
        raise refuse(f"a readable file, got {type(error).__name__}") from None
    if secret and others:
        LOG.warning("%s can be read by others than its owner: make it 0600", path.name)
    return data


def _parameters(table: Table) -> Parameters:
    try:
        return Parameters.from_json(_bytes(table, "parameters").decode("utf-8", "replace"))
    except ConfigurationError as error:
        if error.code is not ErrorCode.INVALID_PARAMETERS:
            raise
        raise table.refuse("parameters", f"{error.field}: {error.expected}") from None


def _secret(table: Table) -> bytes:
    text = _bytes(table, "account_secret", secret=True).decode("ascii", "replace").strip()
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise table.refuse("account_secret", f"a file of {SECRET_BYTES} bytes in hexadecimal")
    return secret


def _verification(table: Table) -> tuple[VerificationKeys, Path]:
    """The keys, and the file that they stand in."""
    path = table.path("keys")
    try:
        text = _read(lambda wanted: table.refuse("keys", wanted), path, False).decode("utf-8", "replace")
        return VerificationKeys.from_json(text), path
    except ConfigurationError as error:
        if error.field.startswith(table.refuse("", "").field):
            raise
        raise table.refuse("keys", f"{error.field}: {error.expected}") from None


def read_verification_keys(path: Path) -> VerificationKeys:
    """Reads verification.json. Raises ConfigurationError naming file and field."""
    try:
        return VerificationKeys.from_json(path.read_text("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise _refuse(path.name, f"a readable file, got {type(error).__name__}") from None
    except ConfigurationError as error:
        raise _refuse(f"{path.name}: {error.field}", error.expected) from None


def _witness(table: Table) -> Witness | None:
    if not table.has("witness"):
        return None
    try:
        return Witness.from_text(_bytes(table, "witness", secret=True).decode("utf-8", "replace"))
    except CryptoError as error:
        raise table.refuse("witness", error.expected) from None


def _tls(table: Table, path: Path) -> TlsFiles:
    return TlsFiles(table.path("ca"), table.path("certificate"), table.path("key"), path.name)


def _evaluators(tables: list[Table]) -> dict[int, str]:
    evaluators: dict[int, str] = {}
    for entry in tables:
        index = entry.whole("index", 0, 1, 255)
        if index in evaluators:
            raise entry.refuse("index", "each index once")
        evaluators[index] = target = entry.text("target")
        if not _is_target(target):
            raise entry.refuse("target", _A_TARGET)
        entry.done()
    return evaluators


@dataclass(frozen=True, slots=True)
class AuditorConfig:
    """An auditor's connection: no evaluators and no secrets but its own key. As :class:`ClientConfig` where they share a name."""

    auditor: str
    targets: tuple[str, ...]
    verification: VerificationKeys
    ca: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    checkpoint: Path | None = None
    deadline_seconds: float = 10.0
    tls_files: TlsFiles | None = None

    @property
    def witness(self) -> None:
        """An auditor cosigns nothing: witnesses are members."""
        return

    @property
    def verdicts_of(self) -> None:
        """An auditor looks at everybody's verdicts."""
        return


def _table(path: Path) -> Table:
    try:
        return Table.parse(path, path.read_bytes())
    except (OSError, ValueError) as error:
        raise _refuse(path.name, f"a readable file, got {type(error).__name__}") from None


def read_auditor_config(path: str | Path) -> AuditorConfig:
    """Reads auditor.toml and the files that it names. Raises ConfigurationError naming file and key."""
    table = _table(Path(path))
    registry, tls, verification = table.table("registry"), table.table("tls"), table.table("verification")
    files = _tls(tls, Path(path))
    ca, certificate, key = files.read()
    targets = registry.texts("targets")
    if not all(map(_is_target, targets)):
        raise registry.refuse("targets", "one host:port or more, ports from 1 to 65535")
    config = AuditorConfig(
        auditor=table.text("auditor"),
        targets=targets,
        verification=_verification(verification)[0],
        ca=ca,
        certificate=certificate,
        key=key,
        tls_files=files,
        checkpoint=verification.path("checkpoint") if verification.has("checkpoint") else None,
        deadline_seconds=table.number("deadline_seconds", 10.0, 0.1, 600.0),
    )
    for part in (registry, tls, verification, table):
        part.done()
    return config


def is_auditors(path: str | Path) -> bool:
    """Whether the file is an auditor's and not a member's. Raises ConfigurationError where it cannot be read."""
    return _table(Path(path)).has("auditor")


def read_config(path: str | Path) -> ClientConfig:
    """Reads client.toml and the files that it names. Raises ConfigurationError naming file and key."""
    path = Path(path)
    table = _table(path)
    registry, tls, prints = table.table("registry"), table.table("tls"), table.table("fingerprints")
    gateway = table.table("gateway")
    verification = table.table("verification")
    files = _tls(tls, path)
    ca, certificate, key = files.read()
    keys, keys_file = _verification(verification)
    try:
        config = ClientConfig(
            member=table.text("member"),
            targets=registry.texts("targets"),
            evaluators=_evaluators(table.tables("evaluator")),
            parameters=_parameters(prints),
            account_secret=_secret(prints),
            verification=keys,
            verification_file=keys_file,
            checkpoint=verification.path("checkpoint") if verification.has("checkpoint") else None,
            witness=_witness(verification),
            ca=ca,
            certificate=certificate,
            key=key,
            tls_files=files,
            cache=prints.path("cache") if prints.has("cache") else None,
            cursor=table.path("cursor") if table.has("cursor") else None,
            allow_non_global_addresses=table.flag("allow_non_global_addresses", False),
            deadline_seconds=table.number("deadline_seconds", 10.0, 0.1, 600.0),
            state=gateway.path("state", "data"),
            spool_megabytes=gateway.whole("spool_megabytes", 512, 1, 1 << 20),
            flush_seconds=gateway.number("flush_seconds", 2.0, 0.05, 600.0),
            count_seconds=gateway.number("count_seconds", 60.0, 0.05, 3_600.0),
        )
    except ConfigurationError as error:
        if error.field.startswith(f"{path.name}: "):
            raise
        raise _refuse(f"{path.name}: {error.field}", error.expected) from None
    for part in (registry, tls, prints, gateway, verification, table):
        part.done()
    return config

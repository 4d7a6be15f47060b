"""The configuration files of evaluators, the registry and operators; refuses what it does not know, naming file and key.

Paths in a file are relative to the file. What the files under ``[tls]`` hold is checked here too, when they are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import BATCH_HOURS, Kind
from daxa_core.settings import Table

from .keys.authority_folder import ACTS
from .keys.credentials import OutsideAuthority, TlsFiles, load
from .keys.pki import PEER_NAME, TRUST_DOMAIN
from .keys.signing import SIGNING, VERIFICATION
from .service.limits import LEAST_PER_MINUTE, PER_MINUTE

DEFAULT_QUOTA = {
    Kind.KEY: 1_000_000,
    Kind.ADDRESS: 200_000,
    Kind.NETWORK: 100_000,
    Kind.DEVICE: 500_000,
    Kind.HOLDER: 500_000,
}
DEFAULT_TRUST_DOMAIN = "daxa.kr"
_OUTSIDE_ID = re.compile(rf"(member|auditor)/{PEER_NAME.pattern}")
_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class EvaluatorConfig:
    """What ``daxa-registry evaluator`` needs."""

    listen: str
    share: Path
    parameters: Path
    data: Path
    trust_domain: str
    tls: TlsFiles
    quota: Mapping[Kind, int]
    limits: Mapping[str, int]
    metrics_port: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """What ``daxa-registry serve`` needs. ``database``: a path, or a URL where another store is meant; ``acts``: a copy of the
    authority's record, which need not be there."""

    listen: str
    database: str = field(repr=False)  # a URL may hold a password
    parameters: Path
    trust_domain: str
    members: tuple[str, ...]
    tls: TlsFiles
    signing: Path
    verification: Path
    policy: Path | None
    retention_hours: int
    batch_hours: int
    limits: Mapping[str, int]
    acts: Path
    sweep_seconds: float = 60.0
    metrics_port: int | None = None


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """What an operator's commands need: the registry's addresses, the evaluators' by index, the parameters, the certificate."""

    operator: str
    targets: tuple[str, ...]
    evaluators: Mapping[int, str]
    parameters: Path
    tls: TlsFiles
    allow_non_global_addresses: bool


def _read(path: Path) -> Table:
    try:
        return Table.parse(path, path.read_bytes())
    except OSError as error:
        wanted = f"a readable file, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, path.name, wanted) from None


def _tls(table: Table, checked: bool = True) -> TlsFiles:
    files = TlsFiles(
        ca=table.path("ca"),
        certificate=table.path("certificate"),
        key=table.path("key"),
        crl=table.path("crl") if table.has("crl") else None,
        outside=tuple(_outside(one) for one in table.tables("outside")) if table.has("outside") else (),
    )
    table.done()
    if not checked:
        return files
    try:
        load(files)
    except ConfigurationError as error:
        raise table.refuse(error.field, error.expected, error.code) from None
    return files


def _outside(table: Table) -> OutsideAuthority:
    ids = table.texts("ids")
    # The servers and the operators are this deployment's own; an outside authority speaks for those who bring it.
    if not all(_OUTSIDE_ID.fullmatch(one) for one in ids):
        raise table.refuse("ids", "member/NAME or auditor/NAME, one or more")
    one = OutsideAuthority(table.path("ca"), frozenset(ids), table.path("crl") if table.has("crl") else None)
    table.done()
    return one


def _listen(table: Table) -> str:
    listen = table.text("listen")
    found = _LISTEN.fullmatch(listen)
    if not found or int(found[2]) > 65_535:
        raise table.refuse("listen", "host:port, such as 127.0.0.1:7400; an IPv6 address in brackets; port 0 picks one")
    return listen


def checked_listen(listen: str) -> str:
    """A ``--listen`` of the command line. Raises ConfigurationError naming it."""
    found = _LISTEN.fullmatch(listen)
    if not found or int(found[2]) > 65_535:
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "--listen", "host:port, such as 127.0.0.1:7500")
    return listen


def _trust_domain(table: Table) -> str:
    domain = table.text("trust_domain", DEFAULT_TRUST_DOMAIN)
    if not TRUST_DOMAIN.fullmatch(domain):
        raise table.refuse("trust_domain", "1 to 255 of a-z, 0-9, ., _ and -")
    return domain


def _limits(table: Table) -> dict[str, int]:
    """A minute's worth by call: what :mod:`.service.limits` counts."""
    limits = {call: table.whole(call, most, LEAST_PER_MINUTE, 10**9) for call, most in PER_MINUTE.items()}
    table.done()
    return limits


def _members(table: Table) -> tuple[str, ...]:
    members = table.texts("members")
    if len(set(members)) != len(members) or not all(PEER_NAME.fullmatch(member) for member in members):
        raise table.refuse("members", "names of 1 to 63 of a-z, 0-9, _ and -, each once")
    return members


def read_evaluator(path: Path, *, checked: bool = True) -> EvaluatorConfig:
    """Reads evaluator.toml. Raises ConfigurationError naming file and key; unchecked, whatever the PEM files hold."""
    table = _read(path)
    quota = table.table("quota")
    config = EvaluatorConfig(
        listen=_listen(table),
        share=table.path("share"),
        parameters=table.path("parameters"),
        data=table.path("data"),
        trust_domain=_trust_domain(table),
        tls=_tls(table.table("tls"), checked),
        limits=_limits(table.table("limits")),
        metrics_port=table.whole("metrics_port", 0, 0, 65_535) if table.has("metrics_port") else None,
        quota={kind: quota.whole(kind.name, default, 0, 10**12) for kind, default in DEFAULT_QUOTA.items()},
    )
    quota.done()
    table.done()
    return config


def read_registry(path: Path, *, checked: bool = True) -> RegistryConfig:
    """Reads registry.toml. Raises ConfigurationError naming file and key; unchecked, whatever the PEM files hold."""
    table = _read(path)
    retention = table.table("retention")
    database = table.text("database")
    config = RegistryConfig(
        listen=_listen(table),
        database=database if "://" in database or database == ":memory:" else str(path.absolute().parent / database),
        parameters=table.path("parameters"),
        trust_domain=_trust_domain(table),
        members=_members(table),
        tls=_tls(table.table("tls"), checked),
        signing=table.path("signing", SIGNING),
        verification=table.path("verification", VERIFICATION),
        policy=table.path("policy") if table.has("policy") else None,
        retention_hours=retention.whole("hours", 720, 24, 8_760),
        batch_hours=retention.whole("batch_hours", BATCH_HOURS, BATCH_HOURS, 8_760),
        limits=_limits(table.table("limits")),
        metrics_port=table.whole("metrics_port", 0, 0, 65_535) if table.has("metrics_port") else None,
        acts=table.path("acts", ACTS),
        sweep_seconds=table.number("sweep_seconds", 60.0, 0.05, 3_600.0),
    )
    retention.done()
    table.done()
    return config


def read_operator(path: Path) -> OperatorConfig:
    """Reads operator.toml. Raises ConfigurationError naming file and key."""
    table = _read(path)
    registry, prints = table.table("registry"), table.table("fingerprints")
    evaluators: dict[int, str] = {}
    for entry in table.tables("evaluator"):
        index = entry.whole("index", 0, 1, 255)
        if index in evaluators:
            raise entry.refuse("index", "each index once")
        evaluators[index] = entry.text("target")
        entry.done()
    config = OperatorConfig(
        operator=table.text("operator"),
        targets=registry.texts("targets"),
        evaluators=evaluators,
        parameters=prints.path("parameters"),
        tls=_tls(table.table("tls")),
        allow_non_global_addresses=table.flag("allow_non_global_addresses", False),
    )
    for part in (registry, prints, table):
        part.done()
    return config


def read_policy_text(path: Path) -> str:
    """A policy's text, as it stands in a file. Raises ConfigurationError INVALID_POLICY naming the file."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        wanted = f"a file of TOML in UTF-8, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_POLICY, path.name, wanted) from None

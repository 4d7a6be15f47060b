"""The configuration files of an evaluator and of the registry; refuses what it does not know, naming file and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Kind
from daxa_core.settings import Table

DEFAULT_QUOTA = {
    Kind.KEY: 1_000_000,
    Kind.ADDRESS: 200_000,
    Kind.NETWORK: 100_000,
    Kind.DEVICE: 500_000,
    Kind.HOLDER: 500_000,
}
DEFAULT_TRUST_DOMAIN = "daxa.kr"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files."""

    ca: Path
    certificate: Path
    key: Path


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


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """What ``daxa-registry serve`` needs. ``database``: a path, or a URL where another store is meant."""

    listen: str
    database: str
    parameters: Path
    trust_domain: str
    members: tuple[str, ...]
    tls: TlsFiles
    policy: Path | None
    retention_hours: int
    batch_hours: int


def _read(path: Path) -> Table:
    try:
        return Table.parse(path, path.read_bytes())
    except OSError as error:
        wanted = f"a readable file, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, path.name, wanted) from None


def _tls(table: Table) -> TlsFiles:
    files = TlsFiles(table.path("ca"), table.path("certificate"), table.path("key"))
    table.done()
    return files


def read_evaluator(path: Path) -> EvaluatorConfig:
    """Reads evaluator.toml. Raises ConfigurationError naming file and key."""
    table = _read(path)
    quota = table.table("quota")
    config = EvaluatorConfig(
        listen=table.text("listen"),
        share=table.path("share"),
        parameters=table.path("parameters"),
        data=table.path("data"),
        trust_domain=table.text("trust_domain", DEFAULT_TRUST_DOMAIN),
        tls=_tls(table.table("tls")),
        quota={kind: quota.whole(kind.name, default, 0, 10**12) for kind, default in DEFAULT_QUOTA.items()},
    )
    quota.done()
    table.done()
    return config


def read_registry(path: Path) -> RegistryConfig:
    """Reads registry.toml. Raises ConfigurationError naming file and key."""
    table = _read(path)
    retention = table.table("retention")
    database = table.text("database")
    config = RegistryConfig(
        listen=table.text("listen"),
        database=database if "://" in database or database == ":memory:" else str(path.absolute().parent / database),
        parameters=table.path("parameters"),
        trust_domain=table.text("trust_domain", DEFAULT_TRUST_DOMAIN),
        members=table.texts("members"),
        tls=_tls(table.table("tls")),
        policy=table.path("policy") if table.has("policy") else None,
        retention_hours=retention.whole("hours", 720, 24, 8_760),
        batch_hours=retention.whole("batch_hours", 48, 1, 8_760),
    )
    retention.done()
    table.done()
    return config

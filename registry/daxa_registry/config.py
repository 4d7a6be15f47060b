"""The configuration files of an evaluator and of the registry; refuses what it does not know, naming file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.model import Kind

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


class Table:
    """One table of a TOML file: hands out checked values, and refuses at the end what nobody asked for."""

    def __init__(self, name: str, folder: Path, values: dict[str, Any], prefix: str = "") -> None:
        self._name = name
        self._folder = folder
        self._left = dict(values)
        self._prefix = prefix

    @classmethod
    def read(cls, path: Path) -> Table:
        """Opens a file. Raises ConfigurationError where it cannot be read or is no TOML."""
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            wanted = f"a readable file, got {type(error).__name__}"
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, path.name, wanted) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, path.name, f"TOML ({error})") from None
        return cls(path.name, path.absolute().parent, values)

    def refuse(self, key: str, expected: str) -> ConfigurationError:
        """The error for one key of this table."""
        return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, f"{self._name}: {self._prefix}{key}", expected)

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self._left.pop(key, default)
        if not isinstance(value, str) or not value:
            raise self.refuse(key, "a text")
        return value

    def path(self, key: str, default: str | None = None) -> Path:
        """A path, relative to the file."""
        return self._folder / self.text(key, default)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        value = self._left.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(key, f"a whole number from {low} to {high}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise self.refuse(key, "a list of texts")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A table within; empty where it is missing."""
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise self.refuse(key, "a table")
        return Table(self._name, self._folder, value, f"{self._prefix}{key}.")

    def has(self, key: str) -> bool:
        """Whether the key is there and was not taken yet."""
        return key in self._left

    def done(self) -> None:
        """Refuses what is left."""
        for key in self._left:
            raise self.refuse(key, "no such key")


def _tls(table: Table) -> TlsFiles:
    files = TlsFiles(table.path("ca"), table.path("certificate"), table.path("key"))
    table.done()
    return files


def read_evaluator(path: Path) -> EvaluatorConfig:
    """Reads evaluator.toml. Raises ConfigurationError naming file and key."""
    table = Table.read(path)
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
    table = Table.read(path)
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

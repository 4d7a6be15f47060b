"""What a client needs to know, from client.toml or from arguments; a wrong key is refused naming file and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.parameters import Parameters
from daxa_core.pseudonym import SECRET_BYTES
from daxa_core.settings import Table


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """One member's client. ``evaluators`` maps each evaluator's index to its target; the PEM parts are file contents."""

    member: str
    targets: tuple[str, ...]
    evaluators: Mapping[int, str]
    parameters: Parameters
    account_secret: bytes = field(repr=False)
    ca: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)
    cache: Path | None = None
    cursor: Path | None = None
    allow_non_global_addresses: bool = False
    deadline_seconds: float = 10.0


def _bytes(table: Table, key: str, default: str | None = None) -> bytes:
    path = table.path(key, default)
    try:
        return path.read_bytes()
    except OSError as error:
        raise table.refuse(key, f"a readable file, got {type(error).__name__}") from None


def read_config(path: str | Path) -> ClientConfig:
    """Reads client.toml and the files that it names. Raises ConfigurationError naming file and key."""
    path = Path(path)
    try:
        table = Table.parse(path, path.read_bytes())
    except OSError as error:
        wanted = f"a readable file, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, path.name, wanted) from None
    member = table.text("member")
    registry = table.table("registry")
    targets = registry.texts("targets")
    registry.done()
    evaluators: dict[int, str] = {}
    for entry in table.tables("evaluator"):
        index = entry.whole("index", 0, 1, 255)
        if index in evaluators:
            raise entry.refuse("index", "each index once")
        evaluators[index] = entry.text("target")
        entry.done()
    tls = table.table("tls")
    ca, certificate, key = (_bytes(tls, name) for name in ("ca", "certificate", "key"))
    tls.done()
    prints = table.table("fingerprints")
    try:
        parameters = Parameters.from_json(_bytes(prints, "parameters").decode("utf-8", "replace"))
    except ConfigurationError as error:
        if error.code is not ErrorCode.INVALID_PARAMETERS:
            raise
        raise prints.refuse("parameters", f"{error.field}: {error.expected}") from None
    cache = prints.path("cache") if prints.has("cache") else None
    try:
        secret = bytes.fromhex(_bytes(prints, "account_secret").decode("ascii", "replace").strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise prints.refuse("account_secret", f"a file of {SECRET_BYTES} bytes in hexadecimal")
    prints.done()
    config = ClientConfig(
        member=member,
        targets=targets,
        evaluators=evaluators,
        parameters=parameters,
        account_secret=secret,
        ca=ca,
        certificate=certificate,
        key=key,
        cache=cache,
        cursor=table.path("cursor") if table.has("cursor") else None,
        allow_non_global_addresses=table.flag("allow_non_global_addresses", False),
        deadline_seconds=table.number("deadline_seconds", 10.0, 0.1, 600.0),
    )
    table.done()
    if not set(evaluators) <= set(range(1, parameters.evaluators + 1)) or len(evaluators) < parameters.threshold:
        wanted = f"{parameters.threshold} or more of the {parameters.evaluators} that the parameters name"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, f"{path.name}: evaluator", wanted)
    return config

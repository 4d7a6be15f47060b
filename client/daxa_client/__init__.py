"""What an exchange installs: sightings go out as fingerprints, verdicts on its own keys come back.

>>> from daxa_client import RawSighting, RegistryClient
>>> with RegistryClient.from_file("client.toml") as client:                          # doctest: +SKIP
...     client.submit([RawSighting(key="…", address="203.0.113.7", hour=495_000)])
"""

import typing as _typing

from daxa_core.envelope import Envelope
from daxa_core.errors import (
    ConfigurationError,
    CryptoError,
    DaxaError,
    ErrorCode,
    InvalidInput,
    Refused,
    Unavailable,
)
from daxa_core.model import (
    Act,
    AppealStatus,
    Cause,
    CountBucket,
    Device,
    Ground,
    Level,
    Manner,
    RawSighting,
    Reason,
    Refusal,
    Scope,
    Verdict,
)

from . import _quiet_grpc as _quiet_grpc
from ._client import RegistryClient, SubmitInterrupted
from ._config import ClientConfig
from ._enforcement import AppealReceipt, EnforcementReceipt
from ._gateway import Gateway
from ._health import GatewayHealth
from ._log import Auditor, LogEntry, LogHead
from ._submission import SubmitResult

if _typing.TYPE_CHECKING:
    from ._async_client import AsyncRegistryClient

__all__ = [
    "Act",
    "AppealReceipt",
    "AppealStatus",
    "AsyncRegistryClient",
    "Auditor",
    "Cause",
    "ClientConfig",
    "ConfigurationError",
    "CountBucket",
    "CryptoError",
    "DaxaError",
    "Device",
    "EnforcementReceipt",
    "Envelope",
    "ErrorCode",
    "Gateway",
    "GatewayHealth",
    "Ground",
    "InvalidInput",
    "Level",
    "LogEntry",
    "LogHead",
    "Manner",
    "RawSighting",
    "Reason",
    "Refusal",
    "Refused",
    "RegistryClient",
    "Scope",
    "SubmitInterrupted",
    "SubmitResult",
    "Unavailable",
    "Verdict",
]


def __getattr__(name: str) -> _typing.Any:
    """asyncio is a third of the time that everything else takes to load: who does not use it does not pay for it."""
    if name == "AsyncRegistryClient":
        from ._async_client import AsyncRegistryClient

        globals()[name] = AsyncRegistryClient
        return AsyncRegistryClient
    raise AttributeError(name)

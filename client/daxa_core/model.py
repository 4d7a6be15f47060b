"""The words of the system as types: kinds, manners, levels, sightings before and after fingerprinting.

Nothing here does anything but hold values and refuse impossible ones. Times are hours since the Unix epoch (UTC)
where a field is called ``hour`` and seconds since the epoch elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

FINGERPRINT_BYTES = 32
ACCOUNT_BYTES = 16
BATCH_ID_BYTES = 16
MAX_SIGHTINGS = 1_000
MAX_BLINDED_ELEMENTS = 512
MAX_KEYS_PER_LOOKUP = 1_000
MAX_COUNT = 1_000_000_000
SECONDS_PER_HOUR = 3_600


class Kind(IntEnum):
    """What a fingerprint stands for. The numbers are those of the wire and of the canonical form's prefix."""

    KEY = 1
    ADDRESS = 2
    NETWORK = 3
    DEVICE = 4
    HOLDER = 5


class Manner(IntEnum):
    """How a key was seen."""

    USED = 1
    REJECTED = 2
    DECLARED = 3


class Level(IntEnum):
    """The ladder. The numbers are those of ``backtest``'s output; the wire's enum is one higher."""

    CLEAR = 0
    MONITOR = 1
    WARN = 2
    REAUTHENTICATE = 3
    REVOKE = 4


@dataclass(frozen=True, slots=True)
class Device:
    """The parts of a client's stack that a gateway can see; at least one is not empty.

    ``headers`` are the names of library-specific request headers with their values, in any order.
    """

    user_agent: str | None = None
    ja4: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RawSighting:
    """What a gateway saw, in the clear. It never leaves the member, and its ``repr`` shows nothing of it."""

    key: str = field(repr=False)
    address: str = field(repr=False)
    hour: int
    manner: Manner = Manner.USED
    count: int = 1
    device: Device | None = field(default=None, repr=False)
    holder: bytes | None = field(default=None, repr=False)
    account: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sighting as it travels: fingerprints (32 bytes each), the account's pseudonym (16 bytes), an hour, a count."""

    key: bytes
    address: bytes
    network: bytes
    hour: int
    manner: Manner
    count: int
    device: bytes | None = None
    holder: bytes | None = None
    account: bytes | None = None

"""The words of the system as types: kinds, manners, levels, sightings before and after fingerprinting.

Nothing here does anything but hold values and refuse impossible ones. Times are hours since the Unix epoch (UTC)
where a field is called ``hour`` and seconds since the epoch elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from .envelope import Envelope

FINGERPRINT_BYTES = 32
ACCOUNT_BYTES = 16
BATCH_ID_BYTES = 16
BATCH_HOURS = 48
"""For so long at least a registry knows a batch again by its id."""
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


class Device(NamedTuple):
    """The parts of a client's stack that a gateway can see; at least one is not empty.

    ``headers`` are the names of library-specific request headers with their values, in any order. A tuple, because it is
    looked up for each request of a gateway, and a frozen dataclass is hashed and compared in Python.
    """

    user_agent: str | None = None
    ja4: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Nothing of it: a stack that is rare is as good as a name."""
        return "Device(…)"


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


class Sighting(NamedTuple):
    """A sighting as it travels: fingerprints (32 bytes each), the account's pseudonym (16 bytes), an hour, a count.

    A tuple, because making a frozen dataclass takes longer than all else that a registry does for a repeat.
    """

    key: bytes
    address: bytes
    network: bytes
    hour: int
    manner: Manner
    count: int  # type: ignore[assignment]  # a tuple has a method of that name, which nobody calls here
    device: bytes | None = None
    holder: bytes | None = None
    account: bytes | None = None


class Scope(IntEnum):
    """What a member is asked to restrict. Cancelling orders and closing positions stay open below ``EVERYTHING``."""

    NOTHING = 0
    WATCH = 1
    TELL_HOLDER = 2
    NEW_ORDERS_AND_WITHDRAWALS = 3
    EVERYTHING = 4


class Cause(IntEnum):
    """Why a verdict changed. The numbers are those of the wire; ``NONE`` where nothing ever did."""

    NONE = 0
    SUPPORTED = 1  # the evidence supports a higher level, and the time at the last one is over
    WENT_ON = 2  # sharing was seen after the holder was told and the deadline had passed
    LEAK = 3  # a confirmed leak
    FELL = 4  # the evidence no longer supports the level
    PROVED = 5  # the holder re-authenticated
    ENFORCED = 6  # the exchange revoked the key
    CORRECTED = 7  # judged false, by the exchange or by an operator who granted an appeal
    TOLD = 8  # the exchange told the holder, whose time runs from then
    TIME = 9  # a deadline passed and the scope widened, or the verdict was renewed


class Act(IntEnum):
    """What an exchange did about a verdict. The numbers are those of the wire."""

    MONITORED = 1
    WARNED = 2
    REAUTHENTICATED = 3
    REVOKED = 4
    JUDGED_FALSE = 5


class Ground(IntEnum):
    """Why an exchange appeals. A fixed list, because free text would bring names and addresses into the registry."""

    ONE_HOLDER = 1  # one person's own keys
    SHARED_PREMISES = 2  # a company, a household, a class
    LICENSED_SERVICE = 3  # a platform that an operator may declare
    OWN_MISTAKE = 4  # the exchange's own sightings were wrong
    NOT_A_LEAK = 5  # failures that have another cause
    OTHER = 6


class AppealStatus(IntEnum):
    """What became of an appeal. The numbers are those of the wire."""

    OPEN = 1
    GRANTED = 2
    DENIED = 3


class CountBucket(IntEnum):
    """How many, in steps: with five members an exact count is nearly a name. The numbers are those of the wire."""

    NONE = 0
    ONE = 1
    FROM_2_TO_4 = 2
    FROM_5_TO_9 = 3
    FROM_10_TO_49 = 4
    FROM_50 = 5

    @classmethod
    def of(cls, count: int | None) -> CountBucket:
        """The bucket of a count; None is NONE, 0 and 1 are ONE."""
        if count is None:
            return cls.NONE
        steps = ((2, cls.ONE), (5, cls.FROM_2_TO_4), (10, cls.FROM_5_TO_9), (50, cls.FROM_10_TO_49))
        return next((bucket for bound, bucket in steps if count < bound), cls.FROM_50)


@dataclass(frozen=True, slots=True)
class Reason:
    """One named term of a decision: what it added, in nats; how many it speaks of, bucketed; the hour of the last, or 0."""

    code: str
    contribution: float
    count: CountBucket = CountBucket.NONE
    hour: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the registry holds of one key of one member, as that member sees it.

    ``sequence`` counts that member's verdict changes without gaps, from 1; 0 means that there never was one. Times are
    seconds since the epoch, 0 where there is none. ``scope`` is what to restrict now; ``deadline`` is by when the member is
    asked to have acted, and at ``REVOKE`` until when cancelling and closing stay open; ``cause`` is why it changed.
    ``log_index`` is its leaf in the registry's log, and ``envelope`` how the registry signed it, where it was read from one: what
    proves it to others.
    """

    key: bytes
    level: Level = Level.CLEAR
    score: float = 0.0
    reasons: tuple[Reason, ...] = ()
    sequence: int = 0
    decided_at: int = 0
    valid_until: int = 0
    policy_digest: bytes = b""
    evidence_digest: bytes = b""
    scope: Scope = Scope.NOTHING
    deadline: int = 0
    cause: Cause = Cause.NONE
    member: str = ""
    log_index: int = 0
    envelope: Envelope | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one item of a batch was not taken."""

    index: int
    code: str
    field: str
    expected: str

"""One error root with stable codes, for everything that this project refuses.

A :class:`DaxaError` carries a code that never changes its meaning, the field that was wrong and what was expected.
It never carries the offending value: values here are API keys and addresses, and an exception's text ends in a log.

    >>> raise InvalidInput(ErrorCode.INVALID_LENGTH, "sightings[3].key", "32 bytes, got 31")
    Traceback (most recent call last):
        ...
    daxa_core.errors.InvalidInput: INVALID_LENGTH: sightings[3].key: 32 bytes, got 31
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """What was refused. The names are stable: clients and operators may key on them."""

    # canonical forms
    INVALID_KEY = "INVALID_KEY"
    INVALID_ADDRESS = "INVALID_ADDRESS"
    INVALID_DEVICE = "INVALID_DEVICE"
    INVALID_HOLDER = "INVALID_HOLDER"
    INVALID_ACCOUNT = "INVALID_ACCOUNT"
    # shapes and ranges
    INVALID_LENGTH = "INVALID_LENGTH"
    INVALID_VALUE = "INVALID_VALUE"
    MISSING_FIELD = "MISSING_FIELD"
    UNKNOWN_KIND = "UNKNOWN_KIND"
    UNKNOWN_MANNER = "UNKNOWN_MANNER"
    COUNT_OUT_OF_RANGE = "COUNT_OUT_OF_RANGE"
    HOUR_OUT_OF_WINDOW = "HOUR_OUT_OF_WINDOW"
    TOO_MANY_ITEMS = "TOO_MANY_ITEMS"
    EMPTY_BATCH = "EMPTY_BATCH"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    # group, proofs, shares
    INVALID_ELEMENT = "INVALID_ELEMENT"
    IDENTITY_ELEMENT = "IDENTITY_ELEMENT"
    INVALID_SCALAR = "INVALID_SCALAR"
    INVALID_PROOF = "INVALID_PROOF"
    INVALID_SHARE = "INVALID_SHARE"
    INVALID_PARAMETERS = "INVALID_PARAMETERS"
    NOT_ENOUGH_EVALUATORS = "NOT_ENOUGH_EVALUATORS"
    # versions
    STALE_KEY_VERSION = "STALE_KEY_VERSION"
    STALE_CANONICAL_VERSION = "STALE_CANONICAL_VERSION"
    # envelopes and the log
    INVALID_ENVELOPE = "INVALID_ENVELOPE"
    UNSIGNED_ENVELOPE = "UNSIGNED_ENVELOPE"
    FOREIGN_ENVELOPE = "FOREIGN_ENVELOPE"
    REPLAYED_ENVELOPE = "REPLAYED_ENVELOPE"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    INVALID_CHECKPOINT = "INVALID_CHECKPOINT"
    INVALID_INCLUSION = "INVALID_INCLUSION"
    FORKED_LOG = "FORKED_LOG"
    SHRUNK_LOG = "SHRUNK_LOG"
    UNPROVED_LOG = "UNPROVED_LOG"
    # leaks
    INVALID_CHUNK = "INVALID_CHUNK"
    LEAK_CLOSED = "LEAK_CLOSED"
    LEAK_KNOWN = "LEAK_KNOWN"
    # batches and cursors
    BATCH_ID_REUSED = "BATCH_ID_REUSED"
    CURSOR_OUT_OF_RANGE = "CURSOR_OUT_OF_RANGE"
    # reports, appeals, policies
    ID_REUSED = "ID_REUSED"
    SUPERSEDED = "SUPERSEDED"
    ALREADY_ANSWERED = "ALREADY_ANSWERED"
    POLICY_NOT_TESTED = "POLICY_NOT_TESTED"
    # who
    CERTIFICATE_MISSING = "CERTIFICATE_MISSING"
    CERTIFICATE_EXPIRED = "CERTIFICATE_EXPIRED"
    CERTIFICATE_FOREIGN = "CERTIFICATE_FOREIGN"
    CERTIFICATE_IDENTITY = "CERTIFICATE_IDENTITY"
    CERTIFICATE_AMBIGUOUS = "CERTIFICATE_AMBIGUOUS"
    CERTIFICATE_REVOKED = "CERTIFICATE_REVOKED"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    MEMBER_MISMATCH = "MEMBER_MISMATCH"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    # limits and state
    QUOTA_EXHAUSTED = "QUOTA_EXHAUSTED"
    OVERLOADED = "OVERLOADED"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    NOT_FOUND = "NOT_FOUND"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    # files an operator or engineer wrote
    INVALID_CONFIGURATION = "INVALID_CONFIGURATION"
    INVALID_POLICY = "INVALID_POLICY"
    INVALID_FILE = "INVALID_FILE"
    INTERNAL = "INTERNAL"


class DaxaError(Exception):
    """The root. ``str()`` is ``CODE: field: expected``; none of the three ever holds the refused value."""

    def __init__(self, code: ErrorCode, field: str, expected: str, *, retry_after: float | None = None) -> None:
        """``retry_after`` is in seconds, where trying again later can help."""
        super().__init__(code, field, expected)
        self.code = code
        self.field = field
        self.expected = expected
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.field}: {self.expected}"

    def within(self, outer: str) -> DaxaError:
        """The same error, its field seen from one container further out: ``key`` within ``sightings[3]``."""
        joined = f"{outer}.{self.field}" if self.field else outer
        return type(self)(self.code, joined, self.expected, retry_after=self.retry_after)


class InvalidInput(DaxaError):
    """A value that the caller gave is not what the contract says. Trying again unchanged cannot help."""


class CryptoError(DaxaError):
    """An element, scalar, proof or share is not what it claims to be: a broken or a lying peer."""


class Refused(DaxaError):
    """Well-formed, but not allowed now or not for this caller: rights, quotas, versions, reuse."""


class Unavailable(DaxaError):
    """A peer, the store or the time to answer is missing. The same call may be made again."""


class ConfigurationError(DaxaError):
    """A file or an argument that somebody wrote for this program is wrong; the field names file and key."""

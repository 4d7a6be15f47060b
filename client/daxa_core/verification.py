"""The public keys that a member or an auditor verifies with, as they stand in a file: verdicts', the log's, witnesses'.

They come with the configuration and never from the registry that they are to check; docs/audit.md says how a new file gets to
everybody. A verdict is taken when a key of the file signed it, and was good when the verdict was decided.

    >>> VerificationKeys.from_json("{}")
    Traceback (most recent call last):
        ...
    daxa_core.errors.ConfigurationError: INVALID_CONFIGURATION: format: 1
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .codec import decode_verdict
from .envelope import PUBLIC_BYTES, VERDICT_TYPE, Envelope, invalid, key_id, verify
from .errors import ConfigurationError, CryptoError, DaxaError, ErrorCode
from .model import Verdict
from .note import COSIGNATURE, ED25519, NoteVerifier

FORMAT = 1
MAX_KEYS = 64
LAST_TIME = 2**40
_FIELDS = frozenset({"format", "log", "verdicts", "witnesses"})


def _refuse(name: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, name, expected)


@dataclass(frozen=True, slots=True)
class VerdictKey:
    """A key that signs verdicts: its 32 public bytes, and in which time (seconds) what it signed was decided; 0: no end yet."""

    public: bytes
    since: int
    until: int = 0

    def holds(self, decided_at: int) -> bool:
        """Whether a verdict that was decided then may be signed by it."""
        return self.since <= decided_at and (not self.until or decided_at <= self.until)


@dataclass(frozen=True, slots=True)
class VerificationKeys:
    """What to verify with. The log's origin is the name of its key."""

    log: NoteVerifier
    verdicts: tuple[VerdictKey, ...]
    witnesses: tuple[NoteVerifier, ...] = ()
    _by_id: Mapping[str, VerdictKey] = field(init=False, repr=False, compare=False)
    _public: Mapping[str, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {key_id(key.public): key for key in self.verdicts}
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_public", {name: key.public for name, key in by_id.items()})

    def verdict(self, envelope: Envelope, member: str | None) -> Verdict:
        """The verdict in the envelope, for that member; None takes anybody's, as an auditor does.

        Raises CryptoError as :func:`daxa_core.envelope.verify`, with INVALID_ENVELOPE where the payload was cut, and
        FOREIGN_ENVELOPE where it is another member's or its key was not good when it was decided. Nothing of the payload is
        believed before its signature holds.
        """
        try:
            public = verify(envelope, VERDICT_TYPE, self._public)
        except CryptoError as error:
            if error.code is ErrorCode.INVALID_SIGNATURE and not _is_whole(envelope.payload):
                raise invalid("payload", "a whole verdict, as it was signed; this one is cut, or none") from None
            raise
        try:
            verdict = decode_verdict(envelope.payload, envelope)
        except DaxaError as error:
            raise invalid(f"payload.{error.field}", error.expected) from None
        if not self._by_id[key_id(public)].holds(verdict.decided_at):
            raise CryptoError(
                ErrorCode.FOREIGN_ENVELOPE, "signatures", "one by a key that was good when the verdict was decided"
            )
        if member is not None and verdict.member != member:
            raise CryptoError(ErrorCode.FOREIGN_ENVELOPE, "payload.member", "the member that it was sent to")
        return verdict

    @classmethod
    def from_json(cls, text: str) -> VerificationKeys:
        """Reads and checks the file's text. Raises ConfigurationError naming the field."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise _refuse("file", "a JSON object") from None
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise _refuse("format", f"{FORMAT}")
        for name in raw:
            if name not in _FIELDS:
                raise _refuse(str(name)[:64], "no such field")
        verdicts = [_verdict_key(f"verdicts[{i}]", one) for i, one in enumerate(_list(raw, "verdicts"))]
        if not verdicts:
            raise _refuse("verdicts", "one key or more")
        witnesses = [_vkey(f"witnesses[{i}]", one, COSIGNATURE) for i, one in enumerate(_list(raw, "witnesses"))]
        if len({witness.name for witness in witnesses}) != len(witnesses):
            raise _refuse("witnesses", "each name once")
        return cls(_vkey("log", raw.get("log"), ED25519), tuple(verdicts), tuple(witnesses))

    def to_json(self) -> str:
        """The file's text; :meth:`from_json` reads it."""
        table = {
            "format": FORMAT,
            "log": self.log.vkey(),
            "verdicts": [
                {"public": base64.b64encode(key.public).decode(), "since": key.since, "until": key.until}
                for key in self.verdicts
            ],
            "witnesses": [witness.vkey() for witness in self.witnesses],
        }
        return json.dumps(table, indent=1) + "\n"


def _is_whole(payload: bytes) -> bool:
    """Whether every part of a verdict is there, the last ones too. It decides which refusal is told, never whether one is: a
    verdict that was cut is another matter than one that somebody altered or signed again."""
    try:
        verdict = decode_verdict(payload)
    except DaxaError:
        return False
    return (
        bool(verdict.member) and verdict.log_index > 0
    )  # the log's first leaf says which keys sign, and is no verdict


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_KEYS:
        raise _refuse(name, f"a list of at most {MAX_KEYS}")
    return value


def _vkey(name: str, value: object, algorithm: int) -> NoteVerifier:
    try:
        verifier = NoteVerifier.parse(value) if isinstance(value, str) else None
    except CryptoError:
        verifier = None
    if verifier is None or verifier.algorithm != algorithm:
        raise _refuse(name, "a verifier key, name+id+key, of " + ("a log" if algorithm == ED25519 else "a witness"))
    return verifier


def _verdict_key(name: str, value: object) -> VerdictKey:
    if not isinstance(value, dict) or set(value) != {"public", "since", "until"}:
        raise _refuse(name, "public, since and until")
    try:
        public = base64.b64decode(value["public"], validate=True)
    except (TypeError, binascii.Error, ValueError):
        public = b""
    if len(public) != PUBLIC_BYTES:
        raise _refuse(f"{name}.public", f"{PUBLIC_BYTES} bytes in base64")
    for bound in ("since", "until"):
        time = value[bound]
        if isinstance(time, bool) or not isinstance(time, int) or not 0 <= time <= LAST_TIME:
            raise _refuse(f"{name}.{bound}", "seconds since 1970")
    return VerdictKey(public, value["since"], value["until"])

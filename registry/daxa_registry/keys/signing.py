"""The registry's own signing keys: one for verdicts at any time, replaced with overlap, and one for the log.

``signing.json`` (0600) holds them, and ``verification.json`` beside it what everybody else needs. A new key is announced before
it signs: in between, every member puts the new ``verification.json`` in the place of the old one. The file is read again while
the registry runs, within RELOAD_SECONDS after it changed; one that cannot be read changes nothing, and the log says so once.

    >>> made = make(Path("registry"), "daxa.kr", now=1_800_000_000)                              # doctest: +SKIP
    >>> Signer(Path("registry/signing.json")).sign(VERDICT_TYPE, payload, now=1_800_000_001)     # doctest: +SKIP
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daxa_core.envelope import Envelope, SigningKey
from daxa_core.errors import ConfigurationError, CryptoError, ErrorCode
from daxa_core.note import NoteSigner, NoteVerifier
from daxa_core.verification import LAST_TIME, VerdictKey, VerificationKeys

from .files import replace_file, write_public, write_secret

LOG = logging.getLogger("daxa_registry.keys")
FORMAT = 1
SIGNING, VERIFICATION = "signing.json", "verification.json"
RELOAD_SECONDS = 2.0
GRACE_SECONDS = 3_600
"""How long after the last moment that a key signs its verdicts may say that they were decided: clocks of several nodes differ."""


@dataclass(frozen=True, slots=True)
class VerdictSigner:
    """A key that signs verdicts, from and until when (seconds; 0: until it is replaced), and who made it."""

    key: SigningKey
    since: int
    until: int = 0
    by: str = ""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What signing.json holds; its ``repr`` shows ids alone."""

    origin: str
    log: SigningKey
    verdicts: tuple[VerdictSigner, ...]

    def at(self, now: int) -> SigningKey:
        """The key that signs at that time: the last that has begun."""
        begun = [signer for signer in self.verdicts if signer.since <= now]
        return (begun[-1] if begun else self.verdicts[0]).key

    def public(self, witnesses: Sequence[NoteVerifier] = ()) -> VerificationKeys:
        """What everybody else verifies with."""
        verdicts = [
            VerdictKey(signer.key.public, signer.since, signer.until and signer.until + GRACE_SECONDS)
            for signer in self.verdicts
        ]
        return VerificationKeys(NoteSigner(self.origin, self.log).verifier, tuple(verdicts), tuple(witnesses))

    def to_json(self) -> str:
        """The secret file's text; :func:`read_signing_keys` reads it."""
        table = {
            "format": FORMAT,
            "origin": self.origin,
            "log": self.log.private_bytes().hex(),
            "verdicts": [
                {
                    "private": signer.key.private_bytes().hex(),
                    "since": signer.since,
                    "until": signer.until,
                    "by": signer.by,
                }
                for signer in self.verdicts
            ],
        }
        return json.dumps(table, indent=1) + "\n"


def origin_of(trust_domain: str) -> str:
    """The log's name: what its checkpoints begin with."""
    return f"{trust_domain}/verdict-log"


def make(
    folder: Path, trust_domain: str, now: int, witnesses: Sequence[NoteVerifier] = (), by: str = ""
) -> VerificationKeys:
    """Writes fresh ``signing.json`` (0600) and ``verification.json``. Raises ConfigurationError where one is there."""
    first = VerdictSigner(SigningKey.generate(), now, by=by)
    keys = SigningKeys(origin_of(trust_domain), SigningKey.generate(), (first,))
    public = keys.public(witnesses)
    write_secret(folder / SIGNING, keys.to_json().encode())
    write_public(folder / VERIFICATION, public.to_json().encode())
    return public


def rotated(keys: SigningKeys, now: int, overlap_seconds: int, by: str = "") -> SigningKeys:
    """The same with a fresh key that signs after the overlap; the last one signs until then."""
    begins = now + overlap_seconds
    last = keys.verdicts[-1]
    if last.since > now:
        raise ConfigurationError(
            ErrorCode.INVALID_VALUE, "signing-key", "no other rotation under way: the last new key does not sign yet"
        )
    fresh = VerdictSigner(SigningKey.generate(), begins, by=by)
    return replace(keys, verdicts=(*keys.verdicts[:-1], replace(last, until=begins), fresh))


def replace_files(folder: Path, keys: SigningKeys, witnesses: Sequence[NoteVerifier]) -> None:
    """Puts both files in the place of the old ones, the public one first: nothing is signed by a key that nobody could know."""
    replace_file(folder / VERIFICATION, keys.public(witnesses).to_json().encode(), 0o644)
    replace_file(folder / SIGNING, keys.to_json().encode(), 0o600)


def _refuse(path: Path, key: str, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_CONFIGURATION, f"{path.name}: {key}", expected)


def read_signing_keys(path: Path) -> SigningKeys:
    """Reads signing.json. Raises ConfigurationError naming file and key, never a value."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _refuse(path, "file", f"readable, got {type(error).__name__}") from None
    except (ValueError, RecursionError):
        raise _refuse(path, "file", "a JSON object") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise _refuse(path, "format", f"{FORMAT}")
    listed = raw.get("verdicts")
    if not isinstance(listed, list) or not listed:
        raise _refuse(path, "verdicts", "one key or more")
    verdicts = []
    for index, one in enumerate(listed):
        where = f"verdicts[{index}]"
        if not isinstance(one, dict):
            raise _refuse(path, where, "private, since and until")
        since, until = (_time(path, f"{where}.{name}", one.get(name)) for name in ("since", "until"))
        verdicts.append(VerdictSigner(_key(path, f"{where}.private", one), since, until, str(one.get("by", ""))))
    if [signer.since for signer in verdicts] != sorted(signer.since for signer in verdicts):
        raise _refuse(path, "verdicts", "keys in the order in which they begin to sign")
    keys = SigningKeys(str(raw.get("origin", "")), _key(path, "log", {"private": raw.get("log")}), tuple(verdicts))
    try:
        NoteSigner(keys.origin, keys.log)
    except CryptoError as error:
        raise _refuse(path, "origin", error.expected) from None
    return keys


def _key(path: Path, name: str, table: Mapping[str, Any]) -> SigningKey:
    try:
        return SigningKey(bytes.fromhex(table["private"]))
    except (KeyError, TypeError, ValueError, CryptoError):
        raise _refuse(path, name, "an Ed25519 private key, 32 bytes in hexadecimal") from None


def _time(path: Path, name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST_TIME:
        raise _refuse(path, name, "seconds since 1970")
    return value


def read_verification_keys(path: Path) -> VerificationKeys:
    """Reads verification.json. Raises ConfigurationError naming file and key."""
    try:
        return VerificationKeys.from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise _refuse(path, "file", f"readable, got {type(error).__name__}") from None
    except ConfigurationError as error:
        raise _refuse(path, error.field, error.expected) from None


class Signer:
    """Signs with the keys of signing.json as they are in force; notices that the file was replaced. Used by one thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigurationError where the file is not as it should be."""
        self._path = path
        self._clock = clock
        self._seen = self._stat()
        self.keys = read_signing_keys(path)
        self._next_look = clock() + RELOAD_SECONDS

    def _stat(self) -> tuple[int, int]:
        try:
            stat = self._path.stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_ino)

    def _reload(self) -> None:
        self._next_look = self._clock() + RELOAD_SECONDS
        seen = self._stat()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.keys = read_signing_keys(self._path)
        except ConfigurationError as error:
            LOG.error("the signing keys stay as they were: %s", error)

    def sign(self, payload_type: str, payload: bytes, now: int) -> Envelope:
        """The payload in an envelope, signed by the key in force at ``now`` (seconds)."""
        if self._clock() >= self._next_look:
            self._reload()
        return self.keys.at(now).sign(payload_type, payload)

    def described(self) -> list[dict[str, object]]:
        """Which key signs verdicts when, and who made it: what the log says of them."""
        return [
            {"key_id": one.key.key_id, "since": one.since, "until": one.until, "by": one.by}
            for one in self.keys.verdicts
        ]

    def note_signer(self) -> NoteSigner:
        """What signs checkpoints."""
        return NoteSigner(self.keys.origin, self.keys.log)

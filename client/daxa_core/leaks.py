"""What a leak is said to be, and its blind loading: candidates are fingerprinted where the dump is, fingerprints alone go on.

The operator's and the member's loaders are this one loop with their own evaluators and their own connection. Refused, naming the
field: a name or source that is no short text for others to read, a time to come, a licence that is none of TLP's.

    >>> check(Leak("3commas-2022", "a paste site", 1_671_000_000, Tlp.AMBER), now=1_790_000_000)
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from .canonical import canonical_key
from .dump import candidates
from .errors import ConfigurationError, ErrorCode, InvalidInput
from .pseudonym import digest
from .public_text import check_text

LEAK_ID_BYTES = 16
MAX_LEAKED_PER_CALL = 10_000
MAX_LEAKED = 20_000_000
"""Keys of one leak."""
MAX_TEXT = 100
OVER = frozenset({ErrorCode.LEAK_KNOWN, ErrorCode.LEAK_CLOSED, ErrorCode.EMPTY_BATCH})
"""Refusals after which there is nothing to go on with: whoever loads begins anew."""
SAVE_BYTES = 64 << 20
"""After so many bytes of a dump, at the latest, its progress is saved and told, however few keys are among them."""
_IDENTITY_BYTES = 1 << 20
_REMEMBERED = 200_000
_IDENTITY_CONTEXT = "daxa 2026-11 dump identity v2"


class Confidence(IntEnum):
    """How sure it is that the leak is one. The numbers are those of the wire."""

    UNVERIFIED = 1
    VERIFIED = 2


class LeakState(IntEnum):
    """Where a leak is. The numbers are those of the wire."""

    LOADING = 1
    IN_FORCE = 2
    WITHDRAWN = 3


class Tlp(IntEnum):
    """The licence to share, by the Traffic Light Protocol 2.0. The numbers are those of the wire.

    What is ``RED`` is told to the issuers of its keys alone; no set of it is published.
    """

    CLEAR = 1
    GREEN = 2
    AMBER = 3
    AMBER_STRICT = 4
    RED = 5


@dataclass(frozen=True, slots=True)
class Leak:
    """What whoever found it says of a leak; ``found_at`` in seconds since the epoch."""

    name: str
    source: str
    found_at: int
    tlp: Tlp = Tlp.AMBER


def check(leak: Leak, now: int) -> None:
    """Raises InvalidInput naming the field that is wrong."""
    check_text("name", leak.name, MAX_TEXT)
    check_text("source", leak.source, MAX_TEXT)
    if not 0 < leak.found_at <= now + 86_400:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "found_at", "seconds since the epoch, not to come")
    if leak.tlp not in Tlp:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "tlp", "CLEAR, GREEN, AMBER, AMBER_STRICT or RED")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file was loaded: its identity, the leak's id, the offset up to which all was sent, what was found and sent."""

    identity: str
    leak_id: bytes
    offset: int = 0
    found: int = 0
    sent: int = 0

    def to_json(self) -> str:
        """The progress file's text. It holds nothing of the dump."""
        table = {"identity": self.identity, "leak_id": self.leak_id.hex(), "offset": self.offset}
        return json.dumps(table | {"found": self.found, "sent": self.sent}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Progress:
        """What ``to_json`` wrote. Raises ConfigurationError INVALID_FILE."""
        try:
            table = json.loads(text)
            numbers = [table[name] for name in ("offset", "found", "sent")]
            found = cls(str(table["identity"]), bytes.fromhex(table["leak_id"]), *numbers)
        except (ValueError, TypeError, LookupError, RecursionError):
            found = None
        if (
            found is None
            or len(found.leak_id) != LEAK_ID_BYTES
            or not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**62 for n in numbers)
        ):
            raise ConfigurationError(ErrorCode.INVALID_FILE, "progress", "a file that the loading of a leak wrote")
        return found

    @classmethod
    def kept_in(cls, path: Path, identity: str) -> Progress:
        """The progress of an interrupted loading of the same file, or a fresh one. Raises ConfigurationError INVALID_FILE
        where another file's stands there."""
        try:
            progress = cls.from_json(path.read_text("utf-8", "replace"))
        except FileNotFoundError:
            return cls(identity, secrets.token_bytes(LEAK_ID_BYTES))
        if progress.identity != identity:
            wanted = "the progress of this very file; remove it to begin anew"
            raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, wanted)
        return progress


def identity_of(file: BinaryIO, size: int) -> str:
    """What tells one file from another: its size, its beginning and its end, digested. It leaves the file at its beginning.

    Of two exports of one table the beginnings are often the same.
    """
    file.seek(0)
    head = file.read(_IDENTITY_BYTES)
    file.seek(max(size - _IDENTITY_BYTES, 0))
    end = file.read(_IDENTITY_BYTES)
    file.seek(0)
    return digest(_IDENTITY_CONTEXT, size.to_bytes(8, "big") + head + end).hex()


def count(file: BinaryIO, tell: Callable[[int, int], None]) -> int:
    """How many candidates there are, without keeping them: an upper bound, for those that come again count again.

    ``tell`` is given the bytes read and the candidates so far, every ``SAVE_BYTES``.
    """
    found, told = 0, 0
    for offset, keys in candidates(file):
        found += len(keys)
        if offset - told >= SAVE_BYTES:
            tell(offset, found)
            told = offset
    return found


def load(
    file: BinaryIO,
    progress: Progress,
    fingerprint: Callable[[Sequence[bytes]], Sequence[bytes]],
    send: Callable[[Sequence[bytes]], None],
    save: Callable[[Progress], None],
    batch: int = MAX_LEAKED_PER_CALL,
) -> Progress:
    """Reads the file from where ``progress`` is and sends the fingerprints of all candidates; answers the progress at its end.

    ``fingerprint`` takes canonical bytes, ``send`` fingerprints of at most ``batch`` keys; ``save`` is called when what was read
    up to there has been sent: with a full batch, and every ``SAVE_BYTES``. A stop anywhere loses nothing: what was sent twice is
    one.
    """
    waiting: dict[bytes, None] = {}
    remembered: dict[bytes, None] = {}

    def flush(progress: Progress) -> Progress:
        while waiting:
            part = list(waiting)[:batch]
            send(fingerprint(part))
            for one in part:
                del waiting[one]
            progress = replace(progress, sent=progress.sent + len(part))
        return progress

    last = saved = progress.offset
    for offset, keys in candidates(file, progress.offset):
        for key in keys:
            canonical = canonical_key(key.decode("ascii"))
            if canonical not in remembered:
                if len(remembered) >= _REMEMBERED:
                    remembered.clear()
                remembered[canonical] = waiting[canonical] = None
                progress = replace(progress, found=progress.found + 1)
        last = offset
        if len(waiting) >= batch or offset - saved >= SAVE_BYTES:
            progress = replace(flush(progress), offset=offset)
            save(progress)
            saved = offset
    progress = replace(flush(progress), offset=last)
    save(progress)
    return progress

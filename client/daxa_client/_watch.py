"""Following a member's verdicts: from a cursor, without gaps, at least once, across broken streams and restarts.

The cursor is the sequence of the last verdict that the consumer has taken; a verdict counts as taken when the next one is asked
for. A sequence that is missing is an error and never skipped: a verdict that nobody saw is a key that nobody acted on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from daxa_api.v1 import verdict_pb2
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, InvalidInput, Unavailable
from daxa_core.model import Verdict

from ._errors import ROLE
from ._registry import Ending, Registry
from ._retry import RETRYABLE, waiting
from ._verification import Verifier

LOG = logging.getLogger("daxa_client")
LAST_SEQUENCE = 2**64 - 1
_LOOK_SECONDS = 0.5


class CursorFile:
    """The last sequence that was taken, in a file of one line; a disk that fails costs repeats, never a verdict."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._complained = False

    def read(self) -> int:
        """0 where there is no file yet, or nothing that can be read in it."""
        try:
            text = self._path.read_text("ascii", "replace").strip()
        except FileNotFoundError:
            return 0
        except OSError as error:
            LOG.warning("the cursor file cannot be read (%s); watching from the beginning", type(error).__name__)
            return 0
        if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= LAST_SEQUENCE):
            LOG.warning("the cursor file holds no sequence; watching from the beginning")
            return 0
        return int(text)

    def write(self, sequence: int) -> None:
        """Replaces the file whole: a crash leaves the old sequence or the new one."""
        scratch = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                out.write(f"{sequence}\n")
            os.replace(scratch, self._path)
        except OSError as error:
            if not self._complained:
                LOG.warning("the cursor file cannot be written (%s); verdicts will come again", type(error).__name__)
            self._complained = True
        else:
            self._complained = False


def checked_sequence(sequence: object) -> int:
    """Raises InvalidInput unless it is one."""
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 <= sequence <= LAST_SEQUENCE:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "after_sequence", "a sequence, 0 for all")
    return sequence


def in_order(cursor: int, verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    """Those after the cursor. Raises CryptoError REPLAYED_ENVELOPE for one that is not after it, and Unavailable
    CURSOR_OUT_OF_RANGE where one is missing before the next."""
    for verdict in verdicts:
        if verdict.sequence <= cursor:
            raise CryptoError(ErrorCode.REPLAYED_ENVELOPE, "verdicts", f"one after sequence {cursor}, got an older one")
        if verdict.sequence != cursor + 1:
            wanted = f"verdicts without gaps: sequence {cursor + 1} next, got {verdict.sequence}"
            raise Unavailable(ErrorCode.CURSOR_OUT_OF_RANGE, ROLE, wanted)
        cursor = verdict.sequence
        yield verdict


def follow(
    registry: Registry, verifier: Verifier, cursor: int, file: CursorFile | None, ending: Ending
) -> Generator[Verdict, None, None]:
    """Every verdict after the cursor, as it happens; ends when it or the client is, raises what waiting cannot mend.

    One that does not verify is such a thing: whatever comes after it, somebody has to look.
    """
    attempt = 0
    while not (registry.closed or ending.over):
        try:
            stream = registry.stream(verdict_pb2.WatchVerdictsRequest(after_sequence=cursor), ending)
            with contextlib.closing(stream):
                for message in stream:
                    attempt = 0
                    for verdict in in_order(cursor, map(verifier.read, message.verdicts)):
                        yield verdict
                        cursor = verdict.sequence
                        if file is not None:
                            file.write(cursor)
        except DaxaError as error:
            if registry.closed:
                return
            if error.code not in RETRYABLE:
                raise
            text = f"watching is interrupted and goes on by itself: {error}"
            registry.complaints.say(f"watch {error.code}", text)
            end = time.monotonic() + waiting(attempt, error)
            while not (registry.closed or ending.over) and time.monotonic() < end:
                registry.wait(min(max(end - time.monotonic(), 0.0), _LOOK_SECONDS))
            attempt += 1

"""Following an access log into a gateway: every line once, across rotation, restarts and crashes.

How far it has read is kept in the spool, in the same transaction as what the lines said. A file that was rotated away is read
to its end under its new name first, then those that came after it; one that was cut in place is read from its beginning (see
:mod:`._rotation`). A last line without an end waits for it. A line that is no record is counted and told once an hour, and the
next one is read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode

from ._complaints import Complaints
from ._gateway import Gateway
from ._request_log import MAX_LINE_BYTES, RequestLog
from ._rotation import LogFile, Rotation

LINES_AT_ONCE = 2_000
_LOOK_SECONDS = 0.25
_CHUNK_BYTES = 1 << 20


class LogFollower:
    """One log file. The gateway must be one that flushes when it is told (``Gateway(…, flushes=False)``)."""

    def __init__(self, path: Path, gateway: Gateway, log: RequestLog, secret: bytes) -> None:
        """``secret`` is the member's, of 32 bytes."""
        self._path, self._gateway, self._log = path.absolute(), gateway, log
        self._name = f"log {self._path}"
        self._complaints = Complaints()
        self._rotation = Rotation(self._path, secret, self._complaints)
        self._stopped = threading.Event()
        self._skipping = False
        self.read = self.refused = 0

    def stop(self) -> None:
        """Makes :meth:`run` end after the lines at hand."""
        self._stopped.set()

    def run(self, follow: bool = True) -> None:
        """Reads what is there, and with ``follow`` what comes. Raises ConfigurationError where there is no file to read."""
        begun = False
        while not self._stopped.is_set():
            try:
                log = self._rotation.open_next(self._gateway.mark(self._name))
            except DaxaError as error:
                if not follow:
                    raise
                self._complaints.say("keep", f"the log is not read on for now: {error}")
                self._stopped.wait(1.0)
                continue
            if log is None:
                if not follow and not begun:
                    raise ConfigurationError(ErrorCode.INVALID_FILE, self._path.name, "a file that can be read")
                if not follow:
                    return
                self._stopped.wait(_LOOK_SECONDS)
                continue
            begun = True
            with log.file:
                self._keep(log)
                whole = self._read_through(log, follow)
                if whole and not follow and log.live and not self._rotation.replaced(log):
                    return

    # one file

    def _read_through(self, log: LogFile, follow: bool) -> bool:
        """Until the file is rotated away and read to its end, or, without ``follow``, to its end; False where it was cut."""
        rest = b""
        idle_once = self._skipping = False
        while not self._stopped.is_set():
            chunk = log.file.read(_CHUNK_BYTES)
            if not log.holds(rest):
                return False
            if chunk:
                idle_once = False
                rest = self._take(log, rest + chunk)
                continue
            replaced = self._rotation.replaced(log)
            if not follow or (idle_once and replaced):
                if rest:  # nobody will end this line any more
                    self._line(rest)
                    log.take(rest)
                self._keep(log)
                return True
            # Once more after it was seen to be replaced: whoever writes may not have reopened yet.
            idle_once = replaced
            self._stopped.wait(_LOOK_SECONDS)
        return False

    def _take(self, log: LogFile, data: bytes) -> bytes:
        """Reads the whole lines of ``data``, which begins at the log's place, and moves that; the rest after it."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if self._skipping and lines:  # the rest of a line that was too long may be made to look like a record
            log.take(lines.pop(0) + b"\n")
            self._skipping = False
        for start in range(0, len(lines), LINES_AT_ONCE):
            some = lines[start : start + LINES_AT_ONCE]
            for line in some:
                self._line(line)
            log.take(b"\n".join(some) + b"\n")
            self._keep(log)
        if len(rest) > MAX_LINE_BYTES:
            if not self._skipping:
                self._line(rest)
            self._skipping = True
        if self._skipping:
            log.take(rest)
            rest = b""
        return rest

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        self.read += 1
        try:
            self._log.line(line)
        except DaxaError as error:
            self.refused += 1
            self._complaints.say(
                f"line {error.field}", f"{self.refused} lines of the log so far were no records: {error}"
            )

    def _keep(self, log: LogFile) -> None:
        """What was read is on the disk together with how far; a full disk is waited for, not read past."""
        while True:
            try:
                self._gateway.flush((self._name, self._rotation.mark(log)))
                return
            except DaxaError as error:
                self._complaints.say("keep", f"the log is not read on for now: {error}")
                if self._stopped.wait(1.0):
                    return


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream; of one that is too long only the beginning, for its rest may be made to look like a record."""
    skipping = False
    while line := file.readline(MAX_LINE_BYTES + 1):
        if not skipping:
            yield line
        skipping = not line.endswith(b"\n")

"""Following an access log into a gateway: every line once, across rotation, restarts and crashes.

How far it has read is kept in the spool, in the same transaction as what the lines said. A file that was rotated away is read
to its end under its new name first; one that was cut to nothing in place is read from its beginning. A last line without an end
waits for it. A line that is no record is counted and told once an hour, and the next one is read.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode

from ._complaints import Complaints
from ._gateway import Gateway
from ._request_log import MAX_LINE_BYTES, RequestLog

LINES_AT_ONCE = 2_000
_LOOK_SECONDS = 0.25
_CHUNK_BYTES = 1 << 20


class LogFollower:
    """One log file. The gateway must be one that flushes when it is told (``Gateway(…, flushes=False)``)."""

    def __init__(self, path: Path, gateway: Gateway, log: RequestLog) -> None:
        self._path, self._gateway, self._log = path.absolute(), gateway, log
        self._name = f"log {self._path}"
        self._complaints = Complaints()
        self._stopped = threading.Event()
        self._skipping = False
        self.read = self.refused = 0

    def stop(self) -> None:
        """Makes :meth:`run` end after the lines at hand."""
        self._stopped.set()

    def run(self, follow: bool = True) -> None:
        """Reads what is there, and with ``follow`` what comes. Raises ConfigurationError where there is no file to read."""
        while not self._stopped.is_set():
            file = self._open_next()
            if file is None:
                if not follow:
                    raise ConfigurationError(ErrorCode.INVALID_FILE, self._path.name, "a file that can be read")
                self._stopped.wait(_LOOK_SECONDS)
                continue
            with file:
                self._read_through(file, follow)
            if not follow:
                return

    # one file

    def _open_next(self) -> BinaryIO | None:
        """The file to go on with, at its place: the one that was read last where it is still there, else the newest."""
        inode, offset = read_mark(self._gateway.mark(self._name))
        for path in (self._path, *self._siblings()):
            try:
                file = path.open("rb")
            except OSError:
                continue
            state = os.fstat(file.fileno())
            if state.st_ino == inode and (path == self._path or state.st_size > offset):
                file.seek(offset if state.st_size >= offset else 0)
                return file
            file.close()
        try:
            file = self._path.open("rb")
        except OSError:
            return None
        if inode and os.fstat(file.fileno()).st_ino != inode and not self._finished(inode, offset):
            self._complaints.say(
                "gone", "the log was rotated away before it was read to its end; what was left is lost"
            )
        return file

    def _siblings(self) -> list[Path]:
        return sorted(one for one in self._path.parent.glob(f"{self._path.name}*") if one != self._path)

    def _finished(self, inode: int, offset: int) -> bool:
        for path in self._siblings():
            with suppress(OSError):
                state = path.stat()
                if state.st_ino == inode:
                    return state.st_size <= offset
        return False

    def _read_through(self, file: BinaryIO, follow: bool) -> None:
        """Until the file is rotated away and read to its end, or, without ``follow``, to its end."""
        inode, place = os.fstat(file.fileno()).st_ino, file.tell()
        rest = b""
        idle_once = False
        while not self._stopped.is_set():
            chunk = file.read(_CHUNK_BYTES)
            if chunk:
                idle_once = False
                rest += chunk
                place, rest = self._take(rest, inode, place)
                continue
            if os.fstat(file.fileno()).st_size < place:  # cut to nothing in place
                file.seek(0)
                place, rest, self._skipping = 0, b"", False
                continue
            if not follow or (idle_once and self._replaced(inode)):
                self._skipping = False
                if rest:  # nobody will end this line any more
                    self._line(rest)
                self._keep(inode, place + len(rest))
                return
            # Once more after it was seen to be replaced: whoever writes may not have reopened yet.
            idle_once = self._replaced(inode)
            self._stopped.wait(_LOOK_SECONDS)

    def _take(self, data: bytes, inode: int, place: int) -> tuple[int, bytes]:
        """Reads the whole lines of ``data``, which begins at ``place``; where the rest begins, and the rest."""
        lines = data.split(b"\n")
        rest = lines.pop()
        if self._skipping and lines:  # the rest of a line that was too long may be made to look like a record
            place += len(lines.pop(0)) + 1
            self._skipping = False
        for start in range(0, len(lines), LINES_AT_ONCE):
            for line in lines[start : start + LINES_AT_ONCE]:
                place += len(line) + 1
                self._line(line)
            self._keep(inode, place)
        if len(rest) > MAX_LINE_BYTES:
            if not self._skipping:
                self._line(rest)
            self._skipping = True
        if self._skipping:
            place, rest = place + len(rest), b""
        return place, rest

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

    def _keep(self, inode: int, place: int) -> None:
        """What was read is on the disk together with how far; a full disk is waited for, not read past."""
        while True:
            try:
                self._gateway.flush((self._name, json.dumps([inode, place])))
                return
            except DaxaError as error:
                self._complaints.say("keep", f"the log is not read on for now: {error}")
                if self._stopped.wait(1.0):
                    return

    def _replaced(self, inode: int) -> bool:
        try:
            return self._path.stat().st_ino != inode
        except FileNotFoundError:
            return False


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream; of one that is too long only the beginning, for its rest may be made to look like a record."""
    skipping = False
    while line := file.readline(MAX_LINE_BYTES + 1):
        if not skipping:
            yield line
        skipping = not line.endswith(b"\n")


def read_mark(mark: str | None) -> tuple[int, int]:
    """Which file was read last and how far; the beginning where nothing was kept, or what was kept is spoilt."""
    try:
        inode, offset = json.loads(mark or "[0, 0]")
    except (TypeError, ValueError, RecursionError):
        return 0, 0
    return (inode, offset) if type(inode) is int and type(offset) is int and 0 <= offset < 1 << 63 else (0, 0)

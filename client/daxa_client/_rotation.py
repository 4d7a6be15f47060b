"""Which file of a log is to be read next, and from where, whatever was done to the log since it was read last.

A place in a log is known again by a keyed digest of what stands before it, not by the file's number alone: a number is given
again, a file that was cut in place (``copytruncate``) keeps its number and may have grown past the place, and the copy has
another one. After the file in which the place is come those that were written to later, in that order, and the log itself last.
What can no longer be read is told: a compressed file, a place that stands nowhere any more.
"""

from __future__ import annotations

import glob
import hmac
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from daxa_core.pseudonym import derive_key

from ._complaints import Complaints

TAIL_BYTES = 4_096
_COMPRESSED = frozenset((".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip"))
_CONTEXT = "daxa 2026-11 place in a log v1"


@dataclass(slots=True, eq=False)
class LogFile:
    """An open file of the log; ``place`` is how far it was read, ``tail`` the last bytes before that, ``live`` the log itself."""

    file: BinaryIO
    path: Path
    live: bool
    inode: int
    written: int
    """When it was last written to as it was opened, in nanoseconds."""
    place: int = 0
    tail: bytes = b""

    def take(self, data: bytes) -> None:
        """Moves the place past data that stands there."""
        self.place += len(data)
        self.tail = (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]

    def holds(self, rest: bytes) -> bool:
        """Whether what was read, with ``rest`` after the place, still stands there: else the file was cut and written anew."""
        before = self.tail + rest
        return os.pread(self.file.fileno(), len(before), self.place - len(self.tail)) == before

    def at(self, place: int) -> bytes | None:
        """The last bytes before a place; None where the file is shorter."""
        length = min(place, TAIL_BYTES)
        found = os.pread(self.file.fileno(), length, place - length)
        return found if len(found) == length else None


@dataclass(frozen=True, slots=True)
class Mark:
    inode: int
    offset: int
    written: int = 0
    digest: str = ""
    """Where a log was read to. ``written`` and ``digest`` are missing where a client kept it that knew of neither."""

    @classmethod
    def read(cls, text: str | None) -> Mark | None:
        """What :meth:`Rotation.mark` says; None where nothing was kept, or what was kept is spoilt."""
        try:
            inode, offset, written, digest = [*json.loads(text or ""), 0, ""][:4]
        except (TypeError, ValueError, RecursionError):
            return None
        whole = all(type(one) is int and 0 <= one < 1 << 63 for one in (inode, offset, written))
        return cls(inode, offset, written, digest) if whole and isinstance(digest, str) else None


class Rotation:
    """The files of one log. One thread at a time."""

    def __init__(self, path: Path, secret: bytes, complaints: Complaints) -> None:
        """``secret`` is the member's: a mark tells nobody else what stands in the log."""
        self._path, self._complaints = path, complaints
        self._key = derive_key(_CONTEXT, secret)

    def mark(self, log: LogFile) -> str:
        """The place as :meth:`open_next` knows it again."""
        written = os.fstat(log.file.fileno()).st_mtime_ns
        return json.dumps([log.inode, log.place, written, self._digest(log.tail)])

    def replaced(self, log: LogFile) -> bool:
        """Whether another file is the log now."""
        try:
            return self._path.stat().st_ino != log.inode
        except FileNotFoundError:
            return False

    def open_next(self, text: str | None) -> LogFile | None:
        """The file to go on with, at its place, after what :meth:`mark` said; None where there is none, or none yet."""
        files = self._files()
        chosen: LogFile | None = None
        try:
            chosen = self._choose(files, Mark.read(text))
        finally:
            for one in files:
                if one is not chosen:
                    one.file.close()
        if chosen is not None:
            chosen.file.seek(chosen.place)
        return chosen

    def _files(self) -> list[LogFile]:
        """Those that can be opened, as they were written to, the log itself last."""
        rotated = []
        for path in self._path.parent.glob(f"{glob.escape(self._path.name)}[._-]*"):
            one = _opened(path, live=False)
            if one is not None:
                rotated.append(one)
        live = _opened(self._path, live=True)
        return sorted(rotated, key=lambda one: one.written) + ([live] if live else [])

    def _choose(self, files: list[LogFile], mark: Mark | None) -> LogFile | None:
        if mark is None:
            return next((one for one in files if one.live), None)
        marked = self._marked(files, mark)
        if marked is None:
            cut = any(one.live and one.inode == mark.inode for one in files)
            self._complaints.say("cut" if cut else "gone", _CUT if cut else _GONE)
            later = [one for one in files if one.live or 0 < mark.written < one.written]
        else:
            if marked.live or os.fstat(marked.file.fileno()).st_size > mark.offset:
                marked.place, marked.tail = mark.offset, marked.at(mark.offset) or b""
                return marked
            later = files[files.index(marked) + 1 :]
        for one in later:
            if one.live or _is_rotated(self._path, one.path):
                if one.path.suffix not in _COMPRESSED:
                    return one
                self._complaints.say("compressed", _ZIPPED)
        return None

    def _marked(self, files: list[LogFile], mark: Mark) -> LogFile | None:
        """The file in which the mark was made: that one, or a copy that was taken before it was cut."""
        plain = [one for one in files if one.path.suffix not in _COMPRESSED]
        plain.sort(key=lambda one: one.inode != mark.inode)
        for one in plain:
            before = one.at(mark.offset)
            known = one.inode == mark.inode if not (mark.digest and mark.offset) else self._is(before, mark.digest)
            if before is not None and known:
                return one
        return None

    def _is(self, before: bytes | None, digest: str) -> bool:
        return before is not None and hmac.compare_digest(self._digest(before), digest)

    def _digest(self, before: bytes) -> str:
        return blake3(before, key=self._key).hexdigest(length=16)


_GONE = "the log was rotated away before it was read to its end, and is not there any more; what was left of it is lost"
_CUT = "the log was cut in place and is read from its beginning; what was written to it last, before that, may be lost"
_ZIPPED = "a rotated log was compressed before it was read; what is in it is lost (logrotate has delaycompress)"


def _opened(path: Path, live: bool) -> LogFile | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for whoever writes to it
            return None
        file = path.open("rb")
    except OSError:
        return None
    state = os.fstat(file.fileno())
    return LogFile(file, path, live, state.st_ino, state.st_mtime_ns)


def _is_rotated(log: Path, path: Path) -> bool:
    """Whether a number or a date stands after the log's name; other files may be named like it too."""
    return any(character.isdigit() for character in path.name[len(log.name) :])

"""Reading a dump: every candidate for a key in a stream of bytes, whatever the stream is; nothing of it is kept.

A dump is CSV, JSON, a paste with keys among other words, or junk, in any encoding or in several at once. So it is read as bytes:
a candidate is what has a published shape between characters that cannot belong to a key, or an unpublished one beside a label
(``api_key = …``) or in a column whose header is one. NULs are passed over, so UTF-16 reads as well. Lines need not end: memory is
that of a block, whatever the file. What is refused: nothing; what is no key is no candidate.

    >>> import io
    >>> [keys for _, keys in candidates(io.BytesIO(b'{"api_key": "kbt_0123456789", "note": "kbt"}'))]
    [[b'kbt_0123456789']]
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

from .key_shapes import PUBLISHED, UNPUBLISHED

BLOCK_BYTES = 1 << 20
OVERLAP_BYTES = 1_024
"""How far before its offset reading begins again: a key and its label never reach farther."""
MAX_LINE_BYTES = 64 << 10
"""Longer lines of a CSV are searched like text, not taken apart."""
DELIMITERS = ",;\t"
_WIDEST = 4
"""How many bytes of a file one of a line may take: those of UTF-32."""
_EDGE = r"A-Za-z0-9_-"
_OF_KEYS = bytes(c for c in range(256) if re.match(rf"[{_EDGE}]".encode(), bytes([c])))
_RUNS = bytes(c if c in _OF_KEYS else 32 for c in range(256))
"""What cannot belong to a key becomes a space: splitting there is ten times as fast as searching."""
_LENGTHS = frozenset((32, 36, 40, 48))
_SHAPE = re.compile(PUBLISHED.encode())
# The end of a label, and what has to stand before it. A bare "key" counts where no word stands before it: the value of a
# secret_key is none of ours.
_LABELS = {
    b"key": re.compile(rb"(?:(?<![a-z])(?:x[-_ ]?kapi|api|access|connect|public)[-_ ]?|(?<![a-z_-]))\Z"),
    b"token": re.compile(rb"(?<![a-z])access[-_ ]?\Z"),
    b"id": re.compile(rb"(?<![a-z])client[-_ ]?\Z"),
}
_AFTER = re.compile(rf"[\"']?[ \t]{{0,8}}[:=,\t ][ \t]{{0,8}}[\"']?({UNPUBLISHED})(?![{_EDGE}])".encode())
_BEFORE_BYTES = 16
_VALUE = re.compile(f"{PUBLISHED}|{UNPUBLISHED}")
_DIGIT = re.compile(rb"[0-9]")


def candidates(file: BinaryIO, offset: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """The candidates of each block in turn, with the offset in bytes up to which all was yielded: no row is cut by it.

    Begun at such an offset (the file has to be one that seeks) it goes on from there: some candidates come twice, none is lost.
    """
    rows = _Rows(file)
    at = max(offset - OVERLAP_BYTES, 0)
    if file.seekable():
        file.seek(at)
    kept, inside = b"", at > 0
    while block := file.read(BLOCK_BYTES):
        at += len(block)
        plain = block.replace(b"\0", b"")
        found = dict.fromkeys(rows.take(plain, block))
        if inside:  # begun in the middle of something that was read before
            plain = plain.lstrip(_OF_KEYS)
            inside = not plain
        data = kept + plain
        end = len(data.rstrip(_OF_KEYS))
        found |= _found(data[:end])
        if len(data) - end > OVERLAP_BYTES:
            kept = data[-OVERLAP_BYTES:]  # no key is so long; what goes on here is none either
        else:
            kept = data[max(end - OVERLAP_BYTES, 0) :]
            kept = kept.lstrip(_OF_KEYS) if end > OVERLAP_BYTES else kept
        yield at - rows.behind, list(found)
    found = _found(kept) | dict.fromkeys(rows.end())
    if found:
        yield at, list(found)


def _found(data: bytes) -> dict[bytes, None]:
    runs = [run for run in data.translate(_RUNS).split() if len(run) in _LENGTHS]
    found = dict.fromkeys(run for run in runs if _SHAPE.fullmatch(run))
    lower = data.lower()
    for word, before in _LABELS.items():
        at = lower.find(word)
        while at >= 0:
            after = at + len(word)
            value = _AFTER.match(data, after)
            if value and _DIGIT.search(value[1]) and before.search(lower[max(at - _BEFORE_BYTES, 0) : at]):
                found[value[1]] = None
            at = lower.find(word, after)
    return found


def holds_key(text: str) -> bool:
    """Whether a text that somebody writes for others has something in it that could be a key."""
    return bool(_found(text.encode("utf-8", "replace")))


def is_label(cell: str) -> bool:
    """Whether a CSV's header is a label."""
    name = cell.lower().encode()
    return any(name.endswith(word) and before.search(name.removesuffix(word)) for word, before in _LABELS.items())


def column_of(header: str) -> tuple[int, str] | None:
    """In which column of a CSV with that header the keys are, and what stands between columns; None where no label says so."""
    for delimiter in DELIMITERS:
        cells = [cell.strip().strip("\"'") for cell in header.split(delimiter)]
        places = [place for place, cell in enumerate(cells) if is_label(cell)]
        if places and len(cells) > 1:
            return places[0], delimiter
    return None


class _Rows:
    """The column of keys of a CSV, where the file's first line is a header that names one; of any other file, nothing.

    ``behind`` is how many of the file's bytes belong to a row that has begun and not ended.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.behind = 0
        self._place = -1
        self._delimiter = ","
        self._rest = b""
        self._skipping = True  # the header, or what is left of a line that was read before
        if not file.seekable():
            return
        file.seek(0)
        head = file.read(4_096).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").split(b"\n", 1)[0]
        if (found := column_of(head.decode("latin-1"))) is not None:
            self._place, self._delimiter = found

    def take(self, data: bytes, block: bytes) -> list[bytes]:
        """The keys of the lines that end in it. ``block`` is as it stands in the file."""
        if self._place < 0:
            return []
        *lines, rest = (self._rest + data).split(b"\n")
        if self._skipping and lines:
            self._skipping = False
            lines = lines[1:]
        self._rest = rest
        ended = block.rfind(b"\n") + 1
        self.behind = len(block) - ended if ended else self.behind + len(block)
        if len(rest) > MAX_LINE_BYTES or self.behind > MAX_LINE_BYTES * _WIDEST:
            self._rest, self._skipping = b"", True
        if self._skipping:
            self.behind = 0
        return [value for line in lines if (value := self._cell(line))]

    def end(self) -> list[bytes]:
        """The key of a last line without an end."""
        value = b"" if self._place < 0 or self._skipping else self._cell(self._rest)
        return [value] if value else []

    def _cell(self, line: bytes) -> bytes:
        if len(line) > MAX_LINE_BYTES:
            return b""
        try:
            cells = next(csv.reader([line.decode("latin-1").rstrip("\r")], delimiter=self._delimiter), [])
        except csv.Error:
            return b""
        value = cells[self._place].strip() if self._place < len(cells) else ""
        return value.encode("latin-1") if _VALUE.fullmatch(value) and any("0" <= c <= "9" for c in value) else b""

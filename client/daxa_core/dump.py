"""Reading a dump: every candidate for a key in a stream of bytes, whatever the stream is; nothing of it is kept.

A dump is CSV, JSON, a paste with keys among other words, or junk, in any encoding or in several at once. So it is read as bytes:
a candidate is what has a published shape between characters that cannot belong to a key, or an unpublished one beside a label
(``api_key = …``, ``API 키: …``) or in a column whose header is one. An escape of JSON or of a URL (``\\n``, ``%22``) belongs to
no key. NULs are passed over, so UTF-16 reads as well. Lines need not end: memory is that of a block, whatever the file. What is
refused: nothing; what is no key is no candidate.

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
DELIMITERS = ",;\t|"
_HEADERS = 5
"""Among so many first lines of a CSV its header is looked for: titles and ``sep=;`` may stand before it."""
_WIDEST = 4
"""How many bytes of a file one of a line may take: those of UTF-32."""
_EDGE = r"A-Za-z0-9_-"
_OF_KEYS = bytes(c for c in range(256) if re.match(rf"[{_EDGE}]".encode(), bytes([c])))
_RUNS = bytes(c if c in _OF_KEYS else 32 for c in range(256))
"""What cannot belong to a key becomes a space: splitting there is ten times as fast as searching."""
_LENGTHS = frozenset((32, 36, 40, 48))
_SHAPE = re.compile(PUBLISHED.encode())
# What may stand before a label: no letter, unless it ends an escape.
_FRESH = rb"(?:(?<![a-z])|(?<=%[0-9a-f]{2})|(?<=\\[bfnrt]))"


def _korean(encoding: str) -> tuple[bytes, re.Pattern[bytes]]:
    """The label of a key in Korean, as files in that encoding have it; not that of a secret key."""
    key, *words = (word.encode(encoding) for word in ("키", "액세스", "엑세스", "접근", "연결", "공개"))
    secrets = (word.encode(encoding) for word in ("시크릿 ", "비밀 ", "보안 ", "secret "))
    other = b"".join(b"(?<!" + word + b")" for word in secrets)
    named = b"|".join((b"api", b"access", b"connect", b"public", *words))
    return key, re.compile(rb"(?:(?:" + named + rb")[-_ ]?|(?<![\x80-\xffa-z_-])" + other + rb")\Z")


# The end of a label, and what has to stand before it. A bare "key" counts where no word stands before it: the value of a
# secret_key is none of ours.
_LABELS = {
    b"key": re.compile(_FRESH + rb"(?:(?:x[-_ ]?kapi|api|access|connect|public)[-_ ]?|(?<![_-]))\Z"),
    **dict(_korean(encoding) for encoding in ("utf-8", "cp949")),
    b"token": re.compile(_FRESH + rb"access[-_ ]?\Z"),
    b"id": re.compile(_FRESH + rb"client[-_ ]?\Z"),
}
_ESCAPE = r"%[0-9A-Fa-f]{2}|\\(?:[bfnrt]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})"
# What stands between a label and its value: signs in one line; a sign and a line's end; JSON's way to the value of a name.
_BETWEEN = (
    rf"(?:{_ESCAPE}|[^%\r\n{_EDGE}]){{1,16}}",
    r"[\"'`]?\s{0,4}[:=]\s{1,32}[\"'`]?",
    r"\\?[\"']\s{0,8},\s{0,32}\\?[\"']?value\\?[\"']?\s{0,4}[:=]\s{0,8}\\?[\"']?",
)
_AFTER = re.compile(rf"(?:{'|'.join(_BETWEEN)})(?:u[\"'])?({UNPUBLISHED})(?![{_EDGE}])".encode())
_ESCAPED = re.compile(f"(?:{_ESCAPE})({PUBLISHED})(?![{_EDGE}])".encode())
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
    if b"\\" in data or b"%" in data:
        found |= dict.fromkeys(match[1] for match in _ESCAPED.finditer(data))
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


def _rank(cell: str) -> int | None:
    """How surely a CSV's header is a label, 0 being surest; None where it is none."""
    try:
        name = cell.encode("latin-1").lower()  # the bytes of the file
    except UnicodeEncodeError:
        name = cell.encode().lower()
    for rank, (word, before) in enumerate(_LABELS.items()):
        if name.endswith(word) and before.search(name.removesuffix(word)):
            return rank
    return None


def columns_of(header: str) -> tuple[list[tuple[int, int]], str]:
    """Which columns of a CSV with that header may hold keys, as (rank, place), the surest first; and what stands between columns.

    Two of one rank are as sure: the exchange's own name for its keys comes before a client id, which only Korbit's are.
    """
    for delimiter in sorted(DELIMITERS, key=header.count, reverse=True):
        cells = [cell.strip().strip("\"'") for cell in _cells(header, delimiter)]
        if columns := [(rank, place) for place, cell in enumerate(cells) if (rank := _rank(cell)) is not None]:
            return sorted(columns), delimiter
    return [], DELIMITERS[0]


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


class _Rows:
    """The columns of keys of a CSV, where one of the file's first lines is a header that names some; of any other file, nothing.

    ``behind`` is how many of the file's bytes belong to a row that has begun and not ended.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.behind = 0
        self._places: list[int] = []
        self._delimiter = ","
        self._rest = b""
        self._skipping = True  # the first line, or what is left of one that was read before
        if not file.seekable():
            return
        file.seek(0)
        head = file.read(4_096).replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").decode("latin-1")
        for line in re.split(r"[\r\n]+", head)[:_HEADERS]:
            if not self._places:
                columns, self._delimiter = columns_of(line)
                self._places = [place for _, place in columns]

    def take(self, data: bytes, block: bytes) -> list[bytes]:
        """The keys of the lines that end in it. ``block`` is as it stands in the file."""
        if not self._places:
            return []
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if self._skipping and lines:
            self._skipping = False
            lines = lines[1:]
        self._rest = rest
        ended = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        self.behind = len(block) - ended if ended else self.behind + len(block)
        if len(rest) > MAX_LINE_BYTES or self.behind > MAX_LINE_BYTES * _WIDEST:
            self._rest, self._skipping = b"", True
        if self._skipping:
            self.behind = 0
        return [value for line in lines for value in self._keys(line)]

    def end(self) -> list[bytes]:
        """The keys of a last line without an end."""
        return self._keys(self._rest) if self._places and not self._skipping else []

    def _keys(self, line: bytes) -> list[bytes]:
        if not line or len(line) > MAX_LINE_BYTES:
            return []
        cells = _cells(line.decode("latin-1"), self._delimiter)
        values = [cells[place].strip() for place in self._places if place < len(cells)]
        return [v.encode("latin-1") for v in values if _VALUE.fullmatch(v) and any("0" <= c <= "9" for c in v)]

"""A member's inventory of keys as a file holds it: which lines are entries, and which part of one is the key.

Read: a key a line; a CSV (by ``,``, ``;``, ``|`` or tab) whose header, among its first five lines, names the column of keys, with
line ends in quoted cells; JSON, an array or a value a line, of texts or of objects with a field of keys. In UTF-8, UTF-16 or
UTF-32, with a mark or without, with any line's end. Quotes and backquotes around a key and a spreadsheet's ``="…"`` and ``'`` are
none of it. Refused: what is packed, and a table or objects whose names tell of no column of keys, or of two as surely, for
another column's words match nothing.

    >>> import io
    >>> inventory = Inventory(io.BytesIO(b"id,api_key\\n1,'kbt_0123456789'\\n"))
    >>> [inventory.key(record) for record in inventory.records()]
    ['kbt_0123456789']
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from daxa_core.dump import DELIMITERS, columns_of, encoding_of, unquoted
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.key_shapes import PUBLISHED, UNPUBLISHED
from daxa_core.packed import refuse_packed

MAX_LINE_BYTES = 4_096
CONTINUED = b"\0"
"""Stands for a line that belongs to the record before it, so that records are counted as lines are."""
_READ_BYTES = 1 << 20
_HEAD_BYTES = 64 << 10
_HEADERS = 5
_BOM = b"\xef\xbb\xbf"
_PUBLISHED = re.compile(PUBLISHED)
_SHAPED = re.compile(f"{PUBLISHED}|{UNPUBLISHED}")
_JSON = re.compile(rb'\s*(?:\[\s*["\[{\]]|\{\s*["}])')
_TEXT = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"(?:(\s*:)|(?=\s*[,\]}\s]))', re.DOTALL)


def shaped(key: str) -> bool:
    """Whether any exchange could have issued it."""
    return _SHAPED.fullmatch(key) is not None


def _no_column(wanted: str) -> InvalidInput:
    return InvalidInput(ErrorCode.INVALID_VALUE, "header", wanted)


class Inventory:
    """A file that seeks. ``first`` is the number of its first record: its line, in JSON its place among the keys. ``silent`` says
    that it is JSON which holds something; that none of it is a key, no record shows."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises InvalidInput: INVALID_FILE for a packed file, INVALID_VALUE ``header`` where no column of keys is told."""
        refuse_packed(file, "inventory")
        self._file = file
        head = file.read(_HEAD_BYTES)
        self._encoding = encoding_of(head)
        self._column, self._delimiter, self._named = 0, DELIMITERS[0], False
        self._field: str | None = None
        head = b""
        for block in self._blocks():
            head += block
            if len(head) >= _HEAD_BYTES:
                break
        self._json = _JSON.match(head) is not None
        self.first = 1
        self.silent = self._json and bool(head.strip(b" \t\r\n[]{}"))
        if self._json:
            self._field = _field(head)
        else:
            self._find_header()

    @property
    def layout(self) -> bytes:
        """How a record is read: the same bytes may be another key under another layout."""
        return f"{self._json:d}{self._named:d}{self._delimiter}".encode() + self._column.to_bytes(2, "big")

    def records(self) -> Iterator[bytes]:
        """Every entry, from the file's beginning; a line that belongs to the one before is CONTINUED."""
        if self._json:
            return self._texts()
        lines = islice(self._lines(), self.first - 1, None)
        return self._joined(lines) if self._named else lines

    def key(self, record: bytes) -> str:
        """The key in a record; empty where there is none."""
        if len(record) > MAX_LINE_BYTES:
            return ""
        text = record.decode("utf-8", "replace").strip("\r\n ")
        if self._json:
            return text.strip()
        if not self._named:
            text = text.rstrip(",;|\t ")
        if self._delimiter not in text and '"' not in text:
            return unquoted(text) if self._column == 0 else ""
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter), [])
        except csv.Error:
            return ""
        return unquoted(cells[self._column]) if self._column < len(cells) else ""

    # a table, or a key a line

    def _find_header(self) -> None:
        first = ""
        seen = 0
        for number, line in enumerate(self._lines(), 1):
            text = line[:MAX_LINE_BYTES].decode("latin-1").strip("\r\n ")
            if not text or text.startswith("sep="):
                continue
            seen += 1
            if seen == 1:
                self.first, first = number, text
            if seen > _HEADERS or any(
                _PUBLISHED.fullmatch(unquoted(cell)) for cell in re.split(f"[{DELIMITERS}]", text)
            ):
                break  # a row, not a title before a header
            columns, delimiter = columns_of(text)
            if columns:
                surest = [place for rank, place in columns if rank == columns[0][0]]
                if len(surest) > 1:
                    raise _no_column("one column of keys; this header names two as surely")
                self._column, self._delimiter, self._named = surest[0], delimiter, True
                self.first = number + 1
                return
        if any(delimiter in first.rstrip(",;|\t ") for delimiter in DELIMITERS):
            wanted = "a first line that names one column of keys, such as api_key or access_key; or a key a line and nothing else"
            raise _no_column(wanted)

    def _joined(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Lines whose end stands in a quoted cell are one record; a quote that never ends joins nothing."""
        opened = re.compile(b"(?:^|" + re.escape(self._delimiter.encode()) + rb')[ \t]*"(?:[^"]|"")*\Z')
        waiting: deque[bytes] = deque()
        while True:
            if waiting:
                line = waiting.popleft()
            else:
                for line in lines:
                    if b'"' in line:
                        break
                    yield line
                else:
                    return
            if not line.count(b'"') & 1 or not opened.search(line[: MAX_LINE_BYTES + 1]):
                yield line
                continue
            quotes, record, taken = 1, line, 0
            while quotes & 1 and len(record) <= MAX_LINE_BYTES:
                if taken == len(waiting):
                    more = next(lines, b"")
                    if not more:
                        break
                    waiting.append(more)
                record += waiting[taken]
                quotes += waiting[taken].count(b'"')
                taken += 1
            if quotes & 1:
                yield line
                continue
            yield record
            for _ in range(taken):
                waiting.popleft()
                yield CONTINUED

    def _blocks(self) -> Iterator[bytes]:
        """The file in UTF-8, without a mark, with ``\\n`` at a line's end."""
        self._file.seek(0)
        decode = codecs.getincrementaldecoder(self._encoding or "utf-8")("replace").decode
        first, returned = True, b""
        while block := self._file.read(_READ_BYTES):
            data = returned + (decode(block).encode() if self._encoding else block)
            data = data.removeprefix(_BOM) if first else data
            first = False
            returned = b"\r" if data.endswith(b"\r") else b""  # the rest of the line's end may come with the next block
            data = data.removesuffix(b"\r")
            yield data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
        if returned:
            yield b"\n"

    def _lines(self) -> Iterator[bytes]:
        """Of a line that is too long, enough to show that it is."""
        rest = b""
        for block in self._blocks():
            *lines, rest = (rest + block).split(b"\n")
            rest = rest[: MAX_LINE_BYTES + 1]
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest

    # JSON

    def _texts(self) -> Iterator[bytes]:
        """The texts that are keys, a record each."""
        name: str | None = None
        rest = b""
        for block in self._blocks():
            data = rest + block
            done = 0
            for match in _TEXT.finditer(data):
                if match.end() == len(data):  # whether it is a name is told by what comes
                    break
                done = match.end()
                if match[2]:
                    name = _unescaped(match[1])
                elif name == self._field:
                    yield _unescaped(match[1]).encode("utf-8", "replace") + b"\n"
            rest = data[max(done, len(data) - 2 * MAX_LINE_BYTES) :]


def _unescaped(text: bytes) -> str:
    plain = text.decode("utf-8", "replace")
    if "\\" not in plain:
        return plain
    try:
        return str(json.loads(f'"{plain}"', strict=False))
    except ValueError:
        return ""


def _field(head: bytes) -> str | None:
    """The name of the objects' field of keys; None where the texts stand in no object."""
    names = dict.fromkeys(_unescaped(match[1]) for match in _TEXT.finditer(head) if match[2])
    if not names:
        return None
    ranked = sorted((columns[0][0], name) for name in names if (columns := columns_of(name)[0]))
    surest = [name for rank, name in ranked if rank == ranked[0][0]]
    if len(surest) != 1:
        raise _no_column("objects with one field that is called one of keys, such as api_key or access_key")
    return surest[0]

"""Reading a dump: every candidate for a key in a stream of bytes, whatever the stream is; nothing of it is kept.

A dump is CSV, JSON, a paste with keys among other words, or junk, in any encoding or in several at once. So it is read as bytes:
a candidate is what has a published shape between characters that cannot belong to a key, or an unpublished one beside a label
(``api_key = …``, ``API 키: …``) or in a column whose header is one. An escape (``\\n``, ``%22``, ``=22``, a colour's) belongs to
no key. A NUL parts words, but for the NULs of UTF-16 and UTF-32, which alternate with a word's bytes; what looks like such a text
is read as one too, and what looks like Base64 is decoded, once. Lines need not end: memory is that of a block, whatever the file.
What is refused: nothing; what is no key is no candidate, and whether a file is packed is asked of :mod:`.packed`.

    >>> import io
    >>> [keys for _, keys in candidates(io.BytesIO(b'{"api_key": "kbt_0123456789", "note": "kbt"}'))]
    [[b'kbt_0123456789']]
"""

from __future__ import annotations

import binascii
import codecs
import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

from .key_shapes import HEX_32, HEX_48, PUBLISHED, UNPUBLISHED

BLOCK_BYTES = 1 << 20
OVERLAP_BYTES = 4_096
"""How far before its offset reading begins again: a key and its label never reach farther, in UTF-32 neither."""
MAX_LINE_BYTES = 64 << 10
"""Longer lines of a CSV are searched like text, not taken apart."""
DELIMITERS = ",;\t|"
_HEADERS = 5
"""Among so many first lines of a CSV its header is looked for: titles and ``sep=;`` may stand before it."""
_WIDEST = 4
"""How many bytes of a file one of a line may take: those of UTF-32."""
_LONGEST_WORD = 1_024
"""What is longer is no value of a label, whatever stands in it."""
_EDGE = r"A-Za-z0-9_-"
_ALPHANUMERIC = bytes(c for c in range(128) if chr(c).isalnum())
_OF_KEYS = _ALPHANUMERIC + b"_-"
_RUNS = bytes(c if c in _ALPHANUMERIC + b"-" else 32 for c in range(256))
"""What cannot belong to a published shape becomes a space: splitting there is ten times as fast as searching."""
_SHORTEST = 32
_SHAPE = re.compile(PUBLISHED.encode())
_DASHED = re.compile(f"(?<![A-Za-z0-9])(?:{PUBLISHED})(?![A-Za-z0-9])".encode())
_HEX = re.compile(f"0[xX]({HEX_48}|{HEX_32})".encode())  # 40 such digits are an Ethereum address
# The second byte of a syllable in cp949 may be a letter; that of UTF-8 is none.
_BEHIND_CP949 = re.compile(
    f"(?<![\\xe0-\\xef][\\x80-\\xbf])[\\x81-\\xc6][A-Za-z]({PUBLISHED})(?![A-Za-z0-9])".encode("latin-1")
)
_SHORTEST_BASE64 = 43
"""So many characters, without padding, are the 32 of the shortest published shape."""
_SIGN = "[A-Za-z0-9+/]"
_BASE64 = re.compile(f"(?<!{_SIGN}){_SIGN}{{{_SHORTEST_BASE64},}}".encode())
_NEXT_LINES = {
    width: re.compile(f"(?:\\r?\\n{_SIGN}{{{width}}})*\\r?\\n{_SIGN}{{1,{width}}}".encode()) for width in (64, 76)
}
"""What follows a line of so many characters, as certificates and mail have it."""
_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TEXT_FOURS = 10
"""So many fours of it stand for 30 bytes: of a shape one more."""


def _without(bit: int) -> bytes:
    """Which signs stand for six bits without that one, as a table of ones and zeros."""
    return bytes(chr(c) in _SIGNS and not _SIGNS.index(chr(c)) & bit for c in range(256))


_OF_TEXT = (_without(0b100000), _without(0b001000), _without(0b000010))
"""Of bytes below 128 the first, the second and the third sign of four lack the bit that is the highest of a byte."""
_NULS = re.compile(rb"\0{4,}")
# NULs of UTF-16 and UTF-32: so many of them alternate with the bytes of a word. Beside one byte alone a NUL parts two words.
_WIDE = tuple(re.compile(nuls + rb"[^\0](?:" + nuls + rb"[^\0]){6,}") for nuls in (rb"\0", rb"\0\0\0"))
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which begins it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What may stand before a label: no letter, unless it ends an escape.
_FRESH = rb"(?:(?<![a-z])|(?<=%[0-9a-f]{2})|(?<=\\[bfnrt]))"


def _korean(encoding: str) -> dict[bytes, re.Pattern[bytes]]:
    """The labels of a key in Korean, as files in that encoding have them; not that of a secret key."""
    key, name, client, *words = (
        word.encode(encoding)
        for word in ("키", "아이디", "클라이언트", "액세스", "엑세스", "접근", "연결", "공개", "코빗")
    )
    secrets = (word.encode(encoding) for word in ("시크릿 ", "비밀 ", "보안 ", "secret "))
    other = b"".join(b"(?<!" + word + b")" for word in secrets)
    named = b"|".join((b"api", b"access", b"connect", b"public", b"korbit", *words))
    return {
        key: re.compile(rb"(?:(?:" + named + rb")[-_ ]?|(?<![\x80-\xffa-z_-])" + other + rb")\Z"),
        name: re.compile(rb"(?:client|" + client + rb")[-_ ]?\Z"),
    }


# The end of a label, and what has to stand before it. A bare "key" counts where no word stands before it: the value of a
# secret_key is none of ours.
_NAMED = rb"(?:x[-_ ]?kapi|api|access|connect|public|korbit)[-_ ]?"
_CLIENT = b"|".join("클라이언트".encode(encoding) for encoding in ("utf-8", "cp949"))
_LABELS = {
    b"key": re.compile(_FRESH + rb"(?:" + _NAMED + rb"|(?<![_-]))\Z"),
    b"keys": re.compile(_FRESH + _NAMED + rb"\Z"),
    **_korean("utf-8"),
    **_korean("cp949"),
    b"token": re.compile(_FRESH + rb"access[-_ ]?\Z"),
    b"id": re.compile(rb"(?:" + _FRESH + rb"client|" + _CLIENT + rb")[-_ ]?\Z"),
}
_ESCAPE = (
    r"%(?:25){0,2}[0-9A-Fa-f]{2}"
    r"|\\(?:[bfnrt]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[0-3][0-7]{2}|par|line|tab|cell)"
)
_ENTITY = r"&(?:[a-z]{2,6}|#[0-9]{1,4}|#x[0-9A-Fa-f]{1,4});"
_COLOUR = r"\x1b\[[0-9;]{0,16}[A-Za-z]"
# What stands between a label and its value: signs in one line; a sign and a line's end; JSON's and XML's way to the value of a
# name; words of a sentence.
_BETWEEN = (
    rf"(?:{_ESCAPE}|{_ENTITY}|{_COLOUR}|[^%\r\n{_EDGE}]){{1,16}}",
    r"[\"'`]?\s{0,4}[:=]\s{1,32}(?:\[\s{0,32})?[\"'`]?",
    r"\\?[\"']\s{0,8},\s{0,32}\\?[\"']?value\\?[\"']?\s{0,4}[:=]\s{0,8}\\?[\"']?",
    r"[\"']\s{1,8}value\s{0,2}=\s{0,2}[\"']",
    r" is:? {1,4}[\"'`]?",
    r" ?\([A-Za-z0-9 _-]{1,24}\) ?[:=] {0,4}[\"'`]?",
)
_AFTER = re.compile(rf"(?:[-_ ]?[iI][dD])?(?:{'|'.join(_BETWEEN)})(?:u[\"'])?({UNPUBLISHED})(?![{_EDGE}])".encode())
# A published shape behind what would else be taken for its beginning, by the byte that such a thing begins with.
_ESCAPED = {
    b"\\%": re.compile(f"(?:{_ESCAPE})({PUBLISHED})(?![A-Za-z0-9])".encode()),
    b"=": re.compile(f"=(?:0[9AD]|2[0-9A-F]|3[A-F]|5[B-E]|60|7[B-D])({PUBLISHED})(?![A-Za-z0-9])".encode()),
    b"\x1b": re.compile(f"{_COLOUR}({PUBLISHED})(?![A-Za-z0-9])".encode()),
}
_BEFORE_BYTES = 24
# Another value of a list under one label. It ends the text or another follows, so it is no name of a value.
_NEXT = re.compile(rf"[\"']\s{{0,8}},\s{{0,32}}[\"']({UNPUBLISHED})(?=[\"']\s{{0,8}}[,\]])".encode())
_LIST_BYTES = (OVERLAP_BYTES - 96) // _WIDEST
"""How far behind its label a list is read: as far as every window sees, in any encoding."""
_VALUE = re.compile(f"{PUBLISHED}|{UNPUBLISHED}")
_DIGIT = re.compile(rb"[0-9]")


def candidates(file: BinaryIO, offset: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """The candidates of each block in turn, with the offset in bytes up to which all was yielded: no row is cut by it.

    Begun at such an offset (the file has to be one that seeks) it goes on from there: some candidates come twice, none is lost.
    """
    rows = _Rows(file)
    at = max(offset - OVERLAP_BYTES, 0) // _WIDEST * _WIDEST
    if file.seekable():
        file.seek(at)
    start, kept = at, b""
    before: dict[bytes, None] = {}
    while block := file.read(BLOCK_BYTES):
        at += len(block)
        found = dict.fromkeys(rows.take(block))
        data = kept + block
        found |= _found_in(data, start, at, rows.encoding, ended=False)
        kept = data[-OVERLAP_BYTES:]
        start = at - len(kept)
        yield at - rows.behind, [key for key in found if key not in before]
        before = found
    found = _found_in(kept, start, at, rows.encoding, ended=True) | dict.fromkeys(rows.end())
    if last := [key for key in found if key not in before]:
        yield at, last


def _found_in(data: bytes, start: int, at: int, encoding: str | None, ended: bool) -> dict[bytes, None]:
    """What is found in a window of a file that begins at ``start``; a word that its borders may have cut is left out."""
    # A run of NULs that is longer than a character's belongs to no word: none is cut where a window begins or ends with one.
    cut_before, cut_after = start > 0 and not data.startswith(bytes(4)), not ended and not data.endswith(bytes(4))
    if b"\0" not in data:
        return _found_at_once(data, cut_before, cut_after)
    plain = _NULS.sub(bytes(4), data) if bytes(5) in data else data  # an empty page costs no search
    for wide in reversed(_WIDE):
        plain = wide.sub(lambda run: run[0].replace(b"\0", b""), plain)
    found = _found_at_once(plain, cut_before, cut_after)
    aligned = data[-start % _WIDEST :]
    if not ended:
        aligned = aligned[: len(aligned) // _WIDEST * _WIDEST]
    if encoding := encoding_of(aligned, marked=False) or encoding:
        text = aligned.decode(encoding, "replace").encode()
        found |= _found_at_once(text, cut_before, cut_after)
    return found


def _found_at_once(data: bytes, cut_before: bool, cut_after: bool) -> dict[bytes, None]:
    whole = _whole(data, cut_before, cut_after)
    runs = _runs(whole)
    found = _found(whole, runs)
    if max(map(len, runs), default=len(data) - len(whole)) >= _SHORTEST_BASE64:
        found |= _in_base64(data, cut_before, cut_after)
    return found


def _in_base64(data: bytes, cut_before: bool, cut_after: bool) -> dict[bytes, None]:
    """What is found in the words that are Base64; it is decoded once. Where one was cut before, it may begin in four ways."""
    found: dict[bytes, None] = {}
    end = 0
    while (match := _BASE64.search(data, end)) is not None:
        start, end = match.span()
        if (lines := _NEXT_LINES.get(end - start)) and (more := lines.match(data, end)):
            end = more.end()
        word = data[start:end].translate(None, b"\r\n")
        begun, goes_on = cut_before and start == 0, cut_after and end == len(data)
        for place in range(4 if begun else 1):
            part = word[place:]
            if len(part) % 4 == 1:  # six bits are no byte
                part = part[:-1]
            if _holds_text(part):
                plain = _whole(binascii.a2b_base64(part + b"=" * (-len(part) % 4)), begun, goes_on)
                found |= _found(plain, _runs(plain))
    return found


def _holds_text(word: bytes) -> bool:
    """Whether enough for a key of what a word in Base64 stands for are bytes below 128: nothing else is decoded for nothing."""
    fours = len(word) // 4
    rows = (word[place : 4 * fours : 4].translate(table) for place, table in enumerate(_OF_TEXT))
    first, second, third = (int.from_bytes(row, "little") for row in rows)
    return bytes([1]) * _TEXT_FOURS in (first & second & third).to_bytes(fours, "little")


def _whole(data: bytes, cut_before: bool, cut_after: bool) -> bytes:
    """Without the words that a border may have cut. Of a chain of words that is too long for a value the cut one alone."""
    if cut_before:
        data = data.lstrip(b"\0")  # of a wide word, or of one that was read before
        left = data.lstrip(_OF_KEYS)
        data = left if len(data) - len(left) <= _LONGEST_WORD else data.lstrip(_ALPHANUMERIC)
    if cut_after:
        data = data.rstrip(b"\0")
        left = data.rstrip(_OF_KEYS)
        data = left if len(data) - len(left) <= _LONGEST_WORD else data.rstrip(_ALPHANUMERIC)
    return data


def _runs(data: bytes) -> list[bytes]:
    """The words that are long enough for a published shape."""
    return [run for run in data.translate(_RUNS).split() if len(run) >= _SHORTEST]


def _found(data: bytes, runs: list[bytes]) -> dict[bytes, None]:
    found: dict[bytes, None] = {}
    for run in runs:
        if _SHAPE.fullmatch(run):
            found[run] = None
        elif b"-" in run:
            found |= dict.fromkeys(_DASHED.findall(run))
        elif hexadecimal := _HEX.fullmatch(run):
            found[hexadecimal[1]] = None
    if any(len(run) & 1 for run in runs) and not data.isascii():  # no shape is of an odd length
        found |= dict.fromkeys(_BEHIND_CP949.findall(data))
    for signs, escaped in _ESCAPED.items():
        if any(bytes([sign]) in data for sign in signs):
            found |= dict.fromkeys(escaped.findall(data))
    lower = data.lower()
    for word, before in _LABELS.items():
        at = lower.find(word)
        while at >= 0:
            after = at + len(word)
            value = _AFTER.match(data, after)
            if value and before.search(lower[max(at - _BEFORE_BYTES, 0) : at]):
                values = [value[1]]
                if b"[" in data[after : value.start(1)]:
                    values += _rest_of_list(data, value.end(1), after + _LIST_BYTES)
                found |= dict.fromkeys(one for one in values if _DIGIT.search(one))
            at = lower.find(word, after)
    return found


def _rest_of_list(data: bytes, at: int, end: int) -> Iterator[bytes]:
    while (value := _NEXT.match(data, at, end)) is not None:
        yield value[1]
        at = value.end(1)


def encoding_of(head: bytes, marked: bool = True) -> str | None:
    """UTF-16 or UTF-32, as Python calls it, where a text has its mark or its NULs stand where such a text's do; else None."""
    if marked:
        for mark, name in _MARKS:
            if head.startswith(mark):
                return name
    quarter = max(len(head) // 4, 1)
    one, two, three, four = (head[place::4].count(0) / quarter for place in range(4))
    if min(three, four) > 0.9 and one < 0.1:
        return "utf-32-le"
    if min(one, two) > 0.9 and four < 0.1:
        return "utf-32-be"
    even, odd = one + three, two + four  # of a text in Korean with keys in it, a fifth at least
    if max(even, odd) > 0.4 and min(even, odd) * 10 < max(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def holds_key(text: str) -> bool:
    """Whether a text that somebody writes for others has something in it that could be a key."""
    data = text.encode("utf-8", "replace")
    return bool(_found(data, _runs(data)))


_BLANKS = " \t\r\n\xa0\u200b\ufeff"
_ID = re.compile(rb"(?<=key)[-_ ]?id\Z")


def _rank(cell: str) -> int | None:
    """How surely a CSV's header is a label, 0 being surest; None where it is none."""
    try:
        name = cell.encode("latin-1").lower()  # the bytes of the file
    except UnicodeEncodeError:
        name = cell.encode().lower()
    bare = _ID.sub(b"", name)
    for rank, (word, before) in enumerate(_LABELS.items()):
        for label in (name, bare):
            if label.endswith(word) and before.search(label.removesuffix(word)):
                return rank
    return None


def unquoted(cell: str) -> str:
    """A cell's value as whoever wrote it meant it: without quotes around it, a spreadsheet's ``="…"`` or its leading ``'``."""
    cell = cell.strip(_BLANKS)
    if cell.startswith('="') and cell.endswith('"'):
        cell = cell[2:-1]
    return cell.strip("\"'`" + _BLANKS)


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
        self.encoding: str | None = None
        self._places: list[int] = []
        self._delimiter = ","
        self._rest = b""
        self._skipping = True  # the first line, or what is left of one that was read before
        if not file.seekable():
            return
        file.seek(0)
        begins = file.read(4_096)
        self.encoding = encoding_of(begins)
        self._decoder = codecs.getincrementaldecoder(self.encoding or "latin-1")("replace")
        head = self._plain(begins).lstrip(b"\xef\xbb\xbf\xff\xfe").decode("latin-1")
        self._decoder.reset()
        for line in re.split(r"[\r\n]+", head)[:_HEADERS]:
            if not self._places:
                columns, self._delimiter = columns_of(line)
                self._places = [place for _, place in columns]

    def take(self, block: bytes) -> list[bytes]:
        """The keys of the lines that end in it."""
        if not self._places:
            return []
        *lines, rest = (self._rest + self._plain(block)).replace(b"\r", b"\n").split(b"\n")
        if self._skipping and lines:
            self._skipping = False
            lines = lines[1:]
        self._rest = rest
        if self.encoding:
            self.behind = len(rest.decode().encode(self.encoding)) + len(self._decoder.getstate()[0])
        else:
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

    def _plain(self, block: bytes) -> bytes:
        return self._decoder.decode(block).encode() if self.encoding else block.replace(b"\0", b"")

    def _keys(self, line: bytes) -> list[bytes]:
        if not line or len(line) > MAX_LINE_BYTES:
            return []
        cells = _cells(line.decode("latin-1"), self._delimiter)
        values = [unquoted(cells[place]) for place in self._places if place < len(cells)]
        return [v.encode("latin-1") for v in values if _VALUE.fullmatch(v) and any("0" <= c <= "9" for c in v)]

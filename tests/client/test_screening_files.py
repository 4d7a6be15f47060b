"""What a screening reads and keeps at the member: inventories in any table's form, and a file of its own that may fail."""

from __future__ import annotations

import io
import json
import sqlite3
import tracemalloc
from array import array
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_client import _inventory
from daxa_client._leaks import LeakReport, PublishedSet
from daxa_client._screening import Screened, ScreeningCache, screen
from daxa_core.canonical import canonical_key
from daxa_core.errors import DaxaError, ErrorCode, Unavailable
from daxa_core.leak_set import Shape, chunk_digest, encode
from daxa_core.leaks import Confidence

LEAKED = "L" * 40
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
KEYS = [f"{n}key".ljust(40, "0") for n in range(20)]


def fingerprint(canonical: bytes) -> bytes:
    return sha256(canonical).digest()


class Client:
    """A registry that has published a leak of one key, and evaluators; ``meanwhile`` is called while those work."""

    def __init__(self) -> None:
        self.shape = Shape.of(1)
        self.print = fingerprint(canonical_key(LEAKED))
        self.made = encode(self.shape, [self.shape.value(self.print)])
        self.meanwhile = lambda: None

    def sets(self) -> list[PublishedSet]:
        return [PublishedSet(1, self.shape, (chunk_digest(self.made),), Confidence.VERIFIED)]

    def chunk(self, one: PublishedSet, number: int) -> bytes:
        return self.made

    def fingerprints(self, canonical: Sequence[bytes]) -> list[bytes]:
        self.meanwhile()
        return [fingerprint(one) for one in canonical]

    def confirm(self, prints: Sequence[bytes]) -> dict[bytes, list[LeakReport]]:
        return {one: [] for one in prints if one == self.print}


def screened(inventory: bytes, path: Path | None = None, client: Any = None) -> Screened:
    with ScreeningCache(path, bytes(32), bytes(32)) as cache:
        return screen(client or Client(), cache, io.BytesIO(inventory))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_by_the_column_that_its_header_names(delimiter: str, quote: str, encoding: str) -> None:
    """Whatever stands between its columns, quoted or not, with a mark of its encoding or without; an empty cell is no key."""
    rows = [
        [f"no{delimiter} old" if quote else "", "api_key", "since"],
        ["1", KEYS[0], "갊"],
        ["", LEAKED, ""],
        ["3", "", "2026"],
    ]
    text = "\r\n".join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
    found = screened(text.encode(encoding))
    assert [(hit.line, hit.key) for hit in found.hits] == [(3, LEAKED)]
    assert (found.keys, found.refused) == (2, (4,))


@pytest.mark.parametrize("before", ["\n", "sep=;\n\n"])
def test_what_a_spreadsheet_puts_before_a_header_is_passed_over(before: str) -> None:
    """Lines are counted from the file's first."""
    found = screened(f"{before}id;api_key\n1;{LEAKED}\n".encode())
    assert [hit.line for hit in found.hits] == [before.count("\n") + 2]


def test_the_column_of_keys_is_told_from_one_that_might_be(tmp_path: Path) -> None:
    """A client id is a key at one exchange only; of two columns that are called keys nobody knows which is meant."""
    found = screened(f"client_id,api_key\nsomebody1,{LEAKED}\n".encode())
    assert [hit.key for hit in found.hits] == [LEAKED]
    with pytest.raises(DaxaError) as refused:
        screened(f"access_key,api_key\nsomebody1,{LEAKED}\n".encode())
    assert refused.value.field == "header"


@pytest.mark.parametrize("junk", [b"\0" * 300, "키\n키\n".encode("cp949"), b'{"api_keys": {"a": "b"}}'])
def test_a_file_without_a_key_is_no_inventory(junk: bytes) -> None:
    """Nothing leaked would be found in it, and nobody would know why."""
    with pytest.raises(DaxaError) as refused:
        screened(junk)
    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_VALUE, "inventory")
    for nothing in (b"", b"[ ]\n", b"api_key\n"):
        assert screened(nothing).keys == 0, "nobody has a key yet"


@pytest.mark.parametrize(
    "wrapped", ["'{}'", '"{}"', "`{}`", '="{}"', "'{}", "{},", '"{}",', "{}\u00a0", "\u200b{}", " {}\t", "{};"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_is_around_a_key_is_none_of_it(wrapped: str, encoding: str, end: str) -> None:
    """Quotes, a spreadsheet's text by force, a list's comma, spaces of any kind; in any encoding, with any line's end."""
    lines = [wrapped.format(key) for key in (KEYS[0], LEAKED, UUID)]
    found = screened(end.join([*lines, ""]).encode(encoding))
    assert [(hit.line, hit.key) for hit in found.hits] == [(2, LEAKED)]
    assert (found.keys, found.refused, found.unshaped) == (3, (), ())


@pytest.mark.parametrize("cell", ["'{}'", '="{}"', '"=""{}"""', "'{}", "`{}`"])
def test_a_cell_is_read_as_it_was_meant(cell: str) -> None:
    """In a table too."""
    found = screened(f"a,api_key\n1,{cell.format(LEAKED)}\n2,{cell.format(KEYS[0])}\n".encode())
    assert [(hit.line, hit.key) for hit in found.hits] == [(2, LEAKED)]
    assert (found.keys, found.unshaped) == (2, ())


def test_a_line_end_in_a_quoted_cell_ends_no_row() -> None:
    """Lines are counted as the file has them; what is in a note is no key; a quote that never ends joins nothing."""
    rows = f'id,note,api_key\n1,"two\nlines, ""three""\n",{KEYS[0]}\n2,x,{LEAKED}\n3,5" wide,{KEYS[1]}\n'
    rows += f'4,"open,{KEYS[2]}\n5,,{KEYS[3]}\n'
    found = screened(rows.encode())
    assert [hit.line for hit in found.hits] == [5]
    assert (found.keys, found.refused, found.unshaped) == (4, (7,), ())


@pytest.mark.parametrize("before", ["Our keys, as of May\n", "Our keys\nmade by kim;x\n\n", "sep=,\nOur keys\n"])
def test_titles_before_a_header_are_no_keys(before: str) -> None:
    """The header is looked for among the first lines; a key among them ends the looking."""
    found = screened(f"{before}id,api_key\n1,{LEAKED}\n".encode())
    assert [(hit.line, found.keys, found.refused) for hit in found.hits] == [(before.count("\n") + 2, 1, ())]
    found = screened(f"{KEYS[0]}\napi_key\n{LEAKED}\n".encode())
    assert (found.keys, found.unshaped, [hit.line for hit in found.hits]) == (3, (2,), [3])


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_an_inventory(indent: int | None) -> None:
    """An array of texts, of objects with a field of keys, or a value a line; a key's place is told where lines are none."""
    keys = [KEYS[0], LEAKED, UUID]
    objects = [{"id": n, "api_key": key, "secret": "s" * 40, "note": 'a "key": \\'} for n, key in enumerate(keys)]
    texts = [
        json.dumps(keys, indent=indent),
        json.dumps(objects, indent=indent),
        json.dumps({"apiKeys": keys}, indent=indent),
    ]
    for text in [*texts, "\n".join(map(json.dumps, objects)), "\n".join(json.dumps([key]) for key in keys)]:
        for encoding in ("utf-8", "utf-16"):
            found = screened(text.encode(encoding))
            assert [(hit.line, hit.key, found.keys) for hit in found.hits] == [(2, LEAKED, 3)], text
    for text in ('[{"id": "x"}]', '{"api_key": "x", "access_key": "y"}'):
        with pytest.raises(DaxaError) as refused:
            screened(text.encode())
        assert refused.value.field == "header"


def test_json_is_read_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever one ends."""
    text = json.dumps([{"api_key": key, "note": "\\"} for key in [*KEYS, LEAKED]]).encode()
    for size in (1, 7, 50, 333):
        monkeypatch.setattr(_inventory, "_READ_BYTES", size)
        found = screened(text)
        assert (found.keys, [hit.line for hit in found.hits]) == (21, [21])


def test_keys_of_no_exchanges_shape_are_told_by_line_warm_as_cold(tmp_path: Path) -> None:
    """A key that was cut out wrongly matches nothing; whoever hears of 0 leaked keys has to hear of that."""
    text = f"{LEAKED}\n<{KEYS[0]}>\n{KEYS[1]}\n{KEYS[2]}.\nno key\n".encode()
    for _ in range(2):
        found = screened(text, tmp_path / "screening")
        assert (found.keys, found.unshaped, found.refused) == (4, (2, 4), (5,))


@given(st.binary(max_size=200), st.sampled_from([b"", b"api_key,x\n", b'[{"api_key":"', b"\xff\xfe"]))
def test_any_bytes_are_an_inventory_or_are_refused(data: bytes, head: bytes) -> None:
    """Whatever it is, what comes out is typed, and each line is counted once."""
    with suppress(DaxaError):
        screened(head + data)


def test_a_line_without_an_end_is_not_held_in_memory() -> None:
    """It is no key; those after it are read, and counted from there."""

    class Endless(io.BytesIO):
        """Forty megabytes of one letter, and a key in the next line."""

        def read(self, size: int | None = -1, /) -> bytes:
            start = self.tell()
            self.seek(start + (size or 0))
            end = 40 << 20
            return (
                b"A" * (min(start + (size or 0), end) - start)
                if start < end
                else f"\n{LEAKED}".encode() * (start == end)
            )

    tracemalloc.start()
    with ScreeningCache(None, bytes(32), bytes(32)) as cache:
        found = screen(Client(), cache, Endless())  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(hit.line, hit.key) for hit in found.hits] == [(2, LEAKED)]
    assert found.refused == (1,)
    assert most < 16 << 20


@pytest.mark.parametrize("head", ["", "api_key\n", '"Access Key"\r\n', "\ufeff"])
def test_a_key_a_line_is_read_with_a_heading_or_without(head: str) -> None:
    """The first line is a key as well, where it is no label."""
    found = screened((head + "\n".join([LEAKED, *KEYS])).encode())
    assert [hit.key for hit in found.hits] == [LEAKED]
    assert (found.keys, found.refused) == (21, ())


@pytest.mark.parametrize("head", ["id,number,since", "id;number", "id\tnumber", f"1,{LEAKED},2025"])
def test_a_table_that_does_not_say_where_its_keys_are_is_refused(head: str) -> None:
    """Another column's words would match nothing, and nobody would know; nothing is evaluated."""
    client = Client()
    client.meanwhile = lambda: pytest.fail("evaluated")
    with pytest.raises(DaxaError) as refused:
        screened(f"{head}\n1,{LEAKED},2026\n".encode(), client=client)
    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_VALUE, "header")
    assert "api_key" in refused.value.expected


def test_the_same_lines_by_another_delimiter_are_another_block(tmp_path: Path) -> None:
    """What was kept of one reading is not believed of another."""
    row = f"{KEYS[0]},x;{LEAKED}"
    for header, key in ((f"api_key,{'x' * 5}", KEYS[0]), ("x;api_key", LEAKED)):
        found = screened(f"{header}\n{row}\n".encode(), tmp_path / "screening")
        assert [hit.key for hit in found.hits] == [LEAKED] * (key == LEAKED)


def test_evaluators_are_asked_while_no_lock_is_held(tmp_path: Path) -> None:
    """Another screening beside this one writes meanwhile, in the second of two blocks as well."""
    path = tmp_path / "screening"
    keys = [f"{n}k".ljust(40, "0") for n in range(9_000)]
    screened("\n".join(keys[:5_000]).encode(), path)
    written: list[int] = []

    def write() -> None:
        with sqlite3.connect(path, timeout=0) as beside:
            written.append(beside.execute("UPDATE block SET used = used").rowcount)

    client = Client()
    client.meanwhile = write
    assert screened("\n".join(keys).encode(), path, client).keys == 9_000
    assert len(written) >= 2


def test_what_the_disk_does_is_typed(tmp_path: Path) -> None:
    """A table that is gone, a file that turns out to be torn in the middle: no error of SQLite's own comes out."""
    path = tmp_path / "screening"
    cache = ScreeningCache(path, bytes(32), bytes(32))
    cache._db.execute("DROP TABLE block")
    cache._db.execute("DROP TABLE chunk")
    for read in (cache.values, cache.chunk):
        with pytest.raises(Unavailable):
            read(bytes(24))
    cache.keep(bytes(24), array("Q"))
    cache.keep_chunk(bytes(32), b"chunk")
    cache._db.close()
    with pytest.raises(Unavailable):
        cache.values(bytes(24))

"""Reading a dump: every key among whatever else there is, in bounded memory, from wherever reading stopped."""

from __future__ import annotations

import io
import json
import random
import time
import tracemalloc
from base64 import b64encode, encodebytes
from collections.abc import Callable
from string import ascii_letters, digits
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core import dump
from daxa_core.canonical import canonical_key
from daxa_core.dump import candidates

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
HEX_48, HEX_32 = "0123456789abcdef" * 3, "0123456789abcdef" * 2
RNG = random.Random(7)
KEYS = ["".join(RNG.choices(ascii_letters + digits, k=40)) for _ in range(400)]


def found(data: bytes, offset: int = 0) -> set[str]:
    return {key.decode() for _, keys in candidates(io.BytesIO(data), offset) for key in keys}


@pytest.mark.parametrize("key", [KEYS[0], HEX_48, HEX_32, UUID, UUID.upper()])
@pytest.mark.parametrize(
    "text",
    ["{}", "x {} y", "a={}&b=1", '"{}"', "user:{}:pass", "{}\n", "https://h/?apiKey={}&x", "\u00e9\u4e2d{}\u00e9"],
)
def test_a_published_shape_is_found_wherever_it_stands(key: str, text: str) -> None:
    """Between any characters that cannot belong to a key."""
    assert found(text.format(key).encode()) == {key}


@pytest.mark.parametrize("text", ["{}A", "A{}", "{}{}", "_{}9_", "-A{}", "x-{}0-{}0", "0x{}", "0_0{}"])
def test_what_only_contains_a_shape_is_no_key(text: str) -> None:
    """A longer word is another word."""
    assert found(text.format(KEYS[0], KEYS[1]).encode()) == set()


@pytest.mark.parametrize("key", [KEYS[0], HEX_48, HEX_32, UUID])
@pytest.mark.parametrize(
    "text",
    [
        "_{}_", "__{}__", "key_{}_x", "upbit_{}.txt", "-{}-", "{}-SECRET", "--{}--", "a-{}-b_c", "1f2e-{}-0a",
        "=22{}=22", "k=3D{}", "=0A{}=0D", "%2522{}%2522", "%252522{}", "\x1b[32m{}\x1b[0m", "\x1b[1;31m{}", "\\042{}\\042",
        "\\par{}\\par", "\\tab{}",
    ],
)  # fmt: skip
def test_signs_and_escapes_beside_a_key_are_no_part_of_it(key: str, text: str) -> None:
    """Underscores, dashes, quoted-printable, a URL encoded twice, a colour, octal, RTF."""
    assert found(text.format(key).encode()) == {key}


def test_a_hexadecimal_number_may_be_a_key() -> None:
    """Of 40 digits it is an address of Ethereum."""
    assert found(f"0x{HEX_32} 0X{HEX_48} 0x{HEX_48[:40]}".encode()) == {HEX_32, HEX_48}


def test_a_nul_parts_words_unless_it_is_one_of_utf_16() -> None:
    """Length-prefixed and NUL-ended records, beside texts in wide characters, in a chain without another sign as well."""
    assert found(f"{KEYS[0]}\0{UUID}\0{HEX_32}".encode()) == {KEYS[0], UUID, HEX_32}
    assert found(f"\x11korbit\0{KEYS[0]}\0upbit".encode()) == {KEYS[0]}
    assert found("\0".join(KEYS[:200]).encode()) == set(KEYS[:200])
    assert found("-".join(KEYS[:200]).encode()) == set(KEYS[:200])
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        wide = KEYS[1].encode(encoding)
        assert found(KEYS[0].encode() + b"\0\0\1" + wide + b"\0\0\0\0" + wide[:-8] + b"\xff") >= {KEYS[0], KEYS[1]}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32-be", "utf-8", "cp949"])
def test_a_syllable_may_touch_a_key(encoding: str) -> None:
    """A byte of it may be a letter."""
    for text in ("{}국", "국{}", "국{}국", "똠{}", "키는 {}입니다"):
        assert found(text.format(KEYS[0]).encode(encoding)) >= {KEYS[0]}, text


@given(
    st.lists(st.sampled_from([*KEYS[:9], HEX_48, HEX_32, UUID]), min_size=1, max_size=20),
    st.sampled_from(["\0", "_", "-", " ", "국", ",", "\x1b[0m", "%2522", "\\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "cp949"]),
    st.integers(40, 500),
)
def test_keys_are_found_whatever_parts_them_in_any_encoding(
    keys: list[str], sign: str, encoding: str, size: int
) -> None:
    """And wherever a block ends among them."""
    before = dump.BLOCK_BYTES
    try:
        dump.BLOCK_BYTES = size
        assert found(sign.join(keys).encode(encoding)) >= set(keys)
    finally:
        dump.BLOCK_BYTES = before


@pytest.mark.parametrize("key", [KEYS[0], HEX_48, HEX_32, UUID])
def test_what_is_wrapped_in_base64_is_decoded_once(key: str) -> None:
    """Alone, with and without padding, in lines of mail, in a text of any encoding; and what is twice in it is not looked for."""
    once = b64encode(key.encode())
    for data in (
        once,
        once.rstrip(b"="),
        b'{"dump":"' + once + b'"}',
        b"x " + once + b"\n",
        once.decode().encode("utf-16"),
    ):
        assert found(data) == {key}
    text = f"user@example.com;{key};2022\n{{'api_key': 'kbt-000001'}}\n" * 9
    for wrapped in (
        b64encode(text.encode()),
        encodebytes(text.encode()),
        encodebytes(text.encode()).replace(b"\n", b"\r\n"),
    ):
        assert found(b"Content-Transfer-Encoding: base64\n\n" + wrapped + b"\n--end") == {key, "kbt-000001"}
    assert found(b64encode(once)) == set()


@given(st.integers(40, 400), st.integers(0, 90), st.sampled_from([b64encode, encodebytes]))
def test_where_a_block_ends_in_base64_changes_nothing(size: int, junk: int, wrap: Callable[[bytes], bytes]) -> None:
    """In one line without an end as in lines of mail; nothing is made up of half a key."""
    data = wrap(("x" * junk + " " + " ".join(KEYS[:60])).encode())
    before = dump.BLOCK_BYTES
    try:
        dump.BLOCK_BYTES = size
        read = found(data)
    finally:
        dump.BLOCK_BYTES = before
    assert read >= set(KEYS[:60])
    others = read - {"x" * junk, *KEYS[:60]}
    assert all(one.encode() in data for one in others), "what is no part of the text that is wrapped"


KORBIT = "kbt_0123456789Ab"


@pytest.mark.parametrize(
    "text",
    [
        "API 키: {}", "API 키는 {}", "클라이언트 아이디: {}", "클라이언트 ID: {}", "코빗 키={}", "my api key is {}",
        "API key (korbit): {}",
        "&quot;api_key&quot;:&quot;{}&quot;", "&#34;api_key&#34;:&#34;{}&#34;", '{{"apiKeyId":"{}"}}', '{{"key_id":"{}"}}',
        '{{"api_keys":["{}"]}}', "KORBIT_KEY={}", '<key name="api_key" value="{}"/>', "<api_key>{}</api_key>",
        "api_key%2522%253A%2522{}%2522", "api_key: \x1b[32m{}\x1b[0m",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_labels_of_many_kinds_are_read_in_any_encoding(text: str, encoding: str) -> None:
    """Forms', documents', settings'."""
    assert found(text.format(KORBIT).encode(encoding)) == {KORBIT}


@pytest.mark.parametrize("header", ["api_key_id", "keyId", "Korbit key", "클라이언트 아이디", "API 키"])
@pytest.mark.parametrize("cell", ["{}", '="{}"', '"=""{}"""', "'{}", "'{}'", "`{}`"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be"])
def test_a_column_is_read_as_spreadsheets_write_it(header: str, cell: str, encoding: str) -> None:
    """With a cell that is text by force, under a header of any kind; syllables whose bytes end lines break none."""
    text = f"note,{header},more\n갊,{cell.format(KORBIT)},갍\n꤬,{cell.format('kbt-000002')},\n"
    assert found(text.encode(encoding)) == {KORBIT, "kbt-000002"}


def test_an_unpublished_shape_counts_beside_its_label_alone() -> None:
    """Nearly any word has Korbit's shape; the value of a secret is none of ours."""
    text = (
        'X-KAPI-KEY: kbt_0123456789\napi_key = "aa11bb22"\n{"clientId":"cc33dd44", "secret_key":"ee55ff66"}\n'
        "monkey: gg77hh88 secretKey=ii99jj00 password: kk11ll22 key,mm33nn44"
    )
    assert found(text.encode()) == {"kbt_0123456789", "aa11bb22", "cc33dd44", "mm33nn44"}


def test_a_csv_whose_header_names_the_column_is_read_by_column() -> None:
    """Quoted or not, in any place, with any of three delimiters; other columns are searched like text."""
    for delimiter in ",;\t":
        rows = [["id", "Access Key", "note"], ["1", "kbt-000001", "plain-word-1"], ["2", '"kbt-000002"', UUID]]
        text = "\r\n".join(delimiter.join(row) for row in rows)
        assert found(text.encode()) == {"kbt-000001", "kbt-000002", UUID}


@pytest.mark.parametrize("before", ["", "\ufeff", "sep=;\n", "# of members\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_csv_of_one_column_is_read_as_one(before: str, end: str, encoding: str) -> None:
    """A header alone in its line is one as well, whatever ends lines and whatever stands before it."""
    text = f'{before}"api_key"\nkbt-000001\n"kbt-000002"\nno key, this\nkbt-000003'.replace("\n", end)
    assert found(text.encode(encoding)) == {f"kbt-00000{n}" for n in (1, 2, 3)}


def test_a_header_is_quoted_as_its_rows_are() -> None:
    """A delimiter within quotes parts no columns."""
    text = '"id, as it was","since","API key"\n"1, 2","2025","kbt-000001"\n'
    assert found(text.encode()) == {"kbt-000001"}


def test_every_column_that_a_header_calls_one_of_keys_is_read() -> None:
    """Whatever stands between them."""
    for delimiter in ",;\t|":
        rows = [
            ["client_id", "note", "connect key"],
            ["kbt-000001", "word-1", "kbt-000002"],
            ["", "word-2", "kbt-000003"],
        ]
        text = "\n".join(delimiter.join(row) for row in rows)
        assert found(text.encode()) == {"kbt-000001", "kbt-000002", "kbt-000003"}


@pytest.mark.parametrize("quoted", [json.dumps, quote])
def test_an_escape_beside_a_key_is_no_part_of_it(quoted: Callable[[str], str]) -> None:
    """A line's end in a JSON string or in a URL ends in a letter or a digit; a backslash before a key may be none's."""
    text = f'keys:\n{KEYS[0]}\t{UUID}\n"{HEX_48}"\napi_key="kbt-000001", and: {{"access_key":"kbt-000002"}}\nend'
    assert found(quoted(text).encode()) == {KEYS[0], UUID, HEX_48, "kbt-000001", "kbt-000002"}
    assert found(f"C:\\n{KEYS[0][1:]}\\{KEYS[1]}".encode()) == {f"n{KEYS[0][1:]}", KEYS[1]}


def test_a_label_and_its_value_stand_apart_in_many_ways() -> None:
    """Programs', shells', chats' and documents'."""
    texts = [
        "api_key = u'{}'",
        "'api_key' => '{}'",
        'client.connect(apiKey=("{}"))',
        "API key: `{}`",
        "api key\uff1a{}",
    ]
    for number, text in enumerate(texts):
        assert found(text.format(f"kbt-{number:06d}").encode()) == {f"kbt-{number:06d}"}, text


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
@pytest.mark.parametrize("label", ["API 키", "API키", "액세스 키", "키", "연결키", "Access 키"])
def test_a_label_may_be_korean(encoding: str, label: str) -> None:
    """In a text and as a column's header; a secret key is none."""
    text = f"{label}: kbt-000001, 시크릿 키: kbt-000002, 비밀키: kbt-000003, 열쇠고리키=kbt-000004"
    assert found(text.encode(encoding)) == {"kbt-000001"}
    table = f"번호,{label},시크릿 키,메모\n1,kbt-000005,kbt-000006,열쇠-00007\n"
    assert found(table.encode(encoding)) == {"kbt-000005"}


@pytest.mark.parametrize(
    "text",
    [
        '[{{"name": "api_key", "value": "{}"}}]',
        '[{{"name":"API_KEY","value":"{}","scope":"x"}}]',
        '"api_key":\n      "{}"',
        "api_key:\r\n  {}",
        "- name: 'API_KEY'\n  note: none",
    ],
)
def test_a_value_may_stand_in_the_next_line_or_under_a_name_of_its_own(text: str) -> None:
    """As JSON that is printed wide and lists of settings have it."""
    assert found(text.format("kbt-000001").encode()) == ({"kbt-000001"} if "{}" in text else set())


def test_a_list_under_one_label_is_read() -> None:
    """As far as a thousand characters behind it; what follows the list or names another value is none of it."""
    for indent in (None, 2):
        keys = [f"kbt-{n:05d}" for n in range(20)]
        text = json.dumps({"apiKeys": [*keys, "none-of-it"], "notes": ["word-00001"], "word-00002": 1}, indent=indent)
        assert found(text.encode()) == set(keys)
    assert found(b'{"api_key": ["kbt-00001", "b-00002": "c-00003"]}') == {"kbt-00001"}
    assert found(b'{"api_key": "kbt-00001", "word-00002", "word-00003"]') == {"kbt-00001"}
    many = [f"kbt-{n:05d}" for n in range(1_000)]
    read = found(json.dumps({"api_keys": many}).encode())
    assert set(many[:70]) <= read < set(many)


def test_json_is_read() -> None:
    """Whatever its nesting, on one line or many."""
    for indent in (None, 1):
        text = json.dumps([{"user": {"api_key": f"kbt_{n:08d}", "x": KEYS[n]}} for n in range(50)], indent=indent)
        assert found(text.encode()) == {f"kbt_{n:08d}" for n in range(50)} | set(KEYS[:50])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp949"])
def test_encodings_read_alike(encoding: str) -> None:
    """And several in one file."""
    text = " \n".join(f"n {n} {key} ok" for n, key in enumerate(KEYS[:60]))
    assert found(text.encode(encoding)) == set(KEYS[:60])
    mixed = text.encode(encoding) + b"\n" + KEYS[70].encode() + b"\xff\xfe" + KEYS[71].encode("utf-16-le") + b"\n\0"
    assert found(mixed) == {*KEYS[:60], KEYS[70], KEYS[71]}


@given(st.integers(1, 400), st.integers(0, 200))
def test_where_a_block_ends_changes_nothing(size: int, junk: int) -> None:
    """A key, its label or a row may lie across any border."""
    text = "id,key\n" + "".join(f"{n},kbt-{n:05d}\n" for n in range(20)) + "x" * junk + " " + " ".join(KEYS[:20])
    whole = found(text.encode())  # in one block; the junk may be as long as a key, and is found then
    assert whole - {"x" * junk} == {f"kbt-{n:05d}" for n in range(20)} | set(KEYS[:20])
    before = dump.BLOCK_BYTES
    try:
        dump.BLOCK_BYTES = size
        assert found(text.encode()) == whole
    finally:
        dump.BLOCK_BYTES = before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_key_among_empty_pages_is_found_wherever_a_block_ends(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database's file, or a disk's, is mostly NULs: the word that follows or ends them was cut by no border."""
    monkeypatch.setattr(dump, "BLOCK_BYTES", 16 << 10)
    page = bytes(20 << 10)
    for text in (KEYS[0], "api_key=kbt-0123456789"):
        key = text.rpartition("=")[2]
        for before, after in ((page, b""), (page, b" "), (b"", page), (b" ", page), (page, page)):
            assert found(before + text.encode(encoding) + after) == {key}


def test_reading_goes_on_from_any_offset_that_was_yielded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost between the two, and nothing is made up of half a key."""
    monkeypatch.setattr(dump, "BLOCK_BYTES", 1_500)
    data = " ".join(KEYS).encode()
    for stop in [offset for offset, _ in candidates(io.BytesIO(data))]:
        first = {key.decode() for offset, keys in candidates(io.BytesIO(data)) for key in keys if offset <= stop}
        assert first | found(data, stop) == set(KEYS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32-le"])
def test_a_long_row_is_not_lost_where_reading_stopped_within_it(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """Its key may stand far behind the row's beginning, or far before the place where reading goes on."""
    monkeypatch.setattr(dump, "BLOCK_BYTES", 1_500)
    rows = [f"{'n' * 5_000}갊 ,kbt-{n:05d}, {'m' * 5_000}\n" for n in range(4)]
    data = ("note,api_key,more\n" + "".join(rows)).encode(encoding)
    keys = {f"kbt-{n:05d}" for n in range(4)}
    for stop in [offset for offset, _ in candidates(io.BytesIO(data))]:
        first = {key.decode() for offset, some in candidates(io.BytesIO(data)) for key in some if offset <= stop}
        assert first | found(data, stop) == keys


def test_a_long_word_that_ends_is_read_in_time_that_grows_with_its_length_alone() -> None:
    """Whoever writes a dump could else stop its reader with a megabyte of letters."""
    began = time.process_time()
    assert found(b"A" * 20_000 + b" " + KEYS[0].encode()) == {KEYS[0]}
    assert time.process_time() - began < 1.0


def test_one_line_of_megabytes_and_junk_cost_no_more_memory_than_a_block() -> None:
    """A run without an end, a line without an end, and random bytes: bounded, and the keys in them are found."""

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.left = 24
            self.parts = [b"A" * (1 << 20), (KEYS[3] + ",").encode() * 25_000, RNG.randbytes(1 << 20)]

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return False

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return self.parts[self.left % 3] if self.left >= 0 else b""

    tracemalloc.start()
    keys = set()
    for _, some in candidates(Endless()):  # type: ignore[arg-type]
        keys.update(some)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert keys == {KEYS[3].encode()}
    assert most < 48 << 20


@given(st.binary(max_size=600))
def test_any_bytes_are_read_and_what_is_found_can_be_canonicalised(data: bytes) -> None:
    """No exception, and no candidate that the canonical form refuses."""
    for key in found(data + b" key: a1b2c3d4 " + data):
        assert canonical_key(key)

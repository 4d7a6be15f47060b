"""Files in which no key can be read as they stand are told by name; what only resembles one is read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.packed import BEGINNINGS, refuse_packed


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("keys.csv", "api_key\n")
    return file.getvalue()


PACKED = [
    (gzip.compress(b"x"), "gzip"),
    (zipped(), "zip"),
    (lzma.compress(b"x"), "xz"),
    (bz2.compress(b"x"), "bzip2"),
    (bz2.compress(b""), "bzip2"),
    *((beginning, kind) for beginning, kind in BEGINNINGS.items() if kind != "bzip2"),
]


# Numbered: a gzip's bytes tell the time, and each of pytest's workers names the tests for itself.
@pytest.mark.parametrize(("data", "kind"), PACKED, ids=range(len(PACKED)))
def test_a_packed_file_is_told_by_what_it_is(data: bytes, kind: str) -> None:
    """By its first bytes, whatever its name."""
    with pytest.raises(InvalidInput) as refused:
        refuse_packed(io.BytesIO(data + b"more"), "dump.txt")
    assert (refused.value.code, refused.value.field) == (ErrorCode.INVALID_FILE, "dump.txt")
    assert kind in refused.value.expected


@pytest.mark.parametrize("data", [b"", b"BZh9 is a word", b"api_key,x\n", b"PK 1\n", "키".encode("utf-16"), b"%PD"])
def test_what_is_read_stands_at_its_beginning_again(data: bytes) -> None:
    """Nothing of it is lost to the look."""
    file = io.BytesIO(data)
    refuse_packed(file, "dump.txt")
    assert file.read() == data

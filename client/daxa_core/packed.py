r"""Whether a file is packed: compressed, encrypted, or a document's container. No key can be read in such a file as it stands.

Told by its first bytes, so that nobody takes "0 candidates" for an answer. Refused: what begins as such a file does.

    >>> import io
    >>> refuse_packed(io.BytesIO(b"api_key"), "dump.txt")
    >>> refuse_packed(io.BytesIO(b"\x1f\x8b\x08"), "dump.gz")
    Traceback (most recent call last):
        ...
    daxa_core.errors.InvalidInput: INVALID_FILE: dump.gz: a file that is unpacked first, got gzip
"""

from __future__ import annotations

from typing import BinaryIO

from .errors import ErrorCode, InvalidInput

BEGINNINGS = {
    b"\x1f\x8b\x08": "gzip",
    b"PK\x03\x04": "a zip (a workbook is one: save it as CSV)",
    b"PK\x05\x06": "an empty zip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"%PDF-": "a PDF: save its text",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document: save it as CSV",
    b"PAR1": "Parquet: save it as CSV",
    b"Salted__": "a file that openssl encrypted",
    b"age-encryption.org/": "a file that age encrypted",
    b"-----BEGIN PGP MESSAGE": "a file that PGP encrypted",
}
_BZIP2 = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")
"""What follows a bzip2's level: a block, or its end."""


def refuse_packed(file: BinaryIO, name: str) -> None:
    """Leaves a file that seeks at its beginning. Raises InvalidInput INVALID_FILE naming the file and what it is."""
    file.seek(0)
    head = file.read(32)
    file.seek(0)
    for beginning, kind in BEGINNINGS.items():
        if head.startswith(beginning) and (beginning != b"BZh" or head[4:].startswith(_BZIP2)):
            raise InvalidInput(ErrorCode.INVALID_FILE, name, f"a file that is unpacked first, got {kind}")

"""A backup in one file: a database, and the files of a configuration where asked; whole or not at all, sealed where asked.

Inside is a ZIP with a manifest that has every part's digest. Sealed, it is cut into chunks, each under AES-256-GCM with its
number and whether it is the last as its nonce, so that none can be changed, moved, or left out at the end; the key is made of
a passphrase by scrypt, and a value beside it tells a wrong passphrase from a torn file.

    >>> write(Path("monday.backup"), {"registry.sqlite": path}, {"root": "…"}, passphrase=b"…")            # doctest: +SKIP
    >>> with unpacked(Path("monday.backup"), b"…") as (folder, manifest):                                  # doctest: +SKIP
    ...     print(manifest["root"])
"""

from __future__ import annotations

import errno
import io
import json
import os
import secrets
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.pseudonym import digest

MAGIC = b"daxa sealed backup 1\n"
CHUNK = 1 << 20
SALT_BYTES, CHECK_BYTES, TAG_BYTES = 16, 16, 16
_CHECK_CONTEXT, _PART_CONTEXT = "daxa backup key check v1", "daxa backup part v1"
_MANIFEST = "manifest.json"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OF_ITS_CONTENT = (errno.EINVAL, errno.ENAMETOOLONG, errno.EISDIR)
"""An offset that no file has, names that no file can have: what the backup says, and nothing that is wrong with this host."""


class _Sealing(io.RawIOBase):
    """Writes what is written to it as sealed chunks."""

    def __init__(self, out: IO[bytes], passphrase: bytes) -> None:
        self._out, self._held, self._number = out, bytearray(), 0
        salt = secrets.token_bytes(SALT_BYTES)
        key = _key(passphrase, salt)
        self._cipher = AESGCM(key)
        out.write(MAGIC + salt + digest(_CHECK_CONTEXT, key)[:CHECK_BYTES])

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._held += data
        while len(self._held) > CHUNK:  # the last chunk is only known to be it at the end
            self._seal(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """Writes the last chunk."""
        self._seal(bytes(self._held), last=True)

    def _seal(self, chunk: bytes, last: bool) -> None:
        self._out.write(self._cipher.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


def check_new(path: Path) -> None:
    """Raises ConfigurationError where one is there."""
    if path.exists():
        raise _refuse(path, "a file that is not there yet")


def check_place(path: Path) -> None:
    """As :func:`check_new`; also where the folder that it is to be in is not there."""
    check_new(path)
    if not path.absolute().parent.is_dir():
        raise _refuse(path, "a path in a folder that is there")


def write(path: Path, parts: Mapping[str, Path], manifest: Mapping[str, object], passphrase: bytes | None) -> None:
    """Makes the file, readable by its owner alone; it is there when it is whole. Raises as :func:`check_new`."""
    check_new(path)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        if passphrase is None:
            _pack(out, parts, manifest)
        else:
            sealing = _Sealing(out, passphrase)
            _pack(sealing, parts, manifest)
            sealing.finish()
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)


def _pack(out: Any, parts: Mapping[str, Path], manifest: Mapping[str, object]) -> None:
    """Each part is read once: one that is being written to has the digest of what went in, and the backup is whole."""
    digests = {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, path in parts.items():
            with path.open("rb") as source, packed.open(name, "w", force_zip64=True) as part:
                digests[name] = _copied(source, part)
        packed.writestr(_MANIFEST, json.dumps({**manifest, "parts": digests}))


@contextmanager
def unpacked(path: Path, passphrase: bytes | None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The parts in a private folder, those of a configuration in its folder ``files``; and the manifest.

    Raises ConfigurationError where it is torn, or the passphrase wrong.
    """
    with tempfile.TemporaryDirectory(prefix="daxa-restore-") as scratch:
        folder = Path(scratch)
        (folder / "files").mkdir()
        plain = path
        with path.open("rb") as source:
            if source.read(len(MAGIC)) == MAGIC:
                if passphrase is None:
                    raise _refuse(path, "a passphrase: this backup is sealed; --passphrase-file")
                plain = folder / ".plain"
                with plain.open("wb") as out:
                    _open(path, source, out, passphrase)
        try:
            with zipfile.ZipFile(plain) as packed:
                if any(part.compress_type not in _PACKED for part in packed.infolist()):
                    raise _torn(path)  # what tells of a broken part differs from one way of packing to the next
                manifest = _manifest(path, packed.read(_MANIFEST))
                for name, wanted in manifest["parts"].items():
                    # Nothing outside the folder, whatever the name says; and no file of a configuration in a database's place.
                    target = (folder / "files" if name.startswith("files/") else folder) / Path(name).name
                    with packed.open(name) as part, target.open("wb") as out:
                        found = _copied(part, out)
                    if found != wanted:
                        raise _torn(path)
        except (zipfile.BadZipFile, LookupError, ValueError, EOFError, RuntimeError, struct.error, zlib.error):
            raise _torn(path) from None
        except OSError as error:
            if error.errno in _OF_ITS_CONTENT:
                raise _torn(path) from None
            raise
        yield folder, manifest


def _manifest(path: Path, data: bytes) -> dict[str, Any]:
    """What the manifest says. A backup that is not sealed can be made by hand, and anything can stand there."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    parts = told.get("parts") if isinstance(told, dict) else None
    if (
        not isinstance(told, dict)
        or not {"configuration", "size", "root", "rows"} <= told.keys()
        or not isinstance(parts, dict)
        or not all(isinstance(wanted, str) for wanted in parts.values())
    ):
        wanted = "a manifest.json that is an object with configuration, size, root, rows, and the digests of its parts"
        raise _refuse(path, wanted)
    return told


def _open(path: Path, source: IO[bytes], out: IO[bytes], passphrase: bytes) -> None:
    salt, check = source.read(SALT_BYTES), source.read(CHECK_BYTES)
    if len(check) < CHECK_BYTES:
        raise _torn(path)
    key = _key(passphrase, salt)
    if digest(_CHECK_CONTEXT, key)[:CHECK_BYTES] != check:
        raise _refuse(path, "the passphrase that it was sealed with; this one is another")
    cipher, number = AESGCM(key), 0
    chunk = source.read(CHUNK + TAG_BYTES)
    while True:
        after = source.read(CHUNK + TAG_BYTES)
        try:
            out.write(cipher.decrypt(_nonce(number, not after), chunk, None))
        except (InvalidTag, ValueError):
            raise _torn(path) from None
        if not after:
            return
        chunk, number = after, number + 1


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(passphrase)


def _nonce(number: int, last: bool) -> bytes:
    return struct.pack(">QI", number, int(last))


def _copied(source: IO[bytes], out: IO[bytes]) -> str:
    """The digest of what was."""
    made = blake3(derive_key_context=_PART_CONTEXT)
    while chunk := source.read(CHUNK):
        made.update(chunk)
        out.write(chunk)
    return made.hexdigest()


def _torn(path: Path) -> ConfigurationError:
    return _refuse(path, "a whole backup; this one is torn or changed: take another one")


def _refuse(path: Path, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_FILE, path.name, expected)

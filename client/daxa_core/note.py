"""C2SP signed notes, and what is written on them here: checkpoints of the log (tlog-checkpoint) and the cosignatures of its
witnesses (tlog-cosignature, Ed25519).

    >>> log = NoteSigner("example.com/log", SigningKey.generate())
    >>> note = log.sign(Checkpoint("example.com/log", 0, merkle.EMPTY_ROOT).text())
    >>> read_checkpoint(note, log.verifier).size
    0
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from . import merkle
from .envelope import PUBLIC_BYTES, SIGNATURE_BYTES, SigningKey, verify_bytes
from .errors import CryptoError, ErrorCode

ED25519, COSIGNATURE = 0x01, 0x04
MAX_NOTE_BYTES = 16 * 1024
MAX_SIGNATURES = 64
_NAME = re.compile(r"[^\s+\x00-\x1f]{1,255}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH = "\N{EM DASH}"
_TIME_BYTES = 8


def _refuse(expected: str, field: str = "checkpoint") -> CryptoError:
    return CryptoError(ErrorCode.INVALID_CHECKPOINT, field, expected)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name, its four-byte id, and what follows."""

    name: str
    key_id: bytes
    blob: bytes

    def line(self) -> str:
        """The line as it stands in a note, with its newline."""
        return f"{_DASH} {self.name} {base64.b64encode(self.key_id + self.blob).decode()}\n"

    @classmethod
    def parse(cls, line: str) -> NoteSignature:
        """Reads one line, with or without its newline. Raises CryptoError INVALID_CHECKPOINT."""
        parts = line.removesuffix("\n").split(" ")
        if len(parts) != 3 or parts[0] != _DASH or not _NAME.fullmatch(parts[1]):
            raise _refuse("an em dash, a key's name and a signature in base64", "signature")
        blob = _decode(parts[2], "signature")
        if len(blob) < 5:
            raise _refuse("a key id and a signature", "signature")
        return cls(parts[1], blob[:4], blob[4:])


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A public key of a note: its name, what it signs (``ED25519`` notes, or ``COSIGNATURE``), its 32 bytes."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256 over name, newline, algorithm and key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()[:4]

    def vkey(self) -> str:
        """The key in the notation of signed notes: ``name+id+key``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.algorithm]) + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> NoteVerifier:
        """Reads :meth:`vkey`. Raises CryptoError INVALID_VALUE where it is none, or its id is not that of its key."""
        name, _, rest = vkey.partition("+")
        stated, _, encoded = rest.partition("+")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) == 1 + PUBLIC_BYTES and key[0] in (ED25519, COSIGNATURE) and _NAME.fullmatch(name):
            verifier = cls(name, key[0], key[1:])
            if verifier.key_id.hex() == stated:
                return verifier
        raise CryptoError(ErrorCode.INVALID_VALUE, "vkey", "name+id+key of an Ed25519 note key or cosignature key")

    def made(self, signature: NoteSignature) -> bool:
        """Whether the line says that this key made it. It decides nothing: :meth:`verify` does."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verify(self, text: str, signature: NoteSignature) -> int:
        """When the cosignature was made (seconds; 0 for a plain signature). Raises CryptoError INVALID_SIGNATURE."""
        time, blob, message = 0, signature.blob, text.encode()
        if self.algorithm == COSIGNATURE:
            time, blob = int.from_bytes(blob[:_TIME_BYTES]), blob[_TIME_BYTES:]
            message = _cosigned(text, time)
        if len(blob) != SIGNATURE_BYTES or not self.made(signature) or not verify_bytes(self.public, blob, message):
            raise CryptoError(ErrorCode.INVALID_SIGNATURE, "checkpoint", f"a signature of {self.name} over this text")
        return time


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


class NoteSigner:
    """Signs notes under a name."""

    def __init__(self, name: str, key: SigningKey) -> None:
        if not _NAME.fullmatch(name):
            raise CryptoError(ErrorCode.INVALID_VALUE, "name", "1 to 255 characters, no spaces and no plus")
        self._key = key
        self.verifier = NoteVerifier(name, ED25519, key.public)

    def sign(self, text: str) -> str:
        """The whole note: text, empty line, signature line."""
        signature = NoteSignature(self.verifier.name, self.verifier.key_id, self._key.sign_bytes(text.encode()))
        return f"{text}\n{signature.line()}"


class Witness:
    """Cosigns checkpoints under a name: as of a time, this was the largest tree it saw, and it grew out of all it saw before.

    The key signs nothing else, as tlog-cosignature demands.
    """

    def __init__(self, name: str, key: SigningKey) -> None:
        if not _NAME.fullmatch(name):
            raise CryptoError(ErrorCode.INVALID_VALUE, "name", "1 to 255 characters, no spaces and no plus")
        self._key = key
        self.verifier = NoteVerifier(name, COSIGNATURE, key.public)

    @classmethod
    def from_text(cls, text: str) -> Witness:
        """Reads :meth:`to_text`. Raises CryptoError INVALID_VALUE; nothing of the text is told."""
        name, _, private = text.strip().partition(" ")
        try:
            return cls(name, SigningKey(bytes.fromhex(private)))
        except (ValueError, CryptoError):
            raise CryptoError(ErrorCode.INVALID_VALUE, "witness", "a name and a private key in hexadecimal") from None

    def to_text(self) -> str:
        """The secret file's one line: the name and the private key."""
        return f"{self.verifier.name} {self._key.private_bytes().hex()}\n"

    def cosign(self, text: str, time: int) -> NoteSignature:
        """The cosignature of a checkpoint's text at ``time``, seconds since the epoch."""
        blob = time.to_bytes(_TIME_BYTES) + self._key.sign_bytes(_cosigned(text, time))
        return NoteSignature(self.verifier.name, self.verifier.key_id, blob)


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it came: its text with the final newline, and its signature lines. Nothing of it is verified."""

    body: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Splits a note. Raises CryptoError INVALID_CHECKPOINT where it is cut or is none."""
        text, empty, lines = note.rpartition("\n\n")
        if not empty or not text or not lines.endswith("\n") or len(note) > MAX_NOTE_BYTES:
            raise _refuse(f"a text, an empty line and signature lines, under {MAX_NOTE_BYTES} characters")
        if any(character < " " and character != "\n" for character in note):
            raise _refuse("no control characters")
        # Not splitlines: a name may hold what Unicode calls a line's end.
        listed = lines.removesuffix("\n").split("\n")
        if len(listed) > MAX_SIGNATURES:
            raise _refuse(f"at most {MAX_SIGNATURES} signatures")
        return cls(text + "\n", tuple(NoteSignature.parse(line) for line in listed))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: whose, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Reads the text; extension lines are passed over. Raises CryptoError INVALID_CHECKPOINT."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines) or not _SIZE.fullmatch(lines[1]):
            raise _refuse("origin, tree size and root hash, a line each")
        root = _decode(lines[2], "checkpoint")
        if len(root) != merkle.HASH_BYTES:
            raise _refuse(f"a root of {merkle.HASH_BYTES} bytes")
        return cls(lines[0], int(lines[1]), root)


def read_checkpoint(note: str, log: NoteVerifier) -> Checkpoint:
    """The checkpoint on a note that the log's key has signed.

    Raises CryptoError INVALID_CHECKPOINT where it is cut, of another log, or not signed by its key; INVALID_SIGNATURE where the
    signature that claims to be the key's is not.
    """
    parsed = Note.parse(note)
    signature = next((one for one in parsed.signatures if log.made(one)), None)
    if signature is None:
        raise _refuse(f"a signature by {log.name}")
    log.verify(parsed.body, signature)
    checkpoint = Checkpoint.parse(parsed.body)
    if checkpoint.origin != log.name:
        raise _refuse(f"the origin {log.name}")
    return checkpoint


def cosigned_by(note: str, witnesses: Sequence[NoteVerifier]) -> dict[str, int]:
    """The names of those witnesses whose cosignature stands on the note, with its time.

    A line of somebody unknown is passed over. Raises CryptoError INVALID_SIGNATURE where a known witness's is wrong.
    """
    parsed = Note.parse(note)
    return {w.name: w.verify(parsed.body, one) for one in parsed.signatures for w in witnesses if w.made(one)}


def _decode(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _refuse("base64", field) from None

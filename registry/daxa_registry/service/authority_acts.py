"""The authority's acts in the log: who issued, signed, renewed and revoked which certificate, and made the list of those anew.

The authority belongs on a machine that is off the network, so it writes its acts into a file of its own, ``acts.jsonl``, which an
operator carries to the registry as he carries ``crl.pem``. The file only grows. The registry takes each new line into the log as
an operator's act; one that does not begin with what was taken is refused, and so is one with a line that is none: what stands in
the log stays, and somebody has to say what became of the rest.

    >>> AuthorityActs(store, Path("acts.jsonl"), lambda: 1_800_000_000).take()                      # doctest: +SKIP
    2
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry.keys.pki import PEER_PATH, PERSON
from daxa_registry.store.interface import Store

from .acts import ActKind, record_act

LOG = logging.getLogger("daxa_registry.service")
KINDS = {
    "issue": ActKind.CERTIFICATE_ISSUED,
    "sign-csr": ActKind.CERTIFICATE_SIGNED,
    "renew": ActKind.CERTIFICATE_RENEWED,
    "revoke": ActKind.CERTIFICATE_REVOKED,
    "renew-crl": ActKind.REVOCATION_LIST_RENEWED,
}
MAX_FILE_BYTES = 64 << 20
PART = 200
"""Acts in one transaction: intake waits for none of them long."""
_TAKEN = "authority_act"
_NEEDED = {"at", "by", "act", "serial"}
_KNOWN = _NEEDED | {"peer"}
_SERIAL = re.compile("[0-9a-f]{1,40}")
_AT = re.compile(r"[0-9T:+-]{25}")


def read_acts(path: Path) -> list[dict[str, str]]:
    """The acts in a file, the oldest first; none where there is no file yet, and no line that is just being written.

    Raises ConfigurationError INVALID_FILE naming the line that is none.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refuse(path, f"at most {MAX_FILE_BYTES >> 20} MiB")
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refuse(path, f"a readable file, got {type(error).__name__}") from None
    return [_act(path, number, line) for number, line in enumerate(lines, 1)]


def _act(path: Path, number: int, line: bytes) -> dict[str, str]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if (
        not isinstance(found, dict)
        or not _NEEDED <= found.keys() <= _KNOWN
        or not all(isinstance(value, str) for value in found.values())
        or not (found["act"] in KINDS and PERSON.fullmatch(found["by"]) and _SERIAL.fullmatch(found["serial"]))
        or not (_AT.fullmatch(found["at"]) and PEER_PATH.fullmatch(found.get("peer", "registry")))
    ):
        raise _refuse(path, f"in line {number} an act of the authority, as pki writes it")
    return found


class AuthorityActs:
    """One file, taken into one store's log. ``take`` may be called from any thread, by one at a time."""

    def __init__(self, store: Store, path: Path, clock: Callable[[], int]) -> None:
        self._store = store
        self._path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._complaint = ""

    def take(self) -> int:
        """Takes in what is new; how many acts that was. What is wrong with the file is told in the log, once while it lasts."""
        stamp = self._stamped()
        if stamp == self._stamp:
            return 0
        try:
            fresh = untaken(self._store, self._path)
            for start in range(0, len(fresh), PART):
                with self._store.transaction():
                    self._write(fresh[start : start + PART])
        except ConfigurationError as error:
            if str(error) != self._complaint:
                LOG.error("acts of the authority are not taken into the log: %s", error)
            self._complaint = str(error)
            return 0
        self._stamp, self._complaint = stamp, ""
        return len(fresh)

    def _write(self, fresh: list[tuple[int, dict[str, str]]]) -> None:
        """Inside a transaction. Another node may have been there before."""
        for number, act in fresh:
            name, digest = _name(number), _digest(act)
            there = self._store.document(_TAKEN, name)
            if there is None:
                self._store.write_document(_TAKEN, name, digest)
                detail = {key: value for key, value in act.items() if key in ("at", "serial", "peer")}
                record_act(self._store, f"authority/{act['by']}", KINDS[act["act"]], detail, self._clock())
            elif there != digest:
                raise _contradicts(self._path, number)

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def untaken(store: Store, path: Path) -> list[tuple[int, dict[str, str]]]:
    """The acts that the log does not have yet, with their numbers from 1.

    Raises ConfigurationError INVALID_FILE naming the first line that is another than the one that was taken. A file that is
    shorter is an older copy, and fits.
    """
    told = read_acts(path)
    taken = 0
    while page := store.documents(_TAKEN, _name(taken)):
        for (_, digest), act in zip(page, told[taken:], strict=False):
            taken += 1
            if digest != _digest(act):
                raise _contradicts(path, taken)
        if taken == len(told):
            break
    return list(enumerate(told[taken:], taken + 1))


def _name(number: int) -> str:
    return f"{number:012d}"


def _digest(act: dict[str, str]) -> str:
    return sha256(json.dumps(act, sort_keys=True).encode()).hexdigest()


def _contradicts(path: Path, number: int) -> ConfigurationError:
    return _refuse(path, f"in line {number} the act that stands in the log; the authority's record was rewritten")


def _refuse(path: Path, expected: str) -> ConfigurationError:
    return ConfigurationError(ErrorCode.INVALID_FILE, path.name, expected)

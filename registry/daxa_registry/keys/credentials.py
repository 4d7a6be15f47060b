"""The files of a server's ``[tls]``: checked when they are read, and read again while it runs when one of them changed.

A renewed certificate, a new revocation list or another authority is in force within RELOAD_SECONDS, with no restart. Files
that do not fit together (somebody is just replacing them) or that are broken change nothing: what was last good stays, and
the log says so once. A revocation list with a lower number than the one in force is refused: it would forgive.

    >>> credentials = Credentials(TlsFiles(Path("ca.pem"), Path("cert.pem"), Path("key.pem")))        # doctest: +SKIP
    >>> credentials.current().trust.check(pem, chain, "member/upbit")                                 # doctest: +SKIP
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_core.handshake import out_of_date

from .pki import certificates, private_key, refuse
from .trust import Anchor, Trust, read_anchors

LOG = logging.getLogger("daxa_registry.keys")
RELOAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class OutsideAuthority:
    """An authority that a member brings: its certificates, the ids it may vouch for, its revocation list if it has one."""

    ca: Path
    ids: frozenset[str]
    crl: Path | None = None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the authorities, the server's own certificate (its chain after it) and key, the revocation list."""

    ca: Path
    certificate: Path
    key: Path
    crl: Path | None = None
    outside: tuple[OutsideAuthority, ...] = ()

    def paths(self) -> list[Path]:
        """Every file."""
        found = [self.ca, self.certificate, self.key, self.crl]
        for one in self.outside:
            found += [one.ca, one.crl]
        return [path for path in found if path is not None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files held; ``until`` (seconds since the epoch) is the end of the own certificate."""

    certificate: bytes
    key: bytes = field(repr=False)
    roots: bytes
    trust: Trust
    until: float

    @property
    def lists_until(self) -> float:
        """When the first revocation list should have been replaced."""
        return min((one.revoked.until for one in self.trust.anchors if one.revoked), default=float("inf"))

    @property
    def authorities_until(self) -> float:
        """When the first authority ends, and with it everybody whom it vouches for."""
        ends = [one.certificate.not_valid_after_utc.timestamp() for one in self.trust.anchors]
        return min(ends, default=float("inf"))

    def ends(self) -> dict[str, float]:
        """By what it is, until when what was loaded holds (seconds since the epoch); what has no end is infinite."""
        return {
            "certificate": self.until, "authority": self.authorities_until, "revocation list": self.lists_until,
        }  # fmt: skip

    def forgives(self, earlier: Loaded) -> bool:
        """Whether an authority's list is older than before, or gone."""
        now = {anchor.certificate: anchor.revoked for anchor in self.trust.anchors}
        for anchor in earlier.trust.anchors:
            if anchor.revoked and anchor.certificate in now:
                listed = now[anchor.certificate]
                if listed is None or listed.number < anchor.revoked.number:
                    return True
        return False


def load(files: TlsFiles, now: float | None = None) -> Loaded:
    """Reads and checks all of them at ``now`` (seconds since the epoch).

    Raises ConfigurationError naming ``ca``, ``certificate``, ``key``, ``crl`` or ``outside[i].ca``: a file that cannot be read
    or is no PEM, no certificate that holds now (the own one: CERTIFICATE_EXPIRED), a key that is not the certificate's, a list
    that its authority did not sign.
    """
    now = time.time() if now is None else now
    certificate, key = _read(files.certificate, "certificate"), _read(files.key, "key")
    own = certificates(certificate, "certificate")[0]
    if not _holds(own, now):
        wanted = out_of_date(own.not_valid_before_utc, own.not_valid_after_utc, now)
        raise ConfigurationError(ErrorCode.CERTIFICATE_EXPIRED, "certificate", wanted)
    if private_key(key, "key").public_key() != own.public_key():
        raise refuse("key", "the private key of the certificate")
    anchors: list[Anchor] = []
    roots = []
    outside = [(one.ca, one.ids, one.crl, f"outside[{i}].") for i, one in enumerate(files.outside)]
    for path, ids, crl, prefix in [(files.ca, None, files.crl, ""), *outside]:
        roots.append(_read(path, f"{prefix}ca"))
        found = read_anchors(roots[-1], ids, None if crl is None else _read(crl, f"{prefix}crl"), prefix)
        _check_one_holds([anchor.certificate for anchor in found], f"{prefix}ca", now)
        anchors += found
    return Loaded(certificate, key, b"\n".join(roots), Trust(anchors), own.not_valid_after_utc.timestamp())


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise refuse(name, f"a readable PEM file, got {type(error).__name__}") from None


def _holds(one: x509.Certificate, now: float) -> bool:
    return one.not_valid_before_utc.timestamp() <= now <= one.not_valid_after_utc.timestamp()


def _check_one_holds(found: Sequence[x509.Certificate], name: str, now: float) -> None:
    """One of them is enough: a file of authorities may keep those that are being replaced."""
    if not any(_holds(one, now) for one in found):
        since, until = found[0].not_valid_before_utc.date(), found[0].not_valid_after_utc.date()
        raise refuse(name, f"a certificate that holds now; this one holds from {since} until {until}")


class Credentials:
    """What the files hold now. Thread-safe: handshakes ask from gRPC's threads, calls from the event loop."""

    def __init__(self, files: TlsFiles, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises ConfigurationError as :func:`load`."""
        self._files = files
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stamp = self._stamps()
        self._loaded = load(files)
        self._next = monotonic() + RELOAD_SECONDS
        self._complaint = ""
        self._tell: Callable[[Loaded], None] = lambda loaded: None

    def tell(self, on_loaded: Callable[[Loaded], None]) -> None:
        """Calls it with what is in force and with all that comes into force from now on, on whichever thread finds it."""
        with self._lock:
            self._tell = on_loaded
            on_loaded(self._loaded)

    def current(self) -> Loaded:
        """What is in force: read again where a file changed and RELOAD_SECONDS have passed since the last look."""
        if self._monotonic() >= self._next and self._lock.acquire(blocking=False):
            try:
                self._next = self._monotonic() + RELOAD_SECONDS
                self._look()
            finally:
                self._lock.release()
        return self._loaded

    @property
    def complaint(self) -> str:
        """Why the files as they are now are not in force; empty where they are."""
        return self._complaint

    def _look(self) -> None:
        stamp = self._stamps()
        if stamp == self._stamp and not self._complaint:
            return
        try:
            fresh = load(self._files)
            if fresh.forgives(self._loaded):
                raise refuse("crl", "revocation lists that are not older than those in force")
        except ConfigurationError as error:
            if self._complaint != str(error):
                self._complaint = str(error)
                LOG.error("certificates stay as they were: %s", error)
            return
        self._stamp, self._loaded, self._complaint = stamp, fresh, ""
        self._tell(fresh)
        LOG.info("certificates read again")

    def _stamps(self) -> list[tuple[int, int, int]]:
        found = []
        for path in self._files.paths():
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                found.append((0, 0, 0))
        return found

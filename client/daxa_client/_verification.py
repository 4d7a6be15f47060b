"""Reading the registry's verdicts: none is believed before its signature holds, and none that is older than one seen before.

What was seen is kept in memory, by key, as the sequence of the newest verdict. An answer is held against what was known before
the question was asked: what came in meanwhile may rightly be newer. A key's verdict comes with each batch that names it, so
what was read of late is kept too, by a digest of the whole envelope: the same bytes need no second look.

    >>> verifier = Verifier(keys, "upbit")                                              # doctest: +SKIP
    >>> known = verifier.known(asked)                                                   # doctest: +SKIP
    >>> verifier.answer(registry.look_up(request).verdicts, asked, known).verdicts      # doctest: +SKIP
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daxa_api.v1 import types_pb2
from daxa_core.codec import read_envelope
from daxa_core.envelope import Envelope
from daxa_core.errors import ConfigurationError, CryptoError, ErrorCode
from daxa_core.model import Verdict
from daxa_core.pseudonym import digest
from daxa_core.verification import VerificationKeys

from ._complaints import Complaints
from ._config import read_verification_keys
from ._errors import ROLE, malformed

REMEMBERED = 200_000
READ_LATELY = 2_000
"""A few megabytes; most keys have no verdict at all."""
_CONTEXT = "daxa 2026-11 envelope that was read v1"


@dataclass(slots=True)
class Answer:
    """Verdicts by key, and why others were not believed."""

    verdicts: dict[bytes, Verdict] = field(default_factory=dict)
    distrusted: list[CryptoError] = field(default_factory=list)


class Verifier:
    """One member's view of what the registry has signed for it. Thread-safe."""

    def __init__(
        self, keys: VerificationKeys, member: str, file: Path | None = None, remembered: int = REMEMBERED
    ) -> None:
        """``file``: where the keys stand; one that was replaced is read when a key comes up that is not known."""
        self._keys = keys
        self._file = file
        self._stamp = _stamp(file)
        self._member = member
        self._remembered = remembered
        self._newest: OrderedDict[bytes, int] = OrderedDict()
        self._read: dict[bytes, Verdict] = {}
        self._lock = threading.Lock()
        self._complaints = Complaints()

    def read(self, message: types_pb2.Envelope) -> Verdict:
        """The verdict, and remembers it. Raises CryptoError as :meth:`daxa_core.verification.VerificationKeys.verdict`."""
        name = digest(_CONTEXT, message.SerializeToString())
        verdict = self._read.get(name)
        if verdict is None:
            verdict = self._verified(read_envelope(message))
            if len(self._read) >= READ_LATELY:
                self._read.clear()
            self._read[name] = verdict
        with self._lock:
            if verdict.sequence > self._newest.get(verdict.key, 0):
                self._newest[verdict.key] = verdict.sequence
            self._newest.move_to_end(verdict.key)
            if len(self._newest) > self._remembered:
                self._newest.popitem(last=False)
        return verdict

    def _verified(self, envelope: Envelope) -> Verdict:
        try:
            return self._keys.verdict(envelope, self._member)
        except CryptoError as error:
            if error.code is not ErrorCode.FOREIGN_ENVELOPE or not self._look_again():
                raise
        return self._keys.verdict(envelope, self._member)

    def _look_again(self) -> bool:
        """Whether the file was replaced since it was read, by one that is good."""
        stamp = _stamp(self._file)
        if self._file is None or stamp == self._stamp:
            return False
        try:
            self._keys = read_verification_keys(self._file)
        except ConfigurationError as error:
            self._complaints.say("keys", f"changed verification keys are not taken up: {error}", logging.ERROR)
            return False
        finally:
            self._stamp = stamp  # not before: another thread's envelope would be refused while the file is being read
        return True

    def known(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """The newest sequence seen of each key; one that was never seen is not there."""
        with self._lock:
            return {key: self._newest[key] for key in keys if key in self._newest}

    def answer(
        self, messages: Sequence[types_pb2.Envelope], asked: Sequence[bytes], known: Mapping[bytes, int]
    ) -> Answer:
        """What the registry says of those keys.

        One that does not verify, is older than ``known`` or missing though known is told in ``distrusted``, and in a log line an
        hour without identifiers. Raises Unavailable INTERNAL where it speaks of a key twice, or of one that was not asked about.
        """
        wanted = set(asked)
        out = Answer()
        for message in messages:
            try:
                verdict = self.read(message)
            except CryptoError as error:
                out.distrusted.append(error)
                continue
            if verdict.key not in wanted or verdict.key in out.verdicts:
                raise malformed(ROLE, "with one verdict at most for each key that was asked about, and no other")
            out.verdicts[verdict.key] = verdict
        for key, sequence in known.items():
            if key in wanted and (key not in out.verdicts or out.verdicts[key].sequence < sequence):
                out.verdicts.pop(key, None)
                out.distrusted.append(
                    CryptoError(ErrorCode.REPLAYED_ENVELOPE, "verdicts", f"one at sequence {sequence} or later")
                )
        if out.distrusted:
            first = out.distrusted[0]
            text = f"{len(out.distrusted)} of the registry's verdicts are not believed: {first}"
            self._complaints.say(f"distrusted {first.code}", text, logging.ERROR)
        return out


def _stamp(file: Path | None) -> tuple[int, ...]:
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return ()
    return () if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)

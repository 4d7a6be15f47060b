"""The client: raw sightings in, verdicts out; nothing raw leaves it.

>>> with RegistryClient.from_file("client.toml") as client:                     # doctest: +SKIP
...     result = client.submit([RawSighting(key, address, hour)])
...     result.verdicts[key].level
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from daxa_api.v1 import sighting_pb2, verdict_pb2
from daxa_core.envelope import Envelope
from daxa_core.errors import DaxaError, ErrorCode, InvalidInput, Unavailable
from daxa_core.model import (
    BATCH_ID_BYTES,
    MAX_KEYS_PER_LOOKUP,
    MAX_SIGHTINGS,
    Act,
    Ground,
    Kind,
    RawSighting,
    Verdict,
)

from . import _enforcement as enforcement
from ._cache import FingerprintCache
from ._config import ClientConfig, read_config
from ._enforcement import AppealReceipt, EnforcementReceipt
from ._fingerprints import Fingerprinter
from ._log import LogEntry, LogFollower, LogHead
from ._raw_keys import RAW_KEYS, RawKeys
from ._registry import Ending, Registry
from ._submission import LAST_HOUR, Canonicaliser, SubmitResult, Tally, checked_key, prepare
from ._verification import Verifier
from ._watch import CursorFile, checked_sequence, follow


class SubmitInterrupted(Unavailable):
    """The registry could not be reached any more when part of a submission was already taken.

    ``result`` is what became of that part; ``unsent`` are the places, in the caller's list, of the sightings to submit again.
    """

    def __init__(
        self,
        code: ErrorCode,
        field: str,
        expected: str,
        *,
        retry_after: float | None = None,
        result: SubmitResult | None = None,
        unsent: tuple[int, ...] = (),
    ) -> None:
        super().__init__(code, field, expected, retry_after=retry_after)
        self.result = result or SubmitResult(0, (), {})
        self.unsent = unsent


class RegistryClient:
    """One member's connection to the registry and its evaluators. Thread-safe; close it, or use it as a context manager."""

    def __init__(self, config: ClientConfig, *, raw_keys: int = RAW_KEYS) -> None:
        """Connects to nobody yet. ``raw_keys``: how many are kept in memory for :meth:`raw_key`, those used last."""
        self._config = config
        self._cache = FingerprintCache(config.cache, config.account_secret, config.parameters.digest)
        self._fingerprinter = Fingerprinter(config, self._cache)
        self._canonicaliser = Canonicaliser(config.account_secret, config.allow_non_global_addresses)
        self._registry = Registry(config)
        self._raw_keys = RawKeys(raw_keys)
        self._verifier = Verifier(config.verification, config.member, config.verification_file)
        self._follower = LogFollower(self._registry, config)

    @classmethod
    def from_file(cls, path: str | Path) -> RegistryClient:
        """A client as client.toml says. Raises ConfigurationError naming file and key."""
        return cls(read_config(path))

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is under way (a watch ends, a call raises Unavailable) and closes every connection and the cache."""
        self._registry.close()
        self._fingerprinter.close()
        self._cache.close()

    def health(self) -> dict[str, str]:
        """Each evaluator: ``"ok"``, or what was wrong with it when it was last asked."""
        return self._fingerprinter.standing.health()

    # sightings

    def submit(self, sightings: Iterable[RawSighting], *, batch_id: bytes | None = None) -> SubmitResult:
        """Fingerprints and submits; answers when the registry has it on disk.

        Up to 1,000 sightings may be given a ``batch_id``, 16 random bytes: the same ones again under it count once, as long as
        the registry knows it again, which is two days. After that their counts are added a second time.

        A sighting that cannot be canonicalised or that the registry refuses is told in ``refusals``, the others are taken.
        Raises Unavailable where the registry or enough evaluators cannot be reached: submit again; it is
        :class:`SubmitInterrupted`, which says what to submit again, where a part was taken. Raises Refused where this
        member may not submit.
        """
        config = self._config
        prepared = prepare(sightings, self._canonicaliser)
        prints = self._fingerprinter.of_all(prepared.wanted())
        self._raw_keys.remember((prints[item.key], item.raw.key) for item in prepared.items)
        tally = Tally(prepared.refusals, self._verifier)
        if batch_id is not None and (len(batch_id) != BATCH_ID_BYTES or len(prepared.items) > MAX_SIGHTINGS):
            wanted = f"{BATCH_ID_BYTES} bytes, for at most {MAX_SIGHTINGS} sightings"
            raise InvalidInput(ErrorCode.INVALID_VALUE, "batch_id", wanted)
        batches = list(
            prepared.batches(
                prints, config.member, config.parameters, lambda: batch_id or secrets.token_bytes(BATCH_ID_BYTES)
            )
        )
        for number, batch in enumerate(batches):
            # A batch that was sent before is answered as it was then: older verdicts are no replay.
            keys = set(batch.keys) if batch_id is None else ()
            known = self._verifier.known(keys)
            try:
                tally.take(batch, self._registry.submit(batch.request), known)
            except Unavailable as error:
                if number == 0:
                    raise
                raise SubmitInterrupted(
                    error.code,
                    error.field,
                    error.expected,
                    retry_after=error.retry_after,
                    result=tally.result(),
                    unsent=tuple(place for later in batches[number:] for place in later.places),
                ) from error
        return tally.result()

    def withdraw(self, key: str, first_hour: int = 0, last_hour: int = 0) -> int:
        """Takes back what this member sent of one of its keys: all of it, or a span of hours with both ends in it.

        Answers how many of the registry's records that changed. Raises InvalidInput for a key or hours that cannot be.
        """
        for name, hour in (("first_hour", first_hour), ("last_hour", last_hour)):
            if isinstance(hour, bool) or not isinstance(hour, int) or not 0 <= hour <= LAST_HOUR:
                raise InvalidInput(ErrorCode.INVALID_VALUE, name, "whole hours since 1970")
        request = sighting_pb2.WithdrawSightingsRequest(
            key=self.fingerprints([key])[key],
            first_hour=first_hour,
            last_hour=last_hour,
            key_version=self._config.parameters.key_version,
        )
        return int(self._registry.withdraw(request).withdrawn)

    # verdicts

    def verdicts(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """The current verdict of each of this member's keys; one that was never seen is CLEAR with sequence 0.

        Raises InvalidInput naming the place of a key that cannot be canonicalised, Unavailable as :meth:`submit`, and CryptoError
        where a verdict is not to be believed: unsigned, foreign, altered, or older than one seen before.
        """
        listed = list(self.fingerprints(keys).items())
        out: dict[str, Verdict] = {}
        for start in range(0, len(listed), MAX_KEYS_PER_LOOKUP):
            part = listed[start : start + MAX_KEYS_PER_LOOKUP]
            request = verdict_pb2.BatchGetVerdictsRequest(
                keys=[element for _, element in part], key_version=self._config.parameters.key_version
            )
            known = self._verifier.known(request.keys)
            answer = self._verifier.answer(self._registry.look_up(request).verdicts, request.keys, known)
            for error in answer.distrusted:
                raise error
            out.update((key, answer.verdicts.get(element) or Verdict(element)) for key, element in part)
        return out

    def watch(self, after_sequence: int | None = None) -> Iterator[Verdict]:
        """Every change of this member's verdicts after the cursor, oldest first, then as they happen; until the client closes.

        Reconnects by itself. Where a cursor file is configured it is the starting point unless ``after_sequence`` is given, and
        it moves on when the next verdict is asked for: at least once. A gap in the sequence is raised as Unavailable with
        CURSOR_OUT_OF_RANGE, a cursor that this registry never reached as InvalidInput with the same code, and a verdict that is
        not to be believed as CryptoError.
        """
        return self._watch(after_sequence, Ending())

    def _watch(self, after_sequence: int | None, ending: Ending) -> Generator[Verdict, None, None]:
        """As :meth:`watch`, and another thread may end it."""
        file = CursorFile(self._config.cursor) if self._config.cursor else None
        if after_sequence is None:
            cursor = file.read() if file is not None else 0
        else:
            cursor = checked_sequence(after_sequence)
        return follow(self._registry, self._verifier, cursor, file, ending)

    def report_enforcement(self, verdict: Verdict, act: Act) -> EnforcementReceipt:
        """Tells the registry what this member did about a verdict, which must be its key's current one.

        Telling the same twice is telling it once. Raises Refused SUPERSEDED naming the current sequence where there is a
        newer verdict, NOT_FOUND where this member has none of that key.
        """
        return enforcement.report(self._registry, self._verifier, self._config.parameters.key_version, verdict, act)

    def appeal(self, verdict: Verdict, ground: Ground, reference: str = "") -> AppealReceipt:
        """Asks an operator to judge a verdict that is not CLEAR; asking again tells what became of it.

        ``reference`` is this member's own number of the matter, up to 64 of A-Z, a-z, 0-9, ``.``, ``_`` and ``-``; nothing
        about a person belongs in it. Raises as :meth:`report_enforcement`.
        """
        return enforcement.appeal(self._registry, self._config.parameters.key_version, verdict, ground, reference)

    def verdict_digest(self, at_sequence: int) -> tuple[bytes, int]:
        """The digest of this member's verdicts as they stood at a sequence, and the newest sequence there is.

        For whoever keeps a table by :meth:`watch`: :func:`daxa_core.pseudonym.verdict_digest` of it must be the same. Raises
        InvalidInput CURSOR_OUT_OF_RANGE for a sequence that this registry never reached.
        """
        request = verdict_pb2.GetVerdictDigestRequest(at_sequence=checked_sequence(at_sequence))
        response = self._registry.verdict_digest(request)
        return response.digest, response.head_sequence

    def registry_clock(self) -> int:
        """The registry's clock, in seconds since the epoch: hours of sightings are held against it."""
        return self._registry.verdict_digest(verdict_pb2.GetVerdictDigestRequest()).now

    def raw_key(self, fingerprint: bytes) -> str | None:
        """The raw key behind a fingerprint, where this process has submitted or looked it up; it is kept in memory alone."""
        return self._raw_keys.find(fingerprint)

    # the log

    def audit(self, *, cosign: bool = True, witnesses: int = 0) -> LogHead:
        """Fetches the log's newest checkpoint and holds it against the last one, which is kept in the configured file.

        Cosigns it where this member has a witness key. ``witnesses``: it has to grow out of a checkpoint that so many of them
        cosigned too, so that this member was not shown a log of its own; Refused NOT_FOUND where there is none. Raises
        CryptoError: SHRUNK_LOG or FORKED_LOG where it is not consistent, UNPROVED_LOG where the registry is there and refuses to
        prove that it is (both checkpoints are kept beside the file as evidence), INVALID_CHECKPOINT or INVALID_SIGNATURE where
        it is not the log's.
        """
        return self._follower.follow(cosign=cosign, witnesses=witnesses)

    def prove(self, envelope: Envelope) -> Verdict:
        """The verdict in the envelope, shown to stand in the log as of the last checkpoint that was audited.

        Raises CryptoError INVALID_INCLUSION where it does not, or as :meth:`verdicts` where it does not verify.
        """
        return self._follower.prove(envelope)

    def entries(self) -> Generator[LogEntry, None, None]:
        """Every leaf of the log up to the last checkpoint that was audited, in order; of others' the hash alone.

        Raises CryptoError INVALID_INCLUSION where a content does not give its hash, or at the end, where the hashes do not give
        the checkpoint's root.
        """
        return self._follower.entries()

    def fingerprints(self, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The fingerprint of each raw key, in the order given, each once. Raises as :meth:`verdicts`."""
        canonical: dict[str, bytes] = {}
        for index, key in enumerate(keys):
            try:
                canonical[key] = checked_key(key)
            except DaxaError as error:
                raise error.within(f"keys[{index}]") from None
        found = self._fingerprinter.fingerprints(Kind.KEY, list(canonical.values())) if canonical else {}
        out = {key: found[value] for key, value in canonical.items()}
        self._raw_keys.remember((element, key) for key, element in out.items())
        return out

"""Following the registry's log: each checkpoint is held against the last one seen, and a log that was rewritten is caught.

The last checkpoint is kept in a file, as the signed note that it was. One that is not consistent with it is refused, and both are
kept beside it with what the registry offered as a proof: two notes under one signature that contradict each other convict it. So
is one whose proof the registry, which answers, refuses to give.

    >>> follower = LogFollower(registry, config)                    # doctest: +SKIP
    >>> follower.follow().size                                      # doctest: +SKIP
    1042
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from daxa_api.v1 import audit_pb2
from daxa_core import merkle
from daxa_core.codec import decode_verdict
from daxa_core.envelope import EVENT_TYPE, VERDICT_TYPE, Envelope, pae
from daxa_core.errors import ConfigurationError, CryptoError, DaxaError, ErrorCode
from daxa_core.model import Verdict
from daxa_core.note import Checkpoint, cosigned_by, read_checkpoint

from ._config import AuditorConfig, Connection, read_auditor_config
from ._registry import Registry
from ._retry import RETRYABLE, backoff

LOG = logging.getLogger("daxa_client")
ASKED_FOR_A_PROOF = 3
"""How often, before a registry that answers and gives none is held to refuse it."""
_NO_REFUSAL = RETRYABLE | {
    ErrorCode.CERTIFICATE_MISSING, ErrorCode.CERTIFICATE_EXPIRED, ErrorCode.CERTIFICATE_FOREIGN, ErrorCode.CERTIFICATE_IDENTITY,
    ErrorCode.CERTIFICATE_AMBIGUOUS, ErrorCode.CERTIFICATE_REVOKED, ErrorCode.NOT_A_MEMBER,
}  # fmt: skip
"""The registry is gone or has too much to do, or it is this side that is not let in: whether it would prove is not known."""


@dataclass(frozen=True, slots=True)
class LogHead:
    """The head of the log as it was verified, and the witnesses that had cosigned it, with the time of each (seconds)."""

    size: int
    root: bytes
    cosigned_by: dict[str, int]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A leaf: its hash, and what it holds where the reader is told; else type and payload are empty."""

    index: int
    leaf_hash: bytes
    payload_type: str
    payload: bytes

    def verdict(self) -> Verdict | None:
        """The verdict, where it is one that is told. Raises InvalidInput where the registry logged what is none."""
        return decode_verdict(self.payload) if self.payload_type == VERDICT_TYPE else None

    def event(self) -> dict[str, Any] | None:
        """The event's kind, time and detail, where it is one that is told."""
        if self.payload_type != EVENT_TYPE:
            return None
        try:
            table = json.loads(self.payload)
        except (ValueError, RecursionError):
            table = None
        return table if isinstance(table, dict) else {}


def _unfit(index: int, expected: str) -> CryptoError:
    return CryptoError(ErrorCode.INVALID_INCLUSION, f"entries[{index}]", expected)


class CheckpointFile:
    """The last checkpoint, as a signed note in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str | None:
        """None where there is none yet. Raises ConfigurationError where it cannot be read: starting anew would forget."""
        try:
            return self._path.read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise self.refuse(f"a readable file, got {type(error).__name__}") from None

    def refuse(self, expected: str) -> ConfigurationError:
        """The error for what is wrong with the file."""
        return ConfigurationError(ErrorCode.INVALID_FILE, self._path.name, expected)

    def write(self, note: str) -> None:
        """Replaces the file whole. Raises ConfigurationError where it cannot: what is not kept cannot be held against anybody."""
        self._write(self._path, note)

    def keep_evidence(self, known: str, offered: str, proof: Sequence[bytes], problem: ErrorCode) -> str:
        """Keeps both notes, the proof and what is wrong with it beside the file, under a name of their own; answers the name."""
        steps = "".join(f"{step.hex()}\n" for step in proof)
        text = f"{known}\n{offered}\nconsistency proof, {problem}:\n{steps}"
        # Named by its content: whoever is shown the same fork every hour keeps it once.
        path = self._path.with_name(f"{self._path.name}.evidence-{sha256(text.encode()).hexdigest()[:16]}")
        self._write(path, text)
        return path.name

    def _write(self, path: Path, text: str) -> None:
        scratch = path.with_name(path.name + ".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(scratch, path)
        except OSError as error:
            raise self.refuse(f"a file that can be written, got {type(error).__name__}") from None


class LogFollower:
    """One member's view of the log. Thread-safe."""

    def __init__(self, registry: Registry, config: Connection, clock: Callable[[], float] = time.time) -> None:
        self._registry = registry
        self._keys = config.verification
        self._verdicts_of = config.verdicts_of
        self._file = CheckpointFile(config.checkpoint) if config.checkpoint else None
        self._witness = config.witness
        self._clock = clock
        self._lock = threading.Lock()
        self._note: str | None = None

    def follow(self, *, cosign: bool = True, witnesses: int = 0) -> LogHead:
        """As :meth:`daxa_client.RegistryClient.audit`."""
        with self._lock:
            known = self._known()
            note = self._registry.checkpoint(audit_pb2.GetCheckpointRequest()).checkpoint
            head = read_checkpoint(note, self._keys.log)
            if known is not None:
                self._hold_against(known, note, head)
            if witnesses:
                self._hold_against(self._witnessed(witnesses), note, head)
            cosigned = cosigned_by(note, self._keys.witnesses)
            # Kept before it is cosigned: a witness that forgets what it signed could be led onto a fork.
            self._note = note
            if self._file is not None:
                self._file.write(note)
        if cosign and self._witness is not None and self._witness.verifier.name not in cosigned:
            signature = self._witness.cosign(head.text(), int(self._clock()))
            self._registry.cosign(
                audit_pb2.AddCosignatureRequest(tree_size=head.size, cosignature=signature.line().rstrip("\n"))
            )
        return LogHead(head.size, head.root, cosigned)

    def prove(self, envelope: Envelope) -> Verdict:
        """As :meth:`daxa_client.RegistryClient.prove`."""
        verdict = self._keys.verdict(envelope, self._verdicts_of)
        with self._lock:
            known = self._known()
        head = None if known is None else self._read(known)
        if head is None or verdict.log_index >= head.size:
            size = 0 if head is None else head.size
            wanted = f"a leaf below the size of the last checkpoint, {size}; audit first"
            raise CryptoError(ErrorCode.INVALID_INCLUSION, "log_index", wanted)
        request = audit_pb2.GetInclusionProofRequest(leaf_index=verdict.log_index, tree_size=head.size)
        proof = self._registry.inclusion(request)
        leaf = merkle.leaf_hash(pae(envelope.payload_type, envelope.payload))
        merkle.verify_inclusion(leaf, verdict.log_index, head.size, list(proof.hashes), head.root)
        return verdict

    def entries(self) -> Generator[LogEntry, None, None]:
        """Every leaf up to the last checkpoint that was audited, in order, with its content where the registry tells it.

        A content that does not give its leaf's hash is refused as it comes, hashes that do not give the checkpoint's root at the
        end: CryptoError INVALID_INCLUSION. So what was yielded is to be believed when the iteration has ended without one.
        """
        with self._lock:
            known = self._known()
        if known is None:
            raise CryptoError(ErrorCode.INVALID_INCLUSION, "checkpoint", "one to hold the leaves against; audit first")
        head = self._read(known)
        frontier = merkle.Frontier()
        while frontier.size < head.size:
            page = self._registry.entries(audit_pb2.ListEntriesRequest(start=frontier.size)).entries
            if not page:
                raise _unfit(frontier.size, "a leaf, as the checkpoint says")
            for entry in page[: head.size - frontier.size]:
                shown = bool(entry.payload_type)
                leaf = merkle.leaf_hash(pae(entry.payload_type, entry.payload)) if shown else entry.leaf_hash
                if entry.index != frontier.size or leaf != entry.leaf_hash:
                    raise _unfit(frontier.size, "the leaf at its place, with a content that gives its hash")
                frontier.append(leaf)
                yield LogEntry(entry.index, leaf, entry.payload_type, entry.payload)
        if frontier.root() != head.root:
            raise CryptoError(ErrorCode.INVALID_INCLUSION, "entries", "leaves that give the checkpoint's root")

    def _known(self) -> str | None:
        if self._note is None and self._file is not None:
            self._note = self._file.read()
        return self._note

    def _read(self, known: str) -> Checkpoint:
        try:
            return read_checkpoint(known, self._keys.log)
        except CryptoError:
            if self._file is None:
                raise
            raise self._file.refuse("a checkpoint signed by the log's key; move it away to begin anew") from None

    def _witnessed(self, number: int) -> str:
        """The newest checkpoint that so many witnesses have cosigned. Raises CryptoError where the registry's answer is none."""
        note = self._registry.checkpoint(audit_pb2.GetCheckpointRequest(cosignatures=number)).checkpoint
        read_checkpoint(note, self._keys.log)
        cosigned = len(cosigned_by(note, self._keys.witnesses))
        if cosigned < number:
            wanted = f"one that {number} witnesses of the verification keys have cosigned, got {cosigned}"
            raise CryptoError(ErrorCode.INVALID_CHECKPOINT, "checkpoint", wanted)
        return note

    def _hold_against(self, known: str, note: str, head: Checkpoint) -> None:
        before = self._read(known)
        proof: list[bytes] = []
        try:
            if 0 < before.size < head.size:
                proof = self._consistency(before.size, head.size)
            merkle.verify_consistency(before.size, before.root, head.size, head.root, proof)
        except CryptoError as error:
            kept = ""
            if self._file is not None:
                kept = f"; both are kept in {self._file.keep_evidence(known, note, proof, error.code)}"
            LOG.critical("the registry's log is not shown to be what it was, and more: %s%s", error, kept)
            raise CryptoError(error.code, error.field, error.expected + kept) from None

    def _consistency(self, first: int, second: int) -> list[bytes]:
        """The registry's proof. Raises CryptoError UNPROVED_LOG where it is there and refuses it: it signed both checkpoints."""
        request = audit_pb2.GetConsistencyProofRequest(first_size=first, second_size=second)
        refused = ErrorCode.INTERNAL
        for attempt in range(ASKED_FOR_A_PROOF):
            if attempt:
                self._registry.wait(backoff(attempt))
            try:
                return list(self._registry.consistency(request).hashes)
            except DaxaError as error:
                if error.code in _NO_REFUSAL:
                    raise
                refused = error.code
        wanted = f"one that the log only grew from {first} leaves to {second}; the registry answers {refused} instead"
        raise CryptoError(ErrorCode.UNPROVED_LOG, "proof", wanted)


class Auditor:
    """An auditor's connection to the registry's log: everybody's verdicts, policies, members and operators' acts.

    >>> with Auditor.from_file("auditor.toml") as auditor:                      # doctest: +SKIP
    ...     auditor.audit()
    ...     for entry in auditor.entries(): ...
    """

    def __init__(self, config: AuditorConfig) -> None:
        """Connects to nobody yet."""
        self._registry = Registry(config)
        self._follower = LogFollower(self._registry, config)

    @classmethod
    def from_file(cls, path: str | Path) -> Auditor:
        """An auditor as auditor.toml says. Raises ConfigurationError naming file and key."""
        return cls(read_auditor_config(path))

    def __enter__(self) -> Auditor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is under way."""
        self._registry.close()

    def audit(self, *, witnesses: int = 0) -> LogHead:
        """As :meth:`daxa_client.RegistryClient.audit`, without cosigning."""
        return self._follower.follow(cosign=False, witnesses=witnesses)

    def prove(self, envelope: Envelope) -> Verdict:
        """As :meth:`daxa_client.RegistryClient.prove`, for any member's verdict."""
        return self._follower.prove(envelope)

    def entries(self) -> Iterator[LogEntry]:
        """As :meth:`daxa_client.RegistryClient.entries`, with every leaf's content."""
        return self._follower.entries()

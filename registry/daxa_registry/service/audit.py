"""Whether a database still holds what was logged: the tree is rebuilt from what the rows hold now, leaf by leaf.

What is stored of the tree is believed of nothing; the first leaf that does not fit is told, and why. A log that fits itself may
still have been rewritten as a whole: only a checkpoint that somebody else kept shows that.

    >>> audit(store, verification_keys).problem is None                              # doctest: +SKIP
    True
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from daxa_core import merkle
from daxa_core.codec import decode_envelope, read_envelope
from daxa_core.envelope import EVENT_TYPE, VERDICT_TYPE, pae
from daxa_core.errors import DaxaError
from daxa_core.model import Verdict
from daxa_core.note import Checkpoint, NoteSignature, read_checkpoint
from daxa_core.verification import VerificationKeys
from daxa_registry.store.interface import AUDITORS, EVERYBODY, Store, StoredLeaf, StoredVerdict

from .log import STATES, evidence_commitment
from .reports import RECEIPT

PAGE = 500


@dataclass(frozen=True, slots=True)
class Problem:
    """The first thing that does not fit: at which leaf (None: the log as a whole), and what."""

    index: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was gone through, and the first thing that does not fit, if any."""

    size: int
    verdicts: int
    events: int
    cosignatures: int
    root: bytes
    problem: Problem | None


class _Misfit(Exception):
    """A leaf that does not fit; its text holds nothing of the leaf."""


class _Audit:
    def __init__(self, store: Store, keys: VerificationKeys, known: Checkpoint | None) -> None:
        self._store = store
        self._keys = keys
        self._known = known
        self._members = dict(store.members())
        self._frontier = merkle.Frontier()
        self._policies: set[str] = set()
        self.verdicts = self.events = self.cosignatures = 0

    def run(self, size: int) -> Problem | None:
        """Goes through the leaves in order."""
        index = 0
        try:
            self._heads()
            for index, leaf in enumerate(self._leaves(size)):
                if leaf is None or leaf.index != index:
                    raise _Misfit("it is missing")
                try:
                    self._leaf(leaf)
                except (
                    TypeError,
                    ValueError,
                    LookupError,
                    OverflowError,
                ):  # SQLite lets a column hold a value of any type
                    raise _Misfit("its row holds a value of another type") from None
                self._heads()
        except _Misfit as misfit:
            return Problem(index, str(misfit))
        if self._known is not None and self._known.size > size:
            return Problem(None, f"it has {size} leaves, and the checkpoint {self._known.size}")
        # What is there beyond the last leaf, while no leaf follows it: of verdicts that nobody can hold the registry to, or of a
        # log that was cut.
        stored, cosigned, hashed = (
            self._store.counts()["verdict"],
            self._store.cosigned_size(1) or 0,
            self._hashed(size),
        )
        if self._store.log_size() != size:
            return None
        if stored > self.verdicts:
            return Problem(None, f"{stored - self.verdicts} verdicts have no leaf")
        if cosigned > size:
            return Problem(None, f"it has {size} leaves, and a witness cosigned {cosigned}")
        return Problem(None, f"it has {size} leaves, and hashes of more") if hashed else None

    def root(self) -> bytes:
        """The root of what was gone through."""
        return self._frontier.root()

    def _hashed(self, size: int) -> bool:
        """Whether a hash is stored that only a leaf after those would make."""
        try:
            return bool(self._store.tree_hashes([merkle.stored_count(size)]))
        except AssertionError:
            return False

    def _leaves(self, size: int) -> Iterator[StoredLeaf | None]:
        for start in range(0, size, PAGE):
            wanted = min(PAGE, size - start)
            page = self._store.leaves(start, wanted)
            yield from page
            if len(page) < wanted:
                yield None
                return

    def _leaf(self, leaf: StoredLeaf) -> None:
        if leaf.event:
            self.events += 1
            content = pae(EVENT_TYPE, leaf.body)
        else:
            self.verdicts += 1
            content = self._verdict(leaf)
        start = merkle.stored_count(leaf.index)
        made = self._frontier.append(merkle.leaf_hash(content))
        try:
            stored = self._store.tree_hashes(range(start, start + len(made)))
        except AssertionError:
            raise _Misfit("hashes of the tree are missing") from None
        if stored[0] != made[0]:
            raise _Misfit("what it holds is not what was logged")
        if stored != made:
            raise _Misfit("the tree's hashes above it are not those of its leaves")
        if leaf.event:
            self._event(leaf)

    def _event(self, leaf: StoredLeaf) -> None:
        """What its row says beside its content: by that it is found, and shown or not."""
        event = json.loads(leaf.body)
        if (leaf.event, leaf.sequence, leaf.salt) != (event["kind"], 0, b""):
            raise _Misfit("its row says another event than its content")
        if leaf.event == RECEIPT:
            told = leaf.audience in self._members
        else:
            told = leaf.audience == (EVERYBODY if leaf.event in STATES else AUDITORS)
        if not told:
            raise _Misfit("its row says that it is for others than such an event is for")
        if leaf.event == "policy":
            self._policies.add(event["detail"]["digest"])

    def _verdict(self, leaf: StoredLeaf) -> bytes:
        try:
            envelope = read_envelope(decode_envelope(leaf.body))
        except Exception:  # noqa: BLE001 - protobuf's own error class is not ours to name here; the bytes are no envelope
            raise _Misfit("its verdict is no envelope") from None
        if not leaf.body:
            raise _Misfit("its verdict is missing")
        try:
            verdict = self._keys.verdict(envelope, self._members.get(leaf.audience, ""))
        except DaxaError as error:
            raise _Misfit(f"its verdict does not verify: {error}") from None
        if (verdict.log_index, verdict.sequence) != (leaf.index, leaf.sequence):
            raise _Misfit("its verdict is another leaf's")
        row = self._store.verdict(leaf.audience, leaf.sequence)
        if row is None or evidence_commitment(leaf.salt, row.evidence) != verdict.evidence_digest:
            raise _Misfit("the stored evidence is not what its verdict commits to")
        if (row.level, row.decided_at) != (verdict.level, verdict.decided_at):
            raise _Misfit("the stored level or time is not its verdict's")
        if verdict.policy_digest.hex() not in self._policies:
            raise _Misfit("its verdict is by a policy that no event before it brought into force")
        self._stands(row, verdict)
        return pae(VERDICT_TYPE, envelope.payload)

    def _stands(self, row: StoredVerdict, verdict: Verdict) -> None:
        """Its key's own row: an older verdict there would be told as the current one."""
        standing = self._store.standings([row.subject]).get(row.subject)
        if standing is None or (standing.member, standing.key) != (row.member, verdict.key):
            raise _Misfit("its verdict is stored as another key's")
        if standing.sequence < row.sequence:
            raise _Misfit("its key's current verdict is an older one")
        if standing.sequence == row.sequence and standing.level != row.level:
            raise _Misfit("its key's current level is not its verdict's")

    def _heads(self) -> None:
        """What others hold of the tree at this size: the checkpoint that was kept, and cosignatures."""
        size, root = self._frontier.size, self._frontier.root()
        if self._known is not None and self._known.size == size and self._known.root != root:
            raise _Misfit("the log up to here is not that of the checkpoint")
        lines = self._store.cosignatures(size)
        if not lines:
            return
        text = Checkpoint(self._keys.log.name, size, root).text()
        witnesses = {witness.name: witness for witness in self._keys.witnesses}
        for line in lines:
            try:
                signature = NoteSignature.parse(line)
                witness = witnesses[signature.name]
                witness.verify(text, signature)
            except (DaxaError, KeyError):
                raise _Misfit("a witness's cosignature is not over the log up to here") from None
            self.cosignatures += 1


def audit(store: Store, keys: VerificationKeys, checkpoint: str | None = None) -> Report:
    """Rebuilds the log of a store and holds it against its own hashes, signatures, evidence and cosignatures.

    ``checkpoint``: a signed note that somebody kept; the log has to begin with it. Raises CryptoError where that is not
    the log's.
    """
    known = None if checkpoint is None else read_checkpoint(checkpoint, keys.log)
    size = store.log_size()
    run = _Audit(store, keys, known)
    problem = run.run(size)
    return Report(size, run.verdicts, run.events, run.cosignatures, run.root(), problem)

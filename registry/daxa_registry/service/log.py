"""The log: what is written down for good in the transaction of the change itself, each as a leaf of a Merkle tree.

A leaf is DSSE's pre-authentication encoding of a payload's type and bytes. Verdicts are signed payloads; events (a policy that
came into force, members, an operator's act) are JSON objects that every checkpoint answers for. Both carry 16 random bytes, so
that whoever is told a leaf's hash alone cannot try out what it holds.

    >>> with store.transaction():                                                         # doctest: +SKIP
    ...     append_state(store, "policy", {"digest": policy.digest.hex()}, now)
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from daxa_core import merkle
from daxa_core.codec import decode_envelope, encode_envelope, encode_verdict, read_envelope
from daxa_core.envelope import EVENT_TYPE, VERDICT_TYPE, Envelope, pae
from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.model import Verdict
from daxa_core.note import Checkpoint, NoteSignature, NoteSigner, NoteVerifier
from daxa_core.pseudonym import digest
from daxa_registry.store.interface import AUDITORS, EVERYBODY, Store, StoredLeaf

SALT_BYTES = 16
STATES = frozenset({"policy", "verdict-keys", "members"})
"""The kinds of what is in force, which :func:`append_state` logs for everybody."""
_EVIDENCE_CONTEXT = "daxa evidence commitment v1"


class Signs(Protocol):
    """What holds the registry's signing keys."""

    def sign(self, payload_type: str, payload: bytes, now: int) -> Envelope:
        """The payload in an envelope, signed by the key in force at ``now``."""

    def note_signer(self) -> NoteSigner:
        """What signs checkpoints."""

    def described(self) -> list[dict[str, object]]:
        """Which key signs verdicts when, and who made it."""


def evidence_commitment(salt: bytes, evidence: bytes) -> bytes:
    """What a verdict says of the evidence that it rested on: 32 bytes that fix it and tell nothing of it.

    Without the salt a member could try out counts, which are bucketed for a reason, until the digest is right.
    """
    return digest(_EVIDENCE_CONTEXT, salt + evidence)


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf as a reader is told of it: its hash always, its payload where it concerns him."""

    index: int
    leaf_hash: bytes
    payload_type: str = ""
    payload: bytes = b""


def append_event(store: Store, kind: str, detail: Mapping[str, object], now: int, audience: int = AUDITORS) -> int:
    """Logs an event, inside the store's transaction; answers its index.

    ``audience``: a member's number, EVERYBODY, or auditors alone. It is no secret kept by the hash alone: the salt keeps it.
    """
    index = store.next_leaf()
    table = {"kind": kind, "at": now, "detail": dict(detail), "salt": secrets.token_hex(SALT_BYTES)}
    payload = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    leaf = StoredLeaf(index, audience, event=kind, body=payload)
    store.append_leaf(leaf, merkle.leaf_hash(pae(EVENT_TYPE, payload)))
    return index


def append_state(store: Store, kind: str, detail: Mapping[str, object], now: int) -> int | None:
    """Logs what is in force, for everybody, where it is not what the last event of that kind said; its index if so."""
    if kind not in STATES:
        raise AssertionError("a state's kind must be one of those")
    last = store.last_event(kind)
    if last is not None and json.loads(last)["detail"] == detail:
        return None
    return append_event(store, kind, detail, now, EVERYBODY)


class Log:
    """Signs and logs verdicts, inside the store's transaction; and reads what the log proves, anywhere."""

    def __init__(
        self,
        store: Store,
        signer: Signs,
        witnesses: Sequence[NoteVerifier] = (),
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """``witnesses``: those whose cosignatures are taken."""
        self._store = store
        self._signer = signer
        self._witnesses = {witness.name: witness for witness in witnesses}
        self._random = random
        self._names: dict[int, str] = {}
        self._noted: tuple[list[dict[str, object]], int] | None = None

    # writing: inside the store's transaction

    def append_verdict(self, verdict: Verdict, member: int, evidence: bytes) -> bytes:
        """Signs and logs a verdict for that member; answers the bytes to store and to ship."""
        self.note_keys(verdict.decided_at)
        index, salt = self._store.next_leaf(), self._random(SALT_BYTES)
        whole = dataclasses.replace(
            verdict, member=self._name(member), log_index=index, evidence_digest=evidence_commitment(salt, evidence)
        )
        envelope = self._signer.sign(VERDICT_TYPE, encode_verdict(whole), whole.decided_at)
        leaf = StoredLeaf(index, member, sequence=verdict.sequence, salt=salt)
        self._store.append_leaf(leaf, merkle.leaf_hash(pae(VERDICT_TYPE, envelope.payload)))
        return encode_envelope(envelope)

    def note_keys(self, now: int) -> None:
        """Logs which keys sign verdicts, where that is not what the log says already."""
        keys = self._signer.described()
        # What was noted in a transaction that failed was not: then the log is no longer than it was before.
        if self._noted is None or self._noted[0] != keys or self._store.next_leaf() < self._noted[1]:
            append_state(self._store, "verdict-keys", {"keys": keys}, now)
            self._noted = (keys, self._store.next_leaf())

    def _name(self, member: int) -> str:
        if member not in self._names:
            self._names = dict(self._store.members())
        return self._names[member]

    # reading: anywhere

    def head(self, size: int | None = None) -> Checkpoint:
        """The checkpoint of that size, or of the whole log. Raises InvalidInput naming ``tree_size``."""
        whole = self._store.log_size()
        if size is not None and not 0 <= size <= whole:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "tree_size", f"0 to {whole}")
        size = whole if size is None else size
        return Checkpoint(self._signer.note_signer().verifier.name, size, merkle.root_at(size, self._store.tree_hashes))

    def checkpoint(self, cosignatures: int = 0) -> str:
        """The signed note of the newest checkpoint that so many witnesses have cosigned. Raises Refused NOT_FOUND."""
        size = None
        if cosignatures:
            size = self._store.cosigned_size(cosignatures)
            if size is None:
                raise Refused(ErrorCode.NOT_FOUND, "cosignatures", "no more than witnesses gave")
        head = self.head(size)
        return self._signer.note_signer().sign(head.text()) + "".join(self._store.cosignatures(head.size))

    def inclusion(self, index: int, size: int) -> tuple[bytes, list[bytes]]:
        """The leaf's hash and its audit path. Raises InvalidInput naming ``leaf_index`` or ``tree_size``."""
        self._check_size("tree_size", size)
        path = merkle.prove_inclusion(index, size, self._store.tree_hashes)
        [leaf] = self._store.tree_hashes([merkle.position(0, index)])
        return leaf, path

    def consistency(self, first: int, second: int) -> list[bytes]:
        """That the log of the second size begins with that of the first. Raises InvalidInput naming the field."""
        self._check_size("second_size", second)
        return merkle.prove_consistency(first, second, self._store.tree_hashes)

    def _check_size(self, field: str, size: int) -> None:
        whole = self._store.log_size()
        if not 0 <= size <= whole:
            raise InvalidInput(ErrorCode.INVALID_VALUE, field, f"0 to {whole}")

    def entries(self, start: int, limit: int, reader: int | None) -> list[Entry]:
        """Up to ``limit`` leaves from ``start`` on, as the member of that number may see them, or (None) an auditor."""
        leaves = self._store.leaves(start, limit)
        hashes = self._store.tree_hashes([merkle.position(0, leaf.index) for leaf in leaves])
        return [
            Entry(leaf.index, leaf_hash, *content_of(leaf))
            if reader is None or leaf.audience in (reader, EVERYBODY)
            else Entry(leaf.index, leaf_hash)
            for leaf, leaf_hash in zip(leaves, hashes, strict=True)
        ]

    def add_cosignature(self, size: int, line: str) -> str:
        """Keeps a witness's cosignature of the checkpoint of that size; answers the witness's name.

        Raises Refused NOT_FOUND where the witness is unknown, CryptoError where the line is none or its signature is not over
        that checkpoint, InvalidInput for a size that the log has not reached.
        """
        signature = NoteSignature.parse(line)
        witness = self._witnesses.get(signature.name)
        if witness is None or not witness.made(signature):
            raise Refused(ErrorCode.NOT_FOUND, "cosignature", "one by a witness in the registry's verification keys")
        witness.verify(self.head(size).text(), signature)
        with self._store.transaction():
            self._store.save_cosignature(size, signature.name, signature.line())
        return signature.name


def content_of(leaf: StoredLeaf) -> tuple[str, bytes]:
    """The payload type and the payload of a stored leaf."""
    if leaf.event:
        return EVENT_TYPE, leaf.body
    return VERDICT_TYPE, read_envelope(decode_envelope(leaf.body)).payload

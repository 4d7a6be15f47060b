"""The log's Merkle tree: RFC 6962 section 2.1 (RFC 9162 section 2.1) hashing, proofs made from stored hashes, and their checks.

Hashes of complete subtrees are stored in the order in which they become complete, a leaf and then what it completes: they never
change, appending appends, and any root or proof reads O(log n) of them. What is stored for a tree of n leaves begins with what
is stored for every smaller one.

    >>> frontier, stored = Frontier(), []
    >>> for data in (b"a", b"b", b"c"):
    ...     stored += frontier.append(leaf_hash(data))
    >>> read = lambda positions: [stored[position] for position in positions]
    >>> proof = prove_inclusion(1, 3, read)
    >>> verify_inclusion(leaf_hash(b"b"), 1, 3, proof, root_at(3, read))
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from .errors import CryptoError, ErrorCode, InvalidInput

HASH_BYTES = 32
MAX_PROOF = 64
"""Hashes in the longest proof that is read: more could only come of 2^63 leaves."""
EMPTY_ROOT = sha256(b"").digest()

Read = Callable[[Sequence[int]], Sequence[bytes]]
"""Gives the stored hashes at those positions, in their order."""
Span = tuple[int, int]
"""Leaves from the first number on, up to but not including the second."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's bytes. Its prefix differs from a node's: else a node could be passed off as a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node from those of its children."""
    return sha256(b"\x01" + left + right).digest()


def stored_count(size: int) -> int:
    """How many hashes are stored for a tree of that many leaves: one for each complete subtree."""
    return 2 * size - size.bit_count()


def position(level: int, index: int) -> int:
    """Where the hash of the complete subtree over leaves ``index * 2**level`` and on, ``2**level`` of them, is stored."""
    return stored_count(((index + 1) << level) - 1) + level


class Frontier:
    """The right edge of a growing tree: the roots of the complete subtrees that its size is the sum of, largest first."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)

    @classmethod
    def load(cls, size: int, read: Read) -> Frontier:
        """The frontier of a tree that is stored already."""
        return cls(size, read([position(level, index) for level, index in _complete(0, size)]))

    def append(self, leaf: bytes) -> list[bytes]:
        """Adds a leaf's hash; answers what is to be stored, at the positions from ``stored_count(size)`` before it on."""
        made = [leaf]
        size = self.size
        while size & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            made.append(leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1
        return made

    def root(self) -> bytes:
        """The tree's root."""
        return _fold(self._peaks)


def root_at(size: int, read: Read) -> bytes:
    """The root of the tree of the first ``size`` leaves."""
    return _read_spans([(0, size)], read)[0] if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, read: Read) -> list[bytes]:
    """The audit path of a leaf in the tree of the first ``size`` leaves (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "leaf_index", f"0 to {size - 1}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return _read_spans(spans[::-1], read)


def prove_consistency(first: int, second: int, read: Read) -> list[bytes]:
    """That the tree of the first ``first`` leaves begins the one of ``second`` (RFC 6962 section 2.1.2). Empty where there
    is nothing to prove: for equal sizes, and from the empty tree."""
    if not 0 <= first <= second:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "first_size", f"0 to {second}")
    if first in (0, second):
        return []
    spans: list[Span] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start, whole = middle, False
    if not whole:
        spans.append((start, end))
    return _read_spans(spans[::-1], read)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2: the leaf's hash stands at that place under that root. Raises CryptoError INVALID_INCLUSION."""
    fn, sn, node = index, size - 1, leaf
    if not 0 <= index < size or not _well_formed(proof):
        raise _not_included()
    for step in proof:
        if sn == 0:
            raise _not_included()
        if fn & 1 or fn == sn:
            node = node_hash(step, node)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            node = node_hash(node, step)
        fn >>= 1
        sn >>= 1
    if sn or not hmac.compare_digest(node, root):
        raise _not_included()


def verify_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162 section 2.1.4.2: the larger tree begins with the smaller one.

    Raises CryptoError SHRUNK_LOG where the second is smaller, FORKED_LOG where it does not begin with the first or the proof
    does not show it.
    """
    if second < first:
        raise CryptoError(ErrorCode.SHRUNK_LOG, "tree_size", f"{first} or more, got {second}")
    if first == second or first == 0:
        same = first_root == second_root if first == second else first_root == EMPTY_ROOT
        if proof or not same:
            raise _forked()
        return
    if not proof or not _well_formed(proof):
        raise _forked()
    steps = list(proof) if first & (first - 1) else [first_root, *proof]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = steps[0]
    for step in steps[1:]:
        if sn == 0:
            raise _forked()
        if fn & 1 or fn == sn:
            old, new = node_hash(step, old), node_hash(step, new)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, step)
        fn >>= 1
        sn >>= 1
    if sn or not (hmac.compare_digest(old, first_root) and hmac.compare_digest(new, second_root)):
        raise _forked()


def _split(width: int) -> int:
    """The largest power of two smaller than the width."""
    return 1 << (width - 1).bit_length() - 1


def _complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees (level, index) that make up a span of the decomposition, largest first."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _fold(roots: Sequence[bytes]) -> bytes:
    if not roots:
        return EMPTY_ROOT
    out = roots[-1]
    for left in roots[-2::-1]:
        out = node_hash(left, out)
    return out


def _read_spans(spans: Sequence[Span], read: Read) -> list[bytes]:
    """The root of each span, all that they need read at once."""
    parts = [[position(level, index) for level, index in _complete(*span)] for span in spans]
    hashes = read([place for part in parts for place in part])
    out, at = [], 0
    for part in parts:
        out.append(_fold(hashes[at : at + len(part)]))
        at += len(part)
    return out


def _well_formed(proof: Sequence[bytes]) -> bool:
    return len(proof) <= MAX_PROOF and all(len(step) == HASH_BYTES for step in proof)


def _not_included() -> CryptoError:
    return CryptoError(ErrorCode.INVALID_INCLUSION, "proof", "one that leads from the leaf to the checkpoint's root")


def _forked() -> CryptoError:
    return CryptoError(
        ErrorCode.FORKED_LOG, "proof", "one that shows that the log only grew since the earlier checkpoint"
    )

"""The log's tree against published vectors, a naive reading of the RFC, and an implementation that somebody else wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.tlog import ConsistencyProof, InclusionProof

from daxa_core import merkle
from daxa_core.errors import CryptoError, ErrorCode, InvalidInput

VECTORS = json.loads((Path(__file__).parent / "vectors/rfc6962-ct.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
BIG = 600


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


class Grown:
    """A tree grown leaf by leaf, counting what a reader reads of it."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.stored: list[bytes] = []
        self.roots = [merkle.EMPTY_ROOT]
        self.reads = 0
        frontier = merkle.Frontier()
        for leaf in leaves:
            assert merkle.stored_count(frontier.size) == len(self.stored)
            self.stored += frontier.append(merkle.leaf_hash(leaf))
            self.roots.append(frontier.root())

    def read(self, positions: Sequence[int]) -> list[bytes]:
        self.reads += len(positions)
        return [self.stored[position] for position in positions]


NUMBERED = [b"leaf %d" % number for number in range(BIG)]
TREE = Grown(NUMBERED)


def test_the_published_vectors() -> None:
    """Certificate Transparency's own eight leaves: every root, the paths and the consistency proofs."""
    assert len(VECTORS["leaves"]) == len(VECTORS["roots"]) == 8
    tree = Grown(LEAVES)
    assert [root.hex() for root in tree.roots[1:]] == VECTORS["roots"]
    for case in VECTORS["inclusion"]:
        proof = merkle.prove_inclusion(case["index"], case["size"], tree.read)
        assert [step.hex() for step in proof] == case["path"]
    for case in VECTORS["consistency"]:
        proof = merkle.prove_consistency(case["first"], case["second"], tree.read)
        assert [step.hex() for step in proof] == case["proof"]


@given(st.integers(0, BIG))
def test_a_root_of_any_size_is_the_naive_one(size: int) -> None:
    """From what is stored for a larger tree, while it grows, and from a frontier that is read again."""
    root = naive_root(NUMBERED[:size])
    assert root == TREE.roots[size]
    assert root == merkle.root_at(size, TREE.read)
    assert root == merkle.Frontier.load(size, TREE.read).root()


@given(st.data())
def test_every_leaf_is_proved_and_others_verify_the_proof(data: st.DataObject) -> None:
    """Our check and an independent one take it for its place and root, and refuse it for another leaf, place or root."""
    size = data.draw(st.integers(1, BIG))
    index = data.draw(st.integers(0, size - 1))
    leaf, root = merkle.leaf_hash(NUMBERED[index]), TREE.roots[size]
    proof = merkle.prove_inclusion(index, size, TREE.read)
    merkle.verify_inclusion(leaf, index, size, proof, root)
    InclusionProof(index, size, proof).check(leaf, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index)) if size > 1 else size
    for wrong in (
        (merkle.leaf_hash(b"another"), index, size, proof, root),
        (leaf, other, size, proof, root),
        (leaf, index, size, proof, TREE.roots[size - 1]),
        (leaf, index, size, [*proof, root], root),
        (leaf, index, size, [step[:-1] for step in proof], root) if proof else (root, 0, 0, proof, root),
        (leaf, size, size, proof, root),
    ):
        with pytest.raises(CryptoError, match="INVALID_INCLUSION"):
            merkle.verify_inclusion(*wrong)


@given(st.data())
def test_a_tree_that_only_grew_is_proved_and_others_verify_the_proof(data: st.DataObject) -> None:
    """Ours and an independent check take it; a changed root on either side or a step too many is a fork."""
    second = data.draw(st.integers(0, BIG))
    first = data.draw(st.integers(0, second))
    old, new = TREE.roots[first], TREE.roots[second]
    proof = merkle.prove_consistency(first, second, TREE.read)
    merkle.verify_consistency(first, old, second, new, proof)
    ConsistencyProof(first, second, proof).check(old, new)
    for wrong in (
        (first, sha256(old).digest(), second, new, proof),
        (first, old, second, new, [*proof, new]),
    ):
        with pytest.raises(CryptoError, match="FORKED_LOG"):
            merkle.verify_consistency(*wrong)
    if first > 0:
        with pytest.raises(CryptoError, match="FORKED_LOG"):
            merkle.verify_consistency(first, old, second, sha256(new).digest(), proof)
        with pytest.raises(CryptoError, match="SHRUNK_LOG"):
            merkle.verify_consistency(first, old, first - 1, TREE.roots[first - 1], [])


@given(st.integers(1, BIG - 1), st.integers(0, BIG - 1))
def test_a_log_with_one_leaf_rewritten_is_a_fork(first: int, rewritten: int) -> None:
    """Whatever its proof is made of: its own stored hashes, or the honest ones."""
    forked = Grown([*NUMBERED[:rewritten], b"rewritten", *NUMBERED[rewritten + 1 :]])
    for read in (forked.read, TREE.read):
        proof = merkle.prove_consistency(first, BIG, read)
        if rewritten < first or read == TREE.read:
            with pytest.raises(CryptoError, match="FORKED_LOG"):
                merkle.verify_consistency(first, TREE.roots[first], BIG, forked.roots[BIG], proof)


@given(
    st.integers(0, 2**64), st.integers(0, 2**64), st.lists(st.binary(max_size=33), max_size=70), st.binary(max_size=33)
)
def test_any_proof_at_all_is_refused_with_its_own_error(
    first: int, second: int, proof: list[bytes], root: bytes
) -> None:
    """Whatever the numbers and bytes: typed, and never anything else."""
    with pytest.raises(CryptoError) as caught:
        merkle.verify_inclusion(b"l" * 32, first, second, proof, root)
    assert caught.value.code is ErrorCode.INVALID_INCLUSION
    try:
        merkle.verify_consistency(first, b"r" * 32, second, root, proof)
    except CryptoError as error:
        assert error.code in (ErrorCode.FORKED_LOG, ErrorCode.SHRUNK_LOG)  # noqa: PT017
    else:
        raise AssertionError


def test_a_proof_reads_a_handful_of_hashes_at_a_million_leaves() -> None:
    """Positions alone are asked: no more than 20 spans with their parts, and at most 640 bytes of proof."""
    size = 1_000_003
    asked: list[int] = []

    def read(positions: Sequence[int]) -> list[bytes]:
        asked.extend(positions)
        assert max(positions) < merkle.stored_count(size)
        return [b"h" * 32] * len(positions)

    for index in (0, 524_288, 777_777, size - 1):
        asked.clear()
        proof = merkle.prove_inclusion(index, size, read)
        assert sum(map(len, proof)) <= 1_024
        assert len(asked) <= 40


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0)])
def test_a_leaf_that_is_not_there_cannot_be_proved(index: int, size: int) -> None:
    """The caller's number is refused, naming the range."""
    with pytest.raises(InvalidInput, match="leaf_index"):
        merkle.prove_inclusion(index, size, TREE.read)


def test_a_consistency_proof_runs_forward() -> None:
    """The earlier size first."""
    with pytest.raises(InvalidInput, match="first_size"):
        merkle.prove_consistency(3, 2, TREE.read)

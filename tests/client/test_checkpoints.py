"""Following the log against a registry that can rewrite, shrink, hide and forge it: each is refused by its own error."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import grpc
import peers
import pytest

from daxa_api.v1 import audit_pb2, audit_pb2_grpc, types_pb2
from daxa_client import ClientConfig, ConfigurationError, CryptoError, ErrorCode, Refused, RegistryClient, Unavailable
from daxa_client._retry import ATTEMPTS
from daxa_core import codec, merkle
from daxa_core.envelope import VERDICT_TYPE, Envelope, SigningKey, pae
from daxa_core.note import Checkpoint, NoteSignature, NoteSigner, NoteVerifier, Witness, read_checkpoint

LOG = NoteSigner(peers.SIGNING_KEYS.origin, peers.SIGNING_KEYS.log)
WITNESS = Witness("upbit.test/witness", SigningKey(b"w" * 32))
OTHER = Witness("korbit.test/witness", SigningKey(b"o" * 32))


class Audit(audit_pb2_grpc.AuditServiceServicer):
    """A log of given leaves that answers from whatever tree it is told to have."""

    def __init__(self) -> None:
        self.grow([b"leaf %d" % n for n in range(5)])
        self.signer = LOG
        self.cosignatures: list[str] = []
        self.proof: list[bytes] | None = None
        self.told: list[audit_pb2.Entry] | None = None
        self.witnessed: str | None = None
        self.refusals: list[grpc.StatusCode] = []
        self.change: Callable[[str], str] = lambda note: note

    def grow(self, leaves: Sequence[bytes]) -> None:
        """Makes the tree of these leaves."""
        self.leaves = list(leaves)
        self.stored: list[bytes] = []
        self.frontier = merkle.Frontier()
        for leaf in leaves:
            self.stored += self.frontier.append(merkle.leaf_hash(leaf))

    def _read(self, positions: Sequence[int]) -> list[bytes]:
        return [self.stored[position] for position in positions]

    def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> audit_pb2.GetCheckpointResponse:
        if request.cosignatures and self.witnessed is not None:
            return audit_pb2.GetCheckpointResponse(checkpoint=self.witnessed)
        text = Checkpoint(self.signer.verifier.name, self.frontier.size, self.frontier.root()).text()
        note = self.change(self.signer.sign(text))
        return audit_pb2.GetCheckpointResponse(checkpoint=note + "".join(line + "\n" for line in self.cosignatures))

    def GetConsistencyProof(
        self, request: audit_pb2.GetConsistencyProofRequest, context: grpc.ServicerContext
    ) -> audit_pb2.GetConsistencyProofResponse:
        if self.refusals:
            context.abort(self.refusals.pop(0), "not today")
        proof = merkle.prove_consistency(request.first_size, request.second_size, self._read)
        return audit_pb2.GetConsistencyProofResponse(hashes=self.proof if self.proof is not None else proof)

    def GetInclusionProof(
        self, request: audit_pb2.GetInclusionProofRequest, context: grpc.ServicerContext
    ) -> audit_pb2.GetInclusionProofResponse:
        proof = merkle.prove_inclusion(request.leaf_index, request.tree_size, self._read)
        return audit_pb2.GetInclusionProofResponse(leaf_hash=b"l" * 32, hashes=proof)

    def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: grpc.ServicerContext
    ) -> audit_pb2.ListEntriesResponse:
        page = self.entries[request.start : request.start + 2]
        return audit_pb2.ListEntriesResponse(entries=page, tree_size=self.frontier.size)

    @property
    def entries(self) -> list[audit_pb2.Entry]:
        """The leaves, the even ones with their content."""
        return self.told if self.told is not None else [
            audit_pb2.Entry(index=i, leaf_hash=merkle.leaf_hash(pae("t", leaf)), payload_type="" if i % 2 else "t",
                            payload=b"" if i % 2 else leaf)
            for i, leaf in enumerate(self.contents)
        ]  # fmt: skip

    def tell(self, contents: Sequence[bytes]) -> None:
        """Makes the tree of leaves with these contents."""
        self.contents = list(contents)
        self.grow([pae("t", content) for content in contents])

    def AddCosignature(
        self, request: audit_pb2.AddCosignatureRequest, context: grpc.ServicerContext
    ) -> audit_pb2.AddCosignatureResponse:
        self.cosignatures.append(request.cosignature)
        return audit_pb2.AddCosignatureResponse()


@pytest.fixture
def log(deployed: Path) -> Iterator[tuple[Audit, str]]:
    """The log, and where it is served."""
    servicer = Audit()
    add = audit_pb2_grpc.add_AuditServiceServicer_to_server
    with peers.serve(deployed / "registry", lambda server: add(servicer, server)) as port:
        yield servicer, f"127.0.0.1:{port}"


@pytest.fixture
def audited(
    log: tuple[Audit, str], configured: Callable[..., ClientConfig], tmp_path: Path
) -> Callable[..., RegistryClient]:
    """Makes clients that keep their checkpoint in one file, as after a restart."""

    def make(witnesses: Sequence[NoteVerifier] = (), **changes: object) -> RegistryClient:
        keys = dataclasses.replace(peers.SIGNING_KEYS.public(), witnesses=tuple(witnesses))
        plain = {
            "targets": (log[1],),
            "checkpoint": tmp_path / "data/checkpoint",
            "witness": None,
            "verification": keys,
        }
        return RegistryClient(configured(**(plain | changes)))

    return make


def test_the_first_checkpoint_is_kept_and_later_ones_are_held_against_it(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    """The same, a grown one, and one after a restart of this side; the file holds the signed note."""
    servicer, _ = log
    with audited() as client:
        assert client.audit().size == 5
        assert client.audit().size == 5
        servicer.grow([*servicer.leaves, b"more", b"and more"])
        assert client.audit().size == 7
    servicer.grow([*servicer.leaves, b"while away"])
    with audited() as client:
        head = client.audit()
        assert (head.size, head.root) == (8, servicer.frontier.root())
    assert read_checkpoint((tmp_path / "data/checkpoint").read_text(), LOG.verifier).size == 8
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["checkpoint"]


LIES: dict[str, tuple[Callable[[Audit], object], ErrorCode]] = {
    "one leaf rewritten": (lambda log: log.grow([b"rewritten", *log.leaves[1:], b"new"]), ErrorCode.FORKED_LOG),
    "another log of the same size": (lambda log: log.grow([*log.leaves[:-1], b"other"]), ErrorCode.FORKED_LOG),
    "shorter": (lambda log: log.grow(log.leaves[:4]), ErrorCode.SHRUNK_LOG),
    "empty": (lambda log: log.grow([]), ErrorCode.SHRUNK_LOG),
    "a proof of nothing": (
        lambda log: (log.grow([*log.leaves, b"new"]), setattr(log, "proof", [])), ErrorCode.FORKED_LOG,
    ),
    "a proof of something else": (
        lambda log: (log.grow([*log.leaves, b"new"]), setattr(log, "proof", [b"h" * 32] * 3)), ErrorCode.FORKED_LOG,
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_log_that_forks_or_shrinks_is_refused_and_kept_as_evidence(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path, lie: str
) -> None:
    """Both signed notes stand in the evidence, each still verifies, and the checkpoint that is trusted stays the old one."""
    servicer, _ = log
    tell, code = LIES[lie]
    with audited(witness=WITNESS) as client:
        client.audit()
        trusted = (tmp_path / "data/checkpoint").read_text()
        told = list(servicer.cosignatures)
        tell(servicer)
        for _ in range(2):  # it does not get used to it
            with pytest.raises(CryptoError) as caught:
                client.audit()
            assert caught.value.code is code
    assert (tmp_path / "data/checkpoint").read_text() == trusted
    assert servicer.cosignatures == told, "a witness must not cosign a fork"
    kept = sorted((tmp_path / "data").glob("checkpoint.evidence-*"))
    assert len(kept) == 1, "the same fork is kept once"
    assert kept[0].name in str(caught.value)
    first, second = re.findall(rf"(?ms)^{re.escape(LOG.verifier.name)}\n.*?\n\n(?:— [^\n]*\n)+", kept[0].read_text())
    assert read_checkpoint(first, LOG.verifier) == read_checkpoint(trusted, LOG.verifier)
    assert read_checkpoint(second, LOG.verifier).root == servicer.frontier.root()


REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT: ErrorCode.INVALID_VALUE,
    grpc.StatusCode.NOT_FOUND: ErrorCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE: ErrorCode.CURSOR_OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED: ErrorCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED: ErrorCode.INTERNAL,
    grpc.StatusCode.INTERNAL: ErrorCode.INTERNAL,
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_registry_that_refuses_to_prove_its_log_is_refused_and_both_checkpoints_are_kept(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path, status: grpc.StatusCode
) -> None:
    """It signed a later checkpoint and will not show that it grew out of the earlier one: that is told apart from being down."""
    servicer, _ = log
    with audited(witness=WITNESS) as client:
        client.audit()
        trusted = (tmp_path / "data/checkpoint").read_text()
        told = list(servicer.cosignatures)
        servicer.grow([b"rewritten", *servicer.leaves[1:], b"new"])
        for _ in range(2):
            servicer.refusals = [status] * 20
            with pytest.raises(
                CryptoError, match=f"UNPROVED_LOG: proof: .* answers {REFUSALS[status]} instead"
            ) as caught:
                client.audit()
    assert (tmp_path / "data/checkpoint").read_text() == trusted
    assert servicer.cosignatures == told, "a witness must not cosign what it was not shown"
    [kept] = (tmp_path / "data").glob("checkpoint.evidence-*")
    assert kept.name in str(caught.value)
    assert kept.read_text().startswith(trusted)
    assert kept.read_text().endswith("consistency proof, UNPROVED_LOG:\n")
    assert f"\n{servicer.frontier.size}\n" in kept.read_text()


@pytest.mark.parametrize(
    "status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED]
)
def test_a_registry_that_is_down_between_checkpoint_and_proof_convicts_nobody(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path, status: grpc.StatusCode
) -> None:
    """It is told as what it is, the trusted checkpoint stays, nothing is kept; when it is back, all goes on."""
    servicer, _ = log
    with audited() as client:
        client.audit()
        servicer.grow([*servicer.leaves, b"new"])
        servicer.refusals = [status] * 3 * ATTEMPTS  # gRPC makes each attempt again that was lost
        with pytest.raises((Unavailable, Refused)):
            client.audit()
        servicer.refusals = []
        assert [path.name for path in (tmp_path / "data").iterdir()] == ["checkpoint"]
        assert client.audit().size == 6


def test_a_refusal_that_does_not_last_is_none(log: tuple[Audit, str], audited: Callable[..., RegistryClient]) -> None:
    """A node that failed once at its disk has not refused a proof."""
    servicer, _ = log
    with audited() as client:
        client.audit()
        servicer.grow([*servicer.leaves, b"new"])
        servicer.refusals = [grpc.StatusCode.INTERNAL] * 2
        assert client.audit().size == 6


FORGED: dict[str, tuple[Callable[[str], str], ErrorCode]] = {
    "cut": (lambda note: note[:-20], ErrorCode.INVALID_CHECKPOINT),
    "unsigned": (lambda note: note.partition("\n\n")[0] + "\n\n", ErrorCode.INVALID_CHECKPOINT),
    "a size changed": (lambda note: note.replace("\n5\n", "\n6\n"), ErrorCode.INVALID_SIGNATURE),
    "by another key": (
        lambda note: NoteSigner(LOG.verifier.name, SigningKey(b"x" * 32)).sign(note.partition("\n\n")[0] + "\n"),
        ErrorCode.INVALID_CHECKPOINT,
    ),
    "of another log": (
        lambda note: LOG.sign(note.partition("\n\n")[0].replace("daxa.test", "other.test") + "\n"),
        ErrorCode.INVALID_CHECKPOINT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("forgery", FORGED)
def test_a_checkpoint_that_is_not_the_logs_is_refused_and_not_kept(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path, forgery: str
) -> None:
    """Anybody could write it, so it convicts nobody."""
    servicer, _ = log
    servicer.change, code = FORGED[forgery]
    with audited() as client, pytest.raises(CryptoError) as caught:
        client.audit()
    assert caught.value.code is code
    assert not (tmp_path / "data").exists()


def test_a_checkpoint_file_that_was_spoilt_is_not_forgotten(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    """Starting anew by itself would let whoever can spoil the file rewrite the log."""
    with audited() as client:
        client.audit()
    path = tmp_path / "data/checkpoint"
    path.write_text(path.read_text()[:50])
    with audited() as client, pytest.raises(ConfigurationError, match="INVALID_FILE: checkpoint: .*move it away"):
        client.audit()
    path.unlink()
    path.mkdir()
    with audited() as client, pytest.raises(ConfigurationError, match="INVALID_FILE: checkpoint: a readable file"):
        client.audit()


def test_a_witness_cosigns_what_it_has_seen_and_others_see_that(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient]
) -> None:
    """The line verifies against the witness's key and against no other; with ``cosign=False`` none is given."""
    servicer, _ = log
    with audited(witness=WITNESS, witnesses=[WITNESS.verifier]) as client:
        assert client.audit(cosign=False).cosigned_by == {}
        assert servicer.cosignatures == []
        client.audit()
        [line] = servicer.cosignatures
        head = read_checkpoint(
            LOG.sign(Checkpoint(LOG.verifier.name, 5, servicer.frontier.root()).text()), LOG.verifier
        )
        assert WITNESS.verifier.verify(head.text(), NoteSignature.parse(line)) > 1_700_000_000
        assert set(client.audit().cosigned_by) == {WITNESS.verifier.name}
        assert len(servicer.cosignatures) == 1, "it is not given again"
    with audited(witnesses=[OTHER.verifier]) as client:
        assert client.audit().cosigned_by == {}
    forged = NoteSignature(OTHER.verifier.name, OTHER.verifier.key_id, b"\x00" * 72)
    servicer.cosignatures = [forged.line().rstrip("\n")]
    with audited(witnesses=[OTHER.verifier]) as client, pytest.raises(CryptoError, match="INVALID_SIGNATURE"):
        client.audit()


def cosigned(leaves: Sequence[bytes], *witnesses: Witness) -> str:
    """A checkpoint of these leaves with cosignatures."""
    frontier = merkle.Frontier()
    for leaf in leaves:
        frontier.append(merkle.leaf_hash(leaf))
    text = Checkpoint(LOG.verifier.name, frontier.size, frontier.root()).text()
    return LOG.sign(text) + "".join(witness.cosign(text, 1_800_000_000).line() for witness in witnesses)


def test_a_log_of_ones_own_is_not_what_the_witnesses_saw(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    """The newest checkpoint has to grow out of one that enough known witnesses cosigned; a split view is kept as evidence."""
    servicer, _ = log
    both = [WITNESS.verifier, OTHER.verifier]
    servicer.witnessed = cosigned(servicer.leaves[:3], WITNESS, OTHER)
    with audited(witnesses=both) as client:
        assert client.audit(witnesses=2).size == 5
    with audited(witnesses=[WITNESS.verifier]) as client, pytest.raises(CryptoError, match="2 witnesses .*, got 1"):
        client.audit(witnesses=2)
    servicer.witnessed = cosigned([b"what others see", *servicer.leaves[1:3]], WITNESS, OTHER)
    with audited(witnesses=both) as client, pytest.raises(CryptoError, match="FORKED_LOG"):
        client.audit(witnesses=2)
    assert len(list((tmp_path / "data").glob("checkpoint.evidence-*"))) == 1


def envelope(index: int, key: bytes = b"k" * 32, member: str = "upbit") -> Envelope:
    message = types_pb2.Verdict(key=key, level=3, sequence=1, member=member, log_index=index)
    return codec.read_envelope(peers.signed(message))


def test_a_verdict_is_proved_to_stand_in_the_log(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient]
) -> None:
    """Under the checkpoint that was audited; one that was signed and never logged is refused, and so is one beyond it."""
    servicer, _ = log
    true, unlogged = envelope(3), envelope(2, b"u" * 32)
    servicer.grow([*servicer.leaves[:3], pae(VERDICT_TYPE, true.payload), b"leaf 4"])
    with audited() as client:
        with pytest.raises(CryptoError, match="INVALID_INCLUSION: log_index: .*audit first"):
            client.prove(true)
        client.audit()
        assert client.prove(true).log_index == 3
        for wrong, code in (
            (unlogged, ErrorCode.INVALID_INCLUSION),
            (envelope(9), ErrorCode.INVALID_INCLUSION),
            (envelope(3, member="bithumb"), ErrorCode.FOREIGN_ENVELOPE),
        ):
            with pytest.raises(CryptoError) as caught:
                client.prove(wrong)
            assert caught.value.code is code


def test_leaves_are_held_against_the_checkpoint(log: tuple[Audit, str], audited: Callable[..., RegistryClient]) -> None:
    """All of them, page by page; those that are told with their content."""
    servicer, _ = log
    servicer.tell([b"content %d" % n for n in range(5)])
    with audited() as client:
        with pytest.raises(CryptoError, match="audit first"):
            next(client.entries())
        client.audit()
        got = list(client.entries())
    assert [entry.payload for entry in got] == [b"content 0", b"", b"content 2", b"", b"content 4"]
    assert [entry.leaf_hash for entry in got] == [merkle.leaf_hash(pae("t", c)) for c in servicer.contents]


SHOWN: dict[str, tuple[Callable[[list[audit_pb2.Entry]], object], str]] = {
    "a content changed": (lambda told: setattr(told[2], "payload", b"other"), "entries[2]"),
    "a hash changed": (lambda told: setattr(told[3], "leaf_hash", b"h" * 32), "entries"),
    "a leaf left out": (lambda told: told.pop(1), "entries[1]"),
    "the last left out": (lambda told: told.pop(), "entries[4]"),
    "two exchanged": (lambda told: told.insert(1, told.pop(3)), "entries[1]"),
}


@pytest.mark.parametrize("lie", SHOWN)
def test_leaves_that_do_not_give_the_checkpoint_are_refused(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient], lie: str
) -> None:
    """By their place where that can be told, else at the end."""
    servicer, _ = log
    servicer.tell([b"content %d" % n for n in range(5)])
    told = servicer.entries
    change, field = SHOWN[lie]
    change(told)
    servicer.told = told
    with audited() as client:
        client.audit()
        with pytest.raises(CryptoError) as caught:
            list(client.entries())
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_INCLUSION, field)


def test_without_a_file_the_checkpoint_is_held_in_memory(
    log: tuple[Audit, str], audited: Callable[..., RegistryClient]
) -> None:
    """For as long as the client lives; the error says what is wrong, and there is nowhere to keep evidence."""
    servicer, _ = log
    with audited(checkpoint=None) as client:
        client.audit()
        servicer.grow(servicer.leaves[:2])
        with pytest.raises(CryptoError, match="SHRUNK_LOG: tree_size: 5 or more, got 2$"):
            client.audit()

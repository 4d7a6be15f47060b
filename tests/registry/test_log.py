"""The log in the registry: what becomes a leaf, who is told what, and what a rebuilding from the database finds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daxa_core import codec, merkle
from daxa_core.envelope import EVENT_TYPE, VERDICT_TYPE, SigningKey, pae
from daxa_core.errors import CryptoError, ErrorCode, InvalidInput, Refused
from daxa_core.model import Level, Manner, Sighting, Verdict
from daxa_core.note import Witness, cosigned_by, read_checkpoint
from daxa_core.verification import VerificationKeys
from daxa_registry.keys.signing import Signer, make
from daxa_registry.service.acts import ActKind, record_act
from daxa_registry.service.audit import audit
from daxa_registry.service.log import Log, append_event, append_state, evidence_commitment
from daxa_registry.store.interface import EVERYBODY, StoredVerdict
from daxa_registry.store.sqlite import SqliteStore

NOW = 1_800_000_000
POLICY = b"p" * 32
WITNESS = Witness("upbit.test/witness", SigningKey(b"w" * 32))


class Registry:
    """A store with a log, and verdicts put into it as the matcher does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "registry.sqlite"
        self.keys: VerificationKeys = make(folder, "daxa.test", NOW, [WITNESS.verifier])
        self.store = SqliteStore(self.path)
        self.log = Log(self.store, Signer(folder / "signing.json"), self.keys.witnesses)

    def decide(
        self,
        member: str,
        key: bytes,
        level: Level = Level.WARN,
        evidence: bytes = b"evidence",
        policy: bytes = POLICY,
    ) -> None:
        """One verdict, stored and logged."""
        number = self.store.member_id(member)
        subject = next(
            s
            for s in self.store.absorb(
                number, [Sighting(key, b"a" * 32, b"n" * 32, NOW // 3_600, Manner.USED, 1)], lambda _: None
            ).subjects
            if s
        )
        sequence = self.store.head(number) + 1
        verdict = Verdict(key, level, 2.0, sequence=sequence, decided_at=NOW, policy_digest=policy)
        body = self.log.append_verdict(verdict, number, evidence)
        self.store.append_verdict(StoredVerdict(subject, number, sequence, level, NOW, body, evidence))

    def tamper(self, statement: str, *values: object) -> None:
        """Changes the database behind the registry's back."""
        with sqlite3.connect(self.path) as database:
            assert database.execute(statement, values).rowcount > 0


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Two members with three verdicts each, a policy, and an operator's act."""
    made = Registry(tmp_path)
    with made.store.transaction():
        append_state(made.store, "policy", {"digest": POLICY.hex()}, NOW)
        for number in range(3):
            made.decide("upbit", bytes([65 + number]) * 32)
            made.decide("bithumb", bytes([65 + number]) * 32)
        record_act(made.store, "daxa", ActKind.INFRASTRUCTURE_REMOVED, {"name": "somebody's cloud"}, NOW)
    yield made
    made.store.close()


def test_verdicts_policies_keys_and_acts_are_leaves_of_one_tree(registry: Registry) -> None:
    """In the order in which they happened; the tree is that of their encoded bytes, by a checkpoint that verifies."""
    entries = registry.log.entries(0, 100, None)
    kinds = [json.loads(e.payload)["kind"] if e.payload_type == EVENT_TYPE else "verdict" for e in entries]
    assert kinds == ["policy", "verdict-keys", *["verdict"] * 6, "operator-act"]
    frontier = merkle.Frontier()
    for entry in entries:
        assert merkle.leaf_hash(pae(entry.payload_type, entry.payload)) == entry.leaf_hash
        frontier.append(entry.leaf_hash)
    head = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    assert (head.size, head.root) == (9, frontier.root())
    act = json.loads(entries[-1].payload)["detail"]
    assert (act["operator"], act["kind"], act["detail"]) == (
        "daxa", "infrastructure_removed", {"name": "somebody's cloud"},
    )  # fmt: skip


def test_every_verdict_is_proved_under_the_checkpoint_and_across_its_growth(registry: Registry) -> None:
    """What a member holds leads to the head, and an older head to a newer one."""
    old = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    with registry.store.transaction():
        registry.decide("upbit", b"Z" * 32)
    new = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    merkle.verify_consistency(old.size, old.root, new.size, new.root, registry.log.consistency(old.size, new.size))
    member = registry.store.member_id("upbit")
    for _, body in registry.store.verdicts_after(member, 0, 10):
        envelope = codec.read_envelope(codec.decode_envelope(body))
        verdict = registry.keys.verdict(envelope, "upbit")
        leaf, proof = registry.log.inclusion(verdict.log_index, new.size)
        assert leaf == merkle.leaf_hash(pae(VERDICT_TYPE, envelope.payload))
        merkle.verify_inclusion(leaf, verdict.log_index, new.size, proof, new.root)


def test_a_member_is_told_its_own_leaves_and_what_concerns_all(registry: Registry) -> None:
    """Of others' verdicts and of operators' acts it gets the hash, and the same hashes as an auditor."""
    whole = registry.log.entries(0, 100, None)
    own = registry.log.entries(0, 100, registry.store.member_id("upbit"))
    assert [e.leaf_hash for e in own] == [e.leaf_hash for e in whole]
    told = [i for i, e in enumerate(own) if e.payload]
    assert told == [0, 1, 2, 4, 6]
    assert all(e.payload for e in whole)
    assert {codec.decode_verdict(own[i].payload).member for i in (2, 4, 6)} == {"upbit"}


def test_equal_events_have_different_hashes(registry: Registry) -> None:
    """Who is told the hash alone cannot try out what was done."""
    with registry.store.transaction():
        first = append_event(registry.store, "test", {"n": 1}, NOW)
        second = append_event(registry.store, "test", {"n": 1}, NOW)
    one, two = (registry.log.entries(index, 1, EVERYBODY)[0].leaf_hash for index in (first, second))
    assert one != two


def test_the_evidence_is_committed_to_and_cannot_be_tried_out(registry: Registry) -> None:
    """The same evidence gives another commitment each time, and the stored salt opens it."""
    verdicts = [leaf for leaf in registry.store.leaves(0, 100) if not leaf.event]
    told = [
        codec.decode_verdict(codec.read_envelope(codec.decode_envelope(leaf.body)).payload).evidence_digest
        for leaf in verdicts
    ]
    assert len(set(told)) == len(told) == 6
    assert told == [evidence_commitment(leaf.salt, b"evidence") for leaf in verdicts]


def test_what_is_in_force_is_logged_when_it_changes(registry: Registry) -> None:
    """A restart with the same policy adds nothing; another policy does, told to everybody; so does its activation."""
    with registry.store.transaction():
        assert append_state(registry.store, "policy", {"digest": POLICY.hex()}, NOW) is None
        assert append_state(registry.store, "policy", {"digest": "01"}, NOW) == 9
        record_act(registry.store, "daxa", ActKind.POLICY_ACTIVATED, {"digest": "02"}, NOW)
    last = registry.log.entries(11, 5, registry.store.member_id("upbit"))
    assert [json.loads(e.payload)["detail"] for e in last] == [{"digest": "02"}]


def test_keys_noted_in_a_transaction_that_failed_are_noted_again(tmp_path: Path) -> None:
    """The log never holds a verdict by a key that it does not name before."""
    made = Registry(tmp_path)
    with made.store.transaction():
        append_state(made.store, "policy", {"digest": POLICY.hex()}, NOW)
    with pytest.raises(RuntimeError), made.store.transaction():  # noqa: PT012
        made.decide("upbit", b"A" * 32)
        raise RuntimeError
    with made.store.transaction():
        made.decide("upbit", b"A" * 32)
    assert [leaf.event for leaf in made.store.leaves(0, 5)] == ["policy", "verdict-keys", ""]
    assert audit(made.store, made.keys).problem is None
    made.store.close()


def test_a_witnesss_cosignature_goes_out_with_its_checkpoint(registry: Registry) -> None:
    """It is asked for by the number of witnesses; the newest checkpoint that has it may be older than the log."""
    head = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    line = WITNESS.cosign(head.text(), NOW).line()
    for _ in range(2):
        assert registry.log.add_cosignature(head.size, line) == WITNESS.verifier.name
    with registry.store.transaction():
        registry.decide("upbit", b"Z" * 32)
    note = registry.log.checkpoint(1)
    assert read_checkpoint(note, registry.keys.log) == head
    assert cosigned_by(note, registry.keys.witnesses) == {WITNESS.verifier.name: NOW}
    assert cosigned_by(registry.log.checkpoint(), registry.keys.witnesses) == {}
    with pytest.raises(Refused, match="NOT_FOUND"):
        registry.log.checkpoint(2)


def test_a_cosignature_that_is_not_of_this_log_is_refused(registry: Registry) -> None:
    """Of somebody unknown, of another head, of a size that is not reached, and no line at all: each with its code."""
    head = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    stranger = Witness("stranger.test/w", SigningKey(b"x" * 32)).cosign(head.text(), NOW).line()
    impostor = Witness(WITNESS.verifier.name, SigningKey(b"x" * 32)).cosign(head.text(), NOW).line()
    other = WITNESS.cosign(registry.log.head(3).text(), NOW).line()
    for line, size, kind, code in (
        (stranger, head.size, Refused, ErrorCode.NOT_FOUND),
        (impostor, head.size, Refused, ErrorCode.NOT_FOUND),
        (other, head.size, CryptoError, ErrorCode.INVALID_SIGNATURE),
        (other, 2**63, InvalidInput, ErrorCode.INVALID_VALUE),
        ("no line", head.size, CryptoError, ErrorCode.INVALID_CHECKPOINT),
    ):
        with pytest.raises(kind) as caught:
            registry.log.add_cosignature(size, line)
        assert caught.value.code is code
    assert registry.store.cosigned_size(1) is None


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (lambda log: log.inclusion(9, 9), "leaf_index"),
        (lambda log: log.inclusion(0, 10), "tree_size"),
        (lambda log: log.inclusion(2**63, 2**63 + 1), "tree_size"),
        (lambda log: log.consistency(4, 10), "second_size"),
        (lambda log: log.consistency(5, 4), "first_size"),
    ],
)
def test_a_proof_of_what_is_not_there_is_refused_by_its_field(
    registry: Registry, ask: Callable[[Log], object], field: str
) -> None:
    """Sizes and places beyond the log are the caller's mistake, never an exception of the database."""
    with pytest.raises(InvalidInput) as caught:
        ask(registry.log)
    assert caught.value.field == field


def test_an_untouched_database_fits(registry: Registry) -> None:
    """All of it: leaves, hashes, signatures, evidence, cosignatures, and a checkpoint that was kept."""
    kept = registry.log.checkpoint()
    head = read_checkpoint(kept, registry.keys.log)
    registry.log.add_cosignature(head.size, WITNESS.cosign(head.text(), NOW).line())
    with registry.store.transaction():
        registry.decide("upbit", b"Z" * 32)
    report = audit(registry.store, registry.keys, kept)
    assert (report.problem, report.size, report.verdicts, report.events) == (None, 10, 7, 3)
    assert report.cosignatures == 1
    assert report.root == registry.log.head().root


OTHER_BODY = "(SELECT body FROM verdict WHERE member=1 AND sequence=1)"
TAMPERED: dict[str, tuple[str, int | None, str]] = {
    "an event's text": ("UPDATE leaf SET body=replace(CAST(body AS TEXT), '7070', '7171') WHERE idx=0", 0, "what it holds"),
    "an event deleted": ("DELETE FROM leaf WHERE idx=0", 0, "missing"),
    "a verdict's bytes": (f"UPDATE verdict SET body={OTHER_BODY} WHERE member=1 AND sequence=2", 4, "another leaf's"),
    "a verdict cut": ("UPDATE verdict SET body=substr(body, 1, 40) WHERE member=2 AND sequence=1", 3, "no envelope"),
    "a verdict deleted": ("DELETE FROM verdict WHERE member=2 AND sequence=2", 5, "missing"),
    "a verdict's evidence": ("UPDATE verdict SET evidence=x'00' WHERE member=1 AND sequence=3", 6, "evidence"),
    "a verdict's level": ("UPDATE verdict SET level=0 WHERE member=1 AND sequence=1", 2, "level"),
    "a leaf's hash": ("UPDATE tree_hash SET hash=randomblob(32) WHERE position=7", 4, "not what was logged"),
    "a node's hash": ("UPDATE tree_hash SET hash=randomblob(32) WHERE position=6", 3, "above it"),
    "a hash deleted": ("DELETE FROM tree_hash WHERE position=4", 3, "missing"),
    "the last leaf deleted": ("DELETE FROM leaf WHERE idx=8", None, "has 8 leaves, and the checkpoint 9"),
    "a verdict moved to a member": ("UPDATE leaf SET audience=2 WHERE idx=2", 2, "another leaf's"),
    "an event's kind": ("UPDATE leaf SET event='x' WHERE idx=0", 0, "another event"),
    "an event's place of a verdict": ("UPDATE leaf SET sequence=9 WHERE idx=0", 0, "another event"),
    "an event kept from members": ("UPDATE leaf SET audience=-1 WHERE idx=1", 1, "for others"),
    "an act shown to all": ("UPDATE leaf SET audience=0 WHERE idx=8", 8, "for others"),
    "a verdict moved to a key": ("UPDATE verdict SET subject=3 WHERE member=1 AND sequence=1", 2, "another key's"),
    "a key's older verdict": ("UPDATE subject SET sequence=0 WHERE id=5", 6, "an older one"),
    "a key's level": ("UPDATE subject SET level=0 WHERE id=5", 6, "current level"),
    "a hash after the last": ("INSERT INTO tree_hash SELECT max(position) + 1, hash FROM tree_hash", None, "hashes of more"),
    "a verdict outside the log": (
        "INSERT INTO verdict (member, sequence, subject, level, decided_at, body, evidence) SELECT member, 9, subject,"
        " level, decided_at, body, evidence FROM verdict WHERE member=1 AND sequence=1",
        None, "1 verdicts have no leaf"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_the_first_leaf_that_does_not_fit_is_told(registry: Registry, what: str) -> None:
    """Whatever somebody with the database changes, it is named by its leaf and by what is wrong."""
    statement, index, said = TAMPERED[what]
    kept = registry.log.checkpoint()
    registry.tamper(statement)
    problem = audit(registry.store, registry.keys, kept).problem
    assert problem is not None
    assert problem.index == index
    assert said in problem.what


def test_a_database_rewritten_whole_fits_itself_and_not_the_checkpoint(tmp_path: Path) -> None:
    """The operator who holds the keys can make another history; whoever kept a checkpoint sees it."""
    made = Registry(tmp_path)
    with made.store.transaction():
        append_state(made.store, "policy", {"digest": POLICY.hex()}, NOW)
        made.decide("upbit", b"A" * 32, Level.REVOKE)
        made.decide("upbit", b"B" * 32)
    kept = made.log.checkpoint()
    made.store.close()
    made.path.unlink()
    again = SqliteStore(made.path)
    made.store, made.log = again, Log(again, Signer(tmp_path / "signing.json"), made.keys.witnesses)
    with made.store.transaction():
        append_state(made.store, "policy", {"digest": POLICY.hex()}, NOW)
        made.decide("upbit", b"A" * 32, Level.CLEAR)
        made.decide("upbit", b"B" * 32)
        made.decide("upbit", b"C" * 32)
    assert audit(made.store, made.keys).problem is None
    problem = audit(made.store, made.keys, kept).problem
    assert problem is not None
    assert "not that of the checkpoint" in problem.what
    made.store.close()


def test_a_rewritten_log_does_not_fit_a_witnesss_line(registry: Registry) -> None:
    """A cosignature that is kept in the database itself is over one tree alone."""
    head = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    registry.log.add_cosignature(head.size, WITNESS.cosign(head.text(), NOW).line())
    registry.tamper("UPDATE cosignature SET size=5")
    problem = audit(registry.store, registry.keys).problem
    assert problem is not None
    assert (problem.index, problem.what) == (4, "a witness's cosignature is not over the log up to here")


def test_a_log_that_was_cut_is_told_by_a_witnesss_line(registry: Registry) -> None:
    """Leaves and hashes that are gone leave no gap; a cosignature of more leaves than there are tells of them."""
    head = read_checkpoint(registry.log.checkpoint(), registry.keys.log)
    registry.log.add_cosignature(head.size, WITNESS.cosign(head.text(), NOW).line())
    registry.tamper("DELETE FROM leaf WHERE idx=8")
    registry.tamper("DELETE FROM tree_hash WHERE position>=?", merkle.stored_count(8))
    problem = audit(registry.store, registry.keys).problem
    assert problem is not None
    assert (problem.index, problem.what) == (None, "it has 8 leaves, and a witness cosigned 9")


def test_a_verdict_by_a_policy_that_the_log_never_brought_into_force_is_told(registry: Registry) -> None:
    """Whoever swaps the policy in the database decides by it, and signs; the log says which one was in force."""
    with registry.store.transaction():
        registry.decide("upbit", b"Y" * 32, policy=b"q" * 32)
    problem = audit(registry.store, registry.keys).problem
    assert problem is not None
    assert problem.index == 9
    assert "no event before it brought into force" in problem.what

"""Signed notes and checkpoints against published ones and an implementation that somebody else wrote, both ways."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales import signing as theirs
from tlog_scales.tlog import Checkpoint as TheirCheckpoint

from daxa_core.envelope import SigningKey
from daxa_core.errors import CryptoError, ErrorCode
from daxa_core.note import (
    COSIGNATURE,
    Checkpoint,
    Note,
    NoteSignature,
    NoteSigner,
    NoteVerifier,
    Witness,
    cosigned_by,
    read_checkpoint,
)

# The example that Go's own package for signed notes documents and tests.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = (
    TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The example of the tlog-cosignature specification: its keys are not published, its shape is.
COSIGNED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
LOG_KEY, WITNESS_KEY = SigningKey(b"l" * 32), SigningKey(b"w" * 32)
LOG = NoteSigner("example.com/log", LOG_KEY)
WITNESS = Witness("upbit.example/witness", WITNESS_KEY)
HEAD = Checkpoint("example.com/log", 5, b"r" * 32)


def test_the_published_note_verifies() -> None:
    """Go's example, to the byte: the key is read, its id is right, its signature holds over the text and over no other."""
    verifier = NoteVerifier.parse(VKEY)
    assert verifier.vkey() == VKEY
    note = Note.parse(SIGNED)
    assert note.body == TEXT
    assert verifier.verify(note.body, note.signatures[0]) == 0
    assert f"{note.body}\n{note.signatures[0].line()}" == SIGNED
    with pytest.raises(CryptoError, match="INVALID_SIGNATURE"):
        verifier.verify(note.body.replace("answer", "Answer"), note.signatures[0])


def test_the_published_checkpoint_is_read() -> None:
    """Origin, size, root, and the time in the witness's line."""
    note = Note.parse(COSIGNED)
    checkpoint = Checkpoint.parse(note.body)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text() == note.body
    assert [signature.name for signature in note.signatures] == [checkpoint.origin, "witness.example.com/w1"]
    assert int.from_bytes(note.signatures[1].blob[:8]) == 1_679_315_147


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32), st.integers(0, 2**62))
def test_others_verify_checkpoint_and_cosignature(size: int, root: bytes, time: int) -> None:
    """tlog-scales reads and verifies what is signed here."""
    head = Checkpoint("example.com/log", size, root)
    note = LOG.sign(head.text()) + WITNESS.cosign(head.text(), time).line()
    read = TheirCheckpoint.from_text(note)
    assert (read.origin, read.size, read.root_hash, read.serialize()) == (head.origin, size, root, note)
    for verifier in (LOG.verifier, WITNESS.verifier):
        key = theirs.Vkey.from_string(verifier.vkey())
        assert key.key_id.to_bytes(4) == verifier.key_id
        read.verify(key)
    assert cosigned_by(note, [WITNESS.verifier]) == {"upbit.example/witness": time}


@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_what_others_signed_verifies_here(size: int, root: bytes) -> None:
    """The other way about."""
    signer = theirs.PlainEd25519Signer("example.com/log", LOG_KEY.private_bytes())
    note = TheirCheckpoint.make_signed("example.com/log", size, root, [signer]).serialize()
    assert read_checkpoint(note, NoteVerifier.parse(signer.vkey.serialize())) == Checkpoint(
        "example.com/log", size, root
    )


def test_a_checkpoint_is_taken_from_the_logs_key_alone() -> None:
    """Nobody else's signature, no other origin, no text that was changed after signing."""
    note = LOG.sign(HEAD.text())
    assert read_checkpoint(note, LOG.verifier) == HEAD
    impostor = NoteSigner("example.com/log", WITNESS_KEY).sign(HEAD.text())
    with pytest.raises(CryptoError, match="INVALID_CHECKPOINT"):
        read_checkpoint(impostor, LOG.verifier)
    with pytest.raises(CryptoError, match="INVALID_CHECKPOINT: checkpoint: the origin"):
        read_checkpoint(LOG.sign(dataclasses.replace(HEAD, origin="example.com/other").text()), LOG.verifier)
    with pytest.raises(CryptoError, match="INVALID_SIGNATURE"):
        read_checkpoint(note.replace("\n5\n", "\n6\n"), LOG.verifier)


def test_a_witness_counts_when_its_cosignature_holds() -> None:
    """One of somebody unknown is passed over; a known witness's over another checkpoint or time is refused."""
    note = LOG.sign(HEAD.text())
    line = WITNESS.cosign(HEAD.text(), 1_700_000_000)
    assert cosigned_by(note, [WITNESS.verifier]) == {}
    assert cosigned_by(note + line.line(), []) == {}
    later = NoteSignature(line.name, line.key_id, (1_700_000_001).to_bytes(8) + line.blob[8:])
    other = WITNESS.cosign(dataclasses.replace(HEAD, size=6).text(), 1_700_000_000)
    for wrong in (later, other, NoteSignature(line.name, line.key_id, line.blob[:8])):
        with pytest.raises(CryptoError, match="INVALID_SIGNATURE"):
            cosigned_by(note + wrong.line(), [WITNESS.verifier])
    assert WITNESS.verifier.algorithm == COSIGNATURE


@given(st.integers(0, len(SIGNED) - 1))
def test_a_note_cut_anywhere_is_refused(length: int) -> None:
    """A file that was not written to its end is no note, or one whose signature does not hold."""
    with pytest.raises(CryptoError):
        read_checkpoint(SIGNED[:length], NoteVerifier.parse(VKEY))


def _damaged(note: str) -> st.SearchStrategy[str]:
    return st.tuples(st.integers(0, len(note)), st.text(max_size=3)).map(
        lambda cut: note[: cut[0]] + cut[1] + note[cut[0] + 1 :]
    )


@given(st.text(max_size=200) | st.sampled_from([COSIGNED, SIGNED]).flatmap(_damaged))
def test_any_text_at_all_is_read_or_refused(note: str) -> None:
    """No other exception, whatever stands in the file or comes off the wire."""
    try:
        Checkpoint.parse(Note.parse(note).body)
    except CryptoError as error:
        assert error.code is ErrorCode.INVALID_CHECKPOINT  # noqa: PT017


@pytest.mark.parametrize(
    "text",
    ["a\n5\n", "a\n05\nAAAA\n", "a\n-1\nAAAA\n", "a\n5\nAAAA\n", "a\n5\n!\n", f"a\n{10**19}\n{'A' * 43}=\n",
     f"a\n5\n{'A' * 43}=\n\n", f"a\n٥\n{'A' * 43}=\n"],
)  # fmt: skip
def test_a_checkpoint_of_another_shape_is_refused(text: str) -> None:
    """No leading zeroes, no other digits, a root of 32 bytes, no empty lines."""
    with pytest.raises(CryptoError, match="INVALID_CHECKPOINT"):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a",
        "a+00000000+",
        VKEY[:-1],
        VKEY.replace("c74f", "c74e"),
        "a b" + VKEY[12:],
        VKEY.replace("+ARpc", "+BRpc"),
    ],
)
def test_a_key_whose_id_is_not_its_own_is_refused(vkey: str) -> None:
    """A key that was mistyped must not become a key that trusts nobody, or somebody else."""
    with pytest.raises(CryptoError, match="INVALID_VALUE: vkey"):
        NoteVerifier.parse(vkey)

"""``daxa-client verify FILE``: what is wrong with a file of verdicts has its own code, offline."""

from __future__ import annotations

import json
from pathlib import Path

import peers
import pytest

from daxa_client import CryptoError, ErrorCode
from daxa_client._cli import main
from daxa_core.codec import read_envelope
from daxa_core.envelope import VERDICT_TYPE, Envelope, SigningKey

KEY, OTHER = b"k" * 32, b"o" * 32
STRANGER = SigningKey(b"s" * 32)


def line(sequence: int, key: bytes = KEY, member: str = "upbit") -> str:
    """A verdict as ``--envelope`` prints it."""
    return read_envelope(peers.verdict(key, sequence, member=member)).to_json()


def cut(text: str) -> str:
    """The same line with the last byte of its payload missing, in JSON that is whole."""
    envelope = Envelope.from_json(text)
    return Envelope(envelope.payload[:-1], VERDICT_TYPE, envelope.signatures).to_json()


def signed_again(text: str, name: str) -> str:
    """The same verdict, signed by a stranger who says that it was the key of that id."""
    table = json.loads(STRANGER.sign(VERDICT_TYPE, Envelope.from_json(text).payload).to_json())
    table["signatures"][0]["keyid"] = name or STRANGER.key_id
    return json.dumps(table)


KEY_ID = peers.SIGNING_KEYS.at(0).key_id
BROKEN = {
    "replayed": ([line(2), line(3, OTHER), line(1)], ErrorCode.REPLAYED_ENVELOPE),
    "cut inside": ([line(1), line(2), cut(line(3))], ErrorCode.INVALID_ENVELOPE),
    "cut": ([line(1), line(2), line(3)[:-20]], ErrorCode.INVALID_ENVELOPE),
    "signed again under our key's name": ([line(1), line(2), signed_again(line(3), KEY_ID)], ErrorCode.INVALID_SIGNATURE),
    "signed again by a stranger": ([line(1), line(2), signed_again(line(3), "")], ErrorCode.FOREIGN_ENVELOPE),
    "another member's": ([line(1), line(2), line(3, member="bithumb")], ErrorCode.FOREIGN_ENVELOPE),
}  # fmt: skip


def verify(folder: Path, lines: list[str], *more: str) -> None:
    """``daxa-client verify`` of a file with those lines, in a folder with the public keys and nothing else."""
    (folder / "verification.json").write_text(peers.SIGNING_KEYS.public().to_json())
    (folder / "verdicts.jsonl").write_text("".join(f"{one}\n" for one in lines))
    keys = str(folder / "verification.json")
    main(["verify", str(folder / "verdicts.jsonl"), "--keys", keys, "--member", "upbit", *more])


@pytest.mark.parametrize("kind", BROKEN)
def test_each_broken_line_is_refused_with_its_own_code_and_by_its_number(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those before it are verified and printed; nothing of it is."""
    lines, code = BROKEN[kind]
    with pytest.raises(SystemExit) as ended:
        verify(tmp_path, lines)
    captured = capsys.readouterr()
    assert (ended.value.code, len(captured.out.splitlines())) == (2, 2)
    assert captured.err.startswith(f"daxa-client: {code}: line 3")


def test_a_file_in_which_nothing_is_left_to_verify_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cut down to nothing, or to its line ends."""
    for lines in ([], [""]):
        with pytest.raises(SystemExit) as ended:
            verify(tmp_path, lines)
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith("daxa-client: INVALID_FILE: verdicts.jsonl")


def test_the_same_verdict_again_is_no_replay_and_files_may_be_put_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who looks up every day writes the same verdict down every day; whoever joins files says that their order means nothing."""
    verify(tmp_path, [line(3), line(3), line(1, OTHER), line(4)])
    verify(tmp_path, BROKEN["replayed"][0], "--any-order")
    assert [json.loads(one)["sequence"] for one in capsys.readouterr().out.splitlines()] == [3, 3, 1, 4, 2, 3, 1]


def test_a_verdict_cut_at_any_byte_is_told_from_one_that_was_altered() -> None:
    """After the last byte of any of its fields too, where what is left still reads as a message."""
    keys = peers.SIGNING_KEYS.public()
    whole = read_envelope(peers.verdict(KEY, 300))
    for length in range(len(whole.payload)):
        with pytest.raises(CryptoError) as caught:
            keys.verdict(Envelope(whole.payload[:length], VERDICT_TYPE, whole.signatures), "upbit")
        assert caught.value.code is ErrorCode.INVALID_ENVELOPE
    altered = whole.payload.replace(b"upbit", b"upbot")
    with pytest.raises(CryptoError) as caught:
        keys.verdict(Envelope(altered, VERDICT_TYPE, whole.signatures), "upbit")
    assert caught.value.code is ErrorCode.INVALID_SIGNATURE

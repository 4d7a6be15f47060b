"""The registry's signing keys: rotation with overlap, a file that changes while it is in use, and what a wrong file gets."""

from __future__ import annotations

import dataclasses
import json
import logging
import stat
from pathlib import Path

import pytest

from daxa_core import codec
from daxa_core.envelope import VERDICT_TYPE, Envelope
from daxa_core.errors import ConfigurationError, CryptoError
from daxa_core.model import Verdict
from daxa_core.verification import VerificationKeys
from daxa_registry.keys.signing import (
    GRACE_SECONDS,
    RELOAD_SECONDS,
    Signer,
    make,
    read_signing_keys,
    read_verification_keys,
    replace_files,
    rotated,
)

NOW = 1_800_000_000
DAY = 86_400


def signed(signer: Signer, at: int) -> Envelope:
    return signer.sign(VERDICT_TYPE, codec.encode_verdict(Verdict(b"k" * 32, decided_at=at, member="upbit")), at)


def accepts(keys: VerificationKeys, envelope: Envelope) -> bool:
    try:
        keys.verdict(envelope, "upbit")
    except CryptoError:
        return False
    return True


def test_a_rotation_overlaps_and_the_old_verdicts_stay_good(tmp_path: Path) -> None:
    """Until it begins, the old key signs and old and new files take that; then the new one, which the new file takes alone."""
    old_file = make(tmp_path, "daxa.test", NOW)
    first = read_signing_keys(tmp_path / "signing.json")
    replace_files(tmp_path, rotated(first, NOW + DAY, 30 * DAY, by="kim"), [])
    new_file = read_verification_keys(tmp_path / "verification.json")
    signer = Signer(tmp_path / "signing.json")
    before, after = signed(signer, NOW + 31 * DAY - 1), signed(signer, NOW + 31 * DAY)
    assert [accepts(file, before) for file in (old_file, new_file)] == [True, True]
    assert [accepts(file, after) for file in (old_file, new_file)] == [False, True]
    assert [one["by"] for one in signer.described()] == ["", "kim"]
    assert stat.S_IMODE((tmp_path / "signing.json").stat().st_mode) == 0o600


def test_a_retired_key_signs_nothing_that_was_decided_later(tmp_path: Path) -> None:
    """Whoever steals it afterwards cannot speak for today, however he signs."""
    make(tmp_path, "daxa.test", NOW)
    first = read_signing_keys(tmp_path / "signing.json")
    keys = rotated(first, NOW, DAY)
    stolen = first.verdicts[0].key
    for decided_at, good in (
        (NOW + DAY + GRACE_SECONDS, True),
        (NOW + DAY + GRACE_SECONDS + 1, False),
        (NOW - 1, False),
    ):
        payload = codec.encode_verdict(Verdict(b"k" * 32, decided_at=decided_at, member="upbit"))
        assert accepts(keys.public(), stolen.sign(VERDICT_TYPE, payload)) is good


def test_a_second_rotation_waits_for_the_first(tmp_path: Path) -> None:
    """Else the first new key would never sign, and members would hold a file that nobody follows."""
    make(tmp_path, "daxa.test", NOW)
    keys = rotated(read_signing_keys(tmp_path / "signing.json"), NOW, DAY)
    with pytest.raises(ConfigurationError, match="no other rotation under way"):
        rotated(keys, NOW + DAY - 1, DAY)
    assert len(rotated(keys, NOW + DAY, DAY).verdicts) == 3


def test_a_replaced_file_is_noticed_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The running registry follows a rotation without a restart; a file cut short is told once and passed over."""
    make(tmp_path, "daxa.test", NOW)
    clock = [0.0]
    path = tmp_path / "signing.json"
    signer = Signer(path, clock=lambda: clock[0])
    replace_files(tmp_path, rotated(signer.keys, NOW, 0), [])
    assert len(signer.described()) == 1
    clock[0] += RELOAD_SECONDS
    assert signed(signer, NOW).signatures[0].key_id == read_signing_keys(path).verdicts[1].key.key_id
    path.write_text(path.read_text()[:-40])
    with caplog.at_level(logging.ERROR, "daxa_registry.keys"):
        for _ in range(3):
            clock[0] += RELOAD_SECONDS
            signed(signer, NOW)
    assert len(caplog.messages) == 1
    assert "signing.json: file: a JSON object" in caplog.text
    assert len(signer.described()) == 2


WRONG: list[tuple[str, object, str]] = [
    ("format", 2, "format: 1"),
    ("origin", "with space", "origin: 1 to 255 characters, no spaces and no plus"),
    ("log", "abc", "log: an Ed25519 private key, 32 bytes in hexadecimal"),
    ("verdicts", [], "verdicts: one key or more"),
    ("verdicts", [7], "verdicts[0]: private, since and until"),
    ("verdicts", [{"private": "00" * 31, "since": 0, "until": 0}], "verdicts[0].private: an Ed25519 private key"),
    ("verdicts", [{"private": "00" * 32, "since": "x", "until": 0}], "verdicts[0].since: seconds since 1970"),
    ("verdicts", [{"private": "00" * 32, "since": n, "until": 0} for n in (9, 3)], "verdicts: keys in the order"),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_a_wrong_signing_file_is_refused_by_its_key(tmp_path: Path, name: str, value: object, said: str) -> None:
    """File and key are named; no private key is told."""
    make(tmp_path, "daxa.test", NOW)
    path = tmp_path / "signing.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {name: value}))
    with pytest.raises(ConfigurationError) as caught:
        read_signing_keys(path)
    assert f"signing.json: {said}" in str(caught.value)
    assert "00" * 31 not in str(caught.value)


PUBLIC: list[tuple[str, object, str]] = [
    ("format", 0, "format: 1"),
    ("log", None, "log: a verifier key"),
    ("log", "a+00000000+AAAA", "log: a verifier key"),
    ("verdicts", [], "verdicts: one key or more"),
    ("verdicts", [{}], "verdicts[0]: public, since and until"),
    ("verdicts", [{"public": "AAAA", "since": 0, "until": 0}], "verdicts[0].public: 32 bytes in base64"),
    ("verdicts", [{"public": 7, "since": 0, "until": 0}], "verdicts[0].public: 32 bytes in base64"),
    ("verdicts", [{"public": "A" * 43 + "=", "since": -1, "until": 0}], "verdicts[0].since: seconds since 1970"),
    ("witnesses", {}, "witnesses: a list of at most 64"),
    ("witnesses", ["x"], "witnesses[0]: a verifier key"),
    ("more", 1, "more: no such field"),
]


@pytest.mark.parametrize(("name", "value", "said"), PUBLIC)
def test_a_wrong_verification_file_is_refused_by_its_field(tmp_path: Path, name: str, value: object, said: str) -> None:
    """A log's key is no witness's, a mistyped one is none, and nothing unknown is passed over."""
    public = make(tmp_path, "daxa.test", NOW)
    path = tmp_path / "verification.json"
    assert read_verification_keys(path) == public
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {name: value}))
    with pytest.raises(ConfigurationError) as caught:
        read_verification_keys(path)
    assert f"verification.json: {said}" in str(caught.value)


def test_a_logs_key_is_no_witnesss(tmp_path: Path) -> None:
    """Each is read in its place alone: a cosignature by the log itself would witness nothing."""
    public = make(tmp_path, "daxa.test", NOW)
    with pytest.raises(ConfigurationError, match=r"witnesses\[0\]"):
        VerificationKeys.from_json(dataclasses.replace(public, witnesses=(public.log,)).to_json())


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    """A second key for the log would fork it for everybody."""
    make(tmp_path, "daxa.test", NOW)
    with pytest.raises(ConfigurationError, match="signing.json: a file that is not there yet"):
        make(tmp_path, "daxa.test", NOW)

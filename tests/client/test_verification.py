"""What the client believes of the registry's verdicts: signed for it, by a key that it has, over these bytes, and not older."""

from __future__ import annotations

import itertools
import logging

import peers
import pytest

from daxa_api.v1 import sighting_pb2, types_pb2, verdict_pb2
from daxa_client import CryptoError, ErrorCode, Level, RawSighting, RegistryClient, Unavailable
from daxa_core import envelope
from daxa_core.envelope import VERDICT_TYPE, SigningKey, verify_bytes

STRANGER = SigningKey(b"s" * 32)
HOUR = 495_000


def broken(kind: str, key: bytes, sequence: int) -> types_pb2.Envelope:
    """A verdict's envelope with one thing wrong."""
    good = peers.verdict(key, sequence)
    plain = types_pb2.Verdict.FromString(good.payload)
    if kind == "unsigned":
        del good.signatures[:]
    elif kind == "by a stranger":
        return peers.signed(plain, STRANGER)
    elif kind == "re-signed under our key's name":
        good.signatures[0].sig = STRANGER.sign(VERDICT_TYPE, good.payload).signatures[0].signature
    elif kind == "altered":
        plain.level = types_pb2.LEVEL_CLEAR
        good.payload = plain.SerializeToString()
    elif kind == "cut":
        good.payload = good.payload[:-1]
    elif kind == "signature cut":
        good.signatures[0].sig = good.signatures[0].sig[:-1]
    elif kind == "another member's":
        return peers.verdict(key, sequence, member="bithumb")
    elif kind == "of another type":
        good.payload_type = "application/json"
    elif kind == "signed, and no verdict":
        return peers.signed(types_pb2.Verdict(key=b"short", member="upbit"))
    return good


BROKEN = {
    "unsigned": ErrorCode.UNSIGNED_ENVELOPE,
    "by a stranger": ErrorCode.FOREIGN_ENVELOPE,
    "re-signed under our key's name": ErrorCode.INVALID_SIGNATURE,
    "altered": ErrorCode.INVALID_SIGNATURE,
    "cut": ErrorCode.INVALID_ENVELOPE,
    "signature cut": ErrorCode.INVALID_ENVELOPE,
    "another member's": ErrorCode.FOREIGN_ENVELOPE,
    "of another type": ErrorCode.FOREIGN_ENVELOPE,
    "signed, and no verdict": ErrorCode.INVALID_ENVELOPE,
}


def looks_up(registry: peers.Registry, *verdicts: types_pb2.Envelope) -> None:
    registry.look_up = lambda request: verdict_pb2.BatchGetVerdictsResponse(verdicts=verdicts)


def element(client: RegistryClient, key: str) -> bytes:
    return client.verdicts([key])[key].key


@pytest.mark.parametrize("kind", BROKEN)
def test_a_look_up_believes_none_of_these(client: RegistryClient, registry: peers.Registry, kind: str) -> None:
    """Each has its own code, and no verdict comes out beside it."""
    looks_up(registry, broken(kind, element(client, "key-1"), 1))
    with pytest.raises(CryptoError) as caught:
        client.verdicts(["key-1"])
    assert BROKEN[kind] is caught.value.code


@pytest.mark.parametrize("kind", BROKEN)
def test_a_watch_stops_at_any_of_these(client: RegistryClient, registry: peers.Registry, kind: str) -> None:
    """What came before it is told, it and what comes after it is not."""
    key = b"k" * 32
    registry.streams = [[[peers.verdict(key, 1), broken(kind, key, 2), peers.verdict(key, 3)]]]
    got = []
    with pytest.raises(CryptoError) as caught:
        got.extend(verdict.sequence for verdict in client.watch())
    assert got == [1]
    assert BROKEN[kind] is caught.value.code


@pytest.mark.parametrize("kind", BROKEN)
def test_sightings_stay_taken_when_the_answers_verdict_is_not_believed(
    client: RegistryClient, registry: peers.Registry, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """The result counts them and says why the verdict is not believed; the key is not shown as CLEAR in its place."""
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse(
        accepted=2, verdicts=[broken(kind, request.sightings[0].key, 1), peers.verdict(request.sightings[1].key, 2)]
    )
    with caplog.at_level(logging.ERROR, "daxa_client"):
        result = client.submit([RawSighting(f"key-{n}", "121.130.1.1", HOUR) for n in range(2)])
    assert result.accepted == 2
    assert [error.code for error in result.distrusted] == [BROKEN[kind]]
    assert {key: verdict.level for key, verdict in result.verdicts.items()} == {"key-1": Level.WARN}
    assert "key-" not in caplog.text
    assert str(BROKEN[kind]) in caplog.text


def test_answers_that_are_not_believed_are_a_line_an_hour(
    client: RegistryClient, registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """A registry that signs wrongly does so in every answer; each is told to the caller, each kind once in the log."""
    kinds = iter([*["by a stranger"] * 5, "unsigned"])
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse(
        accepted=1, verdicts=[broken(next(kinds), request.sightings[0].key, 1)]
    )
    with caplog.at_level(logging.ERROR, "daxa_client"):
        for n in range(6):
            assert client.submit([RawSighting(f"key-{n}", "121.130.1.1", HOUR)]).distrusted
    told = [line.partition(" verdicts are not believed: ")[2].partition(":")[0] for line in caplog.messages]
    assert told == ["FOREIGN_ENVELOPE", "UNSIGNED_ENVELOPE"]


def test_an_older_verdict_than_one_seen_before_is_a_replay(client: RegistryClient, registry: peers.Registry) -> None:
    """Well signed, and once true: but this client has seen a later one, by watching, looking up or submitting."""
    key = element(client, "key-1")
    registry.streams = [[[peers.verdict(key, sequence) for sequence in (1, 2, 3)]]]
    assert [verdict.sequence for verdict in itertools.islice(client.watch(), 3)] == [1, 2, 3]
    looks_up(registry, peers.verdict(key, 3))
    assert client.verdicts(["key-1"])["key-1"].sequence == 3
    for stale in ([peers.verdict(key, 2)], []):
        looks_up(registry, *stale)
        with pytest.raises(CryptoError) as caught:
            client.verdicts(["key-1"])
        assert caught.value.code is ErrorCode.REPLAYED_ENVELOPE
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse(accepted=1, verdicts=[peers.verdict(key, 1)])
    result = client.submit([RawSighting("key-1", "121.130.1.1", HOUR)])
    assert [error.code for error in result.distrusted] == [ErrorCode.REPLAYED_ENVELOPE]
    assert result.verdicts == {}


def test_a_later_verdict_that_comes_while_a_look_up_is_under_way_makes_no_replay(
    client: RegistryClient, registry: peers.Registry
) -> None:
    """The registry answered before the change; the change came in by another way before the answer."""
    key = element(client, "key-1")

    def meanwhile(request: verdict_pb2.BatchGetVerdictsRequest) -> verdict_pb2.BatchGetVerdictsResponse:
        client._verifier.read(peers.verdict(key, 2))
        return verdict_pb2.BatchGetVerdictsResponse(verdicts=[peers.verdict(key, 1)])

    registry.look_up = meanwhile
    assert client.verdicts(["key-1"])["key-1"].sequence == 1


def test_a_verdict_carries_its_envelope_and_a_clear_key_has_none(
    client: RegistryClient, registry: peers.Registry
) -> None:
    """What an exchange keeps to show to others later is what was signed, to the byte."""
    key = element(client, "key-1")
    sent = peers.verdict(key, 1)
    looks_up(registry, sent)
    got = client.verdicts(["key-1", "key-2"])
    assert got["key-1"].envelope is not None
    assert got["key-1"].envelope.payload == sent.payload
    assert (got["key-2"].level, got["key-2"].sequence, got["key-2"].envelope) == (Level.CLEAR, 0, None)


def test_two_verdicts_on_one_key_are_no_answer(client: RegistryClient, registry: peers.Registry) -> None:
    """Which of two to act on is not this client's to choose."""
    key = element(client, "key-1")
    looks_up(registry, peers.verdict(key, 1), peers.verdict(key, 2))
    with pytest.raises(Unavailable, match="INTERNAL: registry"):
        client.verdicts(["key-1"])


@pytest.mark.parametrize("kind", BROKEN)
def test_an_envelope_is_verified_once_and_vouches_for_no_other_bytes(
    client: RegistryClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The same envelope comes with each batch that names its key; one that differs in anything is verified, and refused."""
    looks: list[bytes] = []
    monkeypatch.setattr(envelope, "verify_bytes", lambda *given: looks.append(given[1]) or verify_bytes(*given))
    key = b"k" * 32
    for _ in range(3):
        assert client._verifier.read(peers.verdict(key, 1)).sequence == 1
    assert len(looks) == 1
    for _ in range(2):
        with pytest.raises(CryptoError) as caught:
            client._verifier.read(broken(kind, key, 1))
        assert BROKEN[kind] is caught.value.code


def test_what_was_seen_is_bounded(client: RegistryClient) -> None:
    """The oldest is forgotten; memory does not grow with the number of keys."""
    client._verifier._remembered = 10
    keys = [bytes([n]) * 32 for n in range(30)]
    for sequence, key in enumerate(keys, 1):
        client._verifier.read(peers.verdict(key, sequence))
    assert client._verifier.known(keys) == {key: n for n, key in enumerate(keys, 1) if n > 20}

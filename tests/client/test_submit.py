"""Submitting: what goes out is fingerprints, what is wrong is refused by its place, what was lost is sent again once."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import peers
import pytest

import deployment
from daxa_api.v1 import sighting_pb2, types_pb2
from daxa_client import (
    ClientConfig,
    Device,
    ErrorCode,
    InvalidInput,
    Level,
    Manner,
    RawSighting,
    Refused,
    RegistryClient,
    SubmitInterrupted,
    Unavailable,
)
from daxa_client._retry import ATTEMPTS
from daxa_core import codec
from daxa_core.canonical import canonical_holder
from daxa_core.model import Kind
from daxa_core.pseudonym import account_pseudonym

HOUR = 495_000
DEVICE = Device("ccxt/4.4.98", "t13d1516h2_8daaf6152771_02713d6af862", (("X-Library", "9"),))


GONE = 3 * ATTEMPTS
"""Calls that have to be lost: gRPC makes each attempt again."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.001)


def sighting(number: int = 0, **changes: object) -> RawSighting:
    plain = RawSighting(f"key-{number}", "121.130.1.1", HOUR)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_every_field_arrives_as_it_should(client: RegistryClient, registry: peers.Registry) -> None:
    """Fingerprints of each kind, the account's pseudonym under the member's own secret, hour, count and manner as given."""
    full = sighting(device=DEVICE, holder=b"CI", account="17", count=9, manner=Manner.REJECTED)
    result = client.submit([full, sighting(1)])
    (batch,) = registry.batches
    assert (result.accepted, result.refusals) == (2, ())
    assert (len(batch.batch_id), batch.member, batch.key_version, batch.canonical_version) == (16, "upbit", 1, 1)
    first, second = (codec.read_sighting(message) for message in batch.sightings)
    assert (first.hour, first.count, first.manner) == (HOUR, 9, Manner.REJECTED)
    assert account_pseudonym(client._config.account_secret, "17") == first.account
    holder = client._fingerprinter.fingerprints(Kind.HOLDER, [canonical_holder(b"CI")])
    assert list(holder.values()) == [first.holder]
    parts = {first.key, first.address, first.network, first.device, first.holder}
    assert len(parts) == 5
    assert (first.address, first.network) == (second.address, second.network)
    assert (second.device, second.holder, second.account) == (None, None, None)


WRONG: list[tuple[dict[str, object], str, str]] = [
    ({"key": ""}, "INVALID_KEY", "key"),
    ({"key": "two words"}, "INVALID_KEY", "key"),
    ({"key": None}, "INVALID_KEY", "key"),
    ({"address": "10.0.0.1"}, "INVALID_ADDRESS", "address"),
    ({"address": "nowhere"}, "INVALID_ADDRESS", "address"),
    ({"address": 0x08080808}, "INVALID_ADDRESS", "address"),
    ({"device": Device()}, "INVALID_DEVICE", "device"),
    ({"device": "curl"}, "INVALID_DEVICE", "device"),
    ({"device": Device(user_agent=7)}, "INVALID_DEVICE", "device"),  # type: ignore[arg-type]
    ({"device": Device("a", None, (("one",),))}, "INVALID_DEVICE", "device"),  # type: ignore[arg-type]
    ({"device": Device(["curl"])}, "INVALID_DEVICE", "device"),  # type: ignore[arg-type]
    ({"holder": b""}, "INVALID_HOLDER", "holder"),
    ({"holder": 7}, "INVALID_HOLDER", "holder"),
    ({"account": ""}, "INVALID_ACCOUNT", "account"),
    ({"account": 17}, "INVALID_ACCOUNT", "account"),
    ({"hour": -1}, "HOUR_OUT_OF_WINDOW", "hour"),
    ({"hour": 2**32}, "HOUR_OUT_OF_WINDOW", "hour"),
    ({"hour": 4.5}, "HOUR_OUT_OF_WINDOW", "hour"),
    ({"count": 0}, "COUNT_OUT_OF_RANGE", "count"),
    ({"count": True}, "COUNT_OUT_OF_RANGE", "count"),
    ({"count": 10**9 + 1}, "COUNT_OUT_OF_RANGE", "count"),
    ({"count": 2, "manner": Manner.DECLARED}, "COUNT_OUT_OF_RANGE", "count"),
    ({"manner": "USED"}, "UNKNOWN_MANNER", "manner"),
]


def test_what_cannot_be_canonicalised_is_refused_by_its_place(client: RegistryClient, registry: peers.Registry) -> None:
    """Each wrong item is refused with code, field and its place in the caller's list; all the others are sent."""
    items = [item for changes, _, _ in WRONG for item in (sighting(), sighting(**changes))]
    result = client.submit([*items, "no sighting"])  # type: ignore[list-item]
    wanted = [(2 * i + 1, code, field) for i, (_, code, field) in enumerate(WRONG)]
    wanted.append((len(items), "INVALID_VALUE", "sighting"))
    assert wanted == [(refusal.index, refusal.code, refusal.field) for refusal in result.refusals]
    assert result.accepted == len(WRONG) == len(registry.batches[0].sightings)


def test_a_device_that_cannot_be_hashed_is_the_one_that_it_says(
    client: RegistryClient, registry: peers.Registry
) -> None:
    """Headers given as a list have the canonical form of the same ones in a tuple, and no bare TypeError comes of them."""
    listed = DEVICE._replace(headers=list(DEVICE.headers))  # type: ignore[arg-type]
    result = client.submit([sighting(device=DEVICE), sighting(1, device=listed)])
    assert (result.accepted, result.refusals) == (2, ())
    first, second = registry.batches[0].sightings
    assert first.device
    assert first.device == second.device


def test_nothing_to_send_asks_nobody(
    client: RegistryClient, registry: peers.Registry, evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]]
) -> None:
    """An empty list, and one of wrong items alone, are answered here."""
    assert client.submit([]).accepted == 0
    assert len(client.submit([sighting(key="")]).refusals) == 1
    assert client.verdicts([]) == {}
    assert registry.batches == []
    assert all(not servicer.calls for servicer in evaluators[1].values())


def test_refusals_of_the_registry_are_told_by_the_callers_places(
    client: RegistryClient, registry: peers.Registry
) -> None:
    """Places in a batch become places in the list, past items that were refused here and across batches."""
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse(
        accepted=len(request.sightings) - 1,
        refusals=[types_pb2.Refusal(index=2, code="HOUR_OUT_OF_WINDOW", field="hour", expected="not so late")],
    )
    result = client.submit([sighting(key=""), *(sighting(n % 5) for n in range(1_500))])
    assert [len(batch.sightings) for batch in registry.batches] == [1_000, 500]
    assert [refusal.index for refusal in result.refusals] == [0, 3, 1_003]
    assert result.accepted == 1_498
    assert set(result.verdicts) == {f"key-{n}" for n in range(5)}


def test_batches_are_within_the_wires_bounds(client: RegistryClient, registry: peers.Registry) -> None:
    """The largest sightings there can be, 1,000 in a batch: under 1 MiB, each batch with an id of its own."""
    big = sighting(hour=2**32 - 1, count=10**9, device=DEVICE, holder=b"x", account="y")
    client.submit([big] * 3_001)
    assert [len(batch.sightings) for batch in registry.batches] == [1_000, 1_000, 1_000, 1]
    assert max(batch.ByteSize() for batch in registry.batches) < 1 << 18
    assert len({batch.batch_id for batch in registry.batches}) == 4


def test_verdicts_come_back_by_raw_key(client: RegistryClient, registry: peers.Registry) -> None:
    """Two spellings of one key both get its verdict; a key that is not listed is CLEAR; a refused one is not there."""
    upper, lower = "A" * 32, "a" * 32
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse(
        accepted=3,
        refusals=[types_pb2.Refusal(index=3, code="INVALID_ELEMENT", field="key", expected="an element")],
        verdicts=[peers.verdict(request.sightings[0].key, 4)],
    )
    result = client.submit([sighting(key=upper), sighting(key=lower), sighting(7), sighting(8)])
    assert {upper: Level.WARN, lower: Level.WARN, "key-7": Level.CLEAR} == {
        key: verdict.level for key, verdict in result.verdicts.items()
    }
    assert client.raw_key(result.verdicts["key-7"].key) == "key-7"
    assert client.raw_key(b"\x01" * 32) is None


@pytest.mark.parametrize("fault", ["lost", "late", Refused(ErrorCode.OVERLOADED, "", "less", retry_after=0.01)])
def test_a_lost_answer_is_asked_for_again_with_the_same_id(
    deployed: Path, configured: Callable[..., ClientConfig], fault: Exception | str
) -> None:
    """The registry knows the batch by its id and counts it once, whatever was lost on the way."""
    servicer = peers.Registry()
    servicer.errors = [fault, fault]
    with (
        peers.registry(deployed, servicer) as target,
        peers.evaluators(deployed, 1, 2) as (targets, _),
        RegistryClient(configured(targets=(target,), evaluators=targets)) as client,
    ):
        if fault == "late":
            client._registry._config = dataclasses.replace(client._registry._config, deadline_seconds=1.0)
        assert client.submit([sighting()]).accepted == 1
    assert len(servicer.batches) == 3 or (fault == "late" and len(servicer.batches) > 3), "a slow machine is late too"
    assert len({batch.SerializeToString(deterministic=True) for batch in servicer.batches}) == 1


def test_what_the_registry_asks_for_is_waited(client: RegistryClient, registry: peers.Registry) -> None:
    """RetryInfo is honoured: not sooner."""
    registry.errors = [Unavailable(ErrorCode.UNAVAILABLE, "store", "free", retry_after=0.4)]
    started = time.monotonic()
    client.verdicts(["a" * 40])
    assert time.monotonic() - started >= 0.4


def test_what_cannot_be_mended_by_trying_again_is_told_at_once(
    client: RegistryClient, registry: peers.Registry
) -> None:
    """A refusal of the batch as a whole is raised after one call."""
    registry.errors = [InvalidInput(ErrorCode.BATCH_ID_REUSED, "batch_id", "another id")]
    with pytest.raises(InvalidInput, match="BATCH_ID_REUSED"):
        client.submit([sighting()])
    registry.errors = [Refused(ErrorCode.MEMBER_MISMATCH, "member", "the name in the certificate")]
    with pytest.raises(Refused, match="MEMBER_MISMATCH"):
        client.submit([sighting()])
    assert len(registry.batches) == 2


def test_a_submission_cut_in_two_says_what_was_taken(client: RegistryClient, registry: peers.Registry) -> None:
    """When the registry goes away between batches, the error carries the result so far and the places to submit again."""
    registry.errors = [None, *["lost"] * GONE]
    with pytest.raises(SubmitInterrupted) as caught:
        client.submit([sighting(key=""), *(sighting(n % 5) for n in range(2_500))])
    assert isinstance(caught.value, Unavailable)
    assert caught.value.result.accepted == 1_000
    assert tuple(range(1_001, 2_501)) == caught.value.unsent
    assert [refusal.index for refusal in caught.value.result.refusals] == [0]
    registry.errors = ["lost"] * GONE
    with pytest.raises(Unavailable) as first:
        client.submit([sighting()])
    assert type(first.value) is Unavailable


@pytest.mark.parametrize(
    "answer",
    [
        {"accepted": 1},
        {"accepted": 3},
        {"accepted": 1, "refusals": [types_pb2.Refusal(index=2, code="X")]},
        {"accepted": 2, "verdicts": [peers.verdict(b"f" * 32, 1)]},
    ],
)
def test_an_answer_that_cannot_be_is_an_error_of_the_registry(
    client: RegistryClient, registry: peers.Registry, answer: dict[str, object]
) -> None:
    """Counts that do not add up, places and keys that were not asked: Unavailable INTERNAL, never a KeyError."""
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse(**answer)  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="INTERNAL: registry: an answer"):
        client.submit([sighting(0), sighting(1)])


def test_a_look_up_that_cannot_be_is_an_error_of_the_registry(client: RegistryClient, registry: peers.Registry) -> None:
    """A key twice, or one that was not asked about."""
    from daxa_api.v1 import verdict_pb2

    def reply(*verdicts: types_pb2.Envelope) -> None:
        registry.look_up = lambda request: verdict_pb2.BatchGetVerdictsResponse(verdicts=verdicts)  # type: ignore[assignment]
        with pytest.raises(Unavailable, match="INTERNAL: registry: an answer"):
            client.verdicts(["key-0", "key-1"])

    client.submit([sighting(0), sighting(1)])
    first, second = (message.key for message in registry.batches[0].sightings)
    reply(peers.verdict(first, 1), peers.verdict(second, 2), peers.verdict(first, 3))
    reply(peers.verdict(first, 4), peers.verdict(b"f" * 32, 5))


def test_many_keys_are_looked_up_in_pages(client: RegistryClient) -> None:
    """2,100 keys are three calls; each key is in the answer once; a wrong one is named by its place before any call."""
    got = client.verdicts(f"key-{n % 2_100}" for n in range(2_500))
    assert len(got) == 2_100
    assert {verdict.level for verdict in got.values()} == {Level.CLEAR}
    with pytest.raises(InvalidInput) as caught:
        client.verdicts(["fine", "not fine"])
    assert caught.value.field == "keys[1].key"


def test_another_registry_takes_over(deployed: Path, configured: Callable[..., ClientConfig]) -> None:
    """Of several targets the next is used when one is down."""
    servicer = peers.Registry()
    with peers.registry(deployed, servicer) as target, peers.evaluators(deployed, 1, 2) as (targets, _):
        config = configured(targets=("127.0.0.1:1", "localhost:1", target), evaluators=targets)
        with RegistryClient(config) as client:
            assert client.submit([sighting()]).accepted == 1
            client.submit([sighting()])
    assert len(servicer.batches) == 2


def test_a_registry_that_comes_back_is_found(
    deployed: Path, configured: Callable[..., ClientConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restarted at the same port between two calls: the second call goes through by itself, as soon as it is connected again."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.2)
    servicer = peers.Registry()
    with peers.evaluators(deployed, 1, 2) as (targets, _):
        (port,) = deployment.free_ports(1)
        with peers.registry(deployed, servicer, port) as target:
            client = RegistryClient(configured(targets=(target,), evaluators=targets))
            client.submit([sighting()])
        with peers.registry(deployed, servicer, port):
            assert client.submit([sighting()]).accepted == 1
            client.close()


def test_threads_may_share_a_client(client: RegistryClient, registry: peers.Registry) -> None:
    """Eight threads submit at once; every sighting arrives once."""
    failed: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for n in range(5):
                assert client.submit([sighting(start + n), sighting(start)]).accepted == 2
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    threads = [threading.Thread(target=work, args=(100 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sum(len(batch.sightings) for batch in registry.batches) == 80
    assert len({s.key for batch in registry.batches for s in batch.sightings}) == 40


SECRETS = ("sk-raw-key-material", "121.130.77.88", "raw agent string", "raw-holder-ci", "raw-account-no")


def test_nothing_raw_is_logged_raised_or_shown(
    client: RegistryClient,
    registry: peers.Registry,
    evaluators: tuple[dict[int, str], dict[int, peers.Evaluator]],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Through success, refusal, a liar, an outage and a wrong answer: no identifier in a log, an error, a repr or a file."""
    caplog.set_level(logging.DEBUG)
    key, address, agent, holder, account = SECRETS
    raw = RawSighting(key, address, HOUR, device=Device(agent), holder=holder.encode(), account=account)
    told: list[str] = [repr(raw)]
    evaluators[1][1].lie = evaluators[1][2].lie = "one element swapped"
    wrong = [
        dataclasses.replace(raw, key=key + " "), dataclasses.replace(raw, address=address + ".1"),
        dataclasses.replace(raw, device=Device(agent + "\n")), dataclasses.replace(raw, holder=holder.encode() * 99),
        dataclasses.replace(raw, account=account * 99), dataclasses.replace(raw, hour=-5),
    ]  # fmt: skip
    with RegistryClient(client._config) as unlucky, pytest.raises(Unavailable) as outage:
        unlucky.submit([raw, *wrong])
    evaluators[1][2].lie = ""  # whoever finds one liar goes on with the other two
    result = client.submit([raw, *wrong])
    assert (result.accepted, len(result.refusals)) == (1, 6)
    told += [repr(result), str(outage.value), repr(outage.value), repr(client), repr(client.health())]
    registry.errors = ["odd"] * ATTEMPTS
    with pytest.raises(Unavailable) as odd:
        client.submit([raw])
    registry.answer = lambda request: sighting_pb2.SubmitSightingsResponse()
    with pytest.raises(Unavailable) as malformed:
        client.submit([raw])
    with pytest.raises(InvalidInput) as refused:
        client.verdicts([key + " "])
    told += [str(e.value) + repr(e.value) for e in (odd, malformed, refused)]
    prepared = [repr(value) for value in vars(client).values()]
    text = "\n".join([*told, *prepared, caplog.text, *(repr(vars(record)) for record in caplog.records)])
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    sent = b"".join(batch.SerializeToString() for batch in registry.batches)
    for secret in SECRETS:
        assert secret not in text
        assert secret.encode() not in stored + sent
    assert bytes([121, 130, 77, 88]) not in stored + sent
    assert client._config.account_secret.hex() not in text

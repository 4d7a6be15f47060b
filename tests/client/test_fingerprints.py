"""Fingerprints of any t of n evaluators: the same whoever serves, and never from one that lies."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import peers
import pytest

import deployment
from daxa_client import ClientConfig, CryptoError, ErrorCode, Refused, Unavailable
from daxa_client._cache import FingerprintCache
from daxa_client._config import read_config
from daxa_client._fingerprints import BATCH, TOGETHER, Fingerprinter
from daxa_client._standing import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Standing
from daxa_core import group, oprf, threshold
from daxa_core.model import Kind
from daxa_registry.bootstrap import evaluator_server
from daxa_registry.config import read_evaluator

Running = tuple[dict[int, str], dict[int, peers.Evaluator]]


def fingerprinter(config: ClientConfig) -> Fingerprinter:
    return Fingerprinter(config, FingerprintCache(config.cache, config.account_secret, config.parameters.digest))


@pytest.fixture
def prints(configured: Callable[..., ClientConfig], evaluators: Running) -> Iterator[Fingerprinter]:
    """A fingerprinter before three evaluators, asking 1 and 2 first, without a cache on disk."""
    made = fingerprinter(configured(evaluators=evaluators[0], cache=None))
    made.standing = Standing([1, 2, 3], first=0)
    yield made
    made.close()


def whole_key(running: Running, kind: Kind) -> bytes:
    """The key that nobody holds, from two shares."""
    shares = {i: group.scalar_int(running[1][i].share.shares[kind]) for i in (1, 2)}
    weights = threshold.lagrange_coefficients(shares)
    return group.scalar_bytes(sum(weights[i] * shares[i] for i in shares))


@pytest.mark.parametrize("down", [None, 1, 2, 3])
def test_any_two_of_three_give_the_key_times_the_input(prints: Fingerprinter, evaluators: Running, down: int) -> None:
    """Whoever is down, the fingerprint is k·H(x) under the key that is nowhere, for every kind."""
    if down:
        evaluators[1][down].error = Unavailable(ErrorCode.UNAVAILABLE, "store", "a disk")
    for kind in Kind:
        value = b"daxa\x01" + bytes([kind]) + b"value"
        wanted = group.multiply(whole_key(evaluators, kind), oprf.hash_input(value))
        assert prints.fingerprints(kind, [value, value]) == {value: wanted}


def test_real_evaluators_give_the_same(deployed: Path, tmp_path: Path, configured: Callable[..., ClientConfig]) -> None:
    """DAXA's own evaluators and the test's answer alike, and what is cached is not asked again, across restarts."""
    homes = [deployed / f"evaluators/{i}/evaluator.toml" for i in (1, 2, 3)]
    plain = read_config(deployed / "members/upbit/client.toml")
    values = {kind: [b"daxa\x01" + bytes([kind]) + b"%d" % n for n in range(5)] for kind in Kind}
    with deployment.in_process(*(partial(evaluator_server, read_evaluator(home)) for home in homes)):
        first = fingerprinter(configured(evaluators=plain.evaluators))
        real = first.of_all(values)
        first.close()
    with peers.evaluators(deployed, 1, 2, 3) as (targets, servicers):
        cached = fingerprinter(configured(evaluators=targets))
        assert real == cached.of_all(values)
        assert sum(len(s.calls) for s in servicers.values()) == 0
        cached.close()
        fresh = fingerprinter(configured(evaluators=targets, cache=None))
        assert real == fresh.of_all(values)
        fresh.close()


def test_what_is_being_asked_is_not_asked_again(prints: Fingerprinter, evaluators: Running) -> None:
    """Four submissions at once of the same values: each value is evaluated once, and all four have it."""
    values = [b"daxa\x01\x01%d" % n for n in range(2 * BATCH)]
    for servicer in evaluators[1].values():
        servicer.seconds = 0.1
    found: list[dict[bytes, bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(prints.of_all({Kind.KEY: values}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert all(one == found[0] and len(one) == len(values) for one in found)
    assert len(evaluators[1][1].seen) == len(values) + 2, "and a question about each of two batches"


def test_who_waits_for_anothers_answer_hears_what_went_wrong(prints: Fingerprinter, evaluators: Running) -> None:
    """The evaluators fail, or the client is closed, while others wait: everybody is told, and nobody waits for ever."""
    for servicer in evaluators[1].values():
        servicer.seconds, servicer.error = 0.2, Unavailable(ErrorCode.UNAVAILABLE, "store", "a disk")
    errors: list[Exception] = []

    def ask(number: int) -> None:
        try:
            prints.of_all({Kind.KEY: [b"daxa\x01\x01%d" % n for n in range(number)]})
        except Unavailable as error:
            errors.append(error)

    for closing in (False, True):
        errors.clear()
        threads = [threading.Thread(target=ask, args=(n * BATCH,)) for n in (1, 3, 8, 8)]
        for thread in threads:
            thread.start()
        if closing:
            time.sleep(0.1)
            prints.close()
        for thread in threads:
            thread.join(60)
        assert len(errors) == 4
    assert prints._under_way == {}


def test_who_came_first_waits_for_nothing_that_a_later_one_claims(
    prints: Fingerprinter, evaluators: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All kinds of a call are claimed together: of two that want the same, the first waits for none of the second's."""
    values = {kind: [b"daxa\x01" + bytes([kind]) + b"both"] for kind in (Kind.KEY, Kind.ADDRESS)}
    later = threading.Thread(target=prints.of_all, args=(dict(reversed(values.items())),))
    claim, evaluate, waited, claimed = prints._claim, prints._evaluate, [], threading.Event()

    def held(kind: Kind, inputs: list[bytes]) -> Any:
        claimed.wait(60)
        return evaluate(kind, inputs)

    def watched(kind: Kind, distinct: list[bytes], known: Any, others: Any) -> Any:
        made = claim(kind, distinct, known, others)
        if threading.current_thread() is not later:
            waited.append(list(others))
            if later.ident is None:
                later.start()
                later.join(0.3)  # long enough to claim the other kind, if it could
            else:
                claimed.set()
        return made

    monkeypatch.setattr(prints, "_claim", watched)
    monkeypatch.setattr(prints, "_evaluate", held)
    prints.of_all(values)
    later.join(60)
    assert waited == [[], []]


def test_what_is_known_is_not_asked_again(prints: Fingerprinter, evaluators: Running) -> None:
    """The second time costs no quota; of a mixture only what is new is asked, each once."""
    prints.fingerprints(Kind.KEY, [b"a", b"b", b"a"])
    prints.fingerprints(Kind.KEY, [b"b", b"a"])
    prints.fingerprints(Kind.KEY, [b"a", b"c", b"c", b"b"])
    assert [(Kind.KEY, 2), (Kind.KEY, 1)] == evaluators[1][1].calls == evaluators[1][2].calls
    assert evaluators[1][3].calls == []


def test_batches_are_bounded_and_run_side_by_side(prints: Fingerprinter, evaluators: Running) -> None:
    """600 values are three batches, and with two cores or more an evaluator has two of them at once, or would not answer."""
    for servicer in evaluators[1].values():
        servicer.until = lambda asked=servicer: asked.most_at_once >= min(os.cpu_count() or 1, 2)  # type: ignore[misc]
    got = prints.fingerprints(Kind.ADDRESS, [b"%d" % n for n in range(600)])
    assert len(set(got.values())) == 600
    assert sorted(number for _, number in evaluators[1][1].calls) == [1, 1, 1, 600 - 2 * BATCH, BATCH, BATCH]


def test_elements_are_blinded_afresh(prints: Fingerprinter, evaluators: Running) -> None:
    """An evaluator cannot tell that it was asked for the same value twice."""
    prints._cache.get = lambda canonicals: {}  # type: ignore[method-assign]
    prints.fingerprints(Kind.KEY, [b"x"])
    prints.fingerprints(Kind.KEY, [b"x"])
    assert len(set(evaluators[1][1].seen)) == len(evaluators[1][1].seen) == 2


@pytest.mark.parametrize("number", [2, TOGETHER])
@pytest.mark.parametrize("lie", peers.LIES)
def test_a_liar_is_named_and_never_asked_again(
    prints: Fingerprinter, evaluators: Running, caplog: pytest.LogCaptureFixture, lie: str, number: int
) -> None:
    """Whatever is wrong with its answer: another serves instead, the fingerprint is right, one line names the liar."""
    if number < TOGETHER and lie == "right where it is proved":
        return
    values = [b"%d" % n for n in range(number)]
    evaluators[1][1].lie = lie
    with caplog.at_level(logging.INFO, "daxa_client"):
        got = prints.fingerprints(Kind.DEVICE, values)
        evaluators[1][1].lie = ""
        calls = len(evaluators[1][1].calls)
        prints.fingerprints(Kind.DEVICE, [b"z"])
    wanted = {x: group.multiply(whole_key(evaluators, Kind.DEVICE), oprf.hash_input(x)) for x in values}
    assert wanted == got
    assert len(evaluators[1][1].calls) == calls <= 2
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("evaluator 1 answered wrongly and is not asked again by this process: ")
    health = prints.standing.health()
    assert health["evaluator 1"] != "ok"
    assert (health["evaluator 2"], health["evaluator 3"]) == ("ok", "ok")


def test_a_large_batch_is_proved_by_one_element(prints: Fingerprinter, evaluators: Running) -> None:
    """Asked without a proof, and then about one element with it, which is none of the batch; a small one with its own proof."""
    prints.fingerprints(Kind.KEY, [b"%d" % n for n in range(TOGETHER)])
    prints.fingerprints(Kind.KEY, [b"small %d" % n for n in range(TOGETHER - 1)])
    for index in (1, 2):
        asked = evaluators[1][index]
        assert asked.calls == [(Kind.KEY, TOGETHER), (Kind.KEY, 1), (Kind.KEY, TOGETHER - 1)]
        assert asked.unproved == [TOGETHER]
        assert len(set(asked.seen)) == 2 * TOGETHER
    assert evaluators[1][1].seen[TOGETHER] == evaluators[1][2].seen[TOGETHER]


@pytest.mark.parametrize("how", ["down", "refused"])
def test_who_fails_between_an_answer_and_its_proof_is_replaced(
    prints: Fingerprinter, evaluators: Running, how: str
) -> None:
    """The batch is asked again, with proofs."""
    error = (
        Unavailable(ErrorCode.UNAVAILABLE, "store", "a disk")
        if how == "down"
        else Refused(ErrorCode.QUOTA_EXHAUSTED, "blinded_elements", "no more", retry_after=60.0)
    )
    evaluators[1][1].later_error = error
    values = [b"%d" % n for n in range(TOGETHER)]
    got = prints.fingerprints(Kind.KEY, values)
    assert got == {x: group.multiply(whole_key(evaluators, Kind.KEY), oprf.hash_input(x)) for x in values}
    assert prints.standing.health()["evaluator 1"] != "ok"
    assert evaluators[1][3].calls == [(Kind.KEY, TOGETHER)]


def test_two_liars_of_three_are_too_many(prints: Fingerprinter, evaluators: Running) -> None:
    """No fingerprint is made of fewer than t honest answers; the error says who and why."""
    evaluators[1][1].lie = "another key, well proved"
    evaluators[1][3].lie = "one element too few"
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            prints.fingerprints(Kind.KEY, [b"x"])
        assert caught.value.code is ErrorCode.NOT_ENOUGH_EVALUATORS
        assert "2 evaluators that answer rightly, got 1" in caught.value.expected
        assert "evaluator 1: INVALID_PROOF" in caught.value.expected
        assert "evaluator 3: INVALID_PROOF" in caught.value.expected
        assert caught.value.retry_after is not None
    assert prints._cache.get([b"x"]) == {}


def test_a_down_one_is_passed_over_and_comes_back(
    prints: Fingerprinter, evaluators: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked after the others while it rests, one line says so, and another when it serves again."""
    now = [1_000.0]
    prints.standing = Standing([1, 2, 3], first=0, clock=lambda: now[0])
    evaluators[1][1].error = Unavailable(ErrorCode.UNAVAILABLE, "quota", "a file")
    with caplog.at_level(logging.INFO, "daxa_client"):
        for n in range(3):
            prints.fingerprints(Kind.KEY, [b"%d" % n])
        assert len(evaluators[1][1].calls) == 1
        evaluators[1][1].error = None
        now[0] += FIRST_REST_SECONDS + 1
        prints.fingerprints(Kind.KEY, [b"back"])
    assert len(evaluators[1][1].calls) == 2
    assert [told for told in caplog.messages if "request id" not in told] == [
        "evaluator 1 is passed over for a while: UNAVAILABLE: quota: a file",
        "evaluator 1 serves again",
    ]
    assert set(prints.standing.health().values()) == {"ok"}


def test_one_that_comes_and_goes_is_a_line_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred times in an hour, for the same reason; another reason, and another evaluator, are told too."""
    now = [1_000.0]
    standing = Standing([1, 2], first=0, clock=lambda: now[0])
    away, full = (
        Unavailable(ErrorCode.UNAVAILABLE, "evaluator", "x"),
        Refused(ErrorCode.QUOTA_EXHAUSTED, "quota", "y"),
    )
    with caplog.at_level(logging.INFO, "daxa_client"):
        for _ in range(100):
            now[0] += 30
            standing.failed(1, Kind.KEY, away)
            standing.served(1, Kind.KEY)
        standing.failed(1, Kind.KEY, full)
        standing.failed(2, Kind.KEY, away)
        now[0] += 3_600
        standing.failed(1, Kind.KEY, away)
    line = "evaluator 1 is passed over for a while: UNAVAILABLE: evaluator: x"
    assert caplog.messages == [
        line,
        "evaluator 1 serves again",
        "evaluator 1 is passed over for a while: QUOTA_EXHAUSTED: quota: y",
        "evaluator 2 is passed over for a while: UNAVAILABLE: evaluator: x",
        f"{line} (99 more times since the last line)",
    ]


def test_a_slow_one_is_not_waited_for(configured: Callable[..., ClientConfig], evaluators: Running) -> None:
    """After a quarter of the deadline another is asked beside it; the slow one rests and is named."""
    made = fingerprinter(configured(evaluators=evaluators[0], cache=None))
    assert made._slow_seconds == made._config.deadline_seconds / 4
    made._slow_seconds = 0.5
    made.standing = Standing([1, 2, 3], first=0)
    answered, started = threading.Event(), time.monotonic()
    evaluators[1][2].until, evaluators[1][2].seconds = answered.is_set, 1.0
    made.fingerprints(Kind.KEY, [b"x"])
    made.fingerprints(Kind.KEY, [b"y"])
    assert time.monotonic() - started < made._config.deadline_seconds / 2, "it was waited for"
    answered.set()
    deployment.wait_for(lambda: made.standing.health()["evaluator 2"] != "ok")
    assert made.standing.health()["evaluator 2"] == "DEADLINE_EXCEEDED: evaluator 2: an answer within 0.5 seconds"
    made.close()


def test_one_that_never_answers_is_given_up(configured: Callable[..., ClientConfig], evaluators: Running) -> None:
    """With nobody else to ask, the deadline ends the waiting, and the error says which one and why."""
    made = fingerprinter(configured(evaluators={i: evaluators[0][i] for i in (1, 2)}, cache=None, deadline_seconds=0.4))
    evaluators[1][2].seconds = 1.0
    with pytest.raises(Unavailable, match="evaluator 2: DEADLINE_EXCEEDED") as caught:
        made.fingerprints(Kind.KEY, [b"x"])
    assert caught.value.code is ErrorCode.NOT_ENOUGH_EVALUATORS
    made.close()


def test_an_evaluator_of_another_key_version_is_replaced(prints: Fingerprinter, evaluators: Running) -> None:
    """One that is a version ahead is passed over; when all are, the member is told its parameters are stale."""
    evaluators[1][1].error = Refused(ErrorCode.STALE_KEY_VERSION, "key_version", "2, got 1")
    assert len(prints.fingerprints(Kind.KEY, [b"x"])) == 1
    assert "STALE_KEY_VERSION" in prints.standing.health()["evaluator 1"]
    for index in (2, 3):
        evaluators[1][index].error = evaluators[1][1].error
    with pytest.raises(Refused, match="STALE_KEY_VERSION: key_version: 2, got 1"):
        prints.fingerprints(Kind.KEY, [b"y"])


def test_a_spent_quota_is_told_with_its_time_and_by_kind(prints: Fingerprinter, evaluators: Running) -> None:
    """When every evaluator refuses for quota it is QUOTA_EXHAUSTED with the time to wait; other kinds are not affected."""
    spent = Refused(ErrorCode.QUOTA_EXHAUSTED, "blinded_elements", "at most 3 more elements", retry_after=40_000.0)
    for servicer in evaluators[1].values():
        servicer.error = spent
    with pytest.raises(Refused) as caught:
        prints.fingerprints(Kind.ADDRESS, [b"x"])
    assert (caught.value.code, caught.value.retry_after) == (ErrorCode.QUOTA_EXHAUSTED, 40_000.0)
    assert prints.standing.health()["evaluator 3"] == "QUOTA_EXHAUSTED: ADDRESS"
    for servicer in evaluators[1].values():
        servicer.error = None
    assert prints.standing.order(Kind.KEY) == [1, 2, 3]
    prints.fingerprints(Kind.KEY, [b"x"])
    assert prints.standing.health()["evaluator 3"] == "QUOTA_EXHAUSTED: ADDRESS"


def test_closing_ends_what_waits(configured: Callable[..., ClientConfig], evaluators: Running) -> None:
    """A call under way when the client closes raises Unavailable, and nothing is logged against an evaluator."""
    made = fingerprinter(configured(evaluators=evaluators[0], cache=None))
    closed = threading.Event()
    for servicer in evaluators[1].values():
        servicer.until = closed.is_set
    raised: list[BaseException] = []

    def call() -> None:
        try:
            made.of_all({kind: [b"%d" % n for n in range(600)] for kind in (Kind.KEY, Kind.DEVICE)})
        except BaseException as error:  # noqa: BLE001 - told to the test
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    deployment.wait_for(lambda: sum(bool(servicer.calls) for servicer in evaluators[1].values()) == 2)
    made.close()
    closed.set()
    thread.join(60)
    assert [type(error) for error in raised] == [Unavailable]
    assert set(made.standing.health().values()) == {"ok"}


def test_rests_grow_and_a_burst_of_failures_is_one() -> None:
    """5 s, 10 s, … to 5 minutes; calls that fail together do not add up; success forgets."""
    now = [0.0]
    standing = Standing([1, 2], first=0, clock=lambda: now[0])
    down = Unavailable(ErrorCode.UNAVAILABLE, "evaluator 1", "to be reachable")
    rests = []
    for _ in range(9):
        for _ in range(4):
            standing.failed(1, Kind.KEY, down)
        rests.append(standing._records[1].rests_until - now[0])
        assert standing.order(Kind.KEY) == [2, 1]
        now[0] += rests[-1]
        assert standing.order(Kind.KEY) == [1, 2]
    assert rests == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]
    assert max(rests) == LONGEST_REST_SECONDS
    standing.served(1, Kind.KEY)
    standing.failed(1, Kind.KEY, down)
    assert standing._records[1].rests_until - now[0] == FIRST_REST_SECONDS


def test_nothing_redeems_a_liar() -> None:
    """An honest answer that was under way does not bring it back; nor does time."""
    now = [0.0]
    standing = Standing([1, 2, 3], first=1, clock=lambda: now[0])
    assert standing.order(Kind.KEY) == [2, 3, 1]
    standing.lied(3, CryptoError(ErrorCode.INVALID_PROOF, "evaluator 3", "a proof"))
    standing.served(3, Kind.KEY)
    standing.failed(3, Kind.KEY, Unavailable(ErrorCode.UNAVAILABLE, "evaluator 3", "to be reachable"))
    now[0] += 1e9
    assert standing.order(Kind.KEY) == [2, 1]
    assert standing.health()["evaluator 3"] == "INVALID_PROOF: evaluator 3: a proof"

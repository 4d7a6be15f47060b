"""The drain of a spool: what is sealed ahead of those who send is sent whole, once at a time, and stays until it is answered."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daxa_client import _shipper, _spool
from daxa_client._complaints import Complaints
from daxa_client._shipper import AT_ONCE, SEALED_AT_ONCE, Shipper
from daxa_client._spool import Spool
from daxa_client._submission import SubmitResult
from daxa_core.errors import DaxaError, ErrorCode, InvalidInput, Unavailable
from daxa_core.model import RawSighting

SIZE = 10
WAIT = 60.0
AWAY = Unavailable(ErrorCode.UNAVAILABLE, "registry", "to be reachable")
Answer = Callable[[int], None]


class Client:
    """Notes what it is given, and answers after ``answer``, which is told how many came before and may raise."""

    def __init__(self, answer: Answer = lambda number: None) -> None:
        self._answer, self._lock = answer, threading.Lock()
        self._under_way: set[bytes] = set()
        self.given: list[tuple[bytes, tuple[RawSighting, ...]]] = []
        self.by: list[int] = []
        self.most = 0
        self.twice = 0

    def submit(self, sightings: tuple[RawSighting, ...], *, batch_id: bytes) -> SubmitResult:
        with self._lock:
            number = len(self.given)
            self.given.append((batch_id, sightings))
            self.twice += batch_id in self._under_way
            self._under_way.add(batch_id)
            self.by.append(threading.get_ident())
            self.most = max(self.most, len(self._under_way))
        try:
            self._answer(number)
        finally:
            with self._lock:
                self._under_way.discard(batch_id)
        return SubmitResult(len(sightings), (), {})


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """Its batches are small, and a shipper looks often."""
    monkeypatch.setattr(_spool, "MAX_SIGHTINGS", SIZE)
    monkeypatch.setattr(_shipper, "_LOOK_SECONDS", 0.02)
    return Spool(tmp_path / "spool.sqlite", bytes(32))


def fill(spool: Spool, batches: int, name: str = "key") -> Counter[str]:
    """So many batches of rows that are due: their keys."""
    keys = [f"{name}-{n:04}" for n in range(batches * SIZE)]
    spool.add([RawSighting(key, "8.8.8.8", 495_000) for key in keys], due=1)
    return Counter(keys)


@contextmanager
def running(spool: Spool, client: Client, pause: float = 0.0) -> Iterator[Shipper]:
    """A shipper at work, which has ended when the block is left."""
    shipper = Shipper(spool, client, Complaints(), pause=lambda failures, error: pause)
    thread = threading.Thread(target=shipper.run, daemon=True)
    thread.start()
    try:
        yield shipper
    finally:
        shipper.stop()
        thread.join(WAIT)
        assert not thread.is_alive()


def together() -> Answer:
    """Answers nobody of the first before as many as a shipper sends at once are there."""
    all_there = threading.Barrier(AT_ONCE)

    def answer(number: int) -> None:
        if number < AT_ONCE:
            all_there.wait(WAIT)

    return answer


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def sent(client: Client) -> Counter[str]:
    """The keys of every batch that was given, each batch id once; whatever came again was the same."""
    batches = dict(client.given)
    assert all(batches[batch_id] == sightings for batch_id, sightings in client.given)
    return Counter(raw.key for sightings in batches.values() for raw in sightings)


def test_all_of_a_spool_is_sent_in_full_batches_each_once(spool: Spool) -> None:
    """Sealed ahead by one thread for those who send: none is lost between them, none is in two hands, and all send at once."""
    client, keys = Client(together()), fill(spool, 40)
    with running(spool, client) as shipper:
        until(spool.empty)
    assert sent(client) == keys
    assert [len(sightings) for _, sightings in client.given] == [SIZE] * 40
    assert (client.most, client.twice, shipper.sent, shipper.problem) == (AT_ONCE, 0, 40 * SIZE, "")


def test_those_who_send_sleep_until_there_is_something(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wakes up to look keeps a request of the gateway's waiting. What comes then is sent, and the end ends them."""
    waits: list[float | None] = []
    wait = threading.Condition.wait

    def counted(condition: threading.Condition, timeout: float | None = None) -> bool:
        if threading.current_thread().name == "daxa-ship":
            waits.append(timeout)
        return wait(condition, timeout)

    monkeypatch.setattr(threading.Condition, "wait", counted)
    client = Client()
    with running(spool, client):
        until(lambda: len(waits) >= AT_ONCE)
        time.sleep(0.3)
        assert waits == [None] * AT_ONCE
        keys = fill(spool, 3)
        until(spool.empty)
    assert sent(client) == keys


def test_answers_that_are_lost_are_asked_for_until_they_come(spool: Spool) -> None:
    """A third of them, in any order, while more comes in: everything under one id each, and never the same one beside itself."""
    chance = random.Random(1)
    lost = [chance.random() < 1 / 3 for _ in range(10_000)]

    def answer(number: int) -> None:
        time.sleep(0.001 * (number % 3))
        if lost[number]:
            raise AWAY

    client = Client(answer)
    keys = fill(spool, 20)
    with running(spool, client) as shipper:
        for turn in range(10):
            keys += fill(spool, 1, f"late-{turn}")
            shipper.wake()
        until(spool.empty)
    assert sent(client) == keys
    assert client.twice == 0
    assert len(client.given) > len(dict(client.given))


def test_while_nobody_answers_little_is_sealed_and_one_asks(spool: Spool) -> None:
    """What is no batch yet goes on being added up; so many batches as were under way are made, whatever waits."""
    all_under_way = together()

    def answer(number: int) -> None:
        all_under_way(number)
        raise AWAY

    client = Client(answer)
    fill(spool, 60)
    with running(spool, client, pause=0.001):
        until(lambda: len(client.given) > 40)
    assert len(dict(client.given)) <= 2 * AT_ONCE + SEALED_AT_ONCE
    assert len(set(client.by[:AT_ONCE])) == AT_ONCE
    assert len(set(client.by[AT_ONCE:])) == 1
    assert spool.state().waiting == 60 * SIZE


def test_what_was_sealed_and_not_sent_is_sent_by_the_next_under_its_id(spool: Spool) -> None:
    """A shipper that is stopped leaves every batch in the spool, those too that nobody had taken from it."""
    stopped = threading.Event()
    client, keys = Client(lambda number: stopped.wait(WAIT) and _raise(AWAY)), fill(spool, 30)
    with running(spool, client) as shipper:
        until(lambda: len(client.given) == AT_ONCE and len(shipper._ready) >= AT_ONCE)
        made = {batch.batch_id for batch in shipper._ready} | set(dict(client.given))
        shipper.stop()
        stopped.set()
    after = Client()
    with running(spool, after):
        until(spool.empty)
    assert sent(after) == keys
    assert made <= set(dict(after.given))


def test_a_disk_that_fails_while_it_seals_is_told_and_tried_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is lost, and nothing remains told when it is over."""
    full = Unavailable(ErrorCode.UNAVAILABLE, "spool", "a disk that takes it, got SQLITE_FULL")
    failing = threading.Event()
    failing.set()
    seal, client, keys = spool.seal, Client(), fill(spool, 3)
    monkeypatch.setattr(spool, "seal", lambda *asked: _raise(full) if failing.is_set() else seal(*asked))
    with running(spool, client, pause=0.001) as shipper:
        until(lambda: shipper.problem == str(full))
        assert client.given == []
        failing.clear()
        until(spool.empty)
        assert shipper.problem == ""
    assert sent(client) == keys


def test_a_batch_that_the_registry_knows_with_other_content_is_let_go(spool: Spool) -> None:
    """It is there: from before its counts were lowered, or this member's settings changed. It is not kept aside as a loss."""
    client = Client(lambda number: _raise(InvalidInput(ErrorCode.BATCH_ID_REUSED, "batch_id", "another id")))
    fill(spool, 2)
    with running(spool, client) as shipper:
        until(spool.empty)
        assert shipper.problem == ""
    assert len(client.given) == 2
    with spool._file.transaction() as database:
        assert database.execute("SELECT count(*) FROM aside").fetchone() == (0,)


def test_a_bug_in_sealing_leaves_no_thread_behind(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ships next is alone: two would send the same batches beside each other."""
    monkeypatch.setattr(spool, "seal", lambda *asked: _raise(LookupError()))
    before = set(threading.enumerate())
    with pytest.raises(LookupError):
        Shipper(spool, Client(), Complaints()).run()
    assert set(threading.enumerate()) <= before


def _raise(error: Exception | DaxaError) -> None:
    raise error

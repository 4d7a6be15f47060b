"""The trading path's part of ``observe()``: counts exactly, never raises, never waits, and says what it let go."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from daxa_client._observer import Observer
from daxa_core.model import Device, Manner, RawSighting

HOUR = 497_222
NOW = HOUR * 3_600.0 + 5


def observer(**bounds: int) -> Observer:
    return Observer(clock=lambda: NOW, **bounds)


def test_the_same_combination_is_one_row_with_its_count() -> None:
    """Equal devices that are other objects are the same; another device, manner, hour or account is another row."""
    one = observer()
    for _ in range(3):
        assert one.observe("key", "8.8.8.8", device=Device("curl"))
    assert one.observe("key", "8.8.8.8", device=Device("wget"))
    assert one.observe("key", "8.8.8.8", device=Device("curl"), manner=Manner.REJECTED)
    assert one.observe("key", "8.8.8.8", device=Device("curl"), when=NOW + 3_600)
    assert one.observe("key", "8.8.8.8", device=Device("curl"), account="7", holder=b"h")
    curl = Device("curl")
    assert one.collect() == [
        RawSighting("key", "8.8.8.8", HOUR, Manner.USED, 3, curl),
        RawSighting("key", "8.8.8.8", HOUR, Manner.USED, 1, Device("wget")),
        RawSighting("key", "8.8.8.8", HOUR, Manner.REJECTED, 1, curl),
        RawSighting("key", "8.8.8.8", HOUR + 1, Manner.USED, 1, curl),
        RawSighting("key", "8.8.8.8", HOUR, Manner.USED, 1, curl, b"h", "7"),
    ]
    assert one.collect() == []


def test_repeats_wait_for_a_collection_of_counts() -> None:
    """What is new comes at once, how often it was seen again later; nothing comes twice."""
    one = observer()
    one.observe("key", "8.8.8.8")
    assert [row.count for row in one.collect(counts=False)] == [1]
    one.observe("key", "8.8.8.8")
    one.observe("key", "8.8.8.8")
    assert one.collect(counts=False) == []
    assert [row.count for row in one.collect(counts=True)] == [2]


@pytest.mark.parametrize(
    "given",
    [
        {"key": None}, {"key": ""}, {"key": "k" * 129}, {"key": b"key"}, {"key": ["key"]}, {"address": 7}, {"address": ""},
        {"address": "8" * 65}, {"manner": 1}, {"manner": None}, {"device": "curl"}, {"device": Device(headers=[["a", "b"]])},
        {"account": 17}, {"account": ""}, {"holder": "text"}, {"holder": b"h" * 513}, {"when": "now"}, {"when": float("nan")},
        {"when": float("inf")}, {"when": -1.0}, {"when": 1e30},
    ],
)  # fmt: skip
def test_what_is_no_sighting_is_false_and_counted(given: dict[str, Any]) -> None:
    """Whatever is given: no exception, nothing kept, one more refused; while the lock is held too."""
    one = observer()
    values = {"key": "key", "address": "8.8.8.8", **given}
    assert one.observe(values.pop("key"), values.pop("address"), **values) is False
    assert one.counts().refused == 1
    assert one.collect() == []


@pytest.mark.parametrize("device", [Device("x" * 513), Device("a\x00b"), Device(), Device(ja4="t" * 200)])
def test_nobody_hides_behind_an_impossible_device(device: Device) -> None:
    """A device without a canonical form is left out and counted; the key and the address are still seen."""
    one = observer()
    assert one.observe("key", "8.8.8.8", device=device)
    assert one.observe("key", "8.8.8.8", device=device)
    assert one.collect() == [RawSighting("key", "8.8.8.8", HOUR, count=2)]
    assert one.counts().without_device == 2


@pytest.mark.parametrize("device", [Device("ua", None, None), Device("ua", None, 5), Device("ua", None, (("a",),))])  # type: ignore[arg-type]
def test_a_device_of_other_types_costs_no_other_key_its_sighting(device: Device) -> None:
    """Though it was queued while another thread had the lock, and is looked at where all are collected."""
    one = observer()
    with one._lock:
        assert one.observe("good", "8.8.8.8")
        assert one.observe("key", "8.8.8.8", device=device)
        assert one.observe("last", "8.8.8.8")
    assert {row.key: row.device for row in one.collect()} == {"good": None, "key": None, "last": None}
    assert one.counts().without_device == 1


def test_past_its_bound_a_new_combination_is_dropped_and_counted() -> None:
    """Repeats of what is there still count; room comes back when the rest was collected."""
    one = observer(combinations=2)
    assert [one.observe(key, "8.8.8.8") for key in ("a", "b", "c", "a")] == [True, True, False, True]
    assert one.counts().dropped == 1
    assert {row.key: row.count for row in one.collect()} == {"a": 2, "b": 1}
    assert one.observe("c", "8.8.8.8")


def test_a_lock_that_is_held_sends_calls_to_a_bounded_queue() -> None:
    """As in a signal handler that interrupts ``observe()`` itself: no deadlock, and nothing lost within the bound."""
    one = observer(queue=3)
    with one._lock:
        assert [one.observe("key", "8.8.8.8") for _ in range(5)] == [True, True, True, False, False]
        assert one.observe("key", ["8.8.8.8"]) is False  # type: ignore[arg-type]
    assert one.counts().dropped == 2
    assert [row.count for row in one.collect()] == [3]


def test_threads_lose_and_invent_nothing() -> None:
    """Eight threads and a collector at once: the counts add up to the calls that were answered with True. All of them may wait
    for a collector that the machine has left standing."""
    one = observer(queue=32_000)
    taken, counted, over = [0] * 8, [0], threading.Event()

    def see(number: int) -> None:
        for turn in range(4_000):
            taken[number] += one.observe(f"key-{turn % 50}", "8.8.8.8", account=str(number))

    def collect() -> None:
        while not over.wait(0.001):
            counted[0] += sum(row.count for row in one.collect())

    threads = [threading.Thread(target=see, args=(number,)) for number in range(8)]
    collector = threading.Thread(target=collect)
    for thread in (collector, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    collector.join()
    counted[0] += sum(row.count for row in one.collect())
    assert sum(taken) == 32_000
    assert counted[0] == 32_000


def test_what_could_not_be_kept_is_counted_again() -> None:
    """After put_back the next collection has it, added to what came meanwhile."""
    one = observer()
    one.observe("key", "8.8.8.8")
    rows = one.collect()
    one.observe("key", "8.8.8.8")
    one.put_back(rows)
    assert [row.count for row in one.collect()] == [2]


def test_a_child_process_begins_with_nothing() -> None:
    """What the parent saw is the parent's to tell, and a lock that was held at the fork is no lock in the child."""
    one = observer()
    one.observe("key", "8.8.8.8")
    one._lock.acquire()
    one.after_fork()
    assert one.observe("key", "8.8.8.8")
    assert [row.count for row in one.collect()] == [1]


def test_memory_is_given_back_when_the_hour_is_over() -> None:
    """Combinations of a past hour go once their counts were collected."""
    now = [NOW]
    one = Observer(clock=lambda: now[0])
    one.observe("key", "8.8.8.8")
    now[0] += 3_600
    one.collect()
    assert one.counts().combinations == 0


def test_another_threads_hour_is_not_taken_for_ones_own() -> None:
    """Two calls about two hours at once: what one of them remembers is no part of the other's sighting."""

    class Between(Observer):
        """Each look at the hour that was last seen finds another one."""

        looks = 0

        @property
        def _hour(self) -> int:
            self.looks += 1
            return HOUR if self.looks % 2 else HOUR + 1

        @_hour.setter
        def _hour(self, hour: int) -> None:
            pass

    one = Between(clock=lambda: NOW)
    assert one.observe("key", "8.8.8.8")
    assert [row.hour for row in one.collect()] == [HOUR]

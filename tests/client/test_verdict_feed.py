"""Verdicts where they are needed: from the registry into a gateway's memory, compared by digest, told to callbacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peers
import pytest

from daxa_api.v1 import sighting_pb2, types_pb2
from daxa_client import ClientConfig, Gateway, InvalidInput, Level, RegistryClient, Verdict
from daxa_client import _verdict_feed as feed_module
from daxa_client._registry import Registry
from daxa_core.errors import ErrorCode
from daxa_core.model import Act

WAIT = 60.0
Evaluators = tuple[dict[int, str], dict[int, peers.Evaluator]]


@pytest.fixture
def settings(
    deployed: Path,
    configured: Callable[..., ClientConfig],
    evaluators: Evaluators,
    registry: peers.Registry,
    tmp_path: Path,
) -> Iterator[Callable[..., ClientConfig]]:
    """A configuration against the running peers."""
    with peers.registry(deployed, registry) as target:

        def make(**changes: Any) -> ClientConfig:
            fast = {"state": tmp_path / "state", "flush_seconds": 0.05, "count_seconds": 0.1}
            return configured(**{"targets": (target,), "evaluators": evaluators[0], **fast, **changes})

        yield make
        registry.ended.set()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


class Seen:
    """A callback that remembers what it was told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str | None, str, int]] = []

    def __call__(self, key: str | None, verdict: Verdict) -> None:
        self.changes.append((key, verdict.level.name, verdict.sequence))


def fingerprints(registry: peers.Registry) -> list[bytes]:
    return [sighting.key for batch in registry.batches for sighting in batch.sightings]


def stream_when_sent(registry: peers.Registry, *levels: types_pb2.Level) -> None:
    """Makes the registry stream verdicts on the first key that it is sent, from sequence 1."""
    taken = registry.answer

    def answer(request: sighting_pb2.SubmitSightingsRequest) -> sighting_pb2.SubmitSightingsResponse:
        key = request.sightings[0].key
        if not registry.streams and not registry.told:
            registry.later.append([peers.verdict(key, n, level) for n, level in enumerate(levels, 1)])
        return taken(request)

    registry.answer = answer


def test_a_verdict_reaches_memory_and_callbacks(
    settings: Callable[..., ClientConfig], registry: peers.Registry
) -> None:
    """By raw key, in order, lowerings too; a callback that raises harms nobody, and a restart has it at once."""
    stream_when_sent(registry, types_pb2.LEVEL_WARN, types_pb2.LEVEL_REVOKE, types_pb2.LEVEL_MONITOR)
    seen = Seen()
    with Gateway(settings()) as gateway:

        @gateway.on_verdict
        def broken(key: str | None, verdict: Verdict) -> None:
            raise ValueError(key)

        gateway.on_verdict(seen)
        assert gateway.verdict("key").level is Level.CLEAR
        gateway.observe("key", "8.8.8.8")
        until(lambda: gateway.verdict("key").level is Level.MONITOR)
        until(lambda: len(seen.changes) >= 3)
        assert gateway.health().verdicts == 1
    names = [change for change in seen.changes if change[0] is not None]
    assert names[-1] == ("key", "MONITOR", 3)
    assert sorted({change[2] for change in seen.changes}) == [1, 2, 3]
    again = Gateway(settings(targets=("127.0.0.1:9",)))
    assert again.verdict("key").level is Level.MONITOR
    again.close()


def test_a_process_that_does_not_ship_has_them_too(
    settings: Callable[..., ClientConfig], registry: peers.Registry
) -> None:
    """It reads the table that the other writes, and its callbacks are called."""
    stream_when_sent(registry, types_pb2.LEVEL_REVOKE)
    seen = Seen()
    with Gateway(settings()) as first:
        first.observe("other", "8.8.8.8")
        until(lambda: first.health().ships)
        with Gateway(settings()) as second:
            second.on_verdict(seen)
            until(lambda: second.verdict("other").level is Level.REVOKE)
            until(lambda: seen.changes)
            assert not second.health().ships
    assert seen.changes[-1] == ("other", "REVOKE", 1)


@pytest.mark.parametrize(("ahead", "told"), [(9 * 3_600, "-32,400 s"), (-7_200, "+7,200 s"), (0, "")])
def test_a_clock_that_is_wrong_is_one_line(
    settings: Callable[..., ClientConfig], registry: peers.Registry, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, ahead: int, told: str,
) -> None:  # fmt: skip
    """The registry takes hours of long ago, so that nobody else would say it: it is held against the registry's clock each time
    that digests are compared, and told once an hour."""
    monkeypatch.setattr(feed_module, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(feed_module, "_IDLE_SECONDS", 0.05)
    registry.ahead = ahead
    asked = []
    clock = RegistryClient.registry_clock
    monkeypatch.setattr(RegistryClient, "registry_clock", lambda self: asked.append(1) or clock(self))
    with Gateway(settings()) as gateway:
        gateway.verdict("key")
        until(lambda: len(asked) > 2)
    lines = [line for line in caplog.messages if "this host's clock" in line]
    assert len(lines) == bool(told)
    assert all(told[:-4] in line or told in line for line in lines)


def test_a_table_that_differs_is_built_again(
    settings: Callable[..., ClientConfig], registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """A verdict that was lost on the way shows in the digest: the stream is read from 0 again, and it is one line."""
    stream_when_sent(registry, types_pb2.LEVEL_WARN)
    seen = Seen()
    with Gateway(settings()) as gateway:
        gateway.observe("key", "8.8.8.8")
        until(lambda: gateway.verdict("key").level is Level.WARN)
    table = gateway._table
    with table._file.transaction() as database:
        database.execute("UPDATE verdict SET level=0")
    table.close()
    registry.cursors.clear()
    with Gateway(settings()) as gateway:
        gateway.on_verdict(seen)
        assert gateway.verdict("key").level is Level.WARN
        until(lambda: 0 in registry.cursors)
        until(lambda: gateway._table.cursor == 1 and gateway._table.stale_keys() == [])
        assert gateway.verdict("key").level is Level.WARN
    assert registry.cursors[0] == 1
    assert "it is built again" in caplog.text
    assert seen.changes == []


def test_a_registry_that_lost_data_is_followed_from_the_beginning(
    settings: Callable[..., ClientConfig], registry: peers.Registry
) -> None:
    """A cursor that it never reached is no end: what it has now replaces what it had."""
    stream_when_sent(registry, types_pb2.LEVEL_WARN, types_pb2.LEVEL_REVOKE)
    with Gateway(settings()) as gateway:
        gateway.observe("key", "8.8.8.8")
        until(lambda: gateway.verdict("key").level is Level.REVOKE)
        assert gateway.drain(WAIT)  # or the next one's first call would be that batch once more
    (key,) = set(fingerprints(registry))
    registry.told.clear()
    registry.errors = [InvalidInput(ErrorCode.CURSOR_OUT_OF_RANGE, "after_sequence", "0 to 1")]
    registry.streams = [[[peers.verdict(key, 1, types_pb2.LEVEL_MONITOR)]]]
    with Gateway(settings()) as gateway:
        assert gateway.verdict("key").level is Level.REVOKE
        until(lambda: gateway.verdict("key").level is Level.MONITOR)


def test_a_feed_that_is_up_to_date_looks_for_nothing(
    settings: Callable[..., ClientConfig], registry: peers.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the digests are the same it sleeps until a verdict comes, which it takes at once: whoever wakes up to look keeps a
    request of the gateway's waiting."""
    monkeypatch.setattr(feed_module, "_IDLE_SECONDS", 0.01)
    stream_when_sent(registry, types_pb2.LEVEL_WARN)
    with Gateway(settings()) as gateway:
        gateway.verdict("key")
        until(lambda: gateway._feed is not None and gateway._feed._next_check)
        take, taken = gateway._table.take, []
        gateway._table.take = lambda verdicts: taken.append(len(verdicts)) or take(verdicts)  # type: ignore[assignment,func-returns-value]
        time.sleep(0.5)
        assert len(taken) <= 1
        gateway.observe("key", "8.8.8.8")
        until(lambda: gateway.verdict("key").level is Level.WARN)


def test_what_is_under_way_when_a_gateway_closes_is_no_trouble(
    settings: Callable[..., ClientConfig], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch, a report and the digest: they end with it, and the log says nothing."""
    call, asked = Registry._call, set()

    def held(self: Registry, method: Any, request: Any, *more: float) -> Any:
        asked.add(type(request).__name__)
        assert self._closed.wait(WAIT)
        return call(self, method, request, *more)

    monkeypatch.setattr(Registry, "_call", held)
    with Gateway(settings()) as gateway:
        assert gateway.observe("key", "8.8.8.8")
        assert gateway.report(Verdict(b"k" * 32, sequence=1), Act.REVOKED)
        until(lambda: asked == {"SubmitSightingsRequest", "ReportEnforcementRequest", "GetVerdictDigestRequest"})
    assert caplog.messages == []


def test_an_unreachable_registry_is_one_line(
    configured: Callable[..., ClientConfig], evaluators: Evaluators, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """However often it is tried."""
    monkeypatch.setattr(feed_module, "pause_after", lambda failures, error: 0.01)
    tried = threading.Event()
    config = configured(
        targets=("127.0.0.1:9",), evaluators=evaluators[0], state=tmp_path / "state", deadline_seconds=0.2
    )
    with Gateway(config) as gateway:
        gateway.verdict("key")
        tried.wait(1.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(set(lines))
    assert len(lines) <= 2

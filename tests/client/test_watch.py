"""Watching: every verdict, in order, without gaps, at least once, through broken streams and restarts of this side."""

from __future__ import annotations

import itertools
import logging
import threading
from pathlib import Path

import peers
import pytest

import deployment
from daxa_client import CryptoError, ErrorCode, InvalidInput, RegistryClient, Unavailable
from daxa_client._watch import CursorFile

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are opened again at once."""
    monkeypatch.setattr("daxa_client._retry.FIRST_SECONDS", 0.001)


def verdicts(first: int, last: int) -> list[object]:
    return [peers.verdict(KEY, sequence) for sequence in range(first, last + 1)]


def test_a_broken_stream_goes_on_where_it_was(
    client: RegistryClient, registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """Three streams, two of them broken: nine verdicts in order, each once, asked for from the last that was taken."""
    registry.streams = [[verdicts(1, 3), verdicts(4, 4)], [], [verdicts(5, 9)]]
    with caplog.at_level(logging.WARNING, "daxa_client"):
        got = [verdict.sequence for verdict in itertools.islice(client.watch(), 9)]
    assert list(range(1, 10)) == got
    assert registry.cursors == [0, 4, 4]
    assert caplog.messages[0] == "watching is interrupted and goes on by itself: UNAVAILABLE: registry: to be reachable"


def test_streams_that_break_again_and_again_are_a_line_an_hour(
    client: RegistryClient, registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of them told something before it broke, and whoever watches begins anew each time: it is the same trouble."""
    registry.streams = [[verdicts(n, n)] for n in range(1, 7)]
    with caplog.at_level(logging.WARNING, "daxa_client"):
        for start in (0, 3):
            assert len(list(itertools.islice(client.watch(start), 3))) == 3
    assert len([line for line in caplog.messages if line.startswith("watching is interrupted")]) == 1


def test_a_stream_that_broke_is_found_in_both_logs_by_its_id(
    client: RegistryClient, registry: peers.Registry, caplog: pytest.LogCaptureFixture
) -> None:
    """The id that the registry was sent with a stream stands in the client's log beside what it broke of; each has its own."""
    registry.streams = [[verdicts(1, 1)], [], [verdicts(2, 2)]]
    with caplog.at_level(logging.INFO, "daxa_client"):
        assert len(list(itertools.islice(client.watch(), 2))) == 2
    assert len(set(registry.request_ids)) == 3
    told = [message for message in caplog.messages if message.startswith("a stream broke")]
    assert told == [f"a stream broke: UNAVAILABLE, request id {one}" for one in registry.request_ids[:2]]


@pytest.mark.parametrize("again", [[(1, 3), (2, 4)], [(1, 3), (3, 3)], [(1, 3), None, (3, 4)]])
def test_an_older_verdict_than_one_watched_is_a_replay(
    client: RegistryClient, registry: peers.Registry, again: list[tuple[int, int] | None]
) -> None:
    """Well signed, and once true: but it was told before, in this stream or in one that broke (None). It is not told again."""
    registry.streams = [[]]
    for page in again:
        if page is None:
            registry.streams.append([])
        else:
            registry.streams[-1].append(verdicts(*page))
    got: list[int] = []
    with pytest.raises(CryptoError) as caught:
        got.extend(verdict.sequence for verdict in client.watch())
    assert got == [1, 2, 3]
    assert caught.value.code is ErrorCode.REPLAYED_ENVELOPE


@pytest.mark.parametrize("pages", [[(1, 2), (4, 5)], [(2, 3)]])
def test_a_gap_is_an_error_and_not_skipped(
    client: RegistryClient, registry: peers.Registry, pages: list[tuple[int, int]], tmp_path: Path
) -> None:
    """The verdicts before the gap are told; the gap is raised with the sequence that is missing; the cursor stays before it."""
    registry.streams = [[verdicts(*page) for page in pages]]
    got: list[int] = []
    with pytest.raises(Unavailable) as caught:
        got.extend(verdict.sequence for verdict in client.watch())
    missing = len(got) + 1
    assert list(range(1, missing)) == got
    assert caught.value.code is ErrorCode.CURSOR_OUT_OF_RANGE
    assert f"sequence {missing} next, got {missing + 1}" in caught.value.expected
    assert CursorFile(tmp_path / "cursor").read() == missing - 1


def test_the_cursor_is_kept_when_the_next_is_asked_for(
    client: RegistryClient, registry: peers.Registry, tmp_path: Path
) -> None:
    """A consumer that dies while it works on a verdict gets that verdict again; one that went on does not."""
    registry.streams = [[verdicts(1, 3)]]
    watch = client.watch()
    next(watch)
    assert not (tmp_path / "cursor").exists()
    next(watch)
    assert (tmp_path / "cursor").read_text() == "1\n"
    watch.close()  # type: ignore[attr-defined]
    assert (tmp_path / "cursor").stat().st_mode & 0o777 == 0o600
    registry.streams = [[verdicts(2, 3)]]
    assert next(client.watch()).sequence == 2
    assert registry.cursors == [0, 1]
    registry.streams = [[verdicts(8, 9)]]
    assert next(client.watch(7)).sequence == 8


def test_a_cursor_of_another_registry_is_told(client: RegistryClient, registry: peers.Registry) -> None:
    """A cursor that the registry never reached is an error that waiting does not mend."""
    registry.errors = [InvalidInput(ErrorCode.CURSOR_OUT_OF_RANGE, "after_sequence", "0 to 3")]
    with pytest.raises(InvalidInput, match="CURSOR_OUT_OF_RANGE: after_sequence: 0 to 3"):
        next(client.watch(9))


@pytest.mark.parametrize(
    "content", [b"", b"seven", b"-1", b"1.5", b"\xff\xfe", b"9" * 21, "٣".encode(), b"99999999999999999999"]
)
def test_a_cursor_file_that_holds_no_sequence_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """Everything comes again, with one line, rather than nothing."""
    path = tmp_path / "cursor"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "daxa_client"):
        assert CursorFile(path).read() == 0
    assert len(caplog.messages) == 1


def test_a_cursor_that_cannot_be_kept_costs_repeats_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that fails is told once and does not stop the watch; a folder that is missing is made."""
    (tmp_path / "file").touch()
    broken = CursorFile(tmp_path / "file/cursor")
    with caplog.at_level(logging.WARNING, "daxa_client"):
        broken.write(1)
        broken.write(2)
    assert len(caplog.messages) == 1
    kept = CursorFile(tmp_path / "new/folder/cursor")
    kept.write(5)
    assert kept.read() == 5


def test_closing_the_client_ends_the_watch(client: RegistryClient, registry: peers.Registry) -> None:
    """A consumer blocked in its loop leaves it quietly when another thread closes the client."""
    registry.streams = [[verdicts(1, 2)]]
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.extend(verdict.sequence for verdict in client.watch()))
    thread.start()
    deployment.wait_for(lambda: got == [1, 2])
    client.close()
    thread.join(60)
    assert not thread.is_alive()
    assert got == [1, 2]
    assert list(client.watch()) == []


def test_an_abandoned_watch_lets_go_of_its_stream(client: RegistryClient, registry: peers.Registry) -> None:
    """Leaving the loop cancels the call at the registry."""
    registry.streams = [[verdicts(1, 2)]]
    watch = client.watch()
    next(watch)
    watch.close()  # type: ignore[attr-defined]
    assert registry.over.wait(60)


def test_a_stream_is_bounded_in_time(
    client: RegistryClient, registry: peers.Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that is held open without news is asked for again and again, without a line in the log."""
    monkeypatch.setattr("daxa_client._registry.STREAM_SECONDS", 0.5)
    registry.streams = [[verdicts(1, 1)]]
    watch = client.watch()
    assert next(watch).sequence == 1

    def later() -> None:
        deployment.wait_for(lambda: len(registry.cursors) >= 3)
        registry.streams = [[verdicts(2, 2)]]

    thread = threading.Thread(target=later)
    thread.start()
    with caplog.at_level(logging.WARNING, "daxa_client"):
        assert next(watch).sequence == 2
    thread.join()
    assert caplog.messages == []

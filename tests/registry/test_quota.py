"""The evaluator's daily quota: exact, durable, by caller and kind, with the time to come back."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daxa_core.errors import ConfigurationError, Refused, Unavailable
from daxa_core.model import Kind
from daxa_registry.service.quota import Quota

DAY = 86_400
PER_DAY = {Kind.KEY: 10, Kind.ADDRESS: 4}


class Clock:
    def __init__(self) -> None:
        self.now = 20_000.0 * DAY + 3_600

    def __call__(self) -> float:
        return self.now


def test_it_is_spent_exactly_and_by_caller_and_kind(tmp_path: Path) -> None:
    """What is too much is refused whole and charges nothing; another caller, role or kind has a count of its own."""
    quota = Quota(tmp_path / "quota.sqlite", PER_DAY, Clock())
    quota.spend("member/upbit", Kind.KEY, 8)
    with pytest.raises(Refused, match="QUOTA_EXHAUSTED: blinded_elements: at most 2 more elements of kind KEY today"):
        quota.spend("member/upbit", Kind.KEY, 3)
    quota.spend("member/upbit", Kind.KEY, 2)
    quota.spend("member/bithumb", Kind.KEY, 10)
    quota.spend("operator/upbit", Kind.KEY, 10)
    assert quota.remaining("member/upbit") == {Kind.KEY: 0, Kind.ADDRESS: 4}
    quota.close()


def test_it_comes_back_with_the_day(tmp_path: Path) -> None:
    """The refusal says how many seconds are left of the UTC day, and then it is so."""
    clock = Clock()
    quota = Quota(tmp_path / "quota.sqlite", PER_DAY, clock)
    quota.spend("member/upbit", Kind.ADDRESS, 4)
    with pytest.raises(Refused) as caught:
        quota.spend("member/upbit", Kind.ADDRESS, 1)
    assert caught.value.retry_after == 23 * 3_600
    clock.now += caught.value.retry_after - 1
    with pytest.raises(Refused):
        quota.spend("member/upbit", Kind.ADDRESS, 1)
    clock.now += 1
    quota.spend("member/upbit", Kind.ADDRESS, 4)
    quota.close()


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    """The count is in the file before an answer leaves, whether or not the file was closed."""
    clock = Clock()
    first = Quota(tmp_path / "quota.sqlite", PER_DAY, clock)
    first.spend("member/upbit", Kind.KEY, 9)
    second = Quota(tmp_path / "quota.sqlite", PER_DAY, clock)
    assert second.remaining("member/upbit")[Kind.KEY] == 1
    second.close()
    first.close()


def test_calls_at_once_never_get_more_than_there_is(tmp_path: Path) -> None:
    """Eight threads ask for more than the quota together; exactly the quota is given."""
    quota = Quota(tmp_path / "quota.sqlite", {Kind.KEY: 10}, Clock())

    def ask(_: int) -> int:
        try:
            quota.spend("member/upbit", Kind.KEY, 1)
        except Refused:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(40))) == 10
    quota.close()


def test_a_count_that_cannot_be_kept_gives_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody else holds the file, an answer would be free: UNAVAILABLE instead, and afterwards it goes on."""
    monkeypatch.setattr("daxa_registry.service.quota._BUSY_SECONDS", 0.05)
    quota = Quota(tmp_path / "quota.sqlite", PER_DAY, Clock())
    other = sqlite3.connect(tmp_path / "quota.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="^UNAVAILABLE: quota") as caught:
        quota.spend("member/upbit", Kind.KEY, 1)
    assert caught.value.retry_after is not None
    other.execute("ROLLBACK")
    other.close()
    quota.spend("member/upbit", Kind.KEY, 10)
    quota.close()


def test_a_file_that_is_none_of_ours_stops_the_start(tmp_path: Path) -> None:
    """Counting anew in its place would forgive what was spent."""
    for name, script in (("later", "PRAGMA user_version=9"), ("other", "CREATE TABLE x (y)")):
        with sqlite3.connect(tmp_path / name) as database:
            database.execute(script)
        database.close()
        with pytest.raises(ConfigurationError, match=f"INVALID_FILE: {name}: "):
            Quota(tmp_path / name, PER_DAY)
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(ConfigurationError, match="INVALID_FILE: text: "):
        Quota(tmp_path / "text", PER_DAY)

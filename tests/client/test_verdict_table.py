"""The table of verdicts: found by raw key in memory, the same after a restart, and never clear while it is built again."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daxa_client._verdict_table import VerdictTable
from daxa_core.model import Level, Reason, Verdict
from daxa_core.pseudonym import verdict_digest

SECRET = bytes(range(32))
KEYS = {name: bytes([number]) * 32 for number, name in enumerate(("one", "two", "three"), 1)}
Open = Callable[..., VerdictTable]


@pytest.fixture
def open_table(tmp_path: Path) -> Open:
    """A table on the test's own file, loaded."""

    def make(digest: bytes = b"p" * 32, secret: bytes = SECRET) -> VerdictTable:
        table = VerdictTable(tmp_path / "verdicts.sqlite", secret, digest)
        table.load()
        return table

    return make


def decided(name: str, sequence: int, level: Level = Level.WARN, until: int = 0) -> Verdict:
    return Verdict(KEYS[name], level, 3.5, (Reason("POOL", 1.0),), sequence, 5, until, b"p" * 32, b"e" * 32)


def test_a_verdict_is_found_by_raw_key_and_after_a_restart(open_table: Open) -> None:
    """Whole, with its cursor, in another object on the same file; who was never decided on is CLEAR."""
    table = open_table()
    table.learn([(KEYS["one"], "key-one")])
    assert table.take([decided("one", 1), decided("two", 2)]) == [
        ("key-one", decided("one", 1)),
        (None, decided("two", 2)),
    ]
    for other in (table, open_table()):
        assert other.verdict("key-one") == decided("one", 1)
        assert other.verdict("key-two") == Verdict(b"")
        assert other.cursor == 2


def test_a_key_that_is_learned_later_finds_its_verdict(open_table: Open) -> None:
    """And whoever asked to be called is called with the key then."""
    table = open_table()
    table.take([decided("two", 1)])
    assert table.learn([(KEYS["two"], "key-two"), (KEYS["three"], "key-three")]) == [("key-two", decided("two", 1))]
    assert table.learn([(KEYS["two"], "key-two")]) == []
    assert table.verdict("key-two").level is Level.WARN


def test_a_key_is_found_however_it_is_spelt_where_case_says_nothing(open_table: Open) -> None:
    """A UUID in capitals and in small letters is one key; a key that distinguishes cases is two."""
    table = open_table()
    table.learn([(KEYS["one"], "6F9619FF-8B86-D011-B42D-00C04FC964FF"), (KEYS["two"], "CaseCounts")])
    table.learn([(KEYS["three"], "kbt_abcdefgh")])
    table.take([decided("one", 1), decided("two", 2), decided("three", 3)])
    assert table.verdict("6F9619FF-8B86-D011-B42D-00C04FC964FF").level is Level.WARN
    assert table.verdict("6f9619ff-8b86-d011-b42d-00c04fc964ff").level is Level.WARN
    assert table.verdict("CaseCounts").level is Level.WARN
    assert table.verdict("casecounts").level is Level.CLEAR
    assert table.verdict("kbt_abcdefgh").level is Level.WARN
    assert table.verdict("KBT_ABCDEFGH").level is Level.CLEAR


@pytest.mark.parametrize("key", [None, 7, b"key", ["key"], "", "x" * 10_000, "\ud800"])
def test_whatever_is_asked_for_is_answered(open_table: Open, key: object) -> None:
    """CLEAR, no exception: it is called on the trading path."""
    assert open_table().verdict(key) == Verdict(b"")  # type: ignore[arg-type]


def test_a_verdict_holds_until_its_time(open_table: Open) -> None:
    """One whose time is over is CLEAR, though nobody came to say so."""
    table = open_table()
    table.learn([(KEYS["one"], "one"), (KEYS["two"], "two")])
    now = int(time.time())
    table.take([decided("one", 1, until=now - 1), decided("two", 2, until=now + 99)])
    assert (table.verdict("one").level, table.verdict("two").level) == (Level.CLEAR, Level.WARN)


def test_while_it_is_built_again_the_old_is_answered(open_table: Open) -> None:
    """History that passes by is neither answered nor told; at the end the differences are, once."""
    table = open_table()
    table.learn([(KEYS[name], name) for name in KEYS])
    table.take([decided("one", 1, Level.REVOKE), decided("two", 2)])
    table.restart()
    assert table.take([decided("one", 1), decided("three", 2)]) == []
    for other in (table, open_table()):  # a crash in the middle changes nothing of that
        assert other.verdict("one").level is Level.REVOKE
        assert other.verdict("three").level is Level.CLEAR
        assert other.cursor == 2
    changes = table.confirm()
    assert sorted(changes, key=str) == sorted(
        [("one", decided("one", 1)), ("three", decided("three", 2)), ("two", Verdict(b""))], key=str
    )
    for other in (table, open_table()):
        assert [other.verdict(name).level for name in KEYS] == [Level.WARN, Level.CLEAR, Level.WARN]
    assert table.confirm() == []


def test_another_fingerprinting_key_begins_anew(open_table: Open) -> None:
    """From sequence 0, with the old answers until the new ones are whole."""
    table = open_table()
    table.learn([(KEYS["one"], "one")])
    table.take([decided("one", 1, Level.REVOKE)])
    table = open_table(digest=b"q" * 32)
    assert (table.cursor, table.verdict("one").level) == (0, Level.REVOKE)
    assert table.stale_keys() == ["one"]
    table.take([Verdict(b"n" * 32, Level.WARN, sequence=1)])
    table.learn([(b"n" * 32, "one")])
    table.confirm()
    assert table.verdict("one").level is Level.WARN
    assert open_table(digest=b"q" * 32).cursor == 1


def test_the_digest_is_that_of_the_newest_of_each_key(open_table: Open) -> None:
    """As the wire's contract defines it, over what was built."""
    table = open_table()
    table.take([decided("one", 1), decided("two", 2), decided("one", 3, Level.MONITOR)])
    expected = verdict_digest([(2, Level.WARN, KEYS["two"]), (3, Level.MONITOR, KEYS["one"])])
    assert table.digest() == expected
    table.restart()
    assert table.digest() == verdict_digest([])


def test_another_process_sees_what_was_written(open_table: Open) -> None:
    """Changes since it last looked, keys that were learned, and a table that was built again."""
    writer, reader = open_table(), open_table()
    writer.learn([(KEYS["one"], "one")])
    writer.take([decided("one", 1), decided("two", 2)])
    assert reader.refresh() == [("one", decided("one", 1)), (None, decided("two", 2))]
    assert reader.refresh() == []
    writer.learn([(KEYS["two"], "two")])
    assert reader.refresh() == [("two", decided("two", 2))]
    writer.restart()
    writer.take([decided("one", 1)])
    assert reader.refresh() == []
    writer.confirm()
    assert reader.refresh() == [("two", Verdict(b""))]
    assert (reader.verdict("one").level, reader.verdict("two").level) == (Level.WARN, Level.CLEAR)


def test_the_file_shows_neither_keys_nor_verdicts(open_table: Open, tmp_path: Path) -> None:
    """Sealed under the member's secret: with another one there is nothing, and no exception."""
    table = open_table()
    table.learn([(KEYS["one"], "a-key-in-plain-text")])
    table.take([decided("one", 1)])
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"raw_key" in content
    assert b"a-key-in-plain-text" not in content
    assert b"POOL" not in content
    assert open_table(secret=bytes(32)).verdict("a-key-in-plain-text").level is Level.CLEAR


def test_a_torn_file_is_set_aside(open_table: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and the table begins anew from the registry."""
    table = open_table()
    table.take([decided("one", 1)])
    table.close()
    (tmp_path / "verdicts.sqlite").write_bytes(os.urandom(10_000))
    with caplog.at_level(logging.WARNING):
        assert open_table().cursor == 0
    assert "the verdicts file is torn; it is kept as verdicts.sqlite.broken-1" in caplog.text


def test_a_key_is_learnt_again_where_the_file_was_made_anew(open_table: Open, tmp_path: Path) -> None:
    """What this process remembers to have learnt was in the file that is gone."""
    table = open_table()
    table.learn([(KEYS["one"], "key-one")])
    for part in tmp_path.glob("verdicts.sqlite*"):
        part.unlink()
    assert table.take([decided("two", 1)]) == [(None, decided("two", 1))]
    table.learn([(KEYS["one"], "key-one")])
    assert table.take([decided("one", 2)]) == [("key-one", decided("one", 2))]

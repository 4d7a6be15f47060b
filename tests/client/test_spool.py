"""The spool: what was seen survives crashes, torn files, other versions and full disks; what is lost is counted."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from daxa_client import Verdict
from daxa_client._sealed_file import Torn
from daxa_client._shipper import AT_ONCE, LONGEST_ASKED_SECONDS, LONGEST_PAUSE_SECONDS, SEALED_AT_ONCE
from daxa_client._spool import KNOWN_SECONDS, Spool
from daxa_core.errors import ErrorCode, Unavailable
from daxa_core.model import BATCH_HOURS, SECONDS_PER_HOUR, Act, Device, Manner, RawSighting

SECRET = bytes(range(32))
HOUR = 495_000


def seen(key: str, address: str = "203.0.113.7", count: int = 1, hour: int = HOUR) -> RawSighting:
    return RawSighting(
        key, address, hour, Manner.USED, count, Device("curl/8", "t13d", (("x-a", "1"),)), b"\x00h", "77"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state/spool.sqlite"


def test_what_is_added_comes_back_whole_after_a_restart(path: Path) -> None:
    """Every field, and the counts of one hour added up, in another object on the same file."""
    spool = Spool(path, SECRET)
    spool.add([seen("a", count=2), seen("b")], due=5)
    spool.add([seen("a", count=3)], due=9)
    again = Spool(path, SECRET)
    (batch,) = again.seal(now=5, batches=9)
    assert batch.sightings == (seen("a", count=5), seen("b"))


def test_a_batch_keeps_its_id_and_content_until_it_is_done(path: Path) -> None:
    """What is seen later goes into another batch: the first may be at the registry already."""
    spool = Spool(path, SECRET)
    spool.add([seen("a")], due=1)
    (first,) = spool.seal(now=1)
    spool.add([seen("a")], due=1)
    again = Spool(path, SECRET)
    assert again.seal(now=1) == [first]
    assert [batch.sightings for batch in again.seal(now=1, batches=5, skip=[first.batch_id])] == [first.sightings]
    spool.done(first.batch_id)
    (second,) = spool.seal(now=1, batches=5)
    assert second.batch_id != first.batch_id
    spool.done(second.batch_id)
    assert spool.seal(now=1) == []
    assert spool.state().waiting == 0


def test_a_batch_that_the_registry_may_have_forgotten_counts_each_of_its_sightings_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Under its id, so that a registry which still knows it takes nothing; that is told and counted once, whoever restarts."""
    spool, made = Spool(path, SECRET), 1_800_000_000
    spool.add([seen("a", count=5), seen("b"), seen("c", count=2)], due=made - 90 * 86_400)
    (first,) = spool.seal(now=made)
    last = made + KNOWN_SECONDS
    assert Spool(path, SECRET).seal(now=last) == [first]
    assert (spool.state().lowered, caplog.messages) == (0, [])
    for now in (last + 1, last + 2, last + 2 * KNOWN_SECONDS):
        (again,) = Spool(path, SECRET).seal(now=now)
        assert (again.batch_id, again.sightings) == (first.batch_id, (seen("a"), seen("b"), seen("c")))
        assert spool.state().lowered == 2
    assert "a batch waited longer than the registry knows one again" in caplog.text
    spool.add([seen("a", count=7)], due=made)
    assert [raw.count for raw in spool.seal(now=last + 3, skip=[first.batch_id])[0].sightings] == [7]


def test_what_is_read_from_the_spool_is_sent_while_the_registry_knows_it() -> None:
    """Those before it may each have to wait as long as one may be asked to; it is read before that, and sent after."""
    hours = (AT_ONCE + SEALED_AT_ONCE) * (LONGEST_ASKED_SECONDS + LONGEST_PAUSE_SECONDS) / SECONDS_PER_HOUR
    assert KNOWN_SECONDS / SECONDS_PER_HOUR + hours < BATCH_HOURS


def test_batches_are_bounded_and_the_oldest_goes_first(path: Path) -> None:
    """1,000 sightings a batch, in the order in which they fell due; what is not due waits."""
    spool = Spool(path, SECRET)
    spool.add([seen(f"late-{n}") for n in range(3)], due=9)
    spool.add([seen(f"key-{n}") for n in range(1_500)], due=2)
    assert [len(batch.sightings) for batch in spool.seal(now=2, batches=9)] == [1_000, 500]
    assert spool.state().oldest == 2
    spool.hasten(now=3)
    assert [len(batch.sightings) for batch in spool.seal(now=3, batches=9)] == [1_000, 500, 3]


def test_nothing_waits_once_the_last_batch_is_let_go(path: Path) -> None:
    """Rows wait, due or not, and batches wait until each is done."""
    spool = Spool(path, SECRET)
    assert spool.empty()
    spool.add([seen("one")], due=9)
    assert not spool.empty()
    (batch,) = spool.seal(now=9)
    assert not spool.empty()
    spool.done(batch.batch_id)
    assert spool.empty()


def test_the_files_show_nothing_of_what_was_seen(path: Path) -> None:
    """0600 whatever the umask, and no identifier in any of its bytes."""
    previous = os.umask(0)
    try:
        spool = Spool(path, SECRET)
        spool.add([seen("plain-key-text", "203.0.113.99")], due=1)
        spool.seal(now=1)
        spool.add([seen("plain-key-text", "203.0.113.99")], due=1)
    finally:
        os.umask(previous)
    files = list(path.parent.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    content = b"".join(file.read_bytes() for file in files)
    assert b"sighting" in content
    for word in (b"plain-key-text", b"203.0.113.99", b"curl"):
        assert word not in content


def test_another_secret_reads_nothing_and_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows that do not open are set aside and counted, what opens is sent, and it is one line."""
    Spool(path, SECRET).add([seen(f"a{n}") for n in range(1_200)], due=1)
    other = Spool(path, bytes(32))
    other.add([seen("mine")], due=2)
    with caplog.at_level(logging.WARNING):
        (batch,) = other.seal(now=2, batches=3)
    assert batch.sightings == (seen("mine"),)
    assert other.state().unreadable == 1_200
    assert [record.getMessage() for record in caplog.records] == [
        "the spool has an unreadable row: it is set aside, and the rest is sent"
    ]


def test_past_its_bound_the_oldest_goes_and_is_counted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The newest is kept whole, and what went is in the state and in the log."""
    spool = Spool(path, SECRET, megabytes=1)
    for turn in range(8):
        spool.add([seen(f"key-{turn}-{n}") for n in range(1_000)], due=turn)
    state = spool.state()
    assert state.bytes <= 1 << 20
    assert state.dropped > 0
    assert state.waiting + state.dropped == 8_000
    kept = {raw.key for batch in spool.seal(now=9, batches=99) for raw in batch.sightings}
    assert {f"key-7-{n}" for n in range(1_000)} <= kept
    assert "key-0-0" not in kept
    assert "the spool is full: its oldest" in caplog.text


def test_a_full_disk_changes_nothing(path: Path) -> None:
    """The caller is told, still has what it wanted to keep, and what was there is there."""
    spool = Spool(path, SECRET)
    spool.add([seen("a")], due=1)
    with spool._file.transaction() as database:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
    spool._file._db.execute(f"PRAGMA max_page_count={pages + 2}")  # type: ignore[union-attr]
    with pytest.raises(Unavailable) as refused:
        spool.add([seen(f"key-{n}") for n in range(1_000)], due=1, mark=("log", "9"))
    assert str(refused.value) == "UNAVAILABLE: spool: a disk that takes it, got SQLITE_FULL"
    assert spool.mark("log") is None
    assert [batch.sightings for batch in spool.seal(now=1)] == [(seen("a"),)]


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """Unavailable, naming the spool; nothing else escapes."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as refused:
        Spool(tmp_path / "file/spool.sqlite", SECRET).add([seen("a")], due=1)
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert refused.value.field == "spool"


def made_newer(path: Path, *statements: str) -> None:
    """As a newer client would have left it."""
    with sqlite3.connect(path) as database:
        for statement in (*statements, "PRAGMA user_version=99"):
            database.execute(statement)
    database.close()


def sent(spool: Spool) -> dict[str, int]:
    """What it has to send, by key."""
    batches = spool.seal(now=2**32, batches=99)
    return dict(sum((Counter({raw.key: raw.count}) for batch in batches for raw in batch.sightings), Counter()))


def test_a_newer_file_is_kept_and_what_can_be_read_of_it_is_sent(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It stays under another name for the program that wrote it; its rows, batches, marks, reports and totals go on here."""
    newer = Spool(path, SECRET)
    newer.add([seen("batched", count=3)], due=1)
    (batch,) = newer.seal(now=1)
    newer.add([seen("a", count=2)], due=1, mark=("log", "9"))
    newer.reports.add([(Verdict(b"k" * 32, sequence=1), Act.REVOKED)])
    newer.close()
    made_newer(path, "ALTER TABLE sighting ADD COLUMN colour TEXT", "INSERT INTO total VALUES ('dropped', 7)")
    spool = Spool(path, SECRET)
    assert spool.mark("log") == "9"
    spool.add([seen("a"), seen("b")], due=1)
    assert spool.seal(now=1)[0] == batch
    spool.done(batch.batch_id)
    state = spool.state()
    assert (state.reports, state.dropped, state.unreadable) == (1, 7, 0)
    assert sent(spool) == {"a": 3, "b": 1}
    with sqlite3.connect(path.with_name("spool.sqlite.newer-1")) as aside:
        assert aside.execute("SELECT count(*) FROM sighting").fetchone() == (1,)
        assert aside.execute("PRAGMA user_version").fetchone() == (99,)
    aside.close()
    assert "of a newer version than this program; it is kept as spool.sqlite.newer-1" in caplog.text
    spool.close()
    assert sent(Spool(path, SECRET)) == {"a": 3, "b": 1}, "it is read once"


def test_of_a_newer_file_what_is_sealed_or_named_otherwise_stays_there_and_is_counted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that do not open, a table that is not there any more: neither stops the rest, nor is it sent as something else."""
    newer = Spool(path, SECRET)
    newer.add([seen("batched")], due=1)
    newer.seal(now=1)
    newer.add([seen("a"), seen("b")], due=1)
    newer.close()
    made_newer(path, "UPDATE sighting SET body=zeroblob(99) WHERE id=1", "ALTER TABLE batch RENAME TO parcel")
    spool = Spool(path, SECRET)
    assert sent(spool) == {"b": 1}
    assert spool.state().unreadable == 1
    assert "1 sightings of a spool that was set aside cannot be read and stay there" in caplog.text


def test_what_was_set_aside_on_a_full_disk_is_read_when_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The new file cannot be made, then cannot take it all: nothing of the old one is forgotten, whichever process comes next."""
    old = Spool(path, SECRET)
    old.add([seen(f"key-{n}") for n in range(500)], due=1)
    old.close()
    made_newer(path)
    full, spool = sqlite3.OperationalError("disk"), Spool(path, SECRET)
    opened = spool._file._open

    def no_room() -> sqlite3.Connection:
        if path.exists():
            return opened()
        raise full

    monkeypatch.setattr(spool._file, "_open", no_room)
    with pytest.raises(Unavailable):
        spool.state()
    assert [file.name for file in path.parent.glob("*.unread")] == ["spool.sqlite.newer-1.unread"]
    other = Spool(path, SECRET)
    opened = other._file._open

    def little_room() -> sqlite3.Connection:
        database = opened()
        database.execute("PRAGMA max_page_count=20")
        return database

    monkeypatch.setattr(other._file, "_open", little_room)
    assert other.state().waiting == 0
    other.close()
    assert "while reading the one that was set aside; it is tried again" in caplog.text
    monkeypatch.undo()
    last = Spool(path, SECRET)
    assert last.state().waiting == 500
    assert [file.name for file in path.parent.glob("*.newer*")] == ["spool.sqlite.newer-1"]


def test_a_process_that_runs_on_reads_what_was_set_aside_a_minute_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without being started anew."""
    Spool(path, SECRET).add([seen("a")], due=1)
    made_newer(path)
    spool, broken = Spool(path, SECRET), True

    def salvage(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        if broken:
            raise sqlite3.OperationalError("disk")
        salvaging(old, new)

    assert spool._file._salvage is not None
    salvaging = spool._file._salvage
    monkeypatch.setattr(spool._file, "_salvage", salvage)
    assert spool.state().waiting == 0
    broken = False
    assert spool.state().waiting == 0
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert spool.state().waiting == 1


def meets_damage(spool: Spool, meanwhile: Callable[[], None] = lambda: None) -> None:
    """A transaction in which SQLite finds a torn page."""
    try:
        with spool._file.transaction(writes=False):
            meanwhile()
            raise Torn("as SQLite says it")
    except Unavailable:
        return


def test_of_two_processes_that_meet_the_damage_one_sets_the_file_aside(path: Path) -> None:
    """The other finds the new one in its place, and what was put into it meanwhile stays."""
    first, second = Spool(path, SECRET), Spool(path, SECRET)
    first.add([seen("a")], due=1)

    def meanwhile() -> None:
        meets_damage(first)
        first.add([seen("b")], due=1)

    meets_damage(second, meanwhile)
    second.add([seen("c")], due=1)
    kept = [file.name for file in path.parent.iterdir() if "broken" in file.name and file.name[-1].isdigit()]
    assert kept == ["spool.sqlite.broken-1"]
    assert sent(first) == {"a": 1, "b": 1, "c": 1}


def test_a_transaction_that_began_on_a_file_set_aside_goes_to_the_new_one(path: Path) -> None:
    """Between looking at the name and beginning, another process renames it: what is written then would never be read."""
    first, second = Spool(path, SECRET), Spool(path, SECRET)
    first.add([seen("a")], due=1)
    is_there, looked = first._file._is_there, []

    def meanwhile() -> bool:
        if not looked:
            looked.append(1)
            first._file._db.execute("ROLLBACK")  # type: ignore[union-attr]
            meets_damage(second)
            first._file._db.execute("BEGIN IMMEDIATE")  # type: ignore[union-attr]
        return is_there()

    first._file._is_there = meanwhile  # type: ignore[method-assign]
    first.add([seen("b")], due=1)
    assert sent(second) == {"a": 1, "b": 1}


def test_what_the_registry_can_never_take_is_counted_and_so_is_its_end(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside in the file; where the file is full it goes first, and that is a number and a line too."""
    spool = Spool(path, SECRET, megabytes=1)
    spool.add([seen(f"wrong-{n}") for n in range(700)], due=1)
    (batch,) = spool.seal(now=1)
    spool.done(batch.batch_id, "INVALID_VALUE")
    state = spool.state()
    assert (state.waiting, state.refused, state.discarded) == (0, 700, 0)
    for turn in range(8):
        spool.add([seen(f"key-{turn}-{n}") for n in range(1_000)], due=turn)
    state = spool.state()
    assert (state.refused, state.discarded) == (700, 700)
    assert "the spool is full: 700 sightings that were set aside in it are gone" in caplog.text


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.95])
def test_of_a_torn_file_what_is_readable_is_kept(path: Path, where: float, caplog: pytest.LogCaptureFixture) -> None:
    """Pages overwritten with noise somewhere: the rest is sent, the file is set aside, and one can go on adding."""
    spool = Spool(path, SECRET)
    spool.add([seen(f"key-{n:05}") for n in range(3_000)], due=1)
    spool.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(int(size * where) // 4_096 * 4_096)
        file.write(os.urandom(8_192))
    torn = Spool(path, SECRET)
    for _ in range(3):
        try:
            torn.add([seen("new")], due=1)
            found = {raw.key for batch in torn.seal(now=1, batches=9) for raw in batch.sightings}
            break
        except Unavailable:
            continue  # the call that met the damage was refused; the next goes to the new file
    assert "new" in found
    if where:
        assert len(found) > 1_000
    else:  # the first page is the header and the schema: nothing can be read without it
        assert path.with_name("spool.sqlite.broken-1").exists()
    if path.with_name("spool.sqlite.broken-1").exists():
        assert "the spool file is torn; it is kept as spool.sqlite.broken-1" in caplog.text


def test_a_file_that_somebody_removed_is_made_again(path: Path) -> None:
    """What is added afterwards is not written to a file that nobody will ever read."""
    spool = Spool(path, SECRET)
    spool.add([seen("a")], due=1)
    for file in path.parent.iterdir():
        file.unlink()
    spool.add([seen("b")], due=1)
    assert [raw.key for batch in Spool(path, SECRET).seal(now=1) for raw in batch.sightings] == ["b"]


def test_a_child_process_has_a_connection_of_its_own(path: Path) -> None:
    """Parent and child add after a fork; both are in the file."""
    spool = Spool(path, SECRET)
    spool.add([seen("before")], due=1)
    child = os.fork()
    if child == 0:
        try:
            spool.add([seen("child")], due=1)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    spool.add([seen("parent")], due=1)
    assert {raw.key for batch in spool.seal(now=1) for raw in batch.sightings} == {"before", "child", "parent"}


def test_a_row_of_another_shape_is_set_aside_and_the_rest_is_sent(path: Path) -> None:
    """As a client of another version would have written it: its seal holds, and what is in it does not fit."""
    spool = Spool(path, SECRET)
    spool.add([seen("a")], due=1)
    with spool._file.transaction() as database:
        for number, text in enumerate(
            (b'["k","8.8.8.8",1,1,["only an agent"],null,null]', b"[[]]", b"{}", b"[" * 99_999)
        ):
            tag = bytes([number])
            database.execute(
                "INSERT INTO sighting (tag, due, count, body) VALUES (?,1,1,?)", (tag, spool._file.seal(text, tag))
            )
    (batch,) = spool.seal(now=1, batches=9)
    assert batch.sightings == (seen("a"),)
    assert spool.state().unreadable == 4


def test_an_index_that_contradicts_its_table_is_a_torn_file(path: Path) -> None:
    """A batch that is listed and cannot be found: SQLite says nothing of it, and reading it for ever would send nothing."""
    spool = Spool(path, SECRET)
    spool.add([seen("a")], due=1)
    (batch,) = spool.seal(now=1)
    spool.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    whole = path.read_bytes()
    assert whole.count(batch.batch_id) == 2, "in the table and in its index"
    at = whole.rindex(batch.batch_id)
    path.write_bytes(whole[:at] + bytes(16) + whole[at + 16 :])
    torn = Spool(path, SECRET)
    with pytest.raises(Unavailable) as caught:
        torn.seal(now=1)
    assert caught.value.code is ErrorCode.UNAVAILABLE
    assert path.with_name(path.name + ".broken-1").exists()
    assert torn.seal(now=1) == [] or torn.seal(now=1)[0].sightings == (seen("a"),)

"""The spool: what was seen survives crashes, torn files, other versions and full disks; what is lost is counted."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from daxa_client._shipper import AT_ONCE, LONGEST_ASKED_SECONDS, LONGEST_PAUSE_SECONDS, SEALED_AT_ONCE
from daxa_client._spool import KNOWN_SECONDS, Spool
from daxa_core.errors import ErrorCode, Unavailable
from daxa_core.model import BATCH_HOURS, SECONDS_PER_HOUR, Device, Manner, RawSighting

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


def test_a_newer_file_is_set_aside_untouched(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is kept under another name for the program that can read it; this one goes on with a new file."""
    Spool(path, SECRET).add([seen("a")], due=1)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    spool = Spool(path, SECRET)
    spool.add([seen("b")], due=1)
    assert [raw.key for batch in spool.seal(now=1) for raw in batch.sightings] == ["b"]
    with sqlite3.connect(path.with_name("spool.sqlite.newer-1")) as aside:
        assert aside.execute("SELECT count(*) FROM sighting").fetchone() == (1,)
    aside.close()
    assert "of a newer version than this program; it is kept as spool.sqlite.newer-1" in caplog.text


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

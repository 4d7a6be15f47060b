"""What was seen again is on the disk with each flush, counts once, and is taken over from processes that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from daxa_client import Device, Manner
from daxa_client._keeper import Keeper
from daxa_client._observer import Observer
from daxa_client._spool import Spool
from daxa_client._workers import Worker
from daxa_core.errors import Unavailable

SECRET = bytes(range(32))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite", SECRET)


def sent(spool: Spool) -> dict[str, int]:
    """What there is to send, by key."""
    out: Counter[str] = Counter()
    for batch in spool.seal(now=2**32, batches=99):
        out.update({raw.key: raw.count for raw in batch.sightings})
    return dict(out)


def noted(spool: Spool) -> int:
    """Rows of all journals."""
    with spool._file.transaction(writes=False) as database:
        return int(database.execute("SELECT count(*) FROM journal").fetchone()[0])


def keeper(spool: Spool) -> Keeper:
    return Keeper(spool, spool._file.path.parent)


def killed(keeper: Keeper) -> None:
    """What the kernel does when the process ends: its lock is gone."""
    keeper._worker.leave()


def see(keeper: Keeper, times: int, key: str = "key") -> None:
    for _ in range(times):
        assert keeper.observer.observe(key, "8.8.8.8", device=Device("curl"), account="7")


def test_an_observer_tells_what_was_seen_again_and_keeps_it() -> None:
    """Each time what is new since the last; whole values with a number once, then the number; all of it where that is asked."""
    one = Observer()
    for key in ("a", "b"):
        one.observe(key, "8.8.8.8")
    assert one.changed() == [], "what is new goes to the spool as it is"
    one.collect(counts=False)
    for key in ("a", "a", "b"):
        one.observe(key, "8.8.8.8")
    first = one.changed()
    assert [(change.times, change.seen and change.seen.key) for change in first] == [(2, "a"), (1, "b")]
    one.observe("a", "8.8.8.8")
    assert one.changed() == [(first[0].number, 1, None)]
    assert one.changed() == []
    assert [(change.times, change.seen and change.seen.key) for change in one.changed(everything=True)] == [
        (3, "a"),
        (1, "b"),
    ]
    assert {raw.key: raw.count for raw in one.collect()} == {"a": 3, "b": 1}
    assert one.changed(everything=True) == []
    one.observe("a", "8.8.8.8")
    assert [(change.times, change.seen and change.seen.key) for change in one.changed()] == [(1, "a")]


def test_what_a_killed_process_saw_again_is_taken_over_once(spool: Spool) -> None:
    """With each flush, without being added up; every field of it; by whichever process looks first."""
    first = keeper(spool)
    for times in (1, 4, 2):
        see(first, times)
        first.observer.observe("key", "8.8.8.8", manner=Manner.DECLARED)
        first.keep(counts=False)
    killed(first)
    for _ in range(2):
        keeper(spool).keep(counts=False)
    assert noted(spool) == 0
    (batch,) = spool.seal(now=2**32)
    found = {raw.manner: raw for raw in batch.sightings}
    raw = found[Manner.USED]
    assert (raw.count, raw.account, raw.device, raw.address) == (7, "7", Device("curl"), "8.8.8.8")
    assert found[Manner.DECLARED].count == 1


def test_a_process_that_lives_keeps_its_own(spool: Spool) -> None:
    """Another one adds up its own and leaves those alone; each counts once when it is added up."""
    first, second = keeper(spool), keeper(spool)
    for one in (first, second):
        for _ in range(2):
            see(one, 3)
            one.keep(counts=False)
    second.keep(counts=True)
    assert noted(spool) == 1
    first.keep(counts=True)
    assert noted(spool) == 0
    for one in (first, second):
        one.close()
    keeper(spool).keep(counts=True)
    assert sent(spool) == {"key": 12}
    assert [file.name for file in spool._file.path.parent.glob("worker-*")] == []


def test_what_the_disk_did_not_take_counts_once_too(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a journal that could not be written nor a sum that could not be added is lost or counted twice."""
    one = keeper(spool)
    see(one, 1)
    one.keep(counts=False)
    see(one, 2)
    one.keep(counts=False)

    def full(*_: object, **__: object) -> None:
        raise Unavailable("UNAVAILABLE", "spool", "a disk")  # type: ignore[arg-type]

    for name, counts in (("note", False), ("add", True)):
        see(one, 4)
        with monkeypatch.context() as patch:
            patch.setattr(spool, name, full)
            with pytest.raises(Unavailable):
                one.keep(counts)
    see(one, 8)
    one.keep(counts=False)
    assert noted(spool) == 1, "anew"
    killed(one)
    keeper(spool).keep(counts=True)
    assert sent(spool) == {"key": 1 + 2 + 4 + 4 + 8}


def test_a_journal_that_cannot_be_read_is_set_aside_and_the_rest_taken(spool: Spool) -> None:
    """Torn, or of a client that writes something else: counted, and nothing raised."""
    one = keeper(spool)
    for times in (1, 2, 3):
        see(one, times)
        one.keep(counts=False)
    with spool._file.transaction() as database:
        name = one._worker.name
        for body in (b"torn", spool._file.seal(b"no zlib", name)):
            database.execute("INSERT INTO journal (process, body) VALUES (?,?)", (name, body))
    spool._journal.write(name, [b"[99,7]", b'[1,1,["what is this"]]'], anew=False)
    spool._journal.write(name, [b'[1,1,["what is this"]]'], anew=False)
    killed(one)
    keeper(spool).keep(counts=True)
    assert sent(spool) == {"key": 6}
    assert spool.state().unreadable == 4
    assert noted(spool) == 0


def test_nothing_of_it_is_in_the_file(spool: Spool) -> None:
    """It is sealed like the rest."""
    one = keeper(spool)
    for _ in range(2):
        see(one, 1, "plain-key-text")
        one.keep(counts=False)
    assert noted(spool) == 1
    content = b"".join(file.read_bytes() for file in spool._file.path.parent.iterdir())
    assert b"plain-key-text" not in content


def test_a_spool_that_is_set_aside_takes_the_journals_along(spool: Spool) -> None:
    """Of processes that live on, which add up what they have, and of one that is dead."""
    one, two = keeper(spool), keeper(spool)
    for _ in range(2):
        see(one, 2)
        one.keep(counts=False)
        see(two, 3)
        two.keep(counts=False)
    with spool._file.transaction() as database:
        database.execute("PRAGMA user_version=99")
    spool.close()
    killed(two)
    one.keep(counts=True)
    assert sent(spool) == {"key": 10}


def test_a_child_has_a_name_of_its_own(spool: Spool) -> None:
    """And what its parent noted stays the parent's, also when the parent is gone first."""
    one = keeper(spool)
    for _ in range(2):
        see(one, 1)
        one.keep(counts=False)
    parent = one._worker.name
    child = os.fork()
    if child == 0:
        code = 1
        try:
            one.after_fork()
            other = Worker(spool._file.path.parent)
            code = 0 if other.lives(parent) and one._worker.name != parent and one.observer.collect() == [] else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert Worker(spool._file.path.parent).lives(parent)
    killed(one)
    assert not Worker(spool._file.path.parent).lives(parent)


def test_files_of_processes_that_are_gone_are_removed_and_no_others(tmp_path: Path) -> None:
    """One that is removed just as its process begins is made again by it."""
    one, two = Worker(tmp_path), Worker(tmp_path)
    one.begin()
    two.begin()
    two.leave()
    (tmp_path / f"worker-{bytes(8).hex()}.lock").touch()
    Worker(tmp_path).sweep()
    assert [path.name for path in tmp_path.iterdir()] == [f"worker-{one.name.hex()}.lock"]
    one.end()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"gateway\.state: a folder that can be written to"):
        Worker(tmp_path / "file").begin()


KILLED = """
import sys
from pathlib import Path
from daxa_client._keeper import Keeper
from daxa_client._spool import Spool
folder = Path(sys.argv[1])
keeper = Keeper(Spool(folder / "spool.sqlite", bytes(range(32))), folder)
for turn in range(5):
    keeper.observer.observe("key", "8.8.8.8")
    keeper.keep(counts=False)
print("kept", flush=True)
sys.stdin.read()
"""


def test_the_kernel_says_who_was_killed(spool: Spool) -> None:
    """SIGKILL, in a real process: what it noted is its own as long as it lives."""
    folder = spool._file.path.parent
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        keeper(spool).keep(counts=True)
        assert noted(spool) == 4
        process.kill()
    keeper(spool).keep(counts=True)
    assert noted(spool) == 0
    assert sent(spool) == {"key": 5}

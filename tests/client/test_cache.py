"""The fingerprint cache: it remembers, it is bounded, it tells nothing, and it survives what happens to its file."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import sqlite3
import threading
from pathlib import Path

import pytest
from blake3 import blake3

from daxa_client._cache import FingerprintCache
from daxa_core.canonical import canonical_address
from daxa_core.pseudonym import derive_key

SECRET, DIGEST = bytes(range(32)), bytes(32)


def element(number: int) -> bytes:
    return number.to_bytes(32, "big")


def cache(path: Path | None, **changes: object) -> FingerprintCache:
    return FingerprintCache(path, **({"secret": SECRET, "parameters_digest": DIGEST} | changes))  # type: ignore[arg-type]


def found(path: Path, *canonicals: bytes, **changes: object) -> dict[bytes, bytes]:
    """What another instance finds in the file."""
    with contextlib.closing(cache(path, **changes)) as another:
        return another.get(canonicals)


def test_it_remembers_across_restarts(tmp_path: Path) -> None:
    """What was put is got, by another instance too, and what was not put is not there."""
    first = cache(tmp_path / "deep/cache.sqlite")
    first.put({b"a": element(1), b"b": element(2)})
    first.close()
    again = cache(tmp_path / "deep/cache.sqlite")
    assert again.get([b"a", b"b", b"c"]) == {b"a": element(1), b"b": element(2)}
    again.close()


def test_other_parameters_or_another_secret_find_nothing(tmp_path: Path) -> None:
    """Fingerprints of another key would silently never match: they are dropped."""
    path = tmp_path / "cache.sqlite"
    first = cache(path)
    first.put({b"a": element(1)})
    first.close()
    other = cache(path, parameters_digest=b"\x01" * 32)
    assert other.get([b"a"]) == {}
    other.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM fingerprint").fetchone() == (0,)
    database.close()
    back = cache(path)
    back.put({b"a": element(1)})
    assert found(path, b"a", secret=b"\x02" * 32) == {}
    back.close()


def test_the_file_alone_gives_no_address_away(tmp_path: Path) -> None:
    """Neither the address, its canonical bytes, an unkeyed hash of them, nor one under the bare secret is in the file."""
    path = tmp_path / "cache.sqlite"
    keeper = cache(path)
    canonical = canonical_address("211.234.10.7")
    keeper.put({canonical: element(5)})
    keeper.close()
    stored = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert element(5) in stored
    hidden = [
        b"211.234.10.7", canonical, canonical[-4:] + b"\0", SECRET,
        blake3(canonical).digest(), hashlib.sha256(canonical).digest(), hashlib.sha512(canonical).digest()[:32],
        blake3(canonical, key=SECRET).digest(), derive_key("daxa 2026-05 fingerprint cache search key v1", SECRET),
    ]  # fmt: skip
    for value in hidden:
        assert value not in stored
        assert value.hex().encode() not in stored


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """0600, its journal too, and also where the file was there before with another mode."""
    path = tmp_path / "cache.sqlite"
    path.touch(0o644)
    keeper = cache(path)
    keeper.put({b"a": element(1)})
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}
    keeper.close()


def test_it_is_bounded_and_what_was_used_stays(tmp_path: Path) -> None:
    """Past its bound the file loses what was not used for longest; an old value that is still used survives."""
    path = tmp_path / "cache.sqlite"
    keeper = cache(path, in_memory=3, on_disk=100)
    for number in range(100):
        keeper.put({b"%d" % number: element(number)})
    assert keeper.get([b"7"]) == {b"7": element(7)}  # from the file: no longer in memory
    for number in range(100, 110):
        keeper.put({b"%d" % number: element(number)})
    keeper.close()
    with sqlite3.connect(path) as database:
        (stored,) = database.execute("SELECT count(*) FROM fingerprint").fetchone()
    database.close()
    assert 85 <= stored <= 100
    again = cache(path)
    assert again.get([b"7", b"109"]) == {b"7": element(7), b"109": element(109)}
    assert again.get([b"0", b"1", b"2"]) == {}
    again.close()


@pytest.mark.parametrize("damage", ["noise", "another program's", "torn"])
def test_a_broken_file_is_set_aside_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """It is kept beside for whoever wants to look, one line says so, and the client goes on."""
    path = tmp_path / "cache.sqlite"
    keeper = cache(path)
    keeper.put({b"%d" % number: element(number) for number in range(2_000)})
    keeper.close()
    if damage == "noise":
        path.write_bytes(secrets.token_bytes(9_000))
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:6_000])
    else:
        path.unlink()
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE fingerprint (colour TEXT)")
        database.close()
    with caplog.at_level(logging.WARNING, "daxa_client"):
        again = cache(path)
        again.put({b"a": element(1)})
        assert again.get([b"a", b"1"]) == {b"a": element(1)}
        again.close()
    assert caplog.messages == ["the fingerprint cache could not be read; it is set aside and made anew"]
    assert (tmp_path / "cache.sqlite.broken").exists()
    assert found(path, b"a") == {b"a": element(1)}


def test_a_flipped_bit_is_a_miss(tmp_path: Path) -> None:
    """A fingerprint that is not what was stored is not given out: it would never match, and nobody could see why."""
    path = tmp_path / "cache.sqlite"
    keeper = cache(path)
    keeper.put({b"a": element(1)})
    keeper.close()
    with sqlite3.connect(path) as database:
        (blob,) = database.execute("SELECT element FROM fingerprint").fetchone()
        database.execute("UPDATE fingerprint SET element=?", (bytes([blob[0] ^ 1]) + blob[1:],))
    database.close()
    again = cache(path)
    assert again.get([b"a"]) == {}
    again.put({b"a": element(1)})
    again.close()
    assert found(path, b"a") == {b"a": element(1)}


def test_a_lock_held_by_another_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another process in the middle of writing: what is put now stays in memory, and the file is not set aside."""
    path = tmp_path / "cache.sqlite"
    keeper = cache(path)
    keeper._db.execute("PRAGMA busy_timeout=10")  # type: ignore[union-attr]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING, "daxa_client"):
        keeper.put({b"a": element(1)})
        keeper.put({b"b": element(2)})
        assert keeper.get([b"a", b"b", b"c"]) == {b"a": element(1), b"b": element(2)}
    other.execute("ROLLBACK")
    other.close()
    assert len(caplog.messages) == 1
    assert not (tmp_path / "cache.sqlite.broken").exists()
    keeper.put({b"c": element(3)})
    keeper.close()
    assert found(path, b"c") == {b"c": element(3)}


def test_no_disk_is_no_reason_to_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where no file can be made, the cache lives in memory and says so once."""
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING, "daxa_client"):
        keeper = cache(tmp_path / "file/cache.sqlite")
        keeper.put({b"a": element(1)})
        assert keeper.get([b"a"]) == {b"a": element(1)}
    assert len(caplog.messages) == 1
    keeper.close()


def test_threads_share_it(tmp_path: Path) -> None:
    """Eight threads that put and get at once lose nothing."""
    keeper = cache(tmp_path / "cache.sqlite", in_memory=10)

    def work(start: int) -> None:
        for number in range(start, start + 50):
            keeper.put({b"%d" % number: element(number)})
            assert keeper.get([b"%d" % start]) == {b"%d" % start: element(start)}

    threads = [threading.Thread(target=work, args=(1_000 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {b"%d" % n: element(n) for i in range(8) for n in range(1_000 * i, 1_000 * i + 50)}
    assert wanted == keeper.get(list(wanted))
    keeper.close()

"""The loop that loads a dump: progress is saved by bytes as well as by keys, and belongs to one file."""

from __future__ import annotations

import io
from hashlib import sha256
from itertools import pairwise

import pytest

from daxa_core import dump, leaks
from daxa_core.leaks import Progress, count, identity_of, load

KEYS = [f"{n}key".ljust(40, "0") for n in range(12)]
TEXT = "".join(key.center(5_000) + "\n" for key in KEYS).encode()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr(leaks, "SAVE_BYTES", 10_000)


def test_a_file_with_few_keys_is_saved_on_its_way_and_goes_on_from_there() -> None:
    """Stopped near its end it does not begin anew."""
    saved: list[Progress] = []
    sent: set[bytes] = set()

    def stopped(now: Progress) -> None:
        saved.append(now)
        if now.offset > 30_000:
            raise KeyboardInterrupt

    def hashed(keys: object) -> list[bytes]:
        return [sha256(key).digest() for key in keys]  # type: ignore[attr-defined]

    fresh = Progress("", bytes(16))
    with pytest.raises(KeyboardInterrupt):
        load(io.BytesIO(TEXT), fresh, hashed, sent.update, stopped)
    offsets = [0, *(one.offset for one in saved)]
    assert all(10_000 <= b - a <= 11_000 for a, b in pairwise(offsets))
    assert len(sent) == saved[-1].sent < len(KEYS)
    ended = load(io.BytesIO(TEXT), saved[-1], hashed, sent.update, lambda now: None)
    assert (len(sent), ended.offset) == (len(KEYS), len(TEXT))


def test_a_dry_run_tells_how_far_it_is() -> None:
    """Bytes and candidates, rising."""
    told: list[tuple[int, int]] = []
    assert count(io.BytesIO(TEXT), lambda *now: told.append(now)) == len(KEYS)
    assert len(told) >= 5
    assert told == sorted(told)


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_a_file_is_told_from_one_of_its_size_with_its_beginning(size: int) -> None:
    """Two exports of a table begin alike; and the file stands at its beginning again."""
    one, other = (io.BytesIO(b"x" * size + end) for end in (b"one", b"two"))
    assert identity_of(one, size + 3) != identity_of(other, size + 3)
    assert one.tell() == 0
    assert identity_of(one, size + 3) == identity_of(io.BytesIO(one.getvalue()), size + 3)

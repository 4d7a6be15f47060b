"""Screening end to end: a member's own inventory against the published sets, over real gRPC and mutual TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import life
from daxa_client import ErrorCode
from daxa_client._config import read_config
from daxa_client._leaks import LeakClient
from leaking import Run, dump, key, load, member, refused


def test_screening_finds_ones_own_leaked_keys_and_asks_about_those_alone(
    world: life.World, run: Run, tmp_path: Path
) -> None:
    """Used or not; what was evaluated and fetched once is not again; a RED leak has no set."""
    load(run, dump(tmp_path, "u1", "unused", "foreign"))
    run("load", dump(tmp_path, "u2"), "--name", "secret", "--source", "s", "--tlp", "RED", "--yes")
    inventory = tmp_path / "keys.csv"
    lines = ["id,api_key,since", *(f"{n},{key(f'own{n}')},2026" for n in range(3_000))]
    lines[1_500:1_500] = [f"7,{key('unused')},2025", "8,,2025", f"9,{key('u2')},2025"]
    inventory.write_text("\n".join(lines) + "\n")
    config = world.folder / "members/upbit/client.toml"
    from daxa_client._screening import ScreeningCache, screen

    def once() -> Any:
        with (
            LeakClient(read_config(config)) as client,
            ScreeningCache.beside(read_config(config)) as cache,
            inventory.open("rb") as file,
        ):
            asked: list[int] = []
            confirm = client.confirm
            client.confirm = lambda prints: asked.append(len(prints)) or confirm(prints)  # type: ignore[method-assign,func-returns-value]
            result = screen(client, cache, file)
            return result, asked

    first, asked = once()
    assert [(hit.line, hit.key, [one.leak.name for one in hit.leaks]) for hit in first.hits] == [
        (1_501, key("unused"), ["a paste"])
    ]
    assert (first.keys, first.refused, first.sets, first.evaluated, asked) == (3_002, (1_502,), 1, 3_002, [1])
    assert first.fetched_bytes > 0
    again, _ = once()
    assert (again.hits, again.evaluated, again.fetched_bytes) == (first.hits, 0, 0)
    # One line more is one block more, not all of them.
    lines[2_000:2_000] = [f"1,{key('foreign')},2026"]
    inventory.write_text("\n".join(lines) + "\n")
    third, _ = once()
    assert [hit.key for hit in third.hits] == [key("unused"), key("foreign")]
    assert third.evaluated < 3_000
    [printed, _] = member(world, "upbit", "screen", inventory, code=3)
    assert printed["key"] == key("unused")
    # No key, in any of its forms, is in the screening's own file.
    data = b"".join(p.read_bytes() for p in config.parent.rglob("*.screening*"))
    assert data
    assert key("unused").encode() not in data


def test_a_torn_chunk_is_told_and_a_torn_cache_is_made_anew(world: life.World, run: Run, tmp_path: Path) -> None:
    """What the registry sends has to be what its manifest names; what the disk tore is fetched or evaluated again."""
    from daxa_client._screening import ScreeningCache, screen

    load(run, dump(tmp_path, "u1"))
    inventory = tmp_path / "keys.txt"
    inventory.write_text(f"{key('u1')}\n{key('own')}\n")
    config = read_config(world.folder / "members/upbit/client.toml")
    cache_path = tmp_path / "screening"

    def screened() -> Any:
        cache = ScreeningCache(cache_path, config.account_secret, config.parameters.digest)
        with LeakClient(config) as client, cache, inventory.open("rb") as file:
            return screen(client, cache, file)

    with LeakClient(config) as client:
        about = client._registry.about_leaks
        [one] = client.sets()

        def torn(call: str, request: Any) -> Any:
            answer = about(call, request)
            if call == "GetLeakSetChunk":
                answer.chunk = answer.chunk[:-1] + bytes([answer.chunk[-1] ^ 1])
            return answer

        client._registry.about_leaks = torn  # type: ignore[method-assign]
        refused(ErrorCode.INVALID_CHUNK, lambda: client.chunk(one, 0))
    assert len(screened().hits) == 1
    for broken in (b"no database", cache_path.read_bytes()[:-100]):
        for end in ("-wal", "-shm"):
            cache_path.with_name(cache_path.name + end).write_bytes(b"of another file")
        cache_path.write_bytes(broken)
        assert len(screened().hits) == 1


def test_a_set_that_was_made_under_another_key_is_told(world: life.World, run: Run, tmp_path: Path) -> None:
    """Passed over in silence it would look like an inventory without a leak."""
    load(run, dump(tmp_path, "u1"))
    with LeakClient(read_config(world.folder / "members/upbit/client.toml")) as client:
        about = client._registry.about_leaks

        def later(call: str, request: Any) -> Any:
            answer = about(call, request)
            for one in answer.sets:
                one.key_version += 1
            return answer

        client._registry.about_leaks = later  # type: ignore[method-assign]
        assert refused(ErrorCode.STALE_KEY_VERSION, client.sets).field == "key_version"


def test_a_screening_of_what_are_hardly_keys_does_not_end_as_if_nothing_were_leaked(
    world: life.World, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lines are told by number, and its exit code is its own; no word of it stands in what is told."""
    load(run, dump(tmp_path, "u1"))
    inventory = tmp_path / "keys.txt"
    inventory.write_text(f"<{key('u1')}>\n<{key('own')}>\n\n{key('other')}\n")
    assert member(world, "upbit", "screen", inventory, code=4) == []
    told = capsys.readouterr().err
    assert "2 lines hold a key of no exchange's shape: 1, 2\n" in told
    assert "1 lines hold no key, and were passed over: 3\n" in told
    assert not any(key(name) in told for name in ("u1", "own", "other"))
    inventory.write_text(f"'{key('u1')}'\n<{key('own')}>\n\n")
    assert len(member(world, "upbit", "screen", inventory, code=3)) == 1

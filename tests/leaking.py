"""A small market in which keys leak, and both sides' commands about leaks.

with market(tmp_path) as world:
    load(runner(world), dump(tmp_path, "u1", "nobody's"))
    assert member(world, "upbit", "list") == []
"""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import life
from daxa_client import DaxaError, ErrorCode, RawSighting
from daxa_client import _cli as client_cli
from daxa_registry.cli import cli

Run = Callable[..., str]
DUMP_WORDS = "from a paste:\nuser1@example.com;pass;{};2022-12-28\n"


def key(name: str) -> str:
    return f"{name}X".ljust(40, "0")


def customer(name: str, hour: int, address: str = "211.234.10.7", **more: Any) -> RawSighting:
    return RawSighting(key(name), address, hour, device=life.STACK, account=name, **more)


def dump(folder: Path, *names: str) -> Path:
    path = folder / f"dump-{'-'.join(names)[:40]}.txt"
    path.write_text("".join(DUMP_WORDS.format(key(name)) for name in names))
    return path


@contextlib.contextmanager
def market(folder: Path) -> Iterator[life.World]:
    """Three members; two customers at one, and one at another."""
    with life.world(folder, ("upbit", "bithumb", "korbit")) as made:
        made.client("upbit").submit([customer("u1", made.hour()), customer("u2", made.hour(), "211.234.10.8")])
        made.client("bithumb").submit([customer("b1", made.hour(), "211.234.10.9")])
        yield made


def runner(world: life.World) -> Run:
    """``daxa-registry leak``: what it printed."""

    def call(*arguments: str | Path) -> str:
        words = ["leak", *map(str, arguments)]
        by = ["--by", "kim"] if "--yes" in words else []
        result = CliRunner().invoke(cli, [*words, *by, "--operator", str(world.operator())], standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


def load(run: Run, path: Path, name: str = "a paste") -> str:
    return run("load", path, "--name", name, "--source", "found by hand", "--found", "2022-12-28", "--yes")


def member(world: life.World, name: str, *words: str | Path, code: int = 0) -> list[dict[str, Any]]:
    """``daxa-client leak``: the objects that it printed."""
    out = io.StringIO()
    config = world.folder / "members" / name / "client.toml"
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as ended:
        client_cli.main(["--config", str(config), "leak", *map(str, words)])
    assert ended.value.code == code
    return [json.loads(line) for line in out.getvalue().splitlines()]


def refused(code: ErrorCode, call: Callable[[], object]) -> DaxaError:
    with pytest.raises(DaxaError) as caught:
        call()
    assert caught.value.code is code
    return caught.value


def codes(verdict: Any) -> set[str]:
    return {reason.code for reason in verdict.reasons}


def rows(world: life.World, query: str) -> list[Any]:
    with sqlite3.connect(world.folder / "registry/data/registry.sqlite") as database:
        return database.execute(query).fetchall()

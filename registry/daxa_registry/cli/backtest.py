"""``daxa-registry backtest``: raw sightings in, verdicts out."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry.bootstrap import GC_THRESHOLD, make_backtest
from daxa_registry.config import read_policy_text
from daxa_registry.decision.policy import Policy, default_policy, load_policy

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
BAD_LINES_SHOWN = 20


def read_policy(path: Path | None) -> Policy:
    """The policy in the file, or the package's own."""
    return default_policy() if path is None else load_policy(read_policy_text(path))


@click.command()
@click.option("--sightings", type=FILE, required=True, help="JSON lines, in time order.")
@click.option("--verdicts", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to write.")
@click.option("--policy", type=FILE, help="A policy to try; without it, the package's own.")
@click.option("--declared", type=FILE, help='Licensed infrastructure: [{"name", "ips": […], "device"}].')
def backtest(sightings: Path, verdicts: Path, policy: Path | None, declared: Path | None) -> None:
    """Decides raw sightings as the live path would, as of the last one's time.

    Writes a line for each (exchange, key) that was used or declared. Lines that are wrong are refused with their number;
    the rest goes on.
    """
    gc.set_threshold(*GC_THRESHOLD)
    for name, given in (("--sightings", sightings), ("--policy", policy), ("--declared", declared)):
        if given is not None and verdicts.is_file() and verdicts.samefile(given):
            raise ConfigurationError(ErrorCode.INVALID_FILE, "--verdicts", f"another file than {name}")
    run = make_backtest(read_policy(policy))
    if declared is not None:
        try:
            run.declare(json.loads(declared.read_text("utf-8")))
        except (ValueError, RecursionError):
            raise ConfigurationError(ErrorCode.INVALID_FILE, declared.name, "a JSON list in UTF-8") from None
    refused = written = 0
    with _written(verdicts) as out:
        with sightings.open("rb") as lines:
            for bad in run.read(lines):
                refused += 1
                if refused <= BAD_LINES_SHOWN:
                    click.echo(f"line {bad.number}: {bad.error}", err=True)
        if refused > BAD_LINES_SHOWN:
            click.echo(f"… and {refused - BAD_LINES_SHOWN} more lines refused", err=True)
        for line in run.verdicts():
            out.write(line.to_json() + "\n")
            written += 1
    click.echo(f"{run.sightings} sightings taken, {refused} lines refused, {written} verdicts", err=True)
    sys.stderr.flush()


@contextlib.contextmanager
def _written(path: Path) -> Iterator[IO[str]]:
    """What is written to it stands there at the end: beside it and renamed, so that a run that is stopped leaves no half of an
    answer behind; or straight into what is no file, as a pipe is. Raises ConfigurationError before anything is read."""
    target = path.resolve()
    straight = target.exists() and not target.is_file()
    try:
        # Not for others to read: keys are in it.
        out: IO[str] = (
            target.open("w", encoding="utf-8")
            if straight
            else tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed below
                "w", encoding="utf-8", dir=target.parent, prefix=target.name, delete=False
            )
        )
    except OSError as error:
        wanted = f"a path that can be written to, got {errno.errorcode.get(error.errno or 0, '')}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, "--verdicts", wanted) from None
    try:
        with out:
            yield out
        if not straight:
            os.replace(out.name, target)
    except BaseException:
        if not straight:
            Path(out.name).unlink(missing_ok=True)
        raise

"""``daxa-registry backtest``: raw sightings in, verdicts out."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from pathlib import Path

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
    run = make_backtest(read_policy(policy))
    if declared is not None:
        try:
            run.declare(json.loads(declared.read_text("utf-8")))
        except (ValueError, RecursionError):
            raise ConfigurationError(ErrorCode.INVALID_FILE, declared.name, "a JSON list in UTF-8") from None
    refused = 0
    with sightings.open("rb") as lines:
        for bad in run.read(lines):
            refused += 1
            if refused <= BAD_LINES_SHOWN:
                click.echo(f"line {bad.number}: {bad.error}", err=True)
    if refused > BAD_LINES_SHOWN:
        click.echo(f"… and {refused - BAD_LINES_SHOWN} more lines refused", err=True)
    written = 0
    # Written beside and renamed: a run that is stopped leaves no half of an answer behind.
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=verdicts.absolute().parent, prefix=verdicts.name, delete=False
    ) as out:
        try:
            for line in run.verdicts():
                out.write(line.to_json() + "\n")
                written += 1
            out.close()
            os.replace(out.name, verdicts)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise
    click.echo(f"{run.sightings} sightings taken, {refused} lines refused, {written} verdicts", err=True)
    sys.stderr.flush()

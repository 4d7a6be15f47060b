"""``daxa-registry audit``: whether the database still holds what was logged."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry.bootstrap import audit_database

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """Checks the registry's log."""


@audit.command()
@click.argument("configuration", type=FILE)
@click.option("--checkpoint", type=FILE, help="A checkpoint that somebody kept: the log has to begin with it.")
def verify(configuration: Path, checkpoint: Path | None) -> None:
    """Rebuilds the tree from the database that CONFIGURATION (registry.toml) names, leaf by leaf.

    Every leaf's content, every stored hash, every verdict's signature, evidence and sequence, every cosignature. Tells the first
    leaf that does not fit, and exits with 1 then. Who could rewrite the whole database could make it fit itself: hold it
    against a checkpoint from outside with --checkpoint.
    """
    note = None
    if checkpoint is not None:
        try:
            note = checkpoint.read_text("utf-8")
        except UnicodeDecodeError:
            raise ConfigurationError(ErrorCode.INVALID_CHECKPOINT, checkpoint.name, "a signed note in UTF-8") from None
    report = audit_database(configuration, note)
    if report.problem is not None:
        where = "log" if report.problem.index is None else f"leaf {report.problem.index}"
        click.echo(f"{where}: {report.problem.what}")
        sys.exit(1)
    click.echo(f"{report.size} leaves fit: {report.verdicts} verdicts, {report.events} events")
    click.echo(f"{report.cosignatures} cosignatures of witnesses fit")
    click.echo(f"root {report.root.hex()}")

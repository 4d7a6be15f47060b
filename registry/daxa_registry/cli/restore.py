"""``daxa-registry restore``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry import backups

from .backup import FILE, PASSPHRASE, passphrase_in, tell


@click.command()
@click.argument("backup", type=FILE)
@click.argument("target", type=click.Path(path_type=Path))
@PASSPHRASE
def restore(backup: Path, target: Path, passphrase_file: Path | None) -> None:
    """Puts BACKUP into the empty database of TARGET (a registry.toml), or with its files into TARGET, a new folder.

    Refused where the log does not come out with the root that it had, or where anything is there already.
    """
    tell(backups.restore(backup, target, passphrase_in(passphrase_file)))

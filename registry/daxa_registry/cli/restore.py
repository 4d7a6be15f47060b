"""``daxa-registry restore``. A dry run, which looks at all of the backup, without ``--yes``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry import backups

from .acts import Act, act
from .backup import FILE, PASSPHRASE, passphrase_in, tell


@click.command()
@click.argument("backup", type=FILE)
@click.argument("target", type=click.Path(path_type=Path))
@PASSPHRASE
@act
def restore(backup: Path, target: Path, passphrase_file: Path | None, act: Act) -> None:
    """Puts BACKUP into the empty database of TARGET (a registry.toml), or with its files into TARGET, a new folder.

    Refused where the log does not come out with the root that it had, or where anything is there already. Who did it is the next
    leaf of the log.
    """
    kept = backups.restore(backup, target, passphrase_in(passphrase_file), act.by, dry_run=not act.agreed)
    place = f"the database of {target}" if target.is_file() else f"{target}, a new folder"
    act.says(f"{backup.name} is put into {place}, by {act.by}")
    tell(kept)

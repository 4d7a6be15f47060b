"""``daxa-registry backup``; what ``restore`` shares with it."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry.backups import Kept, files_to_take, make_backup

from .acts import Act, act

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PASSPHRASE = click.option("--passphrase-file", type=FILE, help="Seals the backup: at least 16 characters on one line.")
LEAST_CHARACTERS = 16


def passphrase_in(path: Path | None) -> bytes | None:
    if path is None:
        return None
    text = path.read_bytes().strip()
    if len(text) < LEAST_CHARACTERS:
        raise ConfigurationError(ErrorCode.INVALID_FILE, path.name, f"at least {LEAST_CHARACTERS} characters")
    return text


def tell(kept: Kept) -> None:
    if kept.root:
        click.echo(f"{kept.size} leaves, root {kept.root}")
        click.echo(", ".join(f"{number} {name}" for name, number in kept.rows.items() if number))
    if kept.files:
        click.echo(f"with {', '.join(kept.files)}")


@click.command()
@click.argument("configuration", type=FILE)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--with-files", is_flag=True, help="Also the configuration and the keys or the share beside it.")
@PASSPHRASE
@act
def backup(configuration: Path, out: Path, with_files: bool, passphrase_file: Path | None, act: Act) -> None:
    """Writes the database of CONFIGURATION (registry.toml or evaluator.toml) into the new file OUT; it may be in use.

    The log is rebuilt from what was written, leaf by leaf, before OUT is there. With its files, keys leave this host: that needs
    --yes and is recorded.
    """
    passphrase = passphrase_in(passphrase_file)
    if with_files:
        taken = files_to_take(configuration, out, passphrase, act.by)
        act.says(f"{', '.join(path.name for path in taken)} are written into {out.name} as well, by {act.by}")
        if not act.agreed:
            return
    tell(make_backup(configuration, out, with_files, passphrase, act.by))

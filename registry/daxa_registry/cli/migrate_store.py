"""``daxa-registry migrate-store``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry import backups

from .acts import Act, act
from .backup import tell

_PASSWORD = re.compile(r"://[^?@]*:[^?@]+@|[?&]password=")


@click.command("migrate-store")
@click.option("--from", "source", required=True, metavar="FILE", help="The SQLite file of a registry, serving or not.")
@click.option("--to", "target", required=True, metavar="URL", help="An empty database: postgresql://…")
@act
def migrate_store(source: str, target: str, act: Act) -> None:
    """Moves a registry from SQLite to PostgreSQL. Writing waits meanwhile, and the file is written to no more.

    Every verdict, every row count and the log's root are compared before it is done; the act is the next leaf. Then set
    ``database`` in registry.toml and start again.
    """
    if "://" not in target:
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "--to", "a URL that begins with postgresql://")
    if _PASSWORD.search(target):
        wanted = "a URL without a password, which everybody on this host can read here; PGPASSFILE names a file for it"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "--to", wanted)
    kept = None if act.agreed else backups.migrate_store(source, target, act.by, dry_run=True)
    act.says(
        f"everything in {Path(source).name} moves to PostgreSQL, and {Path(source).name} takes nothing more, by {act.by}"
    )
    tell(kept or backups.migrate_store(source, target, act.by))

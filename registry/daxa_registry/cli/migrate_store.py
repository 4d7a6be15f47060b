"""``daxa-registry migrate-store``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry import backups

from .acts import Act, act
from .backup import tell


@click.command("migrate-store")
@click.option("--from", "source", required=True, metavar="FILE", help="The SQLite file of a registry, serving or not.")
@click.option("--to", "target", required=True, metavar="URL", help="An empty database: postgresql://…")
@act
def migrate_store(source: str, target: str, act: Act) -> None:
    """Moves a registry from SQLite to PostgreSQL. Writing waits meanwhile, and the file is written to no more.

    Every verdict, every row count and the log's root are compared before it is done. Then set ``database`` in registry.toml and
    start again.
    """
    act.says(f"everything in {Path(source).name} moves to PostgreSQL, and {Path(source).name} takes nothing more")
    if act.agreed:
        tell(backups.migrate_store(source, target))

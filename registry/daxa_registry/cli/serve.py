"""``daxa-registry serve``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry.bootstrap import run_registry


@click.command()
@click.argument("configuration", type=click.Path(dir_okay=False, path_type=Path))
def serve(configuration: Path) -> None:
    """Serves the registry as CONFIGURATION (registry.toml) says."""
    run_registry(configuration, click.echo)

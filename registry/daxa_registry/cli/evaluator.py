"""``daxa-registry evaluator``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry.bootstrap import run_evaluator


@click.command()
@click.argument("configuration", type=click.Path(dir_okay=False, path_type=Path))
def evaluator(configuration: Path) -> None:
    """Serves EvaluationService as CONFIGURATION (evaluator.toml) says, after checking its share."""
    run_evaluator(configuration, click.echo)

"""``daxa-registry ceremony``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry.keys.shares import ceremony as deal_into


@click.command()
@click.option("--threshold", default=2, show_default=True, help="Evaluators needed.")
@click.option("--evaluators", default=3, show_default=True, help="Evaluators there are.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write.")
def ceremony(threshold: int, evaluators: int, out: Path) -> None:
    """Deals a fresh key of each kind and writes parameters.json and share-<i>.json (0600). Run it offline.

    Hand each share to its evaluator and delete it here: whoever has THRESHOLD of them has the keys.
    """
    parameters, paths = deal_into(out, threshold, evaluators)
    for path in paths:
        click.echo(path)
    click.echo(f"parameters digest {parameters.digest.hex()}")

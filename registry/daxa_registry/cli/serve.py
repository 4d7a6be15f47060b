"""``daxa-registry serve``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from daxa_registry.bootstrap import run_registry
from daxa_registry.nodes import run_nodes


@click.command()
@click.argument("configuration", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--listen", metavar="HOST:PORT", help="Serve here instead: one more node on the same database.")
@click.option("--nodes", type=click.IntRange(1, 16), help="Try it: so many nodes on this machine, 100 ports apart.")
@click.option(
    "--instead-of-policy",
    "instead_of",
    default="",
    metavar="DIGEST",
    help="Bring CONFIGURATION's policy into force instead of that one, if this program cannot read it.",
)
def serve(configuration: Path, listen: str | None, nodes: int | None, instead_of: str) -> None:
    """Serves the registry as CONFIGURATION (registry.toml) says.

    Several nodes, each on a host of its own with the same files, make one registry where ``database`` is a postgresql:// URL.
    """
    if nodes is None:
        run_registry(configuration, click.echo, listen, instead_of)
    else:
        sys.exit(run_nodes(configuration, nodes, click.echo))

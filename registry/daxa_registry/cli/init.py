"""``daxa-registry init``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry.deployment import MEMBERS, Plan, make_deployment


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--member", "members", multiple=True, help="A member's name; again for more. Default: the five of DAXA.")
@click.option("--threshold", default=2, show_default=True, help="Evaluators needed.")
@click.option("--evaluators", default=3, show_default=True, help="Evaluators there are.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where everything listens at first.")
@click.option("--base-port", default=7400, show_default=True, help="The registry's port; evaluators follow.")
def init(folder: Path, members: tuple[str, ...], threshold: int, evaluators: int, host: str, base_port: int) -> None:
    """Makes a deployment in FOLDER: authority, certificates, shares, configuration, and a README of what is what."""
    plan = Plan(members or MEMBERS, threshold, evaluators, host, base_port)
    make_deployment(folder, plan)
    click.echo(
        f"{folder}: registry, {evaluators} evaluators ({threshold} needed), {len(plan.members)} members. Read {folder}/README.md."
    )

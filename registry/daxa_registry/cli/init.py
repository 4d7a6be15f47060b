"""``daxa-registry init``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry.config import DEFAULT_TRUST_DOMAIN
from daxa_registry.deployment import MEMBERS, OPERATOR, Plan, make_deployment


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--member", "members", multiple=True, help="A member's name; again for more. Default: the five of DAXA.")
@click.option("--threshold", default=2, show_default=True, help="Evaluators needed.")
@click.option("--evaluators", default=3, show_default=True, help="Evaluators there are.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where everything listens at first.")
@click.option("--registry-host", help="Where the registry will be, if not at HOST.")
@click.option("--evaluator-host", "evaluator_hosts", multiple=True, help="Where each will be; once for each, in order.")
@click.option("--base-port", default=7400, show_default=True, help="The registry's port; evaluators follow.")
@click.option("--trust-domain", default=DEFAULT_TRUST_DOMAIN, show_default=True, help="Of the SPIFFE ids.")
def init(
    folder: Path,
    members: tuple[str, ...],
    threshold: int,
    evaluators: int,
    host: str,
    registry_host: str | None,
    evaluator_hosts: tuple[str, ...],
    base_port: int,
    trust_domain: str,
) -> None:
    """Makes a deployment in FOLDER, which is empty or not there yet.

    Authority, certificates, shares, configuration, and a README of what is what.
    """
    plan = Plan(
        members or MEMBERS, threshold, evaluators, host, base_port, trust_domain, None, registry_host, evaluator_hosts
    )
    make_deployment(folder, plan)
    servers = [("registry", plan.target(0)), *((f"evaluators/{i}", plan.target(i)) for i in range(1, evaluators + 1))]
    click.echo(f"made {folder}: {threshold} of {evaluators} evaluators are needed")
    for part, target in servers:
        click.echo(f"  {part:<14} {target}")
    for member in plan.members:
        click.echo(f"  members/{member}")
    click.echo(f"  operators/{OPERATOR}")
    click.echo("  ca             keep it offline")
    click.echo(f"{folder / 'README.md'} says what goes where and what starts what.")

"""``daxa-registry replay``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .online import connect, named, operator_option, show_verdict


@click.command()
@click.argument("verdict", metavar="MEMBER:SEQUENCE")
@operator_option
def replay(verdict: str, configuration: Path) -> None:
    """Decides a verdict again from its stored evidence, policy and state, and shows any difference (exit code 1)."""
    with connect(configuration) as operator:
        found = operator.replay(*named(verdict, "MEMBER:SEQUENCE"))
    click.echo(f"verdict {verdict}" + (f", after the exchange reported {found.act.name}" if found.act else ""))
    show_verdict(found.told)
    if not found.differences:
        click.echo("replayed: the same")
        return
    click.echo("replayed: NOT the same")
    for field, told, replayed in found.differences:
        click.echo(f"  {field}: told {told}, replayed {replayed}")
    sys.exit(1)

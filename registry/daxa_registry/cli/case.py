"""``daxa-registry case``: who belongs together, who drives, who lends, who is a victim."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_core.model import SECONDS_PER_HOUR
from daxa_registry.service.cases import CaseView

from .case_drawing import drawing
from .online import FILE, connect, operator_option, when


@click.group()
def case() -> None:
    """Lists, shows and draws cases; they are worked out anew each time, and named by their smallest subject."""


@case.command("list")
@operator_option
def list_(configuration: Path) -> None:
    """Every case, the largest first."""
    with connect(configuration) as operator:
        for one in operator.cases():
            click.echo(summary(one))


def summary(one: CaseView) -> str:
    """A case in a line."""
    members = sorted({part.member for part in one.parts})
    roles = [part.role for part in one.parts]
    told = ", ".join(f"{roles.count(role)} {role}" for role in ("controller", "lender", "victim") if role in roles)
    highest = max(part.level for part in one.parts).name
    return f"case {one.number:<8} {len(one.parts):>4} keys at {', '.join(members)}: {told}; up to {highest}"


@case.command()
@click.argument("number", type=click.IntRange(1))
@operator_option
@click.option("--svg", type=FILE, help="Draw it into this file too.")
def show(number: int, configuration: Path, svg: Path | None) -> None:
    """One case: its keys, who leads first, and where they meet. Pseudonyms alone: S is a key, A an address."""
    with connect(configuration) as operator:
        [found] = operator.cases(number)
    click.echo(summary(found))
    click.echo(f"  {'key':<10} {'member':<12} {'role':<11} {'level':<15} {'score':>6} {'lead':>6}  first there")
    for part in found.parts:
        first = when(part.first_hour * SECONDS_PER_HOUR)
        click.echo(
            f"  S{part.subject:<9} {part.member:<12} {part.role:<11} {part.level.name:<15} {part.score:>6.2f}"
            f" {part.lead:>6.2f}  {first}"
        )
    for address in found.addresses:
        there = sum(1 for _, other, _ in found.edges if other == address)
        click.echo(f"  A{address:<9} {there} of them")
    if svg is not None:
        svg.write_text(drawing(found), "utf-8")
        click.echo(f"drawn into {svg}")

"""``daxa-registry infrastructure``: licensed services whose addresses operators vouch for. A dry run without ``--yes``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .acts import Act, act
from .online import connect, operator_option, when

SECONDS_PER_DAY = 86_400


@click.group()
def infrastructure() -> None:
    """Adds, lists and removes the addresses of licensed services. The registry is sent fingerprints alone."""


@infrastructure.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--name", required=True, help="The service's name.")
@click.option("--days", type=click.IntRange(1, 730), default=365, show_default=True, help="For how long.")
@operator_option
@act
def add(addresses: tuple[str, ...], name: str, days: int, configuration: Path, act: Act) -> None:
    """Vouches for ADDRESSes: sharing one says nothing of a key until the time is over."""
    until = int(time.time()) + days * SECONDS_PER_DAY
    with connect(configuration, act.by) as operator:
        known, suspects = operator.declare(addresses, name, until, dry_run=not act.agreed)
    act.says(f"{len(addresses)} addresses of {name} are vouched for until {when(until)} by {act.by}")
    act.says(f"{known} of them are known; {suspects} keys above CLEAR were seen there and are decided again")


@infrastructure.command("list")
@operator_option
def list_(configuration: Path) -> None:
    """What is declared: pseudonym, until when, how many keys were seen there, the service's name."""
    with connect(configuration) as operator:
        for one in operator.infrastructure():
            click.echo(f"A{one.node:<10} until {when(one.until)}  {one.subjects:>7} keys  {one.name}")


@infrastructure.command()
@click.argument("number", metavar="A-NUMBER")
@operator_option
@act
def remove(number: str, configuration: Path, act: Act) -> None:
    """Takes one declaration back, named as the list names it: A7, or 7."""
    digits = number.removeprefix("A")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise click.BadParameter("a pseudonym of the list, such as A7", param_hint="A-NUMBER")
    with connect(configuration, act.by) as operator:
        found = operator.remove(int(digits), dry_run=not act.agreed)
    act.says(
        f"{found.name} at A{found.node} is no longer vouched for, by {act.by}; {found.subjects} keys were seen there"
    )

"""What commands to a running registry have in common: the operator's configuration, how times and names are written.

Everything that they print is a pseudonym, a member's name or a number: there is nothing raw to print.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import SECONDS_PER_HOUR, Verdict
from daxa_registry.config import read_operator
from daxa_registry.rpc.operator import Operator

FILE = click.Path(dir_okay=False, path_type=Path)
operator_option = click.option(
    "--operator",
    "configuration",
    type=FILE,
    default=Path("operator.toml"),
    show_default=True,
    help="The operator's configuration, as init made it.",
)


def connect(configuration: Path, by: str = "") -> Operator:
    """Whoever acts is named by ``by`` beside the name in the certificate."""
    return Operator(read_operator(configuration), by)


def when(seconds: int) -> str:
    """A time as people read it, in UTC; a dash where there is none."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M}" if seconds else "-"


def named(which: str, field: str) -> tuple[str, int]:
    """MEMBER:NUMBER as its parts. Raises InvalidInput naming the argument."""
    member, colon, number = which.partition(":")
    if not colon or not member or not (number.isascii() and number.isdecimal()) or len(number) > 18:
        raise InvalidInput(ErrorCode.INVALID_VALUE, field, "MEMBER:NUMBER, such as upbit:17")
    return member, int(number)


def show_verdict(verdict: Verdict) -> None:
    """A verdict in lines."""
    click.echo(f"  level     {verdict.level.name}, because {verdict.cause.name}, score {verdict.score:.2f}")
    click.echo(f"  scope     {verdict.scope.name}, deadline {when(verdict.deadline)}")
    click.echo(f"  decided   {when(verdict.decided_at)}, holds until {when(verdict.valid_until)}")
    click.echo(f"  policy    {verdict.policy_digest.hex()[:16]}  evidence {verdict.evidence_digest.hex()[:16]}")
    for reason in verdict.reasons:
        last = f"  last {when(reason.hour * SECONDS_PER_HOUR)}" if reason.hour else ""
        click.echo(f"  {reason.contribution:+8.2f}  {reason.code}  {reason.count.name}{last}")

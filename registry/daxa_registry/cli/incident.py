"""``daxa-registry incident``: what belonged together, what was told and done, for the record and for others."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_registry.service.incidents import Incident, IncidentClass

from . import incident_export as exported
from .acts import Act, act
from .online import FILE, connect, named, operator_option, when

CLASSES = {one.name.lower().replace("_", "-"): one for one in IncidentClass}
_number = click.argument("number", type=click.IntRange(1))


@click.group()
def incident() -> None:
    """Opens, links, closes, lists, shows and exports incidents."""


def _line(one: Incident) -> str:
    kind = one.kind.name.lower().replace("_", "-")
    state = f"closed {when(one.closed_at)}" if one.closed_at else "open"
    return (
        f"incident {one.number:<5} {when(one.opened_at)}  {kind:<22} {len(one.leaks)} leaks, {len(one.verdicts)} verdicts"
        f"  {state:<23} {one.title}"
    )


@incident.command("open")
@click.argument("title")
@click.option("--class", "kind", type=click.Choice(list(CLASSES)), required=True, help="What it was.")
@operator_option
@act
def open_(title: str, kind: str, configuration: Path, act: Act) -> None:
    """Opens one. No key, address or person belongs in TITLE."""
    with connect(configuration, act.by) as operator:
        made = operator.incidents.open(title, CLASSES[kind], dry_run=not act.agreed)
    act.says(f"incident {made.number} is opened as {kind} by {act.by}: {title}")


@incident.command()
@_number
@click.option("--leak", metavar="L-NUMBER", help="A leak: L7.")
@click.option("--case", type=click.IntRange(1), help="A case, with its verdicts as they stand now.")
@click.option("--verdict", metavar="MEMBER:SEQUENCE", help="One verdict.")
@operator_option
@act
def link(number: int, leak: str | None, case: int | None, verdict: str | None, configuration: Path, act: Act) -> None:
    """Adds a leak, a case or a verdict to an incident."""
    digits = (leak or "").removeprefix("L")
    if leak and (not (digits.isascii() and digits.isdecimal()) or len(digits) > 18):
        raise click.BadParameter("a pseudonym of the list, such as L7", param_hint="--leak")
    with connect(configuration, act.by) as operator:
        linked = operator.incidents.link(
            number,
            not act.agreed,
            leak=int(digits or 0),
            case=case or 0,
            verdict=named(verdict, "--verdict") if verdict else None,
        )
    act.says(f"incident {number} has {len(linked.leaks)} leaks and {len(linked.verdicts)} verdicts, by {act.by}")


@incident.command()
@_number
@click.option("--outcome", required=True, help="What came of it; nothing about a person belongs in it.")
@operator_option
@act
def close(number: int, outcome: str, configuration: Path, act: Act) -> None:
    """Closes one: nothing is linked to it any more."""
    with connect(configuration, act.by) as operator:
        operator.incidents.close(number, outcome, dry_run=not act.agreed)
    act.says(f"incident {number} is closed by {act.by}: {outcome}")


@incident.command("list")
@operator_option
def list_(configuration: Path) -> None:
    """Every incident, the newest first."""
    with connect(configuration) as operator:
        for one in operator.incidents.listed():
            click.echo(_line(one))


@incident.command()
@_number
@operator_option
def show(number: int, configuration: Path) -> None:
    """One: its leaks, and by member how many keys stand where, what was done, and how long it took."""
    with connect(configuration) as operator:
        view = operator.incidents.whole(number)
    click.echo(_line(view.incident))
    for leak in view.leaks:
        click.echo(f"  L{leak.number} {leak.confidence.name} {leak.state.name} {leak.keys:,} keys: {leak.leak.name}")
    names = {one.letter: one.member for one in view.verdicts}
    for part in sorted(exported.parts(view.verdicts), key=lambda part: (part.first_told, names[part.letter])):
        click.echo(f"  {names[part.letter]}, told {when(part.first_told)}, is {part.text()}")
    if view.more:
        click.echo(f"  and {view.more:,} more keys, which are not counted here")


@incident.command()
@_number
@click.option("--format", "form", type=click.Choice(exported.FORMATS), default="stix", show_default=True)
@click.option("--out", type=FILE, help="Into this file. Default: standard output.")
@operator_option
def export(number: int, form: str, out: Path | None, configuration: Path) -> None:
    """For others: STIX 2.1 or a MISP event, without members' names, fingerprints or identifiers.

    One whose title, outcome or leaks name a member, a key or an address is refused.
    """
    with connect(configuration) as operator:
        view = operator.incidents.whole(number)
    exported.check_names_nobody(view.incident, view.leaks, view.members)
    text = (exported.stix if form == "stix" else exported.misp)(view)
    if out is None:
        click.echo(text)
    else:
        out.write_text(text + "\n", "utf-8")
        click.echo(f"written to {out}")

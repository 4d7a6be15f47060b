"""``daxa-registry appeal``: what exchanges ask operators to judge. An answer is a dry run without ``--yes``."""

from __future__ import annotations

from pathlib import Path

import click

from daxa_core.model import AppealStatus, Ground
from daxa_registry.service.appeals import Appeal, Correction, check_open, check_reason

from .acts import Act, act
from .online import connect, named, operator_option, show_verdict, when

_which = click.argument("which", metavar="MEMBER:NUMBER")
_reason = click.option("--reason", required=True, help="Why, for the record; nothing about a person belongs in it.")


@click.group()
def appeal() -> None:
    """Lists, shows, grants and denies appeals."""


@appeal.command("list")
@operator_option
@click.option("--all", "everything", is_flag=True, help="Also those that have an answer.")
def list_(configuration: Path, everything: bool) -> None:
    """Open appeals: which, since when, of what, on what ground."""
    with connect(configuration) as operator:
        for one in operator.appeals():
            if everything or one.status == AppealStatus.OPEN:
                click.echo(_line(one))


def _line(one: Appeal) -> str:
    name = f"{one.member}:{one.number}"
    status, ground = AppealStatus(one.status).name, Ground(one.ground).name
    verdict = f"{one.member}:{one.sequence}"
    return (
        f"{name:<16} {status:<8} {when(one.filed_at)}  verdict {verdict:<14} S{one.subject:<8} {ground} {one.reference}"
    )


@appeal.command()
@_which
@operator_option
def show(which: str, configuration: Path) -> None:
    """One appeal, the verdict that it is about, and what granting it would correct."""
    with connect(configuration) as operator:
        answered = operator.answer_appeal(*named(which, "MEMBER:NUMBER"), grant=True, reason="", dry_run=True)
    click.echo(_line(answered.appeal))
    if answered.appeal.status != AppealStatus.OPEN:
        one = answered.appeal
        click.echo(
            f"  answered  {when(one.answered_at)} by {one.answered_by}: {one.reason} ({one.corrected} corrected)"
        )
    show_verdict(answered.verdict)
    if answered.appeal.status == AppealStatus.OPEN:
        click.echo("granting it would correct:")
        for correction in answered.corrections:
            click.echo(f"  {_corrected(correction)}")


def _corrected(one: Correction) -> str:
    return f"S{one.subject} of {one.member} (verdict {one.sequence}): {one.before.name} -> {one.after.name}"


@appeal.command()
@_which
@operator_option
@_reason
@act
def grant(which: str, configuration: Path, reason: str, act: Act) -> None:
    """Grants an appeal: every verdict that rested on the same evidence is corrected, at every member, and told so."""
    _answer(which, configuration, reason, True, act)


@appeal.command()
@_which
@operator_option
@_reason
@act
def deny(which: str, configuration: Path, reason: str, act: Act) -> None:
    """Denies an appeal: the verdict stands."""
    _answer(which, configuration, reason, False, act)


def _answer(which: str, configuration: Path, reason: str, granted: bool, act: Act) -> None:
    check_reason(reason)
    member, number = named(which, "MEMBER:NUMBER")
    with connect(configuration, act.by) as operator:
        answered = operator.answer_appeal(member, number, granted, reason, dry_run=not act.agreed)
    if not act.agreed:
        check_open(answered.appeal)
    act.says(f"appeal {which} is {'granted' if granted else 'denied'} by {act.by}")
    for correction in answered.corrections:
        act.says(_corrected(correction))

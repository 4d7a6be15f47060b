"""``daxa-registry leak``: loads a dump blind, lists leaks, verifies, doubts and withdraws them. A dry run without ``--yes``."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from daxa_core import leaks
from daxa_core.errors import DaxaError
from daxa_core.leaks import Confidence, Leak, LeakState, Progress, Tlp
from daxa_core.model import SECONDS_PER_HOUR, Kind
from daxa_core.packed import refuse_packed
from daxa_registry.decision.refusals import TESTER_KEYS
from daxa_registry.keys.files import replace_file
from daxa_registry.rpc.admin_codec import address_name, device_name
from daxa_registry.rpc.operator import Operator
from daxa_registry.rpc.operator_leaks import Counted, LeakView
from daxa_registry.service.inventories import is_inventory

from .acts import Act, act
from .online import FILE, connect, operator_option, when

_number = click.argument("number", metavar="L-NUMBER")
_reason = click.option("--reason", required=True, help="Why, for the record; nothing about a person belongs in it.")


@click.group()
def leak() -> None:
    """Loads, lists and judges leaks of API keys. The registry is sent fingerprints alone."""


@leak.command()
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="What it is called; no key or address.")
@click.option("--source", required=True, help="Where it was found.")
@click.option(
    "--found",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="When, in UTC. Default: when FILE was last changed.",
)
@click.option("--tlp", type=click.Choice([one.name for one in Tlp]), default="AMBER", show_default=True)
@click.option(
    "--progress", "kept", type=FILE, help="Where progress is kept. Default: FILE with .leak-progress after it."
)
@operator_option
@act
def load(
    file: Path,
    name: str,
    source: str,
    found: datetime.datetime | None,
    tlp: str,
    kept: Path | None,
    configuration: Path,
    act: Act,
) -> None:
    """Loads FILE: CSV, JSON, or any text or junk with keys among it, of any size. What was interrupted goes on where it was.

    Every candidate is fingerprinted here; nothing else of FILE leaves this machine. The leak is UNVERIFIED: see verify.
    """
    day = int(found.replace(tzinfo=datetime.UTC).timestamp() if found else file.stat().st_mtime)
    said = Leak(name, source, day, Tlp[tlp])
    kept = kept or file.with_name(file.name + ".leak-progress")
    with file.open("rb") as dump, connect(configuration, act.by) as operator:
        refuse_packed(dump, file.name)
        if not act.agreed:
            leaks.check(said, int(time.time()))
            counted = leaks.count(dump, partial(_tell_read, file.stat().st_size))
            act.says(
                f"up to {counted:,} candidates of {file.name} are fingerprinted and loaded as {name!r}, by {act.by}"
            )
            return
        _load(operator, dump, file.stat().st_size, said, kept)


def _tell_read(size: int, offset: int, found: int) -> None:
    click.echo(f"{offset / max(size, 1):>4.0%}  {found:,} candidates", err=True)


def _load(operator: Operator, dump: BinaryIO, size: int, said: Leak, kept: Path) -> None:
    progress = Progress.kept_in(kept, leaks.identity_of(dump, size))
    try:
        view, counted = _loaded(operator, dump, size, said, kept, progress)
    except DaxaError as error:
        if error.code in leaks.OVER:
            kept.unlink(missing_ok=True)
        raise
    kept.unlink(missing_ok=True)
    click.echo(_line(view))
    _tell(view, counted)


def _loaded(
    operator: Operator, dump: BinaryIO, size: int, said: Leak, kept: Path, progress: Progress
) -> tuple[LeakView, Counted]:
    number, keys, state = operator.leaks.open(progress.leak_id, said)
    if state is LeakState.LOADING:
        if progress.offset:
            click.echo(f"goes on with L{number}, {keys:,} keys, at {progress.offset / max(size, 1):.0%}", err=True)

        def save(now: Progress) -> None:
            replace_file(kept, now.to_json().encode(), 0o600)
            share = now.offset / max(size, 1)
            click.echo(f"{share:>4.0%}  {now.found:,} candidates, {now.sent:,} sent", err=True)

        def send(fingerprints: Sequence[bytes]) -> None:
            operator.leaks.add(progress.leak_id, fingerprints)

        save(progress)
        leaks.load(dump, progress, lambda canonical: operator.evaluated(Kind.KEY, canonical), send, save)
    return operator.leaks.commit(progress.leak_id)


def _tell(view: LeakView, counted: Counted) -> None:
    for number, keys in counted.overlaps.items():
        click.echo(f"  {keys:,} of its {view.keys:,} keys stand in L{number} already; each is in force for itself")
    for one in counted.matches:
        click.echo(f"  {one.member:<12} {one.leaked:>9,} of its {one.keys:,} keys")
        if is_inventory(one.leaked, one.keys):
            share = f"{one.member}: {one.leaked / one.keys:.0%} of all its keys"
            click.echo(f"  {share}. It looks like its inventory: ask it before verifying")


def _line(one: LeakView) -> str:
    by = one.reporter or "operators"
    return (
        f"L{one.number:<6} {one.state.name:<9} {one.confidence.name:<10} {one.keys:>10,} keys  TLP:{one.leak.tlp.name:<12}"
        f" found {when(one.leak.found_at)[:10]}  by {by:<10} {one.leak.name} ({one.leak.source})"
    )


@leak.command("list")
@operator_option
def list_(configuration: Path) -> None:
    """Every leak, the newest first."""
    with connect(configuration) as operator:
        for one in operator.leaks.listed():
            click.echo(_line(one))


@leak.command()
@click.option("--least", type=click.IntRange(2), default=TESTER_KEYS, show_default=True, help="From how many keys on.")
@operator_option
def testers(least: int, configuration: Path) -> None:
    """Addresses from which keys were tried that are not used there: whoever is there goes through a list.

    After them, client stacks with which keys were tried, on two addresses or more, that are used with another: whoever goes
    through a list over many addresses. A stack that as many keys or more are used with is left out.
    """
    with connect(configuration) as operator:
        for one in operator.leaks.testers(least):
            since = when(one.hour * SECONDS_PER_HOUR)
            name = address_name(one.node) if one.kind is Kind.ADDRESS else device_name(one.node)
            click.echo(f"{name:<11} {one.keys:>7} keys tried at {one.members} exchanges, the last new one {since}")


def _judge(number: str, confidence: Confidence | None, reason: str, configuration: Path, act: Act, what: str) -> None:
    digits = number.removeprefix("L")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise click.BadParameter("a pseudonym of the list, such as L7", param_hint="L-NUMBER")
    with connect(configuration, act.by) as operator:
        view, counted = operator.leaks.judge(int(digits), confidence, reason, dry_run=not act.agreed)
    act.says(f"L{view.number} {view.leak.name!r}, {view.keys:,} keys, {what}, by {act.by}")
    _tell(view, counted)


@leak.command()
@_number
@_reason
@operator_option
@act
def verify(number: str, reason: str, configuration: Path, act: Act) -> None:
    """Its keys go to REVOKE at once, without grace. Look at the counts first: a dump may be somebody's inventory."""
    _judge(number, Confidence.VERIFIED, reason, configuration, act, "is verified: its keys go to REVOKE")


@leak.command()
@_number
@_reason
@operator_option
@act
def doubt(number: str, reason: str, configuration: Path, act: Act) -> None:
    """Takes a verification back: verdicts fall to what an unverified leak supports."""
    _judge(
        number, Confidence.UNVERIFIED, reason, configuration, act, "is no longer verified: its verdicts are corrected"
    )


@leak.command()
@_number
@_reason
@operator_option
@act
def withdraw(number: str, reason: str, configuration: Path, act: Act) -> None:
    """It never was one: every verdict that rested on it is corrected, and its keys are forgotten."""
    _judge(number, None, reason, configuration, act, "is withdrawn: what rested on it is corrected")

"""``daxa-registry policy``: the numbers behind verdicts, tested before they are in force. A dry run without ``--yes``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click

from daxa_core.model import Level
from daxa_registry.config import read_policy_text
from daxa_registry.decision.policy import load_policy
from daxa_registry.service.policies import PolicyTest

from .acts import Act, act
from .online import connect, operator_option, when

_new = click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="NEW.toml")


@click.group()
def policy() -> None:
    """Lists, shows, tests and activates policies."""


def _read(path: Path) -> str:
    """The text, refused here already where it is no policy. Raises ConfigurationError INVALID_POLICY naming the key."""
    text = read_policy_text(path)
    load_policy(text)
    return text


@policy.command("list")
@operator_option
def list_(configuration: Path) -> None:
    """Every policy that was in force or tested; the one in force has a star."""
    with connect(configuration) as operator:
        for one in operator.policies():
            star = "*" if one.active else " "
            by = f" by {one.activated_by}" if one.activated_by else ""
            click.echo(
                f"{star} {one.digest[:16]}  {one.version:<24} in force from {when(one.activated_at)}{by},"
                f" tested {when(one.tested_at)}"
            )


@policy.command()
@click.argument("digest", default="")
@operator_option
def show(digest: str, configuration: Path) -> None:
    """The text of the policy whose digest begins with DIGEST; without it, of the one in force."""
    with connect(configuration) as operator:
        click.echo(operator.policy(digest)[1], nl=False)


@policy.command()
@_new
@operator_option
@click.option(
    "--moves", type=click.IntRange(0, 1_000), default=20, show_default=True, help="How many subjects to name."
)
def test(new: Path, configuration: Path, moves: int) -> None:
    """Assesses every subject under NEW.toml and under the policy in force: who would newly rise and fall."""
    text = _read(new)
    with connect(configuration) as operator:
        found, moved = operator.try_policy(text)
    show_test(found)
    for move in moved[:moves]:
        click.echo(
            f"  S{move.subject} of {move.member}: {move.before.name} ({move.score_before:.2f})"
            f" -> {move.after.name} ({move.score_after:.2f})"
        )
    if len(moved) > moves:
        click.echo(f"  ... and more, {len(moved) - moves} of them with --moves {len(moved)}")


def show_test(found: PolicyTest) -> None:
    """By member and level: how many would come to it from below, and how many from above."""
    click.echo(
        f"policy {found.version} {found.digest[:16]} on {found.subjects} subjects, tested {when(found.tested_at)}"
    )
    rises: dict[tuple[str, int], int] = defaultdict(int)
    falls: dict[tuple[str, int], int] = defaultdict(int)
    for member, before, after, number in found.shifts:
        (rises if after > before else falls)[member, after] += number
    if not found.shifts:
        click.echo("  nobody would move")
        return
    click.echo(f"  {'member':<16} {'to level':<16} {'would rise':>10} {'would fall':>10}")
    for member, level in sorted({*rises, *falls}):
        up, down = rises[member, level], falls[member, level]
        click.echo(f"  {member:<16} {Level(level).name:<16} {up:>10} {down:>10}")


@policy.command()
@_new
@operator_option
@act
def activate(new: Path, configuration: Path, act: Act) -> None:
    """Brings NEW.toml into force, at once and without a restart, if it was tested on the current data."""
    text = _read(new)
    with connect(configuration, act.by) as operator:
        found = operator.activate(text, dry_run=not act.agreed)
    act.says(f"policy {found.version} {found.digest[:16]} comes into force, by {act.by}; its test said:")
    show_test(found)

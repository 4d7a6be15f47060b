"""What every operator's act has in common: shown first, done with ``--yes``, told with a name. No command escapes."""

from __future__ import annotations

from collections.abc import Iterator

import click

from daxa_registry.cli import cli

READS = {
    "audit verify", "backtest", "pki list", "signing-key show", "replay", "status",
    "appeal list", "appeal show", "case list", "case show", "infrastructure list",
    "incident list", "incident show", "incident export", "leak list", "leak testers", "policy list", "policy show", "policy test",
}  # fmt: skip
"""Only look, and write what they were told to write where they were told to."""
MAKES = {"init", "ceremony"}
"""Make something new, in an empty place, for nobody yet."""
SERVES = {"evaluator", "serve"}


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command, however deep, with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_command_that_changes_something_is_a_dry_run_without_yes() -> None:
    """Whatever is not known to read, to serve or to make something new is an act, and has ``--yes`` and ``--by``."""
    everything = dict(commands(cli))
    acts = set(everything) - READS - MAKES - SERVES
    assert {"pki issue", "pki sign-csr", "pki renew", "pki revoke", "backup", "restore", "migrate-store"} <= acts
    for name in sorted(acts):
        options = {option for parameter in everything[name].params for option in parameter.opts}
        assert {"--yes", "--by"} <= options, f"{name} changes something, or belongs on a list of this test"
    assert set(everything) >= READS | MAKES | SERVES, "a list of this test names a command that is gone"


def test_what_only_reads_has_no_yes() -> None:
    """A flag that does nothing would teach people to type it."""
    for name, command in commands(cli):
        if name in READS | SERVES:
            assert "--yes" not in {option for parameter in command.params for option in parameter.opts}, name

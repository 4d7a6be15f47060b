"""``daxa-registry``: one module a command, loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from daxa_core.errors import DaxaError, ErrorCode
from daxa_registry.logs import log_as_json

COMMANDS = {
    "audit": "check the log that the database holds",
    "appeal": "list, show, grant and deny appeals",
    "backup": "write a database, with keys where asked, into one file",
    "backtest": "decide raw sightings from a file",
    "case": "list and show who belongs together",
    "ceremony": "deal fresh fingerprinting keys to evaluators",
    "evaluator": "serve one share of the fingerprinting keys",
    "incident": "open, link, close and export incidents",
    "infrastructure": "vouch for licensed services' addresses",
    "init": "make a working deployment folder",
    "leak": "load a dump blind; list, verify and withdraw leaks",
    "pki": "issue, sign, renew, revoke and list certificates",
    "signing-key": "make, rotate and show the keys that verdicts are signed with",
    "migrate-store": "move a registry from SQLite to PostgreSQL",
    "policy": "list, show, test and activate policies",
    "replay": "decide a verdict again from what is stored of it",
    "restore": "put a backup back",
    "serve": "serve the registry",
    "status": "how the registry of a registry.toml is doing",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"{__name__}.{module}"), module)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(cls=_Lazy)
def cli() -> None:
    """The registry against shared API keys: what DAXA runs."""


def main() -> None:
    """The entry point: a refusal is one line on standard error and exit code 2, never a traceback.

    A file or folder that the system will not give is refused the same way, named by the last part of its path.
    """
    log_as_json()
    try:
        cli(prog_name="daxa-registry")
    except DaxaError as error:
        click.echo(f"daxa-registry: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        name = Path(str(error.filename)).name if error.filename else "file"
        click.echo(
            f"daxa-registry: {ErrorCode.INVALID_FILE}: {name}: {error.strerror or type(error).__name__}", err=True
        )
        sys.exit(2)

"""What an operator does to a deployment: shown first, done only with ``--yes``, and told with the name of who did it.

Every command that changes something is decorated with :func:`act`; a test walks all commands and holds them to it.

>>> @click.command()
... @act
... def forget(act: Act) -> None:
...     act.says("everything is forgotten")
...     if act.agreed:
...         pass
"""

from __future__ import annotations

import functools
import getpass
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"


@dataclass(slots=True)
class Act:
    """Whether it is to be done, and by whom; ``shown``: whether anything was told that would be done."""

    agreed: bool
    by: str
    shown: bool = False

    def says(self, line: str) -> None:
        """Tells one thing that it does, or would do."""
        self.shown = not self.agreed
        click.echo(line if self.agreed else f"would do: {line}")

    def ends(self) -> None:
        """The last line: how to go on, where something was only shown."""
        if self.shown:
            click.echo("nothing was changed; do it with --yes")


def act(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--yes`` and ``--by``, and hands the command an :class:`Act` as its argument ``act``."""

    @click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is shown.")
    @click.option("--by", metavar="NAME", help="Who does it, for the record. Default: the user of this shell.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, yes: bool, by: str | None, **named: Any) -> Any:
        doing = Act(yes, by or _who())
        result = command(*arguments, act=doing, **named)
        doing.ends()
        return result

    return wrapped

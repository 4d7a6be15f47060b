"""``daxa-client``: look verdicts up and watch them from a shell. One JSON object a line; a refusal is one line and exit code 2.

What is printed on standard output holds the member's own raw keys, because they are what its operator asked about.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from daxa_core.errors import DaxaError
from daxa_core.model import Verdict

from ._client import RegistryClient


def _line(verdict: Verdict, key: str | None) -> str:
    reasons = [{"code": r.code, "contribution": r.contribution, "count": r.count.name} for r in verdict.reasons]
    return json.dumps(
        {
            "key": key,
            "fingerprint": verdict.key.hex(),
            "level": verdict.level.name,
            "scope": verdict.scope.name,
            "deadline": verdict.deadline,
            "cause": verdict.cause.name,
            "score": round(verdict.score, 3),
            "sequence": verdict.sequence,
            "decided_at": verdict.decided_at,
            "valid_until": verdict.valid_until,
            "reasons": reasons,
        }
    )


def _sequence(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a sequence, 0 for all") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="daxa-client", description="The exchange's side of the shared-key registry.")
    parser.add_argument("--config", default="client.toml", help="client.toml (default: in this folder)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("verdicts", help="current verdicts of keys read from standard input, one a line")
    watch = commands.add_parser("watch", help="every change of a verdict, as it happens")
    watch.add_argument(
        "--after", type=_sequence, metavar="SEQUENCE", help="the last sequence seen (default: the cursor's)"
    )
    return parser


def _run(client: RegistryClient, arguments: argparse.Namespace) -> None:
    if arguments.command == "watch":
        for verdict in client.watch(arguments.after):
            print(_line(verdict, client.raw_key(verdict.key)), flush=True)
        return
    keys = [line.strip() for line in sys.stdin if line.strip()]
    for key, verdict in client.verdicts(keys).items():
        print(_line(verdict, key))


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point."""
    arguments = _parser().parse_args(argv)
    try:
        with RegistryClient.from_file(arguments.config) as client:
            _run(client, arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read has seen enough; the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except DaxaError as error:
        print(f"daxa-client: {error}", file=sys.stderr)
        sys.exit(2)

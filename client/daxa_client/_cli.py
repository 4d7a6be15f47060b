"""``daxa-client``: look verdicts up and watch them from a shell."""

from __future__ import annotations

import argparse
import json
import sys

from daxa_core.errors import DaxaError
from daxa_core.model import Verdict

from ._client import RegistryClient


def _line(verdict: Verdict, key: str | None) -> str:
    return json.dumps(
        {
            "key": key,
            "fingerprint": verdict.key.hex(),
            "level": verdict.level.name,
            "score": round(verdict.score, 3),
            "sequence": verdict.sequence,
            "reasons": [
                {"code": r.code, "contribution": r.contribution, "count": r.count.name} for r in verdict.reasons
            ],
        }
    )


def main() -> None:
    """The entry point: a refusal is one line on standard error and exit code 2."""
    parser = argparse.ArgumentParser(prog="daxa-client", description="The exchange's side of the shared-key registry.")
    parser.add_argument("--config", default="client.toml", help="client.toml (default: in this folder)")
    commands = parser.add_subparsers(dest="command", required=True)
    verdicts = commands.add_parser("verdicts", help="current verdicts of keys read from standard input, one a line")
    verdicts.set_defaults(command="verdicts")
    watch = commands.add_parser("watch", help="every change of a verdict, as it happens")
    watch.add_argument("--after", type=int, default=None, help="the last sequence seen")
    arguments = parser.parse_args()
    try:
        with RegistryClient.from_file(arguments.config) as client:
            if arguments.command == "verdicts":
                keys = [line.strip() for line in sys.stdin if line.strip()]
                for key, verdict in client.verdicts(keys).items():
                    print(_line(verdict, key))
            else:
                for verdict in client.watch(arguments.after):
                    print(_line(verdict, client.raw_key(verdict.key)), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except DaxaError as error:
        print(f"daxa-client: {error}", file=sys.stderr)
        sys.exit(2)

"""``daxa-client leak``: report a dump blind, list and withdraw one's reports, screen one's keys.

Screening prints the member's own leaked keys, a JSON object a line, because they are what its operator asked about; progress
is told on standard error, without a key.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daxa_core import leaks
from daxa_core.errors import ConfigurationError, DaxaError, ErrorCode, InvalidInput
from daxa_core.leaks import Leak, Progress, Tlp
from daxa_core.packed import refuse_packed

from ._config import read_config
from ._leaks import LeakClient, LeakReport
from ._screening import ScreeningCache, screen

LEAKED_EXIT = 3
"""The exit code of a screening that found something."""
UNSURE_EXIT = 4
"""That of one that found nothing, where most lines of the inventory held no key or one of no exchange's shape."""


def add_to(commands: Any) -> None:
    """Adds ``leak`` to the parser of ``daxa-client``."""
    leak = commands.add_parser("leak", help="report leaked keys blind; screen this member's own keys")
    leak.set_defaults(run=run)
    acts = leak.add_subparsers(dest="act", required=True)
    report = acts.add_parser("report", help="load FILE (CSV, JSON, any text or junk); only fingerprints leave")
    report.add_argument("file", type=Path, metavar="FILE")
    report.add_argument("--name", required=True, help="what it is called; no key or address")
    report.add_argument("--source", required=True, help="where it was found")
    report.add_argument("--found", metavar="DATE", help="YYYY-MM-DD (default: when FILE was last changed)")
    report.add_argument("--tlp", choices=[one.name for one in Tlp], default="AMBER", help="the licence to share")
    report.add_argument("--progress", type=Path, help="where progress is kept (default: FILE.leak-progress)")
    acts.add_parser("list", help="this member's reports")
    withdraw = acts.add_parser("withdraw", help="take a report back, named as the list names it: L7")
    withdraw.add_argument("number", metavar="L-NUMBER")
    told = "which keys of FILE are in a published leak; exit code 3 where any is, 4 where most lines hold no exchange's key"
    screening = acts.add_parser("screen", help=told)
    screening.add_argument(
        "file", type=Path, metavar="FILE", help="a key a line, a CSV whose header names the column, or JSON"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs one; its exit code. Raises DaxaError."""
    return {"report": _report, "list": _list, "withdraw": _withdraw, "screen": _screen}[arguments.act](arguments)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _line(one: LeakReport) -> str:
    return json.dumps(
        {
            "leak": f"L{one.number}",
            "name": one.leak.name,
            "source": one.leak.source,
            "found_at": one.leak.found_at,
            "tlp": one.leak.tlp.name,
            "confidence": one.confidence.name,
            "state": one.state.name,
            "keys": one.keys,
        },
        ensure_ascii=False,
    )


def _found(arguments: argparse.Namespace) -> int:
    if not arguments.found:
        return int(arguments.file.stat().st_mtime)
    try:
        day = datetime.date.fromisoformat(arguments.found)
    except ValueError:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "found", "a day, YYYY-MM-DD") from None
    return int(datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp())


def _report(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    kept: Path = arguments.progress or arguments.file.with_name(arguments.file.name + ".leak-progress")
    try:
        size = arguments.file.stat().st_size
        said = Leak(arguments.name, arguments.source, _found(arguments), Tlp[arguments.tlp])
        with open(arguments.file, "rb") as dump, LeakClient(config) as client:
            refuse_packed(dump, arguments.file.name)
            progress = Progress.kept_in(kept, leaks.identity_of(dump, size))

            def save(now: Progress) -> None:
                beside = kept.with_name(kept.name + ".new")
                beside.unlink(missing_ok=True)
                with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                    file.write(now.to_json())
                beside.replace(kept)
                _say(f"{now.offset / max(size, 1):>4.0%}  {now.found:,} candidates, {now.sent:,} sent")

            try:
                report, own = client.report(dump, said, progress, save)
            except DaxaError as error:
                if error.code in leaks.OVER:
                    kept.unlink(missing_ok=True)
                raise
            kept.unlink(missing_ok=True)
    except OSError as error:
        name = Path(str(error.filename)).name if error.filename else arguments.file.name
        wanted = f"a file that can be used, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, name, wanted) from None
    print(_line(report))
    _say(f"{own:,} of them are this member's own keys that were seen")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with LeakClient(read_config(arguments.config)) as client:
        for one in client.reports():
            print(_line(one))
    return 0


def _withdraw(arguments: argparse.Namespace) -> int:
    digits = arguments.number.removeprefix("L")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise InvalidInput(ErrorCode.INVALID_VALUE, "L-NUMBER", "a number of the list, such as L7")
    with LeakClient(read_config(arguments.config)) as client:
        print(_line(client.withdraw(int(digits))))
    return 0


def _screen(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    try:
        with (
            open(arguments.file, "rb") as inventory,
            LeakClient(config) as client,
            ScreeningCache.beside(config) as cache,
        ):
            result = screen(client, cache, inventory, _say)
    except OSError as error:
        wanted = f"a readable file that seeks, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, arguments.file.name, wanted) from None
    for hit in result.hits:
        told = [
            {"leak": f"L{one.number}", "name": one.leak.name, "confidence": one.confidence.name} for one in hit.leaks
        ]
        print(json.dumps({"line": hit.line, "key": hit.key, "leaks": told}, ensure_ascii=False))
    if result.refused:
        _say(f"{len(result.refused):,} lines hold no key, and were passed over: {_some(result.refused)}")
    if result.unshaped:
        _say(f"{len(result.unshaped):,} lines hold a key of no exchange's shape: {_some(result.unshaped)}")
    _say(
        f"{result.keys:,} keys, {result.sets} leaks: {len(result.hits):,} leaked. {result.evaluated:,} evaluated now,"
        f" {result.fetched_bytes:,} bytes of sets fetched, {result.doubtful} false positives"
    )
    unsure = (len(result.refused) + len(result.unshaped)) * 2 > len(result.refused) + result.keys
    if unsure:
        _say("most lines hold no exchange's key: what this found says little; is it the right file, column and form?")
    return LEAKED_EXIT if result.hits else UNSURE_EXIT if unsure else 0


def _some(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines[:10])) + ", …" * (len(lines) > 10)

"""``daxa-registry signing-key``: the keys that verdicts are signed with. Every act is a dry run without ``--yes``."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import click

from daxa_registry.keys.signing import (
    SIGNING,
    VERIFICATION,
    make,
    read_signing_keys,
    read_verification_keys,
    replace_files,
    rotated,
)

from .acts import Act, act

FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
SECONDS_PER_DAY = 86_400


@click.group("signing-key")
def signing_key() -> None:
    """Makes, rotates and shows the keys in FOLDER, the registry's: signing.json (secret) and verification.json (public)."""


def _when(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


@signing_key.command("make")
@click.argument("folder", type=FOLDER)
@click.option("--trust-domain", required=True, help="Of the SPIFFE ids: the log is named by it.")
@act
def make_command(folder: Path, trust_domain: str, act: Act) -> None:
    """Makes the first keys, where init did not."""
    act.says(f"a key for verdicts and one for the log are written to {folder / SIGNING}, their public halves beside it")
    if act.agreed:
        make(folder, trust_domain, int(time.time()), by=act.by)


@signing_key.command()
@click.argument("folder", type=FOLDER)
@click.option("--overlap-days", type=click.FloatRange(0, 365), default=30.0, show_default=True,
              help="How long the members have to put the new verification.json in place.")  # fmt: skip
@act
def rotate(folder: Path, overlap_days: float, act: Act) -> None:
    """Makes the next key for verdicts. It signs after the overlap; until then the last one does.

    A running registry notices within seconds. Give verification.json to every member and auditor before the overlap ends: a
    client that does not have the new key refuses what it signs.
    """
    keys = read_signing_keys(folder / SIGNING)
    witnesses = read_verification_keys(folder / VERIFICATION).witnesses
    new = rotated(keys, int(time.time()), int(overlap_days * SECONDS_PER_DAY), by=act.by)
    last, fresh = new.verdicts[-2:]
    act.says(f"key {last.key.key_id[:16]}… signs until {_when(last.until)}")
    act.says(f"a fresh key{' ' + fresh.key.key_id[:16] + '…' if act.agreed else ''} signs from then on")
    act.says(f"{folder / VERIFICATION} is to be given to every member and auditor before then")
    if act.agreed:
        replace_files(folder, new, witnesses)


@signing_key.command()
@click.argument("folder", type=FOLDER)
def show(folder: Path) -> None:
    """Shows who signs when, and the log's verifier key. Nothing secret is shown."""
    keys = read_signing_keys(folder / SIGNING)
    for signer in keys.verdicts:
        until = _when(signer.until) if signer.until else "replaced"
        click.echo(
            f"verdicts  {signer.key.key_id}  from {_when(signer.since)} until {until}  made by {signer.by or '?'}"
        )
    public = read_verification_keys(folder / VERIFICATION)
    click.echo(f"log       {public.log.vkey()}")
    for witness in public.witnesses:
        click.echo(f"witness   {witness.vkey()}")

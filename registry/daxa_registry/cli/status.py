"""``daxa-registry status``: what wants attention first, then the numbers. It only looks; exit code 1 where something does."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from daxa_registry.bootstrap import Status, registry_status

CERTIFICATE_DAYS = 30
CONTRADICTED = 0.01
"""The rate above which somebody should ask."""

_NEXT = {
    "authority": "everybody's certificate ends with it, so put the next one beside it in the file",
    "revocation list": "`daxa-registry pki renew-crl`, or the outside authority whose it is, makes the next",
}


def attention(status: Status) -> list[str]:
    """What somebody should do something about, the worst first."""
    out = []
    if not status.serving:
        out.append(f"nobody answers at {status.listen}: is `daxa-registry serve` running?")
    if status.tls_problem:
        out.append(f"the files of [tls] would be refused: {status.tls_problem}")
    if status.acts_problem:
        out.append(
            f"the log lacks acts of the authority: {status.acts_problem}: copy its acts.jsonl beside registry.toml"
        )
    for what, days in status.days_left.items():
        next_one = _NEXT.get(what, "`daxa-registry pki renew` makes the next")
        if days < 0:
            out.append(f"the {what} is out of date since {-days:.0f} days: {next_one}")
        elif days < CERTIFICATE_DAYS:
            out.append(f"the {what} ends in {days:.0f} days: {next_one}")
    for peer, days in sorted(status.peers_left.items(), key=lambda one: one[1]):
        if abs(days) < CERTIFICATE_DAYS:  # who let it end a month ago does not come any more
            ends = f"ends in {days:.0f} days" if days >= 0 else f"ended {-days:.0f} days ago"
            out.append(
                f"the certificate of {peer} {ends}: `daxa-registry pki renew`, or its own authority, makes the next"
            )
    for name, claims in status.members.items():
        if claims.rate > CONTRADICTED:
            others = "another member claims" if claims.others == 1 else f"{claims.others} other members claim"
            out.append(
                f"{others} {claims.contradicted:,} of the {claims.keys:,} keys that {name} claims ({claims.rate:.1%}),"
                " though a key has one issuer: ask them"
            )
    for one in status.inventories:
        has = f"L{one.leak}, reported by {one.reporter or 'operators'}, has {one.leaked:,} of {one.member}'s {one.keys:,} keys"
        out.append(f"{has}: an inventory rather than a dump? Ask {one.member} before it is verified")
    return out


def text(status: Status) -> str:
    """For a person."""
    wanted = attention(status)
    lines = [f"ATTENTION: {one}" for one in wanted] or ["all is well"]
    lines += ["", f"registry       {status.listen}, {'serving' if status.serving else 'not serving'}"]
    lines += [f"{what:<14} {days:.0f} days left" for what, days in status.days_left.items()]
    lines += [f"log            {status.log_size:,} leaves", "", "keys by level"]
    lines += [f"  {level:<16} {number:>10,}" for level, number in status.levels.items()]
    lines += ["", f"members          {'keys':>10} {'contradicted':>13} {'by members':>11}"]
    lines += [
        f"  {name:<14} {claims.keys:>10,} {claims.rate:>13.2%} {claims.others:>11}"
        for name, claims in status.members.items()
    ]
    lines += ["", "database"]
    lines += [f"  {name:<16} {number:>10,}" for name, number in status.rows.items()]
    return "\n".join(lines)


@click.command()
@click.argument("configuration", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(configuration: Path, as_json: bool) -> None:
    """Tells how the registry of CONFIGURATION (registry.toml) is doing; run it on the registry's host."""
    found = registry_status(configuration)
    wanted = attention(found)
    if as_json:
        members = {name: {**asdict(claims), "rate": claims.rate} for name, claims in found.members.items()}
        table = {
            "attention": wanted, "listen": found.listen, "serving": found.serving, "tls_problem": found.tls_problem,
            "acts_problem": found.acts_problem,
            "days_left": {what: round(days, 1) for what, days in found.days_left.items()}, "log_size": found.log_size,
            "peers_days_left": {peer: round(days, 1) for peer, days in found.peers_left.items()},
            "levels": dict(found.levels), "members": members, "rows": dict(found.rows),
            "inventories": [asdict(one) for one in found.inventories],
        }  # fmt: skip
        click.echo(json.dumps(table, indent=1))
    else:
        click.echo(text(found))
    if wanted:
        sys.exit(1)

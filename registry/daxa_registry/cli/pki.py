"""``daxa-registry pki``: certificates of the deployment's own authority. Every act is a dry run without ``--yes``."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import click

from daxa_core.errors import ConfigurationError, ErrorCode, InvalidInput
from daxa_registry.keys.authority_folder import ACTS, AuthorityFolder, Leaf, check_peer, read_leaf
from daxa_registry.keys.files import make_private_folder, replace_file, write_public, write_secret
from daxa_registry.keys.pki import CRL_DAYS, LEAF_DAYS

from .acts import Act, act

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
_ca = click.option(
    "--ca", type=FOLDER, default=Path("ca"), show_default=True, help="The authority's folder, as init made it."
)
_days = click.option("--days", type=click.IntRange(1, 825), default=LEAF_DAYS, show_default=True, help="Good for.")
_copies = click.option(
    "--to", "copies", type=FILE, multiple=True, help="A server's crl.pem to replace as well; again for more."
)
_hosts = click.option("--host", "hosts", multiple=True, help="A name or address that it serves at; for servers.")


@click.group()
def pki() -> None:
    """Issues, renews, revokes and lists certificates.

    PEER is member/NAME, operator/NAME, auditor/NAME, evaluator/NAME or registry. Each act is a line of the authority's
    acts.jsonl, and a leaf of the log once a copy of that file lies beside registry.toml. It is put there where the registry's
    folder stands beside the authority's.
    """


def _carry(authority: AuthorityFolder, ca: Path, act: Act) -> None:
    """The record goes to the registry that stands beside, or the operator is told to carry it there."""
    copy = ca.absolute().parent / "registry" / ACTS
    if not copy.is_file():
        act.says(f"the registry takes the act into its log when {ca / ACTS} is copied beside its registry.toml")
        return
    act.says(f"{copy} is replaced: the registry takes the act into its log")
    if act.agreed:
        replace_file(copy, authority.acts)


@pki.command()
@click.argument("peer")
@click.argument("folder", type=FOLDER)
@_ca
@_hosts
@_days
@act
def issue(peer: str, folder: Path, ca: Path, hosts: tuple[str, ...], days: int, act: Act) -> None:
    """Makes a key and a certificate for PEER, and writes cert.pem, key.pem and ca.pem into FOLDER."""
    authority = AuthorityFolder.open(ca)
    check_peer(peer)
    for name in ("cert.pem", "key.pem", "ca.pem"):
        if (folder / name).exists():
            raise ConfigurationError(
                ErrorCode.INVALID_FILE, name, "a file that is not there yet; to renew it, pki renew"
            )
    act.says(f"a certificate for {peer}, good for {days} days, is written to {folder}")
    if act.agreed:
        make_private_folder(folder)
        issued = authority.issue(peer, hosts, by=act.by, days=days)
        write_secret(folder / "key.pem", issued.key)
        write_public(folder / "cert.pem", issued.certificate)
        write_public(folder / "ca.pem", authority.authority.certificate)
    _carry(authority, ca, act)


@pki.command("sign-csr")
@click.argument("csr", type=FILE)
@click.argument("peer")
@click.argument("out", type=FILE)
@_ca
@_hosts
@_days
@act
def sign_csr(csr: Path, peer: str, out: Path, ca: Path, hosts: tuple[str, ...], days: int, act: Act) -> None:
    """Signs the request CSR for PEER and writes the certificate to OUT: the key never leaves who made it.

    Names come from here alone; a request that asks for another id is refused.
    """
    authority = AuthorityFolder.open(ca)
    check_peer(peer)
    request = csr.read_bytes()
    # Tried without a record first, so that a dry run refuses what the act would refuse.
    authority.authority.sign_request(request, peer, hosts, days=days)
    act.says(f"the key in {csr.name} gets a certificate for {peer}, good for {days} days, written to {out}")
    if act.agreed:
        write_public(out, authority.sign_request(request, peer, hosts, by=act.by, days=days))
    _carry(authority, ca, act)


@pki.command()
@click.argument("folder", type=FOLDER)
@_ca
@_days
@act
def renew(folder: Path, ca: Path, days: int, act: Act) -> None:
    """Replaces the certificate and key in FOLDER with fresh ones for the same peer and hosts.

    A server that runs takes them up by itself. The old certificate stays good until it ends; revoke it if its key leaked.
    """
    authority = AuthorityFolder.open(ca)
    old = read_leaf(folder / "cert.pem")
    check_peer(old.peer)
    act.says(
        f"the certificate of {old.peer} in {folder} (until {old.until:%Y-%m-%d}) is replaced by one of {days} days"
    )
    if act.agreed:
        issued = authority.issue(old.peer, old.hosts, by=act.by, days=days, act="renew")
        # Between the two the pair does not fit: a server that looks just then keeps what it has, and looks again.
        replace_file(folder / "key.pem", issued.key, 0o600)
        replace_file(folder / "cert.pem", issued.certificate)
    _carry(authority, ca, act)


@pki.command()
@click.argument("which", metavar="SERIAL|PEER")
@_ca
@_copies
@act
def revoke(which: str, ca: Path, copies: tuple[Path, ...], act: Act) -> None:
    """Revokes the certificate with that serial number, or every good one of a peer, and writes the authority's crl.pem.

    Servers refuse it within seconds of having the new list: copy crl.pem to each server, or name its place with --to. The
    crl.pem of servers whose folders still stand beside the authority's is replaced by itself.
    """
    authority = AuthorityFolder.open(ca)
    chosen = _chosen(authority, which)
    for leaf in chosen:
        act.says(f"{leaf.serial:x} of {leaf.peer} is revoked")
    _list_anew(authority, ca, [leaf.serial for leaf in chosen], copies, act)


@pki.command("renew-crl")
@_ca
@_copies
@act
def renew_crl(ca: Path, copies: tuple[Path, ...], act: Act) -> None:
    """Signs the authority's crl.pem anew, with those on it who were: a list that is out of date says nothing of today.

    For a year in which nobody had to be revoked. It reaches the servers as with revoke.
    """
    act.says(f"{ca / 'crl.pem'} is signed anew, good for {CRL_DAYS} days")
    _list_anew(AuthorityFolder.open(ca), ca, [], copies, act)


def _list_anew(
    authority: AuthorityFolder, ca: Path, serials: Sequence[int], copies: tuple[Path, ...], act: Act
) -> None:
    """Revokes those, or nobody, and puts the new list where servers read it."""
    root = ca.absolute().parent
    beside = [path for path in (root / "registry/crl.pem", *root.glob("evaluators/*/crl.pem")) if path.is_file()]
    places = [*beside, *(path for path in copies if path.absolute() not in beside)]
    for path in places:
        act.says(f"{path} is replaced")
    if act.agreed:
        listed = authority.revoke(serials, by=act.by) if serials else authority.renew_list(by=act.by)
        for path in places:
            replace_file(path, listed)
        click.echo(f"copy {ca / 'crl.pem'} to every server that is not named above")
    _carry(authority, ca, act)


def _chosen(authority: AuthorityFolder, which: str) -> list[Leaf]:
    now = datetime.datetime.now(datetime.UTC)
    leaves = authority.leaves()
    if "/" in which or which == "registry":
        check_peer(which)
        found = [leaf for leaf in leaves if leaf.peer == which and leaf.state(now) == "good"]
    else:
        found = [leaf for leaf in leaves if f"{leaf.serial:x}" == which.lower() and leaf.revoked is None]
    if not found:
        raise InvalidInput(
            ErrorCode.NOT_FOUND, "SERIAL|PEER", "a certificate of this authority that is not revoked yet"
        )
    return found


@pki.command("list")
@_ca
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(ca: Path, as_json: bool) -> None:
    """Every certificate that was issued: peer, until when, state, serial number."""
    now = datetime.datetime.now(datetime.UTC)
    for leaf in AuthorityFolder.open(ca).leaves():
        days = (leaf.until - now).days
        if as_json:
            row = {"peer": leaf.peer, "serial": f"{leaf.serial:x}", "until": leaf.until.isoformat(), "days_left": days,
                   "state": leaf.state(now), "hosts": leaf.hosts}  # fmt: skip
            click.echo(json.dumps(row))
        else:
            click.echo(f"{leaf.peer:<24} {leaf.until:%Y-%m-%d} {days:>5} days  {leaf.state(now):<8} {leaf.serial:x}")

"""What an operator's command does without ``--yes``: nothing, whatever command it is; and with it, something that names him.

The commands are those that the program has: one that is new fails here until this page says how it is called.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import deployment
import life
from daxa_client import Ground
from daxa_registry.cli import cli
from daxa_registry.store.sqlite_schema import TABLES

ADDRESS = "121.130.9.9"
Call = Callable[[], list[str | Path]]


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, set[str]]]:
    """Every command, however deep: its full name, and its options."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        else:
            yield " ".join((*before, name)), {option for one in command.params for option in one.opts}


ACTS = {name: options for name, options in commands(cli) if "--yes" in options}


class Place:
    """A running registry with something for every command to do, and a folder for what they make."""

    def __init__(self, world: life.World, folder: Path, postgres: str) -> None:
        self.world, self.folder, self.postgres = world, folder, postgres
        self.ca, self.registry = world.folder / "ca", world.folder / "registry"
        self.database = self.registry / "data/registry.sqlite"
        (folder / "keys").mkdir(parents=True)
        (folder / "passphrase").write_text("a passphrase that is long enough")
        (folder / "dump.txt").write_text("user1@example.com;pass;" + "u1X".ljust(40, "0") + ";2022\n")
        (folder / "new.toml").write_text(deployment.PLAIN.replace('version = "', 'version = "new-', 1))
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
        (folder / "gateway.csr").write_bytes(request.public_bytes(serialization.Encoding.PEM))

    def run(self, name: str, *arguments: str | Path) -> str:
        words = [*name.split(), *map(str, arguments)]
        if "--operator" in dict(commands(cli))[name]:
            words += ["--operator", str(self.world.operator())]
        result = CliRunner().invoke(cli, words, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result.output

    def tested_policy(self) -> list[str | Path]:
        self.run("policy test", self.folder / "new.toml")
        return [self.folder / "new.toml"]

    def declared(self) -> list[str | Path]:
        return [*re.findall(r"^A\d+", self.run("infrastructure list"))]

    def calls(self) -> dict[str, Call]:
        """How each is called, in an order in which each finds what it needs."""
        ca, made, reason = ("--ca", self.ca), self.folder, ("--reason", "looked at")
        sealed = ("--passphrase-file", made / "passphrase")
        return {
            "incident open": lambda: ["a paste", "--class", "credential-compromise"],
            "incident link": lambda: ["1", "--verdict", "upbit:1"],
            "incident close": lambda: ["1", "--outcome", "told"],
            "infrastructure add": lambda: [ADDRESS, "--name", "a platform"],
            "infrastructure remove": self.declared,
            "leak load": lambda: [made / "dump.txt", "--name", "a paste", "--source", "found"],
            "leak verify": lambda: ["L1", *reason],
            "leak doubt": lambda: ["L1", *reason],
            "leak withdraw": lambda: ["L1", *reason],
            "appeal deny": lambda: ["upbit:1", *reason],
            "appeal grant": lambda: ["upbit:2", *reason],
            "policy activate": self.tested_policy,
            "signing-key make": lambda: [made / "keys", "--trust-domain", "daxa.kr"],
            "signing-key rotate": lambda: [self.registry],
            "pki issue": lambda: ["member/gopax", made / "gopax", *ca],
            "pki sign-csr": lambda: [made / "gateway.csr", "member/korbit", made / "korbit.pem", *ca],
            "pki renew": lambda: [self.world.folder / "members/bithumb", *ca],
            "pki revoke": lambda: ["member/bithumb", *ca],
            "pki renew-crl": lambda: [*ca],
            "backup": lambda: [self.registry / "registry.toml", made / "b", "--with-files", *sealed],
            "restore": lambda: [made / "b", made / "again", *sealed],
            "migrate-store": lambda: ["--from", self.database, "--to", self.postgres],
        }

    def state(self) -> dict[str, bytes]:
        """Everything: each table's rows, the size of the log, each file; and each table's rows at the other database."""
        found = {}
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            for table in TABLES:
                found[f"table {table}"] = repr(sorted(map(repr, database.execute(f"SELECT * FROM {table}")))).encode()
            found["log size"] = str(database.execute("SELECT count(*) FROM leaf").fetchone()).encode()
        with psycopg.connect(self.postgres) as other:
            tables = other.execute("SELECT tablename FROM pg_tables WHERE schemaname='public'").fetchall()
            for (table,) in tables:
                found[f"other table {table}"] = repr(other.execute(f'SELECT * FROM "{table}"').fetchall()).encode()
        for path in (*self.world.folder.rglob("*"), *self.folder.rglob("*")):
            # The database is looked into above. Evaluators count what is asked of them, dry runs too: else they would be a way
            # around the quota.
            if path.is_file() and path.parent not in self.world.folder.glob("**/data"):
                found[f"file {path}"] = path.read_bytes()
        return found


@pytest.fixture
def place(tmp_path: Path, postgres_url: str) -> Iterator[Place]:
    with life.world(tmp_path, sweep_seconds=3_600) as world:  # so that nothing happens by itself
        upbit = world.client("upbit")
        upbit.submit(world.ring("upbit"))
        for verdict in world.changes("upbit", 0, 4)[:2]:
            upbit.appeal(verdict, Ground.ONE_HOLDER)
        yield Place(world, tmp_path / "made", postgres_url)


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, bytes]:
    """What is not as it was, and what it is now."""
    return {name: after.get(name, b"") for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_without_yes_no_command_changes_a_row_the_log_or_a_file_and_with_it_each_does_and_names_who(
    place: Place,
) -> None:
    """One after the other, each as a dry run and then done; what is compared would show the least of what any of them does."""
    calls = place.calls()
    assert calls.keys() == ACTS.keys(), "a command that changes something is not tried here"
    for number, (name, call) in enumerate(calls.items()):
        arguments, by = call(), f"person-{number}."
        before = place.state()
        told = place.run(name, *arguments, "--by", by)
        assert re.search("(?m)^would do: ", told), name
        assert told.endswith("nothing was changed; do it with --yes\n"), name
        assert changed(before, place.state()) == {}, name
        place.run(name, *arguments, "--by", by, "--yes")
        done = changed(before, place.state())
        assert any(by.encode() in content for content in done.values()), f"{name} does not say who did it: {[*done]}"

"""A PostgreSQL that cannot be opened is told in one line that says what to do, on a real server, and without anything secret."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest

import deployment
import postgres
from daxa_core.errors import ConfigurationError
from daxa_registry.bootstrap import open_store
from daxa_registry.store.postgres_opening import not_opened

HUSH = "hush-hush"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.PostgresServer]:
    """A server that asks one role for its password, rejects another, and lets a third in never or nowhere."""
    made = postgres.PostgresServer.start(tmp_path_factory.mktemp("opening") / "postgres")
    try:
        rules = made.data / "pg_hba.conf"
        rules.write_text("local all sealed scram-sha-256\nlocal all shunned reject\n" + rules.read_text())
        with psycopg.connect(made.url, autocommit=True) as database:
            database.execute(f"CREATE ROLE sealed LOGIN PASSWORD '{HUSH}'")
            database.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
            database.execute("CREATE ROLE shunned LOGIN")
            database.execute("CREATE ROLE guest LOGIN")
            database.execute("REVOKE CREATE ON SCHEMA public FROM public")
            database.execute("CREATE DATABASE frozen")
            database.execute("ALTER DATABASE frozen SET default_transaction_read_only=on")
            database.execute("SELECT pg_reload_conf()")
        deployment.wait_for(lambda: rejects(made, "shunned"))
        yield made
    finally:
        made.remove()


def rejects(server: postgres.PostgresServer, role: str) -> bool:
    """Whether the rules that stand in its file are in force."""
    try:
        psycopg.connect(f"postgresql://{role}@/postgres?host={quote(str(server.socket))}").close()
    except psycopg.OperationalError:
        return True
    return False


def told(url: str) -> str:
    """What is told of that URL: one line, with nothing of the URL in it."""
    with pytest.raises(ConfigurationError, match="^INVALID_CONFIGURATION: database: ") as caught:
        open_store(url)
    said = str(caught.value)
    assert "\n" not in said
    for secret in (HUSH, "sealed", "shunned", "guest", "crowded", "missing", "unknown", "nowhere", "127.0.0.1", "/tmp"):
        assert secret not in said
    return said


@pytest.mark.parametrize(
    ("who", "database", "wanted"),
    [
        (f"sealed:wrong-{HUSH}", "postgres", "the password of the role in the URL: a line in PGPASSFILE"),
        ("sealed", "postgres", "the password of the role in the URL: a line in PGPASSFILE"),
        ("shunned", "postgres", "a role that the server knows and lets in from here: CREATE ROLE"),
        ("unknown", "postgres", "a role that the server knows and lets in from here: CREATE ROLE"),
        ("postgres", "missing", "a database that is there: make it with createdb"),
        ("crowded", "postgres", "a server with connections left, five for each node: raise max_connections"),
        ("guest", "postgres", "a role that may create tables there: make it the database's owner"),
        ("postgres", "frozen", "a server that can be written to; those in the URL are standbys, or read-only"),
    ],
)
def test_what_the_server_refuses_is_told_with_what_to_do(
    server: postgres.PostgresServer, who: str, database: str, wanted: str
) -> None:
    """Passwords, roles, databases, connections and rights, each as itself."""
    assert wanted in told(f"postgresql://{who}@/{database}?host={quote(str(server.socket))}")


def test_a_server_that_stops_is_told_as_such(server: postgres.PostgresServer) -> None:
    """It lets nobody in while it waits for those who are there."""
    with psycopg.connect(server.url):
        server.run("pg_ctl", "-D", str(server.data), "-m", "smart", "-W", "stop")
        while "a server that has started: this one is starting or stopping" not in (said := told(server.url)):
            assert "got" not in said
    server.run("/bin/sh", "-c", f"while test -e {server.data}/postmaster.pid; do sleep 0.05; done")
    server.restart()


def test_a_server_that_is_not_there_is_told_by_what_misses() -> None:
    """Nobody listens, on a port or a socket; nobody answers; no host has that name."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        there = f"postgresql://u:{HUSH}@127.0.0.1:{silent.getsockname()[1]}/registry"
        assert "a server that listens at the URL's host and port" in told(there)
        silent.listen()
        assert "a server that answers from here" in told(f"{there}?connect_timeout=2")
    assert "a server that listens at the URL's host and port" in told("postgresql://postgres@/none?host=/nowhere")
    assert "a host whose name can be resolved from here" in told(f"postgresql://u:{HUSH}@nowhere.invalid/registry")


@pytest.mark.parametrize(
    "rest",
    ["x?nonsense=1", "x?host", "x?connect_timeout=soon", "x?sslmode=maybe", "x?target_session_attrs=any-old", "%zz"],
)
def test_a_url_that_is_none_is_told_as_such(rest: str) -> None:
    """Also where libpq finds out late."""
    assert "a URL of libpq's form, postgresql://role@host" in told(f"postgresql://u:{HUSH}@127.0.0.1:1/{rest}")
    assert "got mysql://" in told(f"mysql://u:{HUSH}@127.0.0.1/{rest}")


def test_what_has_no_cause_that_is_known_says_where_to_look() -> None:
    """The SQLSTATE where there is one, else the class; TLS is known by its text."""
    said = [
        not_opened(error).expected for error in (psycopg.errors.DiskFull(), psycopg.OperationalError("FATAL:  안 됨"))
    ]
    assert said[0] == "a server whose disk has room; nothing was changed"
    assert said[1].endswith("the server's log says why not, got OperationalError")
    assert "got XX000" in not_opened(psycopg.errors.InternalError_()).expected
    said = [not_opened(psycopg.OperationalError(text)).expected for text in (
        "server does not support SSL, but SSL was required", 'root certificate file "/x" does not exist')]  # fmt: skip
    assert all(one.startswith("TLS that both sides agree on") for one in said)

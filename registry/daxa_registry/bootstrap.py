"""The only place that chooses implementations: which store, which policy, what serves them."""

from __future__ import annotations

from daxa_registry.backtest import Backtest
from daxa_registry.decision.policy import Policy
from daxa_registry.store.interface import Store
from daxa_registry.store.sqlite import SqliteStore


def open_store(database: str) -> Store:
    """The store behind a ``database`` setting: a path of an SQLite file, or ``:memory:``."""
    return SqliteStore(database)


def make_backtest(policy: Policy) -> Backtest:
    """A back-test over an empty store of its own, gone when it ends."""
    return Backtest(open_store(":memory:"), policy)

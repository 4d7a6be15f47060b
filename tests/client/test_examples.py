"""The examples in the client's docstrings are run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import daxa_client

MODULES = ["daxa_client"]
MODULES += [module.name for module in pkgutil.walk_packages(daxa_client.__path__, "daxa_client.")]


@pytest.mark.parametrize("name", MODULES)
def test_a_docstrings_example_runs(name: str) -> None:
    """An example that no longer holds is worse than none."""
    assert not doctest.testmod(importlib.import_module(name)).failed


def test_the_public_names_are_listed_and_there() -> None:
    """What is documented can be imported, and nothing else is public."""
    assert sorted(daxa_client.__all__) == daxa_client.__all__
    assert all(getattr(daxa_client, name) for name in daxa_client.__all__)  # some are loaded when they are asked for
    modules = {
        module.name for module in pkgutil.iter_modules(daxa_client.__path__)
    }  # these are imported by their names
    public = {name for name in vars(daxa_client) if not name.startswith("_")} - modules
    assert public == set(daxa_client.__all__)

"""Whether a database that was made from another one holds all of it: the rows of every table, and a log that its leaves make.

What is stored of the log's tree is copied like everything else, so it says nothing of the copy: the root is made of the leaves.

>>> there = contents_of(old)                                                      # doctest: +SKIP
>>> with new.transaction():                                                       # doctest: +SKIP
...     new.load(path)
...     check_copy(there, new)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daxa_core import merkle
from daxa_core.envelope import pae
from daxa_core.errors import ConfigurationError, ErrorCode

from .service.log import content_of
from .store.interface import Store

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What is compared of a database: rows by table, how many leaves its log has, and the root that is stored of them."""

    rows: Mapping[str, int]
    size: int
    root: bytes


def contents_of(store: Store) -> Contents:
    """Of one to which nobody writes meanwhile."""
    size = store.log_size()
    return Contents(store.rows(), size, merkle.root_at(size, store.tree_hashes))


def check_copy(there: Contents, copy: Store) -> None:
    """Raises ConfigurationError where a table of the copy has another number of rows, or its leaves another root."""
    copied = contents_of(copy)
    different = sorted(table for table in there.rows if there.rows[table] != copied.rows[table])
    if different:
        wanted = f"all rows of the source, and not others; it differs in {', '.join(different)}"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
    if there != copied or there.root != _root_of_leaves(copy):
        wanted = "leaves that make the root of the source's log: audit verify says whether its own do"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)


def _root_of_leaves(store: Store) -> bytes | None:
    """None where a leaf is none."""
    tree = merkle.Frontier()
    while page := store.leaves(tree.size, PAGE):
        for leaf in page:
            try:
                content = content_of(leaf)
            except Exception:  # noqa: BLE001 - protobuf's own error class is not ours to name here
                return None
            tree.append(merkle.leaf_hash(pae(*content)))
    return tree.root()

"""Whether a database that was made from another one holds all of it: the rows of every table, and a log that its leaves make.

What is stored of the log's tree is copied like everything else, so it says nothing of the copy: the root is made of the leaves.

>>> check_copy(old, new)                                                          # doctest: +SKIP
"""

from __future__ import annotations

from daxa_core import merkle
from daxa_core.envelope import pae
from daxa_core.errors import ConfigurationError, ErrorCode

from .service.log import content_of
from .store.interface import Store

PAGE = 1_000


def check_copy(source: Store, copy: Store) -> None:
    """Raises ConfigurationError where a table of the copy has another number of rows, or its leaves another root.

    Nobody may write to either meanwhile.
    """
    rows, copied = source.rows(), copy.rows()
    different = sorted(table for table in rows if rows[table] != copied[table])
    if different:
        wanted = f"all rows of the source, and not others; it differs in {', '.join(different)}"
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "database", wanted)
    size = source.log_size()
    root = merkle.root_at(size, source.tree_hashes)
    if root != merkle.root_at(size, copy.tree_hashes) or root != _root_of_leaves(copy):
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

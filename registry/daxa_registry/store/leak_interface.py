"""The store's contract for leaks: as :mod:`.interface`, of which it is a part.

A leak's keys are kept as fingerprints beside the graph, not in it: a key that nobody has used has no node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from daxa_core.leaks import Confidence, LeakState, Tlp
from daxa_core.model import Kind
from daxa_registry.decision.graph import Leaks


@dataclass(frozen=True, slots=True)
class StoredLeak:
    """A leak. ``reporter`` is a member's number, 0 for operators; times in seconds, 0 for not yet. ``loaded_at`` is when it came
    into force; while it is loading, when keys were last added.

    ``digest`` is over its keys in ascending order, once it is committed. ``applied`` is the subject up to which what the leak
    changed has been decided, None where nothing is left to decide; ``lowering``: what is left may fall.
    """

    number: int
    leak_id: bytes
    reporter: int
    name: str
    source: str
    found_at: int
    tlp: Tlp
    opened_at: int
    confidence: Confidence = Confidence.UNVERIFIED
    state: LeakState = LeakState.LOADING
    keys: int = 0
    loaded_at: int = 0
    digest: bytes = b""
    applied: int | None = None
    lowering: bool = False

    def was_verified(self) -> bool:
        """Whether what is taken back is an operator's verification: of a leak that was withdrawn verified, or is doubted."""
        return self.confidence is Confidence.VERIFIED or (self.lowering and self.state is LeakState.IN_FORCE)


class Tester(NamedTuple):
    """An address from which keys were tried that are not used there, or a client stack with which keys were tried that are
    used with another: the node and its kind, how many keys, at how many members, and the hour in which the last of them was
    tried first."""

    kind: Kind
    node: int
    keys: int
    members: int
    hour: int


class LeakStore(Protocol):
    """What a store keeps of leaks."""

    # writing: inside a transaction

    def open_leak(self, leak: StoredLeak) -> StoredLeak:
        """Adds a leak and answers it with its number. MUST fail when its id is there."""

    def save_leak(self, leak: StoredLeak) -> None:
        """Keeps what has changed of a leak. Its claims count from then on if, and only if, it is IN_FORCE."""

    def add_leaked(self, leak: int, fingerprints: Sequence[bytes]) -> int:
        """Adds keys to a leak, each once; how many were new to it."""

    def prepare_leak(self, leak: int, digest: bytes) -> None:
        """Outside a transaction: reads ahead what the first look at its keys will need once it is in force with that digest."""

    def drop_leaked(self, leak: int, limit: int) -> int:
        """Forgets up to ``limit`` of a leak's keys; how many."""

    def leaks_of(self, subjects: Sequence[int]) -> Mapping[int, Leaks]:
        """What leaks in force say of those subjects' keys; a subject of whose key none speaks is not in the answer."""

    def taken_back(self, subjects: Sequence[int]) -> Mapping[int, bool]:
        """Those of them whose key stands in a leak that was withdrawn or doubted, and of whom it is not decided yet what that
        changes; each with whether an operator's verification was taken back."""

    def of_leaked_keys(self, subjects: Iterable[int]) -> frozenset[int]:
        """Those of them whose key stands in a leak in force; also some whose key only looks like one. It MUST miss none that
        is at hand for a glance (``Store.glances``)."""

    # reading: anywhere

    def leak(self, leak_id: bytes) -> StoredLeak | None:
        """The leak of that id."""

    def leaks(self) -> list[StoredLeak]:
        """Every leak, in the order of their numbers."""

    def leaked(self, leak: int, after: bytes, limit: int) -> list[bytes]:
        """Up to ``limit`` of a leak's keys after that one, ascending."""

    def leaked_subjects(self, leak: int, after: int) -> list[int]:
        """The subjects after that one whose key stands in the leak, whatever its state, ascending; not those of a member that
        only refused the key and does not know it."""

    def leaks_with(self, keys: Sequence[bytes]) -> Mapping[bytes, list[int]]:
        """The numbers of the leaks in force that each of those fingerprints stands in, where there is one."""

    def leak_matches(self, leak: int) -> Mapping[int, tuple[int, int]]:
        """By member: how many of the keys that it used or declared stand in the leak, and how many it has."""

    def leak_overlaps(self, leak: int) -> Mapping[int, int]:
        """By its number, each other leak in force that has keys of that one, and how many."""

    def only_refused(self, member: str, keys: Sequence[bytes]) -> frozenset[bytes]:
        """Those of the keys that the member has refused, and never used, declared or named an account of."""

    def testers(self, least: int, limit: int) -> list[Tester]:
        """Addresses where ``least`` keys or more were refused that were never used there, then client stacks with which as many
        were refused, on two addresses or more, that are used but never with that stack, and are more than the keys that are used
        with it: ``limit`` of each, the most first."""

"""The store's contract: nodes, subjects, presences, batches, verdicts, documents, and what each operation guarantees.

All writing happens inside :meth:`Store.transaction`, by one thread of the process at a time, and by one process at a time where
several work on one database; everything in it is durable together when the block ends, or nothing of it is. Reading outside a
transaction sees the last committed state and may be done from another thread than the writer's; inside, what the transaction
itself has written.

Every operation MUST raise :class:`daxa_core.errors.Unavailable` (``UNAVAILABLE``, field ``store``) when the database cannot do
it now (locked, full, unreachable), with nothing changed; and never an exception of the database's own. One case cannot tell: a
connection that breaks while a commit is answered. It is ``UNAVAILABLE`` too, and what was to be written is there as a whole or
not at all: :meth:`Store.find_batch` says which, so a batch that is sent again under its id is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from daxa_core.errors import DaxaError, ErrorCode, Unavailable
from daxa_core.model import Act, Kind, Level, Refusal, Sighting
from daxa_registry.decision.graph import Neighbourhood, Population
from daxa_registry.decision.ladder import State
from daxa_registry.decision.quiet import Glance

from .leak_interface import LeakStore

HUB_SIZE = 256
"""Distinct subjects on one address up to which a decision looks at all of them (DESIGN.md section 6)."""


def of_each_member(hub_size: int) -> int:
    """Distinct subjects of each member that a decision looks at on a larger address."""
    return max(hub_size // 4, 1)


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a batch changed.

    ``subjects`` has one id per sighting, in their order, or None where it was refused. ``moved`` are the subjects whose
    evidence changed: a new presence, or a known one in a new hour. ``grown`` are addresses whose evidence class
    changed, so that everybody there has to be decided again: the parties with two hours there or more passed a step
    (:data:`STEPS`; one that was there once has met nobody), or a key failed there for the first time, or after that the
    number of subjects passed a step.
    """

    subjects: tuple[int | None, ...]
    refusals: tuple[Refusal, ...]
    moved: frozenset[int]
    grown: frozenset[int]


STEPS = frozenset(
    {2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200, HUB_SIZE, HUB_SIZE + 1}
)
"""Numbers on an address at which its evidence class changes."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What a part of retention did: whether it was the last of a walk through everything, and whose evidence changed."""

    ended: bool
    subjects: frozenset[int]


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch that was taken: the digest of its content and what was answered, verdicts by their sequence numbers."""

    digest: bytes
    accepted: int
    refusals: tuple[Refusal, ...]
    sequences: tuple[int, ...]


class Standing(NamedTuple):
    """Where a subject stands: its key's fingerprint, its current level and the sequence that said so (0: none yet)."""

    subject: int
    member: int
    key: bytes
    level: Level
    sequence: int


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """One change of a verdict: the exact bytes shipped and all that they rested on, at its member's sequence.

    ``before`` is the state that it changed, as ``State.to_json`` has it, ``act`` what the exchange did, where that changed it,
    and ``judged`` how much of the score was judged false, where it was a part: with the evidence and the policy of the
    body's digest they give the body again.
    """

    subject: int
    member: int
    sequence: int
    level: Level
    decided_at: int
    body: bytes
    evidence: bytes
    before: str = ""
    act: Act | None = None
    judged: float | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """Licensed infrastructure: the node (an address), its name, until when (seconds), and how many subjects it has."""

    node: int
    kind: Kind
    fingerprint: bytes
    name: str
    until: int
    subjects: int


@dataclass(frozen=True, slots=True)
class Claims:
    """The keys that a member says were used or have an allow-list there, those of them that another member claims as well, and
    how many ``others`` do.

    A key works at the one exchange that issued it, so of two who claim it one is wrong, by mistake or lying. Who was first says
    nothing of which: it counts against both. Who is wrong about many is contradicted by many, in most of what it claims.
    """

    keys: int
    contradicted: int
    others: int

    @property
    def rate(self) -> float:
        """The contradicted part of its keys, 0 to 1."""
        return self.contradicted / self.keys if self.keys else 0.0


EVERYBODY, AUDITORS = 0, -1
"""Who is told a leaf's content where it is not one member, whose number it is then."""


@dataclass(frozen=True, slots=True)
class StoredLeaf:
    """A leaf of the log: its index, whom it concerns, and either the kind and bytes of an event or a verdict's sequence.

    ``body`` of a verdict's leaf is empty when it is appended, and the verdict's own when it is read. ``salt`` is what blinds its
    evidence.
    """

    index: int
    audience: int
    event: str = ""
    sequence: int = 0
    salt: bytes = b""
    body: bytes = b""


class Superseded(Unavailable):
    """This node may not write any more: a newer program works on the database, or decides by what this one cannot read."""

    @classmethod
    def by(cls, version: int, own: int) -> Superseded:
        """By whoever migrated the database to that version."""
        wanted = f"a node of the program that made schema version {version}; this one writes version {own}"
        return cls(ErrorCode.UNAVAILABLE, "store", wanted, retry_after=1.0)


CheckElements = Callable[[Sequence[bytes]], Mapping[bytes, DaxaError]]
"""Which of many fingerprints are no elements, each with why."""


class Store(LeakStore, Protocol):
    """One registry's database."""

    def transaction(self) -> AbstractContextManager[None]:
        """Everything inside is durable together when the block ends without an exception; else nothing of it is."""

    def close(self) -> None:
        """Closes the database. What was committed stays."""

    # between nodes

    def share(
        self,
        before_turn: Callable[[], None],
        on_heads: Callable[[dict[int, int]], None],
        on_notice: Callable[[str], None],
        on_superseded: Callable[[Superseded], None] = lambda error: None,
    ) -> None:
        """From now on this process is one of several on the database, where the store allows several.

        ``before_turn`` is called at the beginning of a transaction, inside it, when another node may have written since this one
        did: whoever keeps in memory what the database says reads it again. ``on_heads`` is called on a thread of the store's with
        the heads of the members whose verdicts other nodes changed, each change at least once, after it was committed;
        ``on_notice`` with what other nodes told by :meth:`notify`. ``on_superseded`` is called on the writing thread when a
        transaction ended with :class:`Superseded`, which ``before_turn`` may raise too: so will every other one.
        """

    def notify(self, notice: str) -> None:
        """Tells the other nodes a text of at most 7,000 bytes; nobody is told where this one is alone, or a connection breaks.

        No look-up waits for it, and it waits for no other machine's disk.
        """

    def only_here(self, work: str) -> AbstractContextManager[bool]:
        """Whether no other node does that work now; none begins it while the block runs. It ends with the node that did it."""

    # whole databases

    def save(self, path: Path) -> None:
        """Writes all of it into a new SQLite file, as it is at one moment; reading and writing go on meanwhile."""

    def load(self, path: Path) -> None:
        """Takes all of it from such a file, inside a transaction, of which it is the first to be done. MUST fail when there is
        anything here yet."""

    def moving(self) -> AbstractContextManager[Path]:
        """Its file, to which nobody writes while the block runs, nor, when that ended without an exception, ever again.

        Whoever tries is refused as ``UNAVAILABLE``, and a later open as INVALID_CONFIGURATION.
        """

    # who

    def member_id(self, name: str) -> int:
        """The number of a member, made on first use, which outside a transaction is one of its own. Stable for the life of the
        database."""

    # writing: inside a transaction

    def find_batch(self, member: int, batch_id: bytes) -> StoredBatch | None:
        """What was answered to that batch of that member, while it is kept."""

    def save_batch(self, member: int, batch_id: bytes, batch: StoredBatch, received_at: int) -> None:
        """Keeps an answer. MUST fail when the member already has a batch of that id."""

    def drop_batches(self, received_before: int, limit: int) -> int:
        """Forgets at most ``limit`` batches that came in before that time; how many it forgot."""

    def absorb(self, member: int, sightings: Sequence[Sighting], check: CheckElements) -> Absorbed:
        """Merges sightings into nodes, subjects and presences, and keeps the counters of each.

        ``check`` is called with the fingerprints that no stored node has, before they are stored; those it names refuse
        their sightings alone. Hours are added to a set, so the same hour twice is one hour; counts
        are added up, except for ``DECLARED``.
        """

    def withdraw(self, member: int, key: bytes, first_hour: int, last_hour: int) -> tuple[int, frozenset[int]]:
        """Deletes what that member said of that key in those hours (both included).

        Answers how many presences were shortened or deleted, and the subjects whose evidence that changed: the key's own,
        and those who met it. Goes what goes with :meth:`expire`.
        """

    def expire(self, before_hour: int, limit: int) -> Expired:
        """Takes the hours before that one off ``limit`` presences, from where the part before ended; after the last one, from the
        beginning.

        What has no hour left goes, and with it a subject that is nowhere and was never told a verdict; one that was told has
        neither account nor holder left. Verdicts, the log and what they rested on stay. With what named them last go the
        fingerprints of keys, addresses and holders, and by the end of the next whole walk those of networks and client stacks.
        """

    def append_verdict(self, verdict: StoredVerdict) -> None:
        """Adds a change and makes it the subject's current one. MUST fail when the sequence is not the member's next."""

    def save_ladder(self, subject: int, state: State, due: int) -> None:
        """Keeps where a subject's verdict is, and when it has to be looked at again (seconds, 0 for never)."""

    def hasten(self, subjects_on: int, due: int) -> None:
        """Every kept state of a subject that was seen on that address is due at that time."""

    def infrastructure(self, kind: Kind, fingerprint: bytes, name: str, until: int) -> int:
        """Declares a node as licensed infrastructure until that time (seconds; 0 takes it back). Answers the node."""

    def write_document(self, kind: str, name: str, body: str, *, replace: bool = False) -> None:
        """Keeps a text under (kind, name). MUST fail when there is one and ``replace`` is not given."""

    def next_leaf(self) -> int:
        """The index of the leaf that is appended next."""

    def append_leaf(self, leaf: StoredLeaf, leaf_hash: bytes) -> None:
        """Adds a leaf and the hashes of the subtrees that it completes. MUST fail when its index is not the next."""

    def save_cosignature(self, size: int, witness: str, line: str) -> None:
        """Keeps a witness's line for the checkpoint of that size; a second one of that witness changes nothing."""

    # reading: inside a transaction, because it uses what the writer remembers; elsewhere it MUST fail with an AssertionError

    def glances(self, subjects: Iterable[int]) -> Iterator[Glance]:
        """What is known of each without reading its neighbourhood; one of whom nothing is at hand is passed over.

        MUST NOT understate, as :class:`daxa_registry.decision.quiet.Glance` says.
        """

    def subjects_on(self, addresses: Iterable[int]) -> frozenset[int]:
        """The subjects on those addresses, and those that keys which failed there have at other members; except on addresses
        beyond the hub size: those are never visited."""

    def neighbourhoods(self, subjects: Sequence[int]) -> Iterator[Neighbourhood]:
        """What a decision on each of them may look at, as :mod:`daxa_registry.decision.graph` defines it.

        MUST be called for no more than a few thousand subjects at once; an unknown subject is passed over.
        """

    def population(self) -> Population:
        """The hours in which the whole market stirred or fell silent, as of the neighbourhoods that were handed out last."""

    # reading: anywhere

    def members(self) -> Mapping[int, str]:
        """Every member's name, by its number."""

    def document(self, kind: str, name: str) -> str | None:
        """The text under (kind, name)."""

    def documents(self, kind: str, after: str = "", limit: int = 1_000) -> list[tuple[str, str]]:
        """Up to ``limit`` texts of a kind in the order of their names, from after that one on: (name, text)."""

    def declared(self) -> list[Declared]:
        """The infrastructure that is declared, whether or not its time is over."""

    def log_size(self) -> int:
        """How many leaves there are."""

    def tree_hashes(self, positions: Sequence[int]) -> list[bytes]:
        """The stored hashes at those positions of :mod:`daxa_core.merkle`, in their order."""

    def leaves(self, start: int, limit: int) -> list[StoredLeaf]:
        """Up to ``limit`` leaves from that index on, in order, with their bodies."""

    def last_event(self, kind: str) -> bytes | None:
        """The bytes of the newest event of that kind."""

    def cosignatures(self, size: int) -> list[str]:
        """The lines that witnesses gave for the checkpoint of that size."""

    def cosigned_size(self, witnesses: int) -> int | None:
        """The largest size whose checkpoint so many witnesses have cosigned."""

    def head(self, member: int) -> int:
        """The member's newest verdict sequence, 0 if there is none."""

    def standings(self, subjects: Iterable[int]) -> Mapping[int, Standing]:
        """Where each subject stands; a subject that is not stored is not in the answer."""

    def sequences(self, subjects: Iterable[int]) -> Mapping[int, int]:
        """The newest verdict's sequence of each subject that has one."""

    def standing_of(self, member: int, key: bytes) -> Standing | None:
        """Where the member's subject of that key stands, or None where the member never sent anything of it."""

    def ladder(self, subjects: Iterable[int]) -> Mapping[int, tuple[State, int]]:
        """The kept states of those subjects and when each is due; a subject that is not in the answer is at the start."""

    def due(self, now: int, limit: int) -> list[int]:
        """Up to ``limit`` subjects that are due at ``now``, the longest due first."""

    def suspects(self, address: int | None = None) -> list[int]:
        """The subjects whose level is not CLEAR, in ascending order; or those of them that were seen on that address."""

    def node(self, kind: Kind, fingerprint: bytes) -> int | None:
        """The node of a fingerprint, if there is one."""

    def verdict(self, member: int, sequence: int) -> StoredVerdict | None:
        """One change, whole."""

    def changes(self, subject: int) -> list[StoredVerdict]:
        """Every change of one subject's verdict, whole, in order."""

    def all_subjects(self) -> Iterator[int]:
        """Every subject that was used or declared, in ascending order."""

    def current_verdicts(self, member: int, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The bodies of the current verdicts of those of the member's keys that ever had one."""

    def verdicts_after(self, member: int, sequence: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to ``limit`` changes of the member after that sequence, in order: (sequence, body)."""

    def newest_verdicts(self, member: int, first: int, last: int, until: int) -> list[tuple[int, Level, bytes]]:
        """Of the member's changes at the sequences ``first`` to ``last``, those that were their key's newest at ``until``.

        Each as (sequence, level, the key's fingerprint), in ascending sequence.
        """

    def verdicts_at(self, member: int, sequences: Sequence[int]) -> list[bytes]:
        """The bodies at those sequences, in their order."""

    def levels(self) -> Mapping[Level, int]:
        """How many subjects stand at each level."""

    def claims(self) -> Mapping[str, Claims]:
        """What each member claims and how much of it others contradict, by its name."""

    def rows(self) -> Mapping[str, int]:
        """How many rows there are of everything that is kept, under whatever names, which are the same on every store."""

    def counts(self) -> Mapping[str, int]:
        """How many members, subjects, presences, verdicts, batches, and nodes by kind (``node_KEY`` …)."""

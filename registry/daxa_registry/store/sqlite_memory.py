"""What the writer remembers of the file: edges, subjects with where they were seen, and who spends time on an address.

All of it is what the file says plus what this transaction has not written yet, and can be forgotten at any time after a write.
Of an address it knows just enough to tell whether anybody there can have met: each party's one hour, or that there are more.
An address beyond the hub size has no ledger.
"""

from __future__ import annotations

from daxa_core.model import Level, Manner
from daxa_registry.decision.graph import UNKNOWN_DEVICE
from daxa_registry.decision.quiet import Glance

Identity = int | tuple[int, bytes]
"""A party as :mod:`daxa_registry.decision.places` tells them apart: a known holder, or an account at one member."""

MORE = -1
MANY_EDGES = 64
MANY_PARTIES = 16
LASTING_HOURS = 24
_USED = Manner.USED


class Edge:
    """A subject on an address with a device, in one manner. ``pending`` is the count not yet written."""

    __slots__ = ("address", "bits", "changed", "device", "first", "manner", "network", "pending", "record", "row")

    def __init__(
        self, record: Record, address: int, device: int, manner: Manner, network: int, row: int, first: int, bits: int
    ) -> None:
        self.record, self.address, self.device, self.manner, self.network = record, address, device, manner, network
        self.row, self.first, self.bits = row, first, bits
        self.pending = 0
        self.changed = False


class Record:
    """A subject as the writer knows it, with its edges by (address, device, manner)."""

    __slots__ = (
        "account", "addresses", "devices", "dirty", "edges", "fingerprint", "holder", "holder_print", "hours", "id", "key",
        "level", "member", "seen", "sequence",
    )  # fmt: skip

    def __init__(self, identifier: int, key: int, fingerprint: bytes, member: int) -> None:
        self.id, self.key, self.fingerprint, self.member = identifier, key, fingerprint, member
        self.account: bytes | None = None
        self.holder: int | None = None
        self.holder_print: bytes | None = None
        self.seen = self.hours = self.sequence = 0
        self.level = Level.CLEAR
        self.edges: dict[tuple[int, int, int], Edge] = {}
        self.addresses: set[int] = set()
        self.devices: set[int] = set()
        self.dirty = False

    @property
    def identity(self) -> Identity:
        return self.holder or (self.member, self.account or b"key %d" % self.key)

    def keep(self, edge: Edge) -> None:
        """An edge that the subject has from now on."""
        self.edges[edge.address, edge.device, int(edge.manner)] = edge
        self.addresses.add(edge.address)
        self.devices.add(edge.device)


class Ledger:
    """One address: the hour of use of each party there (``MORE``: several), how many have several, whether keys failed there."""

    __slots__ = ("lasting", "parties", "refused")

    def __init__(self) -> None:
        self.parties: dict[Identity, int] = {}
        self.lasting = 0
        self.refused = False

    def note(self, who: Identity, hour: int) -> bool:
        """A party's hour of use; whether it is the first that makes it last."""
        known = self.parties.get(who)
        if known is None:
            self.parties[who] = hour
        elif known != MORE and known != hour:
            self.parties[who] = MORE
            self.lasting += 1
            return True
        return False


def few(record: Record) -> bool:
    """Whether its edges are few enough for a glance."""
    return len(record.edges) <= MANY_EDGES


def glance_at(record: Record, ledgers: dict[int, Ledger | None], key_refused: bool) -> Glance | None:
    """What these tell of a subject, or None where they do not tell enough: an address whose ledger is not at hand, or many."""
    if not few(record):
        return None
    company, refused = False, key_refused
    used: list[Edge] = []
    addresses: set[int] = set()
    networks: set[int] = set()
    met: set[Identity] = set()
    for edge in record.edges.values():
        if edge.manner is not _USED:
            continue
        used.append(edge)
        networks.add(edge.network)
        address = edge.address
        if address in addresses:
            continue
        addresses.add(address)
        ledger = ledgers.get(address)
        if ledger is None:
            return None
        refused |= ledger.refused
        parties = ledger.parties
        if len(parties) > 1:
            if len(parties) > MANY_PARTIES:
                return None
            who = record.identity
            company |= ledger.lasting > 1 and parties.get(who) == MORE
            for other in parties:
                if other != who:
                    company |= other in met
                    met.add(other)
    told = record.sequence > 0
    if len(networks) < 2:
        return Glance(record.id, told, company, refused, 1, len(networks), False, False, False)
    stacks: set[int] = set()
    first = min([edge.first for edge in used])
    once = twice = thrice = 0
    for edge in used:
        stacks.add(edge.device)
        bits = edge.bits << (edge.first - first)
        thrice |= twice & bits
        twice |= once & bits
        once |= bits
    lasting = once.bit_length() > LASTING_HOURS
    stacks.discard(UNKNOWN_DEVICE)
    return Glance(record.id, told, company, refused, len(stacks), len(networks), bool(twice), bool(thrice), lasting)

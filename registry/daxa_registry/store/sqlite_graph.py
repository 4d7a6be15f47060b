"""Reading neighbourhoods out of SQLite, in sets: a chunk of subjects at a time, a place once however many meet there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from daxa_core.model import Manner
from daxa_registry.decision.graph import (
    UNKNOWN_DEVICE,
    Neighbourhood,
    Place,
    Population,
    Presence,
    Subject,
    Tried,
)
from daxa_registry.decision.refusals import SLOWLY_HOURS

from .database import Database
from .hours import unpack
from .interface import of_each_member
from .sqlite_common import Common
from .sqlite_stacks import Stacks

CHUNK = 400
PLACES_CACHED = 20_000
CROWDS_CACHED = 2_000
SUBJECTS_CACHED = 200_000
_COLUMNS = "address, device, subject, manner, network, first, hours, count"
_OF_THE_SAME_KEYS = (
    "SELECT t.id, t.member, t.key, t.account, t.holder, t.hours, t.addresses"
    " FROM subject s JOIN subject t ON t.key=s.key WHERE s.id IN ({})"
)
_MANNERS = {int(manner): manner for manner in Manner}

Row = tuple[int, int, int, int, int, int, bytes, int]


class GraphReader:
    """Builds what :mod:`daxa_registry.decision.graph` describes; keeps places until the absorber changes them."""

    def __init__(
        self,
        connection: Database,
        hub_size: int,
        unusual: Callable[[], tuple[int, int]],
    ) -> None:
        """``unusual``: the market's unusual hours."""
        self._db = connection
        self._unusual = unusual
        self._common = Common(connection)
        self._hub_size = hub_size
        self._stacks = Stacks(connection)
        self.forget()

    def forget(self) -> None:
        """Drops every cache."""
        self._places: dict[int, Place] = {}
        self._subjects: dict[int, Subject] = {}
        self._crowds: dict[int, dict[frozenset[int], Place]] = {}
        self._hub_members: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {}
        self._population = Population()
        self._counted_anew = True

    def failed(self) -> None:
        """What was seen in a transaction that failed may never have been."""
        self._common.forget()

    def changed(self, addresses: set[int], subjects: set[int]) -> None:
        """What was read of these addresses and subjects is no longer so."""
        for subject in subjects:
            self._subjects.pop(subject, None)
        for address in addresses:
            self._crowds.pop(address, None)
            place = self._places.pop(address, None)
            if place is not None:
                for presence in place.presences:
                    self._subjects.pop(presence.subject.id, None)

    def subjects_on(self, addresses: Iterable[int]) -> frozenset[int]:
        """The subjects on those addresses that are no hubs, and the other subjects of keys that failed there."""
        found: set[int] = set()
        failed: set[int] = set()
        for address in addresses:
            for subject, manner in self._db.execute(
                "SELECT DISTINCT p.subject, p.manner FROM node n JOIN presence p ON p.address=n.id"
                " WHERE n.id=? AND n.subjects<=?",
                (address, self._hub_size),
            ):
                found.add(subject)
                if manner == Manner.REJECTED:
                    failed.add(subject)
        query = "SELECT t.id FROM subject s JOIN subject t ON t.key=s.key WHERE s.id IN ({})"
        return frozenset(found.union(row[0] for row in self._db.select(query, failed)))

    def population(self) -> Population:
        """As of the last chunk of neighbourhoods; the same object as long as it says the same."""
        if self._counted_anew:
            fresh = Population(*self._unusual(), self._common.stacks())
            if fresh != self._population:
                self._population = fresh
            self._counted_anew = False
        return self._population

    def neighbourhoods(self, subjects: Sequence[int]) -> Iterator[Neighbourhood]:
        """One per stored subject, in the order asked."""
        for start in range(0, len(subjects), CHUNK):
            yield from self._chunk(subjects[start : start + CHUNK])

    def _chunk(self, wanted: Sequence[int]) -> Iterator[Neighbourhood]:
        self._counted_anew = True
        self._keep_few()
        siblings: dict[int, list[int]] = {}
        rows: dict[int, list[Row]] = {}
        for one in self._db.select(_OF_THE_SAME_KEYS, wanted):
            read = Subject(*one)
            if read.id not in rows:
                self._subjects[read.id] = read
                siblings.setdefault(read.key, []).append(read.id)
                rows[read.id] = []
        for row in self._db.select(f"SELECT {_COLUMNS} FROM presence WHERE subject IN ({{}})", rows):  # noqa: S608
            rows[row[2]].append(row)
        crowds = self._load_places({row[0] for group in rows.values() for row in group})
        for subject in wanted:
            if subject not in rows:
                continue
            me = self._subjects[subject]
            own = tuple(self._presence(row) for row in rows[subject])
            elsewhere = tuple(
                self._presence(row) for other in siblings[me.key] if other != subject for row in rows[other]
            )
            places: dict[int, Place] = {}
            for presence in (*own, *elsewhere):
                if presence.address not in places:
                    place = self._places.get(presence.address)
                    if place is None:
                        devices = frozenset(p.device for p in (*own, *elsewhere) if p.address == presence.address)
                        place = self._crowd(presence.address, crowds[presence.address], devices)
                    places[presence.address] = place
            yield Neighbourhood(me, own, elsewhere, places, stacks=self._tried_with(own, elsewhere))

    def _tried_with(self, own: Sequence[Presence], elsewhere: Sequence[Presence]) -> Mapping[int, tuple[Tried, ...]]:
        """Of stacks with which the key was refused, what else was tried with them around then; at its own exchange only of those
        with which it is not used: there its holder fails too."""
        familiar = {presence.device for presence in own if presence.manner is Manner.USED}
        hours: dict[int, tuple[int, int]] = {}
        for presence in (*(p for p in own if p.device not in familiar), *elsewhere):
            if presence.manner is Manner.REJECTED and presence.device != UNKNOWN_DEVICE:
                first, last = hours.get(presence.device, (presence.first, presence.last))
                hours[presence.device] = min(first, presence.first), max(last, presence.last)
        return {
            device: tried
            for device, (first, last) in hours.items()
            if (tried := self._stacks.tried_with(device, first - SLOWLY_HOURS, last + SLOWLY_HOURS))
        }

    def _keep_few(self) -> None:
        """Drops what has grown past its bound; not in the middle of a chunk."""
        if len(self._places) > PLACES_CACHED:
            self._places.clear()
        if len(self._subjects) > SUBJECTS_CACHED:
            self._subjects.clear()

    def _load_subjects(self, wanted: Iterable[int]) -> None:
        missing = {subject for subject in wanted if subject not in self._subjects}
        for row in self._db.select(
            "SELECT id, member, key, account, holder, hours, addresses FROM subject WHERE id IN ({})", missing
        ):
            self._subjects[row[0]] = Subject(*row)

    def _load_places(self, addresses: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Reads the places that are not in the cache; answers (subjects, infrastructure) of those too crowded for it."""
        missing = [address for address in addresses if address not in self._places]
        crowds: dict[int, tuple[int, int]] = {}
        counted: dict[int, tuple[int, int]] = {}
        for address, subjects, infrastructure in self._db.select(
            "SELECT id, subjects, infrastructure FROM node WHERE id IN ({})", missing
        ):
            (crowds if subjects > self._hub_size else counted)[address] = (subjects, infrastructure)
        rows: dict[int, list[Row]] = {address: [] for address in counted}
        for row in self._db.select(f"SELECT {_COLUMNS} FROM presence WHERE address IN ({{}})", counted):  # noqa: S608
            rows[row[0]].append(row)
        self._load_subjects({row[2] for group in rows.values() for row in group})
        for address, (subjects, infrastructure) in counted.items():
            presences = tuple(self._presence(row) for row in rows[address])
            network = presences[0].network if presences else 0
            self._places[address] = Place(address, network, subjects, False, bool(infrastructure), presences)
        return crowds

    def _crowd(self, address: int, counted: tuple[int, int], devices: frozenset[int]) -> Place:
        """A hub as one subject sees it: of each member everybody, or those with the subject's devices where they are many."""
        known = self._crowds.get(address, {}).get(devices)
        if known is not None:
            return known
        if sum(map(len, self._crowds.values())) > CROWDS_CACHED:
            self._crowds.clear()
        members = self._db.execute("SELECT id FROM member ORDER BY id").fetchall()
        rows = [row for (member,) in members for row in self._of_member(address, member, devices)]
        self._load_subjects({row[2] for row in rows})
        presences = tuple(self._presence(row) for row in rows)
        network = presences[0].network if presences else 0
        subjects, infrastructure = counted
        place = Place(
            address, network, subjects, True, bool(infrastructure), presences, self._members_on(address, subjects)
        )
        self._crowds.setdefault(address, {})[devices] = place
        return place

    def _of_member(self, address: int, member: int, devices: frozenset[int]) -> list[Row]:
        """What a decision looks at of one member's part of a hub: each has its share, so that nobody crowds out another's."""
        most = of_each_member(self._hub_size)
        there = "FROM presence WHERE address=? AND member=?"
        found = self._db.execute(f"SELECT DISTINCT subject {there} LIMIT ?", (address, member, most + 1)).fetchall()
        if len(found) <= most:
            return self._db.execute(f"SELECT {_COLUMNS} {there}", (address, member)).fetchall()
        rows: list[Row] = []
        for device in devices:
            rows += self._db.execute(
                f"SELECT {_COLUMNS} {there} AND device=? ORDER BY subject LIMIT ?",
                (address, member, device, most * len(Manner)),
            )
        shown = set(sorted({row[2] for row in rows})[:most])
        return [row for row in rows if row[2] in shown]

    def _members_on(self, address: int, subjects: int) -> tuple[tuple[int, int], ...]:
        """Subjects that were in use on a hub, by member; counted anew when it has grown or shrunk by a tenth."""
        known = self._hub_members.get(address)
        if known is None or abs(known[0] - subjects) * 10 > known[0]:
            rows = self._db.execute(
                "SELECT member, count(DISTINCT subject) FROM presence WHERE address=? AND manner=?"
                " GROUP BY member ORDER BY member",
                (address, int(Manner.USED)),
            ).fetchall()
            known = self._hub_members[address] = (subjects, tuple(rows))
        return known[1]

    def _presence(self, row: Row) -> Presence:
        address, device, subject, manner, network, first, hours, count = row
        return Presence(
            self._subjects[subject], address, network, device, _MANNERS[manner], first, unpack(hours), count
        )

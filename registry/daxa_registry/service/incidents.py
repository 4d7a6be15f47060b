"""Incidents: a leak or a case with its verdicts, what exchanges did about them and how long after, classed as what it was.

An incident names what it is made of; what was told and done is read anew each time, so that it stays true while it goes on.
Refused: an incident, leak, case or verdict that there is not (NOT_FOUND), a change of one that is closed (ALREADY_ANSWERED), a
title or an outcome that is no short text for others to read.

For others its members are letters. Each is drawn at random, when an incident is first read with that member in it, and kept with
it: neither an alphabet nor who was told first says whose it is, and it is the same in every export.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from string import ascii_uppercase

from daxa_core.errors import ErrorCode, InvalidInput, Refused
from daxa_core.model import Act, Cause, Level
from daxa_core.public_text import check_text
from daxa_registry.store.interface import Store, StoredVerdict
from daxa_registry.store.leak_interface import StoredLeak

from .acts import ActKind, record_act
from .cases import cases
from .leak_told import acted_upon, subjects_of, told_by_leak
from .matching import Matcher
from .replay import member_of, told_verdict
from .reports import receipts

_KIND = "incident"
MAX_TITLE, MAX_OUTCOME = 100, 200
MAX_VERDICTS = 20_000
"""Verdicts that may be linked, and keys whose verdicts are read; how many more there are is told."""
_PART = 500


class IncidentClass(IntEnum):
    """What it was. The numbers are those of the wire."""

    CREDENTIAL_COMPROMISE = 1
    LENT_CREDENTIALS = 2
    MANIPULATION = 3


@dataclass(frozen=True, slots=True)
class Incident:
    """``leaks`` are numbers, ``verdicts`` (member's name, sequence), ``letters`` (member's name, letter); times in seconds, 0 and
    empty while it is open."""

    number: int
    title: str
    kind: IncidentClass
    opened_at: int
    opened_by: str
    leaks: tuple[int, ...] = ()
    verdicts: tuple[tuple[str, int], ...] = ()
    closed_at: int = 0
    closed_by: str = ""
    outcome: str = ""
    letters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentVerdict:
    """What the exchange of one key was told, how its verdict stands, and what the exchange reported since: (act, when).

    ``told_at`` is when it was told first, of what this incident is about; ``told`` the highest level since then.
    ``corrected_at``: when that was last judged false, 0 for never. ``letter`` is what the member is called for others.
    """

    member: str
    sequence: int
    level: Level
    cause: Cause
    decided_at: int
    reasons: tuple[str, ...]
    acts: tuple[tuple[Act, int], ...]
    told_at: int
    told: Level
    corrected_at: int
    letter: str


class Incidents:
    """One registry's incidents."""

    def __init__(self, store: Store, matcher: Matcher, clock: Callable[[], int]) -> None:
        self._store = store
        self._matcher = matcher
        self._clock = clock

    def open(self, operator: str, title: str, kind: IncidentClass, dry_run: bool) -> Incident:
        """A new one."""
        check_text("title", title, MAX_TITLE)
        with self._store.transaction():
            number = int(self._store.document("counter", _KIND) or 0) + 1
            made = Incident(number, title, kind, self._clock(), operator)
            if not dry_run:
                self._store.write_document("counter", _KIND, str(number), replace=True)
                self._keep(made)
                detail = {"incident": number, "title": title, "class": kind.name}
                record_act(self._store, operator, ActKind.INCIDENT_OPENED, detail, self._clock())
        return made

    def link(
        self,
        operator: str,
        number: int,
        dry_run: bool,
        *,
        leak: int = 0,
        case: int = 0,
        verdict: tuple[str, int] | None = None,
    ) -> Incident:
        """With a leak, with the verdicts of a case as they stand now, or with one verdict."""
        if bool(leak) + bool(case) + bool(verdict) != 1:
            raise InvalidInput(ErrorCode.INVALID_VALUE, "link", "a leak, a case or a verdict")
        self._open(number)
        leaks, more, what = self._linked(leak, case, verdict)
        with self._store.transaction():  # with what another operator linked or closed meanwhile
            found = self._open(number)
            linked = replace(
                found,
                leaks=tuple(sorted({*found.leaks, *leaks})),
                verdicts=tuple(sorted({*found.verdicts, *more})),
            )
            if len(linked.verdicts) > MAX_VERDICTS:
                raise InvalidInput(ErrorCode.TOO_MANY_ITEMS, "link", f"at most {MAX_VERDICTS} verdicts")
            if not dry_run and linked != found:
                self._keep(linked)
                record_act(self._store, operator, ActKind.INCIDENT_LINKED, {"incident": number} | what, self._clock())
        return linked

    def _linked(
        self, leak: int, case: int, verdict: tuple[str, int] | None
    ) -> tuple[list[int], list[tuple[str, int]], dict[str, object]]:
        """The leaks and verdicts that are to be linked, and what the log says of them."""
        if leak:
            if leak not in {one.number for one in self._store.leaks()}:
                raise Refused(ErrorCode.NOT_FOUND, "leak", "the number of a leak")
            return [leak], [], {"leak": leak}
        if verdict is not None:
            member, sequence = verdict
            if self._store.verdict(member_of(self._store, member), sequence) is None:
                raise Refused(ErrorCode.NOT_FOUND, "sequence", "one that the member's verdicts have")
            return [], [verdict], {"verdict": f"{member}:{sequence}"}
        [view] = cases(self._store, self._matcher, self._clock(), case)
        more = [(part.member, part.sequence) for part in view.parts if part.sequence]
        return [], more, {"case": case, "verdicts": [f"{member}:{sequence}" for member, sequence in more]}

    def close(self, operator: str, number: int, outcome: str, dry_run: bool) -> Incident:
        """Says what came of it; nothing is linked to it any more."""
        if dry_run:
            return self._open(number)
        check_text("outcome", outcome, MAX_OUTCOME)
        with self._store.transaction():
            found = self._open(number)
            closed = replace(found, closed_at=self._clock(), closed_by=operator, outcome=outcome)
            self._keep(closed)
            detail = {"incident": number, "outcome": outcome}
            record_act(self._store, operator, ActKind.INCIDENT_CLOSED, detail, self._clock())
        return closed

    def listed(self) -> list[Incident]:
        """Every incident, the newest first."""
        out: list[Incident] = []
        while page := self._store.documents(_KIND, _name(out[-1].number) if out else "", 1_000):
            out += [_read(text) for _, text in page]
        return out[::-1]

    def whole(self, number: int) -> tuple[Incident, list[StoredLeak], list[IncidentVerdict], int]:
        """One, with its leaks, with what was told and done, and of how many keys more nothing is said here.

        Of a leak that was withdrawn too. A letter that a member has none of yet is drawn and kept.
        """
        found = self._find(number)
        leaks = [leak for leak in self._store.leaks() if leak.number in found.leaks]
        linked = self._linked_places(found)
        since: dict[int, int] = {}
        for leak in leaks:
            for subject in subjects_of(self._store, leak.number):
                since[subject] = min(since.get(subject, leak.loaded_at), leak.loaded_at)
        wanted = dict.fromkeys(linked)
        for part in _parts(sorted(since)):
            with self._store.transaction():
                wanted |= dict.fromkeys(sorted(self._store.sequences(part)))
        names = self._store.members()
        histories = []
        for subject in list(wanted)[:MAX_VERDICTS]:
            changes = self._store.changes(subject)
            named = linked.get(subject, ())
            places = [acted_upon(changes, place) for place, one in enumerate(changes) if one.sequence in named]
            if subject in since:
                places.append(told_by_leak(changes, since[subject]))
            histories.append(changes[min(places) :])
        found = self._lettered(found, {names[changes[0].member] for changes in histories})
        letters = dict(found.letters)
        verdicts = [self._verdict(names[one[0].member], one, letters) for one in histories]
        verdicts.sort(key=lambda one: (one.told_at, one.member, one.sequence))
        return found, leaks, verdicts, max(len(wanted) - MAX_VERDICTS, 0)

    def members(self) -> list[str]:
        """Every member's name: what goes out to others has none of them in it."""
        return sorted(self._store.members().values())

    def _linked_places(self, found: Incident) -> dict[int, set[int]]:
        """By subject, the sequences of the verdicts that are linked."""
        numbers = {name: member for member, name in self._store.members().items()}
        linked: dict[int, set[int]] = {}
        for name, sequence in found.verdicts:
            stored = self._store.verdict(numbers[name], sequence)
            assert stored is not None, "what is linked is kept"
            linked.setdefault(stored.subject, set()).add(sequence)
        return linked

    def _lettered(self, found: Incident, members: set[str]) -> Incident:
        """With a letter for each of those members."""
        if members <= dict(found.letters).keys():
            return found
        with self._store.transaction():  # another reader may have drawn them meanwhile
            found = self._find(found.number)
            letters = dict(found.letters)
            rounds = 1 + (len(letters) + len(members)) // len(ascii_uppercase)
            free = {f"{letter}{turn or ''}" for turn in range(rounds) for letter in ascii_uppercase}
            free -= {*letters.values()}
            for member in sorted(members - letters.keys()):
                letters[member] = secrets.choice(sorted(free))
                free.remove(letters[member])
            found = replace(found, letters=tuple(sorted(letters.items())))
            self._keep(found)
        return found

    def _verdict(self, name: str, changes: Sequence[StoredVerdict], letters: Mapping[str, str]) -> IncidentVerdict:
        """Of the changes of one key's verdict from the one on that told of it."""
        told = [told_verdict(one) for one in changes]
        acts = receipts(self._store, changes[0].subject)
        return IncidentVerdict(
            name,
            told[-1].sequence,
            told[-1].level,
            told[-1].cause,
            told[-1].decided_at,
            tuple(dict.fromkeys(reason.code for one in told for reason in one.reasons)),
            tuple((act, at) for sequence, act, at in acts if sequence >= told[0].sequence),
            told[0].decided_at,
            max(one.level for one in told),
            max((one.decided_at for one in told if one.cause is Cause.CORRECTED), default=0),
            letters[name],
        )

    def _find(self, number: int) -> Incident:
        text = self._store.document(_KIND, _name(number))
        if text is None:
            raise Refused(ErrorCode.NOT_FOUND, "number", "the number of an incident")
        return _read(text)

    def _open(self, number: int) -> Incident:
        found = self._find(number)
        if found.closed_at:
            raise Refused(ErrorCode.ALREADY_ANSWERED, "number", "an incident that is open")
        return found

    def _keep(self, one: Incident) -> None:
        text = json.dumps(asdict(one), separators=(",", ":"))
        self._store.write_document(_KIND, _name(one.number), text, replace=True)


def _parts(values: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(values), _PART):
        yield values[start : start + _PART]


def _name(number: int) -> str:
    return f"{number:012d}"


def _read(text: str) -> Incident:
    table = json.loads(text)
    pairs: Iterable[list[object]] = table.pop("verdicts")
    verdicts = tuple((str(member), int(str(sequence))) for member, sequence in pairs)
    letters = tuple((member, letter) for member, letter in table.pop("letters", ()))  # none in one of an older version
    kind, leaks = IncidentClass(table.pop("kind")), tuple(table.pop("leaks"))
    return Incident(**table, kind=kind, leaks=leaks, verdicts=verdicts, letters=letters)

"""Leaks: opened, filled and committed by whoever loads them, judged by operators; and what that changes, decided at once.

A leak counts from its commit on, whole; until then nothing of it does. What a commit, a judgement or a withdrawal changes is
decided in parts, so that intake waits for none of it long; how far it has come stands in the store, and the sweep goes on with
what a restart interrupted. Refused: another's leak and one that there is not (NOT_FOUND), keys for one that is committed
(LEAK_CLOSED), the same keys by the same reporter again (LEAK_KNOWN), a judgement that changes nothing (ALREADY_ANSWERED), a
member's leak beside too many of its own (QUOTA_EXHAUSTED), its withdrawal where an operator verified it (PERMISSION_DENIED). A
commit or a withdrawal that is asked for again, because its answer was lost, is answered as it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3

from daxa_core.errors import DaxaError, ErrorCode, InvalidInput, Refused
from daxa_core.leaks import LEAK_ID_BYTES, MAX_LEAKED, MAX_LEAKED_PER_CALL, Confidence, Leak, LeakState, check
from daxa_core.model import FINGERPRINT_BYTES
from daxa_core.public_text import check_text
from daxa_registry.decision.leaked import OPERATORS
from daxa_registry.store.interface import CheckElements, Store
from daxa_registry.store.leak_interface import StoredLeak

from . import inventories
from .acts import ActKind, record_act
from .appeals import MAX_REASON
from .leak_told import keep_told
from .log import append_event
from .matching import Matcher

LOG = logging.getLogger("daxa_registry.service")
PART = 400
MAX_LOADING = 8
"""How many leaks of one reporter may be loading at once."""
MAX_IN_FORCE = 100
"""How many leaks of one member may be in force at once: five members leave room for operators' among the sets that are listed."""
ABANDONED_SECONDS = 7 * 86_400
"""How long after its last keys a leak that is loading is forgotten."""
PATIENCE_SECONDS = 2.0
"""How long others' work waits for a notice before it goes on with a part of its own."""
_PAGE = 20_000
_SINCE = "leak_since"
"""Kept by a leak's number: when it came into force or was judged last, in seconds."""
_DROPPED = 2_000
"""Keys that are forgotten in one transaction."""
_DIGEST_CONTEXT = "daxa 2026-11 leak keys v1"
_OF_NO_KEYS = blake3(derive_key_context=_DIGEST_CONTEXT).digest()


@dataclass(frozen=True, slots=True)
class Match:
    """How many keys of a leak a member issued, and how many keys it has."""

    member: str
    leaked: int
    keys: int


class Leaks:
    """One registry's leaks. Thread-safe: what changes something waits for the store's transaction."""

    def __init__(
        self,
        store: Store,
        matcher: Matcher,
        on_verdicts: Callable[[dict[int, int]], None],
        clock: Callable[[], int],
        *,
        check_elements: CheckElements,
        on_notice: Callable[[float, int], None] = lambda seconds, verdicts: None,
        part: int = PART,
    ) -> None:
        """``on_notice`` is told, after each part of the verdicts of a commit or a verification, how long after it that was, and
        how many verdicts they were; nothing where there were none."""
        self._store = store
        self._matcher = matcher
        self._on_verdicts = on_verdicts
        self._clock = clock
        self._check_elements = check_elements
        self._on_notice = on_notice
        self._part = part
        self._applying = threading.RLock()
        self._stopped = False
        self._since: dict[int, tuple[int, float]] = {}
        self._forgotten: set[int] = set()

    def stop(self) -> None:
        """What is under way goes on after a restart."""
        self._stopped = True

    # loading

    def open(self, reporter: int, leak_id: bytes, leak: Leak) -> StoredLeak:
        """Begins a leak, or answers the one of that id as far as it has come."""
        now = self._clock()
        if len(leak_id) != LEAK_ID_BYTES:
            raise InvalidInput(ErrorCode.INVALID_LENGTH, "leak_id", f"{LEAK_ID_BYTES} bytes, got {len(leak_id)}")
        check(leak, now)
        with self._store.transaction():
            known = self._store.leak(leak_id)
            if known is not None:
                if (known.reporter, Leak(known.name, known.source, known.found_at, known.tlp)) != (reporter, leak):
                    raise InvalidInput(ErrorCode.ID_REUSED, "leak_id", "an id that was not used for another leak")
                return known
            if self._check_room(reporter) >= MAX_LOADING:
                raise Refused(ErrorCode.OVERLOADED, "leak_id", f"at most {MAX_LOADING} leaks that are loading")
            return self._store.open_leak(
                StoredLeak(0, leak_id, reporter, leak.name, leak.source, leak.found_at, leak.tlp, now)
            )

    def add(self, reporter: int, leak_id: bytes, fingerprints: Sequence[bytes]) -> int:
        """Adds keys; how many the leak has then. All of them or, where one is wrong, none."""
        if not 1 <= len(fingerprints) <= MAX_LEAKED_PER_CALL:
            code = ErrorCode.TOO_MANY_ITEMS if fingerprints else ErrorCode.EMPTY_BATCH
            raise InvalidInput(code, "fingerprints", f"1 to {MAX_LEAKED_PER_CALL}, got {len(fingerprints)}")
        for index, fingerprint in enumerate(fingerprints):
            if len(fingerprint) != FINGERPRINT_BYTES:
                wanted = f"{FINGERPRINT_BYTES} bytes, got {len(fingerprint)}"
                raise InvalidInput(ErrorCode.INVALID_LENGTH, f"fingerprints[{index}]", wanted)
        bad = self._check_elements(fingerprints)
        for index, fingerprint in enumerate(fingerprints):
            if (error := bad.get(fingerprint)) is not None:
                raise type(error)(error.code, f"fingerprints[{index}]", error.expected)
        with self._store.transaction():
            leak = self._loading(reporter, leak_id)
            if leak.keys + len(fingerprints) > MAX_LEAKED:
                raise InvalidInput(ErrorCode.TOO_MANY_ITEMS, "fingerprints", f"at most {MAX_LEAKED} keys in a leak")
            keys = leak.keys + self._store.add_leaked(leak.number, fingerprints)
            self._store.save_leak(replace(leak, keys=keys, loaded_at=self._clock()))
        return keys

    def commit(self, reporter: int, leak_id: bytes, operator: str = "") -> tuple[StoredLeak, tuple[Match, ...]]:
        """Brings a leak into force and tells the issuers of its keys. ``operator``: who acts, where it is one."""
        known = self._find(reporter, leak_id)
        if known.state is LeakState.LOADING:
            digest = self._digest(known.number)
            self._store.prepare_leak(known.number, digest)
            with self._store.transaction():
                leak = self._find(reporter, leak_id)  # committed meanwhile, where it is asked for twice
                if leak.keys != known.keys:
                    raise Refused(
                        ErrorCode.UNAVAILABLE, "leak", "no keys that come in beside its commit", retry_after=1.0
                    )
                known = self._committed(leak, digest, operator) if leak.state is LeakState.LOADING else leak
        if known.state is LeakState.WITHDRAWN:
            self._drop(known.number)
            raise self._refusal(known)
        self.apply()
        return known, self.matches(known.number, reporter)

    def _committed(self, leak: StoredLeak, digest: bytes, operator: str) -> StoredLeak:
        """In force, or withdrawn where it has no keys or another's; as it is kept."""
        if leak.keys and self._twin(leak, digest) is None:
            self._check_room(leak.reporter)
            kept = replace(leak, state=LeakState.IN_FORCE, digest=digest, loaded_at=self._clock(), applied=0)
            self._note(operator, ActKind.LEAK_LOADED, kept)
            self._begin(kept)
        else:
            kept = replace(leak, state=LeakState.WITHDRAWN, digest=digest, keys=0, loaded_at=0)
        self._store.save_leak(kept)
        return kept

    def _refusal(self, leak: StoredLeak) -> DaxaError:
        """Why a withdrawn leak is not in force: the same each time its commit is asked for."""
        if leak.digest and not leak.loaded_at:  # it never was
            if leak.digest == _OF_NO_KEYS:
                return InvalidInput(ErrorCode.EMPTY_BATCH, "leak", "one key or more")
            twin = self._twin(leak, leak.digest)
            if twin is not None:
                return Refused(ErrorCode.LEAK_KNOWN, "leak", f"keys that are not exactly those of L{twin.number}")
        return Refused(ErrorCode.LEAK_CLOSED, "leak", "one that was not withdrawn")

    # judging

    def listed(self, reporter: int | None = None) -> list[StoredLeak]:
        """Every leak, or one reporter's, the newest first."""
        return [one for one in reversed(self._store.leaks()) if reporter is None or one.reporter == reporter]

    def judge(
        self,
        number: int,
        confidence: Confidence | None,
        operator: str,
        reason: str,
        dry_run: bool,
        member: int | None = None,
    ) -> tuple[StoredLeak, tuple[Match, ...]]:
        """Gives a leak that confidence, or (None) withdraws it. ``member``: whose report it has to be, where a member asks."""
        reader = OPERATORS if member is None else member
        leak, changes = self._judgeable(number, confidence, member)
        if dry_run or not changes:
            return leak, self.matches(number, reader)
        if member is None:
            check_text("reason", reason, MAX_REASON)
        with self._store.transaction():
            leak, changes = self._judgeable(number, confidence, member)  # somebody else may have judged it meanwhile
            if changes:
                leak = self._judged(leak, confidence, "" if member is not None else operator, reason)
        self.apply()
        matches = self.matches(number, reader)  # issuers come first, and of forgotten keys nothing can be counted
        self._drop(number)
        return leak, matches

    def _judgeable(self, number: int, confidence: Confidence | None, member: int | None) -> tuple[StoredLeak, bool]:
        """The leak, and whether the judgement changes it: a withdrawal that is asked for again, or by two at once, does not."""
        leak = self._numbered(number)
        if leak is None or (member is not None and leak.reporter != member):
            raise Refused(ErrorCode.NOT_FOUND, "number", "the number of a leak")
        if member is not None and confidence is not None:
            raise Refused(ErrorCode.PERMISSION_DENIED, "judgement", "WITHDRAWN: operators verify")
        if confidence is None and leak.state is LeakState.WITHDRAWN:
            return leak, False
        if member is not None and leak.confidence is Confidence.VERIFIED:
            raise Refused(ErrorCode.PERMISSION_DENIED, "number", "a report that no operator has verified: ask them")
        if leak.state is LeakState.WITHDRAWN or (leak.state is LeakState.LOADING and confidence is not None):
            raise Refused(ErrorCode.LEAK_CLOSED, "number", "a leak in force, or one to withdraw")
        if confidence is leak.confidence:
            raise Refused(ErrorCode.ALREADY_ANSWERED, "judgement", f"another than {leak.confidence.name}")
        return leak, True

    def _judged(self, leak: StoredLeak, confidence: Confidence | None, operator: str, reason: str) -> StoredLeak:
        """Inside a transaction."""
        if confidence is None:
            loading = leak.state is LeakState.LOADING
            if leak.applied is not None and leak.was_verified():  # a doubt that is not decided everywhere yet
                leak = replace(leak, confidence=Confidence.VERIFIED)
            leak = replace(leak, state=LeakState.WITHDRAWN, applied=None if loading else 0, lowering=True)
            kind = ActKind.LEAK_WITHDRAWN
        else:
            leak = replace(leak, confidence=confidence, applied=0, lowering=confidence is Confidence.UNVERIFIED)
            kind = ActKind.LEAK_VERIFIED if confidence is Confidence.VERIFIED else ActKind.LEAK_DOUBTED
        self._store.save_leak(leak)
        self._note(operator, kind, leak, reason)
        self._begin(leak)
        return leak

    def matches(self, number: int, reader: int) -> tuple[Match, ...]:
        """By member: how many of the leak's keys it issued. A member is told its own number alone."""
        names = self._store.members()
        found = self._store.leak_matches(number)
        return tuple(
            Match(names[member], leaked, keys)
            for member, (leaked, keys) in sorted(found.items())
            if reader in (OPERATORS, member)
        )

    # deciding what that changes

    def apply(self) -> int:
        """Decides everything that leaks have changed and that was not decided yet; how many subjects were looked at."""
        looked = 0
        with self._applying:
            for leak in self._store.leaks():
                if leak.applied is not None:
                    looked += self._apply(leak)
        return looked

    def give_way(self) -> None:
        """Returns once nobody is being told of a leak, after PATIENCE_SECONDS at most: for what would hold up issuers."""
        if self._applying.acquire(timeout=PATIENCE_SECONDS):
            self._applying.release()

    def _apply(self, leak: StoredLeak) -> int:
        assert leak.applied is not None
        began, told = self._began(leak), 0
        subjects = self._store.leaked_subjects(leak.number, leak.applied)
        for start in range(0, len(subjects), self._part):
            if self._stopped:
                return start
            part = subjects[start : start + self._part]
            with self._store.transaction():
                if not self._goes_on(leak):
                    return start  # judged anew meanwhile: whoever did decides it all again
                now = self._clock()
                if leak.state is LeakState.WITHDRAWN:
                    keep_told(self._store, leak.number, part)
                if leak.lowering:
                    heads = self._matcher.decide(part, now)
                else:
                    before = self._matcher.told
                    heads = self._matcher.notice(part, now)
                    told = self._matcher.told - before
                self._store.save_leak(replace(leak, applied=part[-1]))
            if heads:
                self._on_verdicts(heads)
                if leak.state is LeakState.IN_FORCE and not leak.lowering:
                    self._on_notice(time.monotonic() - began, told)
        if leak.state is LeakState.IN_FORCE and not leak.lowering:
            inventories.note(self._store, leak.number)
        with self._store.transaction():
            if not self._goes_on(leak):
                return len(subjects)
            self._store.save_leak(replace(leak, applied=None, lowering=False))
        self._since.pop(leak.number, None)
        return len(subjects)

    def _begin(self, leak: StoredLeak) -> None:
        """What is told of it from now on is measured from now; also after a restart and at another node. Inside a transaction."""
        now = self._clock()
        self._store.write_document(_SINCE, str(leak.number), str(now), replace=True)
        self._since[leak.number] = now, time.monotonic()

    def _began(self, leak: StoredLeak) -> float:
        """When, by the monotonic clock, what is told now was committed or judged; to the second, where another process did it."""
        kept = int(self._store.document(_SINCE, str(leak.number)) or leak.loaded_at)
        at, began = self._since.get(leak.number, (0, 0.0))
        return began if at == kept else time.monotonic() - max(self._clock() - kept, 0)

    def sweep(self) -> None:
        """Goes on with what was interrupted, and forgets leaks that nobody has finished loading and keys of withdrawn ones. Told
        once a failure."""
        try:
            self.apply()
            for leak in self._store.leaks():
                if self._is_abandoned(leak):
                    with self._store.transaction():
                        found = self._numbered(leak.number)  # whoever loads it may have gone on meanwhile
                        if found is not None and self._is_abandoned(found):
                            self._store.save_leak(replace(found, state=LeakState.WITHDRAWN, keys=0))
            for leak in self._store.leaks():
                if leak.state is LeakState.WITHDRAWN and leak.number not in self._forgotten:
                    self._drop(leak.number)
        except DaxaError as error:
            LOG.error("what leaks changed could not be decided and is tried again: %s", error)

    # within

    def _is_abandoned(self, leak: StoredLeak) -> bool:
        last = max(leak.opened_at, leak.loaded_at)
        return leak.state is LeakState.LOADING and self._clock() - last > ABANDONED_SECONDS

    def _check_room(self, reporter: int) -> int:
        """How many leaks of that reporter are loading; whether there may be one more in force. Inside a transaction."""
        states = Counter(one.state for one in self._store.leaks() if one.reporter == reporter)
        if reporter != OPERATORS and states[LeakState.IN_FORCE] >= MAX_IN_FORCE:
            wanted = f"at most {MAX_IN_FORCE} leaks of a member in force: withdraw one"
            raise Refused(ErrorCode.QUOTA_EXHAUSTED, "leak", wanted, retry_after=3_600.0)
        return states[LeakState.LOADING]

    def _numbered(self, number: int) -> StoredLeak | None:
        return next((one for one in self._store.leaks() if one.number == number), None)

    def _goes_on(self, leak: StoredLeak) -> bool:
        """Whether the leak is as it was when it was begun to be applied, but for how far that is."""
        found = self._numbered(leak.number)
        return found is not None and found.applied is not None and replace(found, applied=leak.applied) == leak

    def _find(self, reporter: int, leak_id: bytes) -> StoredLeak:
        leak = self._store.leak(leak_id)
        if leak is None or leak.reporter != reporter:
            raise Refused(ErrorCode.NOT_FOUND, "leak_id", "the id of a leak that the caller has opened")
        return leak

    def _loading(self, reporter: int, leak_id: bytes) -> StoredLeak:
        leak = self._find(reporter, leak_id)
        if leak.state is not LeakState.LOADING:
            raise Refused(ErrorCode.LEAK_CLOSED, "leak_id", "the id of a leak that is loading")
        return leak

    def _twin(self, leak: StoredLeak, digest: bytes) -> StoredLeak | None:
        """The leak in force of the same reporter with the same keys."""
        same = (leak.reporter, digest, LeakState.IN_FORCE)
        return next((one for one in self._store.leaks() if (one.reporter, one.digest, one.state) == same), None)

    def _digest(self, number: int) -> bytes:
        hasher = blake3(derive_key_context=_DIGEST_CONTEXT)
        after = b""
        while page := self._store.leaked(number, after, _PAGE):
            hasher.update(b"".join(page))
            after = page[-1]
        return hasher.digest()

    def _drop(self, number: int) -> None:
        """A withdrawn leak's keys are forgotten, once nothing is left to decide of them; in parts, as far as it comes."""
        while not self._stopped:
            with self._store.transaction():
                leak = self._numbered(number)
                if leak is None or leak.state is not LeakState.WITHDRAWN or leak.applied is not None:
                    return
                if not self._store.drop_leaked(number, _DROPPED):
                    self._forgotten.add(number)
                    return

    def _note(self, operator: str, kind: ActKind, leak: StoredLeak, reason: str = "") -> None:
        detail = {
            "leak": leak.number, "name": leak.name, "source": leak.source, "keys": leak.keys, "tlp": leak.tlp.name,
            "digest": leak.digest.hex(), "reporter": leak.reporter,
        }  # fmt: skip
        if operator:
            record_act(self._store, operator, kind, detail | ({"reason": reason} if reason else {}), self._clock())
        else:
            append_event(self._store, f"member-{kind}", detail, self._clock())

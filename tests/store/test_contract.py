"""The store's contract, run on every store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from daxa_core.errors import CryptoError, DaxaError, ErrorCode
from daxa_core.model import Act, Kind, Level, Manner, Refusal
from daxa_registry.decision.ladder import START, State
from daxa_registry.store.interface import Store, StoredBatch, StoredVerdict
from sightings import Open, fine, fp, seen, stirring


def test_what_a_transaction_wrote_is_there_after_reopening(reopen: Open) -> None:
    """Presences, hours and counts come back as they were; known edges add up, a known hour is one hour."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        store.absorb(member, [seen("k", "a", 1_000, count=2), seen("k", "a", 1_003), seen("k", "a", 1_000)], fine)
    store = reopen()
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen("k", "a", 998, count=5)], fine)
        [subject] = store.all_subjects()
        [neighbourhood] = store.neighbourhoods([subject])
    [presence] = neighbourhood.own
    assert (presence.first, presence.hours, presence.count) == (998, 0b100101, 9)
    assert neighbourhood.subject.addresses == 1
    assert neighbourhood.subject.hours == 3


def test_a_transaction_that_fails_leaves_nothing(reopen: Open) -> None:
    """Not in the file, and not in what the writer remembers: the same sighting afterwards is new."""
    store = reopen()
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
        store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
        raise RuntimeError
    assert store.counts()["presence"] == 0
    with store.transaction():
        member = store.member_id("upbit")
        absorbed = store.absorb(member, [seen("k", "a")], fine)
    assert len(absorbed.moved) == 1
    assert tuple(store.counts()[name] for name in ("presence", "subject", "node_KEY")) == (1, 1, 1)


def test_an_element_is_checked_before_it_is_stored_and_refuses_its_item_alone(reopen: Open) -> None:
    """The item is told by index and field, nothing of it is stored, and the others are."""

    def check(candidates: Sequence[bytes]) -> Mapping[bytes, DaxaError]:
        bad = CryptoError(ErrorCode.INVALID_ELEMENT, "element", "an element")
        return {fp("bad"): bad} if fp("bad") in candidates else {}

    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        absorbed = store.absorb(member, [seen("k", "a"), seen("k2", "bad"), seen("k3", "a")], check)
    assert [(r.index, r.code, r.field) for r in absorbed.refusals] == [(1, "INVALID_ELEMENT", "address")]
    assert absorbed.subjects[1] is None
    assert store.counts()["node_KEY"] == 2


def test_a_repeat_moves_nobody_and_a_new_hour_moves_its_subject(reopen: Open) -> None:
    """Only what changes evidence is decided again."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        assert store.absorb(member, [seen("k", "a")], fine).moved
        assert not store.absorb(member, [seen("k", "a")], fine).moved
        assert len(store.absorb(member, [seen("k", "a", 1_001)], fine).moved) == 1


def test_a_place_grows_by_steps_and_past_the_hub_size_nobody_is_visited(reopen: Open) -> None:
    """Who comes once has met nobody; who stays makes the place grow at a step; a hub's subjects are not handed out, and a hub
    shows same devices alone."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")

        def grown(hour: int) -> list[bool]:
            each = ([seen(f"k{i}", "a", hour, device=f"d{i % 2}")] for i in range(7))
            return [bool(store.absorb(member, one, fine).grown) for one in each]

        assert grown(1_000) == [False] * 7
        assert grown(1_001) == [False, True, True, True, True, True, False]
        assert grown(1_002) == [False] * 7
        [address] = {p.address for p in next(store.neighbourhoods([1])).own}
        assert len(store.subjects_on([address])) == 7
        store.absorb(member, [seen(f"k{i}", "a", device=f"d{i % 2}") for i in range(7, 12)], fine)
        assert store.subjects_on([address]) == frozenset()
        [neighbourhood] = store.neighbourhoods([1])
    place = neighbourhood.places[address]
    assert place.crowded
    assert place.subjects == 12
    assert {p.device for p in place.presences} == {neighbourhood.own[0].device}
    assert place.by_member == ((1, 12),)


def test_on_a_hub_no_members_crowd_hides_anothers_subjects(reopen: Open) -> None:
    """Each member has its share: all where they are few, the first with the subject's device where they are many."""
    store = reopen()
    with store.transaction():
        crowd, few, many = (store.member_id(name) for name in ("upbit", "bithumb", "coinone"))
        store.absorb(crowd, [seen(f"c{n}", "a", device="d") for n in range(30)], fine)
        few_there = store.absorb(few, [seen("f0", "a", device="d"), seen("f1", "a", device="e")], fine).subjects
        many_there = store.absorb(many, [seen(f"m{n}", "a", device="de"[n % 2]) for n in range(8)], fine).subjects
        places = [next(iter(n.places.values())) for n in store.neighbourhoods([few_there[0] or 0, few_there[1] or 0])]
    assert [place.by_member for place in places] == [((crowd, 30), (few, 2), (many, 8))] * 2
    for place, shown in zip(places, (many_there[0::2], many_there[1::2]), strict=True):
        by_member = [sorted({p.subject.id for p in place.presences if p.subject.member == m}) for m in (few, many)]
        assert by_member == [list(few_there), list(shown[:2])]
        assert sum(p.subject.member == crowd for p in place.presences) <= 2


def test_what_looks_at_what_the_writer_remembers_is_refused_outside_its_transaction(reopen: Open) -> None:
    """On this thread when no transaction is open, and on another while one is: it would see what may never have been."""
    store = reopen()
    with store.transaction():
        store.absorb(store.member_id("upbit"), [seen("k", "a")], fine)
    asks = (store.glances, store.subjects_on, store.neighbourhoods, lambda _: store.population())
    for ask in asks:
        with pytest.raises(AssertionError, match="inside a transaction only"):
            ask([1])
    with store.transaction(), ThreadPoolExecutor(1) as pool:
        for ask in asks:
            with pytest.raises(AssertionError, match="inside a transaction only"):
                pool.submit(ask, [1]).result(60)
            ask([1])


def test_fingerprints_that_begin_alike_are_told_apart(reopen: Open) -> None:
    """Keys, addresses and what operators declare, whichever was first; one that is not there is not found."""
    one, other, none = ("the same head " + end for end in ("1", "2", "3"))
    for _ in range(2):
        store = reopen()
        with store.transaction():
            member = store.member_id("upbit")
            store.absorb(member, [seen(one, one), seen(other, other), seen(other, one)], fine)
            declared = store.infrastructure(Kind.ADDRESS, fp(other), "bots", 500)
    assert tuple(store.counts()[f"node_{kind}"] for kind in ("KEY", "ADDRESS")) == (2, 2)
    assert store.node(Kind.ADDRESS, fp(other)) == declared != store.node(Kind.ADDRESS, fp(one))
    assert (store.node(Kind.ADDRESS, fp(none)), store.standing_of(member, fp(none))) == (None, None)
    with store.transaction():
        subjects = [standing.subject for name in (one, other) if (standing := store.standing_of(member, fp(name)))]
        for number, subject in enumerate(subjects, 1):
            body = b"body %d" % number
            store.append_verdict(StoredVerdict(subject, member, number, Level.WARN, 50, body, b"evidence"))
        neighbourhoods = {n.subject.id: n for n in store.neighbourhoods(subjects)}
    assert [neighbourhoods[subject].subject.addresses for subject in subjects] == [1, 2]
    assert store.current_verdicts(member, [fp(none), fp(other)]) == {fp(other): b"body 2"}
    with store.transaction():
        assert store.withdraw(member, fp(none), 0, 2_000)[0] == 0
        assert store.withdraw(member, fp(other), 0, 2_000)[0] == 2
    assert store.node(Kind.KEY, fp(one))


def test_the_same_key_at_another_member_is_seen_elsewhere(reopen: Open) -> None:
    """A key that is presented at the wrong exchange moves its subject at the right one."""
    store = reopen()
    with store.transaction():
        upbit, gopax = store.member_id("upbit"), store.member_id("gopax")
        [own] = store.absorb(upbit, [seen("k", "a", account=b"x" * 16)], fine).moved
        moved = store.absorb(gopax, [seen("k", "b", manner=Manner.REJECTED)], fine).moved
        assert own in moved
        [neighbourhood] = store.neighbourhoods([own])
    assert [p.manner for p in neighbourhood.elsewhere] == [Manner.REJECTED]
    assert neighbourhood.subject.account == b"x" * 16


def test_a_glance_tells_who_was_in_company_who_failed_and_who_was_told(reopen: Open) -> None:
    """Who is alone is told from two who stay, from a key that failed where it is used, and from one that has a verdict; one of
    whom nothing is at hand is passed over."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        stay = [seen(key, "b", hour) for key in ("x", "y") for hour in (1_000, 1_001)]
        taken = store.absorb(member, [seen("k", "a"), seen("l", "c"), seen("t", "d"), *stay], fine).subjects
        store.absorb(member, [seen("l", "c", manner=Manner.REJECTED)], fine)
        alone, failed, told, one, other = (taken[place] or 0 for place in (0, 1, 2, 3, 5))
        store.append_verdict(StoredVerdict(told, member, 1, Level.WARN, 5, b"", b""))
        glances = {glance.subject: glance for glance in store.glances([alone, failed, told, one, other, 99])}
    said = {subject: (glance.company, glance.refused, glance.told) for subject, glance in glances.items()}
    assert said == {
        alone: (False, False, False), failed: (False, True, False), told: (False, False, True),
        one: (True, False, False), other: (True, False, False),
    }  # fmt: skip


def test_batches_are_remembered_whole_and_dropped_by_age(reopen: Open) -> None:
    """What was answered comes back as it was; a second batch of that id fails; old ones go, the newest stay."""
    store = reopen()
    batch = StoredBatch(b"d" * 32, 3, (Refusal(1, "X", "f", "e"),), (4, 7))
    with store.transaction():
        member = store.member_id("upbit")
        store.save_batch(member, b"i" * 16, batch, 100)
        store.save_batch(member, b"j" * 16, batch, 200)
        assert store.find_batch(member, b"i" * 16) == batch
        assert store.find_batch(member + 1, b"i" * 16) is None
    with pytest.raises(DaxaError), store.transaction():
        store.save_batch(member, b"i" * 16, batch, 300)
    with store.transaction():
        assert store.drop_batches(150, 10) == 1
        assert store.find_batch(member, b"j" * 16) == batch


def test_verdicts_come_in_sequence_by_member(reopen: Open) -> None:
    """A sequence has no gaps, the newest is the subject's current one, and reading goes on from any cursor."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        for n in (1, 2, 3):
            store.append_verdict(StoredVerdict(subject, member, n, Level(n), 50 + n, b"body%d" % n, b"evidence"))
        [silent] = store.absorb(member, [seen("l", "b")], fine).moved
        assert store.sequences([subject, silent]) == {subject: 3}
    with pytest.raises(AssertionError), store.transaction():
        store.append_verdict(StoredVerdict(subject, member, 5, Level.WARN, 60, b"", b""))
    assert store.head(member) == 3
    assert store.verdicts_after(member, 1, 10) == [(2, b"body2"), (3, b"body3")]
    assert store.verdicts_after(member, 0, 1) == [(1, b"body1")]
    assert store.current_verdicts(member, [fp("k"), fp("other")]) == {fp("k"): b"body3"}
    assert store.verdicts_at(member, [3, 1]) == [b"body3", b"body1"]
    assert store.verdict(member, 2**64 - 1) is None
    assert (Level(3), 3) == (store.standings([subject])[subject].level, store.standings([subject])[subject].sequence)
    assert reopen().sequences([subject, silent, 99]) == {subject: 3}


def test_the_newest_verdicts_at_a_sequence(reopen: Open) -> None:
    """Of a span, those that no later one up to the sequence replaces; as it stood then, not as it stands now."""
    store = reopen()
    with store.transaction():
        member, other = store.member_id("upbit"), store.member_id("bithumb")
        one, two = sorted(store.absorb(member, [seen("k", "a"), seen("l", "a")], fine).moved)
        [stranger] = store.absorb(other, [seen("k", "a")], fine).moved
        for n, subject in ((1, one), (2, two), (3, one)):
            store.append_verdict(StoredVerdict(subject, member, n, Level(n), 50 + n, b"", b""))
        store.append_verdict(StoredVerdict(stranger, other, 1, Level.WARN, 60, b"", b""))
    assert store.newest_verdicts(member, 1, 9, 3) == [(2, Level(2), fp("l")), (3, Level(3), fp("k"))]
    assert store.newest_verdicts(member, 1, 9, 2) == [(1, Level(1), fp("k")), (2, Level(2), fp("l"))]
    assert store.newest_verdicts(member, 3, 9, 3) == [(3, Level(3), fp("k"))]
    assert store.newest_verdicts(member, 1, 9, 0) == []


def test_a_change_is_kept_with_all_that_it_rested_on(reopen: Open) -> None:
    """Body, evidence, the state before and what the exchange did come back by member and sequence; another's do not."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        [subject] = store.absorb(member, [seen("k", "a")], fine).moved
        kept = StoredVerdict(
            subject, member, 1, Level.WARN, 50, b"body", b"evidence", START.to_json(), Act.REVOKED, 1.5
        )
        store.append_verdict(kept)
        assert store.head(member) == 1
    store = reopen()
    assert store.verdict(member, 1) == kept
    assert store.verdict(member, 2) is None
    assert store.verdict(member + 1, 1) is None
    with store.transaction():
        second = StoredVerdict(subject, member, 2, Level.REVOKE, 60, b"body2", b"evidence")
        store.append_verdict(second)
    assert store.changes(subject) == [kept, second]
    assert store.changes(subject + 1) == []
    assert store.standing_of(member, fp("k")) == store.standings([subject])[subject]
    assert store.standing_of(member, fp("other")) is None
    assert store.standing_of(member + 1, fp("k")) is None
    assert store.members() == {member: "upbit"}


def test_states_come_back_and_are_due_in_order(reopen: Open) -> None:
    """A state is replaced, the longest due comes first, and what is never due or gone does not come."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        four = [seen(k, "a") for k in "klm"] + [seen("n", "b")]
        k, ell, m, n = (subject or 0 for subject in store.absorb(member, four, fine).subjects)
        state = State(level=Level.WARN, since=7, pardons=(1.5, 0.0, 2.0))
        store.save_ladder(k, START, 30)
        store.save_ladder(k, state, 20)
        store.save_ladder(ell, state, 10)
        store.save_ladder(m, state, 0)
        store.save_ladder(n, state, 99)
        store.save_ladder(1_000, state, 5)
    store = reopen()
    assert store.ladder([k, m, 77]) == {k: (state, 20), m: (state, 0)}
    assert store.due(20, 10) == [ell, k]
    assert store.due(20, 1) == [ell]
    assert store.due(9, 10) == []
    with store.transaction():
        [neighbourhood] = store.neighbourhoods([k])
        store.hasten(neighbourhood.own[0].address, 3)
        store.append_verdict(StoredVerdict(m, member, 1, Level.WARN, 3, b"", b""))
    assert store.due(3, 10) == [k, ell, m]
    assert store.suspects() == [m]
    assert store.suspects(neighbourhood.own[0].address) == [m]
    assert store.suspects(neighbourhood.own[0].network) == []
    assert store.node(Kind.ADDRESS, fp("a")) == neighbourhood.own[0].address
    assert store.node(Kind.DEVICE, fp("a")) is None


def test_documents_are_kept_once_unless_replaced(reopen: Open) -> None:
    """A second one of a name fails and changes nothing; listing is by kind, in the order of names, from a name on."""
    store = reopen()
    with store.transaction():
        for name in ("b", "a", "c"):
            store.write_document("kind", name, f"body {name}")
        store.write_document("other", "a", "another")
        assert store.document("kind", "a") == "body a"
    with pytest.raises(DaxaError), store.transaction():
        store.write_document("kind", "a", "changed")
    with store.transaction():
        store.write_document("kind", "c", "changed", replace=True)
    store = reopen()
    assert store.document("kind", "missing") is None
    assert store.documents("kind", "a") == [("b", "body b"), ("c", "changed")]
    assert store.documents("kind", limit=1) == [("a", "body a")]


def test_declared_infrastructure_is_listed_and_taken_back(reopen: Open) -> None:
    """A place says that it is declared, also where nobody was seen yet, until it is taken back."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        node = store.infrastructure(Kind.ADDRESS, fp("a"), "bots", 500)
        store.absorb(member, [seen("k", "a")], fine)
    store = reopen()
    [declared] = store.declared()
    assert (declared.node, declared.kind, declared.fingerprint) == (node, Kind.ADDRESS, fp("a"))
    assert (declared.name, declared.until, declared.subjects) == ("bots", 500, 1)
    with store.transaction():
        assert [p.infrastructure for p in next(store.neighbourhoods([1])).places.values()] == [True]
        assert store.infrastructure(Kind.ADDRESS, fp("a"), "bots", 0) == node
        assert [p.infrastructure for p in next(store.neighbourhoods([1])).places.values()] == [False]
    assert store.declared() == []


STIRRED = 1_000 + 3 * 24


def unusual(store: Store) -> set[int]:
    """The unusual hours as the next decision is told them."""
    with store.transaction():
        list(store.neighbourhoods([1]))
        population = store.population()
    bits = population.unusual
    return {population.unusual_first + i for i in range(bits.bit_length()) if bits >> i & 1}


MARKET = ("upbit", "bithumb")


def stir(store: Store, keys: int, members: Sequence[str] = MARKET) -> None:
    """Within a transaction: that many keys at each member in the hour in question."""
    for name in members:
        store.absorb(store.member_id(name), stirring(keys), fine)


def test_hours_in_which_the_whole_market_stirs_are_told(reopen: Open) -> None:
    """From the batch that makes an hour unusual, after reopening, until what made it so is withdrawn or becomes usual."""
    store = reopen()
    with store.transaction():
        stir(store, 70)
    assert unusual(store) == set()
    with store.transaction():
        stir(store, 90)
    assert unusual(store) == {STIRRED}
    store = reopen()
    assert unusual(store) == {STIRRED}
    with store.transaction():
        for key in range(70, 90):
            store.withdraw(store.member_id("bithumb"), fp(f"k{key}"), 0, 2**32 - 1)
    assert unusual(store) == set()
    with store.transaction():
        stir(store, 90)
        again = [seen(f"k{key}", f"a{key}", STIRRED + 24 * day) for day in (1, 2, 3, 4, 5, 6) for key in range(90)]
        for name in MARKET:
            store.absorb(store.member_id(name), again, fine)
    assert STIRRED not in unusual(store)


def test_one_member_alone_declares_no_hour_unusual_and_hides_none(reopen: Open) -> None:
    """Whatever it makes up: of three that can tell, two have to say so."""
    store = reopen()
    with store.transaction():
        stir(store, 60)
        stir(store, 900, ["coinone"])
    assert unusual(store) == set()
    with store.transaction():
        stir(store, 90)
        everywhere = [seen(f"k{key}", f"a{key}", 1_000 + 24 * day) for day in range(7) for key in range(900)]
        store.absorb(store.member_id("coinone"), everywhere, fine)
    assert unusual(store) == {STIRRED}


def test_unusual_hours_that_a_failed_transaction_brought_are_not_told(reopen: Open) -> None:
    """The counters are rolled back with the hours that they count, in the file and in memory."""
    store = reopen()
    with store.transaction():
        stir(store, 60)
    assert unusual(store) == set()
    with pytest.raises(RuntimeError), store.transaction():  # noqa: PT012
        stir(store, 90)
        raise RuntimeError
    assert unusual(store) == set()


def test_hours_that_decisions_no_longer_compare_are_not_kept(reopen: Open) -> None:
    """A few sightings from a wrong clock do not push the others out; the market's own time does."""
    store = reopen()
    with store.transaction():
        stir(store, 90)
        member = store.member_id("upbit")
        store.absorb(member, [seen("k1", "a1", 2**31, device="wrong clock")], fine)
    assert unusual(store) == {STIRRED}
    with store.transaction():
        store.absorb(member, [seen(f"k{key}", f"a{key}", 1_000 + 24 * 100) for key in range(60)], fine)
    assert unusual(store) == set()


def test_withdrawing_is_as_if_it_had_never_been_sent(reopen: Open) -> None:
    """Counters of the place and of the subject are those of what is left."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        store.absorb(member, [seen("k", "a", h) for h in (1_000, 1_001)] + [seen("k2", "a")], fine)
        changed, touched = store.withdraw(member, fp("k"), 0, 2**32 - 1)
        assert (changed, len(touched)) == (1, 2)
        [other] = store.all_subjects()
        [neighbourhood] = store.neighbourhoods([other])
        assert [place.subjects for place in neighbourhood.places.values()] == [1]
        assert store.withdraw(member, fp("k"), 0, 2**32 - 1)[0] == 0
        assert store.withdraw(member + 1, fp("k2"), 0, 2**32 - 1)[0] == 0


def test_withdrawing_hours_out_of_the_middle_leaves_the_others_and_their_part_of_the_count(reopen: Open) -> None:
    """Of the edge in memory as of the one in the database; the hours that went can come again."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        store.absorb(member, [seen("k", "a", hour, count=2) for hour in range(1_000, 1_010)], fine)
        assert store.withdraw(member, fp("k"), 1_003, 1_006)[0] == 1
        [neighbourhood] = store.neighbourhoods([1])
        [presence] = neighbourhood.own
        assert (presence.first, presence.hours, presence.count) == (1_000, 0b1110000111, 12)
        assert neighbourhood.subject.hours == 6
        assert not store.absorb(member, [seen("k", "a", 1_002)], fine).moved
        assert store.absorb(member, [seen("k", "a", 1_003)], fine).moved
    store = reopen()
    with store.transaction():
        [presence] = next(store.neighbourhoods([1])).own
    assert (presence.first, presence.hours, presence.count) == (1_000, 0b1110001111, 14)


def test_a_declaration_that_is_made_again_is_not_counted_again(reopen: Open) -> None:
    """An allow-list is sent whole each time: its count is the first one's, in whatever hour it comes."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        for hour, count in ((1_000, 3), (1_000, 5), (1_004, 7)):
            store.absorb(member, [seen("k", "a", hour, count=count, manner=Manner.DECLARED)], fine)
    store = reopen()
    with store.transaction():
        store.absorb(member, [seen("k", "a", 1_000, count=5, manner=Manner.DECLARED)], fine)
        [presence] = next(store.neighbourhoods([1])).own
    assert (presence.manner, presence.first, presence.hours, presence.count) == (Manner.DECLARED, 1_000, 0b10001, 3)


def test_what_is_too_old_leaves_in_parts_and_counters_are_of_what_is_left(reopen: Open) -> None:
    """Hours, then presences, subjects that were never told anything, their keys and addresses; a verdict's subject stays."""
    store = reopen()
    with store.transaction():
        member = store.member_id("upbit")
        old = [seen(f"k{i}", f"a{i}", 1_000) for i in range(4)]
        [told, *_] = store.absorb(
            member, [*old, seen("k1", "a1", 2_000, count=3), seen("k4", "a2", 2_000)], fine
        ).subjects
        assert told is not None
        store.append_verdict(StoredVerdict(told, member, 1, Level.WARN, 50, b"body", b"evidence"))
        store.save_ladder(told, START, 9)
    ended, changed, parts = False, set[int](), 0
    while not ended:
        with store.transaction():
            expired = store.expire(1_500, 2)
        ended, parts = expired.ended, parts + 1
        changed |= expired.subjects
    assert (len(changed), parts) == (4, 3)
    counts = store.counts()
    assert [counts[name] for name in ("presence", "subject", "verdict", "node_KEY", "node_ADDRESS")] == [2, 3, 1, 3, 2]
    store = reopen()
    with store.transaction():
        assert store.expire(1_500, 100).subjects == frozenset()
        [one, four] = [n for n in store.neighbourhoods(list(store.all_subjects())) if n.own]
        assert [(p.first, p.hours, p.count) for p in one.own] == [(2_000, 1, 2)]
        assert [place.subjects for place in four.places.values()] == [1]
        assert (one.subject.hours, one.subject.addresses) == (1, 1)
        assert store.current_verdicts(member, [fp("k0")]) == {fp("k0"): b"body"}
        assert len(store.absorb(member, [seen("k0", "a0", 2_000), seen("k3", "a3", 2_000)], fine).moved) == 2
    assert store.counts()["node_ADDRESS"] == 4

"""The scoring model that was tried before this one: hand-set log-odds of three hypotheses, as evidence-model describes it.

People, one operator (OP), many parties (MP), leaked and tried (LK), the bound on one member, the levels. Where the
description leaves a number open, the choice stands here with a name: ``CROWD``, ``CAP_FADES``, the slopes of concurrency, how
lockstep is scaled down on little data. Counters do not decay: a fortnight is short beside 30 days.

>>> reference_scores(graph, subjects)  # doctest: +SKIP
array([-9.2, 3.1, ...])
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from daxa_core.model import Manner
from daxa_registry.decision.graph import Subject
from daxa_registry.decision.overlap import pairs_of
from fitting.graph import Graph

from .tenants import Account, Tenant, Tenants, persons, persons_by_row

MONITOR, WARN, REAUTHENTICATE, REVOKE = -1.0, 1.0, 2.5, 4.5
NOTHING = -9.0
OVERLAP_HOURS = 12
MET_HOURS = 24
PROBED_HOURS = 48
MEMBER_NATS = 2.0
FAMILIAR_SHARE = 0.2
# What the description leaves open.
CROWD = 30  # from so many people on an address, stacks are compared with the stacks of crowds
CAP_FADES = 1.0  # nats that the cap on the stack term loses for each factor e of people above six
LITTLE_DATA = 10.0  # hours of lockstep at which half of the term counts

Array = npt.NDArray[np.float64]


def reference_scores(graph: Graph, subjects: Sequence[Subject]) -> Array:
    """The score of each subject, bounded: at most 2 nats above what stands without any one foreign member."""
    tenants = Tenants(graph)
    whole = _Model(tenants, None).scores(subjects)
    bounded = whole.copy()
    members = {subject.member for subject in graph.subjects.values()}
    for member in sorted(members):
        foreign = [i for i, subject in enumerate(subjects) if subject.member != member and whole[i] > NOTHING]
        without = _Model(tenants, member).scores([subjects[i] for i in foreign])
        bounded[foreign] = np.minimum(bounded[foreign], without + MEMBER_NATS)
    return bounded


class _Model:
    """The graph without what the member ``gone`` reported."""

    def __init__(self, tenants: Tenants, gone: int | None) -> None:
        self.tenants = tenants
        self.graph = tenants.graph
        self.gone = gone
        self.on: dict[int, list[Tenant]] = {}
        self.people = 0
        self._count()
        self._operator: dict[int, dict[int, float]] = {}
        self._row: dict[int, tuple[Array, Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}
        persons_of: dict[object, int] = {}
        for address, here in self.on.items():
            self._row[address] = (
                np.array([t.span.first for t in here]),
                np.array([t.span.last for t in here]),
                np.array([persons_of.setdefault(t.account.person, len(persons_of)) for t in here], dtype=np.int64),
                np.array([t.account.number for t in here], dtype=np.int64),
            )

    def _count(self) -> None:
        """How common each client stack is among people, and among people on crowds; who has which in a network."""
        everyone: set[object] = set()
        crowded: set[object] = set()
        with_stack: dict[int, set[object]] = {}
        on_crowds: dict[int, set[object]] = {}
        in_network: dict[tuple[int, int], dict[int, Account]] = {}
        self.crowd: dict[int, int] = {}
        for address, tenants in self.tenants.on.items():
            here = [t for t in tenants.values() if t.account.member != self.gone]
            if not here:
                continue
            self.on[address] = here
            size = self.crowd[address] = persons(t.account for t in here)
            network = self.graph.network_of[address]
            for tenant in here:
                person = tenant.account.person
                everyone.add(person)
                if size >= CROWD:
                    crowded.add(person)
                for stack in tenant.stacks:
                    with_stack.setdefault(stack, set()).add(person)
                    in_network.setdefault((network, stack), {})[tenant.account.number] = tenant.account
                    if size >= CROWD:
                        on_crowds.setdefault(stack, set()).add(person)
        self.frequency = {s: (len(p) + 1.0) / (len(everyone) + 2.0) for s, p in with_stack.items()}
        self.crowd_frequency = {s: (len(p) + 1.0) / (len(crowded) + 2.0) for s, p in on_crowds.items()}
        self.kindred = {at: persons(found.values()) for at, found in in_network.items()}

    def scores(self, subjects: Sequence[Subject]) -> Array:
        """The log-sum of the three hypotheses, by subject."""
        out = np.empty(len(subjects))
        for i, subject in enumerate(subjects):
            odds = np.array([self._op(subject), self._mp(subject), self._lk(subject), NOTHING])
            top = float(odds.max())
            out[i] = top + math.log(float(np.exp(odds - top).sum()))
        return out

    # -- one operator, many holders

    def _op(self, subject: Subject) -> float:
        where = self.tenants.hours_of(subject)
        account = self.tenants.account_of(subject)
        total = sum(span.hours.bit_count() for span in where.values())
        if not total:
            return NOTHING
        odds, alone = 0.0, 0
        for address, span in where.items():
            hours = span.hours.bit_count()
            odds += hours / total * math.exp(self._place(address)[account.number])
            if self.crowd[address] < 2:
                alone += hours
        own = -1.2 if alone > 0.25 * total else 0.2
        return math.log(odds) + own + self._travel(subject, account)

    def _place(self, address: int) -> dict[int, float]:
        """L(x) of one address, by account."""
        known = self._operator.get(address)
        if known is None:
            here = self.on[address]
            if len(here) < 2 or address in self.graph.infrastructure:
                known = {t.account.number: -6.0 for t in here}
            else:
                known = self._crowded_place(address, here)
            self._operator[address] = known
        return known

    def _crowded_place(self, address: int, here: list[Tenant]) -> dict[int, float]:
        accounts = [t.account for t in here]
        first = np.array([t.span.first for t in here])
        last = np.array([t.span.last for t in here])
        met = np.minimum(last[:, None], last) - np.maximum(first[:, None], first) + 1 >= OVERLAP_HOURS
        np.fill_diagonal(met, True)
        d = persons_by_row(met, accounts)
        same = np.array([[t.stack in u.stacks for u in here] for t in here]) if len(here) <= 64 else _same(here)
        np.fill_diagonal(same, True)
        m = persons_by_row(met & same, accounts) - 1
        lockstep = _lockstep(here, met)
        network = self.graph.network_of[address]
        out = {}
        for i, tenant in enumerate(here):
            crowd = max(self.crowd[address], self.kindred.get((network, tenant.stack), 0))
            out[tenant.account.number] = self._log_odds(
                int(d[i]), crowd, int(m[i]), tenant.stack, float(lockstep[i]), self.crowd[address]
            )
        return out

    def _log_odds(self, d: int, crowd: int, m: int, stack: int, lockstep: float, there: int) -> float:
        if d < 2:
            return -6.0
        prior = -1.2 - (2.4 * math.log(6 / d) if d < 6 else 0.0)
        if crowd > 6:
            prior -= math.log(crowd / 6) ** 1.25
        frequency = self.frequency.get(stack, 0.5)
        if there >= CROWD:
            frequency = max(frequency, self.crowd_frequency.get(stack, 0.0))
        cap = 5.0 - CAP_FADES * math.log(max(crowd, 6) / 6)
        likeness = min(_stack_term(m, d - 1, frequency), max(cap, 0.0)) if stack else 0.0
        total = prior + likeness + lockstep
        return min(total, 0.5) if d == 2 else total

    def _travel(self, subject: Subject, account: Account) -> float:
        """Co-tenants that go along over three networks or more."""
        rows = [p for p in self.graph.of_subject[subject.id] if p.manner is Manner.USED]
        networks = {p.network for p in rows}
        if len(networks) < 3:
            return 0.0
        met: dict[int, list[npt.NDArray[np.int64]]] = {}
        for address, span in self.tenants.hours_of(subject).items():
            first, last, people, numbers = self._row[address]
            near = (first <= span.last + MET_HOURS) & (last >= span.first - MET_HOURS) & (numbers != account.number)
            met.setdefault(self.graph.network_of[address], []).append(people[near])
        once = [np.unique(np.concatenate(parts)) for parts in met.values()]
        _, counts = np.unique(np.concatenate(once), return_counts=True)
        going = counts[(counts >= 3) & (counts >= 0.6 * len(networks))]
        return min(3.0, math.log(1.0 + float((going - 2).sum()))) if len(going) >= 2 else 0.0

    # -- one key, many parties

    def _mp(self, subject: Subject) -> float:
        hours: dict[int, dict[int, int]] = {}
        by_pair: dict[tuple[int, int], int] = {}
        rows = [p for p in self.graph.of_subject[subject.id] if p.manner is Manner.USED and p.device]
        if not rows:
            return NOTHING
        base = min(p.first for p in rows)
        for p in rows:
            spent = hours.setdefault(p.device, {})
            spent[p.network] = spent.get(p.network, 0) + p.hours.bit_count()
            pair = (p.device, p.network)
            by_pair[pair] = by_pair.get(pair, 0) | p.hours << (p.first - base)
        main = {device: max(spent, key=lambda n: (spent[n], -n)) for device, spent in hours.items()}
        m = len(set(main.values()))
        if m == 1:
            twice = thrice = 0
        else:
            twice, thrice = _concurrent(by_pair)
        concurrency = min(4.0, 0.5 * math.log1p(twice) + 0.8 * math.log1p(thrice))
        known = _poisson(m - 1, ((0.95, 0.4), (0.05, 3.0)))
        shared = _poisson(m - 1, ((0.75, 3.0), (0.25, 12.0)))
        parties = min(max(math.log(shared / known), -3.0), 5.0)
        account = self.tenants.account_of(subject)
        hosts = set()
        for p in rows:
            if self.crowd[p.address] < 2 or p.address in self.graph.infrastructure:
                continue
            for tenant in self.on[p.address]:
                if p.device in tenant.stacks and tenant.account.person != account.person:
                    hosts.add(tenant.account.person)
        return -3.0 + parties + concurrency + min(4.0, 1.5 * (len(hosts) - 1))

    # -- leaked and being tried

    def _lk(self, subject: Subject) -> float:
        of_key = [p for p in self.graph.of_key[subject.key] if p.subject.member != self.gone]
        failed = [p for p in of_key if p.manner is Manner.REJECTED]
        if not failed:
            return NOTHING
        used = [p for p in of_key if p.manner is Manner.USED and p.subject.member == subject.member]
        total = max(sum(p.hours.bit_count() for p in used), 1)
        there: dict[int, int] = {}
        since: dict[int, int] = {}
        for p in used:
            there[p.address] = there.get(p.address, 0) + p.hours.bit_count()
            since[p.address] = min(since.get(p.address, p.first), p.first)
        listed = {p.address for p in of_key if p.manner is Manner.DECLARED}
        breadth = 0
        networks: set[int] = set()
        doors: set[int] = set()
        accepted = False
        for p in failed:
            at = p.address
            if at in listed or there.get(at, 0) >= FAMILIAR_SHARE * total or since.get(at, p.first) < p.first:
                continue
            home = p.subject.member == subject.member
            if home and p.device and any(u.device == p.device and u.address != at for u in used):
                continue
            breadth = max(breadth, self._breadth(at, p.device, p.first, p.last))
            networks.add(p.network)
            if not home:
                doors.add(p.subject.member)
            accepted |= at in there
        if not breadth:
            return NOTHING
        wrong = min(5.0, 3.0 + 1.5 * (len(doors) - 1)) if doors else 0.0
        tried = min(5.0, 1.6 * math.log(breadth)) + min(1.6, 0.8 * len(networks))
        return -2.3 + tried + wrong + (0.8 if accepted else 0.0)

    def _breadth(self, address: int, device: int, first: int, last: int) -> int:
        """Distinct keys that failed there with that stack within two days, but for those that are at home there."""
        keys: set[int] = set()
        at_home: set[int] = set()
        for p in self.graph.of_address[address]:
            if p.subject.member == self.gone:
                continue
            if p.manner is Manner.REJECTED:
                near = p.first <= last + PROBED_HOURS and p.last >= first - PROBED_HOURS
                if p.device == device and near:
                    keys.add(p.subject.key)
            elif p.manner is Manner.DECLARED or p.hours.bit_count() >= FAMILIAR_SHARE * max(p.subject.hours, 1):
                at_home.add(p.subject.key)
        return max(len(keys - at_home), 1)


def _same(here: list[Tenant]) -> npt.NDArray[np.bool_]:
    """Row i, column j: j has the stack that i uses most. For crowds."""
    columns: dict[int, list[int]] = {}
    for j, tenant in enumerate(here):
        for stack in tenant.stacks:
            columns.setdefault(stack, []).append(j)
    out = np.zeros((len(here), len(here)), dtype=np.bool_)
    for i, tenant in enumerate(here):
        out[i, columns.get(tenant.stack, [])] = True
    return out


def _lockstep(here: list[Tenant], met: npt.NDArray[np.bool_]) -> Array:
    """By tenant, over its pairs inside one exchange or between known holders."""
    member = np.array([t.account.member for t in here])
    known = np.array([t.account.known for t in here])
    names = [t.account.person for t in here]
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    person = np.array([number[name] for name in names])
    counted = (member[:, None] == member) | (known[:, None] & known)
    counted &= met & (person[:, None] != person)
    pairs = pairs_of([t.span for t in here])
    if pairs is None:
        return np.zeros(len(here))
    c0, q0, c24, q24 = (
        np.where(counted, table, 0.0).sum(axis=1) for table in (pairs.c0, pairs.q0, pairs.c24, pairs.q24)
    )
    ratio = np.log((c0 + 3) / (q0 + 3)) - np.log((c24 + 3) / (q24 + 3))
    data = c0 + q0
    out: Array = np.interp(ratio, (0.35, 1.0, 3.0), (-1.2, 3.5, 7.5)) * data / (data + LITTLE_DATA)
    return out


def _stack_term(m: int, n: int, f: float) -> float:
    """How much likelier m of n others with this key's client stack are under an operator than by chance."""
    m = min(m, n)
    ring = math.log(0.70) + m * math.log(0.85 / f) + (n - m) * math.log(0.15 / (1 - f))
    some = math.log(0.05) + (m * math.log(m / (n * f)) if m else 0.0) - (m - n * f) - math.log(n)
    top = max(ring, some, math.log(0.25))
    return top + math.log(math.exp(ring - top) + 0.25 * math.exp(-top) + math.exp(some - top))


def _poisson(k: int, parts: tuple[tuple[float, float], ...]) -> float:
    return sum(w * math.exp(-rate + k * math.log(rate) - math.lgamma(k + 1)) for w, rate in parts)


def _concurrent(by_pair: dict[tuple[int, int], int]) -> tuple[int, int]:
    """Hours in which at least two, and at least three, parties use the key: stacks and networks all different."""
    every = 0
    for bits in by_pair.values():
        every |= bits
    twice = thrice = 0
    while every:
        hour = every & -every
        every ^= hour
        stacks, networks = set(), set()
        for (stack, network), bits in by_pair.items():
            if bits & hour and stack not in stacks and network not in networks:
                stacks.add(stack)
                networks.add(network)
        twice += len(stacks) >= 2
        thrice += len(stacks) >= 3
    return twice, thrice

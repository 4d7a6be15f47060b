"""The graph as other methods see it: accounts on addresses, with their hours; no evidence, no policy.

What a comparison needs and the product's own evidence does not share with it, so that a fault of the one is not a fault of
the other. An account is one person at one member; keys of one account are one tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from daxa_core.model import Manner
from daxa_registry.decision.graph import Subject
from daxa_registry.decision.overlap import Span, join
from fitting.graph import Graph

Person = tuple[int, int]  # (0, holder), or (member, account number) where the holder is not known


@dataclass(frozen=True, slots=True)
class Account:
    """One customer of one member. ``known`` says whether the holder is."""

    number: int
    member: int
    person: Person
    known: bool


@dataclass(slots=True)
class Tenant:
    """One account on one address: when, and for how many hours with which client stack."""

    account: Account
    span: Span
    stacks: dict[int, int] = field(default_factory=dict)

    @property
    def stack(self) -> int:
        """The client stack it used most there; 0 if none is known."""
        return max(self.stacks, key=lambda s: (self.stacks[s], -s)) if self.stacks else 0


class Tenants:
    """Who used which address."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._accounts: dict[tuple[int, object], Account] = {}
        self.on: dict[int, dict[int, Tenant]] = {}
        for address, presences in graph.of_address.items():
            here: dict[int, Tenant] = {}
            for presence in presences:
                if presence.manner is not Manner.USED:
                    continue
                account = self.account_of(presence.subject)
                tenant = here.get(account.number)
                if tenant is None:
                    tenant = here[account.number] = Tenant(account, Span(presence.first, presence.hours))
                else:
                    tenant.span = join(tenant.span, presence.first, presence.hours)
                if presence.device:
                    hours = presence.hours.bit_count()
                    tenant.stacks[presence.device] = tenant.stacks.get(presence.device, 0) + hours
            if here:
                self.on[address] = here

    def account_of(self, subject: Subject) -> Account:
        """The account that a key belongs to; a key without one is an account of its own."""
        name = subject.account if subject.account is not None else subject.key
        account = self._accounts.get((subject.member, name))
        if account is None:
            number = len(self._accounts)
            known = subject.holder is not None
            person = (0, subject.holder) if subject.holder is not None else (subject.member, number)
            account = self._accounts[(subject.member, name)] = Account(number, subject.member, person, known)
        return account

    def hours_of(self, subject: Subject) -> dict[int, Span]:
        """The hours of one key, by address."""
        found: dict[int, Span] = {}
        for presence in self.graph.of_subject[subject.id]:
            if presence.manner is Manner.USED:
                found[presence.address] = join(found.get(presence.address), presence.first, presence.hours)
        return found


def persons(accounts: Iterable[Account]) -> int:
    """How many people at least: a person has one account at an exchange, and a known holder is one person everywhere."""
    holders: set[Person] = set()
    by_member: dict[int, set[Person]] = {}
    for account in accounts:
        by_member.setdefault(account.member, set()).add(account.person)
        if account.known:
            holders.add(account.person)
    return max(len(holders), *(len(people) for people in by_member.values())) if by_member else 0


def persons_by_row(rows: npt.NDArray[np.bool_], accounts: Sequence[Account]) -> npt.NDArray[np.int64]:
    """``persons`` for each row of flags over ``accounts``."""
    most = _distinct(rows, [i for i, a in enumerate(accounts) if a.known], accounts)
    for member in sorted({a.member for a in accounts}):
        own = [i for i, a in enumerate(accounts) if a.member == member]
        most = np.maximum(most, _distinct(rows, own, accounts))
    return most


def _distinct(rows: npt.NDArray[np.bool_], columns: list[int], accounts: Sequence[Account]) -> npt.NDArray[np.int64]:
    """How many different persons the chosen columns of each row are."""
    numbers: dict[Person, int] = {}
    which = [numbers.setdefault(accounts[i].person, len(numbers)) for i in columns]
    if len(numbers) == len(columns):
        return rows[:, columns].sum(axis=1)
    seen = np.zeros((len(rows), len(numbers)), dtype=np.bool_)
    for column, number in zip(columns, which, strict=True):
        seen[:, number] |= rows[:, column]
    return seen.sum(axis=1)

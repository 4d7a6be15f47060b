"""A list of keys gone through at one address: a longer one is no excuse, and one member alone neither excuses nor renews it."""

from __future__ import annotations

import pytest

from daxa_core.model import Level, Manner
from daxa_registry.decision import Assessment, assess, default_policy, evidence_of
from fitting.graph import HUB, Edges, Graph

START = 490_000
WORK = sum(1 << hour for hour in range(14 * 24) if 8 <= hour % 24 < 20)
TRIED = START + 300
EXIT, OTHER = 5, 6
DAY = 24


def tried(keys: int, more: Edges | None = None, days: int = 0, device: int = 9) -> Assessment:
    """The first of so many keys of one exchange, each used at a home of its own and refused once at one address, so many days
    later; ``more`` is what another member says."""
    edges: Edges = {}
    for key in range(1, keys + 1):
        edges[1, key, 1_000 + key, 7, Manner.USED] = (START, WORK, 100)
        edges[1, key, EXIT, device, Manner.REJECTED] = (TRIED, 1, 1)
    edges |= more or {}
    accounts = {(member, key): b"account %d" % key for member, key, *_ in edges}
    graph = Graph(edges, {address: address for _, _, address, _, _ in edges}, accounts, {}, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 1])
    now = TRIED + DAY * days
    return assess(evidence_of(neighbourhood, facts, graph.population, now), default_policy(), now * 3_600)


@pytest.mark.parametrize("device", [9, 0])
def test_a_longer_list_is_no_excuse(device: int) -> None:
    """Whom a prober tried was not let in there, on a hub neither: also where no client stack is known."""
    levels = {keys: tried(keys, device=device).level for keys in (40, HUB, HUB + 1, 2 * HUB)}
    assert levels == dict.fromkeys(levels, Level.REVOKE)


@pytest.mark.parametrize("manner", [Manner.USED, Manner.REJECTED, Manner.DECLARED])
@pytest.mark.parametrize("keys", [20, 200])
def test_no_crowd_that_one_member_makes_up_excuses_a_list(keys: int, manner: Manner) -> None:
    """Whether it makes the address a hub or not."""
    before = tried(keys)
    assert before.level is Level.REVOKE
    for crowd in (HUB - keys - 1, HUB - keys + 20, 2 * HUB):
        lies: Edges = {(3, 9_000 + n, EXIT, 50, manner): (START + 1, 1, 1) for n in range(crowd)}
        assert tried(keys, lies).level is before.level


@pytest.mark.parametrize("manner", [Manner.USED, Manner.DECLARED])
@pytest.mark.parametrize("device", [9, 0])
def test_no_member_takes_others_keys_off_a_list_by_claiming_them(device: int, manner: Manner) -> None:
    """Who says that he knows them there, or has that address on their allow-lists, is left out like who says anything else."""
    lies: Edges = {(3, key, EXIT, 8, manner): (START + 1, 1, 1) for key in range(2, 21)}
    before = tried(20, device=device)
    after = tried(20, lies, device=device)
    assert before.level is Level.REVOKE
    assert after.level is before.level


@pytest.mark.parametrize("days", [10, 30, 90, 150])
def test_no_member_makes_an_old_list_new(days: int) -> None:
    """One refusal more, by one other member, and the list is as old as it was."""
    lie: Edges = {(3, 1, OTHER, 8, Manner.REJECTED): (TRIED + DAY * days - 1, 1, 1)}
    assert tried(20, lie, days).level <= tried(20, days=days).level

"""Whether sharing goes on: asked of the addresses that a verdict rests on, and of no member alone."""

from __future__ import annotations

from daxa_core.model import Manner
from daxa_registry.decision import Evidence, evidence_of
from fitting.graph import Edges, Graph

BEGAN = 500_000
SERVER, HOME, INVENTED = 1, 2, 3
LENT_HOURS = sum(1 << hour for hour in range(0, 240, 2))


def evidence(edges: Edges, holders: dict[tuple[int, int], int]) -> Evidence:
    accounts = {(member, key): b"a%d" % key for member, key, *_ in edges}
    graph = Graph(edges, {SERVER: 11, HOME: 12, INVENTED: 13}, accounts, holders, set())
    neighbourhood, facts = graph.neighbourhood(graph.subjects[1, 1])
    return evidence_of(neighbourhood, facts, graph.population, graph.newest)


def ring(more: Edges) -> Edges:
    """Ten keys of five members on a server for ten days, the first of them at home too, then and for twenty days more."""
    out: Edges = {(1 + n % 5, 1 + n, SERVER, 5, Manner.USED): (BEGAN, LENT_HOURS, 120) for n in range(10)}
    out[1, 1, HOME, 6, Manner.USED] = (BEGAN, sum(1 << hour for hour in range(20, 720, 24)), 30)
    return out | more


def test_a_housemate_at_home_is_not_the_operator_going_on() -> None:
    """The key is on no server any more; that somebody else uses a key of his own at home now and then keeps nothing alive."""
    housemate: Edges = {(2, 90, HOME, 7, Manner.USED): (BEGAN, sum(1 << hour for hour in range(3, 720, 36)), 20)}
    holders = {(1 + n % 5, 1 + n): 100 + n for n in range(10)} | {(2, 90): 190}
    assert evidence(ring(housemate), holders).operator_hour == BEGAN + 238


def test_what_one_member_alone_says_goes_on_has_not_gone_on() -> None:
    """It invents people who keep the key's hours at home: with two members saying so, it would have."""
    hours = (BEGAN, sum(1 << hour for hour in range(20, 720, 24)), 30)
    holders = {(1 + n % 5, 1 + n): 100 + n for n in range(10)} | {
        (m, 90 + n): 190 + n for m in (2, 3) for n in range(9)
    }
    invented: Edges = {(2, 90 + n, HOME, 6, Manner.USED): hours for n in range(9)}
    assert evidence(ring(invented), holders).operator_hour == BEGAN + 238
    confirmed: Edges = {(3, 90 + n, HOME, 6, Manner.USED): hours for n in range(9)}
    assert evidence(ring(invented | confirmed), holders).operator_hour == BEGAN + 20 + 24 * 29


def test_whoever_moves_from_server_to_server_goes_on() -> None:
    """A pool of addresses: the last of them counts though each has a part of the hours alone."""
    edges: Edges = {
        (1 + n % 5, 1 + n, server, 5, Manner.USED): (
            BEGAN + 40 * server,
            sum(1 << hour for hour in range(0, 40, 2)),
            20,
        )
        for n in range(10)
        for server in (SERVER, HOME, INVENTED)
    }
    holders = {(1 + n % 5, 1 + n): 100 + n for n in range(10)}
    assert evidence(edges, holders).operator_hour == BEGAN + 40 * 3 + 38

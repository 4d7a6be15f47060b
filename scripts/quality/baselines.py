"""Three published ways to find accounts that one hand drives, as scores for keys: what a score of ours has to beat.

- ``shared_address``: an address shared by three holders. The score is the largest number of people on an address of the key.
- ``communities``: EvilCohort (Stringhini et al., USENIX Security 2015). Accounts and addresses are a bipartite graph, projected
  on the accounts: an edge weighs as many addresses as the two share. Edges below a threshold are dropped, Louvain's method
  finds communities. The paper's threshold of ten suits botnets of thousands of machines; the operators here have a
  few addresses, so it is two, the least that is more than sharing an address. The score is the mean weight of an account's
  edges inside its community.
- ``lockstep``: SynchroTrap (Cao et al., CCS 2014). Accounts are sets of (address, hour); two are alike by the Jaccard similarity
  of their sets; single linkage joins those above a threshold. The score is the highest threshold at which an account is
  still in a cluster of three or more.

Both papers work on users of one service; here all members' accounts are put in one graph, as the registry could.

>>> louvain({0: {1: 2.0}, 1: {0: 2.0}, 2: {}}, np.random.default_rng(1))
{0: 1, 1: 1, 2: 2}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, triu

from daxa_registry.decision.graph import Subject

from .tenants import Tenants, persons

HOLDERS = 3
SHARED_ADDRESSES = 2
ALIKE = 0.5
CLUSTER = 3
HOURS = 1 << 24  # more than there are hours since the epoch

Array = npt.NDArray[np.float64]
Edges = dict[tuple[int, int], float]
Adjacency = Mapping[int, Mapping[int, float]]


def shared_address(tenants: Tenants, subjects: Sequence[Subject]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The most people on one address of each key, and who has three or more."""
    crowd = {address: persons(t.account for t in here.values()) for address, here in tenants.on.items()}
    score = np.array([max((crowd[a] for a in tenants.hours_of(s)), default=0) for s in subjects], dtype=np.float64)
    return score, score >= HOLDERS


def communities(tenants: Tenants, subjects: Sequence[Subject], seed: int = 0) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The mean weight of each key's edges inside its community, and who is in a community of three or more."""
    bipartite = _incidence((n, at) for at, here in enumerate(tenants.on.values()) for n in here)
    near = _adjacency(_shared(bipartite, SHARED_ADDRESSES))
    community = louvain(near, np.random.default_rng(seed))
    size: dict[int, int] = {}
    for name in community.values():
        size[name] = size.get(name, 0) + 1
    score = np.zeros(len(subjects))
    marked = np.zeros(len(subjects), dtype=np.bool_)
    for i, subject in enumerate(subjects):
        number = tenants.account_of(subject).number
        mine = community.get(number)
        if mine is not None and size[mine] >= CLUSTER:
            inside = [weight for other, weight in near[number].items() if community[other] == mine]
            score[i] = sum(inside) / len(inside)
            marked[i] = True
    return score, marked


def lockstep(tenants: Tenants, subjects: Sequence[Subject]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The highest similarity at which each key is in a cluster of three or more, and who is in one at ``ALIKE``."""
    hour_of = (
        (number, HOURS * at + hour)
        for at, here in enumerate(tenants.on.values())
        for number, tenant in here.items()
        for hour in _bits(tenant.span.hours, tenant.span.first)
    )
    actions = _incidence(hour_of)
    size = np.asarray(actions.sum(axis=1)).ravel()
    together = _shared(actions, 1)
    likeness = {(a, b): both / (size[a] + size[b] - both) for (a, b), both in together.items()}
    joined = single_linkage(likeness, CLUSTER)
    score = np.array([joined.get(tenants.account_of(s).number, 0.0) for s in subjects])
    return score, score >= ALIKE


def _bits(hours: int, shift: int) -> Iterator[int]:
    while hours:
        low = hours & -hours
        yield shift + low.bit_length() - 1
        hours ^= low


def _incidence(pairs: Iterable[tuple[int, int]]) -> csr_matrix:
    """Accounts by what they touched."""
    rows, columns = np.array(list(pairs), dtype=np.int64).reshape(-1, 2).T
    _, dense = np.unique(columns, return_inverse=True)
    return csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, dense)))


def _shared(incidence: csr_matrix, least: int) -> Edges:
    """The projection on accounts: how much each two share, where that is ``least`` or more."""
    product = triu(incidence @ incidence.T, k=1).tocoo()
    kept = product.data >= least
    ends = zip(product.row[kept].tolist(), product.col[kept].tolist(), strict=True)
    return dict(zip(ends, product.data[kept].tolist(), strict=True))


def _adjacency(edges: Edges) -> dict[int, dict[int, float]]:
    near: dict[int, dict[int, float]] = {}
    for (a, b), weight in edges.items():
        near.setdefault(a, {})[b] = weight
        near.setdefault(b, {})[a] = weight
    return near


def single_linkage(likeness: Edges, least: int) -> dict[int, float]:
    """For each node, the highest likeness at which the cluster that it is in has ``least`` nodes; none if never."""
    root: dict[int, int] = {}
    members: dict[int, list[int]] = {}

    def find(node: int) -> int:
        path = []
        while root.setdefault(node, node) != node:
            path.append(node)
            node = root[node]
        for passed in path:
            root[passed] = node
        return node

    out: dict[int, float] = {}
    for (a, b), alike in sorted(likeness.items(), key=lambda item: (-item[1], item[0])):
        one, other = find(a), find(b)
        if one == other:
            continue
        if len(members.setdefault(one, [one])) < len(members.setdefault(other, [other])):
            one, other = other, one
        # A part of ``least`` or more was told already; a smaller one is told now if that makes it large enough.
        fresh = [node for part in (one, other) if len(members[part]) < least for node in members[part]]
        root[other] = one
        members[one] += members.pop(other)
        if len(members[one]) >= least:
            out.update((node, alike) for node in fresh)
    return out


def louvain(near: Adjacency, rng: np.random.Generator) -> dict[int, int]:
    """Communities of high modularity by Louvain's method (Blondel et al., 2008): node to community."""
    graph: dict[int, dict[int, float]] = {node: dict(edges) for node, edges in near.items()}
    belongs = {node: node for node in graph}
    while True:
        moved = _local_moves(graph, rng)
        belongs = {node: moved[at] for node, at in belongs.items()}
        if len(set(moved.values())) == len(graph):
            return belongs
        graph = _aggregated(graph, moved)


def _local_moves(graph: Adjacency, rng: np.random.Generator) -> dict[int, int]:
    degree = {node: sum(edges.values()) + edges.get(node, 0.0) for node, edges in graph.items()}
    total = sum(degree.values())
    community = {node: node for node in graph}
    mass = dict(degree)
    nodes = list(graph)
    rng.shuffle(nodes)
    improved = total > 0
    while improved:
        improved = False
        for node in nodes:
            mine = community[node]
            links: dict[int, float] = {mine: 0.0}
            for other, weight in graph[node].items():
                if other != node:
                    links[community[other]] = links.get(community[other], 0.0) + weight
            mass[mine] -= degree[node]
            gains = {c: weight - mass[c] * degree[node] / total for c, weight in links.items()}
            best = max(gains, key=lambda c: (gains[c], -c))
            if gains[best] <= gains[mine] + 1e-12:
                best = mine
            mass[best] += degree[node]
            if best != mine:
                community[node] = best
                improved = True
    return community


def _aggregated(graph: Adjacency, community: Mapping[int, int]) -> dict[int, dict[int, float]]:
    """Each community as one node; edges inside it as a loop."""
    out: dict[int, dict[int, float]] = {c: {} for c in dict.fromkeys(community.values())}
    for node, edges in graph.items():
        mine = community[node]
        for other, weight in edges.items():
            theirs = community[other]
            # An edge inside a community is met from both its ends; a loop is met once.
            part = weight / 2 if mine == theirs and other != node else weight
            out[mine][theirs] = out[mine].get(theirs, 0.0) + part
    return out

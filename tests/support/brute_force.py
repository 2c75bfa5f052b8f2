"""Exact times and lists of all small graphs, by code that knows nothing of noptoolkit."""

import itertools

import igraph
import networkx as nx
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array


def concurrent_time(size, edges, demand):
    """The least time of a demand over full-duplex links of 1 (with multiplicities), by scipy alone."""
    arcs = [(u, v, w) for u, v, w in edges] + [(v, u, w) for u, v, w in edges]
    sources = [s for s in range(size) if demand[s].any()]
    rows, columns, values, owed = [], [], [], []
    for k, s in enumerate(sources):
        for v in range(size):
            if v == s:
                continue
            for a, (tail, head, _) in enumerate(arcs):
                if v in (tail, head):
                    rows.append(len(owed))
                    columns.append(k * len(arcs) + a)
                    values.append(1.0 if v == head else -1.0)
            owed.append(demand[s, v])
    count = len(sources) * len(arcs)
    carried = coo_array((values, (rows, columns)), shape=(len(owed), count + 1)).tocsr()
    rows, columns, values = [], [], []
    for a, (_, _, width) in enumerate(arcs):
        for k in range(len(sources)):
            rows.append(a)
            columns.append(k * len(arcs) + a)
            values.append(1.0)
        rows.append(a)
        columns.append(count)
        values.append(-float(width))
    room = coo_array((values, (rows, columns)), shape=(len(arcs), count + 1)).tocsr()
    goal = np.zeros(count + 1)
    goal[-1] = 1.0
    return linprog(goal, A_ub=room, b_ub=np.zeros(len(arcs)), A_eq=carried, b_eq=owed, method="highs").fun


def byte_hops(size, edges, demand):
    """Byte-hops of shortest paths over all bandwidth: no routing is faster on this graph."""
    graph = nx.Graph([(u, v) for u, v, _ in edges])
    far = dict(nx.all_pairs_shortest_path_length(graph))
    total = sum(demand[s, t] * far[s][t] for s in range(size) for t in range(size) if s != t)
    return total / (2 * sum(w for _, _, w in edges))


def best_time(size, graphs, demand):
    """The least time over some graphs."""
    best = np.inf
    for edges in graphs:
        if byte_hops(size, edges, demand) < best * (1 - 1e-9):
            best = min(best, concurrent_time(size, edges, demand))
    return best


def atlas_graphs(size, ports):
    """All connected graphs of networkx's atlas to which no link can be added."""
    found = []
    for graph in nx.graph_atlas_g():
        if graph.number_of_nodes() != size or max(dict(graph.degree()).values(), default=0) > ports:
            continue
        free = [v for v in graph if graph.degree(v) < ports]
        fits = any(not graph.has_edge(u, v) for u, v in itertools.combinations(free, 2))
        if nx.is_connected(graph) and not fits:
            found.append([(u, v, 1) for u, v in graph.edges()])
    return found


def regular_graphs(size, degree):
    """All connected regular graphs, one of each: the lowest vertex with free ends takes neighbours."""
    classes = {}

    def extend(edges, left):
        open_ends = [v for v in range(size) if left[v]]
        if not open_ends:
            graph = igraph.Graph(size, edges)
            if graph.is_connected():
                same = graph.permute_vertices(graph.canonical_permutation()).get_edgelist()
                classes.setdefault(tuple(sorted(tuple(sorted(edge)) for edge in same)), nx.Graph(edges))
            return
        v = open_ends[0]
        joined = set(edges)
        others = [u for u in open_ends[1:] if (v, u) not in joined]
        fresh = [u for u in others if left[u] == degree]  # those without a link yet are alike
        for chosen in itertools.combinations(others, left[v]):
            new = [u for u in chosen if left[u] == degree]
            if new != fresh[: len(new)]:
                continue
            after = list(left)
            after[v] = 0
            for u in chosen:
                after[u] -= 1
            extend([*edges, *((v, u) for u in chosen)], after)

    extend([], [degree] * size)
    return list(classes.values())


def multigraphs(size, ports, most=1):
    """All connected multigraphs, labelled, in which at most so many vertices have ports left over."""
    pairs = list(itertools.combinations(range(size), 2))

    def extend(at, left, edges):
        if at == len(pairs):
            graph = nx.Graph([(u, v) for u, v, _ in edges])
            if sum(1 for x in left if x) <= most and len(graph) == size and nx.is_connected(graph):
                yield list(edges)
            return
        u, v = pairs[at]
        for width in range(min(left[u], left[v]) + 1):
            after = list(left)
            after[u] -= width
            after[v] -= width
            yield from extend(at + 1, after, [*edges, (u, v, width)] if width else edges)

    yield from extend(0, np.broadcast_to(ports, size).tolist(), [])

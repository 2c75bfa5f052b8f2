"""Random packages and traffics for the tests of the flow solvers."""

import networkx as nx
import numpy as np

from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.traffic import from_matrix


def random_package(seed, nodes=9, rich=True):
    """A connected package with unequal, one-way, half-duplex and parallel links, limits and memory stacks."""
    rng = np.random.default_rng(seed)
    graph = nx.gnm_random_graph(nodes, 2 * nodes, seed=int(seed))
    pairs = list(dict.fromkeys([*graph.edges(), *((i, i + 1) for i in range(nodes - 1))]))
    made = []
    for i in range(nodes):
        limits = {}
        if rich and rng.random() < 0.3:
            limits["crossbar_bandwidth"] = float(rng.uniform(5, 30))
        if rich and i % 4 == 3:
            made.append(Switch(f"n{i}", **limits))
            continue
        if rich and rng.random() < 0.3:
            limits["injection_bandwidth"] = float(rng.uniform(4, 20))
            limits["ejection_bandwidth"] = float(rng.uniform(4, 20))
        made.append(Chiplet(f"n{i}", role="expert", **limits))
    links = []
    for k, (i, j) in enumerate(pairs):
        options = {}
        if rich and k % 5 == 1:
            options["half_duplex"] = True
        elif rich and k % 5 == 2:
            options["reverse_bandwidth"] = float(rng.uniform(0.5, 2))
        elif rich and k % 5 == 3 and abs(i - j) > 1:
            options["reverse_bandwidth"] = 0.0
        links.append(Link(f"n{i}", f"n{j}", float(rng.uniform(0.5, 2)), **options))
        if rich and k % 7 == 0:
            links.append(Link(f"n{i}", f"n{j}", float(rng.uniform(0.5, 2))))
    if rich:
        made.append(Memory("m0", bandwidth=float(rng.uniform(2, 9))))
        links += [Link("m0", "n0", 2.0), Link("m0", "n1", 1.0)]
    return Package(f"random {seed}", made, links)


def random_traffic(package, seed, density=0.7, memory=True):
    rng = np.random.default_rng([seed, 1])
    names = package.terminals
    if memory:
        names += tuple(stack.name for stack in package.memories)
    demand = rng.pareto(1.5, (len(names), len(names))) * (rng.random((len(names), len(names))) < density)
    demand[0, 1] += 1.0
    return from_matrix(package, demand, endpoints=names)


def all_to_all(package, names=None):
    names = package.terminals if names is None else tuple(names)
    return from_matrix(package, np.ones((len(names), len(names))), endpoints=names)


def from_graph(graph, capacity_seed=None):
    """A package of a plain graph with unit links, or with random ones in both directions."""
    plain = nx.convert_node_labels_to_integers(nx.Graph(graph.edges()))
    rng = np.random.default_rng(capacity_seed)
    made = [Chiplet(f"n{i}", role="expert") for i in plain]
    links = []
    for i, j in plain.edges():
        there, back = rng.uniform(0.5, 1.5, 2) if capacity_seed is not None else (1.0, 1.0)
        links.append(Link(f"n{i}", f"n{j}", float(there), reverse_bandwidth=float(back)))
    return Package("graph", made, links)

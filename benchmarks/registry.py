"""The instances of the flow benchmarks: a topology, a traffic, capacities, all seeded.

A case is a name such as ``mesh-1024/moe/random``: family and number of chiplets, traffic, capacities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import networkx as nx
import numpy as np

from noptoolkit import Chiplet, Link, Package, Switch
from noptoolkit.traffic import Traffic, from_matrix

Edges = list[tuple[str, str]]


def grid_edges(n: int, seed: int, *, wrap: bool) -> tuple[list[str], list[str], Edges]:
    """Return chiplets, switches and links of a square grid of about n chiplets."""
    side = round(n**0.5)
    graph = nx.grid_2d_graph(side, side, periodic=wrap)
    return [str(v) for v in graph], [], [(str(a), str(b)) for a, b in graph.edges()]


def mesh(n: int, seed: int) -> tuple[list[str], list[str], Edges]:
    return grid_edges(n, seed, wrap=False)


def torus(n: int, seed: int) -> tuple[list[str], list[str], Edges]:
    return grid_edges(n, seed, wrap=True)


def random_regular(n: int, seed: int, degree: int = 6) -> tuple[list[str], list[str], Edges]:
    graph = nx.random_regular_graph(degree, n, seed=seed)
    return [str(v) for v in graph], [], [(str(a), str(b)) for a, b in graph.edges()]


def dragonfly(n: int, seed: int) -> tuple[list[str], list[str], Edges]:
    """Groups of a routers with h = a / 2 global links each, fully used; the routers are the chiplets."""
    a = 2
    while a * (a * a // 2 + 1) < n:
        a += 2
    h, groups = a // 2, a * (a // 2) + 1
    edges = [(f"g{g}r{i}", f"g{g}r{j}") for g in range(groups) for i in range(a) for j in range(i)]
    for g in range(groups):
        for k in range(a * h):
            other = (g + k + 1) % groups
            if g < other:
                back = groups - 2 - k
                edges.append((f"g{g}r{k // h}", f"g{other}r{back // h}"))
    return [f"g{g}r{i}" for g in range(groups) for i in range(a)], [], edges


def fat_tree(n: int, seed: int) -> tuple[list[str], list[str], Edges]:
    """A three-level fat tree with half of the uplinks of each edge switch left out (2:1 oversubscribed)."""
    k = 4
    while k**3 // 4 < n:
        k += 2
    half = k // 2
    hosts, switches, edges = [], [], []
    for pod in range(k):
        switches += [f"edge{pod}.{i}" for i in range(half)] + [f"agg{pod}.{i}" for i in range(half)]
        for i in range(half):
            hosts += [f"h{pod}.{i}.{j}" for j in range(half)]
            edges += [(f"edge{pod}.{i}", f"h{pod}.{i}.{j}") for j in range(half)]
            edges += [(f"edge{pod}.{i}", f"agg{pod}.{j}") for j in range(0, half, 2)]
            edges += [(f"agg{pod}.{i}", f"core{i}.{j}") for j in range(half)]
    switches += [f"core{i}.{j}" for i in range(half) for j in range(half)]
    return hosts, switches, edges


FAMILIES: dict[str, Callable[[int, int], tuple[list[str], list[str], Edges]]] = {
    "mesh": mesh,
    "torus": torus,
    "rrg6": random_regular,
    "rrg4": lambda n, seed: random_regular(n, seed, 4),
    "dragonfly": dragonfly,
    "fattree": fat_tree,
}


def uniform(k: int, rng: np.random.Generator) -> np.ndarray:
    return np.ones((k, k))


def moe(k: int, rng: np.random.Generator) -> np.ndarray:
    """Columns of Zipf popularity, noise on every pair."""
    popularity = rng.zipf(1.8, k).clip(max=50).astype(float)
    return np.outer(rng.uniform(0.5, 1.5, k), popularity) * rng.gamma(2, 0.5, (k, k))


def pareto(k: int, rng: np.random.Generator) -> np.ndarray:
    return rng.pareto(1.5, (k, k)) * (rng.random((k, k)) < 0.6)


def permutation(k: int, rng: np.random.Generator) -> np.ndarray:
    order = rng.permutation(k)
    demand = np.zeros((k, k))
    demand[order, np.roll(order, 1)] = 1
    return demand


def hotspot(k: int, rng: np.random.Generator) -> np.ndarray:
    """A tenth of all bytes goes to one chiplet."""
    demand = np.ones((k, k))
    hot = rng.integers(k)
    demand[:, hot] *= (k - 1) / 9
    return demand


TRAFFICS = {"uniform": uniform, "moe": moe, "pareto": pareto, "perm": permutation, "hotspot": hotspot}


@dataclass(frozen=True)
class Case:
    """One instance by name."""

    family: str
    size: int
    traffic: str
    capacity: str
    seed: int

    def build(self) -> tuple[Package, Traffic]:
        """Return the package and its traffic."""
        rng = np.random.default_rng([self.seed, self.size])
        hosts, switches, edges = FAMILIES[self.family](self.size, self.seed)
        links = []
        for a, b in edges:
            there, back = rng.uniform(0.5, 1.5, 2) if self.capacity == "random" else (1.0, 1.0)
            links.append(Link(a, b, float(there), reverse_bandwidth=float(back)))
        nodes = [*(Chiplet(name, role="expert") for name in hosts), *(Switch(name) for name in switches)]
        package = Package(str(self), nodes, links)
        return package, from_matrix(package, TRAFFICS[self.traffic](len(hosts), rng), name=self.traffic)

    def __str__(self) -> str:
        return f"{self.family}-{self.size}/{self.traffic}/{self.capacity}/seed {self.seed}"

    @classmethod
    def parse(cls, text: str, seed: int) -> Case:
        """Return the case of a name such as ``mesh-1024/moe/random``."""
        topology, traffic, capacity = text.split("/")
        family, size = topology.rsplit("-", 1)
        return cls(family, int(size), traffic, capacity, seed)


GRID = [
    f"{family}-1024/{traffic}/{capacity}"
    for family in FAMILIES
    for traffic in TRAFFICS
    for capacity in ("equal", "random")
]
CORE = [
    "mesh-1024/uniform/equal",
    "rrg6-1000/uniform/equal",
    "mesh-1024/moe/random",
    "torus-1024/moe/random",
    "torus-1024/pareto/random",
    "rrg6-1000/moe/random",
    "rrg6-1000/pareto/random",
    "rrg6-1000/perm/equal",
]

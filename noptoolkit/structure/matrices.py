"""A package's network as sparse matrices: chiplets, switches and their links, memory stacks left out.

These are what `noptoolkit.structure.profile` and `noptoolkit.structure.bisection_bandwidth` measure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from noptoolkit._arrays import Floats, Ints
from noptoolkit.network import flow_network
from noptoolkit.package import Memory, Package

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Network", "links_between", "low_spectrum", "network", "symmetric"]

MOST_DENSE = 200
"""Nodes up to which all eigenvalues are taken; beyond, Lanczos iterations find the few that are asked for."""


class Network(NamedTuple):
    """Names of the nodes, indices of the chiplets among them, and bandwidth [nodes, nodes] in B/s."""

    names: tuple[str, ...]
    chiplets: Ints
    bandwidth: csr_array[Any]


@lru_cache(maxsize=16)
def network(package: Package) -> Network:
    """Return the network of a package, from which memory stacks are left out."""
    nodes = [node for node in package.nodes if not isinstance(node, Memory)]
    names, chiplets = tuple(node.name for node in nodes), set(package.terminals)
    ends = np.array([i for i, name in enumerate(names) if name in chiplets])
    return Network(names, ends, _between_nodes(package, flow_network(package).arc_capacity))


def symmetric(package: Package) -> csr_array[Any]:
    """Return the mean of the bandwidths of both directions, [nodes, nodes], in B/s."""
    from scipy.sparse import csr_array

    bandwidth = network(package).bandwidth
    return csr_array((bandwidth + bandwidth.T) / 2)


def links_between(package: Package) -> csr_array[Any]:
    """Return the number of channels from each node to each other, [nodes, nodes]."""
    return _between_nodes(package, flow_network(package).width.astype(float))


def _between_nodes(package: Package, of_arc: Floats) -> csr_array[Any]:
    """Return a value of each arc as a matrix of the nodes that are not memory stacks, [nodes, nodes]."""
    from scipy.sparse import coo_array

    arcs = flow_network(package)
    keep = np.zeros(arcs.num_vertices, bool)
    keep[: len(package.nodes)] = [not isinstance(node, Memory) for node in package.nodes]
    inside = keep[arcs.tail] & keep[arcs.head]
    place = np.cumsum(keep) - 1
    ends = place[arcs.tail[inside]], place[arcs.head[inside]]
    size = int(keep.sum())
    return coo_array((of_arc[inside], ends), shape=(size, size)).tocsr()


def low_spectrum(weights: csr_array[Any], count: int = 1) -> tuple[Floats, Floats]:
    """Return the smallest Laplacian eigenvalues of symmetric weights after the first, which is 0.

    Parameters
    ----------
    weights
        Edge weights of a connected graph, [nodes, nodes].
    count
        How many; fewer where there are not as many.

    Returns
    -------
    values, vectors
        [count], rising, and [nodes, count]. The first value is Fiedler's algebraic connectivity.
    """
    size = weights.shape[0]
    count = min(count, size - 1)
    degree = np.asarray(weights.sum(axis=1), dtype=float).ravel()
    if size <= MOST_DENSE:
        values, vectors = np.linalg.eigh(np.diag(degree) - weights.toarray())
    else:
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import eigsh

        top = 2.0 * float(degree.max())  # above every eigenvalue: the least become the largest
        shifted = diags_array(top - degree) + weights
        start = np.random.default_rng(0).random(size)
        values, vectors = eigsh(shifted.tocsr(), k=count + 1, v0=start, which="LA", tol=1e-9)
        rising = np.argsort(-values)
        values, vectors = top - values[rising], vectors[:, rising]
    return np.maximum(values[1 : count + 1], 0.0), np.asarray(vectors[:, 1 : count + 1], dtype=float)

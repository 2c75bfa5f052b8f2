"""A package's network as sparse matrices: chiplets, switches and their links, memory stacks left out.

These are what `noptoolkit.topology.structure` and `noptoolkit.topology.halves` measure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noptoolkit.package import Memory, Package

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Network", "fiedler", "links_between", "network", "symmetric"]

MOST_DENSE = 200
"""Nodes up to which all eigenvalues are taken; beyond, Lanczos iterations find two."""


class Network(NamedTuple):
    """Names of the nodes, indices of the chiplets among them, and bandwidth [nodes, nodes] in B/s."""

    names: tuple[str, ...]
    chiplets: NDArray[np.int64]
    bandwidth: csr_array[Any]


@lru_cache(maxsize=16)
def network(package: Package) -> Network:
    """Return the network of a package, from which memory stacks are left out."""
    names = tuple(node.name for node in package.nodes if not isinstance(node, Memory))
    keep = np.array([package.index[name] for name in names])
    chiplets = set(package.terminals)
    ends = np.array([i for i, name in enumerate(names) if name in chiplets])
    return Network(names, ends, package.to_sparse()[keep][:, keep])


def symmetric(package: Package) -> csr_array[Any]:
    """Return the mean of the bandwidths of both directions, [nodes, nodes], in B/s."""
    from scipy.sparse import csr_array

    bandwidth = network(package).bandwidth
    return csr_array((bandwidth + bandwidth.T) / 2)


def links_between(package: Package) -> csr_array[Any]:
    """Return the number of channels from each node to each other, [nodes, nodes]."""
    from scipy.sparse import coo_array

    names = network(package).names
    index = {name: i for i, name in enumerate(names)}
    ends = [(index[c.tail], index[c.head]) for c in package.channels if c.tail in index and c.head in index]
    tail, head = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return coo_array((np.ones(len(tail)), (tail, head)), shape=(len(names),) * 2).tocsr()


def fiedler(weights: csr_array[Any]) -> tuple[float, NDArray[np.float64]]:
    """Return the second-smallest Laplacian eigenvalue of symmetric weights, and its vector."""
    size = weights.shape[0]
    if size < 2:
        return 0.0, np.zeros(size)
    degree = np.asarray(weights.sum(axis=1), dtype=float).ravel()
    if size <= MOST_DENSE:
        values, vectors = np.linalg.eigh(np.diag(degree) - weights.toarray())
        return max(float(values[1]), 0.0), vectors[:, 1]
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    top = 2.0 * float(degree.max())  # above every eigenvalue: the two least become the two largest
    shifted = diags_array(top - degree) + weights
    start = np.random.default_rng(0).random(size)
    values, vectors = eigsh(shifted.tocsr(), k=2, v0=start, which="LA", tol=1e-9)
    second = int(np.argmin(values))
    return max(top - float(values[second]), 0.0), np.asarray(vectors[:, second], dtype=float)

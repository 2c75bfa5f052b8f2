"""Random messages to sets, and the optimum over every tree, for the tests of multicasts."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
from scipy.optimize import linprog

from noptoolkit import Memory
from noptoolkit.traffic import DestinationSets, Traffic


def capable(package, names=None):
    """The package with nodes (all, or those named) that replicate and reduce."""
    nodes = [
        node
        if isinstance(node, Memory) or (names is not None and node.name not in names)
        else dataclasses.replace(node, replicates=True, reduces=True)
        for node in package.nodes
    ]
    return package.replace(nodes=nodes)


def random_sets(endpoints, count, size, seed):
    rng = np.random.default_rng(seed)
    members = np.zeros((count, -(-endpoints // 64)), np.uint64)
    for row in members:
        for end in rng.choice(endpoints, rng.integers(1, size + 1), replace=False):
            row[end // 64] |= np.uint64(1) << np.uint64(end % 64)
    root = rng.integers(0, endpoints, count)
    return DestinationSets(root, members, rng.uniform(0.5, 1.5, count))


def messages(package, sets, *, reverse=False):
    names = package.terminals
    nothing = np.zeros((len(names), len(names)))
    parts = {"reduction": sets} if reverse else {"multicast": sets}
    return Traffic(names, nothing, **parts)


def members_of(sets, row, names):
    held = {name for i, name in enumerate(names) if int(sets.members[row, i // 64]) >> (i % 64) & 1}
    return held - {names[sets.root[row]]}


def all_tree_packing_time(package, sets, reverse):
    """The optimum over every arborescence of every message, for packages whose nodes all help."""
    channels = package.channels
    names = package.terminals
    columns, owner = [], []
    for row in range(len(sets.root)):
        root, members = names[sets.root[row]], members_of(sets, row, names)
        if not members:
            continue
        others = [name for name in names if name != root and name not in members]
        owner_row = len(set(owner))
        for extra in itertools.chain.from_iterable(
            itertools.combinations(others, k) for k in range(len(others) + 1)
        ):
            vertices = [*members, *extra]
            entering = [
                [a for a, c in enumerate(channels) if (c.tail if reverse else c.head) == v] for v in vertices
            ]
            for chosen in itertools.product(*entering):
                tree = nx.DiGraph(
                    [
                        (channels[a].head, channels[a].tail)
                        if reverse
                        else (channels[a].tail, channels[a].head)
                        for a in chosen
                    ]
                )
                if set(tree) == {root, *vertices} and nx.is_arborescence(tree):
                    column = np.zeros(len(channels))
                    column[list(chosen)] = sets.bytes[row]
                    columns.append(column)
                    owner.append(owner_row)
    load = np.array(columns).T
    bandwidth = np.array([channel.bandwidth for channel in channels])
    shares = np.array([[o == k for o in owner] for k in range(max(owner) + 1)], float)
    answer = linprog(
        np.r_[np.zeros(len(owner)), 1],
        np.c_[load, -bandwidth],
        np.zeros(len(channels)),
        np.c_[shares, np.zeros(len(shares))],
        np.ones(len(shares)),
    )
    return answer.fun

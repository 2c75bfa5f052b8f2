"""Groups at once as one linear program of flows inside budgets: no trees, none of the solvers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noptoolkit.collectives import Request
from noptoolkit.package import Chiplet, Package
from noptoolkit.testing.oracles.resources import Resources

__all__ = ["compact_optimum"]


def compact_optimum(package: Package, requests: Sequence[Request], *, computing: bool = False) -> float:
    """Solve the compact program: a budget for each group, and a flow to every member inside it.

    A chiplet that may send or receive only so much has a core of its own behind its router. Relays that
    compute need not balance their budgets: no more is asked, so no schedule of theirs is faster.

    Parameters
    ----------
    package
        Package without memory stacks.
    computing
        Whether relays add and copy.

    Raises
    ------
    ArithmeticError
        If HiGHS finds no optimum.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    names = [node.name for node in package.nodes]
    resources = Resources(package)
    width = float(np.median(resources.capacity))  # HiGHS likes numbers near 1
    most = max((request.size for request in requests), default=0.0)
    if most == 0:
        return 0.0
    capacity = (resources.capacity / width).tolist()
    ends = [(names.index(channel.tail), names.index(channel.head)) for channel in package.channels]
    used = [list(use) for use in resources.uses]
    core = {name: names.index(name) for name in names}
    n = len(names)
    for node in package.nodes:
        if not isinstance(node, Chiplet) or not {node.name} & (resources.sends.keys() | resources.receives):
            continue
        router, core[node.name] = core[node.name], n
        for tail, head, port in (
            (n, router, resources.sends.get(node.name)),
            (router, n, resources.receives.get(node.name)),
        ):
            ends.append((tail, head))
            used.append([] if port is None else [port])
        n += 1
    m = len(ends)
    rows: list[tuple[dict[int, float], float, bool]] = []
    count = 1

    def new(k: int) -> int:
        nonlocal count
        count += k
        return count - k

    use: list[list[int]] = [[] for _ in range(m)]

    def half(members: list[int], back: bool, shares: list[float] | int, total: float) -> None:
        budget = new(m)
        for a in range(m):
            use[a].append(budget + a)
        into = [[a for a in range(m) if ends[a][0 if back else 1] == v] for v in range(n)]
        out = [[a for a in range(m) if ends[a][1 if back else 0] == v] for v in range(n)]
        for v in set[int]() if computing else set(range(n)) - set(members):
            rows.append(({budget + a: 1.0 for a in into[v]} | {budget + a: -1.0 for a in out[v]}, 0.0, True))
        for t in members:
            y, s = new(m), new(len(members))
            rows.extend(({y + a: 1.0, budget + a: -1.0}, 0.0, False) for a in range(m))
            for i in range(len(members)):
                if isinstance(shares, int):
                    rows.append(({s + i: 1.0, shares + i: -1.0}, 0.0, False))
                else:
                    rows.append(({s + i: 1.0}, shares[i], False))
            for v in range(n):
                row = {y + a: 1.0 for a in into[v]} | {y + a: -1.0 for a in out[v]}
                if v in members:
                    row[s + members.index(v)] = 1.0
                rows.append((row, total if v == t else 0.0, True))

    for request in requests:
        members = [core[name] for name in request.members]
        if request.motion == "both":
            x = new(len(members))
            size = request.size / most
            rows.append(({x + i: 1.0 for i in range(len(members))}, size, True))
            half(members, False, x, size)
            half(members, True, x, size)
        elif request.motion == "exchange":
            pairs = request.pair_bytes() / most
            for i in range(len(members)):
                if not pairs[i].any():
                    continue
                y = new(m)
                for a in range(m):
                    use[a].append(y + a)
                for v in range(n):
                    if v != members[i]:
                        row = {y + a: 1.0 for a in range(m) if ends[a][1] == v}
                        row |= {y + a: -1.0 for a in range(m) if ends[a][0] == v}
                        rows.append((row, float(pairs[i, members.index(v)]) if v in members else 0.0, True))
        else:
            shares = (request.share_bytes() / most).tolist()
            half(members, request.motion == "collect", shares, request.size / most)
    for r, room in enumerate(capacity):
        row = {0: -float(room)}
        for a in range(m):
            row |= dict.fromkeys(use[a], 1.0) if r in used[a] else {}
        rows.append((row, 0.0, False))
    data = [(r, c, v) for r, (row, _, _) in enumerate(rows) for c, v in row.items()]
    matrix = coo_matrix(
        ([d[2] for d in data], ([d[0] for d in data], [d[1] for d in data])), (len(rows), count)
    ).tocsr()
    equal = np.array([row[2] for row in rows])
    right = np.array([row[1] for row in rows])
    cost = np.zeros(count)
    cost[0] = 1.0
    found = linprog(cost, matrix[~equal], right[~equal], matrix[equal], right[equal], method="highs")
    if found.status != 0:
        raise ArithmeticError(f"HiGHS: {found.message}")
    return float(found.fun) * most / width

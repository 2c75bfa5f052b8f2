"""Groups at once as one linear program of flows inside budgets: no trees, none of the solvers."""

from __future__ import annotations

import numpy as np

from noptoolkit import Package
from noptoolkit.collectives import Request


def compact_optimum(package: Package, requests: list[Request], *, computing: bool = False) -> float:
    """Solve the compact program: a budget for each group, and a flow to every member inside it.

    Relays that compute need not balance their budgets: no more is asked, so no schedule of theirs is faster.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_matrix

    names = [node.name for node in package.nodes]
    arcs: dict[tuple[int, int], float] = {}
    for channel in package.channels:
        key = names.index(channel.tail), names.index(channel.head)
        arcs[key] = arcs.get(key, 0.0) + channel.bandwidth
    ends = list(arcs)
    n, m = len(names), len(ends)
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
        for v in set() if computing else set(range(n)) - set(members):
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
        members = [names.index(name) for name in request.members]
        if request.motion == "both":
            x = new(len(members))
            rows.append(({x + i: 1.0 for i in range(len(members))}, request.size, True))
            half(members, False, x, request.size)
            half(members, True, x, request.size)
        elif request.motion == "exchange":
            pairs = request.pair_bytes()
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
            half(members, request.motion == "collect", request.share_bytes().tolist(), float(request.size))
    for a in range(m):
        rows.append((dict.fromkeys(use[a], 1.0) | {0: -arcs[ends[a]]}, 0.0, False))
    data = [(r, c, v) for r, (row, _, _) in enumerate(rows) for c, v in row.items()]
    matrix = coo_matrix(
        ([d[2] for d in data], ([d[0] for d in data], [d[1] for d in data])), (len(rows), count)
    ).tocsr()
    equal = np.array([row[2] for row in rows])
    right = np.array([row[1] for row in rows])
    cost = np.zeros(count)
    cost[0] = 1.0
    found = linprog(cost, matrix[~equal], right[~equal], matrix[equal], right[equal], method="highs")
    assert found.status == 0
    return float(found.fun)

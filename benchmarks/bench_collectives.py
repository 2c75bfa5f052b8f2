"""Certified collectives at scale: processor time to the exact cut, to a schedule, and to groups within 1 %.

Run from the checkout, for instance::

    python benchmarks/bench_collectives.py cuts --seed 41        # exact cuts, ratio to networkx
    python benchmarks/bench_collectives.py schedules --seed 41   # all-gather and all-reduce with trees
    python benchmarks/bench_collectives.py groups                # tensor-parallel groups, experts among them
    python benchmarks/bench_collectives.py programs --seed 41    # small sets of groups, ratio to HiGHS

Times are processor seconds of this process, which a busy machine changes less than wall time, without
numba's one-off compilation. The baseline of ``cuts`` is kind to networkx: it is given the optimal ratio,
and only has to confirm it by one maximum flow per member. The baseline of ``programs`` is the compact linear
program of the same all-reduces (a budget of each group in and out, and a flow to every member inside it), as
one call of HiGHS.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator

import networkx as nx
import numpy as np

from noptoolkit import Package
from noptoolkit.collectives import CollectiveResult, Request, collective
from noptoolkit.collectives.exact.cuts import spreading_cut
from noptoolkit.collectives.exact.integer_graph import integer_graph
from noptoolkit.network import flow_network
from noptoolkit.topology import mesh, torus


def packages(sizes: tuple[int, ...], seed: int) -> Iterator[Package]:
    """Return meshes, tori and random regular graphs, with links alike and with random ones."""
    rng = np.random.default_rng(seed)
    for n in sizes:
        k = round(n**0.5)
        graph = nx.random_regular_graph(6, n, seed=seed)
        plain = [
            mesh(k, k, link_bandwidth="1 GB/s"),
            torus(k, k, link_bandwidth="1 GB/s"),
            Package.from_networkx(graph, bandwidth="1 GB/s", name=f"random-regular-{n}-6"),
        ]
        yield from plain
        for package in (plain[0], plain[2]):
            links = [
                dataclasses.replace(link, bandwidth=1e9 * float(rng.integers(10, 41)))
                for link in package.links
            ]
            yield package.replace(name=f"{package.name}, random links", links=links)


def seconds(run: Callable[[], object]) -> tuple[object, float]:
    begun = time.process_time()
    found = run()
    return found, time.process_time() - begun


def cuts(seed: int) -> None:
    print(f"{'package':34s} {'exact cut':>10s} {'flows':>6s} {'cpu ms':>8s} {'networkx':>9s}")
    for package in (*packages((16,), seed), *packages((64, 256, 1024), seed)):
        graph = integer_graph(flow_network(package), weight=len(package.chiplets))
        nodes = np.arange(len(package.chiplets))
        ones = np.ones(len(nodes), np.int64)
        found, ours = seconds(lambda g=graph, v=nodes, w=ones: spreading_cut(g, v, w, v))
        ratio = found.ratio  # type: ignore[attr-defined]
        shown = "-"
        if len(nodes) == 64:
            _, theirs = seconds(lambda g=graph, v=nodes, r=ratio: confirm(g, v, r))
            shown = f"{theirs / max(ours, 1e-6):,.0f} x"
        if len(nodes) > 16:  # 16: warms up
            print(f"{package.name:34s} {str(ratio)[:10]:>10s} {found.flows:6d} {1e3 * ours:8.2f} {shown:>9s}")  # type: ignore[attr-defined]


def confirm(graph: object, nodes: np.ndarray, ratio: object) -> None:
    """Confirm a ratio by networkx: one maximum flow for every member."""
    flow = nx.DiGraph()
    for u, v, c in zip(graph.tail, graph.head, graph.capacity, strict=True):  # type: ignore[attr-defined]
        flow.add_edge(int(u), int(v), capacity=int(c) * ratio.numerator)  # type: ignore[attr-defined]
    for v in nodes.tolist():
        flow.add_edge("source", v, capacity=ratio.denominator)  # type: ignore[attr-defined]
    for v in nodes.tolist():
        value = nx.maximum_flow_value(flow, "source", v, flow_func=nx.algorithms.flow.preflow_push)
        assert value == len(nodes) * ratio.denominator  # type: ignore[attr-defined]


def schedules(seed: int) -> None:
    for kind in ("all-gather", "all-reduce"):
        collective(mesh(4, 4), kind, "1 MB")
        collective(mesh(9, 9), kind, "1 MB")
    print(f"{'package':34s} {'kind':12s} {'gap':>7s} {'trees':>6s} {'cpu s':>7s}  status")
    for package in packages((64, 256, 1024), seed):
        for kind in ("all-gather", "all-reduce"):
            found, took = seconds(lambda p=package, k=kind: collective(p, k, "64 MB"))
            show(package.name, kind, found, took)


def show(name: str, kind: str, found: object, took: float) -> None:
    assert isinstance(found, CollectiveResult)
    trees = "-" if found.schedule is None else str(len(found.schedule))
    print(f"{name:34s} {kind:12s} {found.gap:7.3%} {trees:>6s} {took:7.2f}  {found.status}", flush=True)


def groups(seed: int) -> None:
    collective(mesh(4, 4), "all-reduce", "1 MB", groups=[mesh(4, 4).experts[:4]])
    print(f"{'package':34s} {'groups':12s} {'gap':>7s} {'trees':>6s} {'cpu s':>7s}  status")
    for repeat in ("(compiles)", ""):
        for k in (16,) if repeat else (8, 16, 32):
            for package in (mesh(k, k, link_bandwidth="1 GB/s"), torus(k, k, link_bandwidth="1 GB/s")):
                ids, names = np.arange(k * k).reshape(k, k), package.experts
                tensor = [
                    Request("all-reduce", "1 GB", [names[x] for x in ids[i : i + 2, j : j + 2].ravel()])
                    for i in range(0, k, 2)
                    for j in range(0, k, 2)
                ]
                stride = max(2, k // 4)
                expert = [
                    Request("all-to-all", "1 GB", [names[x] for x in ids[i::stride, j::stride].ravel()])
                    for i in range(stride)
                    for j in range(stride)
                ]
                for title, requests in (("TP4", tensor), ("TP4 and EP", tensor + expert)):
                    if k == 32 and title != "TP4":
                        continue
                    found, took = seconds(lambda p=package, r=requests: collective(p, groups=r))
                    if not repeat:
                        show(package.name, title, found, took)


def programs(seed: int) -> None:
    """Print small sets of all-reduces, to a gap of 1e-4, beside the compact program."""
    rng = np.random.default_rng(seed)
    print(
        f"{'package':34s} {'groups':>7s} {'time':>9s} {'HiGHS':>9s} {'cpu ms':>8s} {'HiGHS ms':>9s}   ratio"
    )
    for repeat in ("(compiles)", ""):
        for k in (3, 4, 5, 6):
            for package in (mesh(k, k, link_bandwidth="1 GB/s"), torus(k, k, link_bandwidth="1 GB/s")):
                order = rng.permutation(k * k)[: k * k - k * k % 3]
                groups = [sorted(group.tolist()) for group in order.reshape(3, -1)]
                named = [[package.experts[i] for i in group] for group in groups]
                found, ours = seconds(
                    lambda p=package, g=named: collective(p, "all-reduce", 1e9, groups=g, tol=1e-4)
                )
                if repeat:
                    continue
                optimum, theirs = seconds(lambda p=package, g=groups: compact(p, g))
                assert isinstance(found, CollectiveResult)
                assert isinstance(optimum, float)
                assert abs(found.time / optimum - 1) < 2e-4
                print(
                    f"{package.name:34s} {len(groups):7d} {found.time:9.6f} {optimum:9.6f} {1e3 * ours:8.1f} "
                    f"{1e3 * theirs:9.1f} {theirs / ours:6.1f}x",
                    flush=True,
                )


def compact(package: Package, groups: list[list[int]]) -> float:
    """Return the least time of all-reduces of 1 GB at the same time, among members with links of 1 GB/s."""
    from scipy.optimize import linprog
    from scipy.sparse import bmat, csr_array

    network = flow_network(package)
    n, m = network.num_vertices, network.num_arcs
    arcs = np.arange(m)
    balance = csr_array(
        (np.r_[np.ones(m), -np.ones(m)], (np.r_[network.head, network.tail], np.r_[arcs, arcs])), (n, m)
    )
    width = 1 + sum(len(group) + 2 * m * (1 + len(group)) + 2 * len(group) ** 2 for group in groups)
    equal, right, below = [], [], []
    total = [csr_array((m, 1))]
    for group in groups:
        k = len(group)
        relays = np.setdiff1d(np.arange(n), group)
        place = csr_array((np.ones(k), (group, np.arange(k))), (n, k))
        shares = [csr_array(np.ones((1, k)))]
        size = k + 2 * (m + k * (m + k))
        rows, limits, rhs = [], [], [1.0]
        at = k
        first = bmat([[*shares, csr_array((1, size - k))]])
        rows.append(first)
        used = csr_array((m, size))
        for sign in (1.0, -1.0):
            budget = csr_array((np.ones(m), (arcs, at + arcs)), (m, size))
            used = used + budget
            rows.append(csr_array(balance[relays] @ budget))
            rhs += [0.0] * len(relays)
            at += m
            for t in group:
                flow = csr_array((np.ones(m), (arcs, at + arcs)), (m, size))
                sent = csr_array((np.ones(k), (np.arange(k), at + m + np.arange(k))), (k, size))
                share = csr_array((np.ones(k), (np.arange(k), np.arange(k))), (k, size))
                limits += [flow - budget, sent - share]
                rows.append(csr_array(sign * (balance @ flow) + place @ sent))
                rhs += (np.arange(n) == t).astype(float).tolist()
                at += m + k
        equal.append(bmat([[row] for row in rows]))
        below.append(bmat([[row] for row in limits]))
        right += rhs
        total.append(used)
    none = np.zeros(1 + sum(block.shape[1] for block in equal))
    none[0] = 1.0
    assert len(none) == width
    blocks = [[None] * len(groups) for _ in groups]
    for i in range(len(groups)):
        blocks[i][i] = equal[i]
    equals = bmat([[csr_array((len(right), 1)), bmat(blocks)]])
    for i in range(len(groups)):
        blocks[i][i] = below[i]
    inside = bmat(blocks)
    channels = bmat([[-csr_array(np.ones((m, 1))), *total[1:]]])
    limits = bmat([[bmat([[csr_array((inside.shape[0], 1)), inside]])], [channels]])
    found = linprog(none, limits, np.zeros(limits.shape[0]), equals, np.array(right), method="highs")
    assert found.status == 0
    return float(found.fun)


COMMANDS = {"cuts": cuts, "schedules": schedules, "groups": groups, "programs": programs}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS, nargs="?", default="cuts")
    parser.add_argument("--seed", type=int, default=41)
    given = parser.parse_args()
    COMMANDS[given.command](given.seed)


if __name__ == "__main__":
    main()

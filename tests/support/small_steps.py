"""Small random steps, all their tables of paths, and their best makespans by CP-SAT."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import networkx as nx
import numpy as np
from ortools.sat.python import cp_model

from noptoolkit import (
    Allocation,
    Batch,
    Chiplet,
    Link,
    Memory,
    MoEModel,
    Package,
    RoutingTrace,
    Switch,
    Workload,
    allocate,
)
from noptoolkit._arrays import Floats
from noptoolkit.network import flow_network
from noptoolkit.scheduling import TaskGraph
from noptoolkit.step import Step, StepOptions
from noptoolkit.step.costing import unrouted_step
from noptoolkit.step.routes import StepRouting, routed_step
from noptoolkit.step.transfers import Pair

RATE = 1e9
"""Of every link and stack of `star`, in B/s."""


def small_package(rng: np.random.Generator, *, tree: bool = False) -> Package:
    """Return a ring of an attention chiplet and two or three experts, often with a chord; or a star."""
    experts = int(rng.integers(2, 4))
    names = ["a", *(f"e{i}" for i in range(experts))]
    stacks = int(rng.integers(1, 3))

    def rate() -> float:
        return float(rng.choice([1e9, 1e9, 2e9, 4e9]))

    nodes: list[Chiplet | Switch | Memory] = [
        Chiplet(
            name,
            role="expert" if name != "a" else "attention",
            flops=float(rng.choice([0.3e12, 1e12, 4e12])),
            sram=float(rng.choice([60e3, 120e3, 1e6])) if name != "a" else None,
        )
        for name in names
    ]
    if tree:
        copies = bool(rng.random() < 0.5)
        nodes.append(Switch("hub", replicates=copies, reduces=copies))
        links = [Link("hub", name, rate()) for name in names]
    else:
        ring = [str(name) for name in rng.permutation(names)]
        links = [Link(a, b, rate()) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)]
        if len(ring) > 3 and rng.random() < 0.6:
            links.append(Link(ring[0], ring[2], rate()))
    served = np.array_split(rng.permutation(names), stacks)
    for k in range(stacks):
        bandwidth = 2 * rate()
        nodes.append(Memory(f"h{k}", bandwidth, serves=tuple(map(str, served[k]))))
        links.append(Link(f"h{k}", str(rng.choice(names)), bandwidth))
    return Package("small", nodes, links)


def small_workload(rng: np.random.Generator, package: Package, mode: str = "training") -> Workload:
    """Return a model with two experts a chiplet, one or two layers, one or two micro-batches."""
    experts = 2 * len(package.experts)
    model = MoEModel(
        "tiny", 64, int(rng.integers(1, 3)), 4, 4, 16, 200, expert_width=32, experts=experts, top_k=2
    )
    length, parts = int(rng.choice([16, 64])), int(rng.integers(1, 3))
    batch = Batch(sequences=2, sequence_length=length, micro_batches=parts, mode=mode)  # type: ignore[arg-type]
    chosen = [rng.choice(experts, 2, replace=False).tolist() for _ in range(16)]
    return Workload("tiny", model, batch, RoutingTrace(chosen, num_experts=experts))


def small_step(rng: np.random.Generator, *, tree: bool = False, mode: str = "training") -> Step:
    """Return a small random step, unrouted."""
    package = small_package(rng, tree=tree)
    workload = small_workload(rng, package, mode)
    return unrouted_step(package, workload, allocate(workload.trace, package, method="contiguous"))


def paths_of(package: Package, pairs: Sequence[Pair], most: int = 4) -> dict[Pair, list[Floats]]:
    """Return some simple paths of each pair, shortest first, as shares of each arc."""
    network = flow_network(package)
    graph = nx.DiGraph()
    for arc in range(network.num_arcs):
        graph.add_edge(int(network.tail[arc]), int(network.head[arc]), arc=arc)
    found: dict[Pair, list[Floats]] = {}
    for source, sink in pairs:
        ends = network.origin[package.index[source]], network.destination[package.index[sink]]
        found[source, sink] = []
        for nodes in itertools.islice(nx.shortest_simple_paths(graph, *map(int, ends)), most):
            share = np.zeros(network.num_arcs)
            share[[graph[a][b]["arc"] for a, b in itertools.pairwise(nodes)]] = 1.0
            found[source, sink].append(share)
    return found


def tables(
    rng: np.random.Generator, paths: Mapping[Pair, list[Floats]], most: int
) -> Iterator[dict[Pair, Floats]]:
    """Yield all tables of one path per pair where there are few, else random ones."""
    if np.prod([float(len(ways)) for ways in paths.values()]) <= most:
        for chosen in itertools.product(*paths.values()):
            yield dict(zip(paths, chosen, strict=True))
        return
    for _ in range(most):
        yield {ends: ways[int(rng.integers(len(ways)))] for ends, ways in paths.items()}


def along(step: Step, table: Mapping[Pair, Floats]) -> Step:
    """Return a step whose pairs follow a table."""
    return routed_step(step, StepRouting("table", lambda sent, ends, size: table[ends]))


def best_makespan(graph: TaskGraph, limit: float) -> float:
    """Return the makespan of the best order that CP-SAT finds; buffers may overflow."""
    unit = float(graph.duration.max()) / 2**20
    length = [int(np.ceil(time / unit)) for time in graph.duration]
    model = cp_model.CpModel()
    horizon = sum(length)
    start = [model.new_int_var(0, horizon, "") for _ in length]
    held: dict[int, list[cp_model.IntervalVar]] = {}
    for i, need in enumerate(graph.need.tolist()):
        for resource in graph.needs[need][0]:
            if length[i]:
                interval = model.new_fixed_size_interval_var(start[i], length[i], "")
                held.setdefault(resource, []).append(interval)
        for p in graph.pred[graph.pred_ptr[i] : graph.pred_ptr[i + 1]].tolist():
            model.add(start[i] >= start[p] + length[p])
    for intervals in held.values():
        model.add_no_overlap(intervals)
    end = model.new_int_var(0, horizon, "")
    for i, time in enumerate(length):
        model.add(end >= start[i] + time)
    model.minimize(end)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_deterministic_time = limit  # the same on a busy machine
    solver.parameters.random_seed = 1
    status = solver.solve(model)
    assert status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return solver.objective_value * unit


def star(sram: float | None = None, *, experts: int = 3) -> Package:
    """Return a host and experts round a switch that copies, with one stack for all."""
    nodes = [
        Switch("hub", replicates=True, reduces=True),
        Chiplet("a", role="attention", flops=1e12, sram=sram),
        *(Chiplet(f"e{i}", role="expert", flops=1e12, sram=sram) for i in range(experts)),
        Memory("hbm", bandwidth=RATE),
    ]
    return Package("star", nodes, [Link("hub", node.name, RATE) for node in nodes[1:]])


def step_of(package: Package, *, copies: bool = False, mode: str = "training", **options: object) -> Step:
    """Return a step of a small model, of which every chiplet holds two experts, or all."""
    work = small_workload(np.random.default_rng(0), package, mode)
    layout = allocate(work.trace, package, method="contiguous")
    if copies:
        first = layout.chiplet_of_expert[0].tolist()
        chiplets = range(len(layout.experts))
        rest = [(expert, i) for expert, one in enumerate(first) for i in chiplets if i != one]
        layout = Allocation(layout.experts, first, replicas=[rest])
    return unrouted_step(package, work, layout, StepOptions(**options))  # type: ignore[arg-type]


def expert_bytes(step: Step) -> float:
    return float(step.workload.model.expert_parameters * step.workload.batch.bytes_per_value)

"""What names and the order of nodes may not change, and arrays whose bounds are checked."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import noptoolkit as nop
from noptoolkit import Memory, Package
from noptoolkit.simulate import Router, Sampling, Transfers, simulate, uniform

FLIT = 128.0


def relabelled(package: Package, seed: int) -> tuple[Package, dict[str, str]]:
    """Return a package whose nodes and links stand in another order under other names."""
    rng = np.random.default_rng(seed)
    names = [node.name for node in package.nodes]
    new = dict(zip(names, [f"x{k}" for k in rng.permutation(len(names)).tolist()], strict=True))
    nodes = [
        replace(node, name=new[node.name], serves=tuple(new[name] for name in node.serves))
        if isinstance(node, Memory)
        else replace(node, name=new[node.name])
        for node in package.nodes
    ]
    links = [replace(link, a=new[link.a], b=new[link.b]) for link in package.links]
    return (
        Package(
            "relabelled",
            [nodes[k] for k in rng.permutation(len(nodes)).tolist()],
            [links[k] for k in rng.permutation(len(links)).tolist()],
        ),
        new,
    )


def test_relabelling_changes_no_load_no_lone_latency_and_no_mean() -> None:
    package = nop.load_topology("mozart-nop-tree")
    rng = np.random.default_rng(3)
    ends = list(package.terminals)
    plan = [rng.permutation(ends)[: int(rng.integers(2, 6))].tolist() for _ in range(80)]
    seen = []
    for seed in range(3):
        other, new = relabelled(package, seed) if seed else (package, {n.name: n.name for n in package.nodes})
        moves = Transfers([new[name] for name in ends])
        for k, (root, *members) in enumerate(plan):
            add = moves.multicast if k % 2 else moves.reduce
            add(new[root], [new[name] for name in members], 4 * FLIT)
        busy = simulate(other, moves, until="done", router=Router(flit=FLIT), checked=True)
        lone = Transfers([new[name] for name in ends])
        pairs = [(a, b) for a in ends[:6] for b in ends if a != b]
        for k, (a, b) in enumerate(pairs):
            lone.send(new[a], new[b], FLIT, at=k * 1e-7)
        alone = simulate(other, lone, until="done", router=Router(flit=FLIT))
        drawn = simulate(
            other,
            uniform(other, among=[new[name] for name in ends]),
            rate=0.2,
            sampling=Sampling(period=2000),
        )
        load = dict(zip(other.channel_names, busy.flits.tolist(), strict=True))
        back = {fresh: old for old, fresh in new.items()}
        old_load = {tuple(back[end] for end in name.split("->")): x for name, x in load.items()}
        seen.append((old_load, alone.finished.tolist(), busy.cycles, drawn.latency, drawn.accepted))
    for other_one in seen[1:]:
        assert other_one[0] == seen[0][0]
        assert other_one[1] == seen[0][1]
        assert other_one[2] == pytest.approx(seen[0][2], rel=0.1)
        assert other_one[3] == pytest.approx(seen[0][3], rel=0.03)
        assert other_one[4] == pytest.approx(seen[0][4], rel=0.03)


def test_the_fullest_buffer_is_counted() -> None:
    package = nop.topology.mesh(3)
    calm, busy = (
        simulate(package, "uniform", rate=rate, sampling=Sampling(period=500), checked=True)
        for rate in (0.05, 0.95)
    )
    most = busy.router.vcs * busy.router.depth
    assert (calm.peak_occupancy >= np.ceil(calm.occupancy)).all()
    assert calm.peak_occupancy.max() < busy.peak_occupancy.max() <= most
    hub = Transfers(package.terminals)
    for source in package.terminals[1:]:
        hub.send(source, package.terminals[0], 40 * 128.0)
    run = simulate(package, hub, until="done", router=Router(flit=128.0, vcs=2, depth=8, ejection=1.0))
    assert run.peak_occupancy.max() == 16  # both VCs of the channels to the hot spot are full
    alone = Transfers(package.terminals)
    alone.send(package.terminals[0], package.terminals[2], 128.0)
    run = simulate(package, alone, until="done", router=Router(flit=128.0))
    assert sorted(run.peak_occupancy.tolist())[-3:] == [0, 1, 1]


CHECKED = """
import noptoolkit as nop
from noptoolkit.simulate import Router, Sampling, Transfers, simulate
mesh, quick = nop.topology.mesh(3), Sampling(period=200)
for routing in ("dor", "ecmp", "valiant", "up-down", "adaptive"):
    for packet in (1, 3):
        router = Router(vcs=6, packet=packet)
        simulate(mesh, "uniform", rate=0.9, routing=routing, router=router, sampling=quick, checked=True)
for name in ("torus-4x4", "ring-16", "mozart-nop-tree"):
    other = nop.load_topology(name)
    router = Router(vcs=3, depth=3, packet=3, fit_buffers=False)
    simulate(other, "uniform", rate=0.9, routing="adaptive", router=router, sampling=quick, checked=True)
tree = nop.load_topology("mozart-nop-tree")
moves = Transfers(tree.terminals)
for k in range(40):
    root, *members = (tree.terminals[(k * 5 + j) % len(tree.terminals)] for j in range(4))
    first = moves.multicast(root, members, 500)
    moves.reduce(root, members, 300, after=[first])
run = simulate(tree, moves, until="done", router=Router(flit=128.0, packet=2), checked=True)
print(run.packets, run.cycles, run.checksum)
"""


@pytest.mark.long
def test_no_index_is_out_of_bounds(tmp_path: Path) -> None:
    """Compiled anew with a check of every index: nothing is raised, and the results are the same."""
    plain, checked = (
        subprocess.run(
            [sys.executable, "-c", CHECKED],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        for more in ({}, {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)})
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == plain.stdout != ""

"""Machines of published plans: counts, widths of cuts, and the ports of every die."""

from collections import Counter

import pytest

import noptoolkit as nop
from noptoolkit import topology
from noptoolkit.errors import TopologyError
from noptoolkit.topology.machines import MODULE_LINKS


@pytest.mark.parametrize("gpus", [1, 8, 16, 64, 1024])
def test_dgx_has_two_levels_of_full_bisection(gpus: int) -> None:
    machine = topology.dgx_h100(gpus)
    widths = Counter((link.a[:2], link.bandwidth) for link in machine.links)
    assert widths["nv", 450e9] == gpus
    assert widths["hb", 3.35e12] == gpus
    if gpus > 8:
        assert widths["ra", 50e9] == gpus
        assert widths["sp", 50e9 * gpus / 8] == 8
    assert all(memory.serves == (f"e{i}",) for i, memory in enumerate(machine.memories))
    assert machine.chiplets[0].flops == 989.5e12


def test_all_to_all_between_dgx_nodes_is_what_the_network_cards_let_through() -> None:
    """Half of what each GPU sends leaves the node of two: 8 x 8 x 8 pairs over 8 cards each way."""
    machine = topology.dgx_h100(16, memory=False)
    found = nop.collective(machine, "all-to-all", "16 MB", among="terminals")
    assert found.time == pytest.approx(8 * 1e6 / 50e9)
    assert found.time_bound == pytest.approx(found.time, rel=0.01)


def test_every_die_of_frontier_has_eight_ports() -> None:
    ports: Counter[int] = Counter()
    for a, b, count in MODULE_LINKS:
        ports[a] += count
        ports[b] += count
    for die in range(8):
        assert ports[die] + 1 + die % 2 == 8
    machine = topology.frontier(1024)
    cards = [link for link in machine.links if link.bandwidth == 25e9 and link.b.startswith("e")]
    assert len(cards) == 4 * 128
    assert sum(link.a.startswith("sw") and link.b.startswith("sw") for link in machine.links) == 32 * 31 // 2
    assert sum(link.bandwidth == 400e9 for link in topology.frontier(3 * 1024).links) == 3


def test_presets_are_the_builders() -> None:
    preset, built = nop.load_topology("dgx-h100-64"), topology.dgx_h100(64)
    assert preset.links == built.links
    assert preset.nodes == built.nodes
    preset, built = nop.load_topology("frontier-32"), topology.frontier(32)
    assert preset.links == built.links
    assert preset.nodes == built.nodes


def test_sizes_that_machines_do_not_have() -> None:
    with pytest.raises(TopologyError, match="gpus 20 is not a multiple of the 8 of a node; nearest: 16"):
        topology.dgx_h100(20)
    with pytest.raises(TopologyError, match="gcds 12 is not a multiple of the 8 of a node; nearest: 16"):
        topology.frontier(12)
    with pytest.raises(TopologyError, match="rails 9 is not between 1 and 8"):
        topology.gpu_nodes(2, 8, rails=9)
    with pytest.raises(TopologyError, match="gpus 0 is not between"):
        topology.dgx_h100(0)

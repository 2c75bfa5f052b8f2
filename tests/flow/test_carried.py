"""Whose bytes a channel carries, against every message followed along its own tree by networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from flow_cases import random_package
from message_cases import capable, members_of, messages, random_sets

from noptoolkit.flow import congestion
from noptoolkit.flow.carried import carried
from noptoolkit.traffic import DestinationSets


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_message_counts_for_its_root_and_for_those_behind_a_channel(seed: int, reverse: bool) -> None:
    package = capable(random_package(seed, nodes=8, rich=False))
    names = package.terminals
    sets = random_sets(len(names), 30, 4, seed=seed)
    several = [row for row in range(30) if len(members_of(sets, row, names)) > 1]  # else it is unicast
    sets = DestinationSets(sets.root[several], sets.members[several], sets.bytes[several])
    flow = congestion(package, messages(package, sets, reverse=reverse))
    parts = carried(flow)
    assert parts is not None
    network = flow.network
    at_root, at_members = np.zeros_like(parts.by_sender), np.zeros_like(parts.by_sender)
    channel_of_arc = {int(arc): i for i, arc in enumerate(network.arc_of_channel)}
    assert flow.routed.trees.branches
    for ways in flow.routed.trees.branches:
        for k, row in enumerate(ways.messages.tolist()):
            arcs = ways.arcs[ways.begins[k] : ways.begins[k + 1]].tolist()
            graph = nx.DiGraph((int(network.tail[arc]), int(network.head[arc])) for arc in arcs)
            if reverse:
                graph = graph.reverse()
            amount = ways.shares[k] * sets.bytes[row]
            root = package.index[names[sets.root[row]]]
            members = {package.index[name] for name in members_of(sets, row, names)}
            for arc in arcs:
                far = int(network.tail[arc] if reverse else network.head[arc])
                at_root[root, channel_of_arc[arc]] += amount
                for member in members & {far, *nx.descendants(graph, far)}:
                    at_members[member, channel_of_arc[arc]] += amount
    expected = (at_members, at_root) if reverse else (at_root, at_members)
    np.testing.assert_allclose(parts.by_sender, expected[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(parts.by_receiver, expected[1], rtol=1e-6, atol=1e-9)

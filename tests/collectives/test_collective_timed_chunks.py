"""Chunks as transfers: executed again by plain Python, in which every transfer waits for what it names."""

from itertools import pairwise

import numpy as np
import pytest
from collective_cases import grid, ring, star

from noptoolkit import Package, topology
from noptoolkit.collectives import KINDS, Request, collective
from noptoolkit.collectives.chunks import run_in_chunks
from noptoolkit.collectives.timed_chunks import timed_chunks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "package", [ring(4), grid(3, 2), star(4), topology.nop_tree(2, 2, link_bandwidth=1.0)]
)
def test_transfers_wait_for_what_they_carry(kind: str, package: Package) -> None:
    among = package.experts[:2] if kind == "send" else None
    schedule = collective(package, kind, 8.0, among=among).schedule
    assert schedule is not None
    found = timed_chunks(schedule, 3, alpha=0.1)
    assert found.end.max() == pytest.approx(run_in_chunks(schedule, 3, alpha=0.1).time)
    assert found.bytes.sum() == pytest.approx(schedule.amount[schedule.tree_of_hop].sum())
    channels = package.channels
    busy: dict[int, list[tuple[float, float]]] = {}
    for i in range(len(found)):
        before = found.waits[found.wait_start[i] : found.wait_start[i + 1]]
        assert all(found.end[x] <= found.start[i] + 1e-9 for x in before)
        assert all(found.target[x] == found.source[i] for x in before)
        assert all(found.hop[x] != found.hop[i] for x in before)
        path = found.links[found.path_start[found.hop[i]] : found.path_start[found.hop[i] + 1]].tolist()
        assert package.index[channels[path[0]].tail] == found.source[i]
        assert package.index[channels[path[-1]].head] == found.target[i]
        busy.setdefault(path[0], []).append((found.start[i], found.bytes[i] / channels[path[0]].bandwidth))
    for spans in busy.values():  # no channel takes in two chunks at a time
        spans.sort()
        assert all(a + long <= b + 1e-9 for (a, long), (b, _) in pairwise(spans))
    assert (np.diff(found.start[found.order]) >= 0).all()


def test_groups_at_once_keep_their_own_chunks() -> None:
    package = grid(4, 2)
    names = package.experts
    requests = [Request("all-reduce", 4.0, names[:4]), Request("all-gather", 2.0, names[4:])]
    schedule = collective(package, groups=requests).schedule
    assert schedule is not None
    found = timed_chunks(schedule, 2)
    owner = schedule.request[found.tree]
    for i in range(len(found)):
        assert (owner[found.waits[found.wait_start[i] : found.wait_start[i + 1]]] == owner[i]).all()

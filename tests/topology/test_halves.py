"""The bisection against enumeration, and every bound of it against the bisection."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import examples, seeds

from noptoolkit import Chiplet, Link, Memory, Package, Switch
from noptoolkit.errors import TopologyError
from noptoolkit.structure.bisection_bandwidth import _spectral_bound, bisection
from noptoolkit.structure.halving import MOST_TRIED, cut_weight, descend, place_switches
from noptoolkit.structure.matrices import links_between, network, symmetric
from noptoolkit.structure.tree_bound import tree_bound
from noptoolkit.topology import (
    dragonfly,
    fat_tree,
    flattened_butterfly,
    fully_connected,
    hypercube,
    mesh,
    nop_tree,
    random_regular,
    ring,
    star,
    torus,
    tree,
)


@st.composite
def packages(draw: st.DrawFn, *, extra: int = 10) -> Package:
    """Draw a connected package of few chiplets and switches, links of several bandwidths, some parallel."""
    count = draw(st.integers(2, 9))
    pairs = [(draw(st.integers(0, i - 1)), i) for i in range(1, count)]
    more = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] != p[1])
    pairs += draw(st.lists(more, max_size=extra))
    widths = draw(st.lists(st.sampled_from([1.0, 2.0, 2.5, 5.0]), min_size=len(pairs), max_size=len(pairs)))
    back = draw(st.lists(st.sampled_from([None, None, 1.5]), min_size=len(pairs), max_size=len(pairs)))
    switches = draw(st.sets(st.integers(0, count - 1), max_size=count - 2))
    nodes = [Switch(f"n{i}") if i in switches else Chiplet(f"n{i}", role="expert") for i in range(count)]
    links = [
        Link(f"n{a}", f"n{b}", w, reverse_bandwidth=r)
        for (a, b), w, r in zip(pairs, widths, back, strict=True)
    ]
    return Package("drawn", nodes, links)


def enumerated(package: Package) -> float:
    """Return the bisection bandwidth by trying every half and every placement of the switches."""
    chiplets = package.terminals
    switches = [switch.name for switch in package.switches]
    best = float("inf")
    for half in combinations(chiplets, len(chiplets) // 2):
        for size in range(len(switches) + 1):
            for more in combinations(switches, size):
                inside = {*half, *more}
                crossing = [link for link in package.links if (link.a in inside) != (link.b in inside)]
                best = min(best, sum(link.bandwidth + link.backward_bandwidth for link in crossing) / 2)
    return best


@settings(max_examples=examples(60), deadline=None)
@given(packages())
def test_bisection_is_the_least_cut(package: Package) -> None:
    exact = bisection(package)
    assert exact.status == "exact"
    assert exact.bandwidth == exact.bound == pytest.approx(enumerated(package))
    assert len(set(exact.half) & set(package.terminals)) in (
        len(package.terminals) // 2,
        (len(package.terminals) + 1) // 2,
    )
    bounded = bisection(package, exact=False)
    assert bounded.bound <= exact.bandwidth * (1 + 1e-9)
    assert bounded.bandwidth >= exact.bandwidth * (1 - 1e-9)


def test_a_search_that_is_cut_short_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    package = random_regular(40, 7, link_bandwidth=1.0)
    monkeypatch.setattr("noptoolkit.structure.bisection_bandwidth.SECONDS", 0.05)
    short = bisection(package)
    assert short.status == "bounded"
    assert 0 < short.bound < short.bandwidth
    assert short.bandwidth == bisection(package, exact=False).bandwidth


@settings(max_examples=examples(60), deadline=None)
@given(packages())
def test_no_bound_is_above_the_bisection(package: Package) -> None:
    least = enumerated(package) * (1 + 1e-9)
    weights, chiplets = symmetric(package), network(package).chiplets
    assert 0 <= tree_bound(weights, chiplets) <= least
    assert 0 <= _spectral_bound(weights, chiplets) <= least


@settings(max_examples=examples(60), deadline=None)
@given(packages(extra=0))
def test_trees_are_solved_exactly(package: Package) -> None:
    assert tree_bound(symmetric(package), network(package).chiplets) == pytest.approx(enumerated(package))


@settings(max_examples=examples(40), deadline=None)
@given(packages())
def test_switches_are_placed_at_best(package: Package) -> None:
    weights, chiplets = symmetric(package).toarray(), network(package).chiplets
    side = np.zeros(len(weights), dtype=bool)
    side[chiplets[: len(chiplets) // 2]] = True
    place_switches(weights, side, chiplets)
    switches = np.setdiff1d(np.arange(len(weights)), chiplets)
    least = float("inf")
    for choice in range(2 ** len(switches)):
        other = side.copy()
        other[switches] = [bool(choice >> i & 1) for i in range(len(switches))]
        least = min(least, cut_weight(weights, other))
    assert cut_weight(weights, side) == pytest.approx(least, rel=1e-4)


LARGE = {
    "trees": [
        (nop_tree(8, 8, attention=False), 4),
        (star(61), 30),
        (tree((2, 3, 4, 5), attention=False, uplink_factor=2), 8),
        (fat_tree(6), 27),
    ],
    "spectrum": [(hypercube(7), 64), (flattened_butterfly(8), 128), (fully_connected(50), 625)],
}


@pytest.mark.parametrize("proof", LARGE)
def test_large_packages_are_proved_without_a_routing(proof: str) -> None:
    for package, links in LARGE[proof]:
        cut = bisection(package)
        assert (cut.status, cut.proof) == ("exact", proof), package.name
        assert cut.bandwidth == pytest.approx(links * 128e9), package.name


def test_a_throughput_is_a_bound() -> None:
    package = torus(8, link_bandwidth=3.0)
    assert bisection(package).status == "bounded"
    assert bisection(package, throughput=3 / 64).status == "exact"
    below = bisection(package, throughput=2.7 / 64)
    assert (below.status, below.bound) == ("bounded", pytest.approx(45))  # 43.2, rounded up to links


def test_bounds_of_unlike_links_are_not_rounded() -> None:
    package = ring(40, link_bandwidth=1.0)
    odd = package.replace(links=[*package.links[1:], Link("e0", "e1", 2.0**0.5)])
    assert bisection(odd, exact=False, throughput=1.5 / 400).bound == pytest.approx(1.5)
    assert bisection(package, exact=False, throughput=1.5 / 400).bound == 2


def test_a_dragonfly_is_cut_between_its_groups() -> None:
    package = dragonfly(8, terminals=4, global_links=4, groups=16, link_bandwidth=1.0)
    assert bisection(package).bandwidth == 64


@pytest.mark.parametrize("seed", seeds(4, 6))
def test_descent_finds_the_least_cut_of_small_packages(seed: int) -> None:
    package = random_regular(24, 3, seed=seed, link_bandwidth=1.0)
    assert bisection(package, exact=False).bandwidth == bisection(package).bandwidth


@pytest.mark.parametrize(("seed", "size"), [(0, 14), (1, 14), (2, 14), (3, 4 * MOST_TRIED)])
def test_descent_swaps_are_worth_what_they_claim(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.random((size, size)) * (rng.random((size, size)) < 0.5), 1)
    weights += weights.T
    side = np.arange(size) < size // 2
    before = cut_weight(weights, side)
    descend(weights, side, np.arange(size))
    assert side.sum() == size // 2
    assert cut_weight(weights, side) <= before
    sign = np.where(side, 1.0, -1.0)
    gain = -sign * (weights @ sign)
    inside, outside = np.flatnonzero(side), np.flatnonzero(~side)
    swaps = gain[inside][:, None] + gain[outside] - 2 * weights[np.ix_(inside, outside)]
    assert swaps.max() <= 1e-6, "a swap is left that gains"
    i, j = 1, 2
    other = side.copy()
    other[inside[i]], other[outside[j]] = False, True
    assert cut_weight(weights, side) - cut_weight(weights, other) == pytest.approx(swaps[i, j])


def test_descent_leaves_what_no_swap_betters() -> None:
    side = np.arange(8) < 4
    descend(np.ones((8, 8)) - np.eye(8), side, np.arange(8))
    assert (side == (np.arange(8) < 4)).all()


def test_search_is_reproducible() -> None:
    package = random_regular(60, 4, link_bandwidth=1.0)
    assert bisection(package, rng=3) == bisection(package, rng=3)
    assert bisection(package).bandwidth < 60
    assert bisection(mesh(9, link_bandwidth=1.0)).bandwidth >= nx.grid_2d_graph(9, 9).number_of_nodes() // 9


def test_memory_and_lost_switches_do_not_count() -> None:
    plain, full = mesh(3), mesh(3, memory=True)
    assert bisection(full).bandwidth == bisection(plain).bandwidth
    tower = nop_tree(8, 8, attention=False)
    lost = tower.replace(
        nodes=[*tower.nodes, Switch("lost"), Switch("also lost")],
        links=[*tower.links, Link("lost", "also lost", 1.0)],
    )
    assert bisection(lost).bandwidth == bisection(tower).bandwidth


def test_one_chiplet_has_no_bisection() -> None:
    package = Package("one", [Chiplet("a"), Memory("m", 1.0)], [Link("a", "m", 1.0)])
    with pytest.raises(TopologyError, match="needs two chiplets"):
        bisection(package)


@given(packages())
@settings(max_examples=examples(40), deadline=None)
def test_matrices_count_every_channel(package: Package) -> None:
    """Bandwidth and number of channels of each pair, summed from the list of channels."""
    names, _, bandwidth = network(package)
    links = links_between(package).toarray()
    place = {name: i for i, name in enumerate(names)}
    wanted, count = np.zeros((2, len(names), len(names)))
    for channel in package.channels:
        if channel.tail in place and channel.head in place:
            wanted[place[channel.tail], place[channel.head]] += channel.bandwidth
            count[place[channel.tail], place[channel.head]] += 1
    np.testing.assert_allclose(bandwidth.toarray(), wanted, rtol=1e-12)
    np.testing.assert_array_equal(links, count)

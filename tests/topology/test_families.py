"""Each family against its closed forms, its published properties, or an independent construction."""

from collections import Counter
from collections.abc import Callable
from math import comb

import networkx as nx
import pytest

from noptoolkit import LinkKind, Package, congestion
from noptoolkit.errors import TopologyError
from noptoolkit.structure.profile import bisection, degrees, diameter, mean_hops, path_diversity
from noptoolkit.topology import (
    butter_donut,
    cluscross,
    concentrated_mesh,
    double_butterfly,
    dragonfly,
    express_ring,
    fat_tree,
    flattened_butterfly,
    folded_hexatorus,
    folded_octatorus,
    folded_torus,
    fully_connected,
    hexamesh,
    hexatorus,
    hierarchical,
    hypercube,
    kite,
    mesh,
    mesh_3d,
    nop_tree,
    octamesh,
    octatorus,
    random_regular,
    ring,
    sid_mesh,
    slim_noc,
    sparse_hamming_graph,
    star,
    torus,
    torus_3d,
    tree,
    wafer_mesh,
)
from noptoolkit.topology.galois import field_tables, prime_power
from noptoolkit.traffic import all_to_all


def undirected(package: Package) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(node.name for node in package.nodes)
    graph.add_edges_from((link.a, link.b) for link in package.links)
    assert graph.number_of_edges() == len(package.links), "parallel links"
    return graph


def bisection_links(package: Package) -> float:
    return bisection(package).bandwidth / 128e9


def spans(package: Package) -> list[float]:
    """Return the larger of the horizontal and vertical distances that each link covers, in places."""
    places = []
    for link in package.links:
        (ax, ay), (bx, by) = package[link.a].position, package[link.b].position
        places.append(max(abs(ax - bx), abs(ay - by)) / 0.011)
    return places


@pytest.mark.parametrize(("rows", "columns"), [(1, 5), (2, 3), (4, 4), (5, 4), (8, 8)])
def test_mesh(rows: int, columns: int) -> None:
    package = mesh(rows, columns)
    assert nx.is_isomorphic(undirected(package), nx.grid_2d_graph(rows, columns))
    assert diameter(package) == rows + columns - 2
    if rows > 1:
        assert mean_hops(package) == pytest.approx((rows + columns) / 3)
    assert max(spans(package)) == pytest.approx(1)


@pytest.mark.parametrize("k", [3, 4, 5, 8])
def test_torus(k: int) -> None:
    package = torus(k)
    assert nx.is_isomorphic(undirected(package), nx.grid_2d_graph(k, k, periodic=True))
    assert diameter(package) == 2 * (k // 2)
    mean_distance = (k / 4 if k % 2 == 0 else (k * k - 1) / (4 * k)) * 2 * k * k / (k * k - 1)
    assert mean_hops(package) == pytest.approx(mean_distance)
    folded = folded_torus(k)
    assert nx.is_isomorphic(undirected(folded), undirected(package))
    assert max(spans(folded)) == pytest.approx(2)


def test_torus_of_two_has_no_parallel_links() -> None:
    assert len(torus(2).links) == len(mesh(2).links) == 4
    assert len(folded_torus(2).links) == 4


@pytest.mark.parametrize(("shape"), [(2, 2, 2), (3, 4, 2), (3, 3, 3)])
def test_three_dimensions(shape: tuple[int, int, int]) -> None:
    package = mesh_3d(*shape)
    assert nx.is_isomorphic(undirected(package), nx.grid_graph(shape))
    bonds = sum(link.kind is LinkKind.HYBRID_BOND for link in package.links)
    rows, columns, layers = shape
    assert bonds == rows * columns * (layers - 1)
    if min(shape) > 2:
        assert nx.is_isomorphic(undirected(torus_3d(*shape)), nx.grid_graph(shape, periodic=True))


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_flattened_butterfly(k: int) -> None:
    package = flattened_butterfly(k)
    rook = nx.cartesian_product(nx.complete_graph(k), nx.complete_graph(k))
    assert nx.is_isomorphic(undirected(package), rook)
    assert diameter(package) == 2
    if k % 2 == 0:
        assert bisection_links(package) == pytest.approx(k**3 / 4)


def test_sparse_hamming_graph_lies_between_mesh_and_flattened_butterfly() -> None:
    none = sparse_hamming_graph(4, 5, row_strides=(), column_strides=())
    every = sparse_hamming_graph(4, 5, row_strides=(2, 3, 4), column_strides=(2, 3))
    assert nx.utils.graphs_equal(undirected(none), undirected(mesh(4, 5)))
    assert nx.utils.graphs_equal(undirected(every), undirected(flattened_butterfly(4, 5)))
    some = sparse_hamming_graph(4, 5, row_strides=(3,), column_strides=(2,))
    assert len(some.links) == len(none.links) + 4 * 2 + 5 * 2
    with pytest.raises(TopologyError, match="name each once"):
        sparse_hamming_graph(4, 5, row_strides=(3, 3))
    with pytest.raises(TopologyError, match="row stride 9"):
        sparse_hamming_graph(4, 5, row_strides=(9,))


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_hypercube(d: int) -> None:
    package = hypercube(d)
    assert nx.is_isomorphic(undirected(package), nx.hypercube_graph(d))
    assert diameter(package) == d
    assert bisection_links(package) == pytest.approx(2 ** (d - 1))
    assert mean_hops(package) == pytest.approx(d * 2 ** (d - 1) / (2**d - 1))


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (3, 4), (5, 5)])
def test_octamesh(rows: int, columns: int) -> None:
    king = nx.strong_product(nx.path_graph(rows), nx.path_graph(columns))
    assert nx.is_isomorphic(undirected(octamesh(rows, columns)), king)


@pytest.mark.parametrize("k", [3, 4, 6])
def test_octatorus(k: int) -> None:
    closed, folded = octatorus(k), folded_octatorus(k)
    long_diagonals = 2 * (2 * (k - 2) - 1)  # those of more than two chiplets, of both directions
    assert len(closed.links) == len(octamesh(k).links) + 2 * k + long_diagonals
    assert len(folded.links) == len(closed.links)
    assert max(degrees(closed).values()) == 8
    assert max(spans(folded)) == pytest.approx(2 if k > 2 else 1)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_hexamesh_as_published(radius: int) -> None:
    package = hexamesh(radius)
    count = 3 * radius * (radius + 1) + 1
    assert len(package.chiplets) == count
    assert len(package.links) == 9 * radius**2 + 3 * radius
    assert diameter(package) == round((12 * count - 3) ** 0.5 / 3 - 1) == 2 * radius
    assert bisection_links(package) == pytest.approx(round(2 * (12 * count - 3) ** 0.5 / 3 - 1))
    assert max(degrees(package).values()) == 6


@pytest.mark.parametrize("radius", [2, 3])
def test_hexatorus(radius: int) -> None:
    for package in (hexatorus(radius), folded_hexatorus(radius)):
        assert set(degrees(package).values()) == {6}
        assert len(package.links) == 3 * len(package.chiplets)
        undirected(package)
    assert diameter(hexatorus(radius)) < diameter(hexamesh(radius))
    assert max(spans(folded_hexatorus(radius))) == pytest.approx(2)


@pytest.mark.parametrize("q", [3, 4, 5, 7, 8, 9, 11])
def test_slim_noc(q: int) -> None:
    package = slim_noc(q)
    u = {1: 1, 3: -1, 0: 0}[q % 4]
    assert len(package.chiplets) == 2 * q * q
    assert set(degrees(package).values()) == {(3 * q - u) // 2}
    assert diameter(package) == 2
    undirected(package)


def test_slim_noc_of_five_is_hoffman_singleton() -> None:
    assert nx.is_isomorphic(undirected(slim_noc(5)), nx.hoffman_singleton_graph())


def test_slim_noc_names_the_nearest_field() -> None:
    with pytest.raises(TopologyError, match="nearest: 4, 5, 7"):
        slim_noc(6)


@pytest.mark.parametrize("q", [2, 3, 4, 5, 8, 9, 16, 25, 27])
def test_fields(q: int) -> None:
    difference, multiple, powers = field_tables(q)
    assert sorted(powers) == list(range(1, q))
    for a in range(q):
        assert difference[a, a] == 0
        assert sorted(difference[a]) == list(range(q))
        for b in range(q):
            assert multiple[a, b] == multiple[b, a]
            for c in range(0, q, 3):
                left = multiple[a, difference[b, c]]
                assert left == difference[multiple[a, b], multiple[a, c]]


def test_prime_powers() -> None:
    assert [q for q in range(40) if prime_power(q)] == [
        q for q in range(2, 40) if len({p for p in range(2, q + 1) if q % p == 0 and nx_prime(p)}) == 1
    ]
    with pytest.raises(ValueError, match="not a power"):
        field_tables(6)


def nx_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, n))


@pytest.mark.parametrize(("a", "p", "h"), [(2, 1, 1), (4, 2, 2), (3, 1, 2)])
def test_dragonfly(a: int, p: int, h: int) -> None:
    package = dragonfly(a, terminals=p, global_links=h, groups=None)
    groups = a * h + 1
    assert len(package.chiplets) == a * p * groups
    degree = degrees(package)
    assert {degree[switch.name] for switch in package.switches} == {a - 1 + h + p}
    assert diameter(package) <= 5
    group_of = {switch.name: int(switch.name[2:]) // a for switch in package.switches}
    between = Counter(
        frozenset((group_of[link.a], group_of[link.b]))
        for link in package.links
        if link.a in group_of and link.b in group_of and group_of[link.a] != group_of[link.b]
    )
    assert set(between.values()) == {1}
    assert len(between) == comb(groups, 2)
    with pytest.raises(TopologyError, match=f"nearest: {groups}"):
        dragonfly(a, terminals=p, global_links=h, groups=groups + 1)


@pytest.mark.parametrize("k", [2, 4, 6])
def test_fat_tree(k: int) -> None:
    package = fat_tree(k)
    assert len(package.chiplets) == k**3 // 4
    assert len(package.switches) == 5 * k * k // 4
    degree = degrees(package)
    assert {degree[switch.name] for switch in package.switches} == {k}
    assert bisection_links(package) == pytest.approx(k**3 / 8)
    assert diameter(package) == 6
    with pytest.raises(TopologyError, match="must be even; nearest: 2, 4"):
        fat_tree(3)


def test_trees() -> None:
    assert nx.is_tree(undirected(nop_tree(3, 5)))
    assert path_diversity(nop_tree(4, 4)) == pytest.approx(1)
    deep = tree((2, 3, 4), uplink_factor=2)
    assert nx.is_tree(undirected(deep))
    assert Counter(link.bandwidth for link in deep.links) == {128e9: 24, 256e9: 6, 512e9: 2}
    assert all(switch.replicates and switch.reduces for switch in deep.switches)
    same, flat = tree((4, 4)), nop_tree(4, 4)
    assert nx.utils.graphs_equal(undirected(same), undirected(flat))
    fat = nop_tree(4, 4, uplink_bandwidth="512 GB/s", in_network=False)
    assert Counter(link.bandwidth for link in fat.links) == {128e9: 16, 512e9: 4}
    assert not any(switch.replicates or switch.reduces for switch in fat.switches)


def test_full_trunks_give_full_bisection() -> None:
    assert bisection_links(tree((2, 2, 4), uplink_factor=4)) == pytest.approx(8)
    assert bisection_links(nop_tree(4, 4, attention=False)) == pytest.approx(2)


@pytest.mark.parametrize("count", [2, 3, 16, 17])
def test_ring(count: int) -> None:
    package = ring(count)
    assert diameter(package) == count // 2
    if count > 2:
        assert nx.is_isomorphic(undirected(package), nx.cycle_graph(count))


def test_express_ring() -> None:
    package = express_ring(16, 4)
    degree = degrees(package)
    assert [degree[f"e{i}"] for i in range(16)] == [4, 2, 2, 2] * 4
    assert diameter(package) < diameter(ring(16))
    with pytest.raises(TopologyError, match="nearest: 4, 6"):
        express_ring(12, 5)


def test_star_complete_and_random() -> None:
    assert nx.is_isomorphic(undirected(star(7)), nx.star_graph(7))
    assert nx.is_isomorphic(undirected(fully_connected(6)), nx.complete_graph(6))
    package = random_regular(50, 5, seed=3)
    assert set(degrees(package).values()) == {5}
    assert package == random_regular(50, 5, seed=3)
    assert package != random_regular(50, 5, seed=4)
    with pytest.raises(TopologyError, match="half a link over; nearest: 14 or 16"):
        random_regular(15, 3)


def test_concentrated_mesh() -> None:
    package = concentrated_mesh(3, 2, concentration=5)
    assert len(package.chiplets) == 30
    assert len(package.links) == 30 + 7
    assert diameter(package) == 3 + 2


def test_wafer_mesh() -> None:
    package = wafer_mesh(2, 3, 2, 2, stitch_bandwidth="32 GB/s")
    assert nx.utils.graphs_equal(undirected(package), undirected(mesh(4, 6)))
    assert Counter(link.bandwidth for link in package.links) == {128e9: 24, 32e9: 14}


@pytest.mark.parametrize(("reach", "longest"), [("small", 1), ("medium", 2), ("large", 2)])
@pytest.mark.parametrize("size", [4, 5, 8])
def test_kite(reach: str, longest: int, size: int) -> None:
    package = kite(size, reach=reach)
    assert max(degrees(package).values()) == 4
    assert max(spans(package)) == pytest.approx(longest)
    assert diameter(package) <= diameter(mesh(size))
    undirected(package)


PUBLISHED = [  # links, diameter, mean hops, bisection, and rows and columns that links span
    (kite(4, 5), 38, 4, 2.38, 8, {(0, 1), (1, 0), (1, 1)}),
    (kite(4, 5, reach="medium"), 40, 4, 2.25, 8, {(0, 1), (1, 0), (1, 1), (0, 2), (2, 0)}),
    (kite(4, 5, reach="large"), 36, 5, 2.27, 8, {(0, 1), (1, 0), (1, 2), (2, 1)}),
    (butter_donut(4, 5), 36, 4, 2.32, 8, {(0, 1), (0, 2), (1, 1), (2, 1)}),
    (double_butterfly(4, 5), 32, 4, 2.59, 8, {(0, 1), (1, 1), (2, 1)}),
    (folded_torus(4, 5), 40, 4, 2.32, 10, {(0, 1), (1, 0), (0, 2), (2, 0)}),
]


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case[0].name)
def test_twenty_chiplets_as_published(
    case: tuple[Package, int, int, float, int, set[tuple[int, int]]],
) -> None:
    """The values of NetSmith (arXiv 2404.02357), which compares these topologies with its own."""
    package, links, hops, mean, cut, steps = case
    undirected(package)
    assert len(package.chiplets) == 20
    assert len(package.links) == links
    assert diameter(package) == hops
    assert round(mean_hops(package), 2) == mean
    assert bisection_links(package) == pytest.approx(cut)
    assert max(degrees(package).values()) == 4
    places = [(int(link.a[1:]), int(link.b[1:])) for link in package.links]
    assert {(abs(a // 5 - b // 5), abs(a % 5 - b % 5)) for a, b in places} == steps


def test_other_shapes_of_butterflies() -> None:
    assert butter_donut(4, 4) == butter_donut(4)
    with pytest.raises(TopologyError, match="neither square nor the paper's 4 x 5"):
        double_butterfly(4, 6)


def test_a_medium_kite_is_joined_at_its_border_only() -> None:
    assert bisection_links(kite(4, reach="medium")) == pytest.approx(4)
    assert bisection_links(kite(8, reach="medium")) == pytest.approx(4)
    medium = kite(8, reach="medium", link_bandwidth="1 GB/s")
    assert congestion(medium, all_to_all(medium, "1 GB")).time == pytest.approx(32 * 32 / 4)


@pytest.mark.parametrize("size", [2, 4, 8])
def test_butterflies(size: int) -> None:
    double, donut = double_butterfly(size), butter_donut(size)
    assert max(degrees(double).values()) <= 4
    assert max(degrees(donut).values()) <= 4
    if size > 2:
        assert len(double.links) == 2 * size * (size - 1)
        assert len(donut.links) == size * size + size * (size - 1)
    assert diameter(donut) <= diameter(double) <= 2 * (size - 1)
    with pytest.raises(TopologyError, match=r"not a power of 2; nearest: 4, 8"):
        double_butterfly(6)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (6, 4), (8, 8)])
@pytest.mark.parametrize("version", [1, 2])
def test_cluscross(rows: int, columns: int, version: int) -> None:
    package = cluscross(rows, columns, version=version)
    assert max(degrees(package).values()) == 4
    assert diameter(package) < diameter(mesh(rows, columns))
    if version == 1:
        assert set(degrees(package).values()) == {4}
    with pytest.raises(TopologyError, match="nearest: 4, 6"):
        cluscross(5, 4)


def test_sid_mesh() -> None:
    package = sid_mesh(5, 4)
    assert len(package.links) == 2 * 4 * 3 + 2 * 4 + 2 * 3
    assert diameter(package) == 4
    assert max(degrees(package).values()) == 4
    drawn = mean_hops(sid_mesh(4, 5))  # published: 19.7 % below a concentrated mesh, and below this butterfly
    assert 1 - drawn / mean_hops(mesh(4, 5)) == pytest.approx(0.207, abs=0.001)
    assert 1 - drawn / mean_hops(double_butterfly(4, 5)) == pytest.approx(0.08, abs=0.002)


def test_hierarchical() -> None:
    package = hierarchical(
        "ring",
        "mesh",
        outer_params={"count": 3},
        inner_params={"rows": 2, "columns": 3},
        outer_bandwidth="8 GB/s",
    )
    assert len(package.chiplets) == 18
    assert Counter(link.bandwidth for link in package.links) == {128e9: 21, 8e9: 3}
    gateways = [end for link in package.links if link.bandwidth == 8e9 for end in (link.a, link.b)]
    assert len(set(gateways)) == 6, "each outer link starts at a chiplet of its own"
    starred = hierarchical("star", "nop_tree", outer_params={"leaves": 3}, inner_params={"groups": 2})
    assert len(starred.chiplets) == 24
    assert len(starred.switches) == 1 + 3 * 3
    with pytest.raises(TopologyError, match="no argument 'rowz'"):
        hierarchical("ring", "mesh", inner_params={"rowz": 2}, outer_params={"count": 3})
    nested = {"outer": "star", "inner": "nop_tree", "outer_params": {"leaves": 3}}
    for outer, inner, params in (
        ("torus", "hierarchical", {"outer_params": {"rows": 3}, "inner_params": nested}),
        ("hierarchical", "star", {"outer_params": nested, "inner_params": {"leaves": 2}}),
    ):
        package = hierarchical(outer, inner, attention=True, memory=True, **params)
        parts = hierarchical(**nested)
        if outer == "torus":
            assert len(package.experts) == 9 * 48
            assert len(package.switches) == 9 * len(parts.switches)
        else:
            assert len(package.experts) == 48 * 2
            assert len(package.switches) == 48 + len(parts.switches)
    endless: dict[str, object] = {}
    for _ in range(9):
        endless = {"inner": "hierarchical", "inner_params": endless}
    with pytest.raises(TopologyError, match="nested more than 8 deep"):
        hierarchical("ring", "hierarchical", inner_params=endless)


def test_complete_graphs_that_are_too_large_are_refused_with_a_way_out() -> None:
    with pytest.raises(TopologyError, match=r"8,386,560 links.* nearest: 1024, or a flattened_butterfly"):
        fully_connected(4096)


@pytest.mark.parametrize(
    "build",
    [
        lambda: slim_noc(181),
        lambda: dragonfly(256, terminals=1, global_links=256, groups=256),
        lambda: sparse_hamming_graph(256, row_strides=range(2, 256)),
        lambda: random_regular(60_000, 100),
        lambda: hierarchical(
            "mesh", "fully_connected", outer_params={"rows": 8}, inner_params={"count": 512}
        ),
    ],
)
def test_too_many_links_are_refused_before_they_are_made(
    build: Callable[[], Package],
) -> None:
    with pytest.raises(TopologyError, match="links are more than the 2,097,152"):
        build()


def test_dense_random_graphs_are_drawn_by_what_is_missing() -> None:
    """By pairing, as sparse ones are drawn, 200 chiplets of degree 198 would take for ever."""
    graph = undirected(random_regular(200, 198))
    assert {degree for _, degree in graph.degree()} == {198}
    assert nx.is_isomorphic(undirected(random_regular(12, 11)), nx.complete_graph(12))

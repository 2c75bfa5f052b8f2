"""The table of families: how each is built, and what its builder takes to have about n chiplets.

Families come in sizes of their own (squares, powers of two, 3 r (r + 1) + 1, ...). The size nearest to the
number asked for is taken, in the shape that papers usually draw: square grids, balanced dragonflies, two
levels of trees, 2 x 2 reticles, meshes of 2 x 2 in a torus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from noptoolkit.package import Package
from noptoolkit.topology.galois import prime_power
from noptoolkit.topology.grids import (
    flattened_butterfly,
    folded_octatorus,
    folded_torus,
    mesh,
    mesh_3d,
    octamesh,
    octatorus,
    sparse_hamming_graph,
    torus,
    torus_3d,
    wafer_mesh,
)
from noptoolkit.topology.hexagons import folded_hexatorus, hexamesh, hexatorus
from noptoolkit.topology.hierarchy import hierarchical
from noptoolkit.topology.interposer import butter_donut, cluscross, double_butterfly, kite, sid_mesh
from noptoolkit.topology.low_diameter import hypercube, slim_noc
from noptoolkit.topology.machines import dgx_h100, frontier, gpu_nodes, mi250x_nodes
from noptoolkit.topology.regular import MOST_COMPLETE, fully_connected, random_regular
from noptoolkit.topology.rings import express_ring, ring
from noptoolkit.topology.switched import concentrated_mesh, dragonfly, fat_tree, tree
from noptoolkit.topology.trees import nop_tree, star

__all__ = [
    "BUILDERS",
    "FAMILIES",
    "Family",
    "butter_donut",
    "cluscross",
    "concentrated_mesh",
    "dgx_h100",
    "double_butterfly",
    "dragonfly",
    "express_ring",
    "fat_tree",
    "flattened_butterfly",
    "folded_hexatorus",
    "folded_octatorus",
    "folded_torus",
    "frontier",
    "fully_connected",
    "gpu_nodes",
    "hexamesh",
    "hexatorus",
    "hierarchical",
    "hypercube",
    "kite",
    "mesh",
    "mesh_3d",
    "mi250x_nodes",
    "nop_tree",
    "octamesh",
    "octatorus",
    "random_regular",
    "ring",
    "sid_mesh",
    "slim_noc",
    "sparse_hamming_graph",
    "star",
    "torus",
    "torus_3d",
    "tree",
    "wafer_mesh",
]


@dataclass(frozen=True)
class Family:
    """A family of topologies.

    Parameters
    ----------
    build : callable
        Builder: sizes and the options of `Parts` -> `Package`.
    of_size : callable
        Arguments of ``build``, as a mapping, for about n chiplets.
    """

    build: Callable[..., Package]
    of_size: Callable[[int], dict[str, Any]]


def _side(n: int) -> int:
    return round(math.sqrt(n))


def _even(n: int) -> int:
    return 2 * round(math.sqrt(n) / 2)


def _power(n: int) -> int:
    return max(round(math.log2(n)), 1)


def _nearest(n: int, count: Callable[[int], int], among: Iterable[int]) -> int:
    return min(among, key=lambda size: abs(count(size) - n))


def _square(n: int) -> dict[str, Any]:
    return {"rows": _side(n)}


def _hexagon(n: int) -> dict[str, Any]:
    return {"radius": _nearest(n, lambda r: 3 * r * (r + 1) + 1, range(1, 80))}


def _power_of_two(n: int) -> dict[str, Any]:
    return {"size": 2 ** _power(_side(n))}


def _dragonfly(n: int) -> dict[str, Any]:
    """Return the least dragonfly with room, p = h, a >= 2 p and as near as may be, few groups spare."""
    shapes = [(a * p, -p, a) for a in range(2, 257, 2) for p in range(1, a // 2 + 1)]
    ports, minus, routers = min(shape for shape in shapes if shape[0] * (shape[0] + 1) >= n)
    return {
        "routers": routers,
        "terminals": -minus,
        "global_links": -minus,
        "groups": max(round(n / ports), 2),
    }


FAMILIES: dict[str, Family] = {
    "nop_tree": Family(nop_tree, lambda n: {"groups": _side(n), "experts_per_group": _side(n)}),
    "tree": Family(tree, lambda n: {"fan_outs": (2, *[2] * (_power(n) - 3), 4)}),
    "fat_tree": Family(fat_tree, lambda n: {"ports": _nearest(n, lambda k: k**3 // 4, range(2, 65, 2))}),
    "star": Family(star, lambda n: {"leaves": n}),
    "ring": Family(ring, lambda n: {"count": n}),
    "express_ring": Family(express_ring, lambda n: {"count": _side(n) ** 2, "stride": _side(n)}),
    "mesh": Family(mesh, _square),
    "mesh_3d": Family(mesh_3d, lambda n: {"rows": _even(n), "columns": _even(n) // 2, "layers": 2}),
    "torus": Family(torus, _square),
    "torus_3d": Family(torus_3d, lambda n: {"rows": _even(n) // 2, "columns": _even(n) // 2, "layers": 4}),
    "folded_torus": Family(folded_torus, _square),
    "concentrated_mesh": Family(concentrated_mesh, lambda n: {"rows": _even(n) // 2}),
    "wafer_mesh": Family(
        wafer_mesh,
        lambda n: {
            "reticle_rows": 2,
            "reticle_columns": 2,
            "rows": _even(n) // 2,
            "columns": _even(n) // 2,
        },
    ),
    "flattened_butterfly": Family(flattened_butterfly, _square),
    "sparse_hamming_graph": Family(
        sparse_hamming_graph,
        lambda n: {
            "rows": _side(n),
            "row_strides": (_side(n) // 2,),
            "column_strides": (_side(n) // 2,),
        },
    ),
    "hypercube": Family(hypercube, lambda n: {"dimension": _power(n)}),
    "dragonfly": Family(dragonfly, _dragonfly),
    "slim_noc": Family(
        slim_noc,
        lambda n: {
            "q": _nearest(n, lambda q: 2 * q * q, (q for q in range(3, 100) if prime_power(q) is not None))
        },
    ),
    "random_regular": Family(random_regular, lambda n: {"count": n, "degree": 4}),
    "fully_connected": Family(fully_connected, lambda n: {"count": min(n, MOST_COMPLETE)}),
    "octamesh": Family(octamesh, _square),
    "octatorus": Family(octatorus, _square),
    "folded_octatorus": Family(folded_octatorus, _square),
    "hexamesh": Family(hexamesh, _hexagon),
    "hexatorus": Family(hexatorus, _hexagon),
    "folded_hexatorus": Family(folded_hexatorus, _hexagon),
    "kite": Family(kite, _square),
    "double_butterfly": Family(double_butterfly, _power_of_two),
    "butter_donut": Family(butter_donut, _power_of_two),
    "cluscross": Family(cluscross, lambda n: {"rows": _even(n)}),
    "sid_mesh": Family(sid_mesh, _square),
    "gpu_nodes": Family(gpu_nodes, lambda n: {"nodes": max(round(n / 8), 1)}),
    "mi250x_nodes": Family(mi250x_nodes, lambda n: {"nodes": max(round(n / 8), 1), "nodes_per_switch": 4}),
    "hierarchical": Family(
        hierarchical,
        lambda n: {
            "outer": "torus",
            "inner": "mesh",
            "outer_params": {"rows": _even(n) // 2},
            "inner_params": {"rows": 2},
        },
    ),
}
"""Every family by name: what builds, measures, draws, converts and tests it comes from this line."""

BUILDERS: dict[str, Callable[..., Package]] = {name: family.build for name, family in FAMILIES.items()}
"""The builder of each family."""

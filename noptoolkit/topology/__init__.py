"""Builders: from a few sizes to a package. `BUILDERS` names them all.

Every builder takes the options of `Parts` (bandwidths, chiplet parameters, attention chiplet, memory stacks).
Edits and compositions return new packages: `compose`, `replicate`, `connect`, `scale_bandwidth`,
`attach_memory`, `attach_io`, `attach_attention`, `stack_sram`, beside `Package.without` and
`Package.replace`. `of_size` asks any family for about a number of chiplets.
"""

from __future__ import annotations

from collections.abc import Callable

from noptoolkit.package import Package
from noptoolkit.topology.attachments import attach_attention, attach_io, attach_memory, stack_sram
from noptoolkit.topology.builder_options import Parts
from noptoolkit.topology.by_size import of_size
from noptoolkit.topology.composition import compose, connect, replicate, scale_bandwidth
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
from noptoolkit.topology.regular import fully_connected, random_regular
from noptoolkit.topology.rings import express_ring, ring
from noptoolkit.topology.switched import concentrated_mesh, dragonfly, fat_tree, tree
from noptoolkit.topology.trees import nop_tree, star

__all__ = [
    "BUILDERS",
    "Parts",
    "attach_attention",
    "attach_io",
    "attach_memory",
    "butter_donut",
    "cluscross",
    "compose",
    "concentrated_mesh",
    "connect",
    "double_butterfly",
    "dragonfly",
    "express_ring",
    "fat_tree",
    "flattened_butterfly",
    "folded_hexatorus",
    "folded_octatorus",
    "folded_torus",
    "fully_connected",
    "hexamesh",
    "hexatorus",
    "hierarchical",
    "hypercube",
    "kite",
    "mesh",
    "mesh_3d",
    "nop_tree",
    "octamesh",
    "octatorus",
    "of_size",
    "random_regular",
    "replicate",
    "ring",
    "scale_bandwidth",
    "sid_mesh",
    "slim_noc",
    "sparse_hamming_graph",
    "stack_sram",
    "star",
    "torus",
    "torus_3d",
    "tree",
    "wafer_mesh",
]

BUILDERS: dict[str, Callable[..., Package]] = {
    "nop_tree": nop_tree,
    "tree": tree,
    "fat_tree": fat_tree,
    "star": star,
    "ring": ring,
    "express_ring": express_ring,
    "mesh": mesh,
    "mesh_3d": mesh_3d,
    "torus": torus,
    "torus_3d": torus_3d,
    "folded_torus": folded_torus,
    "concentrated_mesh": concentrated_mesh,
    "wafer_mesh": wafer_mesh,
    "flattened_butterfly": flattened_butterfly,
    "sparse_hamming_graph": sparse_hamming_graph,
    "hypercube": hypercube,
    "dragonfly": dragonfly,
    "slim_noc": slim_noc,
    "random_regular": random_regular,
    "fully_connected": fully_connected,
    "octamesh": octamesh,
    "octatorus": octatorus,
    "folded_octatorus": folded_octatorus,
    "hexamesh": hexamesh,
    "hexatorus": hexatorus,
    "folded_hexatorus": folded_hexatorus,
    "kite": kite,
    "double_butterfly": double_butterfly,
    "butter_donut": butter_donut,
    "cluscross": cluscross,
    "sid_mesh": sid_mesh,
    "hierarchical": hierarchical,
}

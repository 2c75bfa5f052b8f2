"""Print the table of docs/topologies.md: every family at about 16, 64, 256 and 1,024 chiplets.

Run ``python docs/topologies_table.py > docs/topologies.md`` (a few minutes, mostly bisections).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from noptoolkit import Package
from noptoolkit.topology import BUILDERS
from noptoolkit.topology.structure import bisection, degrees, diameter, mean_hops

SIZES = (16, 64, 256, 1024)
HEAD = """# Every family at four sizes

Links of one unit each way, no attention chiplet, no memory. *Bisection* is in units of a link, per
direction: exact up to 30 chiplets and switches, beyond that the best cut found (an upper bound, marked
≤). *Mean hops* and *diameter* are between chiplets, through switches where there are any. Where a family
does not have a size, the nearest it has is shown. Made by `python docs/topologies_table.py`.

| family | chiplets | switches | links | degree | diameter | mean hops | bisection |
|---|---:|---:|---:|---:|---:|---:|---:|"""


def side(n: int) -> int:
    return round(math.sqrt(n))


def ports(n: int) -> int:
    return min(range(2, 65, 2), key=lambda k: abs(k**3 // 4 - n))


def radius(n: int) -> int:
    return min(range(1, 60), key=lambda r: abs(3 * r * (r + 1) + 1 - n))


ARGUMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "nop_tree": lambda n: {"groups": side(n), "experts_per_group": side(n)},
    "tree": lambda n: {"fan_outs": (2, *[2] * (int(math.log2(n)) - 3), 4)},
    "fat_tree": lambda n: {"ports": ports(n)},
    "star": lambda n: {"leaves": n},
    "ring": lambda n: {"count": n},
    "express_ring": lambda n: {"count": n, "stride": side(n)},
    "mesh": lambda n: {"rows": side(n)},
    "mesh_3d": lambda n: {"rows": side(n), "columns": side(n) // 2, "layers": 2},
    "torus": lambda n: {"rows": side(n)},
    "torus_3d": lambda n: {"rows": side(n) // 2, "columns": side(n) // 2, "layers": 4},
    "folded_torus": lambda n: {"rows": side(n)},
    "concentrated_mesh": lambda n: {"rows": side(n) // 2},
    "wafer_mesh": lambda n: {
        "reticle_rows": 2,
        "reticle_columns": 2,
        "rows": side(n) // 2,
        "columns": side(n) // 2,
    },
    "flattened_butterfly": lambda n: {"rows": side(n)},
    "sparse_hamming_graph": lambda n: {
        "rows": side(n),
        "row_strides": (side(n) // 2,),
        "column_strides": (side(n) // 2,),
    },
    "hypercube": lambda n: {"dimension": int(math.log2(n))},
    "dragonfly": lambda n: {
        16: {},
        64: {"routers": 4, "terminals": 2, "global_links": 2, "groups": 8},
        256: {"routers": 6, "terminals": 3, "global_links": 3, "groups": 14},
        1024: {"routers": 8, "terminals": 4, "global_links": 4, "groups": 32},
    }[n],
    "slim_noc": lambda n: {"q": {16: 3, 64: 5, 256: 11, 1024: 23}[n]},
    "random_regular": lambda n: {"count": n, "degree": 4},
    "fully_connected": lambda n: {"count": min(n, 256)},
    "octamesh": lambda n: {"rows": side(n)},
    "octatorus": lambda n: {"rows": side(n)},
    "folded_octatorus": lambda n: {"rows": side(n)},
    "hexamesh": lambda n: {"radius": radius(n)},
    "hexatorus": lambda n: {"radius": radius(n)},
    "folded_hexatorus": lambda n: {"radius": radius(n)},
    "kite": lambda n: {"rows": side(n)},
    "double_butterfly": lambda n: {"size": side(n)},
    "butter_donut": lambda n: {"size": side(n)},
    "cluscross": lambda n: {"rows": side(n)},
    "sid_mesh": lambda n: {"rows": side(n)},
    "hierarchical": lambda n: {
        "outer": "torus",
        "inner": "mesh",
        "outer_params": {"rows": side(n) // 2},
        "inner_params": {"rows": 2},
    },
}


def row(name: str, package: Package) -> str:
    degree = degrees(package).values()
    cut = bisection(package)
    mark = "" if cut.status == "exact" else "≤ "
    least, most = min(degree), max(degree)
    cells = [
        name,
        f"{len(package.chiplets):,}",
        f"{len(package.switches):,}",
        f"{len(package.links):,}",
        str(most) if least == most else f"{least}-{most}",
        str(diameter(package)),
        f"{mean_hops(package):.2f}",
        f"{mark}{cut.bandwidth:,.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    print(HEAD)
    for name, build in BUILDERS.items():
        for size in SIZES:
            if name == "fully_connected" and size > 256:
                continue
            package = build(**ARGUMENTS[name](size), attention=False, link_bandwidth=1.0)
            print(row(name, package), flush=True)


if __name__ == "__main__":
    main()

"""Any family at about a number of chiplets: the arguments that its builder then takes.

Families come in sizes of their own (squares, powers of two, 3 r (r + 1) + 1, ...). `of_size` takes the one
nearest to what is asked, in the shape that papers usually draw: square grids, balanced dragonflies, two
levels of trees, 2 x 2 reticles, meshes of 2 x 2 in a torus.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Unpack

from noptoolkit._names import resolve
from noptoolkit.package import Package
from noptoolkit.topology.builder_options import PartsOptions
from noptoolkit.topology.galois import prime_power
from noptoolkit.topology.regular import MOST_COMPLETE
from noptoolkit.topology.size_checks import need

__all__ = ["SIZES", "of_size"]

LEAST, MOST = 16, 16384


def of_size(family: str, chiplets: int, **options: Unpack[PartsOptions]) -> Package:
    """Return a package of a family with about a number of chiplets.

    Parameters
    ----------
    family
        A name in `noptoolkit.topology.BUILDERS`.
    chiplets
        About how many, 16 to 16384; an attention chiplet comes on top.
    options
        See `noptoolkit.topology.Parts`.

    Raises
    ------
    UnknownNameError
        If there is no such family.
    TopologyError
        If the number is out of range.

    Examples
    --------
    >>> of_size("torus", 1024)
    Package('torus-32x32': 1024 chiplets (1024 expert), 2048 links, 4096 channels, 524 TB/s)
    >>> of_size("slim_noc", 1000).name, of_size("hexamesh", 1000).name
    ('slim_noc-23', 'hexamesh-18')
    """
    from noptoolkit.topology import BUILDERS

    build = resolve(family, BUILDERS, "family")
    need(family, "chiplets", chiplets, LEAST, MOST)
    return build(**SIZES[family](chiplets), **options)


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


SIZES: dict[str, Callable[[int], dict[str, Any]]] = {
    "nop_tree": lambda n: {"groups": _side(n), "experts_per_group": _side(n)},
    "tree": lambda n: {"fan_outs": (2, *[2] * (_power(n) - 3), 4)},
    "fat_tree": lambda n: {"ports": _nearest(n, lambda k: k**3 // 4, range(2, 65, 2))},
    "star": lambda n: {"leaves": n},
    "ring": lambda n: {"count": n},
    "express_ring": lambda n: {"count": _side(n) ** 2, "stride": _side(n)},
    "mesh": _square,
    "mesh_3d": lambda n: {"rows": _even(n), "columns": _even(n) // 2, "layers": 2},
    "torus": _square,
    "torus_3d": lambda n: {"rows": _even(n) // 2, "columns": _even(n) // 2, "layers": 4},
    "folded_torus": _square,
    "concentrated_mesh": lambda n: {"rows": _even(n) // 2},
    "wafer_mesh": lambda n: {
        "reticle_rows": 2,
        "reticle_columns": 2,
        "rows": _even(n) // 2,
        "columns": _even(n) // 2,
    },
    "flattened_butterfly": _square,
    "sparse_hamming_graph": lambda n: {
        "rows": _side(n),
        "row_strides": (_side(n) // 2,),
        "column_strides": (_side(n) // 2,),
    },
    "hypercube": lambda n: {"dimension": _power(n)},
    "dragonfly": _dragonfly,
    "slim_noc": lambda n: {
        "q": _nearest(n, lambda q: 2 * q * q, (q for q in range(3, 100) if prime_power(q) is not None))
    },
    "random_regular": lambda n: {"count": n, "degree": 4},
    "fully_connected": lambda n: {"count": min(n, MOST_COMPLETE)},
    "octamesh": _square,
    "octatorus": _square,
    "folded_octatorus": _square,
    "hexamesh": _hexagon,
    "hexatorus": _hexagon,
    "folded_hexatorus": _hexagon,
    "kite": _square,
    "double_butterfly": _power_of_two,
    "butter_donut": _power_of_two,
    "cluscross": lambda n: {"rows": _even(n)},
    "sid_mesh": _square,
    "hierarchical": lambda n: {
        "outer": "torus",
        "inner": "mesh",
        "outer_params": {"rows": _even(n) // 2},
        "inner_params": {"rows": 2},
    },
}
"""Arguments of each family's builder for about n chiplets."""

"""Seeds that are none are refused by name, wherever a caller can give one."""

from collections.abc import Callable
from typing import Any

import pytest

import noptoolkit as nop
from noptoolkit.errors import NopError
from noptoolkit.flow import proved_bisection
from noptoolkit.physical import place
from noptoolkit.structure.bisection_bandwidth import bisection
from noptoolkit.synthetic import SyntheticRouting, draw_from_loads

MESH = nop.topology.mesh(2)
TRACE = nop.RoutingTrace([[0, 1], [2, 3], [0, 2], [1, 3]], num_experts=4)
TAKES_A_SEED: dict[str, Callable[[Any], object]] = {
    "allocate": lambda seed: nop.allocate(TRACE, MESH, rng=seed),
    "compare_layouts": lambda seed: nop.compare_layouts(TRACE, MESH, rng=seed),
    "split": lambda seed: TRACE.split(rng=seed),
    "run": lambda seed: nop.run("mesh-4x4", "olmoe-1b-7b", rng=seed),
    "compare": lambda seed: nop.compare(["mesh-4x4"], ["olmoe-1b-7b"], rng=seed),
    "resilience": lambda seed: nop.resilience(MESH, nop.traffic.all_to_all(MESH, 1.0), rng=seed),
    "permutation": lambda seed: nop.traffic.permutation(MESH, 1.0, rng=seed),
    "place": lambda seed: place(MESH, "annealed", rng=seed),
    "bisection": lambda seed: bisection(MESH, rng=seed),
    "proved_bisection": lambda seed: proved_bisection(MESH, rng=seed),
    "draw_from_loads": lambda seed: draw_from_loads([1.0, 2.0], 1, tokens=4, seed=seed),
    "SyntheticRouting": lambda seed: SyntheticRouting(4, 2, topics=2, seed=seed),
    "random_regular": lambda seed: nop.topology.random_regular(8, 3, seed=seed),
}


@pytest.mark.parametrize("seed", ["a", -1, 1.5])
@pytest.mark.parametrize("name", TAKES_A_SEED)
def test_what_is_no_seed(name: str, seed: object) -> None:
    with pytest.raises(NopError, match=rf"(rng|seed) '?{seed}"):
        TAKES_A_SEED[name](seed)

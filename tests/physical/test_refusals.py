"""What has no meaning is refused: negative areas, yields of nothing, densities below zero."""

from collections.abc import Callable

import pytest

from noptoolkit.errors import TopologyError
from noptoolkit.physical import Process, Technology, die_cost, die_yield, gross_dies, package_cost
from noptoolkit.topology import mesh

NAN = float("nan")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: die_yield(-1e-4, 1000), "die area"),
        (lambda: die_yield(NAN, 1000), "die area"),
        (lambda: die_yield(1e-4, -1), "defect density"),
        (lambda: die_yield(1e-4, 1000, clustering=0), "clustering"),
        (lambda: gross_dies(-0.01, 0.01, 0.15), "width"),
        (lambda: gross_dies(0.01, 0, 0.15), "height"),
        (lambda: gross_dies(0.01, 0.01, float("inf")), "wafer radius"),
        (lambda: gross_dies(1e-200, 1e-200, 0.15), "too small"),
        (lambda: die_cost(0.02, 0.02, Process(defect_density=1e9), "poisson"), "its yield is 0"),
        (lambda: package_cost(mesh(2), assembly_yield=1e-200), "no package works"),
        (lambda: package_cost(mesh(2), assembly_cost_per_die=-1), "assembly_cost_per_die"),
        (lambda: Technology("t", edge_density=0), "edge_density 0 must be above 0"),
        (lambda: Technology("t", edge_density=1, phy_area=-1), "phy_area -1 must be finite and not negative"),
        (lambda: Technology("t", edge_density=1, carrier="wood"), "carrier"),  # type: ignore[arg-type]
    ],
)
def test_nonsense_is_refused(ask: Callable[[], object], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        ask()


def test_yields_far_out_are_shares() -> None:
    for model in ("poisson", "murphy", "negative binomial"):
        assert 0 <= die_yield(1.0, 1e300, model) < 1e-100 or model == "negative binomial"  # type: ignore[arg-type]
        assert die_yield(0.0, 1000, model) == 1.0  # type: ignore[arg-type]

"""Every family at about any number of chiplets."""

import pytest

from noptoolkit.errors import TopologyError, UnknownNameError
from noptoolkit.topology import BUILDERS, of_size

SHARE = {"tree": 1.5, "hypercube": 1.5, "fat_tree": 1.6, "double_butterfly": 2.1, "butter_donut": 2.1}
"""How far off a family of few sizes may be."""


@pytest.mark.parametrize("chiplets", [16, 17, 100, 360])
@pytest.mark.parametrize("family", BUILDERS)
def test_about_as_many_as_asked_for(family: str, chiplets: int) -> None:
    there = len(of_size(family, chiplets).experts)
    assert max(there / chiplets, chiplets / there) <= SHARE.get(family, 1.35)


def test_a_dragonfly_has_nearly_all_its_groups() -> None:
    assert of_size("dragonfly", 72).name == "dragonfly-4-2-2-9"
    assert of_size("dragonfly", 1024).name == "dragonfly-8-4-4-32"
    assert of_size("dragonfly", 16).name == "dragonfly-4-1-1-4"


def test_options_and_faults() -> None:
    assert of_size("mesh", 25, link_bandwidth="2 GB/s").links[0].bandwidth == 2e9
    with pytest.raises(TopologyError, match="chiplets 2 is not between 16"):
        of_size("mesh", 2)
    with pytest.raises(UnknownNameError, match="did you mean 'mesh'"):
        of_size("mehs", 64)

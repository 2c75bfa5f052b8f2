"""A package of any family at about a number of chiplets."""

from __future__ import annotations

from typing import Unpack

from noptoolkit._names import resolve
from noptoolkit.package import Package
from noptoolkit.topology.builder_options import PartsOptions
from noptoolkit.topology.families import FAMILIES
from noptoolkit.topology.size_checks import need

__all__ = ["of_size"]

LEAST, MOST = 16, 16384


def of_size(family: str, chiplets: int, **options: Unpack[PartsOptions]) -> Package:
    """Return a package of a family with about a number of chiplets.

    Parameters
    ----------
    family
        Name in `noptoolkit.topology.FAMILIES`.
    chiplets
        Number of chiplets, roughly, 16 to 16384; an attention chiplet comes on top.
    options
        Options of `noptoolkit.topology.Parts`.

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
    chosen = resolve(family, FAMILIES, "family")
    need(family, "chiplets", chiplets, LEAST, MOST)
    return chosen.build(**chosen.of_size(chiplets), **options)

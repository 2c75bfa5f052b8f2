"""How far families of topologies are from any package with their ports, at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noptoolkit.bounds import any_package
from noptoolkit.flow import congestion
from noptoolkit.progress import Progress
from noptoolkit.tables import Column, Table
from noptoolkit.topology.by_size import of_size
from noptoolkit.traffic import all_to_all

__all__ = ["Distance", "Distances", "distances_to_bound"]

USUAL = (
    "ring",
    "mesh",
    "torus",
    "hypercube",
    "flattened_butterfly",
    "slim_noc",
    "hexamesh",
    "kite",
    "nop_tree",
)


@dataclass(frozen=True)
class Distance:
    """One package and the bound over all packages with its ports.

    Parameters
    ----------
    family, package
        Names.
    chiplets
        Number of chiplets.
    time, bound
        Of a uniform all-to-all on it, and on any package with its ports, in s.
    theorem
        Theorem of the bound.
    """

    family: str
    package: str
    chiplets: int
    time: float
    bound: float
    theorem: str

    @property
    def ratio(self) -> float:
        """Time over bound."""
        return self.time / self.bound


@dataclass(frozen=True, repr=False)
class Distances:
    """Families at several sizes.

    Parameters
    ----------
    rows
        One for each family and size.
    """

    rows: tuple[Distance, ...]

    def __repr__(self) -> str:
        return f"Distances({len({row.family for row in self.rows})} families, {len(self.rows)} packages)"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return them as a table."""
        columns = [
            Column("package"),
            Column("chiplets"),
            Column("time", unit="s", meaning="uniform all-to-all among the chiplets"),
            Column("bound", "any package of its ports", unit="s", meaning="wired in any way, any routing"),
            Column("ratio", "over bound", form=".3f x"),
            Column("theorem"),
        ]
        rows = [[r.package, r.chiplets, r.time, r.bound, r.ratio, r.theorem] for r in self.rows]
        return Table(columns, rows, title="Distance to any package of the same ports")


def distances_to_bound(
    families: Sequence[str] = USUAL,
    sizes: Sequence[int] = (16, 36, 64),
    *,
    progress: Progress | None = None,
) -> Distances:
    """Return how far families are from any package with their ports, for a uniform all-to-all.

    Parameters
    ----------
    families
        Names in `noptoolkit.topology.FAMILIES`.
    sizes
        Numbers of chiplets, roughly.

    Examples
    --------
    >>> print(distances_to_bound(["torus", "flattened_butterfly"], [16]))
    Distances(2 families, 2 packages)
    """
    rows: dict[tuple[str, str], Distance] = {}
    for family in families:
        for size in sizes:
            package = of_size(family, size)
            if progress is not None:
                progress(package.name)
            flow = congestion(package, all_to_all(package, "1 MB"))
            bound = any_package(package, flow.traffic, "ports")
            rows[family, package.name] = Distance(
                family, package.name, len(package.chiplets), flow.time, bound.time, bound.theorem
            )
    return Distances(tuple(rows.values()))

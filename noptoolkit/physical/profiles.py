"""Measurements of a package without a workload, as one table.

Structure from `noptoolkit.structure.profile`, latency from `noptoolkit.flow`, the rest from this room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from noptoolkit._names import resolve
from noptoolkit.errors import TopologyError
from noptoolkit.flow.bisecting import proved_bisection
from noptoolkit.package import Package, expect_package
from noptoolkit.physical.cost import package_cost
from noptoolkit.physical.feasibility import Violation, edge_use, violations
from noptoolkit.physical.geometry import DIE_TO_DIE, area, is_of, link_lengths
from noptoolkit.physical.technology import TECHNOLOGIES, Technology
from noptoolkit.routing import zero_load_latency
from noptoolkit.structure import profile as structure
from noptoolkit.tables import Amount, Table, value_text
from noptoolkit.units import format_quantity

__all__ = ["Entry", "Profile", "profile"]

SECONDS_FOR_BISECTION = 1.0
"""Time limit of the routing that proves the bisection, in s."""


@dataclass(frozen=True)
class Entry:
    """One measurement: its value, its unit (empty for a pure number) and what it means."""

    value: float
    unit: str
    meaning: str

    def text(self) -> str:
        """Return the value with its unit."""
        return value_text(self.value, self.unit, self._form)

    @property
    def _form(self) -> str:
        return "" if self.unit else "g" if float(self.value).is_integer() else ".4g"


@dataclass(frozen=True)
class Profile:
    """The measurements of one package.

    Parameters
    ----------
    package, technology
        Package that was measured, and the technology that joins its dies.
    entries
        Measurements by name.
    violations
        Violations of manufacturability rules.
    remarks
        Reasons for missing measurements; values that are bounds.
    """

    package: Package
    technology: Technology
    entries: Mapping[str, Entry]
    violations: tuple[Violation, ...]
    remarks: tuple[str, ...]

    def __getitem__(self, name: str) -> float:
        """Return the value of a measurement."""
        return resolve(name, self.entries, "measurement").value

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the measurements as a table."""
        body = [
            [name, Amount(entry.value, entry.unit, entry._form), entry.meaning]
            for name, entry in self.entries.items()
        ]
        return Table(["measurement", "value", "meaning"], body, title=self.package.name, notes=self.notes())

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table().cells()

    def notes(self) -> list[str]:
        """Return the notes below the table, a line each."""
        counts = Counter(violation.rule for violation in self.violations)
        worst: dict[str, Violation] = {}
        for violation in self.violations:
            if violation.excess >= worst.get(violation.rule, violation).excess:
                worst[violation.rule] = violation
        lines = [
            f"not buildable with {self.technology.name}: {count} x {rule}, the worst: {worst[rule]}"
            for rule, count in counts.items()
        ]
        if not self.violations:
            lines.append(f"buildable with {self.technology.name}, as far as its rules go")
        return [*lines, *self.remarks, f"{self.technology.name}: {self.technology.source}"]


def profile(package: Package, technology: str | Technology = "ucie-2d") -> Profile:
    """Return the measurements of a package: structure, latency, wires, area, power, cost.

    Parameters
    ----------
    package
        Package to measure; without positions and sizes a remark replaces the physical measurements.
    technology
        A name in `TECHNOLOGIES` or a record.

    Examples
    --------
    >>> from noptoolkit.topology import mesh
    >>> found = profile(mesh(4))
    >>> found["diameter"], found["longest link"], found.violations
    (6.0, 0.001, ())
    """
    expect_package(package)
    chosen = resolve(technology, TECHNOLOGIES, "technology")
    remarks: list[str] = []
    entries = _structure(package, remarks)
    broken: tuple[Violation, ...] = ()
    try:
        entries |= _physical(package, chosen, remarks)
        broken = violations(package, chosen)
    except TopologyError as error:
        remarks.append(f"no physical measurements: {error}")
    return Profile(package, chosen, entries, broken, tuple(remarks))


def _structure(package: Package, remarks: list[str]) -> dict[str, Entry]:
    degree = structure.degrees(package).values()
    entries = {
        "chiplets": Entry(len(package.chiplets), "", "dies that compute"),
        "switches": Entry(len(package.switches), "", "dies that only forward"),
        "links": Entry(len(package.links), "", "physical links, with memory buses"),
        "bandwidth": Entry(package.total_bandwidth, "B/s", "of all links, both directions"),
        "least degree": Entry(min(degree), "", "die-to-die links of one die, the fewest"),
        "greatest degree": Entry(max(degree), "", "die-to-die links of one die, the most"),
        "diameter": Entry(float(structure.diameter(package)), "", "hops between the farthest chiplets"),
        "mean hops": Entry(structure.mean_hops(package), "", "hops between chiplets, on average"),
        "path diversity": Entry(
            structure.path_diversity(package), "", "shortest paths per pair, geometric mean"
        ),
        "connectivity": Entry(
            structure.edge_connectivity(package), "", "fewest links whose loss cuts it in two"
        ),
        "spectral gap": Entry(structure.spectral_gap(package), "", "second Laplacian eigenvalue"),
    }
    if len(package.chiplets) > 1:
        cut = proved_bisection(package, time_limit=SECONDS_FOR_BISECTION)
        meaning = "between halves of the chiplets, " + ("exact" if cut.status == "exact" else "at most")
        entries["bisection"] = Entry(cut.bandwidth, "B/s", meaning)
        if cut.status == "exact":
            remarks.append(f"bisection: proof by {cut.proof}")
        else:
            bound = format_quantity(cut.bound, "B/s")
            remarks.append(f"bisection is the best cut found; none has less than {bound} ({cut.proof})")
        latency = zero_load_latency(package)
        if latency.max > 0:
            entries["latency"] = Entry(latency.mean, "s", "zero-load latency, on average")
            entries["greatest latency"] = Entry(latency.max, "s", "zero-load latency, the largest")
        else:
            remarks.append("no latency: none is given of any link, chiplet or switch")
    return entries


def _physical(package: Package, technology: Technology, remarks: list[str]) -> dict[str, Entry]:
    lengths = link_lengths(package)
    edges = edge_use(package, technology).values()
    shares = [needed / there for needed, there in edges if there > 0]
    entries = {
        "wire length": Entry(
            float(lengths.sum()),
            "m",
            "all links, Manhattan, from where the line between centres leaves each die",
        ),
        "longest link": Entry(round(float(lengths.max(initial=0.0)), 12), "m", "likewise"),
        "area": Entry(area(package), "m2", "of the rectangle round all dies"),
        "beachfront": Entry(
            sum(needed for needed, _ in edges), "m", f"die edge that {technology.name} takes"
        ),
        "fullest edge": Entry(max(shares, default=0.0), "", "share that links take of a die's side"),
    }
    power = _full_power(package, technology)
    if power is not None:
        entries["link power"] = Entry(power, "W", "all channels fully used")
    else:
        remarks.append(f"no link power: {technology.name} or a memory bus has no energy per bit")
    try:
        cost = package_cost(package, technology=technology)
        meaning = f"a good package on {technology.carrier}, with PHYs, in 1/1000 wafer (assumed)"
        entries["cost"] = Entry(cost.total, "", meaning)
        entries["assembly yield"] = Entry(cost.yield_, "", "at 99 % per die (assumed)")
    except TopologyError as error:
        remarks.append(f"no cost: {error}")
    return entries


def _full_power(package: Package, technology: Technology) -> float | None:
    """Return the power of all channels, as `link_power` of `measured_links` has it, or ``None``."""
    own = [link.energy_per_bit for link in package.links]
    energy = np.array([np.nan if value is None else value for value in own])
    if technology.energy_per_bit is not None:
        energy[is_of(package, *DIE_TO_DIE)] = technology.energy_per_bit
    watts = float((8.0 * energy * package.link_bandwidths.sum(axis=1)).sum())
    return None if np.isnan(watts) else watts

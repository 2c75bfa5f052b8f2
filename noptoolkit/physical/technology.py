"""Edge, energy, latency and reach of a die-to-die link: one record per packaging technology.

Sources. UCIe: Das Sharma, Hot Interconnects 2025, as reported (edge density, energy, 2 ns round trip), and
the UCIe 1.0 specification (reach 25 mm on standard, 2 mm on advanced packages) and white paper (bandwidth
per area of die: up to 125 GB/s and 1.35 TB/s per mm2). Wires: Mozart (arXiv
2603.07006) publishes 0.125 GB/s per wire at 50 um pitch. RapidChiplet (arXiv 2311.06081): 12 cycles per
PHY, 0.25 cycle per mm, 0.85 mm2 per PHY. Densities are taken to count both directions; a value that a source
does not state is ``None`` and not checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from noptoolkit.errors import TopologyError
from noptoolkit.units import is_in_range

__all__ = ["TECHNOLOGIES", "Technology"]


@dataclass(frozen=True)
class Technology:
    """A way to join dies.

    Parameters
    ----------
    name
        Name in `TECHNOLOGIES`.
    edge_density
        Bandwidth, both directions together, per length of die edge, in B/s per m.
    energy_per_bit
        Energy per bit, in J/bit, or ``None``.
    reach
        Longest link, in m, or ``None``.
    phy_latency, latency_per_length
        Latency of the PHYs at both ends together, in s, and of the wire, in s per m.
    phy_area
        Area of one PHY, in m2, or ``None``.
    areal_density
        Bandwidth, both directions together, per die area that PHYs take, in B/s per m2; ``None`` where a PHY
        takes ``phy_area`` whatever its bandwidth.
    carrier
        Carrier of the dies: an ``organic`` substrate or ``silicon``.
    source, assumed
        Origin of the numbers, and assumptions.
    """

    name: str
    edge_density: float
    energy_per_bit: float | None = None
    reach: float | None = None
    phy_latency: float = 0.0
    latency_per_length: float = 0.0
    phy_area: float | None = None
    areal_density: float | None = None
    carrier: Literal["organic", "silicon"] = "silicon"
    source: str = ""
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("edge_density", "reach", "areal_density"):
            value = getattr(self, field)
            if value is not None and not (value > 0 and is_in_range(value)):
                raise TopologyError(f"technology {self.name!r}: {field} {value:g} must be above 0 and finite")
        for field in ("energy_per_bit", "phy_latency", "latency_per_length", "phy_area"):
            value = getattr(self, field)
            if value is not None and not (value >= 0 and is_in_range(value)):
                raise TopologyError(
                    f"technology {self.name!r}: {field} {value:g} must be finite and not negative"
                )
        if self.carrier not in ("organic", "silicon"):
            raise TopologyError(
                f"technology {self.name!r}: carrier {self.carrier!r} is not 'organic' or 'silicon'"
            )


MM = 1e-3
UCIE = (
    "Das Sharma, Hot Interconnects 2025, as reported; reach: UCIe 1.0 specification; "
    "areal density: UCIe Consortium, white paper, 2022"
)
TECHNOLOGIES: dict[str, Technology] = {
    "ucie-2d": Technology(
        "ucie-2d",
        edge_density=224e9 / MM,
        energy_per_bit=0.6e-12,
        reach=25 * MM,
        areal_density=125e9 / MM**2,
        phy_latency=1e-9,
        carrier="organic",
        source=UCIE,
        assumed=("half of the 2 ns round trip per crossing",),
    ),
    "ucie-2.5d": Technology(
        "ucie-2.5d",
        edge_density=1.3e12 / MM,
        energy_per_bit=0.3e-12,
        reach=2 * MM,
        areal_density=1.35e12 / MM**2,
        phy_latency=1e-9,
        source=UCIE,
        assumed=("half of the 2 ns round trip per crossing",),
    ),
    "wires-50um": Technology(
        "wires-50um",
        edge_density=0.125e9 / 50e-6,
        source="Mozart, arXiv 2603.07006: 0.125 GB/s per wire at 50 um pitch",
        assumed=("one row of wires",),
    ),
    "rapidchiplet": Technology(
        "rapidchiplet",
        edge_density=0.125e9 / 50e-6,
        phy_latency=24e-9,
        latency_per_length=0.25e-9 / MM,
        phy_area=0.85 * MM * MM,
        source="Iff et al., RapidChiplet, arXiv 2311.06081, defaults, at 1 GHz; wires as in wires-50um",
        assumed=("one row of wires", "a clock of 1 GHz"),
    ),
}

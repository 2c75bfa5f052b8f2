"""Print the table of docs/topologies.md: every family at about 16, 64, 256 and 1,024 chiplets.

Run ``python docs/topologies_table.py > docs/topologies.md`` (some minutes, mostly bisections).
"""

from __future__ import annotations

from noptoolkit import Package
from noptoolkit.flow.bisecting import proved_bisection
from noptoolkit.structure.profile import degrees, diameter, mean_hops
from noptoolkit.topology import BUILDERS, of_size

SIZES = (16, 64, 256, 1024)
HEAD = """# Every family at four sizes

Links of one unit each way, no attention chiplet, no memory. *Bisection* is in units of a link, per
direction: proved to be the least where one number stands, else somewhere in the interval (how either is
proved says `noptoolkit.structure.bisection_bandwidth`). *Mean hops* and *diameter* are between chiplets,
through switches where there are any. Where a family does not have a size, the nearest it has is shown.
Made by `python docs/topologies_table.py`.

| family | chiplets | switches | links | degree | diameter | mean hops | bisection |
|---|---:|---:|---:|---:|---:|---:|---:|"""


def linked(name: str) -> str:
    """Return the name of a family as a link to its builder; once, where its rows begin."""
    return f"{{py:obj}}`{name} <noptoolkit.topology.{name}>`"


def row(name: str, package: Package) -> str:
    degree = degrees(package).values()
    cut = proved_bisection(package, time_limit=15.0)
    least_cut = "" if cut.status == "exact" else f"{cut.bound:,.0f} to "
    least, most = min(degree), max(degree)
    cells = [
        name,
        f"{len(package.chiplets):,}",
        f"{len(package.switches):,}",
        f"{len(package.links):,}",
        str(most) if least == most else f"{least}-{most}",
        str(diameter(package)),
        f"{mean_hops(package):.2f}",
        f"{least_cut}{cut.bandwidth:,.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    print(HEAD)
    for name in BUILDERS:
        for size in SIZES:
            if name == "fully_connected" and size > 256:
                continue
            package = of_size(name, size, attention=False, link_bandwidth=1.0)
            print(row(linked(name) if size == SIZES[0] else name, package), flush=True)


if __name__ == "__main__":
    main()

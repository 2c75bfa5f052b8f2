"""Pictures of 1,024 chiplets: CPU time of drawing each, without the work that is drawn; the goal is 3 s.

python benchmarks/bench_plot.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from noptoolkit import congestion, plot, topology
from noptoolkit.traffic import all_to_all

GOAL = 3.0


def main() -> None:
    plt.switch_backend("Agg")
    packages = (
        topology.mesh(32),
        topology.torus(32),
        topology.hexamesh(18),
        topology.random_regular(1024, 4),
        topology.hypercube(10),
    )
    for package in packages:
        flow = congestion(package, all_to_all(package, "1 kB"), routing="ecmp")
        draw: dict[str, Callable[[], Axes]] = {
            "topology": lambda package=package: plot.topology(package),
            "load": lambda flow=flow: plot.load(flow),
            "traffic": lambda flow=flow: plot.traffic(flow.traffic),
        }
        for name, drawn in draw.items():
            drawn().figure.canvas.draw()  # fonts are found once
            start = time.process_time()
            drawn().figure.canvas.draw()
            seconds = time.process_time() - start
            print(
                f"{package.name:24} {name:10} {seconds:5.2f} s  {'MISSED' if seconds > GOAL else ''}".rstrip()
            )
            plt.close("all")


if __name__ == "__main__":
    main()

"""Call what compiles longest, once: numba keeps it on disk for all that comes after.

`make demo` compiles what its command needs; `make test`, with the argument ``all``, what two workers of
pytest would otherwise both compile.
"""

import sys
import warnings

import noptoolkit as nop
from noptoolkit.simulate import Sampling, simulate


def compile_commands() -> None:
    """Compile layouts, flows, steps and the simulator."""
    nop.compare(["mesh-4x4"], workloads=["stdlib-moe"])
    simulate(nop.load_topology("mesh-4x4"), "uniform", rate=0.1, sampling=Sampling(period=10))


def compile_solvers() -> None:
    """Compile collectives, multicast trees and allocators."""
    mesh = nop.topology.mesh(3, 3)
    rows = [[f"e{3 * y + x}" for x in range(3)] for y in range(3)]
    for kind in ("all-reduce", "all-gather"):
        nop.collective(mesh, kind, "1 MB")
        nop.collective(mesh, kind, "1 MB", groups=rows)
    package, workload = nop.load_topology("mesh-4x4-in-network"), nop.load_workload("stdlib-moe")
    for method in ("annealing", "mozart", "auto"):
        layout = nop.allocate(workload.trace, package, method=method, cap_chiplet=1.1)
    traffic = nop.traffic.dispatch(package, workload.trace, layout, token_bytes="4 kB", degree="in-network")
    nop.congestion(package, traffic, routing="optimal")
    nop.schedule(package, workload, layout)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    compile_commands()
    if sys.argv[1:] == ["all"]:
        compile_solvers()

"""Names of 0.1 that moved in 0.2: they keep working for one version, with a DeprecationWarning.

Modules are found by an import hook, which costs nothing until an old name is asked for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["ATTRIBUTES", "MODULES", "attribute", "install"]

ROOT = "noptoolkit"

MODULES = {
    "allocation.fit": "allocation.allocating",
    "allocation.swap_kernels": "allocation.compiled_swaps",
    "allocation.time_kernels": "allocation.compiled_times",
    "elements": "package.elements",
    "package_views": "package.views",
    "flow.certificate": "flow.bounds.certificate",
    "flow.cuts": "flow.bounds.cuts",
    "flow.deadlock": "routing.deadlock",
    "flow.degradation": "study.losses",
    "flow.fixed": "routing",
    "flow.fixed.compiled_hops": "routing.compiled_hops",
    "flow.fixed.forwarding": "routing.forwarding",
    "flow.fixed.grid": "routing.dimension_order_routing",
    "flow.fixed.grid_loads": "routing.dimension_order_loads",
    "flow.fixed.hop_loads": "routing.hop_loads",
    "flow.fixed.hops": "routing.hops",
    "flow.fixed.lattice": "routing.lattice",
    "flow.fixed.paths": "routing.given_paths",
    "flow.level_cuts": "flow.bounds.level_cuts",
    "flow.measure": "flow.evaluation",
    "flow.network": "network",
    "flow.optimal.program": "flow.bounds.program",
    "flow.problem": "routing.problem",
    "flow.relabelling": "study.relabelling",
    "flow.routed": "routing.solution",
    "flow.zero_load": "routing.zero_load",
    "scheduling._bound_kernels": "scheduling.compiled_bounds",
    "scheduling._event_kernels": "scheduling.compiled_events",
    "scheduling._front_kernels": "scheduling.compiled_fronts",
    "scheduling._path_kernels": "scheduling.compiled_paths",
    "scheduling.chrome_trace": "formats.trace_events",
    "scheduling.costing": "step.costing",
    "scheduling.energy": "step.energy",
    "scheduling.memory_routes": "step.memory_stacks",
    "scheduling.overlapping": "step.overlapping",
    "scheduling.plan": "scheduling.result",
    "scheduling.policies": "step.policies",
    "scheduling.retrospect": "scheduling.critical_path",
    "scheduling.scheduler": "step.scheduler",
    "scheduling.serial": "step.serial",
    "scheduling.step": "step.step",
    "scheduling.transfers": "step.transfers",
    "text": "tables",
    "topology.companions": "topology.perimeter",
    "topology.cuts": "structure.halving",
    "topology.drawings": "topology.published_maps",
    "topology.halves": "structure.bisection_bandwidth",
    "topology.matrices": "structure.matrices",
    "topology.parts": "topology.builder_options",
    "topology.sizes": "topology.size_checks",
    "topology.structure": "structure.profile",
    "topology.tree_bound": "structure.tree_bound",
}
"""Old name of each module, without the package's, and its new one."""

ATTRIBUTES = {
    ("flow", "Deadlock"): "routing",
    ("flow", "Latency"): "routing",
    ("flow", "Resilience"): "study",
    ("flow", "UpDown"): "routing",
    ("flow", "check_deadlock"): "routing",
    ("flow", "resilience"): "study",
    ("flow", "zero_load_latency"): "routing",
    ("flow.routings", "Router"): "routing.method",
    ("flow.routings", "Routing"): "routing.rules",
    ("flow.routings", "UpDown"): "routing.rules",
    ("scheduling", "ORDERS"): "step",
    ("scheduling", "POLICIES"): "step",
    ("scheduling", "Policy"): "step",
    ("scheduling", "Step"): "step",
    ("scheduling", "StepEnergy"): "step",
    ("scheduling", "StepOptions"): "step",
    ("scheduling", "check_computes"): "step",
    ("scheduling", "energy_of"): "step",
    ("scheduling", "schedule"): "step",
    ("scheduling", "step_of"): "step",
}
"""New room of each name that moved out of a room's public names."""


def attribute(module: str, name: str) -> Any:
    """Return a name that moved out of a module: what the module's ``__getattr__`` does.

    Raises
    ------
    AttributeError
        If no such name has moved.
    """
    new = ATTRIBUTES.get((module.removeprefix(f"{ROOT}."), name))
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", f"{ROOT}.{new}.{name}", stacklevel=4)
    return getattr(import_module(f"{ROOT}.{new}"), name)


def install() -> None:
    """Let modules be imported by their old names."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder, Loader):
    """Finds a moved module by its old name; the last of all finders, so asked only where there is none."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.removeprefix(f"{ROOT}.") not in MODULES or not fullname.startswith(f"{ROOT}."):
            return None
        return ModuleSpec(fullname, self, is_package=fullname.removeprefix(f"{ROOT}.") in ("flow.fixed",))

    def exec_module(self, module: ModuleType) -> None:
        new = f"{ROOT}.{MODULES[module.__name__.removeprefix(f'{ROOT}.')]}"
        _warn(module.__name__, new, stacklevel=3)
        public = vars(import_module(new))
        module.__dict__.update({key: value for key, value in public.items() if not key.startswith("__")})


def _warn(old: str, new: str, *, stacklevel: int) -> None:
    message = f"{old} is now {new}; the old name goes with noptoolkit 0.3"
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)

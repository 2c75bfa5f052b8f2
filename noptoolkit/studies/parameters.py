"""Parameters of a point by name, and the run that a point describes."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from noptoolkit import physical
from noptoolkit._digests import digest
from noptoolkit._names import did_you_mean, resolve
from noptoolkit._seeds import generator_from
from noptoolkit.allocation import ALLOCATORS, Allocation
from noptoolkit.allocation.allocating import objective_of
from noptoolkit.errors import FormatError, NopError, TopologyError, UnknownNameError, raise_collected
from noptoolkit.formats import load_topology, load_workload
from noptoolkit.formats.files import find, parse_toml, read_text
from noptoolkit.formats.inheritance import with_base
from noptoolkit.formats.topology_toml import parse_topology
from noptoolkit.package import Package
from noptoolkit.pipeline import run
from noptoolkit.plans import ParallelPlan
from noptoolkit.plans.plan_names import plan_of
from noptoolkit.stages import Run
from noptoolkit.step import POLICIES, Policy
from noptoolkit.step.routing_choice import check_routing
from noptoolkit.studies.memory import Memory
from noptoolkit.studies.space import Point, Points, Space
from noptoolkit.topology import BUILDERS
from noptoolkit.topology.builder_options import Parts
from noptoolkit.topology.composition import scale_bandwidth
from noptoolkit.traffic.routed import DEGREES
from noptoolkit.workload import Workload

__all__ = ["PARAMETERS", "applied", "check_parameters", "content_of_point", "run_of"]

PARAMETERS: dict[str, str] = {
    "package": "preset or file of the package, or a `Package`",
    "builder": "family of the package, with its sizes as params.*",
    "params.*": "argument of the builder, or of a preset that is made by a builder",
    "edit.link_bandwidth": "bandwidth of every die-to-die link, per direction",
    "edit.memory_bandwidth": "bandwidth of every memory stack and its bus",
    "edit.scale_bandwidth": "factor on the bandwidth of every die-to-die link",
    "edit.links.*": "bandwidth of the links that a name or wildcard chooses",
    "edit.without": "nodes or links that are lost: a name, or names with commas between",
    "normalise": "measure of which the package has as much as normalise_to, by scaling its links",
    "normalise_to": "preset or file of the package that normalise looks at",
    "workload": "preset or file of the workload, or a `Workload`",
    "workload.*": "field of the model, the batch or the generator",
    "allocator": "name of the allocator",
    "objective": "objective of the allocator auto: time, c_t or step",
    "degree": "copies of a token",
    "routing": "name of the routing",
    "policy": "name of the schedule policy",
    "policy.*": "field of the policy: prefetch, micro_batches, contention, chunks, rounds, parts, weights",
    "plan": "parallel plan, such as 'TP2 EP8 PP4', for metrics of its step",
    "plan.*": "field of the plan: tp, cp, pp, vpp, ep, etp, zero, recompute, micro_batches, ...",
    "tol": "relative gap at which the optimal routing may stop",
    "seed": "seed of the trace's split and of the allocator",
}
"""What each parameter means; a star stands for any name."""

OPTIONS = ("allocator", "objective", "degree", "routing", "tol")
NAMED: dict[str, Callable[[Any], object]] = {
    "allocator": lambda value: resolve(value, ALLOCATORS, "allocator"),
    "objective": lambda value: objective_of(value, "auto"),
    "routing": check_routing,
    "policy": lambda value: resolve(value, POLICIES, "policy"),
    "degree": lambda value: resolve(str(value), dict.fromkeys(DEGREES), "degree"),
    "plan": lambda value: _plan({"plan": value}),
    "seed": lambda value: generator_from(value, "seed"),
}
"""What raises where a value is a name that nothing has, or no seed."""
OF_POLICY = ("prefetch", "micro_batches", "contention", "chunks", "rounds", "parts", "weights")


def check_parameters(space: Space | Points) -> None:
    """Raise if a parameter or a name is not known, or a point would lack a package or a workload.

    Raises
    ------
    UnknownNameError
        With the nearest name, for a parameter, or an allocator, objective, degree, routing or policy.
    PlanError
        If a name of a plan is none.
    NopError
        If a seed is none, if both or none of ``package`` and ``builder`` are given, or no workload.
    """
    names = space.names
    given = [name for name in ("package", "builder") if name in names]
    if len(given) != 1:
        raise NopError("a study needs either 'package' or 'builder', one of them")
    if "workload" not in names:
        raise NopError("a study needs a 'workload'")
    if ("normalise" in names) != ("normalise_to" in names):
        raise NopError(
            "'normalise' needs 'normalise_to', the package to be equal to, and the other way round"
        )
    known = {name for name in PARAMETERS if not name.endswith("*")}
    taken = _taken_params(space)
    known |= {f"plan.{field.name}" for field in dataclasses.fields(ParallelPlan)}
    known |= {f"params.{name}" for name in taken} | {f"policy.{name}" for name in OF_POLICY}
    for name in names:
        if name in known or name.startswith("edit.links."):
            continue
        if name.startswith("workload."):
            continue  # its own message has the nearest field, see `_workload`
        raise UnknownNameError(f"no parameter {name!r}; {did_you_mean(name, sorted(known))}")
    for name, axis in space.parameters:
        if name in NAMED:
            for value in getattr(axis, "values", (axis,)):
                NAMED[name](value)
    first = space.example()
    fields = _below(first, "workload.")
    if fields:
        load_workload(first["workload"]).replace(**fields)


def applied(point: Point) -> Point:
    """Return a point without the arguments that its builder does not take.

    A space over several builders gives each its own arguments.
    """
    builder = point.get("builder")
    if not isinstance(builder, str) or builder not in BUILDERS:
        return point
    takes = _arguments(builder)
    return {
        name: value
        for name, value in point.items()
        if not name.startswith("params.") or name.removeprefix("params.") in takes
    }


def content_of_point(point: Point, memory: Memory) -> dict[str, Any]:
    """Return what the results of a point depend on: its values, files and presets by their digests."""
    content: dict[str, Any] = {}
    for name, value in point.items():
        if name in ("package", "normalise_to"):
            content[name] = memory.once(("digest", _name(value)), partial(_file_digest, value))
        elif name == "workload":
            content[name] = memory.once(("workload digest", _name(value)), partial(_load_digest, value))
        else:
            content[name] = value if isinstance(value, str | bool | int | float | None) else repr(value)
    return content


def run_of(point: Point, memory: Memory, layout: Allocation | None = None) -> Run:
    """Return the lazy run of a point.

    Parameters
    ----------
    point
        Value of each parameter.
    memory
        What the points of one process share.
    layout
        Layout in place of the allocator's.
    """
    package = _package(point)
    normalised = None
    if "normalise" in point:
        reference = memory.once(
            ("package", _name(point["normalise_to"])), lambda: load_topology(point["normalise_to"])
        )
        before = package
        _, package = physical.normalise([reference, package], point["normalise"])
        ratio = package.total_bandwidth / before.total_bandwidth
        normalised = (str(point["normalise"]), ratio)
    options: dict[str, Any] = {name: point[name] for name in OPTIONS if name in point}
    if layout is not None:
        options["allocator"] = layout.on(package)
        options.pop("objective", None)
    made = run(
        package,
        _workload(point, memory),
        policy=_policy(point),
        plan=_plan(point),
        rng=point.get("seed", 0),
        **options,
    )
    return dataclasses.replace(
        made,
        policy_name=str(point.get("policy", "streaming")),
        layouts=memory.layouts,
        shared=memory.shared,
        normalised=normalised,
    )


def _package(point: Point) -> Package:
    params = _below(point, "params.")
    if "builder" in point:
        package = _built(str(point["builder"]), params)
    elif params:
        package = _changed_preset(point["package"], params)
    else:
        package = load_topology(point["package"])
    edits = _below(point, "edit.")
    if "without" in edits:
        lost = edits.pop("without")
        names = [part.strip() for part in lost.split(",")] if isinstance(lost, str) else list(lost or ())
        package = package.without(*[name for name in names if name])
    if "link_bandwidth" in edits:
        package = package.with_link_bandwidth("d2d", edits.pop("link_bandwidth"))
    for name in [name for name in edits if name.startswith("links.")]:
        package = package.with_link_bandwidth(name.removeprefix("links."), edits.pop(name))
    if "memory_bandwidth" in edits:
        package = package.with_memory_bandwidth("*", edits.pop("memory_bandwidth"))
    if "scale_bandwidth" in edits:
        package = scale_bandwidth(package, edits.pop("scale_bandwidth"))
    return package


def _built(builder: str, params: Mapping[str, Any]) -> Package:
    from noptoolkit.formats.schema import builder_model, check

    build = resolve(builder, BUILDERS, "builder")
    faults: list[str] = []
    values = check(builder_model(build), dict(params), f"builder {builder!r}", faults)
    raise_collected(TopologyError, f"builder {builder!r}", faults)
    return build(**values)


def _changed_preset(given: Any, params: Mapping[str, Any]) -> Package:
    import tomli_w

    if isinstance(given, Package):
        raise NopError("params.* change a preset, a file or a builder; a Package is changed by edit.*")
    path = find(given, "topologies")
    text = tomli_w.dumps({"schema": 1, "base": str(path), "name": path.stem, "params": dict(params)})
    return parse_topology(text, path.name, folder=path.parent)


def _workload(point: Point, memory: Memory) -> Workload:
    fields = _below(point, "workload.")
    where = ("workload", _name(point["workload"]), repr(sorted(fields.items())))

    def load() -> Workload:
        base = memory.once(("workload", _name(point["workload"])), lambda: load_workload(point["workload"]))
        found: Workload = base.replace(**fields) if fields else base
        return found

    made: Workload = memory.once(where, load)
    return made


def _policy(point: Point) -> Policy | str:
    fields = _below(point, "policy.")
    name = point.get("policy", "streaming")
    if not fields:
        return str(name)
    chosen = resolve(str(name), POLICIES, "policy")
    changes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return dataclasses.replace(chosen, **changes)


def _plan(point: Point) -> ParallelPlan | None:
    fields = _below(point, "plan.")
    if "plan" not in point and not fields:
        return None
    given = point.get("plan", ParallelPlan())
    base = given if isinstance(given, ParallelPlan) else plan_of(str(given))
    return base.replace(**fields) if fields else base


def _below(point: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in point.items() if name.startswith(prefix)}


def _taken_params(space: Space | Points) -> set[str]:
    """Return the arguments that at least one builder of a space takes."""
    values = dict(space.parameters)
    if not any(name.startswith("params.") for name in values):
        return set()
    axis = values.get("builder", values.get("package"))
    chosen = getattr(axis, "values", (axis,)) if "builder" in values else ()
    builders = [str(one) for one in chosen]
    if "package" in values:
        builders = [_builder_of(one) for one in getattr(axis, "values", (axis,))]
    for builder in builders:
        if builder not in BUILDERS:
            raise UnknownNameError(f"no builder named {builder!r}; {did_you_mean(builder, BUILDERS)}")
    return {name for builder in builders for name in _arguments(builder)}


def _builder_of(given: Any) -> str:
    if isinstance(given, Package):
        raise NopError("params.* change a preset, a file or a builder; a Package is changed by edit.*")
    path = find(given, "topologies")
    text = read_text(path)
    builder = (
        with_base(parse_toml(text, path.name), path, "topologies").get("builder")
        if (path.suffix == ".toml")
        else None
    )
    if not isinstance(builder, str):
        raise FormatError(f"{path.name}: params.* need a package that is made by a builder; use edit.* here")
    return builder


@lru_cache(maxsize=128)
def _arguments(builder: str) -> frozenset[str]:
    found = set()
    for name, parameter in inspect.signature(BUILDERS[builder]).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found |= {field.name for field in dataclasses.fields(Parts)}
        else:
            found.add(name)
    return frozenset(found)


def _name(value: Any) -> str:
    if isinstance(value, Package | Workload):
        return f"{value.name} {value.digest()}"
    return str(Path(value).resolve()) if isinstance(value, Path) else str(value)


def _file_digest(value: Any) -> str:
    return digest("package of a point", load_topology(value).digest())


def _load_digest(value: Any) -> str:
    return digest("workload of a point", load_workload(value).digest())

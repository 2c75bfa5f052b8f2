"""What a command draws: each kind of picture is a function of a `Scene`, which makes what it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

import typer
from matplotlib.axes import Axes

import noptoolkit.plot as draw
from noptoolkit import study, traffic
from noptoolkit._names import did_you_mean
from noptoolkit.allocation import compare_layouts, layouts_by_cap
from noptoolkit.cli.options import topologies_of, topology_of
from noptoolkit.collectives import collective
from noptoolkit.errors import UnknownNameError, WorkloadError
from noptoolkit.flow import FlowResult, congestion
from noptoolkit.metrics import COMPARED
from noptoolkit.nodes import expert_work
from noptoolkit.package import Package
from noptoolkit.physical import temperature
from noptoolkit.pipeline import Progress, Run
from noptoolkit.workload import Workload

__all__ = ["METRICS_OF", "PICTURES", "Scene"]

Part = Literal["dispatch", "combine", "uniform"]


@dataclass(frozen=True, eq=False)
class Scene:
    """What the options describe, and what pictures ask of it.

    Parameters
    ----------
    references
        Presets or files of topologies.
    bandwidth
        Bandwidth of links in files that have none.
    workload
        Workload, or ``None``.
    normalise
        Measure that the packages are scaled to.
    metrics
        Metrics that the picture shows: nothing else is computed for it.
    options
        Options of `study.compare`: allocator, routing, policy, ...
    part
        Traffic that is drawn.
    layer, token
        Indices of a layer of the trace and of a token of it.
    power
        Pairs of a node's name, wildcard or role and its power.
    x, y
        Metrics of a scaling picture.
    links, to
        Links whose bandwidth changes, and their new bandwidth.
    kind, size
        Kind of a collective and its bytes.
    tell
        Callable that is given the name of each stage.
    """

    references: Sequence[str]
    bandwidth: str | None
    workload: Workload | None
    normalise: str | None
    metrics: Sequence[str]
    options: dict[str, Any]
    part: Part
    layer: int
    token: int
    power: Sequence[tuple[str, str]]
    x: str
    y: str
    links: Sequence[str]
    to: str | None
    kind: str
    size: str
    tell: Progress

    @property
    def seed(self) -> int:
        """Seed of random draws."""
        return int(self.options.get("rng") or 0)

    @cached_property
    def package(self) -> Package:
        """The first topology, as given."""
        return topology_of(self.references[0], self.bandwidth)

    @cached_property
    def result(self) -> study.Comparison:
        """The runs of all topologies under the workload."""
        assert self.workload is not None
        packages = topologies_of(self.references, self.bandwidth)
        return study.compare(
            packages,
            [self.workload],
            normalise=self.normalise,
            metrics=self.metrics,
            progress=self.tell,
            **self.options,
        )

    @property
    def run(self) -> Run:
        """The run of the first topology."""
        return self.result.runs[0]

    def flow(self, run: Run) -> FlowResult:
        """Return the congestion of the traffic that is drawn."""
        flow: FlowResult = getattr(run, self.part)
        return flow

    def one_token(self) -> FlowResult:
        """Return the congestion of one token's dispatch, copied where the network can."""
        run = self.run
        count = run.trace.num_tokens
        if self.token >= count:
            raise WorkloadError(f"--token {self.token}: the trace has {count} tokens; give 0 to {count - 1}")
        trace = run.trace.layer(self.layer).tokens([self.token])
        message = traffic.dispatch(
            run.package,
            trace,
            run.allocation.layer(self.layer),
            token_bytes=run.workload.model.hidden * run.workload.batch.bytes_per_value,
            degree=run.degree,
        )
        return congestion(run.package, message, routing=self.options["routing"])

    def watts(self) -> dict[str, str]:
        """Return the power of each node that an option names by name, wildcard or role."""
        found: dict[str, str] = {}
        for pattern, power in self.power:
            names = [
                node.name
                for node in self.package.nodes
                if fnmatchcase(node.name, pattern) or getattr(node, "role", "memory") == pattern
            ]
            if not names:
                hint = did_you_mean(pattern, self.package.index)
                raise UnknownNameError(f"package {self.package.name!r}: no node or role {pattern!r}; {hint}")
            found |= dict.fromkeys(names, power)
        return found


def _topology(scene: Scene) -> Axes:
    return draw.topology(scene.package)


def _temperature(scene: Scene) -> Axes:
    if not scene.power:
        raise typer.BadParameter("give the power of nodes, such as expert='20 W'", param_hint="--power")
    return draw.temperature(scene.package, temperature(scene.package, scene.watts()))


def _published(scene: Scene) -> Axes:
    return draw.published(study.reproduce_mozart(progress=scene.tell).rows)


def _load(scene: Scene) -> Axes:
    return draw.load(scene.flow(scene.run))


def _loads(scene: Scene) -> Axes:
    return draw.loads([scene.flow(run) for run in scene.result.runs])[0]


def _traffic(scene: Scene) -> Axes:
    return draw.traffic(scene.flow(scene.run).traffic)


def _multicast(scene: Scene) -> Axes:
    return draw.multicast(scene.one_token())


def _schedule(scene: Scene) -> Axes:
    return draw.schedule(scene.run.plan)


def _utilisation(scene: Scene) -> Axes:
    return draw.utilisation(scene.run.plan)


def _breakdown(scene: Scene) -> Axes:
    return draw.breakdown({run.package.name: run.plan for run in scene.result.runs})


def _step_bounds(scene: Scene) -> Axes:
    return draw.step_bounds(scene.run.plan)


def _comparison(scene: Scene) -> Axes:
    return draw.comparison(scene.result)[0]


def _scaling(scene: Scene) -> Axes:
    known: list[dict[str, float | str]] = [
        {key: value for key, value in row.items() if isinstance(value, (int, float, str))}
        for row in scene.result.rows
    ]
    return draw.scaling(known, x=scene.x, y=scene.y, by="package")


def _roofline(scene: Scene) -> Axes:
    assert scene.workload is not None
    package, model = scene.package, scene.workload.model
    works = {f"{tokens} tokens": expert_work(model, tokens) for tokens in (16, 128, 1024, 8192)}
    stacks = {memory.kind: memory.bandwidth for memory in package.memories}
    chiplet = next(chiplet for chiplet in package.chiplets if chiplet.name == package.experts[0])
    return draw.roofline(chiplet, works, bandwidth=stacks or None, title=f"{model.name}: an expert")


def _layout(scene: Scene) -> Axes:
    run = scene.run
    return draw.layout(run.package, run.allocation, run.trace, layer=scene.layer)


def _coactivation(scene: Scene) -> Axes:
    return draw.coactivation(scene.run.trace, scene.run.allocation, layer=scene.layer)


def _layouts(scene: Scene) -> Axes:
    assert scene.workload is not None
    scene.tell(f"{scene.package.name}: layouts")
    return draw.layouts(compare_layouts(scene.workload.trace, scene.package, **_layout_options(scene)))


def _pareto(scene: Scene) -> Axes:
    assert scene.workload is not None
    scene.tell(f"{scene.package.name}: layouts")
    trace = scene.workload.trace
    return draw.pareto(layouts_by_cap(trace, scene.package, **_layout_options(scene)), trace)


def _layout_options(scene: Scene) -> dict[str, Any]:
    return {key: scene.options[key] for key in ("objective", "rng")}


def _degradation(scene: Scene) -> Axes:
    run = scene.run
    routing, seed = scene.options["routing"], scene.options["rng"]
    scene.tell(f"{run.package.name}: losses")
    return draw.degradation(
        study.resilience(run.package, scene.flow(run).traffic, routing=routing, rng=seed, report=scene.tell)
    )


def _collective(scene: Scene) -> Axes:
    scene.tell(f"{scene.package.name}: {scene.kind}")
    return draw.collective(collective(scene.package, scene.kind, scene.size))


def _bandwidth_curve(scene: Scene) -> Axes:
    flow = scene.flow(scene.run)
    scene.tell(f"{scene.package.name}: time over bandwidth")
    return draw.bandwidth_curve(flow.over_bandwidth(list(scene.links) or "d2d"))


def _ladder(scene: Scene) -> Axes:
    flow = scene.flow(scene.run)
    scene.tell(f"{scene.package.name}: ladder")
    return draw.ladder(flow.ladder())


def _upgrades(scene: Scene) -> Axes:
    if scene.to is None or not scene.links:
        raise typer.BadParameter("give links and their new bandwidth by --link and --to", param_hint="--link")
    flow = scene.flow(scene.run)
    scene.tell(f"{scene.package.name}: upgrades")
    return draw.upgrades([flow.upgrade(link, to=scene.to) for link in scene.links])


def _latency(scene: Scene) -> Axes:
    from noptoolkit import simulate

    bound = simulate.load_bound(scene.package, "uniform")
    rates = [share * min(1.0, bound) for share in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)]
    return draw.latency(
        simulate.latency_curve(scene.package, "uniform", rates, rng=scene.seed, progress=scene.tell),
        bound=bound,
    )


def _latencies(scene: Scene) -> Axes:
    from noptoolkit import simulate

    rate = 0.5 * min(1.0, simulate.load_bound(scene.package, "uniform"))
    scene.tell(f"{scene.package.name}: {rate:.3g} flits per cycle and source")
    return draw.latencies(simulate.simulate(scene.package, "uniform", rate=rate, rng=scene.seed))


METRICS_OF: dict[str, Sequence[str]] = {"comparison": COMPARED}
"""Metrics of pictures that are drawn of metrics; `scaling` is drawn of those asked for."""

PICTURES: dict[str, Callable[[Scene], Axes]] = {
    "topology": _topology,
    "load": _load,
    "loads": _loads,
    "traffic": _traffic,
    "multicast": _multicast,
    "schedule": _schedule,
    "utilisation": _utilisation,
    "breakdown": _breakdown,
    "step_bounds": _step_bounds,
    "comparison": _comparison,
    "scaling": _scaling,
    "layout": _layout,
    "layouts": _layouts,
    "coactivation": _coactivation,
    "pareto": _pareto,
    "roofline": _roofline,
    "degradation": _degradation,
    "temperature": _temperature,
    "published": _published,
    "collective": _collective,
    "bandwidth_curve": _bandwidth_curve,
    "ladder": _ladder,
    "upgrades": _upgrades,
    "latency": _latency,
    "latencies": _latencies,
}
"""What draws each kind of picture; `animate` writes its own file."""

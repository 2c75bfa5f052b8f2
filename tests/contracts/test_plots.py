"""Every plot keeps one contract, by being public in `noptoolkit.plot`.

It returns its axes, says what its numbers are measured in, shows and saves nothing, and leaves matplotlib's
settings as they were. What a plot is given is chosen by the annotations of its required parameters.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

import noptoolkit as nop
from noptoolkit import physical, plot

matplotlib.use("Agg")
NO_PICTURES = {"save", "style", "animate"}
"""Public names that do not draw on axes."""
PLOTS = [name for name in plot.__all__ if name not in NO_PICTURES]


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@cache
def package() -> nop.Package:
    return nop.topology.mesh(2, attention=True, memory=True, flops="74 TFLOP/s")


@cache
def workload() -> nop.Workload:
    return nop.load_workload("stdlib-moe")


@cache
def allocation() -> nop.Allocation:
    return nop.allocate(workload().trace, package(), method="contiguous")


@cache
def flow() -> nop.FlowResult:
    return nop.congestion(
        package(), nop.traffic.dispatch(package(), workload().trace, allocation(), token_bytes="1 kB")
    )


@cache
def one_token() -> nop.FlowResult:
    token = nop.RoutingTrace(workload().trace.topk[:, :1], num_experts=workload().trace.num_experts)
    able = [
        node if isinstance(node, nop.Memory) else dataclasses.replace(node, replicates=True)
        for node in package().nodes
    ]
    copying = package().replace(nodes=able)
    sent = nop.traffic.dispatch(copying, token, allocation(), token_bytes=1, layer=0)
    return nop.congestion(copying, sent, routing="shortest")


@cache
def schedule() -> nop.Schedule:
    return nop.schedule(package(), workload(), allocation(), routing="shortest")


def plan_memory() -> nop.plans.PlanMemory:
    room = nop.plans.Room(sram=50e6, stacks=80e9)
    plan, batch = nop.ParallelPlan(ep=2, pp=2, dp=2), workload().batch
    return nop.plans.plan_memory(plan, workload().model, batch, rooms=[room] * 4)


def _work() -> dict[str, Any]:
    from noptoolkit.nodes import expert_work

    return {"expert": expert_work(workload().model, 64)}


def _reproduced() -> list[SimpleNamespace]:
    return [SimpleNamespace(figure=f"gain {i}", published=1.0, calibrated=1.1) for i in range(3)]


@cache
def curve() -> nop.simulate.LatencyCurve:
    quick = nop.simulate.Sampling(period=100)
    return nop.simulate.latency_curve(package(), "uniform", [0.1, 0.3], sampling=quick)


@cache
def saturation() -> nop.simulate.Saturation:
    return nop.simulate.saturation(package(), "uniform", sampling=nop.simulate.Sampling(period=100))


@cache
def serving_curve() -> nop.serving.ServingCurve:
    return nop.serving.serve(package(), workload(), allocation(), context=128, batch="1,4,16")


@cache
def study() -> nop.studies.Study:
    space = {
        "builder": ["ring", "mesh"],
        "params.count": [4, 6],
        "params.rows": [2, 3],
        "workload": "stdlib-moe",
    }
    return nop.studies.Study.of(nop.studies.sweep_all(space, ["links", "total_bandwidth"]))


METHODS = ("contiguous", "round-robin")


@cache
def best_of_all() -> Any:
    from noptoolkit.study import best_package

    among = ["tree as drawn", "one hub that copies"]
    return best_package(workload(), allocator="contiguous", step=False, among=among)[0]


@cache
def distances() -> Any:
    from noptoolkit.study.distances import distances_to_bound

    return distances_to_bound(["ring", "torus"], [16, 25])


def best_widths() -> Any:
    from noptoolkit.whatif import rewiden

    return rewiden(package(), nop.traffic.all_to_all(package(), "1 kB"), "bandwidth")


EXAMPLES: dict[str, Callable[[], Any]] = {
    "BestPackage": best_of_all,
    "BestWidths": best_widths,
    "Distances": distances,
    "Allocation": allocation,
    "BandwidthCurve": lambda: flow().over_bandwidth("d2d", "64 GB/s", "1 TB/s"),
    "Chiplet": lambda: package().chiplets[1],
    "CollectiveResult": lambda: nop.collective(package(), "all-reduce", "1 MB"),
    "Comparison": lambda: nop.compare([package()], [workload()], allocator="contiguous", routing="shortest"),
    "FlowResult": flow,
    "Front": lambda: nop.studies.pareto_front(study(), "links,max total_bandwidth"),
    "Ladder": lambda: flow().ladder(3),
    "LayoutReport": lambda: nop.compare_layouts(
        workload().trace, package(), methods=("contiguous", "round-robin")
    ),
    "LatencyCurve": curve,
    "Mapping[str, Allocation]": lambda: {"contiguous": allocation()},
    "Mapping[str, ParallelPlan]": lambda: {"folded": nop.ParallelPlan(tp=2, ep=8, pp=2, dp=4)},
    "Mapping[str, Sequence[Saturation]]": lambda: {"8 VCs": [saturation()]},
    "Mapping[str, Schedule]": lambda: {"mesh": schedule()},
    "Mapping[str, ServingCurve]": lambda: {"mesh": serving_curve()},
    "Mapping[str, Work]": _work,
    "Package": package,
    "PlanMemory": plan_memory,
    "Resilience | Sequence[Resilience]": lambda: nop.resilience(package(), flow().traffic),
    "RoutingTrace": lambda: workload().trace,
    "Schedule": schedule,
    "Sequence[float]": lambda: [1.0],
    "StepSchedule": schedule,
    "Study": lambda: study(),
    "Simulation": lambda: curve().runs[0],
    "Sequence[FlowResult]": lambda: [flow(), flow()],
    "Sequence[Mapping[str, float | str]]": lambda: [
        {"package": "mesh", "x": float(x), "y": 1.0 / x} for x in (1, 2, 4)
    ],
    "Sequence[Reproduced]": _reproduced,
    "Temperature": lambda: physical.temperature(package(), {package().chiplets[0].name: 10.0}),
    "Traffic": lambda: flow().traffic,
    "Upgrade | Sequence[Upgrade]": lambda: [flow().upgrade("d2d", to="1 TB/s")],
    "str": lambda: "x",
}
"""What a required parameter of each type is given; a new type wants a line."""

OWN: dict[str, Callable[[], dict[str, Any]]] = {
    "multicast": lambda: {"flow": one_token()},
    "roofline": lambda: {"bandwidth": {"HBM2": "256 GB/s"}},
}
"""Arguments of plots that draw only some values of their types."""


@cache
def example(annotation: str) -> Any:
    return EXAMPLES[annotation]()


def arguments(draw: Callable[..., Any]) -> dict[str, Any]:
    given = OWN.get(draw.__name__, dict)()
    for name, parameter in inspect.signature(draw).parameters.items():
        if parameter.default is parameter.empty and name not in given:
            given[name] = name if parameter.annotation == "str" else example(parameter.annotation)
    return given


def drawn(name: str) -> list[Axes]:
    draw = getattr(plot, name)
    made = draw(**arguments(draw))
    return list(made) if isinstance(made, list) else [made]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_returns_its_axes_and_changes_nothing_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(plt, "show", lambda *given, **named: shown.append(name))
    monkeypatch.setattr(plt.Figure, "savefig", lambda *given, **named: shown.append(name))
    before = dict(matplotlib.rcParams)
    axes = drawn(name)
    assert axes
    assert all(isinstance(ax, Axes) for ax in axes)
    assert dict(matplotlib.rcParams) == before
    assert not shown


@pytest.mark.parametrize("name", PLOTS)
def test_numbers_have_a_unit(name: str) -> None:
    """An axis with numbers on it has a label, or its axes a title that says what they are."""
    axes = drawn(name)
    for figure in {ax.figure for ax in axes}:
        figure.canvas.draw()
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            ticks = [tick.get_text() for tick in axis.get_ticklabels() if tick.get_visible()]
            numbers = [text for text in ticks if text.strip().replace("−", "-").replace(".", "").isdigit()]
            if ax.axison and axis.get_visible() and len(numbers) > 1:
                said = [axis.label, axis.offsetText, ax.title, *ax.texts]
                assert any(text.get_text() for text in said if isinstance(text, Text)), (name, axis)


@pytest.mark.parametrize(
    "name", [name for name in PLOTS if "ax" in inspect.signature(getattr(plot, name)).parameters]
)
def test_a_plot_draws_on_the_axes_that_it_is_given(name: str) -> None:
    figure, ax = plt.subplots()
    draw = getattr(plot, name)
    assert draw(**arguments(draw), ax=ax) is ax
    assert plt.get_fignums() == [figure.number]

"""Named metrics of a run: meaning, unit, and which direction is better.

One line in `METRICS` makes a metric a column of every comparison, its CSV and its pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from noptoolkit._names import resolve
from noptoolkit._numbers import is_whole
from noptoolkit.bounds import any_package
from noptoolkit.collectives import collective
from noptoolkit.errors import TopologyError, WorkloadError
from noptoolkit.physical import wire_length
from noptoolkit.plans import PlanStep
from noptoolkit.serving import FIGURES, Server
from noptoolkit.stages import Run
from noptoolkit.tables import Missing, value_text
from noptoolkit.units import Quantity

__all__ = ["COMPARED", "METRICS", "OF_PLANS", "Metric", "collective_metric", "serving_metric"]


@dataclass(frozen=True)
class Metric:
    """One column.

    Parameters
    ----------
    title
        Heading of the column and the axis.
    unit
        Base unit of the values; empty for a pure number, a count or a name.
    better
        Direction that is better, or ``""`` where neither is.
    value
        Function of a run: its value, or `Missing` with the reason.
    meaning
        One sentence for a reader who has not met it.
    bound
        Name of the metric that bounds this one.
    word
        Word of pictures for the better direction: a network of fewer links is cheaper, not better.
    usual
        Whether a comparison shows it without being asked.
    """

    title: str
    unit: str
    better: Literal["lower", "higher", ""]
    value: Callable[[Run], float | str | Missing]
    meaning: str
    bound: str = ""
    word: str = "better"
    usual: bool = True

    @property
    def key(self) -> str:
        """Name of a metric that is not in `METRICS`: its title in lower case, with underscores.

        Examples
        --------
        >>> METRICS["wire_length"].key
        'wire_length'
        """
        return "_".join(re.findall(r"[a-z0-9]+", self.title.lower()))

    def text(self, value: float | str | Missing) -> str:
        """Return a value as a cell of a table.

        Examples
        --------
        >>> METRICS["step"].text(0.0123), METRICS["links"].text(20), METRICS["c_t"].text(5.771)
        ('12.3 ms', '20', '5.77')
        """
        if isinstance(value, str):
            return value
        return value.reason if isinstance(value, Missing) else value_text(value, self.unit)


def _all_to_all_bottleneck(run: Run) -> str:
    return max((run.dispatch, run.combine), key=lambda flow: flow.time).bottleneck


def _uniform(run: Run, what: Literal["time", "time_bound"]) -> float | Missing:
    if len(run.package.experts) < 2:
        return Missing("one expert chiplet")
    return float(getattr(run.uniform, what))


def _any_package(like: str) -> Callable[[Run], float | Missing]:
    def least(run: Run) -> float | Missing:
        try:
            both = [
                any_package(run.package, one, like) for one in (run.dispatch_traffic, run.combine_traffic)
            ]
        except TopologyError:
            return Missing("no positions" if like == "wire" else "no ports")
        except WorkloadError:
            return Missing("nothing to carry")
        return sum(one.time for one in both)

    return least


def _wire_length(run: Run) -> float | Missing:
    package = run.package
    if all(node.position is not None for node in package.nodes):
        return wire_length(package)
    return Missing("no positions")


def _moving_energy(run: Run) -> float | Missing:
    energy = run.plan.energy
    if {"memory", "network"} & set(energy.unknown):
        return Missing("not given")
    return energy.memory + energy.network


METRICS: dict[str, Metric] = {
    "all_to_all": Metric(
        "dispatch + combine",
        "s",
        "lower",
        lambda run: run.dispatch.time + run.combine.time,
        "all-to-all of one MoE layer, all tokens of a step: dispatch then combine, each routed alone",
        bound="all_to_all_bound",
    ),
    "all_to_all_bound": Metric(
        "lower bound of dispatch + combine",
        "s",
        "",
        lambda run: run.dispatch.time_bound + run.combine.time_bound,
        "lower bound on dispatch + combine for any routing",
    ),
    "any_package_ports": Metric(
        "any package of these ports",
        "s",
        "",
        _any_package("ports"),
        "dispatch + combine take no less on any package whose nodes have these ports, wired in any way",
    ),
    "any_package_chiplet_edge": Metric(
        "any package of this chiplet edge",
        "s",
        "",
        _any_package("chiplet edge"),
        "dispatch + combine take no less on any package whose chiplets have as much edge for links, split in "
        "any way; switches are free, as --normalise beachfront counts",
    ),
    "any_package_all_edge": Metric(
        "any package of this edge, all dies",
        "s",
        "",
        _any_package("all edge"),
        "dispatch + combine take no less on any package with as much bandwidth of links, both ends counted, "
        "split in any way: switches pay, as --normalise bandwidth counts",
    ),
    "any_package_wire": Metric(
        "any package of this wire",
        "s",
        "",
        _any_package("wire"),
        "dispatch + combine take no less on any package of these dies where they lie with as much bandwidth "
        "x length, laid in any way",
        usual=False,
    ),
    "bottleneck": Metric(
        "bottleneck",
        "",
        "",
        _all_to_all_bottleneck,
        "the channel or port that limits the slower of dispatch and combine",
    ),
    "uniform": Metric(
        "uniform all-to-all",
        "s",
        "lower",
        lambda run: _uniform(run, "time"),
        "the same copies sent unicast and evenly among the expert chiplets",
        bound="uniform_bound",
    ),
    "uniform_bound": Metric(
        "lower bound of uniform all-to-all",
        "s",
        "",
        lambda run: _uniform(run, "time_bound"),
        "lower bound on the uniform all-to-all for any routing",
    ),
    "c_t": Metric(
        "C_T",
        "",
        "lower",
        lambda run: run.allocation.c_t(run.trace),
        "mean number of chiplets that hold a token's experts, on tokens that the layout has not seen",
    ),
    "imbalance": Metric(
        "imbalance",
        "",
        "lower",
        lambda run: run.allocation.imbalance(run.trace),
        "activations of the hottest expert chiplet over the mean",
    ),
    "step": Metric(
        "step",
        "s",
        "lower",
        lambda run: run.plan.makespan,
        "makespan of one step under the schedule policy",
        bound="step_bound",
    ),
    "step_bound": Metric(
        "lower bound of step",
        "s",
        "",
        lambda run: run.plan.lower_bound,
        "lower bound on the step for any routing, split or not, and any order of the same work",
    ),
    "step_bound_of_routes": Metric(
        "bound of the step's routes",
        "s",
        "",
        lambda run: run.plan.bound_of_routes,
        "lower bound on the step for any order, with the routes that it takes",
    ),
    "step_routing": Metric(
        "routing of the step",
        "",
        "",
        lambda run: run.plan.routing,
        "routing of everything that the step moves: tokens, weights, gradients, caches",
    ),
    "links": Metric(
        "links", "", "lower", lambda run: len(run.package.links), "physical links", word="cheaper"
    ),
    "total_bandwidth": Metric(
        "total bandwidth",
        "B/s",
        "lower",
        lambda run: run.package.total_bandwidth,
        "sum over all links and both directions: a proxy for what the network costs",
        word="cheaper",
    ),
    "wire_length": Metric(
        "wire length",
        "m",
        "lower",
        _wire_length,
        "sum over all links of the Manhattan distance between the points where they leave the dies",
        word="cheaper",
    ),
    "moving_energy": Metric(
        "data-movement energy",
        "J",
        "lower",
        _moving_energy,
        "energy of one step in links and memory stacks, without arithmetic",
    ),
}


SERVING: dict[str, tuple[str, str, Literal["lower", "higher"], str]] = {
    "token_time": ("time per token", "s", "lower", "time per output token of a sequence"),
    "token_rate": ("tokens per second", "", "higher", "output tokens per second, all sequences"),
    "first_token": ("time to first token", "s", "lower", "prefill of one prompt that finds the server idle"),
    "tokens_per_joule": ("tokens per joule", "", "higher", "output tokens per joule of dynamic energy"),
    "sequences_that_fit": ("sequences that fit", "", "higher", "sequences whose keys and values have room"),
}
"""Title, unit, better direction and meaning of the figures of serving."""


def _served(name: str, batch: int | None = None, context: int | None = None, **options: Any) -> Metric:
    title, unit, better, meaning = SERVING[name]

    def value(run: Run) -> float | Missing:
        given = run.given.batch
        server = run.server
        if options:
            server = Server(run.package, run.workload, run.allocation, options={**server.options, **options})
        found = FIGURES[name](server, batch or given.sequences, context or given.sequence_length)
        return Missing("not given") if found is None else found

    at = f"batch {batch or 'of the workload'}, context {context or 'of the workload'}"
    said = f"{title}, {at}" if batch or context else title
    return Metric(said, unit, better, value, f"{meaning}: decode, {at}, on held-out tokens", usual=False)


def serving_metric(name: str, *, batch: int, context: int, **options: Any) -> Metric:
    """Return a figure of serving at one batch and context as a metric for ``compare`` and ``sweep``.

    Parameters
    ----------
    name
        ``token_time``, ``token_rate``, ``first_token``, ``tokens_per_joule`` or ``sequences_that_fit``.
    batch, context
        Sequences that decode at once, and the tokens of the context of each (of the prompt, to first token).
    options
        Options of `noptoolkit.serving.Server` in place of the run's, such as ``routing="shortest"``.

    Raises
    ------
    UnknownNameError
        If there is no such figure.
    WorkloadError
        If batch or context is no whole number above 0.

    Examples
    --------
    >>> metric = serving_metric("token_time", batch=64, context=4096)
    >>> metric.title, metric.unit
    ('time per token, batch 64, context 4096', 's')
    """
    resolve(name, SERVING, "figure of serving")
    for what, number in (("batch", batch), ("context", context)):
        if not is_whole(number) or number < 1:
            raise WorkloadError(f"{what}={number!r}: give a whole number above 0")
    return _served(name, batch, context, **options)


def _of_plan(value: Callable[[PlanStep], float | str | Missing]) -> Callable[[Run], float | str | Missing]:
    return lambda run: Missing("no plan") if run.parallel_plan is None else value(run.parallel_step)


def _memory(step: PlanStep) -> float | Missing:
    return Missing("package has no memory") if step.memory is None else step.memory.total


def _energy(step: PlanStep) -> float | Missing:
    known = len(step.energy.unknown) < 3
    return step.energy.total if known else Missing("no energies given")


def _fits(step: PlanStep) -> str | Missing:
    if step.memory is None:
        return Missing("package has no memory")
    return "yes" if step.memory.fits else "no"


METRICS |= {name: _served(name) for name in SERVING}
OF_PLANS: dict[str, Metric] = {
    "plan_step": Metric(
        "step of the plan",
        "s",
        "lower",
        _of_plan(lambda step: step.time),
        "time of one step of the parallel plan, every chiplet a rank, as if it fitted",
        bound="plan_bound",
        usual=False,
    ),
    "plan_bound": Metric(
        "bound of the plan's step",
        "s",
        "",
        _of_plan(lambda step: step.bound),
        "lower bound on the step for any order of this plan's passes on this placement",
        usual=False,
    ),
    "mfu": Metric(
        "MFU",
        "",
        "higher",
        _of_plan(lambda step: step.mfu),
        "model FLOPs over what all ranks could compute at their peak in the plan's step",
        usual=False,
    ),
    "plan_energy": Metric(
        "energy of the plan's step",
        "J",
        "lower",
        _of_plan(_energy),
        "dynamic energy of one step of the parallel plan, of what the package has figures for: a part "
        "of the whole where some are missing",
        usual=False,
    ),
    "plan_memory": Metric(
        "memory of the fullest rank",
        "B",
        "lower",
        _of_plan(_memory),
        "what it holds, by the plan",
        usual=False,
    ),
    "plan_fits": Metric("plan fits", "", "", _of_plan(_fits), "whether every rank has the room", usual=False),
}
"""Metrics of the step of a parallel plan."""

METRICS |= OF_PLANS


COMPARED = ("all_to_all", "uniform", "step", "c_t", "links", "total_bandwidth")
"""Metrics that a picture of a comparison shows if none are named."""


def collective_metric(kind: str, size: Quantity, *, among: str | None = None) -> Metric:
    """Return the time of a collective on a run's package as a metric for ``compare(metrics=[...])``.

    Parameters
    ----------
    kind, size, among
        As `noptoolkit.collectives.collective` takes them.

    Examples
    --------
    >>> metric = collective_metric("all-reduce", "64 MB")
    >>> metric.title, metric.unit, metric.better
    ('all-reduce of 64 MB', 's', 'lower')
    """
    return Metric(
        f"{kind} of {size}",
        "s",
        "lower",
        lambda run: collective(run.package, kind, size, among=among).time,
        f"fastest {kind} of {size}, alone on the package",
    )

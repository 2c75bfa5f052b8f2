"""MoE Parallel Folding's published MFU beside the model of a plan's step (Liu et al., arXiv 2504.14960).

Five constants are calibrated to the 36 published values: the shares of peak arithmetic, memory bandwidth and
network bandwidth that are reached, a fixed time per layer and micro-batch, and the share of the exchange
among replicas that stays exposed. All else is counted: matrix products and bytes
(`noptoolkit.plans.rank_work`), collectives of all groups at once on the graph of DGX nodes, the pipeline's
schedule. Calibrated to these values, not validated against them; what it predicts are the Folding rows from
the MCore rows alone, and each model from the others. The rank of a published plan is its place among all
plans that fit in memory, by distinct (TP, EP, PP, ETP): with CP 1 and one sequence a micro-batch, as the
published rows have it, and with everything else free.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

import numpy as np

from noptoolkit._arrays import Floats
from noptoolkit.formats import load_workload
from noptoolkit.nodes import Efficiency
from noptoolkit.package import Package
from noptoolkit.plans.constants import Rates, StepConstants, rates_of
from noptoolkit.plans.group_times import GroupTimes
from noptoolkit.plans.memory import plan_memory
from noptoolkit.plans.plan import ParallelPlan
from noptoolkit.plans.planner import best_plans
from noptoolkit.plans.rank_work import model_flops
from noptoolkit.plans.space import divisors
from noptoolkit.plans.step_costs import PlanCosts, costs_of
from noptoolkit.plans.step_times import exposed_of, makespan_of_costs
from noptoolkit.progress import Progress
from noptoolkit.tables import Column, Table
from noptoolkit.topology import dgx_h100
from noptoolkit.workload import Workload

__all__ = [
    "FoldingReproduction",
    "FoldingRow",
    "PublishedRank",
    "calibrated_constants",
    "constants_of",
    "reproduce_parallel_folding",
]

NAMES = ("compute", "memory", "network", "layer_overhead", "exposed_gradients")
START = (0.75, 0.75, 0.75, 1e-3, 0.5)
HIGHEST = (1.0, 1.0, 1.0, 1e-2, 1.0)
TUPLE = ("tp", "ep", "pp", "etp")


@dataclass(frozen=True, eq=False)
class FoldingRow:
    """One published value.

    Parameters
    ----------
    workload, variant, gpus
        Model and batch; ``MCore`` or ``Folding``; ranks.
    plan
        The published plan, with the chunks that were assumed.
    published
        MFU, as a share.
    parts
        Costs per unit of 1/compute, 1/memory, 1/network and overhead: a step's costs are their sum.
    flops_rate
        Peak of all ranks, in FLOP/s.
    """

    workload: Workload
    variant: str
    gpus: int
    plan: ParallelPlan
    published: float
    parts: tuple[PlanCosts, ...]
    flops_rate: float

    def mfu(self, values: Sequence[float]) -> float:
        """Return the modelled MFU with some constants, in the order of `NAMES`."""
        weights = (1 / values[0], 1 / values[1], 1 / values[2], values[3])
        costs = _sum(self.parts, weights)
        makespan = makespan_of_costs(self.plan, costs)
        time = (
            makespan + exposed_of(costs, StepConstants(exposed_gradients=values[4]), makespan) + costs.update
        )
        return model_flops(self.workload.model, self.workload.batch) / (time * self.flops_rate)


def _sum(parts: tuple[PlanCosts, ...], weights: Sequence[float]) -> PlanCosts:
    """Return costs as a weighted sum of costs: they are linear in the inverses of rates, and in overheads."""
    first = parts[0]

    def total(values: Iterable[Any]) -> Any:
        return sum(w * value for w, value in zip(weights, values, strict=True))

    return PlanCosts(
        first.micro_batches,
        total(part.forward for part in parts),
        total(part.backward for part in parts),
        total(part.weight for part in parts),
        {name: total(part.network[name] for part in parts) for name in first.network},
        total(part.transfer for part in parts),
        {name: total(part.gradients[name] for part in parts) for name in first.gradients},
        total(part.update for part in parts),
    )


@dataclass(frozen=True)
class PublishedRank:
    """Place of a published plan among all plans that fit in memory, by distinct (TP, EP, PP, ETP).

    Parameters
    ----------
    model, plan
        Which plan.
    place
        Its place with CP 1 and one sequence a micro-batch, as the published rows have it (the latter
        assumed); None beyond those looked at.
    place_free
        Its place with everything else free.
    looked_at
        How many were ranked.
    best
        The best plan with everything free.
    """

    model: str
    plan: str
    place: int | None
    place_free: int | None
    looked_at: int
    best: str

    def line(self) -> str:
        """Return the places as a sentence."""
        where, free = (
            f"beyond {self.looked_at}" if place is None else str(place)
            for place in (self.place, self.place_free)
        )
        return (
            f"{self.model}: the published {self.plan} has place {where} of all distinct (TP, EP, PP, ETP) "
            "that fit, with CP 1 and one sequence a micro-batch; "
            f"place {free} with everything free, where {self.best} is best."
        )


@dataclass(frozen=True, eq=False, repr=False)
class FoldingReproduction:
    """Published values beside the model's.

    Parameters
    ----------
    rows
        The published values.
    values
        Constants, in the order of `NAMES`.
    ranks
        Places of the published plans.
    source, assumed
        Where the values come from, and what was assumed.
    """

    rows: tuple[FoldingRow, ...]
    values: tuple[float, ...]
    ranks: tuple[PublishedRank, ...]
    source: str
    assumed: tuple[str, ...]

    def __repr__(self) -> str:
        return f"FoldingReproduction({len(self.rows)} values, mean error {100 * self.mean_error:.1f} %)"

    def _repr_html_(self) -> str:
        return self.table().html()

    def __str__(self) -> str:
        return str(self.table())

    @cached_property
    def modelled(self) -> Floats:
        """MFU of each row with the constants, [rows]."""
        return np.array([row.mfu(self.values) for row in self.rows])

    @cached_property
    def errors(self) -> Floats:
        """Modelled over published, minus 1, [rows]."""
        errors: Floats = self.modelled / np.array([row.published for row in self.rows]) - 1.0
        return errors

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error."""
        return float(np.abs(self.errors).mean())

    @property
    def worst(self) -> float:
        """Largest absolute relative error."""
        return float(np.abs(self.errors).max())

    @cached_property
    def folding_from_mcore(self) -> float:
        """Mean absolute error of the Folding rows, with constants fitted to the MCore rows alone."""
        fitted = fit([row for row in self.rows if row.variant == "MCore"])
        return _mean_error((row for row in self.rows if row.variant == "Folding"), fitted)

    @cached_property
    def left_out(self) -> dict[str, float]:
        """Mean absolute error of each model, with constants fitted to the others."""
        result = {}
        for name in dict.fromkeys(row.workload.name for row in self.rows):
            fitted = fit([row for row in self.rows if row.workload.name != name])
            result[name] = _mean_error((row for row in self.rows if row.workload.name == name), fitted)
        return result

    def table(self) -> Table:
        """Return the values as a table."""
        columns = [
            Column("model"),
            Column("variant"),
            Column("gpus", "GPUs"),
            Column("batch", meaning="sequences of a step"),
            Column("plan", meaning="published; VPP assumed"),
            Column("published", form=".1f %", meaning="MFU, quoted"),
            Column("modelled", form=".1f %", meaning="MFU, calibrated to all of these values"),
            Column("error", form="+.1f %"),
        ]
        body: list[list[Any]] = [
            [
                row.workload.name,
                row.variant,
                row.gpus,
                row.workload.batch.sequences,
                str(row.plan),
                row.published,
                float(ours),
                float(error),
            ]
            for row, ours, error in zip(self.rows, self.modelled, self.errors, strict=True)
        ]
        shares = ", ".join(f"{name} {value:.4g}" for name, value in zip(NAMES, self.values, strict=True))
        left = ", ".join(f"{name} {100 * error:.1f} %" for name, error in self.left_out.items())
        notes = [
            f"Quoted: {self.source}",
            *(f"assumed: {line}" for line in self.assumed),
            f"Calibrated to these {len(self.rows)} values with {len(NAMES)} constants ({shares}; "
            f"overhead in s): mean error {100 * self.mean_error:.1f} %, worst {100 * self.worst:.1f} %; "
            "not a validation.",
            f"Constants from the MCore rows alone predict the Folding rows within a mean of "
            f"{100 * self.folding_from_mcore:.1f} %.",
            f"A model left out of the fit: mean error {left}.",
            *(rank.line() for rank in self.ranks),
        ]
        return Table(columns, body, title="moe-parallel-folding", notes=notes)


def _mean_error(rows: Iterable[FoldingRow], values: Sequence[float]) -> float:
    return float(np.mean([abs(row.mfu(values) / row.published - 1.0) for row in rows]))


def fit(rows: Sequence[FoldingRow]) -> tuple[float, ...]:
    """Return the constants of least squared logarithmic error."""
    from scipy.optimize import least_squares

    scale = np.array(START)

    def residuals(relative: Floats) -> Floats:
        values = relative * scale
        return np.array([np.log(row.mfu(values) / row.published) for row in rows])

    lowest = np.array([0.2, 0.2, 0.2, 0.0, 0.0]) / scale
    found = least_squares(
        residuals, np.ones(len(scale)), bounds=(lowest, np.array(HIGHEST) / scale), diff_step=1e-4
    )
    return tuple((found.x * scale).tolist())


def folding_data() -> dict[str, Any]:
    """Return the published values and the preset of constants."""
    text = (resources.files("noptoolkit.study") / "data" / "parallel_folding.toml").read_text(
        encoding="utf-8"
    )
    return tomllib.loads(text)


def constants_of(values: Sequence[float], source: str) -> StepConstants:
    """Return constants in the order of `NAMES` as `StepConstants`."""
    compute, memory, network, overhead, exposed = values
    return StepConstants(Efficiency(compute, memory, network, source), overhead, exposed, source)


def calibrated_constants() -> StepConstants:
    """Return the constants calibrated to the published MFU values on DGX H100 nodes.

    Examples
    --------
    >>> calibrated_constants().efficiency.compute
    0.78259
    """
    preset = folding_data()["preset"]
    return constants_of([preset[name] for name in NAMES], preset["source"])


def reproduce_parallel_folding(
    *, refit: bool = False, ranks: bool = True, looked_at: int = 12, progress: Progress | None = None
) -> FoldingReproduction:
    """Return the published values beside the model's.

    Parameters
    ----------
    refit
        Fit the constants anew instead of taking the preset's.
    ranks
        Whether to search for the places of the published plans.
    looked_at
        How many distinct (TP, EP, PP, ETP) to rank.
    progress
        Callable that is given a line of text before each part.
    """
    tell = progress or (lambda _: None)
    data = folding_data()
    tell("costs of the published plans")
    rows = tuple(_rows(data))
    values = fit(rows) if refit else tuple(data["preset"][name] for name in NAMES)
    found = []
    for wanted in data["published_plan"] if ranks else ():
        tell(f"all plans of {wanted['model']} on {wanted['gpus']} GPUs")
        found.append(_rank(data, wanted, constants_of(values, data["preset"]["source"]), looked_at))
    assumed = (*data["assumed"], f"not modelled: {data['not_modelled']}")
    return FoldingReproduction(rows, values, tuple(found), data["source"], assumed)


def _rank(
    data: dict[str, Any], wanted: dict[str, Any], constants: StepConstants, looked_at: int
) -> PublishedRank:
    workload = _workload(data, wanted["model"], data["batch"]["small"], 1)
    package = dgx_h100(wanted["gpus"])
    fields = {name: value for name, value in zip(TUPLE, wanted["plan"], strict=True) if value}
    plan = " ".join(f"{name.upper()}{value}" for name, value in fields.items())
    places = []
    for fixed in ({"cp": 1, "micro_batch": 1}, {}):
        planning = best_plans(
            workload,
            package,
            constants=constants,
            keep=looked_at,
            key=TUPLE,
            fixed=fixed,
            time_limit=600.0,
        )
        places.append(planning.rank_of(**fields))
    return PublishedRank(wanted["model"], plan, places[0], places[1], looked_at, str(planning.best[0].plan))


def _workload(data: dict[str, Any], name: str, sequences: int, micro_batches: int) -> Workload:
    workload = load_workload(name)
    batch = dataclasses.replace(
        workload.batch,
        sequences=sequences,
        sequence_length=data["batch"]["sequence_length"],
        micro_batches=micro_batches,
        mode="training",
    )
    return dataclasses.replace(workload, batch=batch)


def _rows(data: dict[str, Any]) -> Iterable[FoldingRow]:
    known: dict[int, tuple[Package, GroupTimes, Rates]] = {}
    for case in data["case"]:
        tp, ep, pp, etp = case["plan"]
        chunks: int | None = None
        for size in ("small", "large"):
            for text, percent in case[size].items():
                gpus, sequences = int(text), data["batch"][size]
                if gpus not in known:
                    package = dgx_h100(gpus)
                    known[gpus] = (package, GroupTimes(package), rates_of(package))
                count = sequences * tp * pp // gpus
                workload = _workload(data, case["model"], sequences, count)
                plain = ParallelPlan(
                    tp=tp,
                    ep=ep,
                    pp=pp,
                    etp=etp,
                    recompute="selective",
                    micro_batches=count,
                    folded=case["variant"] == "Folding",
                ).on(gpus)
                if chunks is None:  # the same plan at every size: chosen at the first
                    chunks = _most_chunks(plain, workload, data)
                plan = plain.replace(vpp=chunks, dp=plain.dp)
                package, times, rates = known[gpus]
                parts = _parts(plan, workload, rates, times)
                yield FoldingRow(
                    workload, case["variant"], gpus, plan, percent / 100.0, parts, gpus * rates.flops
                )


def _most_chunks(plan: ParallelPlan, workload: Workload, data: dict[str, Any]) -> int:
    """Return the largest number of chunks that divides the layers of a stage and fits in memory, else 1."""
    from noptoolkit.units import parse_quantity

    room = parse_quantity(data["machine"]["memory"], "B", "memory")
    for chunks in reversed(divisors(workload.model.layers // plan.pp)):
        memory = plan_memory(plan.replace(vpp=chunks, dp=plan.dp), workload.model, workload.batch)
        if memory.total <= room:
            return chunks
    return 1


def _parts(plan: ParallelPlan, workload: Workload, rates: Rates, times: GroupTimes) -> tuple[PlanCosts, ...]:
    """Return costs per unit of 1/compute, 1/memory, 1/network and overhead."""
    never = 1e30  # so fast that it takes no time
    units = (
        StepConstants(Efficiency(1.0, never, never)),
        StepConstants(Efficiency(never, 1.0, never)),
        StepConstants(Efficiency(never, never, 1.0)),
        StepConstants(Efficiency(never, never, never), layer_overhead=1.0),
    )
    return tuple(
        costs_of(
            plan, workload.model, workload.batch, rates, unit, lambda family: times.interval(family).reached
        )
        for unit in units
    )

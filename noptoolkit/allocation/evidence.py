"""Evaluation of layouts: fitted beside held-out and out-of-domain C_T, imbalance beside both.

A layout is fitted to some tokens and used for others, so its fitted C_T flatters it; a layout of small C_T
piles hot experts up, so C_T without imbalance flatters it too. `compare_layouts` shows all of them, with the
mean of random layouts G (1 - C(E - E/G, k) / C(E, k)) and a lower bound for scale.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from noptoolkit._seeds import generator_from
from noptoolkit.allocation.allocating import Objective, allocate, objective_of
from noptoolkit.allocation.bounds import c_t_bound
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.problem import slots_of
from noptoolkit.allocation.replication import REPLICATIONS
from noptoolkit.allocation.time_model import PackageTime, package_time
from noptoolkit.errors import InfeasibleError
from noptoolkit.package import Package, expect_package
from noptoolkit.tables import Column, Table
from noptoolkit.trace import ORIGINS, RoutingTrace, expect_trace

__all__ = ["LayoutReport", "LayoutRow", "compare_layouts", "layouts_by_cap", "random_c_t"]


@dataclass(frozen=True, eq=False)
class LayoutRow:
    """One layout, judged.

    Parameters
    ----------
    method
        The allocator asked for.
    allocation
        Layout; ``allocation.method`` also names the winner of ``auto``.
    fitted, held_out
        C_T on the tokens it was fitted to, and on others.
    out_of_domain
        Mean over the domains of C_T on all others of a layout fitted to one; ``None`` where not asked for.
    c_g, imbalance
        C_G and imbalance, both held out.
    layer_time
        Time of dispatch, experts and combine of one layer by the package's time model, in s per held-out
        token.
    seconds
        Run time of the allocator, in s.
    """

    method: str
    allocation: Allocation
    fitted: float
    held_out: float
    out_of_domain: float | None
    c_g: float
    imbalance: float
    layer_time: float
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class LayoutReport:
    """Layouts side by side.

    Parameters
    ----------
    rows
        One for each method.
    package, trace
        Package and whole trace of the layouts.
    bound
        No layout without redundant experts has a smaller fitted C_T.
    random
        Mean C_T of random layouts, for any routing.
    split
        How the held-out tokens were chosen.
    """

    rows: tuple[LayoutRow, ...]
    package: Package
    trace: RoutingTrace
    bound: float
    random: float
    split: str

    @property
    def best(self) -> LayoutRow:
        """The layout of the smallest held-out time of a layer; the first of equal ones."""
        return min(self.rows, key=lambda row: row.layer_time)

    def __repr__(self) -> str:
        best = min(self.rows, key=lambda row: row.held_out)
        return (
            f"LayoutReport({len(self.rows)} layouts on {self.package.name!r}, "
            f"least held-out C_T {best.held_out:.3f} by {best.method!r})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the layouts as a table; times are relative to the first row's."""
        first = self.rows[0].layer_time
        columns = {
            Column("layout", meaning="allocator"): [row.method for row in self.rows],
            Column("fitted", form=".3f", meaning="C_T on the tokens fitted to"): [
                row.fitted for row in self.rows
            ],
            Column("held_out", form=".3f", meaning="C_T on held-out tokens"): [
                row.held_out for row in self.rows
            ],
            Column("other_domains", form=".3f", meaning="C_T on all other domains, mean"): [
                row.out_of_domain for row in self.rows
            ],
            Column("c_g", "C_G", form=".3f", meaning="groups per token, held out"): [
                row.c_g for row in self.rows
            ],
            Column("imbalance", form=".2f", meaning="hottest chiplet over the mean, held out"): [
                row.imbalance for row in self.rows
            ],
            Column("time", form=".3f", meaning="time of one layer over the first row's, held out"): [
                row.layer_time / first for row in self.rows
            ],
            Column("seconds", form=".2f", meaning="computing time of the allocator, in s"): [
                row.seconds for row in self.rows
            ],
        }
        if all(row.out_of_domain is None for row in self.rows):
            columns = {column: cells for column, cells in columns.items() if column.key != "other_domains"}
        rows = zip(*columns.values(), strict=True)
        return Table(columns, rows, title=repr(self), notes=self.notes())

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of `table` as text."""
        return self.table().cells()

    def notes(self) -> list[str]:
        """Return what must be said with the table, a line each."""
        origin = ORIGINS[self.trace.origin]
        if self.trace.origin == "loads":
            origin += " alone: co-activation is not known"
        alone = " without redundant experts" if any(r.allocation.replicas.size for r in self.rows) else ""
        notes = [
            f"{self.trace!r}: {origin}.",
            "fitted, held out: C_T, chiplets per token, on the tokens fitted to and on the other half "
            f"(of the {self.split}s). Random layouts average {self.random:.3f}; no layout{alone} has less "
            f"than {self.bound:.3f} fitted.",
            "C_G: groups per token. imbalance: hottest chiplet over the mean. time: dispatch, experts and "
            f"combine of one layer on {self.package.name} by fixed routes, over the first row's. All held "
            "out.",
        ]
        if any(row.out_of_domain is not None for row in self.rows):
            notes.append("other domains: C_T of layouts fitted to one domain, on all others.")
        notes += [f"{row.allocation.method}." for row in self.rows if row.allocation.method != row.method]
        return notes


def compare_layouts(
    trace: RoutingTrace,
    package: Package,
    methods: Sequence[str] = ("contiguous", "random", "mozart", "agglomerative", "leiden", "auto"),
    *,
    objective: Objective | None = None,
    by: Literal["token", "document"] = "token",
    domains: bool = False,
    layer_time: PackageTime | None = None,
    redundant: int = 0,
    redundant_by: Literal["traffic", "load", "hierarchical"] = "traffic",
    rng: int | np.random.Generator | None = 0,
    **options: Any,
) -> LayoutReport:
    """Return layouts by several methods, fitted to one half of a trace and judged on the other.

    Parameters
    ----------
    trace, package, objective, layer_time
        Arguments of `noptoolkit.allocation.allocate`, which also takes the further ``options``.
    methods
        Names in `ALLOCATORS`.
    by
        Whether tokens or whole documents are held out.
    domains
        Whether to fit to each domain of the trace too, and judge on the others.
    redundant, redundant_by
        Redundant experts that every layout gets in each layer, by `replicate_by_traffic` or
        `replicate_by_load`.
    rng
        Seed or generator of the split and of every method.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link, SyntheticRouting
    >>> from noptoolkit.synthetic import draw_trace
    >>> ring = Package("ring", [Chiplet(n, role="expert") for n in "abcd"],
    ...                [Link(*pair, "1 GB/s") for pair in ("ab", "bc", "cd", "da")])
    >>> trace = draw_trace(SyntheticRouting(32, 4, 500, 1, affinity=4.0))
    >>> report = compare_layouts(trace, ring, ["contiguous", "mozart", "auto"])
    >>> report.rows[2].held_out < report.rows[1].held_out < report.rows[0].held_out
    True
    """
    expect_package(package)
    expect_trace(trace)
    methods = [methods] if isinstance(methods, str) else methods
    generator = generator_from(rng)
    ((fit, held_out),) = trace.split(rng=generator, by=by)
    seed = int(generator.integers(2**32))
    model = layer_time or package_time(package)
    options = {"layer_time": layer_time, "rng": seed, **options}
    if "auto" not in methods:
        objective_of(objective, methods[0] if methods else "none")

    def fitted(method: str, tokens: RoutingTrace) -> Allocation:
        aim = objective if method == "auto" else None
        layout = allocate(tokens, package, method=method, objective=aim, **options)
        return REPLICATIONS[redundant_by](layout, tokens, redundant) if redundant else layout

    rows = []
    for method in methods:
        start = time.perf_counter()
        layout = fitted(method, fit)
        seconds = time.perf_counter() - start
        elsewhere = None
        if domains:
            halves = trace.split(by="domain")
            elsewhere = float(np.mean([fitted(method, inside).c_t(outside) for inside, outside in halves]))
        rows.append(
            LayoutRow(
                method=method,
                allocation=layout,
                fitted=layout.c_t(fit),
                held_out=layout.c_t(held_out),
                out_of_domain=elsewhere,
                c_g=layout.c_g(held_out),
                imbalance=layout.imbalance(held_out),
                layer_time=model.time(layout, held_out) / held_out.num_tokens,
                seconds=seconds,
            )
        )
    limits = {key: options[key] for key in ("per_layer", "capacity") if key in options}
    bound = c_t_bound(fit, package, **limits)
    mean = random_c_t(package, trace.num_experts, trace.top_k, options.get("capacity"))
    return LayoutReport(tuple(rows), package, trace, bound, mean, by)


def random_c_t(
    package: Package, num_experts: int, top_k: int, capacity: int | Sequence[int] | None = None
) -> float:
    """Return the mean C_T over all layouts: of each chiplet, the chance that it holds one of k experts.

    Examples
    --------
    >>> from noptoolkit import Chiplet, Link
    >>> pair = Package("pair", [Chiplet(n, role="expert") for n in "ab"], [Link("a", "b", "1 GB/s")])
    >>> round(random_c_t(pair, 4, 2), 4)  # 2 (1 - C(2, 2) / C(4, 2))
    1.6667
    """
    slots, _ = slots_of(package, num_experts, capacity)
    total = int(slots.sum())  # empty slots are as likely as experts
    return float(sum(1 - math.comb(total - int(s), top_k) / math.comb(total, top_k) for s in slots))


def layouts_by_cap(
    trace: RoutingTrace,
    package: Package,
    caps: Sequence[float] = (1.05, 1.1, 1.2, 1.3, 1.5, 2.0, 3.0),
    **options: Any,
) -> dict[str, Allocation]:
    """Return the layout for each load cap of a chiplet: the curve of C_T against imbalance.

    Parameters
    ----------
    trace, package
        Arguments of `noptoolkit.allocation.allocate`, which takes the further ``options``; the objective of
        ``auto`` is ``c_t`` if no other is given, because the curve is one of C_T.
    caps
        Multiples of the mean load; left out are those that no layout is found for, and those wider than one
        that no layer comes near.

    Returns
    -------
    dict
        Layouts by ``"cap 1.2"`` and the like, ready for ``noptoolkit.plot.pareto``.
    """
    layouts: dict[str, Allocation] = {}
    if options.get("method", "auto") == "auto":
        options = {"objective": "c_t", **options}
    for cap in sorted(caps):
        try:
            layouts[f"cap {cap:g}"] = allocate(trace, package, cap_chiplet=cap, **options)
        except InfeasibleError:
            continue
        hottest = layouts[f"cap {cap:g}"].load(trace).max(axis=1)
        if (hottest * len(package.experts) < 0.98 * cap * trace.load().sum() / trace.num_layers).all():
            break  # no layer comes near this cap: a wider one changes nothing
    return layouts

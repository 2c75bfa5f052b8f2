"""Algorithms of today beside the optimum, on one package."""

from __future__ import annotations

from dataclasses import dataclass

from noptoolkit._pictures import Reported
from noptoolkit.collectives.algorithms.classic import ALGORITHMS
from noptoolkit.collectives.result import CollectiveResult
from noptoolkit.collectives.solving import collective
from noptoolkit.errors import RoutingError
from noptoolkit.tables import Column, Table

__all__ = ["AlgorithmComparison", "compare_algorithms"]


@dataclass(frozen=True, eq=False, repr=False)
class AlgorithmComparison(Reported):
    """The optimum of a request and what algorithms of today make of it.

    Parameters
    ----------
    optimum
        The best schedule, with its bound.
    others
        Results by name of the algorithm; the reason where one does not apply.
    """

    optimum: CollectiveResult
    others: dict[str, CollectiveResult | str]

    def __repr__(self) -> str:
        return f"AlgorithmComparison({self.optimum.title} on {self.optimum.package.name!r})"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return a row for each algorithm: its time, and how many times the lower bound that is."""
        best = self.optimum
        columns = [
            Column("algorithm", meaning="name in ALGORITHMS"),
            Column("time", unit="s", meaning="fluid time: bandwidth alone, no latency"),
            Column("over_bound", "times bound", form=".3f", meaning="time over the lower bound"),
            Column("steps", meaning="synchronous steps; none where trees move at the same time"),
            Column("bottleneck", meaning="busiest channel, crossbar or port"),
        ]

        def ratio(time: float) -> float | None:
            return time / best.time_bound if best.time_bound > 0 else None

        rows: list[list[object]] = [["optimal", best.time, ratio(best.time), None, best.bottleneck]]
        refused: dict[str, list[str]] = {}
        for name, result in self.others.items():
            if isinstance(result, str):
                refused.setdefault(result, []).append(name)
            else:
                rows.append([name, result.time, ratio(result.time), result.steps, result.bottleneck])
        reasons = [f"not shown: {', '.join(names)}: {reason}" for reason, names in refused.items()]
        return Table(columns, rows, title=repr(best), notes=[*best.notes(), *reasons])


def compare_algorithms(
    optimum: CollectiveResult, names: tuple[str, ...] = tuple(ALGORITHMS)
) -> AlgorithmComparison:
    """Return algorithms of today for the request of a result, beside it.

    Parameters
    ----------
    optimum
        Result of `collective` for one request.
    names
        Algorithms to run.

    Examples
    --------
    >>> from noptoolkit import topology
    >>> from noptoolkit.collectives import collective
    >>> mesh = topology.mesh(4, 4, link_bandwidth="1 GB/s")
    >>> both = compare_algorithms(collective(mesh, "all-reduce", "1 GB"), ("two rings", "direct"))
    >>> [round(row["over_bound"], 2) for row in both.table().records()]
    [1.0, 1.5, 3.73]
    """
    others: dict[str, CollectiveResult | str] = {}
    for name in names:
        try:
            others[name] = collective(
                optimum.package,
                groups=optimum.requests,
                algorithm=name,
                optimum=optimum,
                forwards=_forwarding(optimum),
            )
        except RoutingError as error:
            others[name] = str(error).partition(";")[0].removeprefix(f"{name!r} is ")
    return AlgorithmComparison(optimum, others)


def _forwarding(result: CollectiveResult) -> bool | list[str]:
    if not result.non_forwarding:
        return True
    return [c.name for c in result.package.chiplets if c.name not in result.non_forwarding]

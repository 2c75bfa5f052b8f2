"""Published collective times and systems beside our optimum: TACOS's regression values, TE-CCL's systems.

Two presets, both data (``data/collectives.toml``). *tacos*: times that TACOS (Won et al., TACOS:
Topology-aware collective algorithm synthesizer for distributed machine learning, MICRO 2024) keeps in its
tests, quoted. They hold whole chunks and a latency per chunk; our bound holds bandwidth alone, so no value
may lie below it, and the excess says what chunks and latency cost. *te-ccl*: systems that TE-CCL (Liu et
al., Rethinking machine learning collective communication as a multi-commodity flow problem, SIGCOMM 2024)
evaluates on; the expected bandwidths are derived by hand from one cut, not quoted.
"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from noptoolkit.collectives import CollectiveResult, collective
from noptoolkit.errors import UnknownNameError
from noptoolkit.package import Chiplet, Link, Package
from noptoolkit.tables import Column, Table

__all__ = ["CollectiveReproduction", "reproduce_collectives"]

GIB, MIB, GB = 2**30, 2**20, 1e9


@dataclass(frozen=True, eq=False, repr=False)
class CollectiveReproduction:
    """Published or derived values beside ours.

    Parameters
    ----------
    title, source, assumed
        What is compared, where the values come from, and what was assumed.
    quoted
        Whether the values are quoted from a publication or its code; else they are derived by hand.
    rows
        Name of each case, its value, our result, and what the value is: ``time`` in s or ``bandwidth`` in
        B/s.
    """

    title: str
    source: str
    assumed: tuple[str, ...]
    quoted: bool
    rows: tuple[tuple[str, float, CollectiveResult], ...]

    def __repr__(self) -> str:
        return f"CollectiveReproduction({self.title!r}, {len(self.rows)} cases)"

    def _repr_html_(self) -> str:
        return self.table().html()

    def table(self) -> Table:
        """Return the values side by side."""
        notes = [self.source, *(f"assumed: {line}" for line in self.assumed)]
        if self.quoted:
            columns = [
                Column("case", meaning="topology"),
                Column("published", unit="s", meaning="time that was published, chunks and latency included"),
                Column("bound", "lower bound", unit="s", meaning="exact cut: bandwidth alone"),
                Column("ratio", form=".4f", meaning="published over bound: never below 1"),
                Column("cut", "channels of the cut", meaning="channels that prove the bound"),
            ]
            rows: list[list[Any]] = [
                [
                    name,
                    value,
                    ours.time_bound,
                    value / ours.time_bound,
                    len(ours.cut.resources) if ours.cut else None,
                ]
                for name, value, ours in self.rows
            ]
        else:
            columns = [
                Column("case", meaning="system and collective"),
                Column("expected", unit="B/s", meaning="algorithmic bandwidth, derived by hand"),
                Column("ours", unit="B/s", meaning="size over time of our schedule"),
                Column("ratio", form=".4f", meaning="ours over expected"),
                Column("status", meaning="how well our time is proved"),
            ]
            rows = [
                [name, value, ours.bandwidth, ours.bandwidth / value, ours.status]
                for name, value, ours in self.rows
            ]
        return Table(columns, rows, title=self.title, notes=notes)


def reproduce_collectives(paper: str) -> CollectiveReproduction:
    """Return published or derived values of ``tacos`` or ``te-ccl`` beside ours.

    Raises
    ------
    UnknownNameError
        If there is no such preset.

    Examples
    --------
    >>> found = reproduce_collectives("tacos")
    >>> all(published >= ours.time_bound for _, published, ours in found.rows)
    True
    """
    text = resources.files("noptoolkit.study").joinpath("data/collectives.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    if paper not in ("tacos", "te-ccl"):
        raise UnknownNameError(f"no published collectives named {paper!r}; known: tacos, te-ccl")
    study = data[paper]
    rows = []
    for case in study["case"]:
        if paper == "tacos":
            package = grid_package(
                case["name"], case["sides"], case["bandwidth"], wrap=case.get("wrap", False)
            )
            ours = collective(package, "all-gather", case["size"] * MIB)
            rows.append((case["name"], case["published"] * 1e-6, ours))
        else:
            package = _dgx(case["name"], study["nvlinks"], case["boxes"])
            ours = collective(package, case["kind"], 1e9)
            rows.append((case["name"], case["expected"] * GB, ours))
    return CollectiveReproduction(
        study["title"], study["source"], tuple(study["assumed"]), paper == "tacos", tuple(rows)
    )


def grid_package(name: str, sides: list[int], bandwidth: list[float], *, wrap: bool) -> Package:
    """Return a grid or torus of any number of dimensions; ``bandwidth`` in GiB/s for each of them.

    A dimension of two has one link between its ends, wrapped or not.
    """
    places = list(itertools.product(*map(range, sides)))
    links = []
    for place in places:
        for axis, k in enumerate(sides):
            step = list(place)
            step[axis] = (place[axis] + 1) % k
            if step[axis] == 0 and (not wrap or k < 3):
                continue
            ends = "-".join(map(str, place)), "-".join(map(str, step))
            links.append(Link(*ends, bandwidth[axis] * GIB))
    return Package(name, [Chiplet("-".join(map(str, place))) for place in places], links)


def _dgx(name: str, nvlinks: list[list[int]], boxes: int) -> Package:
    links = [
        Link(f"box{x} gpu{a}", f"box{x} gpu{b}", count * 25 * GB)
        for x in range(boxes)
        for a, b, count in nvlinks
    ]
    links += [Link(f"box{x} gpu0", f"box{x + 1} gpu0", 12.5 * GB) for x in range(boxes - 1)]
    return Package(name, [Chiplet(f"box{x} gpu{i}") for x in range(boxes) for i in range(8)], links)

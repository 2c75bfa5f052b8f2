"""What faster parts do to a step: some parts faster, and scheduled again with the same layout."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from noptoolkit._names import did_you_mean
from noptoolkit._pictures import Reported
from noptoolkit.errors import NopError, UnknownNameError
from noptoolkit.package import Chiplet, LinkKind, Package, Switch
from noptoolkit.package.elements import Node
from noptoolkit.stages import Run
from noptoolkit.step import StepSchedule
from noptoolkit.tables import Column, Table
from noptoolkit.topology.composition import scale_bandwidth
from noptoolkit.units import format_quantity

__all__ = ["PARTS", "Part", "StepUpgrade", "faster", "schedule_on", "upgrade_step"]

Scaled = Callable[[Package, float], "Package | None"]


@dataclass(frozen=True)
class Part:
    """A kind of part that can be faster.

    Parameters
    ----------
    title
        What it is, in a few words.
    scaled
        Function of a package and a factor: the package with it, ``None`` where it has no such part.
    """

    title: str
    scaled: Scaled


def _links(package: Package, factor: float) -> Package | None:
    if not any(link.kind == LinkKind.D2D for link in package.links):
        return None
    return scale_bandwidth(package, factor)


def _stacks(package: Package, factor: float) -> Package | None:
    if not package.memories:
        return None
    faster = package
    for memory in package.memories:
        faster = faster.with_memory_bandwidth(memory.name, memory.bandwidth * factor)
    return faster


def _chiplets(names: Callable[[Package], Iterable[str]], fields: tuple[str, ...]) -> Scaled:
    def scaled(package: Package, factor: float) -> Package | None:
        chosen = set(names(package))
        nodes: list[Node] = []
        changed = False
        for node in package.nodes:
            if isinstance(node, Chiplet) and node.name in chosen:
                values = {key: getattr(node, key) for key in fields}
                known = {key: value * factor for key, value in values.items() if value is not None}
                changed |= bool(known)
                nodes.append(dataclasses.replace(node, **known))
            else:
                nodes.append(node)
        return package.replace(nodes=nodes) if changed else None

    return scaled


def _crossbars(package: Package, factor: float) -> Package | None:
    nodes: list[Node] = []
    changed = False
    for node in package.nodes:
        if isinstance(node, Chiplet | Switch) and node.crossbar_bandwidth is not None:
            changed = True
            nodes.append(dataclasses.replace(node, crossbar_bandwidth=node.crossbar_bandwidth * factor))
        else:
            nodes.append(node)
    return package.replace(nodes=nodes) if changed else None


PARTS: dict[str, Part] = {
    "links": Part("all die-to-die links", _links),
    "stacks": Part("memory stacks, with their buses", _stacks),
    "attention": Part(
        "arithmetic of the attention chiplets", _chiplets(lambda p: p.with_role("attention"), ("flops",))
    ),
    "experts": Part("arithmetic of the expert chiplets", _chiplets(lambda p: p.experts, ("flops",))),
    "sram": Part("SRAM of every chiplet", _chiplets(lambda p: p.terminals, ("sram",))),
    "sram bandwidth": Part(
        "SRAM bandwidth of every chiplet", _chiplets(lambda p: p.terminals, ("sram_bandwidth",))
    ),
    "crossbars": Part("crossbars of switches and chiplets", _crossbars),
}
"""Kinds of parts of a step that can be faster, by name."""


def faster(package: Package, part: str, factor: float) -> Package | None:
    """Return a package with one kind of part, or one named part, faster; ``None`` where it has no such part.

    Parameters
    ----------
    part
        A name in `PARTS`; a chiplet (its arithmetic), a switch (its crossbar), a memory stack (with its bus);
        or links, by channel name or wildcard.

    Raises
    ------
    UnknownNameError
        If it is none of these.
    NopError
        If the factor is not above 0.
    """
    if not factor > 0:
        raise NopError(f"a factor of {factor!r} is not above 0")
    if part in PARTS:
        return PARTS[part].scaled(package, factor)
    if part in package.index:
        node = package[part]
        if isinstance(node, Chiplet):
            return _chiplets(lambda _: (part,), ("flops",))(package, factor)
        if isinstance(node, Switch):
            if node.crossbar_bandwidth is None:
                return None
            wide = dataclasses.replace(node, crossbar_bandwidth=node.crossbar_bandwidth * factor)
            return package.replace(nodes=[wide if one is node else one for one in package.nodes])
        return package.with_memory_bandwidth(part, node.bandwidth * factor)
    if "->" in part or "*" in part:
        from noptoolkit.flow.widths.choices import choices_of, with_lane_bandwidths

        chosen = choices_of(package, part, directions="each").lanes.sum(axis=1) > 0
        lanes = package.link_bandwidths.ravel().copy()
        lanes[chosen] *= factor
        return with_lane_bandwidths(package, lanes)
    known = [*PARTS, *package.index, *package.channel_names]
    raise UnknownNameError(f"package {package.name!r}: no part {part!r}; {did_you_mean(part, known)}")


def schedule_on(run: Run, package: Package) -> StepSchedule:
    """Return the step of a run scheduled on another package with the same chiplets and layout."""
    return run.schedule_on(package, run.workload, run.allocation.on(package))


@dataclass(frozen=True, eq=False, repr=False)
class StepUpgrade(Reported):
    """A step with some part faster.

    Parameters
    ----------
    part
        What is changed.
    factor
        How many times as fast it is; None where ``part`` says the change.
    before, after
        The step as it is, and scheduled again.
    """

    part: str
    factor: float | None
    before: StepSchedule
    after: StepSchedule

    def __repr__(self) -> str:
        return (
            f"StepUpgrade({self.change}: "
            f"{format_quantity(self.before.makespan, 's')} becomes "
            f"{format_quantity(self.after.makespan, 's')}, at least "
            f"{format_quantity(self.after.lower_bound, 's')})"
        )

    def _repr_html_(self) -> str:
        return self.table().html()

    @property
    def change(self) -> str:
        """What is changed, in short."""
        return self.part if self.factor is None else f"{self.part} x {self.factor:g}"

    @property
    def saved(self) -> float:
        """Share of the step that is saved."""
        return 1.0 - self.after.makespan / self.before.makespan

    @property
    def most(self) -> float:
        """Share that any schedule on any routes can save with it, by the lower bound."""
        return max(1.0 - self.after.lower_bound / self.before.makespan, 0.0)

    def table(self) -> Table:
        """Return the step before and after as a table."""
        columns = [
            Column("package"),
            Column("step", unit="s", meaning="makespan"),
            Column("step_bound", "lower bound", unit="s", meaning="for any routing and any order"),
            Column("busiest", meaning="busiest resource"),
            Column("busy", "busy", form=".1f %"),
        ]
        rows = []
        for name, plan in (("today", self.before), (self.change, self.after)):
            most = int(plan.utilisation.argmax())
            rows.append(
                [name, plan.makespan, plan.lower_bound, plan.resources[most], float(plan.utilisation[most])]
            )
        same = abs(self.saved) < 5e-4
        said = "the step takes as long as before" if same else f"{self.saved:.1%} of the step saved"
        title = f"The step of {self.before.workload.name} with {self.change}, scheduled again"
        return Table(columns, rows, title=title, notes=[said])


def upgrade_step(run: Run, part: str, factor: float = 2.0) -> StepUpgrade:
    """Return the step of a run with a part faster, scheduled again with the same layout.

    Parameters
    ----------
    run
        Result of `noptoolkit.run`.
    part
        As `faster` takes it: a name in `PARTS`, a node, or links.
    factor
        By how much; below 1 is slower.

    Raises
    ------
    NopError
        If the package has no such part.

    Examples
    --------
    >>> import noptoolkit as nop
    >>> step = nop.run("mesh-4x4", "stdlib-moe", allocator="contiguous", routing="shortest")
    >>> found = upgrade_step(step, "links", 2)
    >>> found.saved > 0.3, found.after.lower_bound <= found.after.makespan
    (True, True)
    """
    package = faster(run.package, part, factor)
    if package is None:
        title = PARTS[part].title if part in PARTS else part
        raise NopError(
            f"package {run.package.name!r} says nothing of {title}: there is nothing to make faster"
        )
    return StepUpgrade(part, factor, run.plan, schedule_on(run, package))

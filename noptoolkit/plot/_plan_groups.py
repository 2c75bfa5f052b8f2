"""Who communicates with whom in a parallel plan: a row per dimension, a colour per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from noptoolkit.errors import PlanError
from noptoolkit.plans import ParallelPlan, groups
from noptoolkit.plot._style import INK, OKABE_ITO, axes_points, canvas, figure_width, heading, small_type

__all__ = ["plan_groups"]

SHOWN = ("tp", "cp", "dp", "etp", "ep", "edp", "pp")
READABLE = 4.5  # points; smaller numbers are left out
COLOURS = [colour for name, colour in OKABE_ITO.items() if name != "yellow"]


def plan_groups(
    plans: Mapping[str, ParallelPlan], ax: Axes | None = None, *, node: int | None = None, title: str = ""
) -> Axes:
    """Draw the groups of each dimension of plans: the ranks in a row, those of a group in one colour.

    Dimensions of size 1 are left out. Colours repeat after six groups. Neighbours of a group are one bar,
    which carries the number of the group where those of its row fit.

    Parameters
    ----------
    plans
        Plans of known world size, by the name to call them.
    ax
        Axes to draw on; a new figure of the active `style` where ``None``.
    node
        Ranks of a node, between which a line is drawn.
    title
        Title of the picture.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    PlanError
        If there is no plan, or the world of one is not known.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from noptoolkit import ParallelPlan, plot
    >>> ax = plot.plan_groups({"folded": ParallelPlan(tp=2, ep=8, dp=4)})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['folded: TP', 'DP', 'EP']
    >>> plt.close(ax.figure)
    """
    if not plans:
        raise PlanError("no plan to draw: give at least one, as {'folded': ParallelPlan(tp=2, ep=8, dp=4)}")
    rows: list[tuple[str, ParallelPlan, str]] = []
    for name, plan in plans.items():
        found = [each for each in SHOWN if groups(plan, each).shape[1] > 1] or ["tp"]
        for i, each in enumerate(found):
            rows.append((f"{name}: {each.upper()}" if i == 0 else each.upper(), plan, each))
    world = max(plan.world for plan in plans.values())
    with canvas(ax, (0.2 * len(rows) + 0.6) / figure_width()) as ax:
        heading(ax, title, [])
        at, previous, ticks, numbered = 0.0, None, [], False
        thin = 0.08 if world <= 64 else 0.0
        point = axes_points(ax)[0] / world  # width of a rank
        for _, plan, dimension in rows:
            at += 0.5 if previous is not None and previous is not plan else 0.0
            previous = plan
            bars = [
                (g, *run) for g, group in enumerate(groups(plan, dimension).tolist()) for run in _runs(group)
            ]
            size = min((n - thin) * point / (0.8 * len(str(g))) for g, _, n in bars)
            size = min(size, small_type())
            numbered |= size >= READABLE
            for g, first, count in bars:
                place, wide = (first - 0.5 + thin / 2, at - 0.4), count - thin
                ax.add_patch(Rectangle(place, wide, 0.8, color=COLOURS[g % len(COLOURS)], linewidth=0))
                if size >= READABLE:
                    middle = first + (count - 1) / 2
                    ax.text(middle, at, str(g), ha="center", va="center", fontsize=size, color="white")
            ticks.append(at)
            at += 1.0
        if node:
            for edge in range(node, world, node):
                ax.axvline(edge - 0.5, color=INK, linewidth=0.6, linestyle=":")
        ax.set_xlim(-0.6, world - 0.4)
        ax.set_ylim(at - 0.5, -0.5)
        ax.set_yticks(ticks, [name for name, _, _ in rows])
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("rank (number and colour: its group)" if numbered else "rank (colour: its group)")
        for side in ("left", "top", "right"):
            ax.spines[side].set_visible(False)
        return ax


def _runs(ranks: Sequence[int]) -> list[tuple[int, int]]:
    """Return first and count of the runs of neighbours.

    Examples
    --------
    >>> _runs([0, 1, 4, 5, 6])
    [(0, 2), (4, 3)]
    """
    found: list[tuple[int, int]] = []
    for rank in ranks:
        if found and rank == sum(found[-1]):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((rank, 1))
    return found

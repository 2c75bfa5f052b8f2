"""A schedule as a moving picture: how busy each chiplet, stack and channel is as the step goes on."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.collections import PatchCollection, PolyCollection
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke

from noptoolkit._arrays import Floats
from noptoolkit.drawing.layout import kinds_of
from noptoolkit.drawing.ribbons import (
    ROOMY,
    arrange,
    channel_ribbons,
    channel_widths,
    drawn_links,
    lane_width,
)
from noptoolkit.errors import FormatError, ScheduleError
from noptoolkit.formats.results import file_in_place_of, made_folder
from noptoolkit.network import flow_network
from noptoolkit.package import Package
from noptoolkit.plot._channels import IDLE
from noptoolkit.plot._matrix import colour_bar
from noptoolkit.plot._nodes import aspect_of, draw_labels, draw_nodes, frame, points_per_unit
from noptoolkit.plot._rows import origin_of, title_of, window_of
from noptoolkit.plot._style import INK, QUANTITY_COLOURS, canvas, figure_of, heading, origin_note, quantity
from noptoolkit.scheduling import Schedule
from noptoolkit.step import StepSchedule
from noptoolkit.units import Quantity

__all__ = ["animate"]


def animate(
    plan: Schedule,
    path: str | Path,
    *,
    window: tuple[Quantity, Quantity] | None = None,
    frames: int = 60,
    fps: float = 10.0,
    package: Package | None = None,
) -> Path:
    """Write a schedule as an animation: GIF, or MP4 where ffmpeg is installed.

    Each frame is an equal part of the time; the darker a chiplet, a stack or a channel, the more of it it is
    busy.

    Parameters
    ----------
    plan
        A schedule on a package.
    path
        Ends in ``.gif`` or ``.mp4``; folders are made.
    window
        Start and end, in s or text with a unit; the whole schedule where ``None``.
    frames, fps
        How many, and how many per second.
    package
        Package whose resources the tasks of a custom graph name; a step's schedule knows its own.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ScheduleError
        If the schedule is of no package.
    FormatError
        If the ending is another, or there is no ffmpeg for MP4.
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    if package is None and isinstance(plan, StepSchedule):
        package = plan.package
    if package is None:
        raise ScheduleError("only a schedule on a package can be animated; a bare task graph has no places")
    target = Path(path)
    writers = {".gif": PillowWriter, ".mp4": FFMpegWriter}
    kind = target.suffix.lower()
    if kind not in writers:
        raise FormatError(f"{target}: an animation is .gif or .mp4, not {target.suffix!r}")
    if kind == ".mp4" and not FFMpegWriter.isAvailable():
        raise FormatError(f"{target}: MP4 needs ffmpeg, which is not installed; write a .gif")
    made_folder(target.parent)
    begin, end = window_of(plan, window)
    edges = np.linspace(begin, end, frames + 1)
    share = dict(zip(plan.resources, plan.busy_share(edges), strict=True))
    _write(plan, package, writers[kind](fps=fps), target, edges, share)
    return target


def _write(
    plan: Schedule,
    package: Package,
    writer: mpl.animation.AbstractMovieWriter,
    target: Path,
    edges: Floats,
    share: dict[str, Floats],
) -> None:
    import matplotlib.pyplot as plt

    idle = np.zeros(len(edges) - 1)
    layout, lines = arrange(package, gap=ROOMY)
    with canvas(None, aspect_of(layout) + 0.1) as ax:
        frame(ax, layout, lines)
        origin = origin_of(plan)
        heading(ax, title_of(plan), [origin_note(quantity(plan.makespan, "s"), origin)])
        colour_bar(ax, "Time that it is busy (%)", 100.0, below=True)
        network = flow_network(package)
        names = [network.names[i] for i in network.own[network.arc_of_channel]]
        seen = drawn_links(package, layout)
        used = [
            channel.bandwidth
            for channel, name in zip(package.channels, names, strict=True)
            if name in share and seen[channel.link]
        ]
        widest = lane_width(package, layout)
        widths = channel_widths(package, widest, max(used, default=None))
        scale = points_per_unit(ax)
        widths = np.maximum(widths, 0.6 / scale)
        ribbons, owner = channel_ribbons(package, layout, lines, widths, widest)
        lanes = PolyCollection(ribbons, facecolors=IDLE, linewidths=0, zorder=2)
        ax.add_collection(lanes, autolim=False)
        draw_nodes(ax, package, layout, scale, coloured=False)
        before = len(ax.texts)
        draw_labels(ax, package, layout, scale)
        for text in ax.texts[before:]:  # readable on a pale and on a dark box
            text.set(color=INK, path_effects=[withStroke(linewidth=2.0, foreground="white")])
        clock = ax.annotate(
            "", (1.0, 1.0), (0, 4), xycoords="axes fraction", textcoords="offset points", ha="right"
        )
        of_channel = [share.get(names[i], idle) for i in owner]
        boxes = [part for part in ax.collections if isinstance(part, PatchCollection)]
        of_box = [
            [
                share.get(node.name, idle)
                for node, kind in zip(package.nodes, kinds_of(package, layout), strict=True)
                if kind == part.get_gid()
            ]
            for part in boxes
        ]
        figure = figure_of(ax)
        with file_in_place_of(target) as file, writer.saving(figure, str(file), dpi=100):
            for k in range(len(idle)):
                lanes.set_facecolor(_colours([busy[k] for busy in of_channel]))
                for part, members in zip(boxes, of_box, strict=True):
                    if part.get_gid() != "switch":
                        part.set_facecolor(_colours([busy[k] for busy in members]))
                clock.set_text(f"{quantity(edges[k], 's')} to {quantity(edges[k + 1], 's')}")
                writer.grab_frame()
        plt.close(figure)


def _colours(busy: list[float]) -> list[str]:
    values = np.array(busy)
    colours = QUANTITY_COLOURS(Normalize(0.0, 1.0)(values))
    colours[values <= 1e-9] = mpl.colors.to_rgba(IDLE)
    return [mpl.colors.to_hex(colour) for colour in colours]

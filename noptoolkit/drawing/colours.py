"""Colours of every picture, on paper and on the page.

Categories use the palette of Okabe and Ito (Color Universal Design, 2008); quantities use a stretch of
matplotlib's magma, light to dark, whose lightness falls evenly, so that darker is more in grey print too.
"""

from __future__ import annotations

from functools import lru_cache

from noptoolkit._arrays import Floats

__all__ = [
    "INK",
    "MARK",
    "MUTED",
    "NODE_COLOURS",
    "OKABE_ITO",
    "PALE",
    "SPARE_COLOURS",
    "TASK_COLOURS",
    "hex_ramp",
    "quantity_ramp",
]

OKABE_ITO = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
    "yellow": "#F0E442",
}
INK, MUTED, PALE = "#222222", "#6B6B6B", "#E4E4E4"
MARK = OKABE_ITO["blue"]

NODE_COLOURS = {
    "attention chiplet": OKABE_ITO["vermilion"],
    "expert chiplet": OKABE_ITO["blue"],
    "compute chiplet": OKABE_ITO["green"],
    "io chiplet": OKABE_ITO["purple"],
    "switch": "#4A4A4A",
    "memory stack": OKABE_ITO["orange"],
    "die underneath": OKABE_ITO["orange"],
}

TASK_COLOURS = {
    "attention": OKABE_ITO["vermilion"],
    "expert": OKABE_ITO["blue"],
    "shared": "#7FB7D9",
    "dense": "#44AA99",
    "head": OKABE_ITO["green"],
    "update": "#8A8A8A",
    "load": OKABE_ITO["orange"],
    "store": "#F7DFA5",
    "dispatch": "#B45591",  # on a channel load, exchange, dispatch and combine differ in grey too
    "combine": "#5E2750",
    "exchange": "#D9A6C4",
}
SPARE_COLOURS = [OKABE_ITO["sky"], OKABE_ITO["yellow"], "#999999", "#117733", "#882255"]


@lru_cache(maxsize=4)
def quantity_ramp(steps: int = 256) -> Floats:
    """Return the colours of a quantity from none to most, RGBA between 0 and 1, [steps, 4]."""
    import matplotlib as mpl
    import numpy as np

    return np.asarray(mpl.colormaps["magma_r"](np.linspace(0.06, 0.92, steps)))


def hex_ramp(steps: int, *, dark: bool = False) -> list[str]:
    """Return `quantity_ramp` as CSS colours; on a ``dark`` ground, most is brightest.

    Examples
    --------
    >>> hex_ramp(3)
    ['#fde2a3', '#ba3878', '#0e0b2b']
    """
    ramp = quantity_ramp(steps)
    if dark:
        ramp = ramp[::-1]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in colour[:3]) for colour in ramp.tolist()]

"""Pictures of packages and results, for papers and talks.

Every function takes ``ax=None`` (a new figure of the active `style`) and returns the axes; nothing is shown
or saved, and nothing is computed: what is drawn is what the result says.
"""

from noptoolkit.plot._allocation import coactivation, layout
from noptoolkit.plot._animation import animate
from noptoolkit.plot._any_package import best_packages, bound_distances, widths
from noptoolkit.plot._breakdown import breakdown
from noptoolkit.plot._collective import collective
from noptoolkit.plot._comparison import comparison
from noptoolkit.plot._curves import layouts, pareto, scaling
from noptoolkit.plot._degradation import degradation
from noptoolkit.plot._load import load, loads
from noptoolkit.plot._multicast import multicast
from noptoolkit.plot._plan_groups import plan_groups
from noptoolkit.plot._plan_memory import plan_memory
from noptoolkit.plot._published import published
from noptoolkit.plot._roofline import roofline
from noptoolkit.plot._saving import save
from noptoolkit.plot._schedule import schedule
from noptoolkit.plot._serving import serving
from noptoolkit.plot._simulation import busy_channels, latencies, latency, saturations
from noptoolkit.plot._step_bounds import step_bounds
from noptoolkit.plot._studies import front, parallel_coordinates, scatter_matrix
from noptoolkit.plot._style import style
from noptoolkit.plot._temperature import temperature
from noptoolkit.plot._topology import topology
from noptoolkit.plot._traffic import traffic
from noptoolkit.plot._utilisation import utilisation
from noptoolkit.plot._what_if import bandwidth_curve, ladder, upgrades

__all__ = [
    "animate",
    "bandwidth_curve",
    "best_packages",
    "bound_distances",
    "breakdown",
    "busy_channels",
    "coactivation",
    "collective",
    "comparison",
    "degradation",
    "front",
    "ladder",
    "latencies",
    "latency",
    "layout",
    "layouts",
    "load",
    "loads",
    "multicast",
    "parallel_coordinates",
    "pareto",
    "plan_groups",
    "plan_memory",
    "published",
    "roofline",
    "saturations",
    "save",
    "scaling",
    "scatter_matrix",
    "schedule",
    "serving",
    "step_bounds",
    "style",
    "temperature",
    "topology",
    "traffic",
    "upgrades",
    "utilisation",
    "widths",
]

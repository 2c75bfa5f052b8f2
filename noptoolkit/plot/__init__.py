"""Pictures of packages and results, for papers and talks.

Every function takes ``ax=None`` (a new figure of the active `style`) and returns the axes; nothing is shown
or saved, and nothing is computed: what is drawn is what the result says.
"""

from noptoolkit.plot._comparison import comparison
from noptoolkit.plot._load import load, loads
from noptoolkit.plot._schedule import schedule
from noptoolkit.plot._style import save, style
from noptoolkit.plot._topology import topology
from noptoolkit.plot._traffic import traffic

__all__ = ["comparison", "load", "loads", "save", "schedule", "style", "topology", "traffic"]

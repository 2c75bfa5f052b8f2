"""
One page to send
================

A result as one HTML page that needs no network: verdict, tables that sort, the package map with figures on
pointing, the schedule, certificates, how to reproduce it. Its map is drawn as pictures on paper are: here the
load of a dispatch on both packages.
"""

import tempfile
from pathlib import Path

import noptoolkit as nop
from noptoolkit import plot

result = nop.compare(
    ["mozart-nop-tree", "mesh-4x4"], ["stdlib-moe"], allocator="contiguous", routing="shortest"
)
plot.loads([run.dispatch for run in result.runs])

# %%
# The whole of it, to be opened from disk; :doc:`the guide </howto/send-a-result>` says what is on it.

page = Path(tempfile.mkdtemp()) / "report.html"
result.to_html(page)
print(f"{len(result.runs)} runs on one page of {page.stat().st_size / 1e6:.1f} MB")

# %%
# Such a page, of three packages, alive:
#
# .. live-report::

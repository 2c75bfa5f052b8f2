"""
The paper's table
=================

Mozart's published speed-ups beside the model's, calibrated to them with a few global parameters: it
reproduces, it does not validate. What it says of a model that it was not fitted to is the leave-one-out
error.
"""

from noptoolkit import plot
from noptoolkit.study import reproduce_mozart

found = reproduce_mozart()
print(found)

ours, null = found.leave_one_out_rms
note = f"calibrated; left-out models {100 * ours:.1f} % rms, null model {100 * null:.1f} %; synthetic routing"
plot.published(found.rows, title="Mozart's ablation", note=note)

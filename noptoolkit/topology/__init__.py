"""Builders: from a few sizes to a package. `FAMILIES` names them all.

Every builder takes the options of `Parts` (bandwidths, chiplet parameters, attention chiplet, memory stacks).
Edits and compositions return new packages: `compose`, `replicate`, `connect`, `scale_bandwidth`,
`attach_memory`, `attach_io`, `attach_attention`, `stack_sram`, beside `Package.without` and
`Package.replace`. `of_size` asks any family for about a number of chiplets.
"""

from noptoolkit.topology import families
from noptoolkit.topology.attachments import attach_attention, attach_io, attach_memory, stack_sram
from noptoolkit.topology.builder_options import Parts
from noptoolkit.topology.by_size import of_size
from noptoolkit.topology.composition import compose, connect, replicate, scale_bandwidth
from noptoolkit.topology.families import *  # noqa: F403 - a family is exported by being in the table

__all__ = [
    "Parts",
    "attach_attention",
    "attach_io",
    "attach_memory",
    "compose",
    "connect",
    "of_size",
    "replicate",
    "scale_bandwidth",
    "stack_sram",
    *families.__all__,
]

"""Which chiplet holds which expert: the layout, the allocators that find it, and what it costs."""

from noptoolkit.allocation.allocating import allocate
from noptoolkit.allocation.bounds import c_t_bound
from noptoolkit.allocation.evidence import LayoutReport, compare_layouts, layouts_by_cap, random_c_t
from noptoolkit.allocation.hierarchical import hierarchical_copies, replicate_hierarchically
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.problem import Allocator, LayoutProblem
from noptoolkit.allocation.replication import replicate_by_load, replicate_by_traffic
from noptoolkit.allocation.table import ALLOCATORS
from noptoolkit.allocation.time_model import PackageTime, package_time

__all__ = [
    "ALLOCATORS",
    "Allocation",
    "Allocator",
    "LayoutProblem",
    "LayoutReport",
    "PackageTime",
    "allocate",
    "c_t_bound",
    "compare_layouts",
    "hierarchical_copies",
    "layouts_by_cap",
    "package_time",
    "random_c_t",
    "replicate_by_load",
    "replicate_by_traffic",
    "replicate_hierarchically",
]

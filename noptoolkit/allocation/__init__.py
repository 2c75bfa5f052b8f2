"""Which chiplet holds which expert: the layout, the allocators that find it, and what it costs."""

from noptoolkit.allocation.fit import allocate
from noptoolkit.allocation.layout import Allocation
from noptoolkit.allocation.package_time import PackageTime, package_time
from noptoolkit.allocation.problem import Allocator, LayoutProblem
from noptoolkit.allocation.table import ALLOCATORS

__all__ = [
    "ALLOCATORS",
    "Allocation",
    "Allocator",
    "LayoutProblem",
    "PackageTime",
    "allocate",
    "package_time",
]

"""Names for the types of arrays, and arrays as compiled code takes them."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bits", "Bools", "Floats", "Ints", "read_only"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint64]
S = TypeVar("S", bound=np.generic)


def read_only(array: NDArray[S]) -> NDArray[S]:
    """Return an array contiguous and read-only, a view if it can be.

    numba compiles a function again for each kind of array that it is given: what is only read should always
    be given alike.
    """
    seen: NDArray[S] = np.ascontiguousarray(array).view()
    seen.flags.writeable = False
    return seen

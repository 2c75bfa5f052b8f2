"""Names for the types of arrays."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bits", "Bools", "Floats", "Ints"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint64]

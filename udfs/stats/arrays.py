"""The array types that every module of the package speaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Double precision numbers; an absent one is nan."""

Flags = NDArray[np.bool_]

Numbers = Array | float
"""One number for all, or one for each."""

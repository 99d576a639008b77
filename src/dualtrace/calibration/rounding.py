"""Numbers as findings hold them: few digits, for people read them, and nothing that JSON cannot hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Band = tuple[float, float, float, float, float]
"""5, 25, 50, 75 and 95 %."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_DIGITS = 5


def rounded(value: float) -> float:
    """A number with five significant digits."""
    return float(f"{value:.{_DIGITS}g}")


def finite(value: float) -> float | None:
    """The rounded number; None in place of what JSON cannot hold."""
    return rounded(float(value)) if math.isfinite(value) else None


def band(draws: NDArray[np.float64]) -> Band:
    """Band of draws that are numbers."""
    low, lower, middle, upper, high = (rounded(float(q)) for q in np.quantile(draws, LEVELS))
    return low, lower, middle, upper, high

"""Log odds ratios, log risk ratios and risk differences of two-by-two tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOGISTIC_SD = np.pi / np.sqrt(3)
"""Standard deviation of the logistic distribution, the bridge between d and log OR."""


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """Events and participants of two arms; arrays of one shape, counts may be fractional."""

    events1: NDArray[np.float64]
    n1: NDArray[np.float64]
    events2: NDArray[np.float64]
    n2: NDArray[np.float64]

    @property
    def has_zero(self) -> NDArray[np.bool_]:
        """Whether any of the four cells is empty."""
        e1, n1, e2, n2 = self.events1, self.n1, self.events2, self.n2
        return np.asarray((e1 == 0) | (e1 == n1) | (e2 == 0) | (e2 == n2))

    @property
    def is_uninformative(self) -> NDArray[np.bool_]:
        """Whether both arms have no event, or both have only events: no ratio can be estimated."""
        none = (self.events1 == 0) & (self.events2 == 0)
        every = (self.events1 == self.n1) & (self.events2 == self.n2)
        return np.asarray(none | every)

    def continuity_corrected(self) -> TwoByTwo:
        """Add ½ to all four cells of the tables that have an empty one; leave the others alone."""
        add = np.where(self.has_zero, 0.5, 0.0)
        return TwoByTwo(self.events1 + add, self.n1 + 2 * add, self.events2 + add, self.n2 + 2 * add)


def two_by_two(events1: float, n1: float, events2: float, n2: float) -> TwoByTwo:
    """Return the table of one trial."""
    return TwoByTwo(*(np.asarray(x, dtype=float) for x in (events1, n1, events2, n2)))


def log_odds_ratio(table: TwoByTwo) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln(ad/bc) and 1/a + 1/b + 1/c + 1/d (Woolf 1955, doi:10.1111/j.1469-1809.1955.tb01348.x)."""
    t = table.continuity_corrected()
    a, b, c, d = t.events1, t.n1 - t.events1, t.events2, t.n2 - t.events2
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def log_risk_ratio(table: TwoByTwo) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ln[(a/n1)/(c/n2)] and 1/a − 1/n1 + 1/c − 1/n2 (Katz 1978, doi:10.2307/2530610)."""
    t = table.continuity_corrected()
    a, c = t.events1, t.events2
    return np.log(a / t.n1 * t.n2 / c), 1 / a - 1 / t.n1 + 1 / c - 1 / t.n2


def risk_difference(table: TwoByTwo) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a/n1 − c/n2 and its binomial variance; empty cells corrected only inside the variance."""
    t = table.continuity_corrected()
    p1, p2 = t.events1 / t.n1, t.events2 / t.n2
    difference = table.events1 / table.n1 - table.events2 / table.n2
    return difference, p1 * (1 - p1) / t.n1 + p2 * (1 - p2) / t.n2


def log_odds_ratio_from_d(d: float, variance: float) -> tuple[float, float]:
    """Return ln OR = d π/√3 (Chinn 2000, doi:10.1002/1097-0258(20001130)19:22<3127::aid-sim784>3.0.co;2-m)."""
    return float(d * LOGISTIC_SD), float(variance * LOGISTIC_SD**2)


def d_from_log_odds_ratio(log_or: float, variance: float) -> tuple[float, float]:
    """Return d = ln OR · √3/π, the inverse of :func:`log_odds_ratio_from_d`."""
    return float(log_or / LOGISTIC_SD), float(variance / LOGISTIC_SD**2)

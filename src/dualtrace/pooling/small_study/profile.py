"""Profile-likelihood intervals of the parameters of a selection model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from dualtrace.pooling.small_study.selection_fit import ETA_STEP, climb

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.small_study.weighted_likelihood import Rows

SPLIT = 9
"""Points tried at once inside a bracket."""

ROUNDS = 11
"""Times a bracket is cut to a tenth: to the rounding error of its ends."""

WIDENINGS = 30
"""Times the reach from the estimate doubles before an end counts as infinite."""


class Maximum(NamedTuple):
    """Where a likelihood of one data set is highest.

    Attributes
    ----------
    rows
        The data set, n = 1.
    theta
        Parameters there, (P,).
    value
        Log-likelihood there.
    lower, upper
        Bounds of the parameters, (P,).
    """

    rows: Rows
    theta: Array
    value: float
    lower: Array
    upper: Array


def profile_interval(top: Maximum, j: int, reach: float, level: float) -> tuple[float, float]:
    """Ends of {x : 2 [ℓ(θ̂) - max_{θ_j = x} ℓ(θ)] <= χ²_{level, 1}} around the estimate.

    An end that lies beyond a bound is the bound; one that is not found is infinite.

    Parameters
    ----------
    top
        The maximum.
    j
        Number of the parameter.
    reach
        First guess of the distance of an end from the estimate.
    level
        Confidence level.
    """
    drop = 0.5 * float(special.chdtri(1, 1.0 - level))
    ends = []
    for side, bound in ((-1.0, top.lower[j]), (1.0, top.upper[j])):
        ends.append(_end(top, j, side * reach, float(bound), drop))
    return ends[0], ends[1]


def _end(top: Maximum, j: int, reach: float, bound: float, drop: float) -> float:
    """One end: widen until the profile has fallen far enough, then cut the bracket."""
    inside, start = float(top.theta[j]), top.theta
    for _ in range(WIDENINGS):
        outside = inside + reach
        beyond = outside <= bound if reach < 0.0 else outside >= bound
        if beyond:
            outside = bound
        if np.isinf(outside):
            return outside
        value, theta = profile_at(top, j, np.array([outside]), start)
        if value[0] < top.value - drop:
            break
        if beyond:
            return outside
        inside, start, reach = outside, theta[0], 2.0 * reach
    else:
        return float(np.copysign(np.inf, reach))
    for _ in range(ROUNDS):
        points = np.linspace(inside, outside, SPLIT + 2)[1:-1]
        value, theta = profile_at(top, j, points, start)
        within = np.flatnonzero(value >= top.value - drop)
        last = int(within[-1]) + 1 if within.size else 0
        outside = float(points[last]) if last < SPLIT else outside
        if last:
            inside, start = float(points[last - 1]), theta[last - 1]
    return 0.5 * (inside + outside)


def profile_at(top: Maximum, j: int, x: Array, start: Array) -> tuple[Array, Array]:
    """Maximum over the other parameters at each value of parameter j; -∞ where none is found."""
    m, p = x.size, top.rows.basis.shape[1]
    theta, lower, upper = (np.tile(part, (m, 1)) for part in (start, top.lower, top.upper))
    for part in (theta, lower, upper):
        part[:, j] = x
    longest = np.full(theta.shape, np.inf)
    longest[:, p] = 4.0 * (theta[:, p] + np.median(top.rows.v))
    longest[:, p + 1 :] = ETA_STEP
    everyone: Ints = np.zeros(m, dtype=np.intp)
    found = climb(top.rows, everyone, theta, (lower, upper), longest)
    return np.where(found.converged, found.point.value, -np.inf), found.theta

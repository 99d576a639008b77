"""Global maximum of a smooth function of a variance τ² >= 0, for many data sets at once.

Likelihoods of a variance can have several maxima, and the best one can sit on the boundary. On the axis
log(s + τ²), with s the smallest sampling variance, every term of the likelihoods in this package varies on a
scale of about one unit, so a scan in steps well below one sees every maximum; each is then refined by Newton's
method inside its bracket, with bisection when Newton does not pay. There is no way to fail to converge.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.likelihood import Array, Ints, Slope

Objective = Callable[[Ints, Array], Slope]
"""(indices of data sets, τ²) -> value and derivatives; both arguments have shape (m,)."""

STEP = 0.4
"""Largest step of the scan on the log axis."""

WIDEN = 16.0
"""Factor by which the scanned range grows while the function still rises at its end."""

LARGEST = 1e200


def maximise(objective: Objective, *, scale: Array, high: Array) -> Array:
    """Value of τ² >= 0 at the global maximum of each data set, (n,).

    Parameters
    ----------
    objective
        The function, given indices of data sets and one τ² for each.
    scale
        Smallest sampling variance of each data set, (n,).
    high
        Where the scan ends at first, (n,); it is extended while the function still rises there.

    Raises
    ------
    FitError
        If the function is not a number somewhere, or rises without end.
    """
    grid, scanned = _scan(objective, scale, np.maximum(high, scale))
    falls = scanned.first <= 0.0
    sets, cell = np.nonzero(~falls[:, :-1] & falls[:, 1:])
    peaks = _refine(objective, sets, (grid[sets, cell], grid[sets, cell + 1]), scale[sets])
    best = np.zeros_like(scale)
    at_zero = falls[:, 0]
    if np.all(np.bincount(sets, minlength=scale.size) + at_zero == 1):
        best[sets] = peaks
        return best
    value = np.where(at_zero, scanned.value[:, 0], -np.inf)
    heights = objective(sets, peaks).value
    for i in np.argsort(heights, kind="stable"):
        if heights[i] > value[sets[i]]:
            value[sets[i]], best[sets[i]] = heights[i], peaks[i]
    return best


def _scan(objective: Objective, scale: Array, high: Array) -> tuple[Array, Slope]:
    """Evaluate on a grid from 0 that ends where every function falls; grid and values are (n, g)."""
    n = scale.size
    while True:
        ratio = np.log1p(high / scale)
        cells = max(int(np.ceil(ratio.max() / STEP)), 4)
        grid = scale[:, None] * np.expm1(ratio[:, None] * np.linspace(0.0, 1.0, cells + 1))
        flat = objective(np.repeat(np.arange(n), cells + 1), grid.ravel())
        scanned = Slope(*(part.reshape(grid.shape) for part in flat))
        rising = scanned.first[:, -1] > 0.0
        if not np.isfinite(scanned.first).all():
            raise FitError(
                "The likelihood is not a finite number for these effects and variances; "
                "they must be of ordinary size. Rescale them and fit again."
            )
        if not rising.any():
            return grid, scanned
        high = np.where(rising, high * WIDEN, high)
        if high.max() > LARGEST:
            raise FitError("The likelihood keeps rising as tau2 grows: these data put no upper limit on it.")


def _refine(objective: Objective, sets: Ints, bracket: tuple[Array, Array], scale: Array) -> Array:
    """Zero of the derivative inside each bracket (falling through zero from left to right), (m,).

    Newton's step is taken in log(s + τ²) for the function (s + τ²)·f'; a step that leaves the bracket or does
    not halve the one before is replaced by bisection.
    """
    low, high = bracket[0].copy(), bracket[1].copy()
    x = 0.5 * (low + high)
    previous = high - low
    active = np.arange(sets.size)
    while active.size:
        a = active
        here = objective(sets[a], x[a])
        t = scale[a] + x[a]
        rises = here.first > 0.0
        low[a] = np.where(rises, x[a], low[a])
        high[a] = np.where(rises, high[a], x[a])
        bend = here.first + t * here.second
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            step = t * np.expm1(np.clip(-here.first / bend, -1.0, 1.0))
        newton = x[a] + step
        trusted = (bend < 0.0) & (newton >= low[a]) & (newton <= high[a]) & (np.abs(step) <= 0.5 * previous[a])
        new = np.where(trusted, newton, 0.5 * (low[a] + high[a]))
        move = np.abs(new - x[a])
        previous[a] = np.where(trusted, move, high[a] - low[a])
        x[a] = new
        active = a[move > 1e-13 * new + 2e-16 * scale[a]]
    return x

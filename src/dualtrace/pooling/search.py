"""Global maximum of a smooth function of a variance τ² >= 0, for many data sets at once.

Likelihoods of a variance can have several maxima, and the best one can sit on the boundary. On the axis
log(s + τ²), with s the smallest sampling variance, every term of the likelihoods in this package varies on a
scale of about one unit, so a scan in steps well below one sees every maximum; each is then refined by Newton's
method inside its bracket, with bisection when Newton does not pay. There is no way to fail to converge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self, final

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.likelihood import Array, Flags, Ints, Slope

Objective = Callable[[Ints, Array], Slope]
"""(indices of data sets, τ²) -> value and derivatives; both arguments have shape (m,)."""

STEP = 0.4
"""Largest step of the scan on the log axis."""

WIDEN = 16.0
"""Factor by which the scanned range grows while the function still rises at its end."""

LARGEST = 1e200

SETTLED = 3e-8
"""Newton step on the log axis after which the error left, about its square, is rounding."""

SPARSE = 0.6
"""Share of unfinished searches below which the finished ones are put aside."""


class Landscape(Protocol):
    """One function of τ² per data set, for n data sets."""

    def pick(self, sets: Ints) -> Self:
        """Functions by index, with repetition."""
        ...

    def first(self, tau2: Array) -> Array:
        """First derivatives at g values per data set, (g, n)."""
        ...

    def both(self, tau2: Array) -> tuple[Array, Array]:
        """First and second derivatives, (n,) each."""
        ...

    def value(self, tau2: Array) -> Array:
        """Heights, (n,)."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """A landscape given as a function of indices and τ²."""

    objective: Objective
    sets: Ints

    def pick(self, sets: Ints) -> Listed:
        """Functions by index."""
        return Listed(self.objective, self.sets[sets])

    def first(self, tau2: Array) -> Array:
        """First derivatives at g values per data set, (g, n)."""
        flat = self.objective(np.tile(self.sets, len(tau2)), tau2.ravel())
        return flat.first.reshape(tau2.shape)

    def both(self, tau2: Array) -> tuple[Array, Array]:
        """First and second derivatives, (n,) each."""
        here = self.objective(self.sets, tau2)
        return here.first, here.second

    def value(self, tau2: Array) -> Array:
        """Heights, (n,)."""
        return self.objective(self.sets, tau2).value


class Bracket(NamedTuple):
    """Intervals at whose left end a function rises and at whose right end it does not, (m,) each."""

    low: Array
    high: Array
    low_first: Array
    high_first: Array


def maximise(objective: Objective, *, scale: Array, high: Array) -> Array:
    """Value of τ² >= 0 at the global maximum of each data set, (n,).

    Parameters
    ----------
    objective
        The function, given indices of data sets and one τ² for each.
    scale, high
        As in ``climb``.

    Raises
    ------
    FitError
        If the function is not a number somewhere, or rises without end.
    """
    return climb(Listed(objective, np.arange(scale.size)), scale=scale, high=high)


def climb(landscape: Landscape, *, scale: Array, high: Array) -> Array:
    """Value of τ² >= 0 at the global maximum of each function, (n,).

    Parameters
    ----------
    landscape
        The functions.
    scale
        Smallest sampling variance of each data set, (n,).
    high
        Where the scan ends at first, (n,); it is extended while the function still rises there.

    Raises
    ------
    FitError
        If the function is not a number somewhere, or rises without end.
    """
    grid, first = _scan(landscape, scale, np.maximum(high, scale))
    if scale.size == 1 and (alone := _lone_peak(landscape, grid[:, 0], first[:, 0], float(scale[0]))) is not None:
        return np.array([alone])
    falls = first <= 0.0
    cell, sets = np.nonzero(falls[1:] > falls[:-1])
    ends = Bracket(grid[cell, sets], grid[cell + 1, sets], first[cell, sets], first[cell + 1, sets])
    peaks = _refine(landscape.pick(sets), ends, scale[sets])
    best = np.zeros(scale.size)
    at_zero = falls[0]
    count = np.bincount(sets, minlength=scale.size) + at_zero
    best[sets] = peaks
    several = np.flatnonzero(count > 1)
    if several.size:
        _choose(landscape, several, at_zero, sets, peaks, best)
    return best


def _choose(landscape: Landscape, several: Ints, at_zero: Flags, sets: Ints, peaks: Array, best: Array) -> None:
    """Put the highest of several maxima into ``best``; one may lie at 0."""
    best[several] = 0.0
    height = np.full(best.size, np.inf)
    height[several] = np.where(at_zero[several], landscape.pick(several).value(best[several]), -np.inf)
    heights = landscape.pick(sets).value(peaks)
    for i in np.argsort(heights, kind="stable"):
        if heights[i] > height[sets[i]]:
            height[sets[i]], best[sets[i]] = heights[i], peaks[i]


def _scan(landscape: Landscape, scale: Array, high: Array) -> tuple[Array, Array]:
    """First derivatives on a grid from 0 that ends where every function falls; both are (g, n)."""
    while True:
        ratio = np.log1p(high / scale)
        cells = max(int(np.ceil(ratio.max() / STEP)), 4)
        grid = scale * np.expm1((np.arange(cells + 1) / cells)[:, None] * ratio)
        first = landscape.first(grid)
        if not np.isfinite(first).all():
            raise FitError(
                "The likelihood is not a finite number for these effects and variances; "
                "they must be of ordinary size. Rescale them and fit again."
            )
        rising = first[-1] > 0.0
        if not rising.any():
            return grid, first
        high = np.where(rising, high * WIDEN, high)
        if high.max() > LARGEST:
            raise FitError("The likelihood keeps rising as tau2 grows: these data put no upper limit on it.")


def _refine(landscape: Landscape, ends: Bracket, scale: Array) -> Array:
    """Zero of the derivative inside each bracket, (m,).

    With t = s + τ², Newton's step is taken in log t for the function t·f'; a step that leaves the bracket or
    does not halve the one before is replaced by bisection. The first guess interpolates t·f' between the ends.
    """
    found = np.empty(scale.size)
    left: Ints = np.arange(scale.size)
    low, high = ends.low, ends.high
    start, stop = scale + low, scale + high
    rise, fall = start * ends.low_first, stop * ends.high_first
    x = low + start * np.expm1(np.log(stop / start) * (rise / (rise - fall)))
    x = np.minimum(np.maximum(x, low), high)
    previous = high - low
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        while left.size:
            first, second = landscape.both(x)
            t = scale + x
            rises = first > 0.0
            low, high = np.where(rises, x, low), np.where(rises, high, x)
            bend = first + t * second
            step = np.minimum(np.maximum(-first / bend, -1.0), 1.0)
            new = x + t * np.expm1(step)
            move = np.abs(new - x)
            trusted = (bend < 0.0) & (new >= low) & (new <= high) & (move <= 0.5 * previous)
            new = np.where(trusted, new, 0.5 * (low + high))
            previous = np.where(trusted, move, high - low)
            going = (np.abs(step) > SETTLED) | ~trusted
            going &= np.abs(new - x) > 1e-13 * new + 2e-16 * scale
            x = new
            count = np.count_nonzero(going)
            if count == going.size:
                continue
            found[left] = x  # finished searches that are not yet put aside only get better
            if count < SPARSE * going.size:
                kept = np.flatnonzero(going)
                left, landscape = left[kept], landscape.pick(kept)
                x, low, high, previous, scale = x[kept], low[kept], high[kept], previous[kept], scale[kept]
    return found


def _lone_peak(landscape: Landscape, grid: Array, first: Array, scale: float) -> float | None:
    """The one maximum of one function; None when there are several."""
    rises = first > 0.0
    ends = np.flatnonzero(rises[:-1] > rises[1:])
    if ends.size + (not rises[0]) != 1:
        return None
    if not ends.size:
        return 0.0
    i = int(ends[0])
    here = (float(grid[i]), float(grid[i + 1]), float(first[i]), float(first[i + 1]))
    return _refine_one(landscape, here, scale)


def _refine_one(landscape: Landscape, ends: tuple[float, float, float, float], scale: float) -> float:
    """One zero, by the steps of ``_refine`` on plain numbers: arrays of length one cost ten times as much."""
    low, high, low_first, high_first = ends
    start, stop = scale + low, scale + high
    rise, fall = start * low_first, stop * high_first
    x = min(max(low + start * math.expm1(math.log(stop / start) * (rise / (rise - fall))), low), high)
    previous = high - low
    while True:
        first, second = (float(part[0]) for part in landscape.both(np.array([x])))
        t = scale + x
        low, high = (x, high) if first > 0.0 else (low, x)
        bend = first + t * second
        step = min(max(-first / bend, -1.0), 1.0) if bend < 0.0 else math.inf
        new = x + t * math.expm1(min(step, 1.0))
        if bend < 0.0 and low <= new <= high and abs(new - x) <= 0.5 * previous:
            previous = abs(new - x)
            if abs(step) <= SETTLED:
                return new
        else:
            new, previous = 0.5 * (low + high), high - low
        if not abs(new - x) > 1e-13 * new + 2e-16 * scale:
            return new
        x = new

"""Newton's method for the maximum of smooth functions of a few bounded variables, many functions at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import Array, Flags, Ints
from dualtrace.pooling.small_study.weighted_likelihood import Point

Function = Callable[[Ints, Array], Point]
"""(indices of functions, their variables (m, P)) -> values with two derivatives."""

ITERATIONS = 200

CLOSE = 1e-15
"""Predicted gain at which a last full step ends the search: about 1e-7 standard errors before that step."""

NOISE = 1e-11
"""Predicted gain too small to be seen in the rounding of the function itself."""

SNAP = 1e-13
"""A variable closer to its lower bound than this share of its longest step is put on the bound."""

REACH = 3.0
"""Longest step per direction, in units where the curvature along each variable is 1."""

FLAT = 1e-9
"""Curvature below this share of the largest is raised to it."""


class Ascent(NamedTuple):
    """Where the search ended.

    Attributes
    ----------
    theta
        Variables, (n, P).
    point
        Function there.
    converged
        Whether it is a maximum within the bounds, (n,).
    free
        Variables not held by a bound, (n, P).
    """

    theta: Array
    point: Point
    converged: Flags
    free: Flags

    def pick(self, index: Ints) -> Ascent:
        """Some of the searches."""
        point = Point(*(part[index] for part in self.point))
        return Ascent(self.theta[index], point, self.converged[index], self.free[index])


def ascend(function: Function, start: Array, lower: Array, upper: Array, *, longest: Array) -> Ascent:
    """Climb from each start to a local maximum.

    A variable at a bound that the gradient pushes against is held there; the others move by Newton's step with
    the eigenvalues of the Hessian made negative, so that it points uphill wherever it is. A step that does not
    raise the function is cut to a quarter.

    Parameters
    ----------
    function
        What to maximise.
    start, lower, upper
        Start and bounds, (n, P); equal bounds fix a variable.
    longest
        Longest move of each variable in one step, (n, P).
    """
    n = start.shape[0]
    theta = np.clip(start, lower, upper)
    point = function(np.arange(n), theta)
    converged = np.zeros(n, dtype=bool)
    near = np.where(np.isfinite(longest), SNAP * longest, 0.0)
    active: Ints = np.flatnonzero(np.isfinite(point.value) & np.isfinite(point.hessian).all(axis=(1, 2)))
    for _ in range(ITERATIONS):
        if not active.size:
            break
        here = Point(*(part[active] for part in point))
        move, gain = _newton(here, free(here.gradient, theta[active], (lower[active], upper[active])))
        move = _within(move, longest[active])
        last = gain < CLOSE * (1.0 + np.abs(here.value))
        bounds = (lower[active], upper[active])
        stuck = _step(function, active, (theta, point), move, (*bounds, near[active]))
        converged[active[last | (stuck & (gain < NOISE * (1.0 + np.abs(here.value))))]] = True
        active = active[~(last | stuck)]
    return Ascent(theta, point, converged, free(point.gradient, theta, (lower, upper)))


def free(gradient: Array, theta: Array, bounds: tuple[Array, Array]) -> Flags:
    """Variables that are not pushed against a bound they stand at."""
    low, high = bounds
    held: Flags = ((theta <= low) & (gradient <= 0.0)) | ((theta >= high) & (gradient >= 0.0)) | (low == high)
    return ~held


def _newton(here: Point, moving: Flags) -> tuple[Array, Array]:
    """Uphill Newton step of the moving variables, (m, P), and the gain it predicts, (m,)."""
    both = moving[:, :, None] & moving[:, None, :]
    hessian = np.where(both, here.hessian, 0.0)
    curvature = np.abs(np.einsum("mpp->mp", hessian))
    unit = 1.0 / np.sqrt(np.where(curvature > 0.0, curvature, 1.0))
    scaled = hessian * unit[:, :, None] * unit[:, None, :]
    values, vectors = np.linalg.eigh(scaled)
    slope = np.where(moving, here.gradient, 0.0) * unit
    along = np.einsum("mpq,mp->mq", vectors, slope)
    size = np.abs(values)
    step = along / np.maximum(size, FLAT * np.maximum(size.max(-1, keepdims=True), 1.0))
    gain = np.where(np.all(values <= FLAT, axis=-1), np.einsum("mq,mq->m", along, step), np.inf)
    step *= np.minimum(1.0, REACH / np.maximum(np.abs(step).max(-1, keepdims=True), 1e-300))
    return np.einsum("mpq,mq->mp", vectors, step) * unit, gain


def _within(move: Array, longest: Array) -> Array:
    """The step shortened so that no variable moves further than allowed."""
    share = np.min(longest / np.maximum(np.abs(move), 1e-300), axis=-1, keepdims=True)
    return np.asarray(move * np.minimum(1.0, share))


def _step(
    function: Function, active: Ints, state: tuple[Array, Point], move: Array, bounds: tuple[Array, Array, Array]
) -> Flags:
    """Take each step, cut to a quarter until the function does not fall; changes the state in place.

    ``bounds`` are the lower and upper limits and the distance from the lower within which a variable is put on it.

    Returns which could not be taken at all.
    """
    theta, point = state
    waiting = np.arange(active.size)
    share = 1.0
    while waiting.size and share > 1e-9:
        sets = active[waiting]
        low, high, near = (bound[waiting] for bound in bounds)
        new = np.clip(theta[sets] + share * move[waiting], low, high)
        new = np.where(new < low + near, low, new)
        reached = function(sets, new)
        known = np.isfinite(reached.value) & np.isfinite(reached.hessian).all(axis=(1, 2))
        up = known & (reached.value >= point.value[sets] - 1e-13 * (1.0 + np.abs(point.value[sets])))
        theta[sets[up]] = new[up]
        for old, fresh in zip(point, reached, strict=True):
            old[sets[up]] = fresh[up]
        waiting = waiting[~up]
        share *= 0.25
    stuck = np.zeros(active.size, dtype=bool)
    stuck[waiting] = True
    return stuck

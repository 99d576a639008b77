"""Maximum of a smooth function of several parameters, some held at 0 or above, polished to rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.errors import FitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array, Flags

STEP = 1e-5
"""Step of the central differences of the gradient; parameters are scaled to be of order 1."""

CLOSE = 1e-6
"""Largest gradient, per unit of the function's curvature scale, that counts as a maximum."""

ON_EDGE = 1e-4
"""A parameter bounded by 0 that ends below this is set to 0 unless that lowers the function."""


class Top(NamedTuple):
    """Where a function is largest.

    Attributes
    ----------
    x
        Parameters, (m,).
    value
        The function there.
    hessian
        Second derivatives, (m, m); rows and columns of parameters on their bound are 0.
    free
        Parameters that are not on their bound, (m,).
    """

    x: Array
    value: float
    hessian: Array
    free: Flags


def climb(function: Callable[[Array], tuple[float, Array]], start: Array, bounded: Flags, *, what: str) -> Top:
    """Climb to the maximum: quasi-Newton steps first, then Newton's method on differences of the gradient.

    Parameters
    ----------
    function
        Value and gradient at x.
    start
        Starting point, (m,).
    bounded
        Parameters that must not be negative, (m,).
    what
        What is fitted, for the message.

    Raises
    ------
    FitError
        If no maximum is reached.
    """
    x = _ascend(function, start, bounded)
    while (better := _off_edge(function, x, bounded)) is not None:
        x = _ascend(function, better, bounded)
    edge = bounded & (x < ON_EDGE)
    pulled = np.where(edge, 0.0, x)
    if function(pulled)[0] >= function(x)[0] - 1e-10:
        x = pulled
    free = ~(bounded & (x == 0.0))
    for _ in range(8):
        hessian = differences(function, x, free)
        value, slope = function(x)
        move = np.zeros(x.size)
        move[free] = np.linalg.lstsq(hessian[np.ix_(free, free)], -slope[free], rcond=None)[0]
        trial = np.where(bounded, np.maximum(x + move, 0.0), x + move)
        if np.abs(move).max() < 1e-11 or function(trial)[0] < value - 1e-9 * (1.0 + abs(value)):
            break
        x = trial
    value, slope = function(x)
    if not (np.isfinite(value) and np.all(np.abs(slope[free]) < CLOSE * (1.0 + abs(value)))):
        raise FitError(
            f"{what} has no maximum that could be reached: the likelihood still rises at the last step. An outcome "
            "may be separated by trial or treatment, or there are too few participants for the random effects."
        )
    return Top(x, value, hessian, free)


def _ascend(function: Callable[[Array], tuple[float, Array]], start: Array, bounded: Flags) -> Array:
    """Quasi-Newton steps until they gain nothing."""
    from scipy.optimize import minimize  # slow to import

    def downhill(x: Array) -> tuple[float, Array]:
        value, slope = function(x)
        return -value, -slope

    found = minimize(
        downhill,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None) if held else (None, None) for held in bounded],
        options={"maxiter": 2000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return np.array(found.x, dtype=float)


def _off_edge(function: Callable[[Array], tuple[float, Array]], x: Array, bounded: Flags) -> Array | None:
    """A higher point away from 0 in a parameter that ended there; None when there is none.

    A standard deviation of 0 is always stationary, so a climb can end there without being at a maximum.
    """
    value = function(x)[0]
    for j in np.flatnonzero(bounded & (x < ON_EDGE)):
        for size in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8):
            probe = x.copy()
            probe[j] = size
            if function(probe)[0] > value + 1e-7:
                return probe
    return None


def differences(function: Callable[[Array], tuple[float, Array]], x: Array, free: Flags) -> Array:
    """Second derivatives by central differences of the gradient, (m, m); 0 for parameters that are not free."""
    hessian = np.zeros((x.size, x.size))
    for j in np.flatnonzero(free):
        step = np.zeros(x.size)
        step[j] = STEP * max(1.0, abs(x[j]))
        hessian[j] = (function(x + step)[1] - function(x - step)[1]) / (2.0 * step[j])
    hessian = 0.5 * (hessian + hessian.T)
    hessian[~free], hessian[:, ~free] = 0.0, 0.0
    return hessian

"""Maximum likelihood of a selection model for many data sets at once: several starts, the best kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import Array, Flags, Ints, data, loglik, wls
from dualtrace.pooling.small_study.ascent import Ascent, ascend
from dualtrace.pooling.small_study.weighted_likelihood import Point, Rows, log_likelihood
from dualtrace.pooling.tau2 import maximum_likelihood

if TYPE_CHECKING:
    from dualtrace.pooling.small_study.weighting import Weighting

ETA_STEP = 1.5
"""Longest move of a parameter of the selection function in one step."""


class Plain(NamedTuple):
    """Maximum-likelihood fit without selection.

    Attributes
    ----------
    coef, tau2, ll
        Coefficients of the basis (n, p), τ² (n,), log-likelihood (n,).
    """

    coef: Array
    tau2: Array
    ll: Array


class Bounds(NamedTuple):
    """Limits of η, (r,) each, and whether τ² is estimated (else it is 0)."""

    lower: Array
    upper: Array
    random: bool


def plain_fit(y: Array, v: Array, basis: Array, *, random: bool) -> Plain:
    """Fit y ~ N(Xβ, v + τ²) by maximum likelihood; y and v are (n, k)."""
    sets = data(y, v, basis)
    tau2 = maximum_likelihood(sets, restricted=False) if random else np.zeros(y.shape[0])
    return Plain(wls(sets, tau2).coef, tau2, loglik(sets, tau2, restricted=False))


def bind(y: Array, v: Array, basis: Array, weighting: Weighting) -> Rows:
    """Rows on the scale of their z statistics."""
    return Rows(y / np.sqrt(v), v, basis, weighting)


def search(rows: Rows, plain: Plain, starts: Array, bounds: Bounds) -> Ascent:
    """Best maximum reached from the plain fit with each start of η, for every data set.

    Parameters
    ----------
    rows
        n data sets.
    plain
        Their fits without selection.
    starts
        Values of η to start from, (S, r).
    bounds
        Limits.

    Returns
    -------
    Ascent
        One row per data set; ``converged`` is false where no start ended in a maximum.
    """
    n, (several, r) = rows.z.shape[0], starts.shape
    index: Ints = np.repeat(np.arange(n), several)
    typical = np.median(rows.v, axis=1)
    tau2 = np.maximum(plain.tau2, 0.1 * typical)[index, None]
    start = np.hstack([plain.coef[index], tau2, np.tile(starts, (n, 1))])
    infinite = np.full((index.size, plain.coef.shape[1]), np.inf)
    ends = (np.full((index.size, 1), 0.0), np.full((index.size, 1), np.inf if bounds.random else 0.0))
    lower = np.hstack([-infinite, ends[0], np.broadcast_to(bounds.lower, (index.size, r))])
    upper = np.hstack([infinite, ends[1], np.broadcast_to(bounds.upper, (index.size, r))])
    longest = np.hstack([infinite, 4.0 * (tau2 + typical[index, None]), np.full((index.size, r), ETA_STEP)])
    found = climb(rows, index, start, (lower, upper), longest)
    return _best(found, several)


def climb(rows: Rows, index: Ints, start: Array, bounds: tuple[Array, Array], longest: Array) -> Ascent:
    """Climb from starts that belong to the data sets numbered by ``index``."""

    def function(sets: Ints, theta: Array) -> Point:
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            return log_likelihood(rows.pick(index[sets]), theta)

    return ascend(function, start, *bounds, longest=longest)


def _best(found: Ascent, several: int) -> Ascent:
    """The highest maximum of each data set."""
    value = np.where(found.converged, found.point.value, -np.inf).reshape(-1, several)
    pick = np.argmax(value, axis=1) + several * np.arange(value.shape[0])
    point = Point(*(part[pick] for part in found.point))
    return Ascent(found.theta[pick], point, found.converged[pick], found.free[pick])


def covariance(information: Array, kept: Flags) -> Array:
    """Inverse of the information (P, P) of the parameters kept; NaN for the others and where it is not positive."""
    full = np.full(information.shape, np.nan)
    part = information[np.ix_(kept, kept)]
    try:
        np.linalg.cholesky(part)
    except np.linalg.LinAlgError:
        return full
    full[np.ix_(kept, kept)] = np.linalg.inv(part)
    return full

"""Maximum likelihood of a selection model for many data sets at once: several starts, the best kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.likelihood import Array, Flags, Ints, data, loglik, wls
from dualtrace.pooling.small_study.ascent import Ascent, ascend
from dualtrace.pooling.small_study.weighted_likelihood import Point, Rows, log_likelihood
from dualtrace.pooling.tau2 import maximum_likelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.small_study.weighting import Weighting

ETA_STEP = 1.5
"""Longest move of a parameter of the selection function in one step."""


class Plain(NamedTuple):
    """Maximum-likelihood fit without selection.

    Attributes
    ----------
    coef, tau2, ll
        Coefficients of the basis (n, p), τ² (n,), log-likelihood (n,).
    random
        Whether τ² was estimated; else it is 0.
    """

    coef: Array
    tau2: Array
    ll: Array
    random: bool


class Bounds(NamedTuple):
    """Limits of η, (r,) each."""

    lower: Array
    upper: Array


def plain_fit(y: Array, v: Array, basis: Array, *, random: bool) -> Plain:
    """Fit y ~ N(Xβ, v + τ²) by maximum likelihood; y and v are (n, k)."""
    sets = data(y, v, basis)
    tau2 = maximum_likelihood(sets, restricted=False) if random else np.zeros(y.shape[0])
    return Plain(wls(sets, tau2).coef, tau2, loglik(sets, tau2, restricted=False), random)


def bind(y: Array, v: Array, basis: Array, weighting: Weighting) -> Rows:
    """Rows on the scale of their z statistics."""
    return Rows(y / np.sqrt(v), v, basis, weighting)


def search(rows: Rows, plain: Sequence[Plain], starts: Array, bounds: Bounds) -> list[Ascent]:
    """Best maximum reached from plain fits with each start of η, for every data set.

    Parameters
    ----------
    rows
        n data sets.
    plain
        Fits of them without selection, m; τ² is estimated where the plain fit did.
    starts
        Values of η to start from, (S, r).
    bounds
        Limits of η.

    Returns
    -------
    list of Ascent
        For each plain fit, one row per data set; ``converged`` is false where no start ended in a maximum.
    """
    n, (several, r) = rows.z.shape[0], starts.shape
    index: Ints = np.repeat(np.arange(n), several)
    typical = np.median(rows.v, axis=1)[index, None]
    parts = []
    for fit in plain:
        tau2 = np.maximum(fit.tau2[index, None], 0.1 * typical)
        most = np.full_like(tau2, np.inf if fit.random else 0.0)
        coef, wide = fit.coef[index], np.full((index.size, fit.coef.shape[1]), np.inf)
        low, high = (np.broadcast_to(limit, (index.size, r)) for limit in bounds)
        start = np.hstack([coef, tau2, np.tile(starts, (n, 1))])
        longest = np.hstack([wide, 4.0 * (tau2 + typical), np.full((index.size, r), ETA_STEP)])
        parts.append((start, np.hstack([-wide, 0.0 * tau2, low]), np.hstack([wide, most, high]), longest))
    start, lower, upper, longest = (np.concatenate(part) for part in zip(*parts, strict=True))
    found = climb(rows, np.tile(index, len(plain)), start, (lower, upper), longest)
    best = _best(found, several)
    return [best.pick(np.arange(i * n, (i + 1) * n)) for i in range(len(plain))]


def climb(rows: Rows, index: Ints, start: Array, bounds: tuple[Array, Array], longest: Array) -> Ascent:
    """Climb from starts that belong to the data sets numbered by ``index``."""

    def function(sets: Ints, theta: Array) -> Point:
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            return log_likelihood(rows.pick(index[sets]), theta)

    return ascend(function, start, *bounds, longest=longest)


def _best(found: Ascent, several: int) -> Ascent:
    """The highest maximum of each data set."""
    value = np.where(found.converged, found.point.value, -np.inf).reshape(-1, several)
    return found.pick(np.argmax(value, axis=1) + several * np.arange(value.shape[0]))


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

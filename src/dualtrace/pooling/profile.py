"""Profile-likelihood intervals and likelihood-ratio tests of the partial-information model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from dualtrace.pooling.coarse import (
    Coarse,
    Peak,
    information,
    largest_information,
    peak,
    profile_slope,
    settle,
    terms,
)
from dualtrace.pooling.likelihood import Array, Ints

Curve = Callable[[Ints, Array], tuple[Array, Array]]
"""(indices of problems, x) -> deviance from the maximum and its derivative in x, (m,) each."""

UNBOUNDED = 1e8
"""Distance, in first steps, after which an end that was not found is called infinite."""

FLATTEST = 1e5
"""Ratio to the standard error that exact rows would give beyond which a likelihood counts as flat."""

CLOSE = 1e-9
"""Agreement of the deviance with its target, relative."""


class Interval(NamedTuple):
    """Ends of an interval, one per data set or coefficient."""

    low: Array
    high: Array


def crossing(curve: Curve, *, start: Array, step: Array, target: float, limit: Array | None = None) -> Array:
    """First point beyond ``start`` in the direction of ``step`` where the deviance reaches the target, (n,).

    The square root of a deviance is nearly linear, so Newton's method is applied to it; until the target is
    bracketed a step at most quadruples the distance, and inside a bracket a step that leaves it is replaced by
    bisection. An end not found within 10⁸ first steps is ±∞.

    Parameters
    ----------
    curve
        Deviance, 0 at ``start``.
    start, step
        Where the search begins and its first step, signed, (n,) each.
    target
        Deviance to reach.
    limit
        Point at which the deviance is known to exceed the target, (n,).
    """
    sign, unit = np.sign(step), np.abs(step)
    inner = np.zeros_like(start)  # distances from start, below and above the target
    outer = np.full_like(start, np.inf) if limit is None else np.abs(limit - start)
    x = np.where(np.isfinite(outer), np.minimum(unit, 0.5 * outer), unit)
    active: Ints = np.arange(start.size)
    while active.size:
        a = active
        deviance, tilt = curve(a, start[a] + sign[a] * x[a])
        below = deviance < target
        inner[a] = np.where(below, x[a], inner[a])
        outer[a] = np.where(below, outer[a], x[a])
        root = np.sqrt(np.maximum(deviance, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = x[a] + (np.sqrt(target) - root) * 2.0 * root / (sign[a] * tilt)
        open_end = np.isinf(outer[a])
        most = np.where(open_end, 4.0 * inner[a], outer[a])
        least = np.where(open_end, 1.2 * inner[a], inner[a])
        fallback = np.where(open_end, most, 0.5 * (inner[a] + np.where(open_end, 0.0, outer[a])))
        new = np.where((guess > inner[a]) & (guess < most), np.maximum(guess, least), fallback)
        done = np.abs(deviance - target) <= CLOSE * target
        done |= ~open_end & (outer[a] - inner[a] <= 1e-14 * outer[a])
        x[a] = np.where(done, x[a], new)
        lost = ~done & (x[a] > UNBOUNDED * unit[a])
        x[a] = np.where(lost, np.inf, x[a])
        active = a[~done & ~lost]
    ends: Array = start + sign * x
    return ends


def coefficient_intervals(sets: Coarse, best: Peak, se: Array, level: float) -> Interval:
    """{b_j : 2[ℓ_max - ℓ_profile(b_j)] <= χ²₁(level)} for every coefficient, (n, p) each.

    Parameters
    ----------
    sets, best
        Data sets and their maxima.
    se
        Standard errors, the first steps of the search, (n, p); NaN where there is none.
    level
        Confidence level.
    """
    n, p = best.beta.shape
    which = np.tile(np.arange(n * p), 2)
    row, j = which // p, which % p
    start = best.beta[row, j]
    z = np.sqrt(special.chdtri(1.0, 1.0 - level))
    unit = np.where(np.isfinite(se), se, _least_errors(sets, best))
    step = z * unit[row, j] * np.repeat([-1.0, 1.0], n * p)

    def curve(index: Ints, x: Array) -> tuple[Array, Array]:
        found, gradient = _held_peak(sets.pick(row[index]), j[index], x)
        return 2.0 * (best.ll[row[index]] - found.ll), -2.0 * gradient

    ends = crossing(curve, start=start, step=step, target=z * z)
    return Interval(ends[: n * p].reshape(n, p), ends[n * p :].reshape(n, p))


def coefficient_tests(sets: Coarse, best: Peak, value: float = 0.0) -> tuple[Array, Array]:
    """Likelihood-ratio statistic of b_j = value, χ² with 1 degree of freedom, and its p, (n, p) each."""
    n, p = best.beta.shape
    row, j = np.arange(n * p) // p, np.arange(n * p) % p
    found, _ = _held_peak(sets.pick(row), j, np.full(n * p, value))
    ratio = np.maximum(0.0, 2.0 * (best.ll[row] - found.ll)).reshape(n, p)
    return ratio, special.chdtrc(1.0, ratio)


def _held_peak(sets: Coarse, j: Ints, value: Array) -> tuple[Peak, Array]:
    """Maximum with coefficient j held at a value, and the derivative of that maximum in the value."""
    n, p = value.size, sets.X.shape[1]
    held = np.arange(p) == j[:, None]
    found = peak(sets, held=held, at=np.where(held, value[:, None], 0.0))
    now = terms(sets, found.beta, found.tau2)
    return found, (now.mu @ sets.X)[np.arange(n), j]


def tau2_interval(sets: Coarse, best: Peak, level: float) -> Interval:
    """{τ² >= 0 : 2[ℓ_max - ℓ_profile(τ²)] <= χ²₁(level)}, (n,) each; NaN where τ² is not estimated.

    The lower end is 0 when τ² = 0 is not rejected. Near that boundary the χ²₁ reference makes the interval
    slightly too wide. The search runs on the axis log(s + τ²), s the smallest sampling variance.
    """
    n, p = best.beta.shape
    if not sets.random:
        return Interval(np.full(n, np.nan), np.full(n, np.nan))
    target = float(special.chdtri(1.0, 1.0 - level))
    s = np.where(sets.use > 0.0, sets.v, np.inf).min(axis=-1)
    free = np.zeros((n, p), dtype=bool)

    def deviance(index: Ints, tau2: Array) -> tuple[Array, Array]:
        here, held = sets.pick(index), free[index]
        _, now = settle(here, tau2, held=held, at=best.beta[index])
        slope = profile_slope(here, tau2, now, held)
        return 2.0 * (best.ll[index] - slope.value), -2.0 * slope.first

    def log_curve(index: Ints, x: Array) -> tuple[Array, Array]:
        t = np.exp(x)
        value, tilt = deviance(index, np.maximum(t - s[index], 0.0))
        return value, tilt * t

    start = np.log(s + best.tau2)
    rows = np.arange(n)
    high = crossing(log_curve, start=start, step=np.full(n, 0.5), target=target)
    low = np.zeros(n)
    rejected = np.flatnonzero(deviance(rows, np.zeros(n))[0] > target)
    if rejected.size:
        found = crossing(
            lambda index, x: log_curve(rejected[index], x),
            start=start[rejected],
            step=np.full(rejected.size, -0.5),
            target=target,
            limit=np.log(s[rejected]),
        )
        low[rejected] = np.exp(found) - s[rejected]
    return Interval(low, np.exp(high) - s)


def standard_errors(sets: Coarse, best: Peak) -> tuple[Array, Array]:
    """Standard errors of the coefficients, (n, p), and of τ², (n,), from the curvature at the maximum.

    Interval rows enter with their observed curvature in (β, τ²); exact rows with its expectation, which is
    block-diagonal, as in classical analysis, so that exact rows alone give the classical standard errors. On
    the boundary τ² = 0, or where the curvature in τ² is not positive, τ² is taken as known and has no se. A
    coefficient about which the likelihood is flat (all rows are wide intervals around it) has none: NaN.
    """
    now = terms(sets, best.beta, best.tau2)
    q = sets.v + best.tau2[:, None]
    cross = np.where(sets.exact, 0.0, now.mu_q)
    depth = np.where(sets.exact, sets.use * 0.5 / (q * q), -now.q_q).sum(-1)
    cov = np.linalg.inv(information(sets, now, best.tau2))
    c = cross @ sets.X
    gain = np.einsum("npq,nq->np", cov, c)  # how β leans on τ²
    remains = depth - np.einsum("np,np->n", c, gain)
    interior = (best.tau2 > 0.0) & (remains > 0.0)
    var_tau2 = np.where(interior, 1.0 / np.where(interior, remains, 1.0), np.nan)
    extra = gain * gain * np.where(interior, var_tau2, 0.0)[:, None]
    se = np.sqrt(np.einsum("npp->np", cov) + extra)
    flat = se > FLATTEST * _least_errors(sets, best)
    return np.where(flat, np.nan, se), np.sqrt(var_tau2)


def _least_errors(sets: Coarse, best: Peak) -> Array:
    """Standard errors the coefficients would have if every row were exact, (n, p)."""
    cov = np.linalg.inv(largest_information(sets, best.tau2))
    errors: Array = np.sqrt(np.einsum("npp->np", cov))
    return errors


def information_share(sets: Coarse, best: Peak) -> Array:
    """Share of each row in the information about the coefficients, (n, k), summing to 1.

    J_i x_i'(X'JX)⁻¹x_i / p, with J_i = -∂²ℓ_i/∂μ² at the maximum; for an intercept alone J_i/ΣJ, which for
    exact rows is the classical weight.
    """
    now = terms(sets, best.beta, best.tau2)
    weight, cov = -now.mu_mu, np.linalg.inv(information(sets, now, best.tau2))
    leverage: Array = weight * np.einsum("kp,npq,kq->nk", sets.X, cov, sets.X)
    share: Array = leverage / sets.X.shape[1]
    return share

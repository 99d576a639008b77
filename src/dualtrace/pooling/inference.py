"""From τ² to coefficients, tests and intervals, for many data sets at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from dualtrace.pooling import moments
from dualtrace.pooling import tau2 as variance
from dualtrace.pooling.contract import HOMOGENEOUS
from dualtrace.pooling.likelihood import Array, Data, Wls, inverse, loglik, traces, wls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Tau2Method, TestName

ROUNDING = 1e-28
"""Residual sums of squares below this share of the total are rounding error: the rows fit exactly."""


class Heterogeneity(NamedTuple):
    """Between-row variance and the statistics around it, (n,) each; NaN where k = p."""

    tau2: Array
    se_tau2: Array
    ci_lb: Array
    ci_ub: Array
    I2: Array
    H2: Array
    QE: Array
    QEp: Array


class Coefficients(NamedTuple):
    """Estimates, tests and intervals, (n, p) each, with covariances (n, p, p) and t degrees of freedom (n,).

    ``df`` is infinite where the normal distribution was used.
    """

    beta: Array
    vb: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    df: Array


class Residual(NamedTuple):
    """Weighted residual sum of squares y'Py, y'Wy and degrees of freedom k - p, (n,) each."""

    rss: Array
    size: Array
    df: Array


class Omnibus(NamedTuple):
    """Joint test of several coefficients, (n,) each."""

    QM: Array
    QMp: Array


class Answer(NamedTuple):
    """Everything a classical fit returns, without labels."""

    heterogeneity: Heterogeneity
    coefficients: Coefficients
    ll: Array
    weights: Array


def answer(
    sets: Data,
    T: Array,
    *,
    method: Tau2Method,
    test: TestName,
    level: float,
    profile: bool = True,
    weights: Array | None = None,
) -> Answer:
    """Fit every data set.

    Parameters
    ----------
    sets
        n data sets with k > p rows each, or k = p = 1.
    T
        Matrix that turns coefficients of the basis into those of the design, (p, p).
    method, test, level
        As in ``univariate.fit``.
    profile
        Whether to solve for the Q-profile interval; NaN otherwise.
    weights
        Weights of the user's for the coefficients, (k,) or (n, k); absent: 1/(v + τ²).
    """
    centred, offset = centre(sets, method)
    tau2 = between(centred, method, weights)
    fit = wls(centred, tau2)
    chosen = fit if weights is None else moments.weighted(centred, tau2, weights)
    optimal = Residual(fit.rss, np.einsum("nk,nk->n", fit.weight, sets.y**2), sets.k - sets.p)
    return Answer(
        heterogeneity(centred, tau2, fit, method, level=level, profile=profile, weights=weights),
        coefficients(chosen.coef + offset, chosen.cov, T, optimal, test=test, level=level),
        loglik(centred, tau2, restricted=method == "REML", fit=fit._replace(resid=chosen.resid)),
        100.0 * chosen.weight / chosen.weight.sum(-1, keepdims=True),
    )


def centre(sets: Data, method: Tau2Method) -> tuple[Data, Array]:
    """Data sets less their least squares fit, and its coefficients, (n, p): shifts nothing, keeps digits.

    The estimator of Sidik and Jonkman starts from the spread of the effects as they are, so there nothing is taken
    off.
    """
    if method == "SJ":
        return sets, np.zeros((len(sets.y), sets.p))
    offset = sets.y @ sets.basis
    return sets._replace(y=sets.y - offset @ sets.basis.T), offset


def between(sets: Data, method: Tau2Method, weights: Array | None = None) -> Array:
    """τ² of every data set, 0 for those of one row, (n,)."""
    several = sets.k > sets.p
    if several.all():
        return variance.estimate(sets, method, weights)
    tau2 = np.zeros(sets.y.shape[0])
    index = np.flatnonzero(several)
    if index.size:
        a = weights if weights is None or weights.ndim == 1 else weights[index]
        tau2[index] = variance.estimate(sets.pick(index), method, a)
    return tau2


def heterogeneity(
    sets: Data,
    tau2: Array,
    fit: Wls,
    method: Tau2Method,
    *,
    level: float,
    profile: bool = True,
    weights: Array | None = None,
) -> Heterogeneity:
    """Statistics of heterogeneity given τ² and least squares at τ².

    QE = y'Py at τ² = 0, chi-squared with k - p degrees of freedom when τ² = 0.
    I² = 100 τ²/(τ² + v̄),  H² = 1 + τ²/v̄,  v̄ = (k-p)/tr P the typical sampling variance;
    equal and fixed effects: H² = QE/(k-p),  I² = 100 max(0, 1 - 1/H²).

    Source: Higgins & Thompson 2002, doi:10.1002/sim.1186.
    """
    df = sets.k - sets.p
    undefined = np.where(df > 0.0, 0.0, np.nan)
    plain = wls(sets, np.zeros_like(tau2))
    q = np.where(df > 0.0, plain.rss, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if method in HOMOGENEOUS:
            h2 = q / df + undefined
            i2 = 100.0 * np.maximum(0.0, 1.0 - 1.0 / h2)
        else:
            typical = df / traces(sets, plain)[0] + undefined
            i2, h2 = 100.0 * tau2 / (tau2 + typical), 1.0 + tau2 / typical
        se = variance.standard_error(sets, tau2, fit, method, weights) + undefined
    nothing = np.full(tau2.shape, np.nan)
    wanted = profile and method not in HOMOGENEOUS
    low, high = variance.q_profile(sets, level) if wanted else (nothing, nothing)
    q_p = np.where(df > 0.0, special.chdtrc(df, q), 1.0)
    return Heterogeneity(tau2 + undefined, se, low, high, i2, h2, q, q_p)


def coefficients(
    coef: Array, cov: Array, T: Array, residual: Residual, *, test: TestName, level: float
) -> Coefficients:
    """Coefficients of the design with covariance, tests and intervals.

    Parameters
    ----------
    coef, cov
        Coefficients of the basis and their covariance given τ², (n, p) and (n, p, p).
    T
        Matrix from the basis to the design, (p, p).
    residual
        Weighted residual sum of squares at the estimated τ².
    test, level
        As in ``univariate.fit``.

    Notes
    -----
    Var(b) = s² (X'WX)⁻¹ with s² = 1 (z, t), y'Py/(k-p) at the estimated τ² (Knapp-Hartung), or the larger of the
    two (adhoc). Where the rows fit exactly Knapp and Hartung's s² would be 0 and say nothing; there the normal
    test is used instead, as it is for k = 1.

    Sources: Knapp & Hartung 2003, doi:10.1002/sim.1482; Röver, Knapp & Friede 2015,
    doi:10.1186/s12874-015-0091-1 (adhoc).
    """
    beta = coef @ T.T
    vb = T @ cov @ T.T
    df = np.where(residual.df > 0.0, residual.df, np.inf)
    if test == "z":
        df = np.full_like(df, np.inf)
    if test == "knha":
        df = np.where(residual.rss <= ROUNDING * residual.size, np.inf, df)
    if test in {"knha", "adhoc"}:
        scaled = np.isfinite(df)
        s2 = np.where(scaled, residual.rss / np.where(scaled, df, 1.0), 1.0)
        vb = vb * (np.maximum(s2, 1.0) if test == "adhoc" else s2)[:, None, None]
    se = np.sqrt(np.einsum("npp->np", vb))
    zval = beta / se
    half = special.stdtrit(df, 0.5 * (1.0 + level))[:, None] * se
    pval = 2.0 * special.stdtr(df[:, None], -np.abs(zval))
    return Coefficients(beta, vb, se, zval, pval, beta - half, beta + half, df)


def omnibus(fit: Coefficients, tested: Sequence[int]) -> Omnibus:
    """Joint test that the coefficients listed are 0.

    QM = b'Var(b)⁻¹b, chi-squared with m degrees of freedom; under a t distribution QM/m, F with (m, df).
    """
    return wald(fit.beta[:, tested], fit.vb[:, tested][:, :, tested], fit.df)


def wald(estimate: Array, cov: Array, df: Array) -> Omnibus:
    """Joint test that the m quantities (n, m) with covariance (n, m, m) are 0; normal where df is infinite."""
    m = estimate.shape[-1]
    if m == 1:
        q = estimate[:, 0] ** 2 / cov[:, 0, 0]
    else:
        q = np.einsum("ni,nij,nj->n", estimate, inverse(cov)[0], estimate)
    normal = np.isinf(df)
    q = np.where(normal, q, q / m)
    p = np.where(normal, special.chdtrc(m, q), special.fdtrc(m, np.where(normal, 1.0, df), q))
    return Omnibus(q, p)

"""Rows with known effects: given τ, the mean is normal and its integral closed; batched over data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.bayesian.quadrature import Rule, rule
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from dualtrace.pooling.bayesian.priors import MeanPrior, TauPrior
    from dualtrace.pooling.likelihood import Array


class Given(NamedTuple):
    """The mean given τ: N(mean, variance), and the likelihood of τ, (n, J) each."""

    mean: Array
    variance: Array
    loglik: Array


class Moments(NamedTuple):
    """Posterior means and standard deviations of n data sets, (n,) each, and the log marginal likelihood."""

    mu: Array
    mu_sd: Array
    tau: Array
    tau_sd: Array
    log_evidence: Array


def given(y: Array, v: Array, log_tau: Array, prior: MeanPrior) -> Given:
    """Integrate the mean out at each τ.

    With w_i = 1/(v_i + τ²), S = Σw_i + 1/s₀² and m = (Σ w_i y_i + m₀/s₀²)/S,

    log p(y | τ) = -½ [k log 2π - Σ log w_i + log S + Σ w_i (y_i - m)² + (m - m₀)²/s₀²] - log s₀,

    for the flat prior (density 1) without the terms in m₀ and s₀ and with + ½ log 2π.

    Parameters
    ----------
    y, v
        Effects and variances, (n, k).
    log_tau
        (n, J).
    prior
        Of the mean, N(m₀, s₀²).

    Source: Röver 2020, doi:10.18637/jss.v093.i06.
    """
    w = 1.0 / (v[:, None, :] + np.exp(2.0 * log_tau)[:, :, None])
    precision = prior.sd**-2.0
    total = w.sum(axis=-1) + precision
    mean = (np.einsum("njk,nk->nj", w, y) + precision * prior.mean) / total
    resid = y[:, None, :] - mean[:, :, None]
    rss = (w * resid * resid).sum(axis=-1) + precision * (mean - prior.mean) ** 2
    constant = 0.5 * LOG_2PI if prior.is_flat else -np.log(prior.sd)
    inside = y.shape[-1] * LOG_2PI - np.log(w).sum(axis=-1) + np.log(total) + rss
    return Given(mean, 1.0 / total, constant - 0.5 * inside)


def loglik_at(y: Array, v: Array, log_tau: Array, mean: float) -> Array:
    """Log-likelihood of τ at a fixed mean, (n, J)."""
    variance = v[:, None, :] + np.exp(2.0 * log_tau)[:, :, None]
    resid = (y - mean)[:, None, :]
    inside: Array = (LOG_2PI + np.log(variance) + resid * resid / variance).sum(axis=-1)
    return -0.5 * inside


def rule_of(y: Array, v: Array, tau: TauPrior, mean: MeanPrior) -> Rule:
    """Nodes for the posterior of τ, (n, J)."""
    return rule(lambda x: tau.log_density(x) + given(y, v, x, mean).loglik, 0.5 * np.log(np.median(v, axis=-1)))


def rule_at(y: Array, v: Array, tau: TauPrior, mean: float) -> Rule:
    """Nodes for the posterior of τ when the mean is fixed, (n, J)."""
    start = 0.5 * np.log(np.median(v, axis=-1))
    return rule(lambda x: tau.log_density(x) + loglik_at(y, v, x, mean), start)


def moments(y: Array, v: Array, tau: TauPrior, mean: MeanPrior) -> Moments:
    """Posterior moments of many data sets at once, rows (n, k); those that do not exist come out huge or NaN.

    Var(μ) = E[Var(μ | τ)] + Var(E[μ | τ]).
    """
    found = rule_of(y, v, tau, mean)
    inner = given(y, v, found.log_tau, mean)
    mu = (found.weight * inner.mean).sum(axis=-1)
    spread = inner.variance + (inner.mean - mu[:, None]) ** 2
    sd_of_tau = np.exp(found.log_tau)
    average = (found.weight * sd_of_tau).sum(axis=-1)
    square = (found.weight * (sd_of_tau - average[:, None]) ** 2).sum(axis=-1)
    return Moments(mu, np.sqrt((found.weight * spread).sum(axis=-1)), average, np.sqrt(square), found.log_total)

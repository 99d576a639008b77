"""The random-effects model with one mean, without sampling: every number by quadrature over τ (and the mean).

The model: y_i ~ N(μ, v_i + τ²), or the probability of lo_i < y_i < hi_i for a row known only as an interval;
μ normal or flat, τ of a proper prior. Integrals are accurate to about 1e-10, quantiles to about 1e-9.

Source: Röver 2020, doi:10.18637/jss.v093.i06 (rows with known effects).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.bayesian.blend import Blend
from dualtrace.pooling.bayesian.censored import Joint, Known
from dualtrace.pooling.bayesian.contract import Drawn, Posterior, Sensitivity, Shrinkage, summarise
from dualtrace.pooling.bayesian.distribution import Distribution, Mixture, TauPosterior
from dualtrace.pooling.bayesian.exact import given, rule_at, rule_of
from dualtrace.pooling.bayesian.priors import MeanPrior, half_normal
from dualtrace.pooling.contract import require_level
from dualtrace.pooling.interval import truncated
from dualtrace.pooling.partial import Rows, checked_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.bayesian.distribution import IntervalKind
    from dualtrace.pooling.bayesian.priors import TauPrior
    from dualtrace.pooling.likelihood import Array

NO_TAU = np.array([[-np.inf]])
"""log τ at τ = 0."""

SPARE = 1e-15
"""Nodes of less posterior probability than this are left out of the answer."""

FAINT = 1e-18
"""The same for nodes of the mean and τ together, of which there are many thousands."""


class Parts(NamedTuple):
    """Posterior distributions before they are labelled."""

    mu: Distribution
    tau: TauPosterior
    theta: Distribution
    effects: Shrinkage
    log_evidence: float
    log_mu0: float
    log_tau0: float


class Finite(NamedTuple):
    """Which of the first two moments exist: of the mean, and of τ (a new row's effect has those of τ)."""

    mu: tuple[bool, bool]
    tau: tuple[bool, bool]


def fit(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    tau_prior: TauPrior | None = None,
    mean_prior: MeanPrior | None = None,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
    interval: IntervalKind = "central",
) -> Posterior:
    """Pool rows with priors on the mean and on τ.

    Parameters
    ----------
    yi, vi
        Effects (NaN or None for a row known as an interval) and sampling variances.
    lo, hi
        Ends for rows without an effect, ``-inf`` or ``inf`` for a direction; NaN or None for the others.
    tau_prior
        Prior of τ; absent: half-normal with scale 0.5, weakly informative for log odds ratios and standardised
        mean differences.
    mean_prior
        Prior of the mean; absent: flat.
    slab
        Labels of the rows.
    level, interval
        Probability and kind of the credible intervals.

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If an option is not one there is.

    Examples
    --------
    >>> answer = fit([0.2, 0.5, 0.3], [0.04, 0.06, 0.05], tau_prior=half_normal(0.5))
    >>> print(round(answer.mu_summary.mean, 3))
    0.321
    """
    require_level(level)
    tau_prior = half_normal(0.5) if tau_prior is None else tau_prior
    mean_prior = MeanPrior() if mean_prior is None else mean_prior
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=None, names=None, slab=slab)
    _require_proper(rows, mean_prior)
    finite = _moments_exist(rows, mean_prior, tau_prior)
    build = _exact if rows.exact.all() else _censored
    parts = build(rows, mean_prior, tau_prior, finite)
    return Posterior(
        mu=parts.mu,
        tau=parts.tau,
        theta=parts.theta,
        mu_summary=summarise(parts.mu, level, interval),
        tau_summary=summarise(parts.tau, level, interval),
        theta_summary=summarise(parts.theta, level, interval),
        effects=parts.effects,
        log_evidence=parts.log_evidence,
        bf_mu0=np.nan if mean_prior.is_flat else _ratio(parts.log_mu0 - parts.log_evidence),
        bf_tau0=_ratio(parts.log_tau0 - parts.log_evidence),
        mean_prior=mean_prior,
        tau_prior=tau_prior,
        k=len(rows.slab),
        level=level,
        interval_kind=interval,
        slab=rows.slab,
        kind=rows.kind,
        notes=_notes(finite, mean_prior),
    )


def sensitivity(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    tau_priors: Sequence[TauPrior],
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    mean_prior: MeanPrior | None = None,
    level: float = 0.95,
) -> Sensitivity:
    """Fit the same rows under several priors of τ.

    Raises
    ------
    InputError
        If no prior is given.
    FitError
        As ``fit``.
    """
    if not tau_priors:
        raise InputError("At least one prior of τ is needed to compare; given none.")
    fits = (fit(yi, vi, lo=lo, hi=hi, tau_prior=prior, mean_prior=mean_prior, level=level) for prior in tau_priors)
    return Sensitivity(tuple(fits))


def _exact(rows: Rows, mean: MeanPrior, tau: TauPrior, finite: Finite) -> Parts:
    """All effects known: mixtures of normal distributions over τ."""
    y, v = rows.y[None], rows.v[None]
    nodes = rule_of(y, v, tau, mean)
    keep = nodes.weight[0] > SPARE
    weight, log_tau = nodes.weight[0][keep], nodes.log_tau[0][keep]
    inner = given(y, v, log_tau[None], mean)
    centre, variance, tau2 = inner.mean[0], inner.variance[0], np.exp(2.0 * log_tau)
    total = float(nodes.log_total[0])

    def log_density(x: Array) -> Array:
        value: Array = tau.log_density(x) + given(y, v, x[None], mean).loglik[0] - total
        return value

    own = [
        Mixture(weight, b * yi + (1.0 - b) * centre, np.sqrt(b * vi + (1.0 - b) ** 2 * variance))
        for yi, vi in zip(rows.y, rows.v, strict=True)
        for b in [tau2 / (tau2 + vi)]
    ]
    return Parts(
        mu=Mixture(weight, centre, np.sqrt(variance), finite.mu),
        tau=TauPosterior(nodes, log_density, finite.tau),
        theta=Mixture(weight, centre, np.sqrt(variance + tau2), finite.tau),
        effects=Shrinkage(lambda: Drawn(np.array([d.mean for d in own]), np.array([d.sd for d in own]), tuple(own))),
        log_evidence=total,
        log_mu0=np.nan if mean.is_flat else float(rule_at(y, v, tau, 0.0).log_total[0]),
        log_tau0=float(given(y, v, NO_TAU, mean).loglik[0, 0]),
    )


def _censored(rows: Rows, mean: MeanPrior, tau: TauPrior, finite: Finite) -> Parts:
    """Some effects known only as intervals: both τ and the mean are integrated numerically."""
    exact = rows.exact
    joint = Joint(Known(rows.y[exact], rows.v[exact], rows.lo[~exact], rows.hi[~exact], rows.v[~exact]), mean)
    panels = joint.panels()
    nodes = joint.rule_of(tau, panels)
    keep = nodes.weight[0] > SPARE
    weight, log_tau = nodes.weight[0][keep], nodes.log_tau[0][keep]
    inner = joint.inner(log_tau, 2 * panels)  # twice as many: they are interpolated between, not only summed
    total = float(nodes.log_total[0])

    def log_density(x: Array) -> Array:
        return tau.log_density(x) + joint.inner(x, panels).log_total - total

    mu = Blend(weight, inner.edges, inner.density, np.zeros(weight.shape), finite.mu)
    return Parts(
        mu=mu,
        tau=TauPosterior(nodes, log_density, finite.tau),
        theta=Blend(weight, inner.edges, inner.density, np.exp(log_tau), finite.tau),
        effects=Shrinkage(partial(_shrink, rows, mu, np.exp(2.0 * log_tau), finite)),
        log_evidence=total,
        log_mu0=np.nan if mean.is_flat else float(joint.rule_at(tau, 0.0).log_total[0]),
        log_tau0=float(joint.inner(NO_TAU[0], 2 * panels).log_total[0]),
    )


def _shrink(rows: Rows, mu: Blend, tau2: Array, finite: Finite) -> Drawn:
    """True effects of the rows: θ_i = (1-B) μ + B y_i + noise of variance B v_i, with B = τ²/(τ² + v_i)."""
    of: list[Distribution | None] = []
    moments = []
    for y, v, lo, hi in zip(rows.y, rows.v, rows.lo, rows.hi, strict=True):
        b = tau2 / (tau2 + v)
        if np.isfinite(y):
            rest = (1.0 - b)[:, None]
            own = Blend(mu.weight, b[:, None] * y + rest * mu.edges, mu.values / rest, np.sqrt(b * v))
            of.append(own)
            moments.append((own.mean, own.sd))
        else:
            of.append(None)
            moments.append(_truncated_moments(mu, b, tau2 + v, v, lo, hi))
            if not np.isfinite([lo, hi]).all() and not finite.tau[1]:
                moments[-1] = (moments[-1][0] if finite.tau[0] else np.nan, np.inf)
    mean, sd = np.array(moments).T
    return Drawn(mean, sd, tuple(of))


def _truncated_moments(mu: Blend, b: Array, total: Array, v: float, lo: float, hi: float) -> tuple[float, float]:
    """Expectation and standard deviation of a true effect whose estimate lies between lo and hi.

    Given μ and τ, θ = μ + B (y - μ) + noise, y - μ = √(τ² + v) Z with Z truncated normal.
    """
    at, mass = mu.grid
    row, _ = np.nonzero(matters := mass > FAINT)
    at, mass, b, sd = at[matters], mass[matters], b[row], np.sqrt(total)[row]
    z = truncated((lo - at) / sd, (hi - at) / sd)
    centre = at + b * sd * z.mean
    inside = (b * sd) ** 2 * z.var + b * v
    mean = float(mass @ centre)
    return mean, float(np.sqrt(mass @ (inside + (centre - mean) ** 2)))


def _require_proper(rows: Rows, mean: MeanPrior) -> None:
    """Refuse directions alone under a flat prior.

    Raises
    ------
    FitError
        Saying what would make the posterior proper.
    """
    if mean.is_flat and not rows.anchored.any():
        raise FitError(
            f"All {len(rows.slab)} rows are directions, which say on which side an effect lies but not how far away: "
            "under a flat prior of the mean there is no posterior. Give a normal prior of the mean, or at least one "
            "exact effect or interval with two finite ends."
        )


def _moments_exist(rows: Rows, mean: MeanPrior, tau: TauPrior) -> Finite:
    """Which moments the posterior has.

    For large τ the likelihood falls as τ⁻ᵐ, m the rows with an effect or two ends, less one for a flat mean;
    given τ the mean has a spread of the order of τ when its prior is flat.
    """
    reach, closed = tau.finite_powers
    reach += int(rows.anchored.sum()) - int(mean.is_flat)

    def power(r: float) -> bool:
        return r < reach or (closed and r == reach)

    of_tau = power(1.0), power(2.0)
    return Finite(of_tau if mean.is_flat else (True, True), of_tau)


def _notes(finite: Finite, mean: MeanPrior) -> tuple[str, ...]:
    notes = []
    if mean.is_flat:
        notes.append("The prior of the mean is flat, so there is no Bayes factor for a mean of 0.")
    if not finite.tau[1]:
        notes.append("So few rows under a prior of τ with so heavy a tail leave τ without a finite variance.")
    return tuple(notes)


def _ratio(log_ratio: float) -> float:
    """The exponential, infinite where it overflows."""
    return float(np.exp(log_ratio)) if log_ratio < 700.0 else np.inf

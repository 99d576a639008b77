"""The general model as a NumPyro program, every random effect of the rows integrated out.

    y_i ~ N(x_i'β + ω z_g(i) + σ z_c(i), v_i + τ² / λ_i)

z_g: the group of the row (a disorder), partially pooled; z_c: its cluster (a trial with several rows), the middle
level of three; λ_i = 1, or Gamma(ν/2, ν/2) for effects distributed as t with ν degrees of freedom. A row known
only as an interval contributes the probability of that interval. Group and cluster effects are sampled as standard
normals and scaled (non-centred), so that small variances do not make a funnel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dualtrace.extras import numpyro_module
from dualtrace.pooling.bayesian.priors import HalfT

if TYPE_CHECKING:
    from dualtrace.pooling.bayesian.priors import MeanPrior, TauPrior
    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.partial import Rows


class Layout(NamedTuple):
    """What a row belongs to.

    Attributes
    ----------
    group, cluster
        Number of the group and of the cluster of each row, (k,); None when there are none.
    groups, clusters
        How many there are.
    t_df
        Degrees of freedom of the rows' effects; infinite for normal ones.
    """

    group: Ints | None
    cluster: Ints | None
    groups: int
    clusters: int
    t_df: float


class Priors(NamedTuple):
    """Priors of the coefficients, of τ (rows), ω (groups) and σ (clusters)."""

    beta: tuple[MeanPrior, ...]
    tau: TauPrior
    omega: TauPrior
    sigma: TauPrior


def load(name: str) -> Any:  # noqa: ANN401 - a module that may be absent has no type
    """Import a module of the extra ``bayes``; ``InputError`` says how to install it."""
    return numpyro_module(name, "A model with one mean needs no sampling: use dualtrace.pooling.bayesian.fit.")


def scale_site(name: str, prior: TauPrior) -> Any:  # noqa: ANN401
    """Sample a standard deviation from its prior."""
    numpyro, dist = load("numpyro"), load("numpyro.distributions")
    if isinstance(prior, HalfT):
        if np.isinf(prior.df):
            return numpyro.sample(name, dist.HalfNormal(prior.scale))
        if prior.df == 1.0:
            return numpyro.sample(name, dist.HalfCauchy(prior.scale))
        standard = dist.LeftTruncatedDistribution(dist.StudentT(prior.df, 0.0, 1.0), low=0.0)
        return numpyro.deterministic(name, prior.scale * numpyro.sample(f"{name}_unit", standard))
    standard = dist.Normal(0.0, 1.0) if np.isinf(prior.df) else dist.StudentT(prior.df, 0.0, 1.0)
    log_square = prior.location + prior.scale * numpyro.sample(f"{name}_unit", standard)
    return numpyro.deterministic(name, load("jax.numpy").exp(0.5 * log_square))


def coefficients(priors: tuple[MeanPrior, ...]) -> Any:  # noqa: ANN401
    """Sample the coefficients."""
    numpyro, dist, jnp = load("numpyro"), load("numpyro.distributions"), load("jax.numpy")
    sampled = [
        numpyro.sample(
            f"beta_{j}",
            dist.ImproperUniform(dist.constraints.real, (), ())
            if prior.is_flat
            else dist.Normal(prior.mean, prior.sd),
        )
        for j, prior in enumerate(priors)
    ]
    return jnp.stack(sampled)


def interval_loglik(a: Any, b: Any) -> Any:  # noqa: ANN401
    """log[Φ(b) - Φ(a)] with derivatives that stay finite: the interval is mirrored into the lower tail.

    Parameters
    ----------
    a, b
        Ends in standard deviations; an infinite end is one 40 or more away.
    """
    jnp, log_ndtr = load("jax.numpy"), load("jax.scipy.special").log_ndtr
    flip = a + b > 0.0
    low, high = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    upper = log_ndtr(high)
    return upper + jnp.log(-jnp.expm1(log_ndtr(low) - upper))


def program(rows: Rows, layout: Layout, priors: Priors) -> None:
    """Run the model, as NumPyro expects it: the sites it samples and the likelihood it adds."""
    numpyro, dist, jnp = load("numpyro"), load("numpyro.distributions"), load("jax.numpy")
    beta = coefficients(priors.beta)
    mean = jnp.asarray(rows.X) @ beta
    tau = scale_site("tau", priors.tau)
    if layout.group is not None:
        unit = numpyro.sample("group", dist.Normal(0.0, 1.0).expand([layout.groups]).to_event(1))
        mean = mean + scale_site("omega", priors.omega) * unit[layout.group]
    if layout.cluster is not None:
        unit = numpyro.sample("cluster", dist.Normal(0.0, 1.0).expand([layout.clusters]).to_event(1))
        mean = mean + scale_site("sigma", priors.sigma) * unit[layout.cluster]
    variance = tau**2
    if np.isfinite(layout.t_df):
        half = 0.5 * layout.t_df
        variance = variance / numpyro.sample("lambda", dist.Gamma(half, half).expand([len(rows.slab)]).to_event(1))
    sd = jnp.sqrt(jnp.asarray(rows.v) + variance)
    exact = np.flatnonzero(rows.exact)
    if exact.size:
        numpyro.sample("y", dist.Normal(mean[exact], sd[exact]), obs=jnp.asarray(rows.y[exact]))
    other = np.flatnonzero(~rows.exact)
    if other.size:
        low, high = _finite_ends(rows, other)
        a, b = (low - mean[other]) / sd[other], (high - mean[other]) / sd[other]
        a = jnp.where(np.isinf(rows.lo[other]), -60.0, a)
        b = jnp.where(np.isinf(rows.hi[other]), 60.0, b)
        numpyro.factor("intervals", interval_loglik(a, b).sum())


def _finite_ends(rows: Rows, other: Ints) -> tuple[Array, Array]:
    """Ends with 0 in place of infinity, so that derivatives of what is not used stay finite."""
    return tuple(np.where(np.isinf(end[other]), 0.0, end[other]) for end in (rows.lo, rows.hi))  # type: ignore[return-value]

"""The random-effects fit as a pure function of JAX arrays: compiled, mapped over data sets, differentiated.

For simulations and designs that need a fit inside a larger computation, or its gradient. The likelihood is the one of
``likelihood``; τ² is found by the scan and bracketed Newton steps of ``search``, with a fixed number of steps.
For data on their own, ``univariate`` is faster and says more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from dualtrace.pooling.likelihood import Data, loglik, slope, wls

if TYPE_CHECKING:
    from jax.typing import ArrayLike

jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]

Array = Any
"""A JAX array or tracer; the shared likelihood is annotated for NumPy's."""

jnp: Any = jax.numpy

CELLS = 128
"""Cells of the scan on the log axis; steps stay below 0.4 for ranges of τ² up to e^51 times the smallest variance."""

STEPS = 60
"""Newton or bisection steps; bisection alone would bring a cell of 0.4 below rounding in 52."""


class Fit(NamedTuple):
    """What a fit returns.

    Attributes
    ----------
    tau2
        Between-row variance, scalar.
    beta
        Coefficients, (p,).
    vb
        Their covariance matrix, (p, p).
    ll
        Log-likelihood, restricted for REML, constants included.
    """

    tau2: Array
    beta: Array
    vb: Array
    ll: Array


def fit(y: ArrayLike, v: ArrayLike, X: ArrayLike | None = None, *, restricted: bool = True) -> Fit:
    """Fit y ~ N(Xβ, diag(v) + τ²I) by REML, or by ML.

    Nothing is checked here: rows must be finite, v positive, X of full rank, rows more than columns.

    Parameters
    ----------
    y, v
        Effects and sampling variances, (k,). ``jax.vmap`` maps over more data sets, of one k.
    X
        Design, (k, p); absent: a mean.
    restricted
        REML, or ML.

    Returns
    -------
    Fit
        Differentiable in y, v and X where τ² is positive; at τ² = 0 it is held there, and derivatives are those of
        the equal-effects model.

    Examples
    --------
    >>> found = fit([0.1, 0.5, 0.9], [0.02, 0.03, 0.04])
    >>> print(round(float(found.tau2), 4), round(float(found.beta[0]), 4))
    0.129 0.4727
    """
    effects, variances = jnp.asarray(y, dtype=float), jnp.asarray(v, dtype=float)
    design = jnp.ones((effects.size, 1)) if X is None else jnp.asarray(X, dtype=float)
    basis, root = jnp.linalg.qr(design)
    sets = _data(effects, variances, basis)
    held = jax.lax.stop_gradient(_maximum(jax.tree.map(jax.lax.stop_gradient, sets), restricted=restricted))
    here = slope(sets, held[None], restricted=restricted)
    # one Newton step changes nothing at the maximum and carries the derivative of the implicit function
    tau2 = jnp.where(held > 0.0, held - here.first[0] / jax.lax.stop_gradient(here.second[0]), 0.0)
    at = wls(sets, tau2[None])
    unit = jnp.linalg.inv(root)

    ll = loglik(sets, tau2[None], restricted=restricted, fit=at)[0]
    return Fit(tau2, unit @ at.coef[0], unit @ at.cov[0] @ unit.T, ll)


def _data(y: Array, v: Array, basis: Array) -> Data:
    k, p = basis.shape
    squares = (basis[:, :, None] * basis[:, None, :]).reshape(k, p * p)
    return Data(y[None], v[None], jnp.ones((1, k)), basis, squares, jnp.array([float(k)]))


def _maximum(sets: Data, *, restricted: bool) -> Array:
    """τ² at the global maximum; the bound of the scan is that of ``tau2.maximum_likelihood``."""
    k, p = sets.basis.shape
    lowest, highest = sets.v.min(), sets.v.max()
    residual = sets.y[0] - sets.basis @ (sets.basis.T @ sets.y[0])
    d = (residual**2).sum() / (k - p if restricted else k)
    bound = jnp.maximum(0.5 * (d + jnp.sqrt(d * d + 4.0 * d * (highest - lowest))) - lowest, lowest)
    grid = lowest * jnp.expm1(jnp.linspace(0.0, 1.0, CELLS + 1) * jnp.log1p(bound / lowest))
    scan: Any = jax.vmap(lambda t: slope(sets, t[None], restricted=restricted))
    seen = scan(grid)
    value, first = seen.value[:, 0], seen.first[:, 0]
    falls = (first[:-1] > 0.0) & (first[1:] <= 0.0)
    # a maximum lies in each cell in which the slope changes sign; the best one is the best by its nearer end
    height = jnp.where(falls, jnp.maximum(value[:-1], value[1:]), -jnp.inf)
    cell = jnp.argmax(height)
    inside = _refine(sets, grid[cell], grid[cell + 1], restricted=restricted)
    top = slope(sets, inside[None], restricted=restricted).value[0]
    return jnp.where(falls.any() & ((first[0] > 0.0) | (top > value[0])), inside, 0.0)


def _refine(sets: Data, low: Array, high: Array, *, restricted: bool) -> Array:
    """Zero of the slope between a rising and a falling end, by Newton's steps on the log axis kept in the bracket."""
    scale = sets.v.min()

    def step(_: int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, low, high = state
        here = slope(sets, x[None], restricted=restricted)
        first, second = here.first[0], here.second[0]
        low, high = jnp.where(first > 0.0, x, low), jnp.where(first > 0.0, high, x)
        t = scale + x
        bend = first + t * second
        new = x + t * jnp.expm1(jnp.clip(-first / jnp.where(bend < 0.0, bend, -1.0), -1.0, 1.0))
        trusted = (bend < 0.0) & (new >= low) & (new <= high)
        return jnp.where(trusted, new, 0.5 * (low + high)), low, high

    found, _, _ = jax.lax.fori_loop(0, STEPS, step, (0.5 * (low + high), low, high))
    return found

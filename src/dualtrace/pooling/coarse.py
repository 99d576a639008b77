"""The marginal likelihood when some rows are known only to lie in an interval.

Row i is y_i ~ N(μ_i, q_i) with μ = Xβ and q_i = v_i + τ²: the random effect is integrated out analytically. An
exact row contributes the log-density, an interval row log[Φ((hi-μ)/s) - Φ((lo-μ)/s)], s = √q. Exact rows alone
give the likelihood of ``likelihood`` (maximum-likelihood version). A restricted likelihood is not used: it is
the likelihood of residual contrasts of y, and contrasts of rows known as intervals have no closed form.

Batched as in ``likelihood``: arrays are (n, k) for n data sets that share a design (k, p).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualtrace.pooling.interval import truncated
from dualtrace.pooling.likelihood import LOG_2PI, Array, Flags, Ints, Slope
from dualtrace.pooling.search import maximise

SETTLED = 1e-8
"""Expected gain in log-likelihood below which one more Newton step reaches rounding error."""

MAX_STEPS = 200

MAX_CUTS = 40

FLAT = 1e-12
"""Share of the largest possible curvature below which the likelihood counts as flat."""


class Coarse(NamedTuple):
    """n data sets of k rows, exact or interval.

    Attributes
    ----------
    y
        Effects of exact rows; a value inside the interval of the others (a start, nothing more), (n, k).
    lo, hi
        Ends of interval rows, (n, k), possibly infinite.
    v
        Known sampling variances, (n, k).
    exact
        Whether a row is exact, (n, k).
    use
        1 for a row that counts, 0 for one left out, (n, k).
    X
        Design, (k, p).
    random
        Whether τ² is estimated; otherwise it is 0.
    """

    y: Array
    lo: Array
    hi: Array
    v: Array
    exact: Flags
    use: Array
    X: Array
    random: bool = True

    def pick(self, sets: Ints) -> Coarse:
        """Data sets by index, with repetition."""
        return self._replace(
            y=self.y[sets],
            lo=self.lo[sets],
            hi=self.hi[sets],
            v=self.v[sets],
            exact=self.exact[sets],
            use=self.use[sets],
        )


class Terms(NamedTuple):
    """Log-likelihood of each row with derivatives in its mean μ and variance q, (n, k) each."""

    value: Array
    mu: Array
    q: Array
    mu_mu: Array
    mu_q: Array
    q_q: Array


class Peak(NamedTuple):
    """The maximum of the likelihood of each data set."""

    beta: Array  # (n, p)
    tau2: Array  # (n,)
    ll: Array  # (n,)


def coarse(y: Array, lo: Array, hi: Array, v: Array, X: Array, *, use: Array | None = None) -> Coarse:
    """Bundle rows of shape (n, k) or (k,): ``y`` is NaN for interval rows, ``lo`` and ``hi`` for exact ones."""
    y, lo, hi, v = (np.atleast_2d(part) for part in np.broadcast_arrays(y, lo, hi, v))
    exact = np.isfinite(y)
    with np.errstate(invalid="ignore"):
        middle = np.where(np.isinf(lo), hi, np.where(np.isinf(hi), lo, 0.5 * (lo + hi)))
    counted = np.ones_like(v) if use is None else np.broadcast_to(use, v.shape).astype(float)
    return Coarse(np.where(exact, y, middle), lo, hi, v, exact, counted, X)


def terms(sets: Coarse, beta: Array, tau2: Array) -> Terms:
    """Log-likelihood and derivatives of every row.

    With z = (y-μ)/s, and E, Var taken given lo < y < hi (for an exact row z itself and 0):

    ∂ℓ/∂μ    = E[z]/s                      ∂²ℓ/∂μ²   = (Var z - 1)/q
    ∂ℓ/∂q    = (E[z²] - 1)/(2q)            ∂²ℓ/∂μ∂q  = (½Cov(z,z²) - E[z])/(q s)
                                           ∂²ℓ/∂q²   = (½ - E[z²] + ¼Var z²)/q²

    which is Louis' identity: expected complete-data curvature plus the variance of the complete-data score.

    Source: Louis 1982, doi:10.1111/j.2517-6161.1982.tb01203.x.
    """
    q = sets.v + tau2[:, None]
    s = np.sqrt(q)
    mu = beta @ sets.X.T
    z = (sets.y - mu) / s
    square = z * z
    value = -0.5 * (LOG_2PI + np.log(q) + square)
    var, cov, var_square = np.zeros((3, *z.shape))
    hidden = ~sets.exact & (sets.use > 0.0)
    if hidden.any():
        mu_h, s_h, lo, hi = mu[hidden], s[hidden], sets.lo[hidden], sets.hi[hidden]
        known = truncated((lo - mu_h) / s_h, (hi - mu_h) / s_h, width=(hi - lo) / s_h)
        value[hidden], z[hidden], square[hidden] = known.log_mass, known.mean, known.square
        var[hidden], cov[hidden], var_square[hidden] = known.var, known.cov, known.var_square
    use = sets.use
    return Terms(
        use * value,
        use * z / s,
        use * 0.5 * (square - 1.0) / q,
        use * (var - 1.0) / q,
        use * (0.5 * cov - z) / (q * s),
        use * (0.5 - square + 0.25 * var_square) / (q * q),
    )


def curvature(weight: Array, X: Array) -> Array:
    """X'diag(weight)X, (n, p, p), for weights (n, k)."""
    k, p = X.shape
    return (weight @ (X[:, :, None] * X[:, None, :]).reshape(k, p * p)).reshape(-1, p, p)


def settle(sets: Coarse, tau2: Array, *, held: Flags, at: Array) -> tuple[Array, Terms]:
    """Maximise over β at fixed τ²; coefficients ``held`` stay at their value in ``at``.

    The log-likelihood is smooth and concave in β, so Newton's method with a line search finds the maximum.

    Returns
    -------
    tuple
        β (n, p) and the terms there.
    """
    beta = _start(sets, tau2, held, at)
    now = terms(sets, beta, tau2)
    active: Ints = np.arange(0 if held.all() else tau2.size)
    for _ in range(MAX_STEPS):
        if not active.size:
            break
        here, t = sets.pick(active), tau2[active]
        current = Terms(*(part[active] for part in now))
        step, gain = _newton(here, current, t, held[active])
        moved, new = _climb(here, t, beta[active], step, current.value.sum(-1), gain)
        beta[active] = moved
        for part, fresh in zip(now, new, strict=True):
            part[active] = fresh
        active = active[gain > SETTLED]
    return beta, now


def _climb(sets: Coarse, tau2: Array, beta: Array, step: Array, value: Array, gain: Array) -> tuple[Array, Terms]:
    """Take a Newton step where the likelihood keeps a fraction of the promised gain, else go to the top along it.

    Far from the bounds of an interval the likelihood is flat and does not see them coming; a step that runs into
    one is followed to where the slope has fallen to a tenth, by Newton's method inside a bracket.
    """
    fraction = np.ones_like(value)
    new = terms(sets, beta + step, tau2)
    least = value - 1e-13 * (1.0 + np.abs(value))  # as much as rounding can take away
    failed = (gain > SETTLED) & ~(new.value.sum(-1) >= least + 1e-4 * gain)
    short: Ints = np.flatnonzero(failed)
    low, high = np.zeros_like(value), np.ones_like(value)
    along = step @ sets.X.T
    for _ in range(MAX_CUTS):
        if not short.size:
            break
        at, d = Terms(*(part[short] for part in new)), along[short]
        slope = np.einsum("nk,nk->n", at.mu, d)
        low[short] = np.where(slope > 0.0, fraction[short], low[short])
        high[short] = np.where(slope > 0.0, high[short], fraction[short])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            guess = fraction[short] - slope / np.einsum("nk,nk,nk->n", at.mu_mu, d, d)
        inside = (guess > low[short]) & (guess < high[short])
        fraction[short] = np.where(inside, guess, 0.5 * (low[short] + high[short]))
        again = terms(sets.pick(short), beta[short] + fraction[short, None] * step[short], tau2[short])
        for part, fresh in zip(new, again, strict=True):
            part[short] = fresh
        level = np.abs(np.einsum("nk,nk->n", again.mu, d)) <= 0.1 * 2.0 * gain[short]
        short = short[~(level & (again.value.sum(-1) >= least[short]))]
    return beta + fraction[:, None] * step, new


def _start(sets: Coarse, tau2: Array, held: Flags, at: Array) -> Array:
    """Weighted least squares on exact effects and on a value inside each interval."""
    fixed = np.where(held, at, 0.0)
    w = sets.use / (sets.v + tau2[:, None])
    right = (w * (sets.y - fixed @ sets.X.T)) @ sets.X
    return fixed + _solve(curvature(w, sets.X), np.where(held, 0.0, right), held)


def largest_information(sets: Coarse, tau2: Array) -> Array:
    """Information about β if every row were exact, (n, p, p): no row curves more than 1/q."""
    return curvature(sets.use / (sets.v + tau2[:, None]), sets.X)


def _newton(sets: Coarse, now: Terms, tau2: Array, held: Flags) -> tuple[Array, Array]:
    """Newton's step and the gain it promises; a trace of the bound keeps flat stretches solvable."""
    gradient = np.where(held, 0.0, now.mu @ sets.X)
    step = _solve(information(sets, now, tau2), gradient, held)
    return step, 0.5 * np.einsum("np,np->n", step, gradient)


def information(sets: Coarse, now: Terms, tau2: Array) -> Array:
    """Observed information about β, never quite singular."""
    return curvature(-now.mu_mu, sets.X) + FLAT * largest_information(sets, tau2)


def _solve(matrix: Array, right: Array, held: Flags) -> Array:
    """Solve for the free coefficients; the held ones get 0."""
    p = matrix.shape[-1]
    if p == 1:
        return np.where(held, 0.0, right / matrix[:, 0])
    either = held[:, :, None] | held[:, None, :]
    reduced = np.where(either, np.eye(p), matrix)
    return np.linalg.solve(reduced, np.where(held, 0.0, right)[:, :, None])[:, :, 0]


def profile_slope(sets: Coarse, tau2: Array, now: Terms, held: Flags) -> Slope:
    """Derivatives in τ² of the likelihood maximised over the free coefficients.

    First: Σ ∂ℓ/∂q. Second: Σ ∂²ℓ/∂q² + c'J⁻¹c, with J the curvature in β and c = X'∂²ℓ/∂μ∂q.
    """
    cross = np.where(held, 0.0, now.mu_q @ sets.X)
    leaning = _solve(information(sets, now, tau2), cross, held)
    second = now.q_q.sum(-1) + np.einsum("np,np->n", cross, leaning)
    return Slope(now.value.sum(-1), now.q.sum(-1), second)


def peak(sets: Coarse, *, held: Flags | None = None, at: Array | None = None) -> Peak:
    """Global maximum over β and τ² >= 0, with coefficients ``held`` fixed at their value in ``at``.

    Parameters
    ----------
    sets
        n data sets that have a finite maximum.
    held, at
        (n, p) each; absent: nothing is held.
    """
    n, p = sets.y.shape[0], sets.X.shape[1]
    fixed = np.zeros((n, p), dtype=bool) if held is None else held
    value = np.zeros((n, p)) if at is None else at
    tau2 = _tau2(sets, fixed, value) if sets.random else np.zeros(n)
    beta, now = settle(sets, tau2, held=fixed, at=value)
    return Peak(beta, tau2, now.value.sum(-1))


def _tau2(sets: Coarse, fixed: Flags, value: Array) -> Array:
    """τ² at the global maximum."""

    def objective(index: Ints, tau2: Array) -> Slope:
        here = sets.pick(index)
        _, now = settle(here, tau2, held=fixed[index], at=value[index])
        return profile_slope(here, tau2, now, fixed[index])

    lowest = np.where(sets.use > 0.0, sets.v, np.inf).min(axis=-1)
    highest = (sets.use * sets.v).max(axis=-1)
    ones = sets._replace(v=np.ones_like(sets.v))
    centre = _start(ones, np.zeros(lowest.size), fixed, value)
    spread = (sets.use * (sets.y - centre @ sets.X.T) ** 2).max(axis=-1)
    return maximise(objective, scale=lowest, high=spread + highest)

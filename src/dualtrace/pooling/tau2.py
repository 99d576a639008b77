"""Estimators of the between-row variance τ², its standard error and its Q-profile interval.

All are batched over data sets (see ``likelihood``) and solve their equation to rounding error: REML and ML by a
global search, PM and the Q-profile by Newton's method on a concave function, moment estimators in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import special

from dualtrace.pooling import moments, quadform
from dualtrace.pooling.contract import HOMOGENEOUS
from dualtrace.pooling.kernel import Columns, columns, derivatives, pieces, score
from dualtrace.pooling.kernel import generalised_q as falling_q
from dualtrace.pooling.likelihood import Array, Data, Ints, Wls, slope, traces, wls
from dualtrace.pooling.search import SETTLED, SPARSE, climb

if TYPE_CHECKING:
    from dualtrace.pooling.contract import Tau2Method


TINY = 1e-300
"""Keeps 0/0 at 0 where the rows fit exactly."""


def estimate(sets: Data, method: Tau2Method, weights: Array | None = None) -> Array:
    """τ² by the method named, (n,); 0 for equal and fixed effects (``EE``, ``FE``).

    Parameters
    ----------
    sets
        n data sets with k > p rows each.
    method
        Estimator.
    weights
        Of the quadratic form behind GENQ and GENQM, (k,) or (n, k).
    """
    df = sets.k - sets.p
    if method in HOMOGENEOUS:
        return np.zeros(sets.y.shape[0])
    if method in {"REML", "ML"}:
        return maximum_likelihood(sets, restricted=method == "REML")
    if method in {"PM", "EB"}:  # Morris's empirical Bayes estimate solves the same equation
        return solve_q(sets, df)
    if method == "PMM":
        return solve_q(sets, np.asarray(special.chdtri(df, 0.5), dtype=np.float64))
    if method in {"HS", "HSk"}:
        return moments.hunter_schmidt(sets, corrected=method == "HSk")
    if method == "SJ":
        return moments.sidik_jonkman(sets)
    a = moments.weights_of(sets, method, weights)
    return quadform.solve(sets, a, 0.5) if method == "GENQM" else moments.moment_estimate(sets, moments.form(sets, a))


def generalised_q(sets: Data, tau2: Array) -> Array:
    """Q(τ²) = Σ (y_i - x_i'β)² / (v_i + τ²) with β by weighted least squares at τ², (n,)."""
    return wls(sets, tau2).rss


def solve_q(sets: Data, target: Array) -> Array:
    """Solution τ² >= 0 of Q(τ²) = target, 0 where Q(0) is already below it, (n,).

    Q is a sum of terms c/(λ + τ²), so 1/Q is increasing and concave, and nearly straight: Newton's method for 1/Q,
    kept at 0 or above, lands below the solution after at most one step and climbs to it without overshooting. It
    starts at RSS/target - v̄, RSS unweighted, where the solution would be if all variances were their mean v̄. With
    target k - p the solution is the estimator of Paule and Mandel, with the median of χ² with k - p degrees of
    freedom the median-unbiased one.

    Sources: Paule & Mandel 1982, doi:10.6028/jres.087.022; DerSimonian & Kacker 2007,
    doi:10.1016/j.cct.2006.04.004.
    """
    sets, rss = _centred(sets)
    start = np.maximum(rss / target - np.einsum("nk,nk->n", sets.v, sets.use) / sets.k, 0.0)
    whole = columns(sets)
    found = np.empty(len(target))
    for first, last in pieces(len(target), sets.y.shape[1]):
        found[first:last] = _climb_q(whole.part(first, last), target[first:last], start[first:last])
    return found


def _climb_q(sets: Columns, target: Array, tau2: Array) -> Array:
    """Newton's method for 1/Q."""
    found = tau2.copy()
    left: Ints = np.arange(tau2.size)
    lowest = sets.v.min(axis=0)
    while left.size:
        q, fall = falling_q(sets, tau2)
        new = np.maximum(tau2 + q * (q / target - 1.0) / (fall + TINY), 0.0)
        going = np.abs(new - tau2) > SETTLED * (new + lowest)
        tau2 = new
        found[left] = tau2
        count = np.count_nonzero(going)
        if count < SPARSE * going.size:
            kept = np.flatnonzero(going)
            left, sets, tau2, target = left[kept], sets.pick(kept), tau2[kept], target[kept]
            lowest = lowest[kept]
    return found


def _centred(sets: Data) -> tuple[Data, Array]:
    """Data sets less a fit of the design, and sums of squares of what remains, (n,).

    The fit is least squares where every row counts, and near it otherwise; it shifts nothing.
    """
    rest = sets.y - (sets.y @ sets.basis) @ sets.basis.T
    return sets._replace(y=rest), np.einsum("nk,nk,nk->n", sets.use, rest, rest)


@final
@dataclass(frozen=True, slots=True)
class Profile:
    """The profile (restricted) likelihoods of n data sets, as functions of τ²."""

    sets: Columns
    restricted: bool

    def pick(self, sets: Ints) -> Profile:
        """Data sets by index."""
        return Profile(self.sets.pick(sets), self.restricted)

    def first(self, tau2: Array) -> Array:
        """First derivatives at g values per data set, (g, n)."""
        found = np.empty_like(tau2)
        for start, stop in pieces(tau2.shape[1], self.sets.y.shape[0] * len(tau2)):
            found[:, start:stop] = score(self.sets.part(start, stop), tau2[:, start:stop], restricted=self.restricted)
        return found

    def both(self, tau2: Array) -> tuple[Array, Array]:
        """First and second derivatives, (n,) each."""
        return derivatives(self.sets, tau2, restricted=self.restricted)

    def value(self, tau2: Array) -> Array:
        """Heights without the terms that do not depend on τ², (n,)."""
        s = self.sets
        use = np.broadcast_to(s.use, s.y.shape)
        rows = Data(s.y.T, s.v.T, use.T, s.basis.T, s.sums[1:].T, use.sum(axis=0))
        return slope(rows, tau2, restricted=self.restricted).value


def maximum_likelihood(sets: Data, *, restricted: bool) -> Array:
    """τ² at the global maximum of the (restricted) likelihood, (n,).

    No stationary point lies above U: y'PPy <= RSS/(τ² + v_min)² with RSS the unweighted sum of squares around any
    fit, and the trace in the score is at least m/(τ² + v_max), m = k - p (REML) or k (ML), so the score is
    negative once t = τ² + v_min exceeds (D + √(D² + 4 D (v_max - v_min)))/2 with D = RSS/m.
    """
    counted = sets.use > 0.0
    lowest = np.where(counted, sets.v, np.inf).min(axis=-1)
    spread = np.where(counted, sets.v, 0.0).max(axis=-1) - lowest
    sets, rss = _centred(sets)
    d = rss / (sets.k - sets.p if restricted else sets.k)
    bound = 0.5 * (d + np.sqrt(d * d + 4.0 * d * spread)) - lowest
    whole = columns(sets)
    found = np.empty(len(lowest))
    for start, stop in pieces(len(lowest), sets.y.shape[1]):
        profile = Profile(whole.part(start, stop), restricted)
        found[start:stop] = climb(profile, scale=lowest[start:stop], high=bound[start:stop])
    return found


def standard_error(sets: Data, tau2: Array, fit: Wls, method: Tau2Method, weights: Array | None = None) -> Array:
    """Standard error of τ² from the sampling variance of its estimator, (n,); NaN for equal and fixed effects.

    REML          √(2 / tr PP)              at the estimate, as ``fit``
    ML            √(2 / Σw²)
    PM, PMM, EB   √(2k²/(k-p)) / Σw
    others        see ``moments.standard_error``

    Source: Viechtbauer 2005, doi:10.3102/10769986030003261.
    """
    if method in HOMOGENEOUS:
        return np.full(tau2.shape, np.nan)
    variance: Array
    if method == "REML":
        variance = 2.0 / traces(sets, fit)[1]
    elif method == "ML":
        variance = 2.0 / np.einsum("nk,nk->n", fit.weight, fit.weight)
    elif method in {"PM", "PMM", "EB"}:
        variance = 2.0 * sets.k**2 / ((sets.k - sets.p) * fit.weight.sum(-1) ** 2)
    else:
        return moments.standard_error(sets, tau2, method, weights)
    return np.sqrt(variance)


def q_profile(sets: Data, level: float) -> tuple[Array, Array]:
    """Ends of the interval {τ² : χ²_{α/2} <= Q(τ²) <= χ²_{1-α/2}}, k - p degrees of freedom, (n,) each.

    Exact under the model. An end that would be negative is 0; both are 0 when the rows agree better than the
    sampling variances allow (the set is empty). NaN where k = p.

    Source: Viechtbauer 2007, doi:10.1002/sim.2514.
    """
    df = sets.k - sets.p
    n, tail = df.size, 0.5 * (1.0 - level)
    targets = np.concatenate([special.chdtri(df, tail), special.chdtri(df, 1.0 - tail)])
    if n == 1 and df[0] > 0.0:
        low, high = solve_q(sets.pick(np.zeros(2, dtype=np.intp)), targets)
        return low[None], high[None]
    defined = np.flatnonzero(np.tile(df > 0.0, 2))
    ends = np.full(2 * n, np.nan)
    ends[defined] = solve_q(sets.pick(defined % n), targets[defined])
    return ends[:n], ends[n:]

"""Estimators of the between-row variance τ², its standard error and its Q-profile interval.

All are batched over data sets (see ``likelihood``) and solve their equation to rounding error: REML and ML by a
global search, PM and the Q-profile by Newton's method on a concave function, DL in closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from dualtrace.pooling.likelihood import Array, Data, Ints, Slope, quadratics, slope, traces, wls
from dualtrace.pooling.search import maximise

if TYPE_CHECKING:
    from dualtrace.pooling.contract import Tau2Method


def estimate(sets: Data, method: Tau2Method) -> Array:
    """τ² by the method named, (n,); 0 for equal effects (``EE``)."""
    if method == "EE":
        return np.zeros(sets.y.shape[0])
    if method == "DL":
        return dersimonian_laird(sets)
    if method == "PM":
        return solve_q(sets, sets.k - sets.p)
    return maximum_likelihood(sets, restricted=method == "REML")


def generalised_q(sets: Data, tau2: Array) -> Array:
    """Q(τ²) = Σ (y_i - x_i'β)² / (v_i + τ²) with β by weighted least squares at τ², (n,)."""
    return wls(sets, tau2).rss


def dersimonian_laird(sets: Data) -> Array:
    """Moment estimator τ² = max(0, (Q(0) - (k-p)) / tr P), P at τ² = 0, (n,).

    Source: DerSimonian & Laird 1986, doi:10.1016/0197-2456(86)90046-2.
    """
    fit = wls(sets, np.zeros(sets.y.shape[0]))
    return np.maximum(0.0, (fit.rss - (sets.k - sets.p)) / traces(sets, fit)[0])


def solve_q(sets: Data, target: Array) -> Array:
    """Solution τ² >= 0 of Q(τ²) = target, 0 where Q(0) is already below it, (n,).

    Q is a sum of terms c/(λ + τ²), so 1/Q is increasing and concave: Newton's method for 1/Q started at 0
    climbs to the solution without overshooting. With target k - p this is the estimator of Paule and Mandel.

    Sources: Paule & Mandel 1982, doi:10.6028/jres.087.022; DerSimonian & Kacker 2007,
    doi:10.1016/j.cct.2006.04.004.
    """
    tau2 = np.zeros(sets.y.shape[0])
    active: Ints = np.arange(tau2.size)
    while active.size:
        here = sets.pick(active)
        fit = wls(here, tau2[active])
        excess = fit.rss / target[active] - 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(excess > 0.0, fit.rss * excess / quadratics(here, fit)[0], 0.0)
        tau2[active] += step
        active = active[step > 1e-15 * tau2[active]]
    return tau2


def maximum_likelihood(sets: Data, *, restricted: bool) -> Array:
    """τ² at the global maximum of the (restricted) likelihood, (n,).

    No stationary point lies above U: y'PPy <= RSS/(τ² + v_min)² with RSS the unweighted residual sum of
    squares, and the trace in the score is at least m/(τ² + v_max), m = k - p (REML) or k (ML), so the score is
    negative once t = τ² + v_min exceeds (D + √(D² + 4 D (v_max - v_min)))/2 with D = RSS/m.
    """
    lowest = np.where(sets.use > 0.0, sets.v, np.inf).min(axis=-1)
    spread = np.where(sets.use > 0.0, sets.v, 0.0).max(axis=-1) - lowest
    plain = wls(sets._replace(v=np.ones_like(sets.v)), np.zeros(sets.y.shape[0]))
    centred = sets._replace(y=plain.resid)
    d = plain.rss / (sets.k - sets.p if restricted else sets.k)
    bound = 0.5 * (d + np.sqrt(d * d + 4.0 * d * spread)) - lowest

    def objective(index: Ints, tau2: Array) -> Slope:
        return slope(centred.pick(index), tau2, restricted=restricted)

    return maximise(objective, scale=lowest, high=bound)


def standard_error(sets: Data, tau2: Array, method: Tau2Method) -> Array:
    """Standard error of τ² from the sampling variance of its estimator, (n,); NaN for equal effects.

    REML  √(2 / tr PP)                                 ML  √(2 / Σw²)             at the estimate
    PM    √(2k²/(k-p)) / Σw                            at the estimate
    DL    √(2(k-p) + 4τ² tr P + 2τ⁴ tr PP) / tr P      P at τ² = 0

    Sources: Viechtbauer 2005, doi:10.3102/10769986030003261; Biggerstaff & Tweedie 1997 (DL),
    doi:10.1002/(SICI)1097-0258(19970415)16:7<753::AID-SIM494>3.0.CO;2-G.
    """
    if method == "EE":
        return np.full(tau2.shape, np.nan)
    fit = wls(sets, np.zeros_like(tau2) if method == "DL" else tau2)
    trace, trace2 = traces(sets, fit)
    df = sets.k - sets.p
    variance: Array
    if method == "REML":
        variance = 2.0 / trace2
    elif method == "ML":
        variance = 2.0 / (fit.weight**2).sum(-1)
    elif method == "PM":
        variance = 2.0 * sets.k**2 / (df * fit.weight.sum(-1) ** 2)
    else:
        variance = (2.0 * df + 4.0 * tau2 * trace + 2.0 * tau2**2 * trace2) / trace**2
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
    defined = np.flatnonzero(np.tile(df > 0.0, 2))
    ends = np.full(2 * n, np.nan)
    ends[defined] = solve_q(sets.pick(defined % n), targets[defined])
    return ends[:n], ends[n:]

"""p-uniform and p-uniform*: the mean effect from densities conditional on which results are significant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.small_study.profile import Maximum, profile_at, profile_interval
from dualtrace.pooling.small_study.selection_fit import Bounds, bind, covariance, plain_fit, search
from dualtrace.pooling.small_study.uniform_sum import irwin_hall, irwin_hall_quantile
from dualtrace.pooling.small_study.weighting import Conditional
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.pooling.univariate import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.pooling.likelihood import Array, Flags
    from dualtrace.pooling.small_study.ascent import Ascent

UniformMethod = Literal["P", "LNP"]
"""Sum of the conditional p values, or of their negative logarithms."""

Side = Literal["right", "left"]
"""Direction in which significant results were selected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PUniform(Result):
    """Estimate from the significant results alone.

    Attributes
    ----------
    est, ci_lb, ci_ub
        Effect at which the conditional p values look uniform, with its interval.
    stat_0, pval_0
        Their sum (of logarithms under LNP) at no effect, and the one-sided p value of no effect.
    pval_pb
        One-sided p value of no selection: conditional p values at the equal-effects mean of all rows.
    k, k_sig
        Rows, significant rows on the side given.
    method, side, level
        As given.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("vanassen2015",)

    est: float
    ci_lb: float
    ci_ub: float
    stat_0: float
    pval_0: float
    pval_pb: float
    k: int
    k_sig: int
    method: UniformMethod
    side: Side
    level: float

    def __str__(self) -> str:
        """Two lines."""
        return (
            f"p-uniform ({self.method}), {self.k_sig} of {self.k} results significant on the {self.side}: "
            f"{number(self.est)} ({interval(self.ci_lb, self.ci_ub)})\n"
            f"No effect: p {p_value(self.pval_0)}; no selection: p {p_value(self.pval_pb)}"
        )


def p_uniform(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    side: Side = "right",
    method: UniformMethod = "P",
    alpha: float = 0.05,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PUniform:
    """Estimate a common effect from results that were selected for significance.

    With c the two-sided critical value, q_i(μ) = P(Y > y_i)/P(Y > c√v_i) for Y ~ N(μ, v_i) is uniform at the true
    μ. ``P`` solves Σ q_i = k/2, with an interval from the distribution of a sum of uniform variables; ``LNP``
    solves -Σ log q_i = k, with an interval from the gamma distribution.

    Heterogeneity biases it upwards; ``p_uniform_star`` allows for it.

    Parameters
    ----------
    yi, vi, slab, level
        As in ``univariate.fit``.
    side
        Sign of the effects that were selected.
    method
        ``P`` or ``LNP``.
    alpha
        Two-sided level that makes a result significant.

    Raises
    ------
    FitError
        If no row is significant on that side.
    InputError
        If an option cannot be used.

    Sources: van Assen, van Aert & Wicherts 2015, doi:10.1037/met0000025; van Aert, Wicherts & van Assen 2016,
    doi:10.1177/1745691616650874.
    """
    require_choice("method", method, get_args(UniformMethod))
    require_level(level)
    given = problem(yi, vi, slab=slab)
    sign, critical = _direction(side, alpha)
    y, v = sign * given.y, given.v
    sig = y >= critical * np.sqrt(v)
    n = int(sig.sum())
    if not n:
        raise FitError(
            f"p-uniform is made of significant results; given {y.size} rows, none significant on the {side}."
        )
    ys, vs = y[sig], v[sig]
    tail = 0.5 * (1.0 - level)

    def total(mu: float) -> float:
        log_q = conditional_log_p(ys, vs, mu, critical)
        return float(np.exp(log_q).sum() if method == "P" else log_q.sum())

    if method == "P":
        targets = (n / 2.0, irwin_hall_quantile(n, tail), irwin_hall_quantile(n, 1.0 - tail))
    else:
        targets = (-float(n), -float(special.gammainccinv(n, tail)), -float(special.gammaincinv(n, tail)))
    est, low, high = (_solve(total, target, ys, vs) for target in targets)
    at_0, at_mean = total(0.0), total(float(np.average(y, weights=1.0 / v)))
    ends = sorted((sign * low, sign * high))
    return PUniform(
        est=sign * est,
        ci_lb=ends[0],
        ci_ub=ends[1],
        stat_0=at_0 if method == "P" else -at_0,
        pval_0=_chance_below(at_0, n, method),
        pval_pb=1.0 - _chance_below(at_mean, n, method),
        k=y.size,
        k_sig=n,
        method=method,
        side=side,
        level=level,
    )


def _direction(side: Side, alpha: float) -> tuple[float, float]:
    """Sign that turns selected effects positive, and the critical z statistic."""
    require_choice("side", side, get_args(Side))
    if not 0.0 < alpha < 1.0:
        raise InputError(f"alpha must lie between 0 and 1; given {alpha:g}.")
    return (1.0 if side == "right" else -1.0), float(special.ndtri(1.0 - alpha / 2.0))


def conditional_log_p(y: Array, v: Array, mu: float, critical: float) -> Array:
    """Log q_i(μ), (k,)."""
    root = np.sqrt(v)
    return np.asarray(special.log_ndtr((mu - y) / root) - special.log_ndtr(mu / root - critical))


def _chance_below(total: float, n: int, method: UniformMethod) -> float:
    """P(sum of n uniform variables, or of their logarithms, <= total)."""
    return irwin_hall(n, total) if method == "P" else float(special.gammaincc(n, -total))


def _solve(total: Callable[[float], float], target: float, y: Array, v: Array) -> float:
    """Effect at which the sum, which rises with it, equals the target."""
    step = float(np.sqrt(v.max()))
    low = high = float(np.median(y))
    while total(low) > target:
        low, step = low - step, 2.0 * step
        if step > 1e12 * float(np.sqrt(v.max())):
            return -np.inf
    step = float(np.sqrt(v.max()))
    while total(high) < target:
        high, step = high + step, 2.0 * step
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if total(middle) < target else (low, middle)
    return 0.5 * (low + high)


@dataclass(frozen=True, slots=True, kw_only=True)
class PUniformStar(Result):
    """Estimates from all results, each conditional on being significant or not.

    Attributes
    ----------
    est, se, ci_lb, ci_ub, pval_0
        Mean effect with its standard error and profile-likelihood interval, and the likelihood-ratio test that it
        is 0.
    tau2, tau2_ci_lb, tau2_ci_ub, pval_tau2
        Between-row variance with its profile-likelihood interval, and the likelihood-ratio test that it is 0.
    ll
        Conditional log-likelihood.
    k, k_sig
        Rows, significant rows on the side given.
    side, level
        As given.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("vanaert2018",)

    est: float
    se: float
    ci_lb: float
    ci_ub: float
    pval_0: float
    tau2: float
    tau2_ci_lb: float
    tau2_ci_ub: float
    pval_tau2: float
    ll: float
    k: int
    k_sig: int
    side: Side
    level: float

    def __str__(self) -> str:
        """Two lines."""
        return (
            f"p-uniform*, {self.k_sig} of {self.k} results significant on the {self.side}: {number(self.est)} "
            f"({interval(self.ci_lb, self.ci_ub)}), p {p_value(self.pval_0)}\n"
            f"tau² = {number(self.tau2)} ({interval(self.tau2_ci_lb, self.tau2_ci_ub)}), p {p_value(self.pval_tau2)}"
        )


def p_uniform_star(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    side: Side = "right",
    alpha: float = 0.05,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PUniformStar:
    """Estimate mean and heterogeneity when significant results are reported more, or less, often than others.

    Significant results have density N(y; μ, v + τ²)/P(significant), the others N(y; μ, v + τ²)/P(not significant);
    nothing is assumed about how much more often one kind is reported. Maximum likelihood.

    Parameters
    ----------
    yi, vi, slab, level
        As in ``univariate.fit``.
    side
        Sign of the effects that count as significant.
    alpha
        Two-sided level that makes a result significant.

    Raises
    ------
    FitError
        If there are fewer than two rows, none is significant on the side, or the likelihood has no maximum.

    Source: van Aert & van Assen 2018, doi:10.31222/osf.io/zqjr9.
    """
    require_level(level)
    given = problem(yi, vi, slab=slab)
    k = given.y.size
    if k < 2:
        raise FitError(f"p-uniform* needs at least 2 rows; given {k}.")
    sign, critical = _direction(side, alpha)
    if not np.any(sign * given.y >= critical * np.sqrt(given.v)):
        raise FitError(
            f"p-uniform* needs at least one result that is significant on the {side}; of {k} results none is. "
            "Results on one side of the threshold alone leave the mean and the variance undetermined."
        )
    sig, top, found, equal_ll = _star(sign * given.y[None], given.v[None], critical)
    theta, ll = found.theta[0], float(found.point.value[0])
    cov = covariance(-found.point.hessian[0], np.array([True, theta[1] > 0.0]))
    se = float(np.sqrt(cov[0, 0]))
    low, high = profile_interval(top, 0, 2.0 * se, level)
    ends = sorted((sign * low, sign * high))
    spread = profile_interval(top, 1, theta[1] + float(np.median(given.v)), level)
    zero = float(profile_at(top, 0, np.zeros(1), theta)[0][0])
    return PUniformStar(
        est=sign * float(theta[0]),
        se=se,
        ci_lb=ends[0],
        ci_ub=ends[1],
        pval_0=_ratio_p(ll, zero),
        tau2=float(theta[1]),
        tau2_ci_lb=spread[0],
        tau2_ci_ub=spread[1],
        pval_tau2=_ratio_p(ll, equal_ll),
        ll=ll,
        k=k,
        k_sig=int(sig.sum()),
        side=side,
        level=level,
    )


def _star(y: Array, v: Array, critical: float) -> tuple[Flags, Maximum, Ascent, float]:
    """Which rows are significant, the maximum, the search for it, and the log-likelihood at τ² = 0.

    Raises
    ------
    FitError
        If the likelihood has no maximum.
    """
    ones, none = np.ones((y.size, 1)), np.zeros((1, 0))
    sig = y >= critical * np.sqrt(v)
    rows = bind(y, v, ones, Conditional(np.full_like(v, critical), sig))
    fits = [plain_fit(y, v, ones, random=random) for random in (True, False)]
    found, equal = search(rows, fits, none, Bounds(none[0], none[0]))
    if not found.converged[0]:
        raise FitError(
            "The likelihood of p-uniform* has no maximum for these rows: the results lie so close to the threshold "
            "of significance that they put no limit on the effect."
        )
    bounds = np.array([-np.inf, 0.0]), np.array([np.inf, np.inf])
    top = Maximum(rows, found.theta[0], float(found.point.value[0]), *bounds)
    return sig, top, found, float(equal.point.value[0]) if equal.converged[0] else -np.inf


def _ratio_p(ll: float, smaller: float) -> float:
    """P value of the likelihood-ratio test with one degree of freedom."""
    return float(special.chdtrc(1, max(0.0, 2.0 * (ll - smaller))))

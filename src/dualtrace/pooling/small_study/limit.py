"""Limit meta-analysis: the effect left when every study is made unlimitedly precise, bias by size allowed for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.pooling.univariate import fit, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Tau2Method
    from dualtrace.pooling.likelihood import Array


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LimitMetaAnalysis(Result):
    """Adjusted effect and the small-study effect it is adjusted for.

    Attributes
    ----------
    est, se, zval, pval, ci_lb, ci_ub
        Adjusted effect β + τα: estimate, standard error, z, two-sided p, interval.
    beta, alpha, se_alpha, pval_alpha
        Intercept and small-study effect of the extended random-effects model.
    tau2
        Between-row variance of the ordinary random-effects model, taken as known.
    limit
        Effect of each row at unlimited precision, (k,).
    Q, Qp
        Heterogeneity, k - 1 degrees of freedom.
    Q_small, Qp_small, Q_resid, Qp_resid
        Its split into small-study effects (one degree of freedom) and the rest (k - 2).
    k, level
        Rows; confidence level.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("rucker2011",)

    est: float
    se: float
    zval: float
    pval: float
    ci_lb: float
    ci_ub: float
    beta: float
    alpha: float
    se_alpha: float
    pval_alpha: float
    tau2: float
    limit: Array
    Q: float
    Qp: float
    Q_small: float
    Qp_small: float
    Q_resid: float
    Qp_resid: float
    k: int
    level: float

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """Adjusted effect, small-study effect, split of heterogeneity."""
        return "\n".join(
            (
                f"Limit meta-analysis, k = {self.k}",
                f"Adjusted effect {number(self.est)} ({interval(self.ci_lb, self.ci_ub)}), p {p_value(self.pval)}",
                (
                    f"Small-study effect alpha = {number(self.alpha)} (SE {number(self.se_alpha)}), "
                    f"p {p_value(self.pval_alpha)}"
                ),
                (
                    f"Q = {number(self.Q)}, p {p_value(self.Qp)}: small studies {number(self.Q_small)}, "
                    f"p {p_value(self.Qp_small)}; rest {number(self.Q_resid)}, p {p_value(self.Qp_resid)}"
                ),
            )
        )


def limit_meta_analysis(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    level: float = 0.95,
) -> LimitMetaAnalysis:
    """Adjust the mean for small-study effects.

    y_i = β + √(v_i + τ²) (α + ε_i), ε_i ~ N(0, 1). With τ² from the ordinary random-effects model, β and α follow
    by least squares of y_i/√(v_i + τ²) on 1/√(v_i + τ²) and 1, with covariance (Z'Z)⁻¹. As v_i goes to 0 the
    expected effect goes to β + τα, and row i goes to β + τ (y_i - β)/√(v_i + τ²).

    Parameters
    ----------
    yi, vi, slab, level
        As in ``univariate.fit``.
    method
        Estimator of τ².

    Raises
    ------
    FitError
        With fewer than three rows, or when all sampling variances are equal.

    Source: Rücker, Schwarzer, Carpenter, Binder & Schumacher 2011, doi:10.1093/biostatistics/kxq046.
    """
    require_level(level)
    given = problem(yi, vi, slab=slab)
    y, v, k = given.y, given.v, given.y.size
    if k < 3:
        raise FitError(f"A limit meta-analysis needs at least 3 rows; given {k}.")
    pooled = fit(y, v, method=method, slab=given.slab)
    root, tau = np.sqrt(v + pooled.tau2), float(np.sqrt(pooled.tau2))
    (beta, alpha), cov, _ = _regress(y, root)
    split = _regress(y, np.sqrt(v))[2]
    gradient = np.array([1.0, tau])
    est, se = beta + tau * alpha, float(np.sqrt(gradient @ cov @ gradient))
    half = float(special.ndtri(0.5 * (1.0 + level))) * se
    small = max(0.0, pooled.QE - split)
    return LimitMetaAnalysis(
        est=est,
        se=se,
        zval=est / se,
        pval=_two_sided(est / se),
        ci_lb=est - half,
        ci_ub=est + half,
        beta=beta,
        alpha=alpha,
        se_alpha=float(np.sqrt(cov[1, 1])),
        pval_alpha=_two_sided(alpha / float(np.sqrt(cov[1, 1]))),
        tau2=pooled.tau2,
        limit=beta + tau * (y - beta) / root,
        Q=pooled.QE,
        Qp=pooled.QEp,
        Q_small=small,
        Qp_small=float(special.chdtrc(1, small)),
        Q_resid=split,
        Qp_resid=float(special.chdtrc(k - 2, split)),
        k=k,
        level=level,
    )


def _regress(y: Array, root: Array) -> tuple[tuple[float, float], Array, float]:
    """Least squares of y/root on 1/root and 1: coefficients, (Z'Z)⁻¹, residual sum of squares."""
    z = np.column_stack([1.0 / root, np.ones(root.size)])
    if np.ptp(root) <= 1e-10 * root.max():
        raise FitError("All rows are equally precise, so an effect of precision cannot be told from the mean.")
    cov = np.linalg.inv(z.T @ z)
    coef = np.linalg.lstsq(z, y / root, rcond=None)[0]
    rest = y / root - z @ coef
    return (float(coef[0]), float(coef[1])), cov, float(rest @ rest)


def _two_sided(z: float) -> float:
    return float(2.0 * special.ndtr(-abs(z)))

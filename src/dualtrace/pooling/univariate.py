"""Equal-effects, random-effects and meta-regression models of independent rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling import check
from dualtrace.pooling import tau2 as variance
from dualtrace.pooling.contract import (
    HOMOGENEOUS,
    Pooled,
    Tau2Method,
    TestName,
    freeze,
    require_choice,
    require_level,
    require_method,
)
from dualtrace.pooling.inference import Answer, Heterogeneity, answer, omnibus
from dualtrace.pooling.likelihood import data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Checked input of a fit.

    Attributes
    ----------
    y, v, X
        Effects (k,), sampling variances (k,), design (k, p).
    names, slab
        Labels of columns and rows.
    basis, T
        Orthonormal basis of the design, (k, p), and the matrix back to its coefficients, (p, p).
    """

    y: Array
    v: Array
    X: Array
    names: tuple[str, ...]
    slab: tuple[str, ...]
    basis: Array
    T: Array

    @property
    def intercept(self) -> int | None:
        """Column that is 1 in every row."""
        ones = np.flatnonzero((self.X == 1.0).all(axis=0))
        return int(ones[0]) if ones.size else None

    @property
    def tested(self) -> list[int]:
        """Columns of the omnibus test: all but the intercept, or all when it stands alone."""
        p = len(self.names)
        return [j for j in range(p) if p == 1 or j != self.intercept]


def problem(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
) -> Problem:
    """Check the input of ``fit`` and bring it into one form.

    Raises
    ------
    FitError
        If it cannot be used; the sentence names row and value.
    """
    y, v = check.column("yi", yi, slab), check.column("vi", vi, slab)
    k = check.require_same_length({"yi": y, "vi": v})
    rows = check.labels(slab, k)
    check.require_effects(y, rows)
    check.require_variances(v, rows)
    matrix, columns = check.design(X, names, k)
    check.require_more_rows(k, matrix.shape[1])
    if X is None:
        root = np.full((1, 1), k**-0.5)
        return Problem(y, v, matrix, columns, rows, matrix * root, root)
    return Problem(y, v, matrix, columns, rows, *check.basis(matrix, columns))


def row_weights(weights: Any | None, given: Problem) -> Array | None:  # noqa: ANN401
    """Positive weights, one per row, or None.

    Raises
    ------
    FitError
        Naming the first row whose weight is not a positive number.
    """
    if weights is None:
        return None
    a = check.column("weights", weights, given.slab)
    check.require_same_length({"yi": given.y, "weights": a})
    check.require_weights(a, given.slab)
    return a


def fit(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    weights: Any | None = None,  # noqa: ANN401
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> Pooled:
    """Pool effects with known sampling variances.

    The model is y_i ~ N(x_i'β, v_i + τ²), rows independent.

    Parameters
    ----------
    yi, vi
        Effects and their sampling variances (squared standard errors), one per row.
    X
        Complete design matrix, intercept column included; absent: an intercept.
    names
        Names of the columns of X.
    slab
        Labels of the rows.
    weights
        Positive weights of the rows in the estimate of the coefficients, in place of 1/(v + τ²); under GENQ and
        GENQM, which need them, also in the quadratic form behind τ².
    method
        Estimator of τ²: REML, ML; PM (Paule-Mandel, the same as EB), PMM (its median-unbiased form); the moment
        estimators DL, HE, HS, HSk, SJ, GENQ, GENQM; EE for equal or FE for fixed effects (none estimated).
    test
        ``z`` or ``t`` (Wald), ``knha`` (Knapp-Hartung), ``adhoc`` (Knapp-Hartung, never narrower than Wald's t).
    level
        Confidence level.

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If method, test or level is not one there is.

    Examples
    --------
    >>> print(round(float(fit([0.2, 0.5, 0.3], [0.04, 0.06, 0.05]).beta[0]), 3))
    0.314
    """
    require_method(method, weights)
    require_choice("test", test, get_args(TestName))
    require_level(level)
    given = problem(yi, vi, X=X, names=names, slab=slab)
    a = row_weights(weights, given)
    if len(given.y) == 1:
        method = "EE"
    found = answer(data(given.y, given.v, given.basis), given.T, method=method, test=test, level=level, weights=a)
    return _label(found, given, method, test, level, a)


def _label(
    found: Answer, given: Problem, method: Tau2Method, test: TestName, level: float, weights: Array | None
) -> Pooled:
    """Attach names and rows to the answer for one data set."""
    h, c = found.heterogeneity, found.coefficients
    k, p = given.X.shape
    joint = omnibus(c, given.tested)
    notes = _notes(found, k, test)
    used: TestName = test if (test == "t" and k > 1) or np.isfinite(c.df[0]) else "z"
    low, high = _prediction_interval(found, given, method, level)
    return Pooled(
        names=given.names,
        **{name: getattr(c, name)[0] for name in ("beta", "se", "zval", "pval", "ci_lb", "ci_ub", "vb")},
        tau2=float(h.tau2[0]),
        se_tau2=float(h.se_tau2[0]),
        tau2_ci_lb=float(h.ci_lb[0]),
        tau2_ci_ub=float(h.ci_ub[0]),
        I2=float(h.I2[0]),
        H2=float(h.H2[0]),
        QE=float(h.QE[0]),
        QE_df=k - p,
        QEp=float(h.QEp[0]),
        QM=float(joint.QM[0]),
        QM_df=len(given.tested),
        QMp=float(joint.QMp[0]),
        pi_lb=low,
        pi_ub=high,
        ll=float(found.ll[0]),
        k=k,
        p=p,
        dfs=k - p,
        method=method,
        test=used,
        level=level,
        slab=given.slab,
        weights=found.weights[0],
        R2=_accounted(h, given, method, weights),
        notes=notes,
    )


def _accounted(h: Heterogeneity, given: Problem, method: Tau2Method, weights: Array | None) -> float:
    """R² in percent; NaN without moderators or an intercept, and where there is nothing to account for."""
    k, p = given.X.shape
    if p == 1 or given.intercept is None:
        return np.nan
    alone = data(given.y - given.y.mean(), given.v, np.full((k, 1), k**-0.5))
    if method in HOMOGENEOUS:
        before = float(variance.generalised_q(alone, np.zeros(1))[0]) / (k - 1)
        after = float(h.QE[0]) / (k - p)
    else:
        before, after = float(variance.estimate(alone, method, weights)[0]), float(h.tau2[0])
    return 100.0 * max(0.0, 1.0 - after / before) if before > 0.0 else np.nan


def _prediction_interval(found: Answer, given: Problem, method: Tau2Method, level: float) -> tuple[float, float]:
    """Interval for the true effect of a new row; undefined for regressions and equal effects."""
    h, c = found.heterogeneity, found.coefficients
    if given.X.shape[1] > 1 or given.intercept != 0 or method in HOMOGENEOUS:
        return np.nan, np.nan
    half = _quantile(float(c.df[0]), level) * np.sqrt(c.vb[0, 0, 0] + h.tau2[0])
    return float(c.beta[0, 0] - half), float(c.beta[0, 0] + half)


def _notes(found: Answer, k: int, test: TestName) -> tuple[str, ...]:
    if k == 1:
        return ("Only one row: its own estimate and normal interval; heterogeneity cannot be estimated.",)
    notes = []
    if test == "knha" and np.isinf(found.coefficients.df[0]):
        notes.append("The rows fit exactly, so the Knapp-Hartung variance would be 0: the Wald z test was used.")
    if found.heterogeneity.ci_ub[0] == 0.0:
        notes.append(
            "The rows agree better than their sampling variances allow: the Q-profile set for tau² is empty, "
            "both ends are given as 0."
        )
    return tuple(notes)


def _quantile(df: float, level: float) -> float:
    """Two-sided critical value of t with df degrees of freedom; normal when df is infinite."""
    return float(special.stdtrit(df, 0.5 * (1.0 + level)))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Expected effect at given moderators, its interval, and the interval for a new row's true effect.

    Attributes
    ----------
    pred, se, ci_lb, ci_ub
        x'b, its standard error and interval, (m,) each.
    pi_lb, pi_ub
        Prediction interval, (m,); NaN for an equal-effects model.
    """

    pred: Array
    se: Array
    ci_lb: Array
    ci_ub: Array
    pi_lb: Array
    pi_ub: Array

    def __post_init__(self) -> None:
        freeze(self)


def predict(pooled: Pooled, rows: Any) -> Prediction:  # noqa: ANN401
    """Predict at rows of the design matrix.

    x'b ± c √(x'Var(b)x) and x'b ± c √(x'Var(b)x + τ²), with c of the normal distribution under z and of the
    t distribution with k - p degrees of freedom under t and knha.

    Parameters
    ----------
    pooled
        A fit.
    rows
        Values of its p columns, intercept included: (p,) for one row or (m, p).

    Raises
    ------
    FitError
        If the number of columns differs from p or a value is not finite.
    """
    x = np.atleast_2d(np.array(rows, dtype=float))
    if x.ndim != 2 or x.shape[1] != pooled.p or not np.isfinite(x).all():
        raise FitError(
            f"rows must hold one finite number for each of {', '.join(pooled.names)}; given shape {x.shape}."
        )
    pred, variance = x @ pooled.beta, np.einsum("mp,pq,mq->m", x, pooled.vb, x)
    critical = _quantile(np.inf if pooled.test == "z" else pooled.dfs, pooled.level)
    tau2 = np.nan if pooled.method in HOMOGENEOUS else pooled.tau2
    half, wide = critical * np.sqrt(variance), critical * np.sqrt(variance + tau2)
    return Prediction(pred, np.sqrt(variance), pred - half, pred + half, pred - wide, pred + wide)

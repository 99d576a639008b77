"""Whether small studies find larger effects: regression and rank tests of the funnel, and their extrapolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling import check
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.small_study.precision import Precision, measure
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.pooling.univariate import Problem, fit, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
    from dualtrace.pooling.likelihood import Array

RegressionModel = Literal["rma", "lm"]
"""Meta-regression with additive heterogeneity, or weighted regression with multiplicative dispersion."""

AT_INFINITE_PRECISION = ("sei", "vi", "ninv", "sqrtninv")
"""Predictors that are 0 for a study of unlimited size, so that the intercept is the effect there."""

EXACT_UP_TO = 200
"""Most rows for which the rank test uses the exact distribution, if no two rows tie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionTest(Result):
    """Regression of effects on a measure of precision.

    Attributes
    ----------
    model, predictor
        What was fitted; ``given`` when the caller gave the predictor.
    zval, pval, dfs
        Test that the slope is 0: statistic, two-sided p, degrees of freedom of its t distribution (infinite when
        normal).
    est, ci_lb, ci_ub
        Limit estimate, the effect of a study of unlimited size, with its interval; NaN where the predictor does
        not go to 0 there or other moderators are in the model.
    fit
        The regression; its last coefficient is the slope.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("egger1997", "sterne2011")

    model: RegressionModel
    predictor: str
    zval: float
    pval: float
    dfs: float
    est: float
    ci_lb: float
    ci_ub: float
    fit: Pooled

    def __str__(self) -> str:
        """Slope test and limit estimate in two lines."""
        law = "z" if np.isinf(self.dfs) else f"t({self.dfs:g})"
        lines = [
            (
                f"Regression test of funnel asymmetry ({self.model}, predictor {self.predictor}, k = {self.fit.k}): "
                f"{law} = {number(self.zval)}, p {p_value(self.pval)}"
            )
        ]
        if np.isfinite(self.est):
            lines.append(f"Limit estimate {number(self.est)} ({interval(self.ci_lb, self.ci_ub)})")
        return "\n".join(lines)


def regression_test(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    model: RegressionModel = "rma",
    predictor: Precision | Sequence[float] = "sei",
    ni: Any | None = None,  # noqa: ANN401
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> RegressionTest:
    """Test whether effects depend on precision (Egger's test and its variants).

    y_i = x_i'β + γ f_i + e_i with f the predictor. ``lm``: Var e_i = φ v_i, φ estimated, t test; Egger's own test
    is ``lm`` with ``sei``. ``rma``: Var e_i = v_i + τ².

    For standardised mean differences the standard error depends on the effect itself, which makes the test reject
    too often; a predictor made of sample sizes alone avoids that.

    Parameters
    ----------
    yi, vi, X, names, slab, level
        As in ``univariate.fit``.
    model
        ``rma`` or ``lm``.
    predictor
        ``sei``, ``vi``, ``ni``, ``ninv``, ``sqrtni``, ``sqrtninv``, or one number per row.
    ni
        Sample sizes, for predictors made of them.
    method, test
        Of the ``rma`` model.

    Raises
    ------
    FitError
        If the rows do not determine the regression.
    InputError
        If the predictor cannot be made.

    Sources: Egger et al. 1997, doi:10.1136/bmj.315.7109.629; Sterne & Egger 2005, doi:10.1002/0470870168.ch6;
    Peters et al. 2006, doi:10.1001/jama.295.6.676; Pustejovsky & Rodgers 2019, doi:10.1002/jrsm.1332.
    """
    require_choice("model", model, get_args(RegressionModel))
    require_level(level)
    given = problem(yi, vi, X=X, names=names, slab=slab)
    name, values = _predictor(predictor, given, ni)
    if model == "lm":  # equal effects with Knapp and Hartung's variance is least squares with dispersion
        method, test = "EE", "knha"
    fitted = fit(
        given.y,
        given.v,
        X=np.column_stack([given.X, values]),
        names=(*given.names, name),
        slab=given.slab,
        method=method,
        test=test,
        level=level,
    )
    alone = given.X.shape[1] == 1 and given.intercept == 0 and name in AT_INFINITE_PRECISION
    limit = (fitted.beta[0], fitted.ci_lb[0], fitted.ci_ub[0]) if alone else (np.nan,) * 3
    return RegressionTest(
        model=model,
        predictor=name,
        zval=float(fitted.zval[-1]),
        pval=float(fitted.pval[-1]),
        dfs=np.inf if fitted.test == "z" else float(fitted.dfs),
        est=float(limit[0]),
        ci_lb=float(limit[1]),
        ci_ub=float(limit[2]),
        fit=fitted,
    )


def _predictor(predictor: Precision | Sequence[float], given: Problem, ni: Any | None) -> tuple[str, Array]:  # noqa: ANN401
    if isinstance(predictor, str):
        return predictor, measure(predictor, given, ni)
    values = check.column("predictor", predictor, given.slab)
    if values.shape != given.y.shape or not np.isfinite(values).all():
        raise InputError(
            f"predictor must have one finite number per row; given {values.size} for {given.y.size} rows."
        )
    return "given", values


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTest(Result):
    """Rank correlation of effects and variances.

    Attributes
    ----------
    tau, pval
        Kendall's τ (τ-b when there are ties) and its two-sided p value.
    exact
        Whether p is from the exact distribution.
    k
        Rows.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("begg1994",)

    tau: float
    pval: float
    exact: bool
    k: int

    def __str__(self) -> str:
        """One line."""
        law = "exact" if self.exact else "normal"
        return f"Rank correlation test (k = {self.k}, {law}): tau = {number(self.tau)}, p {p_value(self.pval)}"


def rank_test(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    slab: Sequence[Any] | None = None,
    exact: bool | None = None,
) -> RankTest:
    """Test whether effects and sampling variances are correlated (Begg and Mazumdar).

    Kendall's τ between v_i and t_i = (y_i - ȳ)/√(v_i - 1/Σ(1/v)), ȳ the inverse-variance mean.

    Parameters
    ----------
    yi, vi, slab
        As in ``univariate.fit``.
    exact
        Exact distribution or normal approximation; absent: exact up to 200 rows without ties.

    Raises
    ------
    FitError
        With fewer than two rows.
    InputError
        If the exact distribution is asked for and rows tie.

    Source: Begg & Mazumdar 1994, doi:10.2307/2533446.
    """
    given = problem(yi, vi, slab=slab)
    k, weight = given.y.size, 1.0 / given.v
    if k < 2:
        raise FitError(f"A rank correlation needs at least 2 rows; given {k}.")
    mean = weight @ given.y / weight.sum()
    deviate = (given.y - mean) / np.sqrt(given.v - 1.0 / weight.sum())
    x, y = (np.sign(values[:, None] - values[None]) for values in (deviate, given.v))
    score = 0.5 * float((x * y).sum())
    pairs = 0.5 * k * (k - 1)
    tied = [np.unique(values, return_counts=True)[1].astype(float) for values in (deviate, given.v)]
    apart = [pairs - 0.5 * float((t * (t - 1.0)).sum()) for t in tied]
    ties = any((t > 1.0).any() for t in tied)
    if exact and ties:
        raise InputError("The exact distribution of Kendall's tau holds without ties; given rows that tie.")
    use = (k <= EXACT_UP_TO and not ties) if exact is None else exact
    if min(apart) == 0.0:
        return RankTest(tau=np.nan, pval=np.nan, exact=False, k=k)
    p = kendall_exact(score, k) if use else _kendall_normal(score, k, tied[0], tied[1])
    return RankTest(tau=score / float(np.sqrt(apart[0] * apart[1])), pval=p, exact=use, k=k)


def kendall_exact(score: float, k: int) -> float:
    """Two-sided p value of concordant minus discordant pairs, no ties.

    The number of concordant pairs of a random order is a sum of independent uniform variables on {0..j},
    j = 0 to k - 1; their distributions are convolved. Twice the smaller tail, at most 1.

    Source: Kendall 1938, doi:10.1093/biomet/30.1-2.81.
    """
    probability = np.ones(1)
    for j in range(1, k):
        probability = np.convolve(probability, np.full(j + 1, 1.0 / (j + 1)))
    concordant = round((score + 0.5 * k * (k - 1)) / 2.0)
    lower, upper = probability[: concordant + 1].sum(), probability[concordant:].sum()
    return float(min(1.0, 2.0 * min(lower, upper)))


def _kendall_normal(score: float, k: int, t: Array, u: Array) -> float:
    """Two-sided p value by the normal approximation, variance corrected for groups of t and u tied rows.

    Source: Kendall 1970, Rank Correlation Methods, chapter 4.
    """

    def cubic(n: Array | float) -> Array | float:
        return n * (n - 1.0) * (2.0 * n + 5.0)

    def count(n: Array, terms: int) -> float:
        return float(np.prod([n - i for i in range(terms)], axis=0).sum())

    variance = (cubic(float(k)) - np.sum(cubic(t)) - np.sum(cubic(u))) / 18.0
    variance += count(t, 2) * count(u, 2) / (2.0 * k * (k - 1.0))
    if k > 2:
        variance += count(t, 3) * count(u, 3) / (9.0 * k * (k - 1.0) * (k - 2.0))
    return float(2.0 * special.ndtr(-abs(score) / np.sqrt(variance)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PetPeese(Result):
    """Effect of a study of unlimited size, extrapolated by two regressions.

    Attributes
    ----------
    pet, peese
        Regressions on the standard error and on the sampling variance.
    chosen
        Which of them is reported.
    est, se, pval, ci_lb, ci_ub
        Its limit estimate.
    alpha
        One-sided level of the test that chose.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("stanley2014",)

    pet: RegressionTest
    peese: RegressionTest
    chosen: Literal["PET", "PEESE"]
    est: float
    se: float
    pval: float
    ci_lb: float
    ci_ub: float
    alpha: float

    def __str__(self) -> str:
        """Both estimates and the one chosen."""
        lines = [
            f"{name}: {number(test.est)} ({interval(test.ci_lb, test.ci_ub)})"
            for name, test in (("PET", self.pet), ("PEESE", self.peese))
        ]
        return "\n".join([*lines, f"PET-PEESE ({self.chosen}): {number(self.est)}, p {p_value(self.pval)}"])


def pet_peese(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    model: RegressionModel = "lm",
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    alpha: float = 0.05,
    level: float = 0.95,
) -> PetPeese:
    """Extrapolate to unlimited precision: PET, and PEESE where PET finds an effect.

    PET: y_i = β + γ √v_i + e_i.  PEESE: y_i = β + γ v_i + e_i.  PEESE is chosen when the intercept of PET differs
    from 0 at the one-sided level ``alpha`` (two-sided 2 alpha).

    Parameters
    ----------
    yi, vi, slab, level
        As in ``univariate.fit``.
    model, method, test
        As in ``regression_test``.
    alpha
        One-sided level of the choice.

    Raises
    ------
    FitError
        If the rows do not determine the regressions.

    Source: Stanley & Doucouliagos 2014, doi:10.1002/jrsm.1095.
    """
    if not 0.0 < alpha < 0.5:
        raise InputError(f"alpha must lie between 0 and 0.5; given {alpha:g}.")

    def one(predictor: Precision) -> RegressionTest:
        return regression_test(
            yi, vi, model=model, predictor=predictor, slab=slab, method=method, test=test, level=level
        )

    pet, peese = one("sei"), one("vi")
    effect = float(pet.fit.pval[0]) < 2.0 * alpha
    chosen = peese if effect else pet
    return PetPeese(
        pet=pet,
        peese=peese,
        chosen="PEESE" if effect else "PET",
        est=chosen.est,
        se=float(chosen.fit.se[0]),
        pval=float(chosen.fit.pval[0]),
        ci_lb=chosen.ci_lb,
        ci_ub=chosen.ci_ub,
        alpha=alpha,
    )

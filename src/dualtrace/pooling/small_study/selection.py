"""Selection models: the mean effect when results are more likely to be reported the smaller their p value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.small_study import precision
from dualtrace.pooling.small_study.profile import Maximum, profile_interval
from dualtrace.pooling.small_study.selection_contract import (
    Alternative,
    Intervals,
    Selection,
    SelectionKind,
    SelectionMethod,
)
from dualtrace.pooling.small_study.selection_fit import Bounds, bind, covariance, plain_fit, search
from dualtrace.pooling.small_study.selection_function import LEAST, limits, smooth_model, step_model
from dualtrace.pooling.univariate import Problem, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.small_study.ascent import Ascent
    from dualtrace.pooling.small_study.precision import Imprecision
    from dualtrace.pooling.small_study.selection_fit import Plain
    from dualtrace.pooling.small_study.selection_function import Model
    from dualtrace.pooling.small_study.weighted_likelihood import Rows


def selection_model(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    kind: SelectionKind = "stepfun",
    steps: Sequence[float] | None = None,
    alternative: Alternative = "greater",
    delta: Sequence[float | None] | None = None,
    prec: Imprecision | None = None,
    ni: Any | None = None,  # noqa: ANN401
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: SelectionMethod = "ML",
    intervals: Intervals = "wald",
    level: float = 0.95,
) -> Selection:
    """Fit a selection model by maximum likelihood.

    A result with p value p is reported with probability proportional to w(p); before selection
    y_i ~ N(x_i'β, v_i + τ²). p is one-sided under ``greater`` (small for large y) and ``less``.

    Parameters
    ----------
    yi, vi, X, names, slab
        As in ``univariate.fit``.
    kind
        ``stepfun``: w constant between steps, 1 below the first. ``beta``: p^(δ₁-1) (1-p)^(δ₂-1). ``halfnorm``:
        exp(-δp²). ``negexp``: exp(-δp). ``logistic``: 2/(1 + exp(δp)). ``power``: (1-p)^δ.
    steps
        Cutpoints of the p value; absent: 0.025 for a step function. The last four kinds take one, the p value up
        to which w = 1; beyond, w falls from there without a jump, w(p)/w(step).
    alternative
        Which results have small p values.
    delta
        Values at which parameters are held, None where one is estimated; for a step function one per interval, the
        first 1.
    prec, ni
        Imprecision that multiplies δ in the last four kinds (``sei``, ``vi``, ``ninv``, ``sqrtninv``, each divided
        by its largest), and sample sizes for the last two of these.
    method
        ``ML``: random effects. ``EE``: equal effects.
    intervals
        ``wald``, or ``profile``: profile-likelihood intervals, which need not be symmetric and are the better ones
        for τ² and δ.
    level
        Confidence level.

    Raises
    ------
    FitError
        If the rows do not determine the model: an interval without a p value, or a likelihood without a maximum.
    InputError
        If an option cannot be used.
    """
    require_choice("kind", kind, get_args(SelectionKind))
    require_choice("alternative", alternative, get_args(Alternative))
    require_choice("method", method, get_args(SelectionMethod))
    require_choice("intervals", intervals, get_args(Intervals))
    require_level(level)
    given = problem(yi, vi, X=X, names=names, slab=slab)
    sign = -1.0 if alternative == "less" else 1.0
    y, v = sign * given.y[None], given.v[None]
    two_sided = alternative == "two.sided"
    if kind == "stepfun":
        if prec is not None:
            raise InputError("prec applies to halfnorm, negexp, logistic and power; given with kind 'stepfun'.")
        model = step_model(y / np.sqrt(v), steps or (0.025,), delta=delta, two_sided=two_sided)
    else:
        scale = None if prec is None else precision.imprecision(prec, given, ni)
        model = smooth_model(kind, y / np.sqrt(v), steps, delta=delta, two_sided=two_sided, scale=scale)
    fitted = _fit(y, v, given.basis, model, random=method == "ML")
    return _label(fitted, given, model, sign, Asked(kind, alternative, method, intervals, level))


class Asked(NamedTuple):
    """What was asked for."""

    kind: SelectionKind
    alternative: Alternative
    method: SelectionMethod
    intervals: Intervals
    level: float


class Fitted(NamedTuple):
    """The search and what it is compared with."""

    rows: Rows
    found: Ascent
    equal: Ascent | None
    plain: Plain


def _fit(y: Array, v: Array, basis: Array, model: Model, *, random: bool) -> Fitted:
    """Search with τ² free and, for its test, with τ² = 0.

    Raises
    ------
    FitError
        If no start ends in a maximum within the bounds.
    """
    rows, plain = bind(y, v, basis, model.weighting), plain_fit(y, v, basis, random=random)
    lower, upper = limits(model)
    fits = [plain, plain_fit(y, v, basis, random=False)] if random else [plain]
    found, *equal = search(rows, fits, model.starts, Bounds(lower, upper))
    endless = model.free & (found.theta[0, basis.shape[1] + 1 :] >= upper)
    if not found.converged[0] or endless.any():
        raise FitError(
            "The likelihood of this selection model has no maximum for these rows: too few results are on one side "
            "of a step, or they leave open how strong selection was. Use fewer steps, or hold delta at chosen values."
        )
    return Fitted(rows, found, equal[0] if equal else None, plain)


def _label(fitted: Fitted, given: Problem, model: Model, sign: float, asked: Asked) -> Selection:
    """Parameters with names, errors and tests."""
    p, r = given.X.shape[1], model.free.size
    theta = fitted.found.theta[0]
    delta = model.delta.copy()
    delta[-r:] = np.where(model.free, np.exp(theta[p + 1 :]) if model.logged else theta[p + 1 :], delta[-r:])
    cov = _covariance(fitted.found, model, delta[-r:] if model.logged else np.ones(r), asked.method == "ML")
    T = sign * given.T
    beta, vb = T @ theta[:p], T @ cov[:p, :p] @ T.T
    se, se_all = np.sqrt(np.diag(vb)), np.sqrt(np.diag(cov))
    se_delta = np.concatenate([np.full(delta.size - r, np.nan), se_all[p + 1 :]])
    errors = np.concatenate([se, se_all[p : p + 1], se_delta])
    low, high = _wald(np.concatenate([beta, theta[p : p + 1], delta]), errors, p, asked.level)
    if asked.intervals == "profile":
        low, high = _profiles(fitted, given, model, (beta, errors), asked)
    return Selection(
        names=given.names,
        beta=beta,
        se=se,
        zval=beta / se,
        pval=2.0 * special.ndtr(-np.abs(beta / se)),
        ci_lb=low[:p],
        ci_ub=high[:p],
        vb=vb,
        tau2=float(theta[p]),
        se_tau2=float(se_all[p]),
        tau2_ci_lb=float(low[p]),
        tau2_ci_ub=float(high[p]),
        delta_names=model.names,
        delta=delta,
        se_delta=se_delta,
        ci_lb_delta=low[p + 1 :],
        ci_ub_delta=high[p + 1 :],
        counts=model.counts,
        steps=model.steps,
        k=len(given.y),
        p=p,
        slab=given.slab,
        notes=_notes(fitted.found, model, se),
        **_tests(fitted, model, (delta - float(model.logged)) / se_delta),
        **asked._asdict(),
    )


def _tests(fitted: Fitted, model: Model, zval: Array) -> dict[str, Any]:
    """Log-likelihoods, Wald tests of δ, likelihood-ratio tests of selection and of τ²."""
    equal, ll, df = fitted.equal, float(fitted.found.point.value[0]), int(model.free.sum())
    ll0 = float(fitted.plain.ll[0])
    lrt = max(0.0, 2.0 * (ll - ll0)) if df else np.nan
    tested = equal is not None and equal.converged[0]
    lrt_tau2 = max(0.0, 2.0 * (ll - float(equal.point.value[0]))) if equal is not None and tested else np.nan
    return {
        "zval_delta": zval,
        "pval_delta": 2.0 * special.ndtr(-np.abs(zval)),
        "ll": ll,
        "ll0": ll0,
        "LRT": lrt,
        "LRTdf": df,
        "LRTp": float(special.chdtrc(df, lrt)) if df else np.nan,
        "LRT_tau2": lrt_tau2,
        "LRTp_tau2": float(special.chdtrc(1, lrt_tau2)),
    }


def _wald(values: Array, se: Array, p: int, level: float) -> tuple[Array, Array]:
    """Intervals of (β, τ², δ) from standard errors; those of τ² and δ are cut at 0."""
    half = float(special.ndtri(0.5 * (1.0 + level))) * se
    low = values - half
    low[p:] = np.maximum(low[p:], 0.0)
    return low, values + half


def _profiles(
    fitted: Fitted, given: Problem, model: Model, estimates: tuple[Array, Array], asked: Asked
) -> tuple[Array, Array]:
    """Profile-likelihood intervals of (β, τ², δ), on the design itself so that a coefficient is one variable."""
    (beta, errors), p, r = estimates, given.X.shape[1], model.free.size
    sign = -1.0 if asked.alternative == "less" else 1.0
    found, infinite = fitted.found, np.full(p, np.inf)
    lower, upper = limits(model)
    most = np.inf if asked.method == "ML" else 0.0
    top = Maximum(
        rows=fitted.rows._replace(basis=given.X),
        theta=np.concatenate([sign * beta, found.theta[0, p:]]),
        value=float(found.point.value[0]),
        lower=np.concatenate([-infinite, [0.0], lower]),
        upper=np.concatenate([infinite, [most], upper]),
    )
    low, high = np.full(errors.size, np.nan), np.full(errors.size, np.nan)
    shift = errors.size - p - 1 - r  # a step function names one δ more than it has parameters
    for j in np.flatnonzero(top.lower < top.upper):
        at = j if j <= p else j + shift
        reach = 2.0 * errors[at] if np.isfinite(errors[at]) else float(np.median(given.v))
        if j > p and model.logged:
            reach = min(2.0, reach / float(np.exp(top.theta[j])))
        low[at], high[at] = profile_interval(top, int(j), reach, asked.level)
    if sign < 0.0:
        low[:p], high[:p] = -high[:p], -low[:p]
    if model.logged:
        low[p + 1 :], high[p + 1 :] = (
            np.exp(np.where(part <= np.log(LEAST), -np.inf, part)) for part in (low[p + 1 :], high[p + 1 :])
        )
    return low, high


def _covariance(found: Ascent, model: Model, jacobian: Array, random: bool) -> Array:
    """Inverse of the observed information in (β, τ², δ); NaN for what was held or stands at a bound."""
    information = -found.point.hessian[0]
    r = jacobian.size
    start = information.shape[0] - r
    gradient = found.point.gradient[0, start:]
    information[start:, start:] += np.diag(gradient)  # second derivative of δ = exp(η); 0 at an inner maximum
    kept = np.ones(information.shape[0], dtype=bool)
    kept[start - 1] = random and found.theta[0, start - 1] > 0.0
    kept[start:] = model.free & found.free[0, start:]
    cov = covariance(information, kept)
    scale = np.concatenate([np.ones(start), jacobian])
    return cast("Array", cov * scale[:, None] * scale)


def _notes(found: Ascent, model: Model, se: Array) -> tuple[str, ...]:
    notes = []
    if np.isnan(se).any():
        notes.append("The likelihood is flat in some direction at the estimate, so there are no standard errors.")
    r = model.free.size
    if (model.free & ~found.free[0, -r:]).any():
        notes.append("A selection parameter stands at 0, the end of its range: it has no standard error.")
    return tuple(notes)

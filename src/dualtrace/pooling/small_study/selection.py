"""Selection models: the mean effect when results are more likely to be reported the smaller their p value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.small_study import precision
from dualtrace.pooling.small_study.selection_contract import Alternative, Selection, SelectionKind, SelectionMethod
from dualtrace.pooling.small_study.selection_fit import Bounds, bind, covariance, plain_fit, search
from dualtrace.pooling.small_study.smooth import SmoothKind, p_value, smooth
from dualtrace.pooling.small_study.weighting import Steps
from dualtrace.pooling.univariate import Problem, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array, Flags
    from dualtrace.pooling.small_study.ascent import Ascent
    from dualtrace.pooling.small_study.precision import Imprecision
    from dualtrace.pooling.small_study.selection_fit import Plain
    from dualtrace.pooling.small_study.weighting import Weighting

LEAST, MOST = 1e-5, 1e5
"""Range of the parameters of a selection function; one that ends there has no estimate."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A selection function bound to rows.

    Attributes
    ----------
    weighting
        The function.
    starts
        Values of η to search from, (S, r).
    free
        Which of the r parameters are estimated.
    delta
        All δ, those not estimated at their value, (c,); a step function has one more than r.
    names
        Names of all δ.
    counts, steps
        As in ``Selection``.
    """

    weighting: Weighting
    starts: Array
    free: Flags
    delta: Array
    names: tuple[str, ...]
    counts: tuple[int, ...]
    steps: tuple[float, ...]


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
        to which w = 1.
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
        model = _smooth_model(kind, y / np.sqrt(v), steps, delta=delta, two_sided=two_sided, scale=scale)
    fitted = _fit(y, v, given.basis, model, kind, random=method == "ML")
    return _label(fitted, given, model, sign, (kind, alternative, method, level))


class Fitted(NamedTuple):
    """The search and what it is compared with."""

    found: Ascent
    equal: Ascent | None
    plain: Plain


def step_model(
    z: Array, steps: Sequence[float], *, delta: Sequence[float | None] | None, two_sided: bool
) -> Model:
    """Bind a step function to z statistics (n, k).

    Raises
    ------
    FitError
        If an interval holds no p value and its weight is to be estimated.
    InputError
        If steps or delta cannot be used.
    """
    cuts = _cutpoints(steps)
    c = len(cuts)
    p = p_value(z, two_sided=two_sided)
    category = np.searchsorted(cuts, p, side="left")
    values, free = _held(delta, c, fixed_first=True)
    counts = tuple(int(count) for count in np.bincount(category[0], minlength=c))
    lows = (0.0, *cuts[:-1])
    labels = tuple(f"{low:g} < p <= {high:g}" for low, high in zip(lows, cuts, strict=True))
    for j in np.flatnonzero(free | (np.arange(c) == 0) & free.any()):
        if counts[j] == 0:
            given = ", ".join(f"{label}: {count}" for label, count in zip(labels, counts, strict=True))
            raise FitError(f"Every interval of the p value needs at least one row; given {given}. Choose other steps.")
    inner = -special.ndtri(np.array(cuts[:-1]) / (2.0 if two_sided else 1.0))  # descending
    order = np.arange(c)
    edges, segments = inner[::-1], order[::-1]
    if two_sided:
        edges, segments = np.concatenate([-inner, inner[::-1]]), np.concatenate([order, order[-2::-1]])
    weighting = Steps(edges, np.eye(c)[segments], category)
    fallen = np.log(np.where(free, 0.3, values))[1:]
    starts = np.unique(np.stack([np.log(values)[1:], fallen]), axis=0)
    return Model(weighting, starts, free[1:], values, labels, counts, cuts)


def _smooth_model(
    kind: SmoothKind,
    z: Array,
    steps: Sequence[float] | None,
    *,
    delta: Sequence[float | None] | None,
    two_sided: bool,
    scale: Array | None,
) -> Model:
    """Bind one of the smooth functions."""
    if kind == "beta" and (steps or scale is not None):
        raise InputError("A beta selection model takes no steps and no prec; leave them out.")
    cuts = _cutpoints(steps)[:-1] if steps else ()
    if len(cuts) > 1:
        raise InputError(f"kind {kind!r} takes one step, the p value up to which w = 1; given {len(cuts)}.")
    threshold = cuts[0] if cuts else 0.0
    values, free = _held(delta, 2 if kind == "beta" else 1, fixed_first=False, null=float(kind == "beta"))
    weighting = smooth(kind, z, two_sided=two_sided, threshold=threshold, scale=scale)
    below = p_value(z[0], two_sided=two_sided) <= threshold
    if cuts and (below.all() or not below.any()):
        raise FitError(f"There must be p values on both sides of the step {threshold:g}; given all on one side.")
    if kind == "beta":
        others = np.log(np.where(free, [0.5, 3.0], values))
        starts = np.stack([np.log(values), others])
        names = ("delta.1", "delta.2")
    else:
        starts = np.array([[0.3], [4.0]]) if free[0] else values[None]
        names = ("delta",)
    return Model(weighting, starts, free, values, names, (), tuple(cuts))


def _cutpoints(steps: Sequence[float]) -> tuple[float, ...]:
    """Ascending cutpoints that end in 1."""
    cuts = sorted({float(step) for step in steps} | {1.0})
    if not all(0.0 < cut <= 1.0 for cut in cuts) or len(cuts) < 2:
        given = ", ".join(f"{step:g}" for step in steps)
        raise InputError(f"steps must be p values between 0 and 1, for example 0.025; given {given}.")
    return tuple(cuts)


def _held(
    delta: Sequence[float | None] | None, c: int, *, fixed_first: bool, null: float = 1.0
) -> tuple[Array, Flags]:
    """Values of all δ (no selection where estimated) and which are estimated."""
    free = np.ones(c, dtype=bool)
    values = np.full(c, null)
    if fixed_first:
        free[0] = False
    if delta is None:
        return values, free
    if len(delta) != c:
        raise InputError(f"delta must have one value per parameter, {c}; given {len(delta)}.")
    for j, value in enumerate(delta):
        if value is None or not np.isfinite(value):
            continue
        if not (value > 0.0 or (value == 0.0 and null == 0.0)):
            raise InputError(f"delta must be positive; given {value:g} for parameter {j + 1}.")
        if j == 0 and fixed_first and value != 1.0:
            raise InputError(f"The first delta of a step function is 1, the others are relative to it; given {value:g}.")
        values[j], free[j] = value, False
    return values, free


def _fit(y: Array, v: Array, basis: Array, model: Model, kind: SelectionKind, *, random: bool) -> Fitted:
    """Search with τ² free and, for its test, with τ² = 0.

    Raises
    ------
    FitError
        If no start ends in a maximum within the bounds.
    """
    rows, plain = bind(y, v, basis, model.weighting), plain_fit(y, v, basis, random=random)
    lower, upper = _limits(model, kind)
    fits = [plain, plain_fit(y, v, basis, random=False)] if random else [plain]
    found, *equal = search(rows, fits, model.starts, Bounds(lower, upper))
    eta = found.theta[0, basis.shape[1] + 1 :]
    at_end = model.free & ((eta >= upper) | ((eta <= lower) & (lower != 0.0)))
    if not found.converged[0] or at_end.any():
        raise FitError(
            "The likelihood of this selection model has no maximum for these rows: too few results are on one side of "
            "a step, or they leave open how strong selection was. Use fewer steps, or hold delta at chosen values."
        )
    return Fitted(found, equal[0] if equal else None, plain)


def _limits(model: Model, kind: SelectionKind) -> tuple[Array, Array]:
    """Bounds of η, equal for parameters that are held."""
    r = model.free.size
    logged = kind in ("stepfun", "beta")
    low, high = (np.log(LEAST), np.log(MOST)) if logged else (0.0, MOST)
    held = model.delta[-r:]
    value = np.log(held) if logged else held
    return np.where(model.free, low, value), np.where(model.free, high, value)


def _label(
    fitted: Fitted,
    given: Problem,
    model: Model,
    sign: float,
    asked: tuple[SelectionKind, Alternative, SelectionMethod, float],
) -> Selection:
    """Parameters with names, errors and tests."""
    kind, alternative, method, level = asked
    p, r = given.X.shape[1], model.free.size
    theta = fitted.found.theta[0]
    delta = model.delta.copy()
    logged = kind in ("stepfun", "beta")
    delta[-r:] = np.where(model.free, np.exp(theta[p + 1 :]) if logged else theta[p + 1 :], delta[-r:])
    cov = _covariance(fitted.found, model, delta[-r:] if logged else np.ones(r), method == "ML")
    T = sign * given.T
    beta, vb = T @ theta[:p], T @ cov[:p, :p] @ T.T
    critical = float(special.ndtri(0.5 * (1.0 + level)))
    se, se_all = np.sqrt(np.diag(vb)), np.sqrt(np.diag(cov))
    se_delta = np.concatenate([np.full(delta.size - r, np.nan), se_all[p + 1 :]])
    null = 1.0 if logged else 0.0
    ll, df = float(fitted.found.point.value[0]), int(model.free.sum())
    lrt, lrt_tau2 = _ratios(fitted, ll)
    return Selection(
        names=given.names,
        beta=beta,
        se=se,
        zval=beta / se,
        pval=2.0 * special.ndtr(-np.abs(beta / se)),
        ci_lb=beta - critical * se,
        ci_ub=beta + critical * se,
        vb=vb,
        tau2=float(theta[p]),
        se_tau2=float(se_all[p]),
        delta_names=model.names,
        delta=delta,
        se_delta=se_delta,
        zval_delta=(delta - null) / se_delta,
        pval_delta=2.0 * special.ndtr(-np.abs((delta - null) / se_delta)),
        ci_lb_delta=np.where(np.isnan(se_delta), np.nan, np.maximum(delta - critical * se_delta, 0.0)),
        ci_ub_delta=delta + critical * se_delta,
        counts=model.counts,
        steps=model.steps,
        ll=ll,
        ll0=float(fitted.plain.ll[0]),
        LRT=lrt if df else np.nan,
        LRTdf=df,
        LRTp=float(special.chdtrc(df, lrt)) if df else np.nan,
        LRT_tau2=lrt_tau2,
        LRTp_tau2=float(special.chdtrc(1, lrt_tau2)),
        k=len(given.y),
        p=p,
        kind=kind,
        alternative=alternative,
        method=method,
        level=level,
        slab=given.slab,
        notes=_notes(fitted.found, model),
    )


def _ratios(fitted: Fitted, ll: float) -> tuple[float, float]:
    """Likelihood-ratio statistics of selection and of τ²."""
    equal = fitted.equal
    tau2 = np.nan if equal is None or not equal.converged[0] else max(0.0, 2.0 * (ll - float(equal.point.value[0])))
    return max(0.0, 2.0 * (ll - float(fitted.plain.ll[0]))), tau2


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


def _notes(found: Ascent, model: Model) -> tuple[str, ...]:
    notes = []
    if np.isnan(found.point.hessian).any():
        notes.append("The curvature of the likelihood is undefined at the estimate, so there are no standard errors.")
    r = model.free.size
    if (model.free & ~found.free[0, -r:]).any():
        notes.append("A selection parameter stands at 0, no selection: it has no standard error.")
    return tuple(notes)

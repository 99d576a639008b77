"""The partial-information model: effects, intervals and directions in one marginal likelihood.

A trial that reports "no significant difference" is not missing: its effect lies between two bounds. A trial
that reports a direction only lies on a half-line. Dropping such trials biases a pooled effect away from zero,
because what is left out depends on the result; here they enter as the probability of what was reported.

The model is maximum likelihood: a restricted likelihood is the likelihood of residual contrasts of the effects,
and contrasts of rows known only as intervals have none in closed form. ML estimates of τ² are somewhat too
small with few rows; its profile interval is the honest statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from dualtrace.errors import FitError, row_name
from dualtrace.pooling import check
from dualtrace.pooling.coarse import Coarse, Peak, coarse, peak
from dualtrace.pooling.contract import require_level
from dualtrace.pooling.partial_contract import Comparison, Influence, Kind, PartialPooled
from dualtrace.pooling.profile import (
    coefficient_intervals,
    coefficient_tests,
    information_share,
    standard_errors,
    tau2_interval,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.likelihood import Array, Flags
    from dualtrace.pooling.profile import Interval

ZERO = 1e-9
"""A direction of the coefficients smaller than this is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Checked rows.

    Attributes
    ----------
    y, lo, hi, v
        Effects (NaN for interval rows), ends (NaN for exact rows), sampling variances, (k,) each.
    X, names
        Design, (k, p), and its column names.
    slab
        Row labels.
    """

    y: Array
    lo: Array
    hi: Array
    v: Array
    X: Array
    names: tuple[str, ...]
    slab: tuple[str, ...]

    @property
    def exact(self) -> Flags:
        """Rows with a known effect."""
        return np.isfinite(self.y)

    @property
    def anchored(self) -> Flags:
        """Rows whose likelihood falls to 0 as their mean runs off to either side."""
        return self.exact | (np.isfinite(self.lo) & np.isfinite(self.hi))

    @property
    def kind(self) -> tuple[Kind, ...]:
        """What is known of each row."""
        return tuple(
            "exact" if exact else "interval" if anchored else "one-sided"
            for exact, anchored in zip(self.exact, self.anchored, strict=True)
        )

    def keep(self, rows: Flags) -> Rows:
        """Some of the rows."""
        slab = tuple(label for label, kept in zip(self.slab, rows, strict=True) if kept)
        return Rows(self.y[rows], self.lo[rows], self.hi[rows], self.v[rows], self.X[rows], self.names, slab)


def fit(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PartialPooled:
    """Pool exact effects, intervals and directions.

    Row i is y_i ~ N(x_i'β, v_i + τ²); its contribution is the density at y_i, or the probability of
    lo_i < y_i < hi_i.

    Parameters
    ----------
    yi
        Effects; NaN or None for a row known as an interval.
    vi
        Sampling variances of all rows.
    lo, hi
        Ends for rows without an effect, ``-inf`` or ``inf`` for a direction; NaN or None for exact rows.
    X, names, slab, level
        As in ``univariate.fit``.

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> answer = fit([0.4, None, None], [0.04, 0.05, 0.06], lo=[None, -0.44, 0.0], hi=[None, 0.44, float("inf")])
    >>> print(round(float(answer.beta[0]), 3))
    0.335
    """
    require_level(level)
    return _fit(checked_rows(yi, vi, lo=lo, hi=hi, X=X, names=names, slab=slab), level)


def maximum(yi: Any, vi: Any, *, lo: Any | None = None, hi: Any | None = None, X: Any | None = None) -> float:  # noqa: ANN401
    """Return the maximised log-likelihood alone, for likelihood-ratio tests; arguments as in :func:`fit`."""
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=X, names=None, slab=None)
    require_maximum(rows)
    scale = np.abs(rows.X).max(axis=0)
    return float(peak(coarse(rows.y, rows.lo, rows.hi, rows.v, rows.X / scale)).ll[0])


def compare(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
) -> Comparison:
    """Fit the exact rows alone and all rows, by the same model.

    Parameters and errors as in ``fit``; exact rows that determine no answer are a result, not an error.
    """
    require_level(level)
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=X, names=names, slab=slab)
    everything = _fit(rows, level)
    if not rows.exact.any():
        return Comparison(exact=None, everything=everything, reason="there is no exact effect.")
    known = rows.keep(rows.exact)
    try:
        check.require_more_rows(*known.X.shape)
        check.basis(known.X, known.names)
        return Comparison(exact=_fit(known, level), everything=everything)
    except FitError as error:
        return Comparison(exact=None, everything=everything, reason=str(error))


def checked_rows(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    lo: Any | None,  # noqa: ANN401
    hi: Any | None,  # noqa: ANN401
    X: Any | None,  # noqa: ANN401
    names: Sequence[str] | None,
    slab: Sequence[Any] | None,
) -> Rows:
    """Check the input and bring it into one form."""
    y, v = check.column("yi", yi, slab), check.column("vi", vi, slab)
    absent = np.full(len(y), np.nan)
    low = absent if lo is None else check.column("lo", lo, slab)
    high = absent.copy() if hi is None else check.column("hi", hi, slab)
    k = check.require_same_length({"yi": y, "vi": v, "lo": low, "hi": high})
    labels = check.labels(slab, k)
    check.require_variances(v, labels)
    for i, label in enumerate(labels):
        _require_row(float(y[i]), float(low[i]), float(high[i]), label)
    matrix, columns = check.design(X, names, k)
    check.require_more_rows(k, matrix.shape[1])
    check.basis(matrix, columns)
    return Rows(y, low, high, v, matrix, columns, labels)


def _require_row(y: float, lo: float, hi: float, label: str) -> None:
    """Either an effect or two ends in order, at least one of them finite."""
    if not np.isnan(y):
        check.require_effects(np.array([y]), (label,))
        if not (np.isnan(lo) and np.isnan(hi)):
            raise FitError(
                f"A row has an effect or an interval, not both; {row_name(label)} has "
                f"yi = {y:g}, lo = {lo:g}, hi = {hi:g}."
            )
        return
    if np.isnan(lo) or np.isnan(hi):
        raise FitError(
            f"A row needs yi, or both lo and hi (-inf or inf for an open end); "
            f"{row_name(label)} has lo = {lo:g}, hi = {hi:g}."
        )
    if lo >= hi:
        raise FitError(
            f"lo must be below hi; {row_name(label)} has lo = {lo:g}, hi = {hi:g}. An exact effect goes into yi."
        )
    if np.isinf(lo) and np.isinf(hi):
        raise FitError(f"Row {label} reaches from -inf to inf, which says nothing; leave it out.")
    ends = np.array([end for end in (lo, hi) if np.isfinite(end)])
    check.require_effects(ends, (label,) * len(ends), name="lo and hi")


def _fit(rows: Rows, level: float) -> PartialPooled:
    """Fit checked rows."""
    require_maximum(rows)
    k, p = rows.X.shape
    scale = np.abs(rows.X).max(axis=0)  # moderators of any unit cost no digits
    sets = coarse(rows.y, rows.lo, rows.hi, rows.v, rows.X / scale)._replace(random=k > 1)
    best = peak(sets)
    se, se_tau2 = standard_errors(sets, best)
    ends = coefficient_intervals(sets, best, se, level)
    tau2 = float(best.tau2[0])
    variance = tau2_interval(sets, best, level)
    lr, pval = coefficient_tests(sets, best)
    mean_only = p == 1 and k > 1 and bool((rows.X == 1.0).all())
    low, high = _prediction_interval(best, ends, level) if mean_only else (np.nan, np.nan)
    return PartialPooled(
        names=rows.names,
        beta=best.beta[0] / scale,
        se=se[0] / scale,
        ci_lb=ends.low[0] / scale,
        ci_ub=ends.high[0] / scale,
        lr=lr[0],
        pval=pval[0],
        tau2=tau2 if k > 1 else np.nan,
        se_tau2=float(se_tau2[0]),
        tau2_ci_lb=float(variance.low[0]),
        tau2_ci_ub=float(variance.high[0]),
        pi_lb=low,
        pi_ub=high,
        ll=float(best.ll[0]),
        k=k,
        p=p,
        level=level,
        slab=rows.slab,
        kind=rows.kind,
        influence=_influence(rows, sets, best, se[0], scale),
        notes=_notes(rows, se[0], ends),
    )


def _prediction_interval(best: Peak, ends: Interval, level: float) -> tuple[float, float]:
    """Interval for the true effect of a new row.

    Each side reaches √(d² + z²τ²) from the mean, d being how far the profile interval of the mean reaches on
    that side: as for a normal interval, but as lopsided as the likelihood, and never inside the interval of the mean.
    """
    mean, z = float(best.beta[0, 0]), float(special.ndtri(0.5 * (1.0 + level)))
    spread = z**2 * float(best.tau2[0])
    below, above = mean - float(ends.low[0, 0]), float(ends.high[0, 0]) - mean
    return mean - float(np.sqrt(below**2 + spread)), mean + float(np.sqrt(above**2 + spread))


def _notes(rows: Rows, se: Array, ends: Interval) -> tuple[str, ...]:
    notes = []
    if len(rows.y) == 1:
        notes.append("Only one row: heterogeneity cannot be estimated and is taken as 0.")
    if not rows.exact.any():
        notes.append("No exact effect was given: the answer rests on intervals and directions alone.")
    flat = [name for name, error in zip(rows.names, se, strict=True) if np.isnan(error)]
    if flat:
        notes.append(
            f"The likelihood is flat around {', '.join(flat)}: the rows allow a whole range alike. "
            "Read its interval; the estimate is one point of the range and has no standard error."
        )
    reach = zip(rows.names, ends.low[0], ends.high[0], strict=True)
    open_ends = [name for name, low, high in reach if np.isinf(low) or np.isinf(high)]
    if open_ends:
        notes.append(f"The interval of {', '.join(open_ends)} has no end that the data set: it is infinite.")
    return tuple(notes)


def _influence(rows: Rows, sets: Coarse, best: Peak, se: Array, scale: Array) -> Influence:
    """Refit without each row that can be spared, all in one batch."""
    k, p = rows.X.shape
    spared = np.flatnonzero([_can_spare(rows, i) for i in range(k)])
    change, tau2 = np.full((k, p), np.nan), np.full(k, np.nan)
    if spared.size:
        batch = sets.pick(np.zeros(spared.size, dtype=np.intp))._replace(use=1.0 - np.eye(k)[spared])
        without = peak(batch)
        change[spared], tau2[spared] = without.beta - best.beta[0], without.tau2
    return Influence(
        change=change / scale,
        change_se=change / se,
        tau2=tau2,
        share=100.0 * information_share(sets, best)[0],
    )


def _can_spare(rows: Rows, i: int) -> bool:
    """Whether the rows other than i still determine an answer."""
    if len(rows.y) == 1:
        return False
    others = rows.keep(np.arange(len(rows.y)) != i)
    if np.linalg.matrix_rank(others.X) < others.X.shape[1]:
        return False
    return bool(others.anchored.any()) and not _runaway(others).any()


def require_maximum(rows: Rows) -> None:
    """Refuse rows whose likelihood rises without end.

    Raises
    ------
    FitError
        Saying which coefficients no row holds, and what would.
    """
    if not rows.anchored.any():
        raise FitError(
            f"All {len(rows.y)} rows are directions, which say on which side an effect lies but not how far away: "
            "the likelihood has no finite maximum. At least one exact effect or one interval with two finite "
            "ends is needed; directions alone can be counted (sign test)."
        )
    loose = _runaway(rows)
    if loose.any():
        names = ", ".join(name for name, free in zip(rows.names, loose, strict=True) if free)
        raise FitError(
            f"Nothing keeps {names} finite: the rows that bear on it are directions that do not contradict each "
            "other. Add an exact effect or an interval with two ends there, or use fewer moderators."
        )


def _runaway(rows: Rows) -> Flags:
    """Coefficients along which the likelihood never falls.

    A direction d of the coefficients is harmless to every row when x'd = 0 for exact and two-ended rows, and
    x'd points into the half-line of every other. Such a d exists exactly when the likelihood has no finite
    maximum in β; it is found by a linear program that pushes the half-line rows as far as they go.
    """
    p = rows.X.shape[1]
    held = rows.X[rows.anchored]
    if np.linalg.matrix_rank(held) == p:
        return np.zeros(p, dtype=bool)
    from scipy.optimize import linprog  # slow to import, seldom needed

    scale = np.abs(rows.X).max(axis=0)
    open_rows = ~rows.anchored
    outward = np.where(np.isinf(rows.hi[open_rows]), 1.0, -1.0)[:, None] * rows.X[open_rows] / scale
    found = linprog(
        -outward.sum(axis=0),
        A_ub=-outward,
        b_ub=np.zeros(len(outward)),
        A_eq=held / scale,
        b_eq=np.zeros(len(held)),
        bounds=(-1.0, 1.0),
    )
    direction = np.zeros(p) if found.x is None else np.asarray(found.x)
    return np.abs(direction) > ZERO if (outward @ direction).sum() > ZERO else np.zeros(p, dtype=bool)

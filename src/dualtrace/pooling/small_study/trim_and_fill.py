"""Trim and fill: how many studies would have to be added for the funnel to be symmetric, and what then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from dualtrace.errors import FitError
from dualtrace.pooling.contract import freeze, require_choice
from dualtrace.pooling.likelihood import data, wls
from dualtrace.pooling.result import Result
from dualtrace.pooling.small_study.asymmetry import regression_test
from dualtrace.pooling.tau2 import estimate
from dualtrace.pooling.text import number, p_value
from dualtrace.pooling.univariate import fit, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Pooled, Tau2Method, TestName
    from dualtrace.pooling.likelihood import Array, Flags

Estimator = Literal["L0", "R0", "Q0"]
"""Estimator of the number of missing studies."""

Side = Literal["left", "right"]
"""Side of the funnel on which studies are missing."""

MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrimAndFill(Result):
    """The rows with imputed ones, pooled.

    Attributes
    ----------
    k0, se_k0
        Estimated number of missing rows and its standard error.
    p_k0
        P value of the hypothesis that none is missing on that side (R0 only; NaN otherwise).
    side, estimator
        Where rows were imputed, and how they were counted.
    yi, vi, fill
        All rows, imputed ones last, and which are imputed.
    fit
        The model of all rows.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("duval2000",)

    k0: int
    se_k0: float
    p_k0: float
    side: Side
    estimator: Estimator
    yi: Array
    vi: Array
    fill: Flags
    fit: Pooled

    def __post_init__(self) -> None:
        if self.k0 < 0 or int(self.fill.sum()) != self.k0:
            raise ValueError("as many rows must be imputed as are missing")
        freeze(self)

    def __str__(self) -> str:
        """How many rows were imputed, then the fit."""
        test = f", none missing: p {p_value(self.p_k0)}" if np.isfinite(self.p_k0) else ""
        head = (
            f"Trim and fill ({self.estimator}): {self.k0} missing on the {self.side} (SE {number(self.se_k0)}){test}"
        )
        return f"{head}\n{self.fit}"


def trim_and_fill(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    side: Side | None = None,
    estimator: Estimator = "L0",
    limits: tuple[float, float] | None = None,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> TrimAndFill:
    """Impute the mirror images of the most extreme rows.

    The k₀ most extreme rows on the full side are left out, the mean of the others is found, all rows are centred
    on it and k₀ is estimated again, until it no longer changes. A way of seeing how sensitive the mean is to one
    form of suppression, not a better estimate of it.

    Parameters
    ----------
    yi, vi, slab, method, test, level
        As in ``univariate.fit``.
    side
        Side on which rows are missing; absent: opposite to the slope of the regression test on the standard error.
    estimator
        ``L0``, ``R0`` or ``Q0``.
    limits
        Imputed effects are kept between these, for measures that are bounded.

    Raises
    ------
    FitError
        If fewer than three rows are given, or no number of rows is stable.
    InputError
        If an option cannot be used.

    Sources: Duval & Tweedie 2000, doi:10.1111/j.0006-341x.2000.00455.x, doi:10.1080/01621459.2000.10473905.
    """
    require_choice("estimator", estimator, get_args(Estimator))
    given = problem(yi, vi, slab=slab)
    y, v, k = given.y, given.v, given.y.size
    if k < 3:
        raise FitError(f"Trim and fill needs at least 3 rows; given {k}.")
    if side is None:
        slope = regression_test(y, v, method=method, slab=given.slab).fit.beta[-1]
        side = "right" if slope < 0.0 else "left"
    require_choice("side", side, get_args(Side))
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * y, kind="stable")
    k0, mean, raw = settle(sign * y[order], v[order], estimator, method)
    extreme = order[k - k0 :]
    imputed = 2.0 * sign * mean - y[extreme]
    if limits is not None:
        imputed = np.clip(imputed, *limits)
    rows = (np.concatenate([y, imputed]), np.concatenate([v, v[extreme]]))
    labels = [*given.slab, *(f"filled {i + 1}" for i in range(k0))]
    return TrimAndFill(
        k0=k0,
        se_k0=standard_error(estimator, k, max(0.0, raw)),
        p_k0=0.5 ** (k0 + 1) if estimator == "R0" else np.nan,
        side=side,
        estimator=estimator,
        yi=rows[0],
        vi=rows[1],
        fill=np.arange(k + k0) >= k,
        fit=fit(*rows, slab=labels, method=method, test=test, level=level),
    )


def settle(y: Array, v: Array, estimator: Estimator, method: Tau2Method) -> tuple[int, float, float]:
    """Missing rows on the left, the trimmed mean and the number before rounding, for effects in ascending order.

    Raises
    ------
    FitError
        If the number keeps changing.
    """
    k, k0 = y.size, 0
    for _ in range(MOST_ROUNDS):
        kept = slice(0, k - k0)
        mean = _mean(y[kept], v[kept], method)
        raw = missing(y - mean, estimator)
        new = min(max(0, round(raw)), k - 1)
        if new == k0:
            return k0, mean, raw
        k0 = new
    raise FitError(
        f"Trim and fill does not settle on a number of missing rows with estimator {estimator}; use another one."
    )


def _mean(y: Array, v: Array, method: Tau2Method) -> float:
    """Pooled mean, without all that a full fit adds."""
    if y.size == 1:
        return float(y[0])
    middle = float(y.mean())
    sets = data(y - middle, v, np.full((y.size, 1), 1.0 / np.sqrt(y.size)))
    coef = wls(sets, estimate(sets, method)).coef
    return middle + float(coef[0, 0]) / float(np.sqrt(y.size))


def missing(centred: Array, estimator: Estimator) -> float:
    """Estimated number of rows missing on the left, from effects centred on the mean.

    With r the ranks of the absolute values, T the sum of the ranks of positive effects and γ the number of
    positive effects whose ranks exceed those of all negative ones:

    R0 = γ - 1,   L0 = (4T - k(k+1)) / (2k - 1),   Q0 = k - ½ - √(2k² - 4T + ¼).

    Raises
    ------
    FitError
        If Q0 is the root of a negative number.
    """
    k = centred.size
    rank = np.empty(k)
    rank[np.argsort(np.abs(centred), kind="stable")] = np.arange(1, k + 1)
    positive = centred > 0.0
    total = float(rank[positive].sum())
    if estimator == "R0":
        return k - float(rank[~positive].max(initial=0.0)) - 1.0
    if estimator == "L0":
        return (4.0 * total - k * (k + 1)) / (2.0 * k - 1.0)
    square = 2.0 * k * k - 4.0 * total + 0.25
    if square < 0.0:
        raise FitError("The estimator Q0 does not exist for these rows, which are too lopsided; use L0 or R0.")
    return k - 0.5 - float(np.sqrt(square))


def standard_error(estimator: Estimator, k: int, k0: float) -> float:
    """Standard error of the number of missing rows, from the estimate before rounding, 0 or more.

    Var R0 = 2 k₀ + 2;  Var L0 = 16 Var(T)/(2k-1)²,  24 Var T = k(k+1)(2k+1) + 10k₀³ + 27k₀² + 17k₀ - 18 k k₀² -
    18 k k₀ + 6 k² k₀;  Var Q0 = 4 Var(T) / ((k - ½)² - k₀(2k - k₀ - 1)).
    """
    if estimator == "R0":
        return float(np.sqrt(2.0 * k0 + 2.0))
    cubic = 10.0 * k0**3 + 27.0 * k0**2 + 17.0 * k0
    mixed = 6.0 * k * k * k0 - 18.0 * k * k0**2 - 18.0 * k * k0
    var_t = (k * (k + 1.0) * (2.0 * k + 1.0) + cubic + mixed) / 24.0
    if estimator == "L0":
        return float(4.0 * np.sqrt(var_t) / (2.0 * k - 1.0))
    return float(2.0 * np.sqrt(var_t) / np.sqrt((k - 0.5) ** 2 - k0 * (2.0 * k - k0 - 1.0)))

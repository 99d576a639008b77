"""Partial information with dependent rows: several effects of one trial, some known only as intervals.

Row i of cluster j has y_ij ~ N(x_ij'β + u_j, v_ij + τ²) with u_j ~ N(0, ω²). Given u_j the rows are independent, so

    L_j = ∫ φ(z) Π_i P_ij(x_ij'β + ω z) dz,

where P_ij is the density at an exact effect or the probability of the interval a row reports. The integrand is
log-concave; it is integrated by Gauss-Legendre quadrature on both sides of its mode, as far as it carries mass.
Correlation of the sampling errors themselves is not modelled: rows of one trial share participants, and ω² takes that
up only in part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.climb import Top, climb
from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.multilevel.terms import cluster_code
from dualtrace.pooling.nested_likelihood import Nested, log_likelihood
from dualtrace.pooling.partial import Rows, checked_rows, require_maximum
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.pooling.likelihood import Array, Flags
    from dualtrace.pooling.multilevel.terms import Column
    from dualtrace.pooling.partial_contract import Kind

FARTHEST = 60
"""Standard errors beyond which an end of a profile interval is called infinite."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PartialNested(Result):
    """A fitted partial-information model with a random effect per cluster.

    Attributes
    ----------
    names, beta, se, ci_lb, ci_ub, lr, pval
        Coefficients: name, estimate, standard error from the curvature, profile-likelihood interval (an end that
        does not exist is infinite), likelihood-ratio χ² against 0 with one degree of freedom, and its p.
    omega2, omega2_ci_lb, omega2_ci_ub
        Variance between clusters and its profile-likelihood interval.
    tau2, tau2_ci_lb, tau2_ci_ub
        Variance between rows of one cluster, likewise.
    ll
        Log-likelihood.
    k, p, clusters, level
        Rows, coefficients, clusters, confidence level.
    slab, cluster, kind
        Label and cluster of each row, and what was known of it.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = ("beta", "se", "ci_lb", "ci_ub", "lr", "pval")

    names: tuple[str, ...]
    beta: Array
    se: Array
    ci_lb: Array
    ci_ub: Array
    lr: Array
    pval: Array
    omega2: float
    omega2_ci_lb: float
    omega2_ci_ub: float
    tau2: float
    tau2_ci_lb: float
    tau2_ci_ub: float
    ll: float
    k: int
    p: int
    clusters: int
    level: float
    slab: tuple[str, ...]
    cluster: tuple[str, ...]
    kind: tuple[Kind, ...]

    def __post_init__(self) -> None:
        require_level(self.level)
        columns = (self.names, *self._columns())
        if any(len(part) != self.p for part in columns):
            raise ValueError(f"coefficients must number p = {self.p}")
        if not len(self.slab) == len(self.cluster) == len(self.kind) == self.k:
            raise ValueError(f"rows must number k = {self.k}")
        if min(self.omega2, self.tau2) < 0.0:
            raise ValueError("variances must be 0 or more")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.beta, self.se, self.ci_lb, self.ci_ub, self.lr, self.pval

    def __str__(self) -> str:
        """As a paper's table."""
        percent = f"{100.0 * self.level:g}%"
        known = ", ".join(f"{self.kind.count(kind)} {kind}" for kind in ("exact", "interval", "one-sided"))
        rows = (
            (name, number(b), number(se), interval(low, high), number(lr), p_value(p).removeprefix("= "))
            for name, b, se, low, high, lr, p in zip(self.names, *self._columns(), strict=True)
        )
        between = interval(self.omega2_ci_lb, self.omega2_ci_ub)
        within = interval(self.tau2_ci_lb, self.tau2_ci_ub)
        return "\n".join(
            [
                f"Partial-information model, {self.clusters} clusters (maximum likelihood), k = {self.k}: {known}",
                "",
                table(("", "estimate", "se", f"{percent} profile CI", "LR χ²(1)", "p"), rows),
                "",
                f"between clusters omega² = {number(self.omega2)} ({percent} profile CI {between})",
                f"within clusters tau² = {number(self.tau2)} ({percent} profile CI {within})",
                f"Log-likelihood {number(self.ll)}",
            ]
        )


def fit(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    cluster: Column,
    *,
    lo: Any | None = None,  # noqa: ANN401
    hi: Any | None = None,  # noqa: ANN401
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    level: float = 0.95,
) -> PartialNested:
    """Pool exact effects, intervals and directions of which several belong to one trial.

    Parameters
    ----------
    cluster
        Which trial (or laboratory) each row belongs to, (k,).
    yi, vi, lo, hi, X, names, slab, level
        As in ``partial.fit``.

    Raises
    ------
    FitError
        If the rows determine no answer, or the clusters cannot be told from the rows.
    InputError
        If the level is not between 0 and 1.
    """
    require_level(level)
    rows = checked_rows(yi, vi, lo=lo, hi=hi, X=X, names=names, slab=slab)
    require_maximum(rows)
    code, labels = cluster_code(cluster, len(rows.y))
    _require_clusters(len(labels), len(rows.y))
    unit = np.abs(rows.X).max(axis=0)
    scaled = Rows(rows.y, rows.lo, rows.hi, rows.v, rows.X / unit, rows.names, rows.slab)
    given = Nested(scaled, code, len(labels))
    top = _top(given)
    p = len(unit)
    ends = [_profile(given, top, j, level) for j in range(p + 2)]
    low, high = (np.array(side) for side in zip(*ends, strict=True))
    lr = np.array([max(0.0, 2.0 * (top.value - _profile_curve(given, top, j)(0.0))) for j in range(p)])
    return PartialNested(
        names=rows.names,
        beta=top.x[:p] / unit,
        se=_standard_errors(top)[:p] / unit,
        ci_lb=low[:p] / unit,
        ci_ub=high[:p] / unit,
        lr=lr,
        pval=special.chdtrc(1, lr),
        tau2=float(top.x[p] ** 2),
        tau2_ci_lb=float(low[p] ** 2),
        tau2_ci_ub=float(high[p] ** 2),
        omega2=float(top.x[p + 1] ** 2),
        omega2_ci_lb=float(low[p + 1] ** 2),
        omega2_ci_ub=float(high[p + 1] ** 2),
        ll=top.value,
        k=len(rows.y),
        p=p,
        clusters=len(labels),
        level=level,
        slab=rows.slab,
        cluster=tuple(labels[i] for i in code),
        kind=rows.kind,
    )


def _require_clusters(clusters: int, k: int) -> None:
    if clusters < 2:
        raise FitError("A variance between clusters needs at least two clusters; all rows belong to one.")
    if clusters == k:
        raise FitError(
            "Every row is a cluster of its own, so the variance between clusters cannot be told from that between "
            "rows; use the model without clusters."
        )


def _top(given: Nested) -> Top:
    """Maximum over (β, τ, ω): the best of several splits of the variance, polished."""
    rows = given.rows
    rough = np.where(rows.exact, rows.y, np.clip(0.0, rows.lo, rows.hi))
    rough = np.where(np.isnan(rough), 0.0, rough)
    beta = np.linalg.lstsq(rows.X, rough, rcond=None)[0]
    size = float(np.sqrt(np.median(rows.v)))
    starts = [np.array([*beta, tau * size, omega * size]) for tau, omega in ((0.5, 0.5), (0.1, 1.0), (1.0, 0.1))]
    bounded = np.array([False] * len(beta) + [True, True])

    def function(x: Array) -> tuple[float, Array]:
        return log_likelihood(given, x)

    roughly = [_ascend(function, start, bounded) for start in starts]
    return climb(function, max(roughly, key=lambda found: found[0])[1], bounded, what="The nested model")


def _ascend(function: Callable[[Array], tuple[float, Array]], start: Array, bounded: Flags) -> tuple[float, Array]:
    """Highest value that quasi-Newton steps reach, and where; its error is of second order in the gradient left."""
    from scipy.optimize import minimize  # slow to import

    def downhill(x: Array) -> tuple[float, Array]:
        value, slope = function(x)
        return -value, -slope

    bounds = [(0.0, None) if held else (None, None) for held in bounded]
    found = minimize(
        downhill, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "gtol": 1e-6}
    )
    return -float(found.fun), np.asarray(found.x, dtype=float)


def _profile_curve(given: Nested, top: Top, j: int) -> Callable[[float], float]:
    """Profile log-likelihood of parameter j; each point starts from the last one's other parameters."""
    others = np.arange(top.x.size) != j
    bounded = (np.arange(top.x.size) >= top.x.size - 2)[others]
    start = top.x[others]

    def curve(value: float) -> float:
        nonlocal start

        def function(x: Array) -> tuple[float, Array]:
            whole = np.full(others.size, value)
            whole[others] = x
            ll, gradient = log_likelihood(given, whole)
            return ll, gradient[others]

        # a standard deviation of 0 is stationary, so the climb must not start there
        highest, start = _ascend(function, np.where(bounded, np.maximum(start, 0.05), start), bounded)
        return highest

    return curve


def _profile(given: Nested, top: Top, j: int, level: float) -> tuple[float, float]:
    """Both ends of the profile-likelihood interval of parameter j; a standard deviation does not go below 0."""
    from scipy.optimize import brentq

    target = float(special.chdtri(1, 1.0 - level)) / 2.0
    is_sd = j >= top.x.size - 2
    curve = _profile_curve(given, top, j)

    def gap(value: float) -> float:
        return top.value - curve(value) - target

    def end(direction: float) -> float:
        inner, step = float(top.x[j]), _first_step(top, j)
        for _ in range(FARTHEST):
            outer = inner + direction * step
            if is_sd and outer <= 0.0:
                return 0.0 if gap(0.0) <= 0.0 else float(brentq(gap, 0.0, inner, xtol=1e-7))
            if gap(outer) > 0.0:
                return float(brentq(gap, inner, outer, xtol=1e-7))
            inner, step = outer, 1.6 * step
            if step > FARTHEST * _first_step(top, j):
                break
        return direction * np.inf

    return end(-1.0), end(1.0)


def _first_step(top: Top, j: int) -> float:
    se = _standard_errors(top)[j]
    return float(1.5 * se) if np.isfinite(se) and se > 0.0 else 0.25


def _standard_errors(top: Top) -> Array:
    """From the curvature; NaN on the boundary and where the likelihood is flat."""
    se = np.full(top.x.size, np.nan)
    kept: Flags = top.free
    information = -top.hessian[np.ix_(kept, kept)]
    variance = np.diag(np.linalg.pinv(information, hermitian=True))
    se[kept] = np.sqrt(np.where(variance > 0.0, variance, np.nan))
    return se

"""Location-scale models: moderators of the mean effect and of its heterogeneity, τ_i² = exp(z_i'α).

Source: Viechtbauer & López-López 2022, doi:10.1002/jrsm.1562.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling import check
from dualtrace.pooling import scale_likelihood as core
from dualtrace.pooling import tau2 as variance
from dualtrace.pooling.contract import TestName, freeze, require_choice, require_level
from dualtrace.pooling.inference import Coefficients, Residual, coefficients, omnibus
from dualtrace.pooling.likelihood import Array, Flags, data
from dualtrace.pooling.result import COEFFICIENTS, Result
from dualtrace.pooling.text import coefficient_table, number, p_value
from dualtrace.pooling.univariate import Problem, problem
from dualtrace.printed import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

LikelihoodMethod = Literal["REML", "ML"]

NOTHING = 1e-8
"""A τ_i² below this share of every sampling variance is an estimate of 0, which no finite α gives."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LocationScale(Result):
    """A fitted location-scale model.

    Attributes
    ----------
    names, beta, se, zval, pval, ci_lb, ci_ub, vb
        Coefficients of the mean, as in ``Pooled``.
    scale_names, alpha, se_alpha, zval_alpha, pval_alpha, ci_lb_alpha, ci_ub_alpha, va
        Coefficients of log τ² and their covariance, from the curvature of the likelihood; t with k - q degrees of
        freedom unless test is z.
    tau2
        exp(z_i'α) of every row, (k,).
    QM, QM_df, QMp
        Omnibus test of the mean's moderators; F with (QM_df, k - p) unless test is z.
    QS, QS_df, QSp
        Omnibus test of the moderators of heterogeneity; F with (QS_df, k - q) unless test is z.
    QE, QEp
        Test of residual heterogeneity, k - p degrees of freedom.
    ll
        Log-likelihood, restricted for REML.
    k, p, q, method, test, level, slab, notes
        As in ``Pooled``; q coefficients of the scale.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = COEFFICIENTS
    SOURCES: ClassVar[tuple[str, ...]] = ("viechtbauer2022",)

    names: tuple[str, ...]
    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    vb: Array
    scale_names: tuple[str, ...]
    alpha: Array
    se_alpha: Array
    zval_alpha: Array
    pval_alpha: Array
    ci_lb_alpha: Array
    ci_ub_alpha: Array
    va: Array
    tau2: Array
    QM: float
    QM_df: int
    QMp: float
    QS: float
    QS_df: int
    QSp: float
    QE: float
    QEp: float
    ll: float
    k: int
    p: int
    q: int
    method: LikelihoodMethod
    test: TestName
    level: float
    slab: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze(self)

    @property
    def _observations(self) -> int:
        return self.k - self.p if self.method == "REML" else self.k

    @property
    def AIC(self) -> float:  # noqa: N802 (metafor's name)
        """Akaike's information criterion with p + q parameters."""
        return -2.0 * self.ll + 2.0 * (self.p + self.q)

    @property
    def BIC(self) -> float:  # noqa: N802 (metafor's name)
        """Bayesian information criterion; n is k, or k - p under REML."""
        return -2.0 * self.ll + (self.p + self.q) * float(np.log(self._observations))

    @property
    def AICc(self) -> float:  # noqa: N802 (metafor's name)
        """Akaike's criterion corrected for few rows."""
        m = self.p + self.q
        n = max(self._observations, m + 2)
        return -2.0 * self.ll + 2.0 * m * n / (n - m - 1)

    def to_dict(self) -> dict[str, Any]:
        """All fields but the covariances, and AIC, BIC, AICc, for JSON."""
        kept = {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in {"vb", "va"}}
        return kept | {name: plain(getattr(self, name)) for name in ("AIC", "BIC", "AICc")}

    def __str__(self) -> str:
        """Both sets of coefficients as tables."""
        percent = f"{100.0 * self.level:g}% CI"
        mean = (self.beta, self.se, self.zval, self.pval, self.ci_lb, self.ci_ub)
        spread = (
            self.alpha,
            self.se_alpha,
            self.zval_alpha,
            self.pval_alpha,
            self.ci_lb_alpha,
            self.ci_ub_alpha,
        )
        lines = [f"Location-scale model ({self.method}), k = {self.k}, log-likelihood {number(self.ll)}"]
        for title, names, columns in (("mean", self.names, mean), ("log tau²", self.scale_names, spread)):
            lines += ["", coefficient_table(title, names, columns, statistic="statistic", ends=percent)]
        lines += ["", f"Heterogeneity: Q({self.k - self.p}) = {number(self.QE)}, p {p_value(self.QEp)}"]
        return "\n".join([*lines, *self.notes])


def fit_location_scale(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    Z: Any,  # noqa: ANN401
    *,
    X: Any | None = None,  # noqa: ANN401
    names: Sequence[str] | None = None,
    scale_names: Sequence[str] | None = None,
    slab: Sequence[Any] | None = None,
    method: LikelihoodMethod = "REML",
    test: TestName = "z",
    level: float = 0.95,
) -> LocationScale:
    """Fit y_i ~ N(x_i'β, v_i + exp(z_i'α)), rows independent.

    The likelihood is climbed from several starts by damped Newton steps with exact derivatives, and the highest
    maximum is kept.

    Parameters
    ----------
    yi, vi, X, names, slab, test, level
        As in ``univariate.fit``.
    Z, scale_names
        Complete design matrix of log τ², intercept column included, and names of its columns.
    method
        REML or ML.

    Raises
    ------
    FitError
        If the rows given determine no answer.
    InputError
        If an option is not one there is.
    """
    require_choice("method", method, get_args(LikelihoodMethod))
    require_choice("test", test, get_args(TestName))
    require_level(level)
    given = problem(yi, vi, X=X, names=names, slab=slab)
    k, p = given.X.shape
    Z, columns = check.design(Z, scale_names, k)
    q = Z.shape[1]
    if k <= p + q:
        raise FitError(
            f"k = {k} rows cannot determine p = {p} coefficients of the mean and q = {q} of its heterogeneity; "
            f"at least {p + q + 1} rows are needed. Use fewer moderators."
        )
    basis, S = check.basis(Z, columns)
    root = k**0.5
    centred = given.y - given.basis @ (given.basis.T @ given.y)
    here = core.Problem(centred, given.v, given.basis, basis * root, method == "REML")
    gamma, point = best(here)
    scale = Scale(columns, gamma, S * root, _tested(Z))
    return _label(given, here, point, scale, Options(method, test, level))


class Scale(NamedTuple):
    """Names (q,), coordinates in the scale basis (q,), matrix to the coefficients (q, q), coefficients tested."""

    names: tuple[str, ...]
    gamma: Array
    S: Array
    tested: list[int]


def _tested(Z: Array) -> list[int]:
    """Columns of the omnibus test: all but the first that is 1 in every row, or all when it stands alone."""
    ones = np.flatnonzero((Z == 1.0).all(axis=0))
    skipped = int(ones[0]) if ones.size and Z.shape[1] > 1 else -1
    return [j for j in range(Z.shape[1]) if j != skipped]


def best(given: core.Problem) -> tuple[Array, core.Point]:
    """Highest maximum found from three starts.

    The starts are log variances that follow the squared residuals, the common τ², and a tenth of it.
    """
    sets = data(given.y, given.v, given.basis)
    common = float(variance.maximum_likelihood(sets, restricted=given.restricted)[0])
    typical = float(np.median(given.v))
    guess = max(common, 0.05 * typical)
    crude = np.log(np.maximum(given.y**2 - given.v, 0.1 * guess))
    level = np.ones(given.y.size)
    starts = (crude, level * np.log(guess), level * np.log(0.1 * guess))
    k = given.y.size
    climbs = [core.climb(given, given.scale.T @ start / k) for start in starts]
    return max(climbs, key=lambda found: found[1].ll)


class Options(NamedTuple):
    """Method, test and confidence level of a fit."""

    method: LikelihoodMethod
    test: TestName
    level: float


def _label(given: Problem, here: core.Problem, point: core.Point, scale: Scale, options: Options) -> LocationScale:
    """Attach names, tests and intervals to the maximum."""
    k, p, q = len(given.y), len(given.names), len(scale.names)
    vanishing = point.tau2 < NOTHING * given.v.min()
    c = _location(given, here, point, options)
    a = _scale(point, scale, options, lost=bool(vanishing.any()))
    joint, spread = _omnibus(c, given.tested), _omnibus(a, scale.tested)
    q_e = float(variance.generalised_q(data(here.y, here.v, here.basis), np.zeros(1))[0])
    keys = ("se", "zval", "pval", "ci_lb", "ci_ub")
    location = {key: getattr(c, key)[0] for key in ("beta", "vb", *keys)}
    heterogeneity = {f"{key}_alpha": getattr(a, key)[0] for key in keys}
    return LocationScale(
        names=given.names,
        **location,
        scale_names=scale.names,
        alpha=a.beta[0],
        va=a.vb[0],
        **heterogeneity,
        tau2=point.tau2,
        QM=joint[0],
        QM_df=len(given.tested),
        QMp=joint[1],
        QS=spread[0],
        QS_df=len(scale.tested),
        QSp=spread[1],
        QE=q_e,
        QEp=float(special.chdtrc(k - p, q_e)),
        ll=point.ll,
        k=k,
        p=p,
        q=q,
        method=options.method,
        test=options.test,
        level=options.level,
        slab=given.slab,
        notes=_notes(vanishing, given.slab),
    )


def _location(given: Problem, here: core.Problem, point: core.Point, options: Options) -> Coefficients:
    """Coefficients of the mean with tests and intervals."""
    k, p = here.basis.shape
    rss = np.array([point.weight @ point.resid**2])
    residual = Residual(rss, np.array([point.weight @ given.y**2]), np.array([float(k - p)]))
    coef = point.coef + given.basis.T @ given.y
    return coefficients(coef[None], point.cov[None], given.T, residual, test=options.test, level=options.level)


def _scale(point: core.Point, scale: Scale, options: Options, *, lost: bool) -> Coefficients:
    """Coefficients of log τ² with tests and intervals; without errors where some τ_i² is 0."""
    q = len(scale.names)
    cov: Array = np.full((q, q), np.nan) if lost else np.asarray(np.linalg.inv(-point.hessian), dtype=np.float64)
    nothing = np.full(1, np.nan)
    residual = Residual(nothing, nothing, np.array([float(len(point.tau2) - q)]))
    test: TestName = "z" if options.test == "z" else "t"
    return coefficients(scale.gamma[None], cov[None], scale.S, residual, test=test, level=options.level)


def _omnibus(found: Coefficients, tested: list[int]) -> tuple[float, float]:
    """Joint test of coefficients; NaN where they have no errors."""
    if not np.isfinite(found.se).all():
        return float("nan"), float("nan")
    joint = omnibus(found, tested)
    return float(joint.QM[0]), float(joint.QMp[0])


def _notes(vanishing: Flags, slab: tuple[str, ...]) -> tuple[str, ...]:
    if not vanishing.any():
        return ()
    rows, first = int(vanishing.sum()), slab[int(np.argmax(vanishing))]
    note = (
        f"The likelihood rises as tau2 goes to 0 in {rows} of {len(slab)} rows, the first of them {first}: "
        "alpha has no finite estimate and no standard errors."
    )
    return (note,)

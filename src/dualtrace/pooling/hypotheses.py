"""Tests of groups of coefficients, linear contrasts with multiplicity, and comparisons of nested models.

Sources: Holm 1979, Scandinavian Journal of Statistics 6:65-70; Hothorn, Bretz & Westfall 2008 (single-step),
doi:10.1002/bimj.200810425.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.contract import HOMOGENEOUS, Pooled, freeze, require_choice
from dualtrace.pooling.inference import wald
from dualtrace.pooling.maximum_t import MaximumT
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandas import DataFrame

    from dualtrace.pooling.likelihood import Array

Adjustment = Literal["none", "bonferroni", "holm", "single-step"]
"""How p values of several contrasts are adjusted; single-step is the distribution of the largest |t|."""

DEPENDENT = 1e-10
"""Share of a contrast outside the others below which the joint test drops it."""


@dataclass(frozen=True, slots=True)
class Joint(Result):
    """Joint test of several linear functions of the coefficients.

    Attributes
    ----------
    name
        What was tested.
    QM, df, dfs, p
        Statistic, degrees of freedom (numerator when F), denominator degrees of freedom (None when chi-squared),
        p value.
    """

    name: str
    QM: float
    df: int
    dfs: int | None
    p: float

    def __str__(self) -> str:
        """``dose: QM(2) = 5.1, p = .0781`` or ``F(2, 14) = ...``."""
        law = f"QM({self.df})" if self.dfs is None else f"F({self.df}, {self.dfs})"
        return f"{self.name}: {law} = {number(self.QM)}, p {p_value(self.p)}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Contrasts(Result):
    """Linear functions of the coefficients.

    Attributes
    ----------
    names
        Contrasts.
    estimate, se, zval
        L b - rhs, standard error and statistic (z or t), (m,).
    pval, pval_adjusted
        Two-sided p value, alone and adjusted for multiplicity.
    ci_lb, ci_ub
        Interval of L b; simultaneous under bonferroni and single-step, else of each contrast alone.
    adjust, level
        Adjustment and confidence level.
    joint
        Test that all are as hypothesised.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("hothorn2008",)

    names: tuple[str, ...]
    estimate: Array
    se: Array
    zval: Array
    pval: Array
    pval_adjusted: Array
    ci_lb: Array
    ci_ub: Array
    adjust: Adjustment
    level: float
    joint: Joint

    def __post_init__(self) -> None:
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.estimate, self.se, self.zval, self.pval, self.pval_adjusted, self.ci_lb, self.ci_ub

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        kept = {field.name: plain(getattr(self, field.name)) for field in fields(self) if field.name != "joint"}
        return kept | {"joint": self.joint.to_dict()}

    def to_frame(self) -> DataFrame:
        """One row per contrast."""
        from pandas import DataFrame

        keys = ("estimate", "se", "zval", "pval", "pval_adjusted", "ci_lb", "ci_ub")
        return DataFrame(dict(zip(keys, self._columns(), strict=True)), index=list(self.names))

    def __str__(self) -> str:
        """One line per contrast, then the joint test."""
        rows = (
            (n, number(e), number(s), number(z), *(p_value(p).removeprefix("= ") for p in (p1, p2)), interval(lo, hi))
            for n, e, s, z, p1, p2, lo, hi in zip(self.names, *self._columns(), strict=True)
        )
        head = ("", "estimate", "se", "statistic", "p", f"p ({self.adjust})", f"{100.0 * self.level:g}% CI")
        return "\n".join([table(head, rows), str(self.joint)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTest(Result):
    """Likelihood-ratio test of two nested models, with what else tells them apart.

    Attributes
    ----------
    LRT, df, p
        2(ℓ_full - ℓ_reduced), difference in parameters, p value.
    AIC, BIC, AICc, ll, tau2
        Of the full and of the reduced model.
    R2
        Share of the reduced model's τ² that the full one accounts for, in percent; NaN where that is 0.
    """

    LRT: float
    df: int
    p: float
    AIC: tuple[float, float]
    BIC: tuple[float, float]
    AICc: tuple[float, float]
    ll: tuple[float, float]
    tau2: tuple[float, float]
    R2: float

    def __str__(self) -> str:
        """One line per model, then the test."""
        keys = ("AIC", "BIC", "AICc", "ll", "tau2")
        rows = [
            (name, *(number(getattr(self, key)[i]) for key in keys)) for i, name in enumerate(("full", "reduced"))
        ]
        test = f"Likelihood-ratio test: χ²({self.df}) = {number(self.LRT)}, p {p_value(self.p)}"
        return "\n".join([table(("", "AIC", "BIC", "AICc", "log-lik.", "tau²"), rows), test])


def joint_tests(pooled: Pooled, groups: Mapping[str, Sequence[str | int]]) -> tuple[Joint, ...]:
    """Test groups of coefficients, each group jointly.

    Parameters
    ----------
    pooled
        A fit.
    groups
        Name of each group -> its coefficients, by name or position.

    Raises
    ------
    InputError
        If a group is empty or names a coefficient that is not there.
    """
    return tuple(_joint(pooled, _rows(pooled, which), name=name) for name, which in groups.items())


def _rows(pooled: Pooled, which: Sequence[str | int]) -> Array:
    """Rows of the identity matrix that pick coefficients."""
    if not len(which):
        raise InputError("A group of coefficients must hold at least one; given none.")
    picked = []
    for item in which:
        known = item in pooled.names if isinstance(item, str) else 0 <= item < pooled.p
        if not known:
            raise InputError(
                f"The fit has no coefficient {item!r}; there are {', '.join(pooled.names)} "
                f"(positions 0 to {pooled.p - 1})."
            )
        picked.append(pooled.names.index(item) if isinstance(item, str) else item)
    rows: Array = np.eye(pooled.p)[picked]
    return rows


def contrasts(
    pooled: Pooled,
    L: Any,  # noqa: ANN401
    *,
    rhs: Any = 0.0,  # noqa: ANN401
    names: Sequence[str] | None = None,
    adjust: Adjustment = "none",
    key: int = 0,
) -> Contrasts:
    """Estimate and test L b = rhs, row by row and jointly.

    Parameters
    ----------
    pooled
        A fit.
    L
        One row per contrast, one column per coefficient, (m, p) or (p,).
    rhs
        Hypothesised values, one or (m,).
    names
        Names of the contrasts; absent: their formulas.
    adjust
        ``none``, ``bonferroni``, ``holm`` (step-down), ``single-step`` (distribution of the largest |t|, by
        integration over the directions of the contrasts).
    key
        Key of the points of that integration, used for contrasts of three dimensions or more.

    Raises
    ------
    InputError
        If the numbers given do not fit the model.
    """
    require_choice("adjust", adjust, get_args(Adjustment))
    matrix = np.atleast_2d(np.array(L, dtype=float))
    if (
        matrix.ndim != 2
        or matrix.shape[1] != pooled.p
        or not np.isfinite(matrix).all()
        or not matrix.any(axis=1).all()
    ):
        raise InputError(
            f"L must hold one finite number for each of {', '.join(pooled.names)}, not all 0; "
            f"given shape {matrix.shape}."
        )
    m = len(matrix)
    if names is not None and len(names) != m:
        raise InputError(f"names must have one name per contrast; given {len(names)} for {m}.")
    right = np.broadcast_to(np.array(rhs, dtype=float), (m,))
    labels = tuple(names) if names is not None else tuple(_formula(row, pooled.names) for row in matrix)
    cov = matrix @ pooled.vb @ matrix.T
    se = np.sqrt(np.diag(cov))
    estimate = matrix @ pooled.beta - right
    df = np.inf if pooled.test == "z" else float(pooled.dfs)
    statistic = estimate / se
    alone = 2.0 * special.stdtr(df, -np.abs(statistic))
    largest = MaximumT.of(cov / np.outer(se, se), df, key) if adjust == "single-step" else None
    critical = _critical(df, pooled.level, m if adjust == "bonferroni" else 1)
    if largest is not None:
        critical = largest.quantile(pooled.level)
    return Contrasts(
        names=labels,
        estimate=estimate,
        se=se,
        zval=statistic,
        pval=alone,
        pval_adjusted=adjusted(alone, adjust) if largest is None else largest.upper(np.abs(statistic)),
        ci_lb=estimate + right - critical * se,
        ci_ub=estimate + right + critical * se,
        adjust=adjust,
        level=pooled.level,
        joint=_joint(pooled, matrix, right, name="all contrasts"),
    )


def _critical(df: float, level: float, m: int) -> float:
    return float(special.stdtrit(df, 1.0 - 0.5 * (1.0 - level) / m))


def adjusted(pval: Array, adjust: Adjustment) -> Array:
    """Bonferroni's or Holm's adjustment of p values, (m,)."""
    m = pval.size
    if adjust == "bonferroni":
        return np.minimum(1.0, m * pval)
    if adjust == "holm":
        order = np.argsort(pval, kind="stable")
        stepped = np.maximum.accumulate((m - np.arange(m)) * pval[order])
        found = np.empty(m)
        found[order] = np.minimum(1.0, stepped)
        return found
    return pval


def _formula(row: Array, names: tuple[str, ...]) -> str:
    terms = [f"{value:+g}·{name}" for value, name in zip(row, names, strict=True) if value != 0.0]
    return " ".join(terms).replace("+1·", "+").replace("-1·", "-").removeprefix("+")


def _joint(pooled: Pooled, matrix: Array, rhs: Array | float = 0.0, *, name: str) -> Joint:
    """Joint test of the rows of a matrix that are not combinations of others."""
    kept: list[int] = []
    for i in range(len(matrix)):
        if len(kept) == matrix.shape[1]:  # as many independent rows as there can be
            break
        tried = matrix[[*kept, i]]
        size = np.linalg.norm(tried, axis=1, keepdims=True)
        if np.linalg.svd(tried / size, compute_uv=False)[-1] > DEPENDENT:
            kept.append(i)
    picked = matrix[kept]
    right = np.broadcast_to(rhs, (len(matrix),))[kept]
    df = np.array([np.inf if pooled.test == "z" else float(pooled.dfs)])
    found = wald((picked @ pooled.beta - right)[None], (picked @ pooled.vb @ picked.T)[None], df)
    dfs = None if pooled.test == "z" else pooled.dfs
    return Joint(name, float(found.QM[0]), len(kept), dfs, float(found.QMp[0]))


def compare(full: Pooled, reduced: Pooled) -> ModelTest:
    """Likelihood-ratio test of two nested fits to the same rows.

    Under REML only models with the same coefficients can be compared, since the restricted likelihood depends on
    the design. A variance that is 0 in the reduced model makes the test conservative.

    Parameters
    ----------
    full, reduced
        Fits by maximum likelihood (or, with the same coefficients, REML); EE and FE fits stand for τ² = 0.

    Raises
    ------
    InputError
        If the models are not nested, or were not fitted by likelihood to the same rows.
    """
    _require_nested(full, reduced)
    df = full.parameters - reduced.parameters
    ratio = max(0.0, 2.0 * (full.ll - reduced.ll))
    before, after = (0.0 if m.method in HOMOGENEOUS else m.tau2 for m in (reduced, full))
    return ModelTest(
        LRT=ratio,
        df=df,
        p=float(special.chdtrc(df, ratio)),
        AIC=(full.AIC, reduced.AIC),
        BIC=(full.BIC, reduced.BIC),
        AICc=(full.AICc, reduced.AICc),
        ll=(full.ll, reduced.ll),
        tau2=(after, before),
        R2=100.0 * max(0.0, 1.0 - after / before) if before > 0.0 else float("nan"),
    )


def _require_nested(full: Pooled, reduced: Pooled) -> None:
    if (full.k, full.slab, full.QE_df + full.p) != (reduced.k, reduced.slab, reduced.QE_df + reduced.p):
        raise InputError("Models can be compared only on the same rows; these differ in number or labels.")
    if full.parameters <= reduced.parameters or not set(reduced.names) <= set(full.names):
        raise InputError(
            f"The full model must hold the reduced one and more; given {', '.join(full.names)} ({full.method}) "
            f"against {', '.join(reduced.names)} ({reduced.method})."
        )
    methods = {full.method, reduced.method} - HOMOGENEOUS
    if methods == {"ML"} or (not methods):
        return
    if methods == {"REML"} and full.names == reduced.names and full.method == reduced.method:
        return
    raise InputError(
        f"A likelihood-ratio test of coefficients needs fits by ML; given {full.method} and {reduced.method}."
    )

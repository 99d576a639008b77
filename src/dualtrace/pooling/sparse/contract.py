"""What the methods for sparse counts return: CommonEffect and MixedPooled, under the names metafor users know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypedDict

import numpy as np
from scipy import special

from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.result import COEFFICIENTS, Result
from dualtrace.pooling.text import coefficient_table, interval, number, p_value

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array

CommonMethod = Literal["MH", "PETO"]
"""Mantel-Haenszel, or Peto's one-step odds ratio."""

TITLES = {
    "OR": "log odds ratio",
    "RR": "log risk ratio",
    "RD": "risk difference",
    "IRR": "log rate ratio",
    "IRD": "rate difference",
    "PLO": "logit proportion",
    "IRLN": "log rate",
}
RATIOS = {"OR": "odds ratio", "RR": "risk ratio", "IRR": "rate ratio", "IRLN": "rate"}
"""Measures whose exponential people read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonEffect(Result):
    """A common effect of many tables by the method of Mantel and Haenszel or of Peto.

    Undefined numbers are NaN: tests that do not exist for the measure.

    Attributes
    ----------
    measure, method
        Short name of the measure; MH or PETO.
    beta, se, zval, pval, ci_lb, ci_ub
        Estimate (log scale for ratios), standard error, z, two-sided p, interval.
    QE, QE_df, QEp
        Heterogeneity: Σ (y_i − b)²/v_i over the tables' own estimates; for Peto from observed less expected.
    CMH, CMHp
        Cochran-Mantel-Haenszel test of no effect in any table (for rates its person-time form), 1 df.
    BD, TA, BD_df, BDp, TAp
        Breslow-Day test of a common odds ratio, and with Tarone's adjustment.
    k, informed
        Tables, and those with both events and others (for rates: with events).
    level, slab, notes
        Confidence level, labels, sentences on anything left out.
    """

    measure: str
    method: CommonMethod
    beta: float
    se: float
    zval: float
    pval: float
    ci_lb: float
    ci_ub: float
    QE: float
    QE_df: int
    QEp: float
    CMH: float
    CMHp: float
    BD: float
    BD_df: int
    BDp: float
    TA: float
    TAp: float
    k: int
    informed: int
    level: float
    slab: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_level(self.level)
        if not (
            self.se > 0.0 and self.ci_lb <= self.beta <= self.ci_ub and self.informed <= self.k == len(self.slab)
        ):
            raise ValueError("a common effect must lie in its interval, with a positive standard error")

    @property
    def citations(self) -> tuple[str, ...]:
        """Publication of the method."""
        return ("yusuf1985",) if self.method == "PETO" else ("mantel1959",)

    def __str__(self) -> str:
        """As a paper's table: estimate, its ratio, tests."""
        percent = f"{100.0 * self.level:g}%"
        name = "Mantel-Haenszel" if self.method == "MH" else "Peto"
        columns = [[x] for x in (self.beta, self.se, self.zval, self.pval, self.ci_lb, self.ci_ub)]
        lines = [f"{name} method, k = {self.k} ({self.informed} informative)", ""]
        lines += [coefficient_table("", [TITLES[self.measure]], columns, ends=f"{percent} CI"), ""]
        if self.measure in RATIOS:
            low, high = np.exp(self.ci_lb), np.exp(self.ci_ub)
            lines.append(
                f"{RATIOS[self.measure]} {number(float(np.exp(self.beta)))} ({percent} CI {interval(low, high)})"
            )
        tests = (
            ("Heterogeneity: Q", self.QE_df, self.QE, self.QEp),
            ("Cochran-Mantel-Haenszel: chi²", 1, self.CMH, self.CMHp),
            ("Breslow-Day: chi²", self.BD_df, self.BD, self.BDp),
            ("Tarone: chi²", self.BD_df, self.TA, self.TAp),
        )
        lines += [f"{what}({df}) = {number(q)}, p {p_value(p)}" for what, df, q, p in tests if np.isfinite(q)]
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MixedPooled(Result):
    """A generalised linear mixed model of counts, or its equal-effects special case.

    Undefined numbers are NaN: sigma2 and rho but in the models that have them, QE_Wld where a row's own estimate
    is infinite, everything about tau2 under EE.

    Attributes
    ----------
    measure, model, method
        OR, IRR, PLO or IRLN (RR for a beta-binomial with log link); UM.FS, UM.RS, CM.EL, CM.AL, or BB
        (beta-binomial), or empty for single groups; ML or EE.
    names, beta, se, zval, pval, ci_lb, ci_ub, vb
        Coefficients and their covariance (p, p), from the observed information of all parameters.
    tau2, sigma2, rho
        Variance of the true effects; of the rows' levels (UM.RS); intra-row correlation (BB).
    ll
        Log-likelihood, all constants included.
    QE_Wld, QE_LRT, QE_df, QEp_Wld, QEp_LRT
        Heterogeneity, equal effects against one effect per row: Wald and likelihood-ratio statistics.
    LRT, LRTp
        Likelihood-ratio test of tau2 = 0 with its p value from the half-half mixture of 0 and chi-squared(1).
    QM, QM_df, QMp
        Omnibus test of all coefficients but the intercept; of all when it stands alone.
    k, p, nodes, level, slab, notes
        Rows used, coefficients, quadrature nodes per dimension, confidence level, labels, sentences.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = COEFFICIENTS
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"vb"})

    measure: str
    model: str
    method: Literal["ML", "EE"]
    names: tuple[str, ...]
    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    vb: Array
    tau2: float
    sigma2: float
    rho: float
    ll: float
    QE_Wld: float
    QE_LRT: float
    QE_df: int
    QEp_Wld: float
    QEp_LRT: float
    LRT: float
    LRTp: float
    QM: float
    QM_df: int
    QMp: float
    k: int
    p: int
    nodes: int
    level: float
    slab: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_level(self.level)
        columns = (self.names, *self._columns())
        if not (
            all(len(c) == self.p for c in columns) and self.vb.shape == (self.p, self.p) and len(self.slab) == self.k
        ):
            raise ValueError(f"coefficients must number p = {self.p} and rows k = {self.k}")
        if self.tau2 < 0.0 or not np.all((self.ci_lb <= self.beta) & (self.beta <= self.ci_ub)):
            raise ValueError("an interval must hold its estimate and a variance be 0 or more")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.beta, self.se, self.zval, self.pval, self.ci_lb, self.ci_ub

    @property
    def citations(self) -> tuple[str, ...]:
        """Publication of the model."""
        return ("kuss2015",) if self.model == "BB" else ("stijnen2010",)

    def __str__(self) -> str:
        """As a paper's table: coefficients, variances, tests."""
        percent = f"{100.0 * self.level:g}%"
        kind = "Random effects" if self.method == "ML" else "Equal effects"
        what = f"{TITLES[self.measure]}, {self.model}" if self.model else TITLES[self.measure]
        lines = [f"{kind} of counts ({what}), maximum likelihood, k = {self.k}", ""]
        lines += [coefficient_table("", self.names, self._columns(), ends=f"{percent} CI"), ""]
        if self.p == 1 and self.measure in RATIOS:
            low, high = float(np.exp(self.ci_lb[0])), float(np.exp(self.ci_ub[0]))
            ratio = number(float(np.exp(self.beta[0])))
            lines.append(f"{RATIOS[self.measure]} {ratio} ({percent} CI {interval(low, high)})")
        variances = (("tau²", self.tau2), ("sigma²", self.sigma2), ("rho", self.rho))
        lines.append(", ".join(f"{name} = {number(value)}" for name, value in variances if np.isfinite(value)))
        tests = (
            (f"Heterogeneity: Wald({self.QE_df})", self.QE_Wld, self.QEp_Wld),
            (f"Heterogeneity: LRT({self.QE_df})", self.QE_LRT, self.QEp_LRT),
            ("tau² = 0: LRT", self.LRT, self.LRTp),
            (f"Moderators: QM({self.QM_df})", self.QM if self.p > 1 else np.nan, self.QMp),
        )
        lines += [f"{what} = {number(q)}, p {p_value(p)}" for what, q, p in tests if np.isfinite(q)]
        return "\n".join([line for line in lines if line is not None] + list(self.notes))


class Wald(TypedDict):
    """Columns of a coefficient table, (p,) each, under the names of the results."""

    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array


def wald(beta: Array, vb: Array, level: float) -> Wald:
    """Normal tests and intervals of coefficients with covariance ``vb``, (p, p)."""
    se = np.sqrt(np.diag(vb))
    z, half = beta / se, float(special.ndtri(0.5 * (1.0 + level))) * se
    return Wald(
        beta=beta.copy(), se=se, zval=z, pval=2.0 * special.ndtr(-np.abs(z)), ci_lb=beta - half, ci_ub=beta + half
    )


def upper(df: int, q: float) -> float:
    """Upper tail of chi-squared; NaN where undefined."""
    return float(special.chdtrc(df, q)) if df > 0 and np.isfinite(q) else np.nan


def boundary(gain: float) -> float:
    """P value of a likelihood-ratio statistic for a variance of 0: half of chi-squared(1), 1 at 0.

    Source: Self & Liang 1987, doi:10.1080/01621459.1987.10478472.
    """
    return 0.5 * upper(1, gain) if gain > 0.0 else 1.0 if gain == 0.0 else np.nan

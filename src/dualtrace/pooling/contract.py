"""What a classical fit returns: ``Pooled``, under the names metafor users know."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from dualtrace.errors import InputError
from dualtrace.pooling.result import COEFFICIENTS, Result
from dualtrace.pooling.text import coefficient_table, interval, number, p_value
from dualtrace.printed import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualtrace.pooling.likelihood import Array

Tau2Method = Literal["REML", "ML", "DL", "PM", "PMM", "EB", "HE", "HS", "HSk", "SJ", "GENQ", "GENQM", "EE", "FE"]
"""Estimator of τ²; EE and FE estimate none.

EE is the equal-effects model: one true effect, τ² = 0. FE computes the same numbers and means something else by
them: the average, weighted by precision, of the true effects of these very rows, which may differ.
"""

TestName = Literal["z", "t", "knha", "adhoc"]
"""Wald test against the normal or t distribution, Knapp and Hartung's, or theirs never narrower than Wald's t."""

METHOD_NAMES: dict[Tau2Method, str] = {
    "REML": "Random-effects model (REML)",
    "ML": "Random-effects model (maximum likelihood)",
    "DL": "Random-effects model (DerSimonian-Laird)",
    "PM": "Random-effects model (Paule-Mandel)",
    "PMM": "Random-effects model (median-unbiased Paule-Mandel)",
    "EB": "Random-effects model (empirical Bayes)",
    "HE": "Random-effects model (Hedges-Olkin)",
    "HS": "Random-effects model (Hunter-Schmidt)",
    "HSk": "Random-effects model (Hunter-Schmidt, corrected for k)",
    "SJ": "Random-effects model (Sidik-Jonkman)",
    "GENQ": "Random-effects model (generalised Q)",
    "GENQM": "Random-effects model (median-unbiased generalised Q)",
    "EE": "Equal-effects model",
    "FE": "Fixed-effects model (average true effect of these rows)",
}
METHOD_SOURCES: dict[Tau2Method, str] = {
    "REML": "harville1977",
    "ML": "harville1977",
    "DL": "dersimonian1986",
    "PM": "paule1982",
    "PMM": "paule1982",
    "EB": "berkey1995",
    "HE": "hedges1985",
    "HS": "schmidt2015",
    "HSk": "brannick2019",
    "SJ": "sidik2005",
    "GENQ": "dersimonian2007",
    "GENQM": "dersimonian2007",
    "EE": "hedges1985",
    "FE": "hedges1985",
}
TEST_SOURCES: dict[TestName, tuple[str, ...]] = {
    "z": (), "t": (), "knha": ("knapp2003",), "adhoc": ("knapp2003", "rover2015")
}  # fmt: skip
"""Publications of each estimator and test, keys of ``references.yaml``."""

TEST_NAMES: dict[TestName, str] = {
    "z": "Wald z",
    "t": "Wald t",
    "knha": "Knapp-Hartung t",
    "adhoc": "Knapp-Hartung t, never narrower than Wald",
}
HOMOGENEOUS = frozenset({"EE", "FE"})
"""Methods that estimate no τ²."""


def require_choice(name: str, given: str, allowed: Iterable[str]) -> None:
    """Refuse a word that is not among those allowed.

    Raises
    ------
    InputError
        Naming what was given and what may be given.
    """
    allowed = tuple(allowed)
    if given not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}; given {given!r}.")


def require_method(method: str, weights: object) -> None:
    """Refuse an estimator of τ² that is not there, or one that lacks the weights it is made of.

    Raises
    ------
    InputError
        Naming what was given and what may be given.
    """
    require_choice("method", method, get_args(Tau2Method))
    if method in {"GENQ", "GENQM"} and weights is None:
        raise InputError(f"method {method} needs weights, one positive number per row; none were given.")


def require_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1).

    Raises
    ------
    InputError
        Naming the level given.
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie between 0 and 1, for example 0.95; given {level:g}.")


def freeze(record: object) -> None:
    """Make the arrays of a record read-only."""
    for field in fields(record):  # type: ignore[arg-type]  # every caller is a dataclass
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pooled(Result):
    """A fitted equal-effects, random-effects or meta-regression model.

    Undefined numbers are NaN: everything about τ² when one row was given, the prediction interval of a
    regression (use ``predict``) and of an equal-effects model.

    Attributes
    ----------
    names, beta, se, zval, pval, ci_lb, ci_ub
        Coefficients: name, estimate, standard error, statistic (z or t), two-sided p, interval.
    vb
        Covariance matrix of the coefficients, (p, p).
    tau2, se_tau2, tau2_ci_lb, tau2_ci_ub
        Between-row variance in squared units of the effect, its standard error, Q-profile interval of τ².
    I2, H2
        Share of total variability due to heterogeneity in percent; total over sampling variability.
    QE, QE_df, QEp
        Test of (residual) heterogeneity.
    QM, QM_df, QMp
        Omnibus test of all coefficients but the intercept; of all when there is none or nothing else.
        Chi-squared under z, F with (QM_df, dfs) under t and knha.
    pi_lb, pi_ub
        Interval for the true effect of a new row, intercept-only models; normal under z, t with k - p
        degrees of freedom under t and knha.
    ll
        Log-likelihood; restricted for REML. All constants included.
    k, p, dfs
        Rows, coefficients, residual degrees of freedom k - p.
    R2
        Share of heterogeneity the moderators account for, in percent: 100 max(0, 1 - τ²/τ₀²) with τ₀² of the
        model without them; 100 max(0, 1 - Q_E (k-1)/(Q_T (k-p))) under EE and FE. NaN without moderators or an
        intercept, and where there is no heterogeneity to account for.
    method, test, level
        Estimator of τ², test, confidence level. For one row the method is EE and the test z.
    slab, weights
        Label and weight in percent of each row.
    notes
        Sentences on anything done otherwise than asked.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = COEFFICIENTS

    names: tuple[str, ...]
    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    vb: Array
    tau2: float
    se_tau2: float
    tau2_ci_lb: float
    tau2_ci_ub: float
    I2: float
    H2: float
    QE: float
    QE_df: int
    QEp: float
    QM: float
    QM_df: int
    QMp: float
    pi_lb: float
    pi_ub: float
    ll: float
    k: int
    p: int
    dfs: int
    method: Tau2Method
    test: TestName
    level: float
    slab: tuple[str, ...]
    weights: Array
    R2: float = np.nan
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_choice("method", self.method, get_args(Tau2Method))
        require_choice("test", self.test, get_args(TestName))
        require_level(self.level)
        shapes_agree = (
            all(len(part) == self.p for part in (self.names, *self._columns()))
            and self.vb.shape == (self.p, self.p)
            and len(self.slab) == len(self.weights) == self.k
        )
        if not shapes_agree:
            raise ValueError(f"coefficients must number p = {self.p} and rows k = {self.k}")
        in_range = (
            not self.tau2 < 0.0
            and not self.QE < 0.0
            and not self.I2 > 100.0
            and np.all(self.se >= 0.0)
            and np.all((self.ci_lb <= self.beta) & (self.beta <= self.ci_ub))
            and abs(float(self.weights.sum()) - 100.0) < 1e-6
        )
        if not in_range:
            raise ValueError("an interval must hold its estimate, variances be 0 or more, weights sum to 100 %")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.beta, self.se, self.zval, self.pval, self.ci_lb, self.ci_ub

    @property
    def parameters(self) -> int:
        """Coefficients, and τ² where it is estimated."""
        return self.p + (self.method not in HOMOGENEOUS)

    @property
    def AIC(self) -> float:  # noqa: N802 (metafor's name)
        """Akaike's information criterion, -2ℓ + 2·parameters."""
        return -2.0 * self.ll + 2.0 * self.parameters

    @property
    def BIC(self) -> float:  # noqa: N802 (metafor's name)
        """Bayesian information criterion, -2ℓ + parameters·log n; n is k, or k - p under REML."""
        return -2.0 * self.ll + self.parameters * float(np.log(self._observations))

    @property
    def AICc(self) -> float:  # noqa: N802 (metafor's name)
        """Akaike's criterion corrected for few rows; n at least parameters + 2 in the correction."""
        n = max(self._observations, self.parameters + 2)
        return -2.0 * self.ll + 2.0 * self.parameters * n / (n - self.parameters - 1)

    @property
    def citations(self) -> tuple[str, ...]:
        """Publications of the estimator, the test, and the intervals that are given."""
        known = (
            ("viechtbauer2007", np.isfinite(self.tau2_ci_ub) and self.method not in HOMOGENEOUS),
            ("riley2011", np.isfinite(self.pi_lb)),
        )
        intervals = (key for key, given in known if given)
        return (METHOD_SOURCES[self.method], *TEST_SOURCES[self.test], *intervals)

    @property
    def _observations(self) -> int:
        return self.dfs if self.method == "REML" else self.k

    def to_dict(self) -> dict[str, Any]:
        """All fields but ``vb``, and AIC, BIC, AICc, for JSON: lists, numbers, strings, None where undefined."""
        kept = {field.name: plain(getattr(self, field.name)) for field in fields(self) if field.name != "vb"}
        return kept | {name: plain(getattr(self, name)) for name in ("AIC", "BIC", "AICc")}

    def __str__(self) -> str:
        """As a paper's table: coefficients, heterogeneity, tests, prediction interval."""
        percent = f"{100.0 * self.level:g}%"
        statistic = "z" if self.test == "z" else f"t({self.dfs})"
        lines = [
            f"{METHOD_NAMES[self.method]}, {TEST_NAMES[self.test]}, k = {self.k}",
            "",
            coefficient_table("", self.names, self._columns(), statistic=statistic, ends=f"{percent} CI"),
            "",
            *self._heterogeneity(percent),
        ]
        if self.p > 1:
            law = f"QM({self.QM_df})" if self.test == "z" else f"F({self.QM_df}, {self.dfs})"
            lines.append(f"Moderators: {law} = {number(self.QM)}, p {p_value(self.QMp)}")
        if np.isfinite(self.R2):
            lines.append(f"Heterogeneity accounted for: R² = {self.R2:.1f}%")
        if np.isfinite(self.pi_lb):
            lines.append(f"{percent} prediction interval {interval(self.pi_lb, self.pi_ub)}")
        return "\n".join([*lines, *self.notes])

    def _heterogeneity(self, percent: str) -> list[str]:
        lines = []
        if self.method not in HOMOGENEOUS:
            lines.append(
                f"tau² = {number(self.tau2)} (SE {number(self.se_tau2)}; {percent} CI "
                f"{interval(self.tau2_ci_lb, self.tau2_ci_ub)}), I² = {self.I2:.1f}%, H² = {self.H2:.2f}"
            )
        if self.QE_df > 0:
            lines.append(f"Heterogeneity: Q({self.QE_df}) = {number(self.QE)}, p {p_value(self.QEp)}")
        return lines

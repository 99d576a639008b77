"""What a multilevel fit returns: ``Multilevel``, under the names metafor users know."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from dualtrace.pooling.contract import freeze, require_choice, require_level
from dualtrace.pooling.result import COEFFICIENTS, Result
from dualtrace.pooling.text import coefficient_table, number, p_value
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array
    from dualtrace.pooling.multilevel.source import Source

Method = Literal["REML", "ML"]
"""Restricted or full maximum likelihood."""

Test = Literal["z", "t"]
"""Wald test against the normal distribution, or the t distribution with k - p degrees of freedom."""

ComponentName = Literal["sigma2", "tau2", "rho", "gamma2", "phi"]
"""Variance of a level; variance and correlation of the first and of further structured terms."""


@dataclass(frozen=True, slots=True)
class VarianceComponent:
    """One variance or correlation of the random effects.

    Attributes
    ----------
    name
        ``sigma2``, ``tau2``, ``rho``, ``gamma2`` or ``phi``.
    term
        Name of the random term.
    levels
        Inner level (of a variance) or levels (of a correlation); empty where one number serves all.
    value
        Estimate; NaN where the rows say nothing about it.
    groups
        Outer groups.
    fixed
        Whether the value was given, not estimated.
    """

    name: ComponentName
    term: str
    levels: tuple[str, ...]
    value: float
    groups: int
    fixed: bool = False

    @property
    def label(self) -> str:
        """``sigma2[study]``, ``rho[outer: math, verbal]``."""
        inner = f": {', '.join(self.levels)}" if self.levels else ""
        return f"{self.name}[{self.term}{inner}]"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Multilevel(Result):
    """A fitted multilevel or multivariate model y ~ N(Xβ, V + ZΨZ').

    Attributes
    ----------
    names, beta, se, zval, pval, ci_lb, ci_ub, vb
        Coefficients: name, estimate, standard error, statistic (z or t), two-sided p, interval, covariance.
    components
        Variances and correlations of the random effects.
    psi
        Covariance matrix of each random term.
    I2
        Share in percent of each level's variance in the total variability of a row; NaN with structured terms.
    QE, QE_df, QEp
        Test of residual heterogeneity: all variances 0.
    QM, QM_df, QMp
        Omnibus test of all coefficients but the intercept; of all when there is none or nothing else.
        Chi-squared under z, F with (QM_df, dfs) under t.
    ll, parms, AIC, BIC, AICc
        Log-likelihood with all constants (restricted under REML), number of parameters, information criteria.
    k, p, dfs
        Rows, coefficients, k - p.
    method, test, level, slab
        As asked for.
    converged, status, gain, steps
        Whether the maximum was found, the same as a sentence, the log-likelihood one more step would gain, and
        the steps taken.
    notes
        Sentences on anything unusual.
    source
        The checked input and the solved equations, for what is computed from a fit.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = COEFFICIENTS
    SOURCES: ClassVar[tuple[str, ...]] = ("konstantopoulos2011",)

    names: tuple[str, ...]
    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    vb: Array
    components: tuple[VarianceComponent, ...]
    psi: tuple[Array, ...]
    I2: Array
    QE: float
    QE_df: int
    QEp: float
    QM: float
    QM_df: int
    QMp: float
    ll: float
    parms: int
    AIC: float
    BIC: float
    AICc: float
    k: int
    p: int
    dfs: int
    method: Method
    test: Test
    level: float
    slab: tuple[str, ...]
    converged: bool
    status: str
    gain: float
    steps: int
    notes: tuple[str, ...]
    source: Source

    def __post_init__(self) -> None:
        require_choice("method", self.method, get_args(Method))
        require_choice("test", self.test, get_args(Test))
        require_level(self.level)
        if not all(len(part) == self.p for part in (self.names, *self._columns())):
            raise ValueError(f"coefficients must number p = {self.p}")
        if any(c.name in {"sigma2", "tau2", "gamma2"} and c.value < 0.0 for c in self.components):
            raise ValueError("variances must be 0 or more")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.beta, self.se, self.zval, self.pval, self.ci_lb, self.ci_ub

    def _named(self, name: ComponentName) -> Array:
        return np.array([c.value for c in self.components if c.name == name])

    @property
    def sigma2(self) -> Array:
        """Variance of each level."""
        return self._named("sigma2")

    @property
    def tau2(self) -> Array:
        """Variances of the first structured term."""
        return self._named("tau2")

    @property
    def rho(self) -> Array:
        """Correlations of the first structured term."""
        return self._named("rho")

    @property
    def gamma2(self) -> Array:
        """Variances of further structured terms."""
        return self._named("gamma2")

    @property
    def phi(self) -> Array:
        """Correlations of further structured terms."""
        return self._named("phi")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: all fields but matrices and source, components by label."""
        left_out = {"vb", "psi", "source", "components"}
        found = {field.name: plain(getattr(self, field.name)) for field in fields(self) if field.name not in left_out}
        return found | {"components": {c.label: plain(c.value) for c in self.components}}

    def __str__(self) -> str:
        """As a paper's tables: coefficients, variances and correlations, tests, fit."""
        percent = f"{100.0 * self.level:g}%"
        statistic = "z" if self.test == "z" else f"t({self.dfs})"
        lines = [
            f"Multilevel model ({self.method}), Wald {self.test}, k = {self.k}",
            "",
            coefficient_table("", self.names, self._columns(), statistic=statistic, ends=f"{percent} CI"),
            "",
            *self._heterogeneity(),
        ]
        if self.p > 1:
            law = f"QM({self.QM_df})" if self.test == "z" else f"F({self.QM_df}, {self.dfs})"
            lines.append(f"Moderators: {law} = {number(self.QM)}, p {p_value(self.QMp)}")
        fit = ", ".join(f"{key} {number(getattr(self, key))}" for key in ("AIC", "BIC", "AICc"))
        lines.append(f"log-likelihood {number(self.ll)}, {fit}")
        if not self.converged:
            lines.append(self.status)
        return "\n".join([*lines, *self.notes])

    def _heterogeneity(self) -> list[str]:
        lines = []
        if self.components:
            shares = [number(i, 1) for i in self.I2] if np.isfinite(self.I2).all() else [""] * len(self.components)
            shares = shares if len(shares) == len(self.components) else [""] * len(self.components)
            rows = [
                (c.label, number(c.value), "fixed" if c.fixed else str(c.groups), share)
                for c, share in zip(self.components, shares, strict=True)
            ]
            lines += [table(("random effects", "estimate", "groups", "I²%"), rows), ""]
        if self.QE_df > 0:
            lines.append(f"Heterogeneity: Q({self.QE_df}) = {number(self.QE)}, p {p_value(self.QEp)}")
        return lines

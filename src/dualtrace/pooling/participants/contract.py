"""What an analysis of individual participants returns: ``OneStage`` and ``TwoStage``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from dualtrace.pooling.contract import freeze, require_level
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import interval, number, p_value
from dualtrace.printed import plain, table

if TYPE_CHECKING:
    from pandas import DataFrame

    from dualtrace.pooling.contract import Pooled
    from dualtrace.pooling.likelihood import Array

Family = Literal["gaussian", "binomial"]
"""A measured outcome, or one that is 0 or 1 (effects are then log odds ratios)."""

Intercept = Literal["stratified", "random"]
"""Each trial its own level, or levels distributed around a common one."""

Residual = Literal["shared", "by_trial"]
"""One residual variance, or one for each trial."""

MAIN = ("treatment", "interaction_within", "interaction_across")
"""Coefficients that answer the question; the others are adjusted for."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OneStage(Result):
    """One mixed model of all participants.

    Attributes
    ----------
    names, beta, se, zval, pval, ci_lb, ci_ub
        Coefficients: ``treatment``, with a moderator ``interaction_within`` (how the effect changes between
        participants of a trial) and ``interaction_across`` (how it changes between trials, open to confounding),
        and those adjusted for.
    df
        Degrees of freedom: Satterthwaite's for measured outcomes, infinite (normal) for binary ones.
    vb
        Covariance of the coefficients, (p, p).
    random, psi
        What varies between trials, and its covariance, (q,) and (q, q).
    sigma2
        Residual variances, one or one per trial; empty for binary outcomes.
    ll
        Log-likelihood; restricted under REML.
    n, k, level
        Participants, trials, confidence level.
    family, intercept, method
        The model. Binary outcomes are fitted by maximum likelihood.
    slab
        Labels of the trials.
    notes
        Sentences on what was left out.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("riley2020",)
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"vb"})

    names: tuple[str, ...]
    beta: Array
    se: Array
    zval: Array
    pval: Array
    ci_lb: Array
    ci_ub: Array
    df: Array
    vb: Array
    random: tuple[str, ...]
    psi: Array
    sigma2: Array
    ll: float
    n: int
    k: int
    level: float
    family: Family
    intercept: Intercept
    method: Literal["REML", "ML"]
    slab: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_level(self.level)
        p, q = len(self.names), len(self.random)
        if any(len(c) != p for c in self._columns()) or self.vb.shape != (p, p) or self.psi.shape != (q, q):
            raise ValueError(f"coefficients must number p = {p} and random effects q = {q}")
        if np.any(np.diag(self.psi) < 0.0) or np.any(self.sigma2 < 0.0) or len(self.slab) != self.k:
            raise ValueError("variances must be 0 or more and trials number k")
        freeze(self)

    def _columns(self) -> tuple[Array, ...]:
        return self.beta, self.se, self.zval, self.df, self.pval, self.ci_lb, self.ci_ub

    @property
    def tau2(self) -> float:
        """Variance of the treatment effect between trials; NaN where it does not vary."""
        if "treatment" not in self.random:
            return float("nan")
        return float(np.diag(self.psi)[self.random.index("treatment")])

    def to_dict(self) -> dict[str, Any]:
        """All fields but ``vb``, and the variance of the treatment effect."""
        # super() without arguments does not work in a dataclass with slots
        return Result.to_dict(self) | {"tau2": plain(self.tau2)}

    def to_frame(self) -> DataFrame:
        """Coefficients as a table, one row each."""
        from pandas import DataFrame

        keys = ("beta", "se", "zval", "df", "pval", "ci_lb", "ci_ub")
        return DataFrame(dict(zip(keys, self._columns(), strict=True)), index=list(self.names))

    def __str__(self) -> str:
        """As a paper's table: the coefficients that answer the question, then what varies between trials."""
        percent = f"{100.0 * self.level:g}% CI"
        binary = self.family == "binomial"
        rows = [
            (
                name,
                number(b),
                number(se),
                number(z),
                number(df, 1),
                p_value(p).removeprefix("= "),
                interval(low, high),
            )
            for name, b, se, z, df, p, low, high in zip(self.names, *self._columns(), strict=True)
            if name in MAIN
        ]
        kind = "Logistic mixed model (ML), log odds ratios" if binary else f"Linear mixed model ({self.method})"
        varies = ", ".join(f"{n} {number(v)}" for n, v in zip(self.random, np.diag(self.psi), strict=True))
        lines = [
            f"One-stage analysis. {kind}, {self.intercept} intercepts, {self.n} participants in {self.k} trials",
            "",
            table(("", "estimate", "se", "z" if binary else "t", "df", "p", percent), rows),
            "",
            f"Variance between trials: {varies}",
        ]
        if not binary:
            lines.append("Residual variance: " + ", ".join(number(s) for s in self.sigma2))
        return "\n".join([*lines, f"Log-likelihood {number(self.ll)}", *self.notes])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoStage(Result):
    """Each trial analysed by itself, then pooled.

    Attributes
    ----------
    yi, vi
        Treatment effect of each trial and its variance, (k,).
    treatment
        Their pooled answer.
    interaction
        Pooled treatment x moderator coefficients, from within trials only; None without a moderator.
    slab
        Labels of the trials.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("riley2020",)

    yi: Array
    vi: Array
    treatment: Pooled
    interaction: Pooled | None
    slab: tuple[str, ...]

    def __post_init__(self) -> None:
        freeze(self)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "yi": plain(self.yi),
            "vi": plain(self.vi),
            "slab": list(self.slab),
            "treatment": self.treatment.to_dict(),
            "interaction": None if self.interaction is None else self.interaction.to_dict(),
        }

    def __str__(self) -> str:
        """Both pooled answers."""
        parts = ["Two-stage analysis. Treatment:", str(self.treatment)]
        if self.interaction is not None:
            parts += ["", "Treatment x moderator, within trials:", str(self.interaction)]
        return "\n".join(parts)

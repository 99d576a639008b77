"""What a selection model returns: ``Selection``, under the names metafor users know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from dualtrace.pooling.contract import freeze, require_choice, require_level
from dualtrace.pooling.result import COEFFICIENTS, Result
from dualtrace.pooling.small_study.smooth import SmoothKind, features_of, log_weight
from dualtrace.pooling.text import coefficient_table, interval, number, p_value

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array

SelectionKind = Literal["stepfun", "beta", "halfnorm", "negexp", "logistic", "power"]
"""Form of the selection function."""

Alternative = Literal["greater", "less", "two.sided"]
"""Which results have small p values."""

Intervals = Literal["wald", "profile"]
"""Intervals from standard errors, or from the profile likelihood."""

SelectionMethod = Literal["ML", "EE"]
"""Random effects by maximum likelihood, or equal effects (τ² = 0)."""

KIND_NAMES: dict[SelectionKind, str] = {
    "stepfun": "Step function selection model",
    "beta": "Beta selection model",
    "halfnorm": "Half-normal selection model",
    "negexp": "Negative-exponential selection model",
    "logistic": "Logistic selection model",
    "power": "Power selection model",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Selection(Result):
    """A fitted selection model.

    Undefined numbers are NaN: errors of parameters that were fixed or stand at a bound, likelihood-ratio tests of
    nothing.

    Attributes
    ----------
    names, beta, se, zval, pval, ci_lb, ci_ub
        Coefficients before selection: name, estimate, standard error, z, two-sided p, interval.
    vb
        Covariance matrix of the coefficients, (p, p).
    tau2, se_tau2, tau2_ci_lb, tau2_ci_ub
        Between-row variance before selection, its standard error, its interval.
    delta_names, delta, se_delta, zval_delta, pval_delta, ci_lb_delta, ci_ub_delta
        Parameters of the selection function, tested against no selection; intervals cut at 0.
    counts
        Rows in each interval of the p value (step function); empty otherwise.
    steps
        Cutpoints of the p value: ends of the intervals of a step function, 1 included; else the p value up to
        which all results are reported alike, if any.
    ll, ll0
        Log-likelihood with and without selection, constants included.
    LRT, LRTdf, LRTp
        Likelihood-ratio test of the selection parameters that were estimated.
    LRT_tau2, LRTp_tau2
        Likelihood-ratio test of τ² = 0 within the selection model, one degree of freedom.
    k, p
        Rows, coefficients.
    kind, alternative, method, intervals, level
        What was fitted.
    slab
        Labels of the rows.
    notes
        Sentences on anything a reader must know.
    """

    INDEX: ClassVar[str] = "names"
    COLUMNS: ClassVar[tuple[str, ...]] = COEFFICIENTS
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"vb"})

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
    delta_names: tuple[str, ...]
    delta: Array
    se_delta: Array
    zval_delta: Array
    pval_delta: Array
    ci_lb_delta: Array
    ci_ub_delta: Array
    counts: tuple[int, ...]
    steps: tuple[float, ...]
    ll: float
    ll0: float
    LRT: float
    LRTdf: int
    LRTp: float
    LRT_tau2: float
    LRTp_tau2: float
    k: int
    p: int
    kind: SelectionKind
    alternative: Alternative
    method: SelectionMethod
    intervals: Intervals
    level: float
    slab: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_choice("kind", self.kind, get_args(SelectionKind))
        require_level(self.level)
        if self.tau2 < 0.0 or len(self.delta) != len(self.delta_names) or len(self.beta) != len(self.names):
            raise ValueError("a variance must be 0 or more and every parameter must have a name")
        freeze(self)

    def weight(self, p: Array) -> Array:
        """Relative probability of being reported at p values, for rows of the least precision."""
        if self.kind == "stepfun":
            chosen: Array = self.delta[np.searchsorted(self.steps, p, side="left")]
            return chosen
        return smooth_weight(self.kind, self.delta, np.asarray(p, dtype=float), self.steps)

    @property
    def citations(self) -> tuple[str, ...]:
        """Publication of this selection function."""
        return ({"stepfun": "vevea1995", "beta": "citkowicz2017"}.get(self.kind, "preston2004"),)

    def __str__(self) -> str:
        """As a paper's table: coefficients, heterogeneity, selection parameters and their tests."""
        percent = f"{100.0 * self.level:g}% CI" + (" (profile)" if self.intervals == "profile" else "")
        mean = (self.beta, self.se, self.zval, self.pval, self.ci_lb, self.ci_ub)
        weights = (
            self.delta,
            self.se_delta,
            self.zval_delta,
            self.pval_delta,
            self.ci_lb_delta,
            self.ci_ub_delta,
        )
        lines = [
            f"{KIND_NAMES[self.kind]} ({self.method}), {self.alternative}, k = {self.k}",
            "",
            coefficient_table("", self.names, mean, ends=percent),
            "",
            (
                f"tau² = {number(self.tau2)} (SE {number(self.se_tau2)}; {percent} "
                f"{interval(self.tau2_ci_lb, self.tau2_ci_ub)})"
            ),
            "",
            coefficient_table("selection", self.delta_names, weights, ends=percent),
        ]
        if self.LRTdf:
            lines += ["", f"Selection: LRT({self.LRTdf}) = {number(self.LRT)}, p {p_value(self.LRTp)}"]
        return "\n".join([*lines, *self.notes])


def smooth_weight(kind: SmoothKind, delta: Array, p: Array, steps: tuple[float, ...]) -> Array:
    """Relative probability of being reported under a smooth selection function, 1 up to the step if there is one."""
    flat = np.atleast_1d(p)
    found = features_of(kind, flat[None], threshold=steps[0] if steps else 0.0, scale=np.ones(1))
    eta = np.log(delta) if kind == "beta" else delta
    return np.asarray(np.exp(log_weight(found, eta[None]).log[0]).reshape(np.shape(p)))

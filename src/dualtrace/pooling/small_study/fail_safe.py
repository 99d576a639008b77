"""Fail-safe N: how many studies without an effect it would take to undo the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.contract import require_choice
from dualtrace.pooling.result import Result
from dualtrace.pooling.text import number, p_value
from dualtrace.pooling.univariate import fit, problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualtrace.pooling.contract import Tau2Method
    from dualtrace.pooling.likelihood import Array

FailSafeKind = Literal["Rosenthal", "Fisher", "Orwin", "Rosenberg", "General"]
"""Whose method; see ``fail_safe_n``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailSafe(Result):
    """Number of studies without an effect.

    Attributes
    ----------
    kind
        Method.
    fsnum
        Smallest number of such studies; 0 when the result does not hold as it is.
    alpha
        Level of significance to be lost; NaN when a target effect was used.
    target
        Effect to be reached; NaN when significance was used.
    pval
        P value of the rows given; NaN for Orwin.
    meanes
        Their mean effect; NaN for Rosenthal and Fisher.
    k
        Rows.
    """

    kind: FailSafeKind
    fsnum: int
    alpha: float
    target: float
    pval: float
    meanes: float
    k: int

    @property
    def citations(self) -> tuple[str, ...]:
        """Rosenthal's or Orwin's paper; the other kinds are described by both."""
        return ("orwin1983",) if self.kind == "Orwin" else ("rosenthal1979",)

    def __str__(self) -> str:
        """One line."""
        goal = f"p > {self.alpha:g}" if np.isfinite(self.alpha) else f"a mean of {number(self.target)}"
        now = f"p {p_value(self.pval)}" if np.isfinite(self.pval) else f"mean {number(self.meanes)}"
        return f"Fail-safe N ({self.kind}): {self.fsnum} null studies for {goal} (k = {self.k}, now {now})"


def fail_safe_n(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    kind: FailSafeKind = "Rosenthal",
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = False,
    slab: Sequence[Any] | None = None,
    method: Tau2Method = "REML",
) -> FailSafe:
    """Count the studies averaging no effect that would undo the result.

    Rosenthal  (Σz)²/z_α² - k, z_i = y_i/√v_i, one-sided α by Stouffer's method
    Fisher     Fisher's method: smallest N with P(χ²_{2(k+N)} >= -2 Σ log p_i - 2N log ½) > α, one-sided p_i
    Orwin      k (|ȳ| - target)/target, ȳ plain or weighted by 1/v_i; target: ȳ/2 unless given
    Rosenberg  k [(Σwy)²/z² - Σw]/Σw, w = 1/v, two-sided α of the equal-effects model
    General    the same with w = 1/(v + τ²), and null studies as precise as the harmonic mean of v; or, given a
               target, until the mean reaches it

    The side of one-sided tests is that of the rows together.

    Parameters
    ----------
    yi, vi, slab
        As in ``univariate.fit``.
    kind
        Method.
    alpha
        Level of significance.
    target
        Mean effect (Orwin and General); its sign is taken from the rows.
    weighted
        Whether Orwin's mean is weighted.
    method
        Estimator of τ² for General, where τ² is kept while studies are added.

    Raises
    ------
    FitError
        If the rows cannot be used.
    InputError
        If an option cannot be used.

    Sources: Rosenthal 1979, doi:10.1037/0033-2909.86.3.638; Becker 2005, doi:10.1002/0470870168.ch7; Orwin 1983,
    doi:10.3102/10769986008002157; Rosenberg 2005, doi:10.1111/j.0014-3820.2005.tb01004.x.
    """
    require_choice("kind", kind, get_args(FailSafeKind))
    if not 0.0 < alpha < 1.0:
        raise InputError(f"alpha must lie between 0 and 1; given {alpha:g}.")
    if target is not None and not (np.isfinite(target) and target != 0.0):
        raise InputError(f"target must be a number other than 0; given {target:g}.")
    given = problem(yi, vi, slab=slab)
    y, v, k = given.y, given.v, given.y.size
    if kind in ("Rosenthal", "Fisher"):
        count, p = _stouffer(y, v, alpha) if kind == "Rosenthal" else _fisher(y, v, alpha)
        return FailSafe(kind=kind, fsnum=_whole(count), alpha=alpha, target=np.nan, pval=p, meanes=np.nan, k=k)
    if kind == "Orwin":
        mean = float(np.average(y, weights=1.0 / v if weighted else None))
        goal = abs(mean) / 2.0 if target is None else abs(target)
        count = k * (abs(mean) - goal) / goal if goal > 0.0 else 0.0
        signed = float(np.copysign(goal, mean))
        return FailSafe(kind=kind, fsnum=_whole(count), alpha=np.nan, target=signed, pval=np.nan, meanes=mean, k=k)
    tau2 = 0.0 if kind == "Rosenberg" else fit(y, v, method=method).tau2
    typical = k / np.sum(1.0 / v)
    weight, null = 1.0 / (v + tau2), 1.0 / (typical + tau2)
    total, pull = float(weight.sum()), abs(float(weight @ y))
    if kind == "General" and target is not None:
        needed, goal = pull / abs(target) - total, float(np.copysign(abs(target), weight @ y))
    else:
        needed, goal = (pull / float(special.ndtri(1.0 - alpha / 2.0))) ** 2 - total, np.nan
    p = float(2.0 * special.ndtr(-pull / np.sqrt(total)))
    level = alpha if np.isnan(goal) else np.nan
    mean = float(weight @ y) / total
    return FailSafe(kind=kind, fsnum=_whole(needed / null), alpha=level, target=goal, pval=p, meanes=mean, k=k)


def _whole(count: float) -> int:
    """Round up, below 0 to 0; a whole number that rounding error lifted stays itself."""
    return max(0, int(np.ceil(count - 1e-9 * (1.0 + abs(count)))))


def _stouffer(y: Array, v: Array, alpha: float) -> tuple[float, float]:
    """Null studies until Σz/√(k+N) falls to the one-sided critical value, and p without them."""
    total = abs(float(np.sum(y / np.sqrt(v))))
    return (total / float(special.ndtri(1.0 - alpha))) ** 2 - y.size, float(special.ndtr(-total / np.sqrt(y.size)))


def _fisher(y: Array, v: Array, alpha: float) -> tuple[float, float]:
    """Null studies, each of p = ½, until Fisher's combined p exceeds alpha, and p without them."""
    z = y / np.sqrt(v) * np.sign(np.sum(y / np.sqrt(v)))
    statistic = -2.0 * float(special.log_ndtr(-z).sum())

    def combined(n: int) -> float:
        return float(special.chdtrc(2.0 * (y.size + n), statistic + 2.0 * n * np.log(2.0)))

    now = combined(0)
    if now > alpha:
        return 0.0, now
    low, high = 0, 1
    while combined(high) <= alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if combined(middle) <= alpha else (low, middle)
    return float(high), now

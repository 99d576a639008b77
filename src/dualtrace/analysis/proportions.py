"""Responders and remitters: proportions by arm, their difference and ratio, with intervals that hold in small arms.

    Wilson:    (p̂ + z²/2n ± z √(p̂(1 - p̂)/n + z²/4n²)) / (1 + z²/n)
    Newcombe:  d - √((p̂₁ - l₁)² + (u₀ - p̂₀)²),  d + √((u₁ - p̂₁)² + (p̂₀ - l₀)²), (l, u) Wilson's limits
    ratio:     all φ with (p̂₁ - φp̂₀)² <= z² [p̃₁(1 - p̃₁)/n₁ + φ² p̃₀(1 - p̃₀)/n₀], p̃ most likely under p₁ = φp₀

The p value is that of the score test of equal proportions, the one the ratio's interval inverts.

Sources: Wilson 1927, doi:10.1080/01621459.1927.10502953; Newcombe 1998,
doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I; Koopman 1984, doi:10.2307/2531405.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final, get_args

import numpy as np
from scipy import special

from dualtrace.analysis.inputs import arms, common_shape, numbers, require_choice, require_level
from dualtrace.analysis.result import Array, Ints, Result, freeze, interval, mean, number, p_value, rejected
from dualtrace.errors import FitError, InputError
from dualtrace.printed import table

if TYPE_CHECKING:
    from dualtrace.analysis.result import Flags

Missing = Literal["left out", "failure"]
"""Patients without an outcome are left out, or counted as failures as trials of response often do."""

WIDEST = 60.0
"""Largest |log ratio| that is searched for an end of an interval."""

HALVINGS = 70
"""Bisections of that range: to the last digit."""


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Proportions(Result):
    """Proportions by arm and comparisons with the reference arm.

    Every array may have leading axes (...,), one entry per data set; what is undefined (an empty arm) is NaN.

    Attributes
    ----------
    arms
        Labels of the A arms; the reference comes first.
    events, n
        Patients with the outcome, and all counted, (..., A).
    proportion, ci_lb, ci_ub
        Proportions with Wilson's interval, (..., A).
    difference, difference_ci_lb, difference_ci_ub
        Other arms less the reference, with Newcombe's interval, (..., A - 1).
    ratio, ratio_ci_lb, ratio_ci_ub
        Other arms over the reference, with Koopman's score interval, (..., A - 1); NaN without any event.
    z, p
        Score test of equal proportions, two-sided, (..., A - 1).
    missing, level
        What was done with missing outcomes; confidence level.
    """

    arms: tuple[str, ...]
    events: Ints
    n: Ints
    proportion: Array
    ci_lb: Array
    ci_ub: Array
    difference: Array
    difference_ci_lb: Array
    difference_ci_ub: Array
    ratio: Array
    ratio_ci_lb: Array
    ratio_ci_ub: Array
    z: Array
    p: Array
    missing: Missing
    level: float

    def __post_init__(self) -> None:
        require_level(self.level)
        if np.any(self.events > self.n) or np.any(self.events < 0):
            raise ValueError("events must lie between 0 and n")
        if self.difference.shape[-1] != len(self.arms) - 1 or self.events.shape[-1] != len(self.arms):
            raise ValueError(f"there must be {len(self.arms)} proportions and {len(self.arms) - 1} comparisons")
        freeze(self)

    def __str__(self) -> str:
        """As a paper's table; of a batch the means over its data sets, and how often p falls below 1 - level."""
        batch = self.n.ndim > 1
        percent = f"{100.0 * self.level:g}% CI"
        events, n = mean(self.events), mean(self.n)
        share = [mean(c) for c in (self.proportion, self.ci_lb, self.ci_ub)]
        groups = (
            (a, f"{events[j]:g}/{n[j]:g}", number(share[0][j]), interval(share[1][j], share[2][j]))
            for j, a in enumerate(self.arms)
        )
        d = [mean(c) for c in (self.difference, self.difference_ci_lb, self.difference_ci_ub)]
        r = [c if c.ndim == 1 else np.nanmedian(c, axis=tuple(range(c.ndim - 1))) for c in self._ratios()]
        rows = (
            (
                f"{a} - {self.arms[0]}",
                number(d[0][j]),
                interval(d[1][j], d[2][j]),
                number(r[0][j]),
                interval(r[1][j], r[2][j]),
                "-" if batch else p_value(float(self.p[j])),
            )
            for j, a in enumerate(self.arms[1:])
        )
        lines = [f"Proportions; patients without an outcome: {self.missing}"]
        lines += [f"{self.n[..., 0].size} data sets: means, of ratios medians"] if batch else []
        lines += ["", table(("arm", "events/n", "proportion", percent), groups), ""]
        lines += [table(("comparison", "difference", percent, "ratio", percent, "p"), rows)]
        return "\n".join([*lines, *(rejected(self.arms[1:], self.p, self.level) if batch else [])])

    def _ratios(self) -> tuple[Array, Array, Array]:
        return self.ratio, self.ratio_ci_lb, self.ratio_ci_ub


def proportions(
    outcome: Any,  # noqa: ANN401
    arm: Any,  # noqa: ANN401
    *,
    missing: Missing = "left out",
    reference: Any = None,  # noqa: ANN401
    level: float = 0.95,
) -> Proportions:
    """Compare the share of patients with an outcome (response, remission) between arms.

    Parameters
    ----------
    outcome
        1 or 0 for each patient, (..., n); NaN where missing. Leading axes are data sets analysed by themselves.
    arm
        Label of each patient's arm, whole numbers or text, (..., n).
    missing
        Whether patients without an outcome are left out or counted as failures (0).
    reference
        Arm to compare the others with; by default the first label in order (0 of 0 and 1).
    level
        Confidence level.

    Raises
    ------
    InputError
        If an outcome is not 0, 1 or missing, or there is one arm only.
    FitError
        If an arm has nobody to count; in a batch only if that is so in every data set.
    """
    require_level(level)
    require_choice("missing", missing, get_args(Missing))
    y, group = numbers("outcome", outcome, missing=True), arms(arm, reference)
    odd = ~np.isnan(y) & (y != 0.0) & (y != 1.0)
    if odd.any():
        raise InputError(f"outcome must be 0, 1 or NaN; given {y[odd][0]:g}. Code having the outcome as 1.")
    common_shape(outcome=y, arm=group.codes)
    if missing == "failure":
        y = np.where(np.isnan(y), 0.0, y)
    member: Flags = group.codes[..., None, :] == np.arange(len(group.labels))[:, None]
    n = (member & ~np.isnan(y)[..., None, :]).sum(axis=-1)
    events = (member & (y == 1.0)[..., None, :]).sum(axis=-1)
    if (n == 0).any(axis=-1).all():
        empty = group.labels[int(np.argmax(n.reshape(-1, n.shape[-1])[0] == 0))]
        raise FitError(f"Arm {empty} has no patient with an outcome, so nothing can be compared.")
    return _compared(events, n, group.labels, missing, level)


def wilson(events: Array, n: Array, level: float) -> tuple[Array, Array]:
    """Wilson's interval of proportions; NaN where n is 0."""
    z = float(special.ndtri(0.5 * (1.0 + level)))
    with np.errstate(invalid="ignore", divide="ignore"):
        p = events / n
        middle = p + z**2 / (2.0 * n)
        half = z * np.sqrt(p * (1.0 - p) / n + z**2 / (4.0 * n**2))
        low, high = (middle - half) / (1.0 + z**2 / n), (middle + half) / (1.0 + z**2 / n)
    # rounding must not move an end past the bound it stands on
    return np.where(events == 0.0, 0.0 * n, low), np.where(events == n, np.where(n > 0.0, 1.0, np.nan), high)


def _compared(events: Ints, n: Ints, labels: tuple[str, ...], missing: Missing, level: float) -> Proportions:
    """Proportions, and comparisons of the later arms with the first."""
    x, size = events.astype(np.float64), np.where(n > 0, n, np.nan)
    share = x / size
    low, high = wilson(x, size, level)
    first, other = share[..., :1], share[..., 1:]
    difference = other - first
    below = np.sqrt((other - low[..., 1:]) ** 2 + (high[..., :1] - first) ** 2)
    above = np.sqrt((high[..., 1:] - other) ** 2 + (first - low[..., :1]) ** 2)
    counts = np.broadcast_arrays(x[..., 1:], size[..., 1:], x[..., :1], size[..., :1])
    quantile = float(special.ndtri(0.5 * (1.0 + level)))
    z = _score(np.zeros(counts[0].shape), *counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = other / first
    return Proportions(
        arms=labels,
        events=events,
        n=n,
        proportion=share,
        ci_lb=low,
        ci_ub=high,
        difference=difference,
        difference_ci_lb=difference - below,
        difference_ci_ub=difference + above,
        ratio=ratio,
        ratio_ci_lb=_end(quantile, *counts),
        ratio_ci_ub=_end(-quantile, *counts),
        z=z,
        p=np.asarray(2.0 * special.ndtr(-np.abs(z)), dtype=np.float64),
        missing=missing,
        level=level,
    )


def _score(log_ratio: Array, x1: Array, n1: Array, x0: Array, n0: Array) -> Array:
    """Score statistic of p₁ = φp₀ at log φ, falling in φ; 0 where nothing contradicts φ (no event at all)."""
    phi = np.exp(log_ratio)
    a, b, c = phi * (n1 + n0), phi * (n1 + x0) + x1 + n0, x1 + x0
    root = np.sqrt(np.maximum(b**2 - 4.0 * a * c, 0.0))
    p0 = 2.0 * c / (b + root)
    p1 = phi * p0
    variance = p1 * np.maximum(1.0 - p1, 0.0) / n1 + phi**2 * p0 * np.maximum(1.0 - p0, 0.0) / n0
    apart = x1 / n1 - phi * x0 / n0
    with np.errstate(invalid="ignore", divide="ignore"):
        z = apart / np.sqrt(variance)
    return np.where(np.isnan(n1 + n0), np.nan, np.where(apart == 0.0, 0.0, z))


def _end(target: float, x1: Array, n1: Array, x0: Array, n0: Array) -> Array:
    """The ratio at which the score statistic is ``target``: 0 or infinite where a count of 0 leaves it open."""
    low, high = np.full(x1.shape, -WIDEST), np.full(x1.shape, WIDEST)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = _score(middle, x1, n1, x0, n0) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    ends = np.exp(0.5 * (low + high))
    open_end = (x1 == 0.0) if target > 0.0 else (x0 == 0.0)
    ends = np.where(open_end, 0.0 if target > 0.0 else np.inf, ends)
    return np.where(np.isnan(n1 + n0), np.nan, ends)

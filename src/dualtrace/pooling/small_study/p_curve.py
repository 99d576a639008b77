"""p-curve: whether the significant p values alone speak of a true effect."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy import special

from dualtrace.errors import FitError
from dualtrace.pooling.result import Result
from dualtrace.pooling.small_study.significance import poisson_binomial
from dualtrace.pooling.text import number, p_value
from dualtrace.pooling.univariate import problem
from dualtrace.printed import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.pooling.likelihood import Array

ALPHA = 0.05
"""Two-sided level that makes a result significant; the method is defined at this one."""

LOW_POWER = 1.0 / 3.0
"""Power against which flatness is tested."""

POWER_RANGE = (0.0500001, 0.9999999)
"""Range in which power is estimated; at 0.05 there is no effect at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PCurve(Result):
    """Tests on the distribution of significant p values.

    Attributes
    ----------
    k, k_sig, k_half
        Rows, those with p < .05, those with p < .025.
    z_full, p_full, z_half, p_half
        Right skew by Stouffer's method, of p < .05 and of p < .025; a small p speaks of a true effect.
    p_binomial
        Right skew by the share of p < .025 among the significant.
    z_flat, p_flat, z_flat_half, p_flat_half, p_flat_binomial
        Flatter than if the studies had a power of one third; a small p says that evidence is inadequate.
    power, power_ci_lb, power_ci_ub
        Mean power of the significant studies, corrected for their selection, with a 90 % interval.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("simonsohn2014",)

    k: int
    k_sig: int
    k_half: int
    z_full: float
    p_full: float
    z_half: float
    p_half: float
    p_binomial: float
    z_flat: float
    p_flat: float
    z_flat_half: float
    p_flat_half: float
    p_flat_binomial: float
    power: float
    power_ci_lb: float
    power_ci_ub: float

    @property
    def evidential(self) -> bool:
        """Evidential value: half curve right-skewed at .05, or both curves at .1."""
        return self.p_half < 0.05 or (self.p_half < 0.1 and self.p_full < 0.1)

    @property
    def inadequate(self) -> bool:
        """Flatter than at a power of one third: full curve at .05, or half curve and binomial at .1."""
        return self.p_flat < 0.05 or (self.p_flat_half < 0.1 and self.p_flat_binomial < 0.1)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers = {field.name: plain(getattr(self, field.name)) for field in fields(self)}
        return numbers | {"evidential": self.evidential, "inadequate": self.inadequate}

    def __str__(self) -> str:
        """Tests and power in a few lines."""
        return "\n".join(
            (
                f"p-curve: {self.k_sig} of {self.k} results with p < .05, {self.k_half} with p < .025",
                (
                    f"Right skew: full z = {number(self.z_full)}, p {p_value(self.p_full)}; half z = "
                    f"{number(self.z_half)}, p {p_value(self.p_half)}; binomial p {p_value(self.p_binomial)}"
                ),
                (
                    f"Flatter than power 33%: full p {p_value(self.p_flat)}; half p {p_value(self.p_flat_half)}; "
                    f"binomial p {p_value(self.p_flat_binomial)}"
                ),
                f"Power {self.power:.0%} ({self.power_ci_lb:.0%} to {self.power_ci_ub:.0%})",
            )
        )


def p_curve(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    slab: Sequence[Any] | None = None,
) -> PCurve:
    """Analyse the distribution of the significant p values of Wald tests.

    Given significance, p/.05 is uniform without an effect and right-skewed with one. Each p value of a p value
    (``pp``) becomes a normal score; their sum over √k is the test statistic. Power is the one at which the scores
    sum to 0.

    Parameters
    ----------
    yi, vi, slab
        As in ``univariate.fit``.

    Raises
    ------
    FitError
        If no result is significant.

    Sources: Simonsohn, Nelson & Simmons 2014, doi:10.1037/a0033242; 2015 (half p-curve), doi:10.1037/xge0000104.
    """
    given = problem(yi, vi, slab=slab)
    z = np.abs(given.y) / np.sqrt(given.v)
    sig = z[two_sided(z) < ALPHA]
    if not sig.size:
        raise FitError(f"A p-curve is made of significant results; given {z.size} rows, none with p < .05.")
    half = sig[two_sided(sig) < ALPHA / 2.0]
    low = noncentrality(LOW_POWER)
    share = power_at(low, ALPHA / 2.0) / power_at(low, ALPHA)
    full, half_scores = scores(sig, 0.0, ALPHA), scores(half, 0.0, ALPHA / 2.0)
    flat, flat_half = -scores(sig, low, ALPHA), -scores(half, low, ALPHA / 2.0)
    n, m = sig.size, half.size
    law, law_low = poisson_binomial(np.full(n, 0.5)), poisson_binomial(np.full(n, share))
    return PCurve(
        k=z.size,
        k_sig=n,
        k_half=m,
        z_full=_stouffer(full),
        p_full=float(special.ndtr(_stouffer(full))),
        z_half=_stouffer(half_scores),
        p_half=float(special.ndtr(_stouffer(half_scores))),
        p_binomial=float(min(1.0, law[m:].sum())),
        z_flat=_stouffer(flat),
        p_flat=float(special.ndtr(_stouffer(flat))),
        z_flat_half=_stouffer(flat_half),
        p_flat_half=float(special.ndtr(_stouffer(flat_half))),
        p_flat_binomial=float(min(1.0, law_low[: m + 1].sum())),
        power=_power(sig, 0.0),
        power_ci_lb=_power(sig, float(special.ndtri(0.05))),
        power_ci_ub=_power(sig, float(special.ndtri(0.95))),
    )


def two_sided(z: Array) -> Array:
    """Two-sided p value of z statistics."""
    return np.asarray(2.0 * special.ndtr(-np.abs(z)))


def power_at(mean: float, alpha: float) -> float:
    """Power of the two-sided z test at noncentrality ``mean``."""
    return float(_beyond(np.array([special.ndtri(1.0 - alpha / 2.0)]), mean)[0])


def _beyond(z: Array, mean: float) -> Array:
    """P(|Z| > z), Z ~ N(mean, 1)."""
    return np.asarray(special.ndtr(mean - z) + special.ndtr(-mean - z))


def noncentrality(power: float) -> float:
    """Noncentrality at which the two-sided test at .05 has this power."""
    return _bisect(lambda mean: power_at(mean, ALPHA) - power, 0.0, 12.0)


def scores(z: Array, mean: float, alpha: float) -> Array:
    """Normal scores of the p values of significant results, given significance at ``alpha`` and noncentrality.

    ``pp`` = P(|Z| > z)/P(significant); uniform when the noncentrality is right.
    """
    pp = _beyond(z, mean) / power_at(mean, alpha)
    return np.asarray(special.ndtri(np.clip(pp, 1e-300, 1.0 - 1e-16)))


def _stouffer(values: Array) -> float:
    """Sum over the square root of the number; NaN for none."""
    return float(values.sum() / np.sqrt(values.size)) if values.size else np.nan


def _power(sig: Array, target: float) -> float:
    """Power at which Stouffer's statistic of the scores equals the target; it rises with power."""
    low, high = (noncentrality(power) for power in POWER_RANGE)

    def excess(mean: float) -> float:
        return _stouffer(scores(sig, mean, ALPHA)) - target

    if excess(low) >= 0.0:
        return ALPHA
    if excess(high) <= 0.0:
        return POWER_RANGE[1]
    return power_at(_bisect(excess, low, high), ALPHA)


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Zero of a rising function."""
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(middle) < 0.0 else (low, middle)
    return 0.5 * (low + high)

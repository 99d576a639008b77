"""Test of excess significance: more significant results than the power of the studies allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from scipy import special

from dualtrace.errors import InputError
from dualtrace.pooling.contract import freeze, require_choice
from dualtrace.pooling.result import Result
from dualtrace.pooling.small_study.selection_contract import Alternative
from dualtrace.pooling.text import number, p_value
from dualtrace.pooling.univariate import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualtrace.pooling.likelihood import Array, Flags

ExcessTest = Literal["exact", "chi2", "binom"]
"""Exact distribution of the number of significant results, Pearson's chi-squared, or binomial at the mean power."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Excess(Result):
    """Observed and expected numbers of significant results.

    Attributes
    ----------
    k, O, E, OEratio
        Rows; significant results observed and expected; their ratio.
    test, pval
        Test and its p value.
    X2
        Pearson's statistic, one degree of freedom.
    sig, power
        Which rows are significant, and their power.
    theta, tau2
        True effect and heterogeneity assumed for the power.
    theta_lim
        Effect on the side of ``theta`` below which the results are in excess at the level ``tes_alpha`` (under
        ``less``: above which they fall short); NaN when they do not even at ``H0``, or without end.
    alpha, alternative, tes_alternative, tes_alpha, H0
        As given.
    """

    SOURCES: ClassVar[tuple[str, ...]] = ("ioannidis2007",)

    k: int
    O: int  # noqa: E741 - the literature's name
    E: float
    OEratio: float
    test: ExcessTest
    pval: float
    X2: float
    sig: Flags
    power: Array
    theta: float
    tau2: float
    theta_lim: float
    alpha: float
    alternative: Alternative
    tes_alternative: Alternative
    tes_alpha: float
    H0: float

    def __post_init__(self) -> None:
        freeze(self)

    def __str__(self) -> str:
        """One or two lines."""
        lines = [
            (
                f"Test of excess significance ({self.test}, k = {self.k}): {self.O} significant, "
                f"{self.E:.2f} expected, ratio {self.OEratio:.2f}, p {p_value(self.pval)}"
            )
        ]
        if np.isfinite(self.theta_lim):
            lines.append(
                f"No longer in excess (p = {self.tes_alpha:g}) were the true effect {number(self.theta_lim)}"
            )
        return "\n".join(lines)


def excess_significance(
    yi: Any,  # noqa: ANN401
    vi: Any,  # noqa: ANN401
    *,
    test: ExcessTest = "exact",
    theta: float | None = None,
    tau2: float = 0.0,
    H0: float = 0.0,
    alpha: float = 0.05,
    alternative: Alternative = "two.sided",
    tes_alternative: Alternative = "greater",
    tes_alpha: float = 0.1,
    slab: Sequence[Any] | None = None,
) -> Excess:
    """Compare the number of significant results with the number expected from their power.

    Power is that of Wald tests when effects are N(θ, τ²), averaged over τ² in closed form: the z statistic is
    N((θ - H0)/√v, 1 + τ²/v).

    Parameters
    ----------
    yi, vi, slab
        As in ``univariate.fit``.
    test
        ``exact`` (a sum of Bernoulli variables, convolved), ``chi2`` or ``binom``.
    theta, tau2
        True effect, absent: mean weighted by 1/(v + τ²); heterogeneity.
    H0, alpha, alternative
        Of the tests of the single rows.
    tes_alternative, tes_alpha
        Of the test of excess; the level defines ``theta_lim``.

    Raises
    ------
    FitError
        If the rows cannot be used.
    InputError
        If an option cannot be used.

    Sources: Ioannidis & Trikalinos 2007, doi:10.1177/1740774507079441; Francis 2013,
    doi:10.1016/j.jmp.2013.02.003.
    """
    _check((test, alternative, tes_alternative), {"alpha": alpha, "tes_alpha": tes_alpha}, tau2)
    given = problem(yi, vi, slab=slab)
    y, v, k = given.y, given.v, given.y.size
    theta = float(np.average(y, weights=1.0 / (v + tau2))) if theta is None else theta
    sig = significant((y - H0) / np.sqrt(v), alpha, alternative)
    observed = int(sig.sum())

    tail = tes_alpha / 2.0 if tes_alternative == "two.sided" else tes_alpha
    deficit = tes_alternative == "less"

    def above(effect: float) -> float:
        assumed = power(effect - H0, v, tau2, (alpha, alternative))
        p = excess_p(observed, assumed, test, "less" if deficit else "greater")[0]
        return tail - p if deficit else p - tail

    chances = power(theta - H0, v, tau2, (alpha, alternative))
    p, x2 = excess_p(observed, chances, test, tes_alternative)
    expected = float(chances.sum())
    away = (theta - H0, float(np.sqrt(v.max())))
    return Excess(
        k=k,
        O=observed,
        E=expected,
        OEratio=observed / expected,
        test=test,
        pval=p,
        X2=x2,
        sig=sig,
        power=chances,
        theta=theta,
        tau2=tau2,
        theta_lim=_limit(above, H0, away),
        alpha=alpha,
        alternative=alternative,
        tes_alternative=tes_alternative,
        tes_alpha=tes_alpha,
        H0=H0,
    )


def _check(words: tuple[str, str, str], levels: dict[str, float], tau2: float) -> None:
    """Refuse options there are not."""
    allowed = (get_args(ExcessTest), get_args(Alternative), get_args(Alternative))
    for name, word, choices in zip(("test", "alternative", "tes_alternative"), words, allowed, strict=True):
        require_choice(name, word, choices)
    for name, level in levels.items():
        if not 0.0 < level < 1.0:
            raise InputError(f"{name} must lie between 0 and 1; given {level:g}.")
    if not tau2 >= 0.0:
        raise InputError(f"tau2, a variance, must be 0 or more; given {tau2:g}.")


def _critical(alpha: float, alternative: Alternative) -> float:
    """Critical value of the z test."""
    return float(special.ndtri(1.0 - (alpha / 2.0 if alternative == "two.sided" else alpha)))


def significant(z: Array, alpha: float, alternative: Alternative) -> Flags:
    """Which z statistics reject."""
    sided = {"two.sided": np.abs(z), "greater": z, "less": -z}[alternative]
    found: Flags = sided >= _critical(alpha, alternative)
    return found


def power(effect: float, v: Array, tau2: float, level: tuple[float, Alternative]) -> Array:
    """Chance of each row to be significant when its true effect (less H0) is N(effect, τ²), (k,)."""
    alpha, alternative = level
    critical, mean, spread = _critical(alpha, alternative), effect / np.sqrt(v), np.sqrt(1.0 + tau2 / v)
    upper, lower = special.ndtr((mean - critical) / spread), special.ndtr((-mean - critical) / spread)
    return np.asarray({"two.sided": upper + lower, "greater": upper, "less": lower}[alternative])


def excess_p(observed: int, chances: Array, test: ExcessTest, alternative: Alternative) -> tuple[float, float]:
    """P value that ``observed`` successes exceed (or fall short of) what the chances allow, and Pearson's X²."""
    k, expected = chances.size, float(chances.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        x2 = float(
            np.nan_to_num(np.square(observed - expected) * (1.0 / np.float64(expected) + 1.0 / (k - expected)))
        )
    if test == "chi2":
        signed = float(np.copysign(np.sqrt(x2), observed - expected))
        tails = (float(special.ndtr(-signed)), float(special.ndtr(signed)))
    else:
        law = poisson_binomial(chances if test == "exact" else np.full(k, expected / k))
        tails = (float(law[observed:].sum()), float(law[: observed + 1].sum()))
    if alternative == "two.sided":
        return min(1.0, 2.0 * min(tails)), x2
    return min(1.0, tails[0] if alternative == "greater" else tails[1]), x2


def poisson_binomial(chances: Array) -> Array:
    """Distribution of the number of successes in independent trials with these chances, (k + 1,)."""
    law = np.zeros(chances.size + 1)
    law[0] = 1.0
    for chance in chances:
        law[1:] = law[1:] * (1.0 - chance) + law[:-1] * chance
        law[0] *= 1.0 - chance
    return law


def _limit(above: Callable[[float], float], H0: float, away: tuple[float, float]) -> float:
    """Effect at which a function that rises with it from below 0 reaches 0, by bisection."""
    direction, unit = np.copysign(1.0, away[0]), away[1]
    if above(H0) >= 0.0:
        return np.nan
    low, high = 0.0, unit
    while above(H0 + direction * high) < 0.0:
        low, high = high, 2.0 * high
        if high > 1e6 * unit:
            return np.nan
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if above(H0 + direction * middle) < 0.0 else (low, middle)
    return float(H0 + direction * 0.5 * (low + high))

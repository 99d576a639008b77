"""An effect that changes in a straight line with a moderator: its size at chosen values, and where it changes sign.

    effect(m) = δ + κ (m - c),   Var = l'Cl with l = (1, m - c)

The values m at which a t test does not tell effect(m) from 0 are the solutions of

    (δ + κ (m - c))² <= t² l'Cl,

a quadratic in m. That set is at once Fieller's confidence set for the value where the effect is 0 and the complement
of Johnson and Neyman's region of significance. It is an interval where the interaction κ is significant; otherwise
it is unbounded: all values outside an interval, or every value.

Sources: Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x; Johnson & Neyman 1936, Statistical Research Memoirs
1:57-93, and Bauer & Curran 2005, doi:10.1207/s15327906mbr4003_5 (regions of significance); Satterthwaite 1946,
doi:10.2307/3002019 (degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from dualtrace.analysis.inputs import numbers, require_level
from dualtrace.analysis.least_squares import quantile, two_sided
from dualtrace.analysis.result import Array, Result, freeze, interval, mean, number, replicates, tested, tested_header
from dualtrace.errors import InputError
from dualtrace.printed import table

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["interval", "outside", "everywhere"]
"""Shape of the set of moderator values without a significant effect."""

ROUNDS = 50
"""Steps by which an end of the set settles where the degrees of freedom change with the moderator."""


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SimpleEffects(Result):
    """The effect at chosen values of the moderator.

    Attributes
    ----------
    at
        Moderator values, (k,).
    estimate, se, df, t, p, ci_lb, ci_ub
        Effect there, standard error, degrees of freedom, t statistic, two-sided p and interval, (..., k).
    level
        Confidence level.
    """

    at: Array
    estimate: Array
    se: Array
    df: Array
    t: Array
    p: Array
    ci_lb: Array
    ci_ub: Array
    level: float

    def __post_init__(self) -> None:
        require_level(self.level)
        if self.estimate.shape[-1:] != self.at.shape:
            raise ValueError("there must be one effect for each moderator value")
        freeze(self)

    def __str__(self) -> str:
        """As a paper's table; of a batch the means over its data sets."""
        batch = self.estimate.ndim > 1
        p = np.full(self.at.size, np.nan) if batch else self.p
        columns = [mean(c) for c in (self.estimate, self.se, self.df, self.t)]
        columns += [p, mean(self.ci_lb), mean(self.ci_ub)]
        rows = (tested(f"{m:g}", [c[j] for c in columns]) for j, m in enumerate(self.at))
        lines = [replicates(self.df[..., 0])] if batch else []
        return "\n".join([*lines, table(tested_header("effect at", self.level), rows)])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Result):
    """Moderator values with a significant effect of one sign.

    Attributes
    ----------
    lower, upper
        Ends; infinite where there is none.
    sign
        1 where the effect is positive there, -1 where it is negative.
    """

    lower: float
    upper: float
    sign: int

    def __post_init__(self) -> None:
        if not self.lower < self.upper or self.sign not in {-1, 1}:
            raise ValueError("a region must have its ends in order and a sign of 1 or -1")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing(Result):
    """The moderator value at which the effect is zero, with Fieller's confidence set.

    Attributes
    ----------
    at
        Where the estimated effect changes sign.
    kind
        ``interval``: the set is [lower, upper]; ``outside``: every value not between lower and upper;
        ``everywhere``: every value (lower and upper are then infinite).
    lower, upper
        Ends of the set; of the gap in it where ``kind`` is ``outside``.
    slope
        Change of the effect per unit of the moderator.
    level
        Confidence level.
    """

    at: float
    kind: Kind
    lower: float
    upper: float
    slope: float
    level: float

    def __post_init__(self) -> None:
        require_level(self.level)
        held = self.lower <= self.at <= self.upper
        if self.lower > self.upper or (self.kind == "interval" and not held):
            raise ValueError("the ends must be in order, and an interval must hold its estimate")

    @property
    def bounded(self) -> bool:
        """Whether the confidence set is an interval with two finite ends."""
        return self.kind == "interval"

    @property
    def regions(self) -> tuple[Region, ...]:
        """Johnson and Neyman's regions of significance: what lies outside the confidence set."""
        return tuple(self._regions())

    def _regions(self) -> Iterator[Region]:
        rising = 1 if self.slope > 0.0 else -1
        if self.kind == "interval":
            yield Region(lower=-np.inf, upper=self.lower, sign=-rising)
            yield Region(lower=self.upper, upper=np.inf, sign=rising)
        elif self.kind == "outside":
            yield Region(lower=self.lower, upper=self.upper, sign=rising if self.at < self.lower else -rising)

    def to_dict(self) -> dict[str, Any]:
        """All fields, whether the set is bounded, and the regions of significance, for JSON."""
        # super() without arguments does not work in a dataclass with slots
        regions = [region.to_dict() for region in self.regions]
        return Result.to_dict(self) | {"bounded": self.bounded, "regions": regions}

    def __str__(self) -> str:
        """One sentence on the crossing, one on the regions of significance."""
        percent = f"{100.0 * self.level:g}%"
        said = {
            "interval": f"{percent} CI {interval(self.lower, self.upper)}",
            "outside": f"{percent} confidence set unbounded: all values below {number(self.lower)} or above "
            f"{number(self.upper)}",
            "everywhere": f"{percent} confidence set unbounded: every value",
        }[self.kind]
        words = {1: "positive", -1: "negative"}
        found = "; ".join(f"{words[r.sign]} {_range(r)}" for r in self.regions) or "nowhere"
        return f"The effect changes sign at {number(self.at)} ({said}).\nSignificant: {found}."


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EffectLine:
    """An effect that changes linearly with a moderator, with what its variance depends on.

    Attributes
    ----------
    centre
        Moderator value c, (...,).
    estimate
        Effect at c and its change per unit of the moderator (δ, κ), (..., 2).
    covariance
        Their covariance C, (..., 2, 2).
    gradient
        Derivatives of C in the K variance parameters, (..., K, 2, 2).
    spread
        Covariance of the estimates of these parameters, (..., K, K). Degrees of freedom of l are
        2 v² / (g'Sg) with v = l'Cl and g_k = l'G_k l.
    """

    centre: Array
    estimate: Array
    covariance: Array
    gradient: Array
    spread: Array

    def __post_init__(self) -> None:
        if self.estimate.shape[-1] != 2 or self.covariance.shape[-2:] != (2, 2):
            raise ValueError("a line has an effect and a slope, and their covariance is 2 by 2")
        freeze(self)

    def effects(self, at: Any, level: float) -> SimpleEffects:  # noqa: ANN401
        """Effects at moderator values (k,)."""
        values = np.atleast_1d(numbers("at", np.atleast_1d(at)))
        if values.ndim != 1:
            raise InputError(f"at must be one moderator value or a list of them; given shape {values.shape}.")
        offset = values - self.centre[..., None]
        row = np.stack([np.ones_like(offset), offset], axis=-1)
        estimate = np.einsum("...kj,...j->...k", row, self.estimate)
        variance = np.einsum("...ki,...ij,...kj->...k", row, self.covariance, row)
        g = np.einsum("...ki,...aij,...kj->...ka", row, self.gradient, row)
        df = 2.0 * variance**2 / np.einsum("...ka,...ab,...kb->...k", g, self.spread, g)
        se = np.sqrt(variance)
        t = estimate / se
        half = se * quantile(df, level)
        return SimpleEffects(
            at=values,
            estimate=estimate,
            se=se,
            df=df,
            t=t,
            p=two_sided(t, df),
            ci_lb=estimate - half,
            ci_ub=estimate + half,
            level=level,
        )

    def crossing(self, level: float) -> Crossing:
        """Where the effect changes sign, with its confidence set; of one data set.

        Raises
        ------
        InputError
            If the line is that of a batch.
        """
        if self.estimate.ndim > 1:
            raise InputError(
                "crossing() answers for one data set; this result holds a batch of shape "
                f"{self.estimate.shape[:-1]}. Analyse the data set of interest by itself."
            )
        c, (delta, kappa) = float(self.centre), (float(x) for x in self.estimate)
        df_slope = 2.0 * self.covariance[1, 1] ** 2 / (self.gradient[:, 1, 1] @ self.spread @ self.gradient[:, 1, 1])
        ends = self._ends(float(quantile(np.asarray(df_slope), level)))
        # a flat line never crosses: it does so infinitely far on the side to which it would fall
        at = c - delta / kappa if kappa != 0.0 else float(np.copysign(np.inf, delta))
        if ends is None:
            return Crossing(at=at, kind="everywhere", lower=-np.inf, upper=np.inf, slope=kappa, level=level)
        bounded, found = ends[0], [self._settled(side, ends[1 + side], level) for side in (0, 1)]
        kind: Kind = "interval" if bounded else "outside"
        return Crossing(at=at, kind=kind, lower=c + found[0], upper=c + found[1], slope=kappa, level=level)

    def _ends(self, t: float) -> tuple[bool, float, float] | None:
        """Whether the set is an interval, and its ends less c in order; None where it is every value."""
        (delta, kappa), C = self.estimate, self.covariance
        a = kappa**2 - t**2 * C[1, 1]
        b = delta * kappa - t**2 * C[0, 1]
        root = b**2 - a * (delta**2 - t**2 * C[0, 0])
        if root <= 0.0 or a == 0.0:
            return None
        low, high = sorted((-b + sign * np.sqrt(root)) / a for sign in (-1.0, 1.0))
        return bool(a > 0.0), float(low), float(high)

    def _settled(self, side: int, start: float, level: float) -> float:
        """An end of the set at the degrees of freedom that hold there; the start itself where they are constant."""
        x = start
        for _ in range(ROUNDS):
            df = self.effects(float(self.centre) + x, level).df[0]
            ends = self._ends(float(quantile(np.asarray(df), level)))
            if ends is None:
                return x
            before, x = x, ends[1 + side]
            if abs(x - before) <= 1e-12 * max(1.0, abs(x)):
                break
        return x


def _range(region: Region) -> str:
    if np.isinf(region.lower):
        return f"below {number(region.upper)}"
    return f"above {number(region.lower)}" if np.isinf(region.upper) else interval(region.lower, region.upper)

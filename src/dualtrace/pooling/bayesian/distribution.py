"""Posterior distributions one can ask: density, distribution function, quantiles, intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from dualtrace.errors import FitError, InputError
from dualtrace.pooling.bayesian.quadrature import NODES, TO_LEGENDRE, WEIGHTS, Rule
from dualtrace.pooling.contract import require_choice, require_level
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array

IntervalKind = Literal["central", "shortest"]
"""Equal probability outside both ends, or the shortest interval that holds the probability."""


class Distribution(Protocol):
    """A posterior distribution of one number."""

    @property
    def mean(self) -> float:
        """Expectation; NaN where there is none."""

    @property
    def sd(self) -> float:
        """Standard deviation; infinite or NaN where there is none."""

    def density(self, x: float) -> float:
        """Density at x."""

    def cdf(self, x: float) -> float:
        """Probability of a value below x."""

    def quantile(self, p: float) -> float:
        """Value below which it lies with probability p."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A mixture of normal distributions: a mean, a new row's effect or a row's own effect, averaged over τ.

    Attributes
    ----------
    weight, centre, spread
        Probability, mean and standard deviation of the parts, (J,).
    finite
        Whether the expectation and the variance exist.
    """

    weight: Array
    centre: Array
    spread: Array
    finite: tuple[bool, bool] = (True, True)

    @property
    def mean(self) -> float:
        """Expectation; NaN where there is none."""
        return float(self.weight @ self.centre) if self.finite[0] else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation; infinite where it has no end."""
        if not self.finite[1]:
            return np.inf
        return float(np.sqrt(self.weight @ (self.spread**2 + (self.centre - self.mean) ** 2)))

    def density(self, x: float) -> float:
        """Density at x."""
        z = (x - self.centre) / self.spread
        return float(self.weight @ (np.exp(-0.5 * (z * z + LOG_2PI)) / self.spread))

    def cdf(self, x: float) -> float:
        """Probability of a value below x."""
        return float(self.weight @ special.ndtr((x - self.centre) / self.spread))

    def quantile(self, p: float) -> float:
        """Value below which it lies with probability p."""
        middle = int(np.searchsorted(np.cumsum(self.weight), 0.5))
        start, width = float(self.centre[middle]), float(self.spread[middle])
        return invert(self.cdf, self.density, p, start=start, width=width)


@dataclass(frozen=True, slots=True, eq=False)
class TauPosterior:
    """Posterior of τ.

    Attributes
    ----------
    nodes
        The quadrature of one data set.
    log_density
        Log of the normalised posterior density of τ, as a function of log τ, (m,) to (m,).
    finite
        Whether the expectation and the variance exist.
    """

    nodes: Rule
    log_density: Callable[[Array], Array]
    finite: tuple[bool, bool]

    @property
    def mean(self) -> float:
        """Expectation; infinite where it has no end."""
        return float(self.nodes.weight[0] @ np.exp(self.nodes.log_tau[0])) if self.finite[0] else np.inf

    @property
    def sd(self) -> float:
        """Standard deviation; infinite where it has no end."""
        if not self.finite[1]:
            return np.inf
        spread = np.exp(self.nodes.log_tau[0]) - self.mean
        return float(np.sqrt(self.nodes.weight[0] @ spread**2))

    def density(self, x: float) -> float:
        """Density at x; at 0 the limit from above."""
        if x < 0.0:
            return 0.0
        with np.errstate(divide="ignore", over="ignore"):
            return float(np.exp(self.log_density(np.array([np.log(x)]))[0]))

    def cdf(self, x: float) -> float:
        """Probability of a value below x."""
        if x <= 0.0:
            return 0.0
        t = float(np.arcsinh(np.log(x) - self.nodes.centre[0]))
        edges = self.nodes.edges[0]
        if t <= edges[0] or t >= edges[-1]:
            return float(t >= edges[-1])
        panel = int(np.searchsorted(edges, t)) - 1
        return float(self._steps()[panel]) + self._within(panel, t)

    def quantile(self, p: float) -> float:
        """Value below which it lies with probability p."""
        require_probability(p)
        edges, steps = self.nodes.edges[0], self._steps()
        panel = min(int(np.searchsorted(steps, p)), edges.size - 1) - 1
        low, high = float(edges[panel]), float(edges[panel + 1])
        for _ in range(60):  # bisection: within a panel everything is a polynomial
            t = 0.5 * (low + high)
            low, high = (t, high) if steps[panel] + self._within(panel, t) < p else (low, t)
        return float(np.exp(self.nodes.centre[0] + np.sinh(0.5 * (low + high))))

    def _steps(self) -> Array:
        """Probability below each edge."""
        masses = self.nodes.weight[0].reshape(-1, NODES.size).sum(axis=-1)
        return np.concatenate([[0.0], np.cumsum(masses)])

    def _within(self, panel: int, t: float) -> float:
        """Probability between the lower edge of a panel and t in it, the density being a polynomial there."""
        low, high = self.nodes.edges[0][panel : panel + 2]
        share = self.nodes.weight[0].reshape(-1, NODES.size)[panel] / WEIGHTS
        integral = legendre.legint(TO_LEGENDRE @ share, lbnd=-1.0)
        return float(legendre.legval(2.0 * (t - low) / (high - low) - 1.0, integral))


def invert(
    cdf: Callable[[float], float],
    density: Callable[[float], float],
    p: float,
    *,
    start: float,
    width: float,
) -> float:
    """Solve cdf(x) = p by Newton's method kept inside a shrinking bracket.

    Parameters
    ----------
    cdf, density
        Of the distribution.
    p
        Probability, between 0 and 1.
    start, width
        A typical value and a typical spread.

    Raises
    ------
    InputError
        If p is not a probability between 0 and 1.
    """
    require_probability(p)
    low, high, step = start - width, start + width, width
    while cdf(low) > p:
        low, step = low - step, 2.0 * step
    step = width
    while cdf(high) < p:
        high, step = high + step, 2.0 * step
    x = min(max(start, low), high)
    for _ in range(200):
        excess = cdf(x) - p
        low, high = (low, x) if excess > 0.0 else (x, high)
        slope = density(x)
        target = x - excess / slope if slope > 0.0 else np.inf
        newton = low < target < high
        if not newton:
            target = 0.5 * (low + high)
        step = abs(target - x)
        # Newton's next error is of the order of this step's square
        if step <= (1e-8 if newton else 1e-14) * (width + 1e-6 * abs(x)):
            return float(target)
        x = target
    return float(x)


def interval(of: Distribution, level: float, kind: IntervalKind = "central") -> tuple[float, float]:
    """Credible interval of a distribution with one mode.

    The shortest interval has equal densities at its ends, or starts where the distribution does.

    Raises
    ------
    InputError
        If level or kind is not one there is.
    FitError
        If the shortest interval is asked of a distribution whose density has no bound.
    """
    require_level(level)
    require_choice("kind", kind, ("central", "shortest"))
    tail = 1.0 - level
    if kind == "central":
        return of.quantile(0.5 * tail), of.quantile(1.0 - 0.5 * tail)
    if isinstance(of, TauPosterior):
        start = of.density(0.0)
        if np.isinf(start):
            raise FitError(
                "The prior of τ has a density without bound at 0, so a shortest interval says nothing; "
                "ask for the central one."
            )
        if start >= of.density(of.quantile(level)):
            return 0.0, of.quantile(level)
    low, high = 1e-9 * tail, (1.0 - 1e-9) * tail
    for _ in range(50):  # the lower density rises with the probability below, the upper one falls
        p = 0.5 * (low + high)
        ends = of.quantile(p), of.quantile(p + level)
        low, high = (p, high) if of.density(ends[0]) < of.density(ends[1]) else (low, p)
        if high - low < 1e-12:
            break
    return ends


def require_probability(p: float) -> None:
    """Refuse what is no probability of a quantile.

    Raises
    ------
    InputError
        Naming what was given.
    """
    if not 0.0 < p < 1.0:
        raise InputError(f"A quantile needs a probability between 0 and 1; given {p:g}.")

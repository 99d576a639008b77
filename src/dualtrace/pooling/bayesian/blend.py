"""A mean, or a new row's effect, whose distribution given τ is known at the nodes of panels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from dualtrace.pooling.bayesian.distribution import invert
from dualtrace.pooling.bayesian.quadrature import NODES, TO_LEGENDRE, place
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array, Ints

TAIL = 8.5
"""Standard deviations beyond which a normal distribution has no mass to speak of."""

POINT = 1e-6
"""Spread, in panels, below which a normal kernel counts as a point; what that changes is of its square's order."""


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """μ + s·Z, Z standard normal, μ distributed as given at each node of τ.

    Attributes
    ----------
    weight
        Probability of each node of τ, (J,).
    edges, values
        Panels of the support of μ, (J, P + 1), and its density at their nodes, (J, 16 P).
    spread
        s at each node, (J,): 0 for the mean itself, τ for a new row's effect.
    finite
        Whether the expectation and the variance exist.
    grid
        Nodes of μ, and the probability of each, (J, 16 P).
    """

    weight: Array
    edges: Array
    values: Array
    spread: Array
    finite: tuple[bool, bool] = (True, True)

    grid: tuple[Array, Array] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Place the nodes once: every question asks for them."""
        mu, share = place(self.edges)
        object.__setattr__(self, "grid", (mu, self.weight[:, None] * share * self.values))

    @property
    def mean(self) -> float:
        """Expectation; NaN where there is none."""
        mu, mass = self.grid
        return float((mass * mu).sum()) if self.finite[0] else np.nan

    @property
    def sd(self) -> float:
        """Standard deviation; infinite where it has no end."""
        if not self.finite[1]:
            return np.inf
        mu, mass = self.grid
        return float(np.sqrt((mass * (mu - self.mean) ** 2).sum() + self.weight @ self.spread**2))

    def density(self, x: float) -> float:
        """Density at x."""
        return self._average(x, lambda z, s: np.exp(-0.5 * (z * z + LOG_2PI)) / s, below=0.0)

    def cdf(self, x: float) -> float:
        """Probability of a value below x."""
        return self._average(x, lambda z, _: np.asarray(special.ndtr(z), dtype=np.float64), below=1.0)

    def quantile(self, p: float) -> float:
        """Value below which it lies with probability p."""
        mu, mass = self.grid
        order = np.argsort(mu, axis=None)
        middle = float(mu.ravel()[order][np.searchsorted(np.cumsum(mass.ravel()[order]), 0.5)])
        heaviest = int(np.argmax(self.weight))
        width = 0.1 * float(self.edges[heaviest, -1] - self.edges[heaviest, 0]) + float(self.spread[heaviest])
        return invert(self.cdf, self.density, p, start=middle, width=width)

    def _average(self, x: float, kernel: Callable[[Array, Array], Array], *, below: float) -> float:
        """Average of kernel((x - μ)/s, s) over μ and τ.

        Where s is wider than a panel the nodes suffice. Elsewhere the panels within reach of x are cut at x and at
        the ends of the kernel, and the density between their nodes is the polynomial through them; panels
        further below contribute ``below`` times their mass, panels above nothing.
        """
        panel = np.diff(self.edges[:, :2], axis=-1)[:, 0]
        wide = self.spread > panel
        mu, mass = self.grid
        s = self.spread[wide][:, None]
        total = (mass[wide] * kernel((x - mu[wide]) / s, s)).sum()
        fine = ~wide
        if not fine.any():
            return float(total)
        s = np.maximum(self.spread[fine], POINT * panel[fine])[:, None]
        low, high = self.edges[fine][:, :-1], self.edges[fine][:, 1:]
        under = high <= x - TAIL * s
        total += below * mass[fine].reshape(*low.shape, NODES.size).sum(axis=-1)[under].sum()
        row, column = np.nonzero(~under & (low < x + TAIL * s))
        if row.size:
            total += self._cut(x, kernel, np.flatnonzero(fine)[row], column, s[row, 0])
        return float(total)

    def _cut(self, x: float, kernel: Callable[[Array, Array], Array], row: Ints, column: Ints, s: Array) -> float:
        """Integrate over some panels, each cut where the kernel begins, turns and ends."""
        low, high = self.edges[row, column], self.edges[row, column + 1]
        cuts = np.stack([low, x - TAIL * s, np.full(s.shape, x), x + TAIL * s, high], axis=-1)
        mu, share = place(np.clip(cuts, low[:, None], high[:, None]))
        values = self.values.reshape(self.edges.shape[0], -1, NODES.size)[row, column]
        inside = 2.0 * (mu - low[:, None]) / (high - low)[:, None] - 1.0
        coefficients = values @ TO_LEGENDRE.T
        density = legendre.legval(inside.T, coefficients.T[:, None, :], tensor=False).T
        wide = s[:, None]
        return float((self.weight[row, None] * share * density * kernel((x - mu) / wide, wide)).sum())

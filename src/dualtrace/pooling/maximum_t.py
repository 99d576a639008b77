"""Distribution of the largest of several correlated |t| statistics, for single-step multiple testing.

A multivariate t vector with correlation R = A A', A of r columns, is A u · √(r F) with u uniform on the unit sphere
of r dimensions and F distributed as F(r, df). So P(max|T| > t) is the average over directions of
P(F > t²/(r m(u)²)), m(u) = max |A u|: only directions are integrated, exactly for r = 1, along the circle for r = 2
and over lattice points on the sphere for more; the radius is in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array

RANK = 1e-10
"""Eigenvalues of the correlation matrix below this share of the largest are 0."""

CIRCLE = 4_000
"""Directions along half a circle."""

SPHERE = 20_000
"""Directions on a sphere; p values are then good to about 1e-4."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class MaximumT:
    """Law of max |T_j|.

    Attributes
    ----------
    reach
        m(u) at every direction, (d,).
    rank
        Dimension r of the contrasts.
    df
        Degrees of freedom; infinite for the normal law.
    """

    reach: Array
    rank: int
    df: float

    @classmethod
    def of(cls, correlation: Array, df: float, key: int) -> Self:
        """Law of the largest |t| of statistics with the correlation given, (m, m)."""
        values, vectors = np.linalg.eigh(correlation)
        kept = values > RANK * values[-1]
        root = vectors[:, kept] * np.sqrt(values[kept])
        u = directions(int(kept.sum()), key)
        return cls(np.abs(root @ u).max(axis=0), u.shape[0], df)

    def upper(self, t: Array) -> Array:
        """P(max |T| > t) for every t, (q,)."""
        radius = (np.asarray(t)[:, None] / self.reach) ** 2
        if np.isinf(self.df):
            tail = special.chdtrc(self.rank, radius)
        else:
            tail = special.fdtrc(self.rank, self.df, radius / self.rank)
        total: Array = tail.mean(axis=1)
        return total

    def quantile(self, level: float) -> float:
        """Critical value c with P(max |T| <= c) = level."""
        from scipy.optimize import brentq

        def excess(c: float) -> float:
            return float(self.upper(np.array([c]))[0]) - (1.0 - level)

        high = 2.0
        while excess(high) > 0.0:
            high *= 2.0
        return float(brentq(excess, 0.0, high, xtol=1e-10))


def directions(rank: int, key: int) -> Array:
    """Unit vectors that cover the sphere of ``rank`` dimensions evenly, up to sign, (rank, d).

    For three and more, points of a lattice with the fractional parts of square roots of primes as generators,
    shifted at random, are turned into normal vectors and scaled.
    """
    if rank == 1:
        return np.ones((1, 1))
    if rank == 2:
        angle = np.pi * (np.arange(CIRCLE) + 0.5) / CIRCLE
        return np.stack([np.cos(angle), np.sin(angle)])
    generator = np.sqrt(_primes(rank)) % 1.0
    shift = np.random.default_rng(key).random(rank)
    points = (np.arange(1, SPHERE + 1)[:, None] * generator + shift) % 1.0
    normal = special.ndtri(1.0 - np.abs(2.0 * points - 1.0) * (1.0 - 1e-12) - 1e-13)
    turned: Array = (normal / np.linalg.norm(normal, axis=1, keepdims=True)).T
    return turned


def _primes(count: int) -> Array:
    """Return the first primes."""
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return np.array(found, dtype=float)

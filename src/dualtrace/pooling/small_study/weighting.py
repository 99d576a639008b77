"""How likely a result is to be reported, given its p value, and what that does to the likelihood of a row.

A row with z statistic Z = y/√v, Z ~ N(m, s²) before selection, is reported with relative probability w(Z; η).
Its density becomes w(z) N(z; m, s²)/A with A = E[w(Z)], so a fit needs log w at the data and A with derivatives.
Derivatives with respect to m and s² are expectations of w times Hermite polynomials He_j of u = (Z - m)/s:

    ∂A/∂m = E[w He₁]/s,   ∂A/∂s² = ½ ∂²A/∂m² = ½ E[w He₂]/s²,   and so on up to He₄,

because a normal density obeys the heat equation. Everything is batched: m and s have shape (n, k) for n fits of
k rows, η has shape (n, r).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from scipy import special

from dualtrace.pooling.likelihood import LOG_2PI, Array, Flags, Ints


class Integral(NamedTuple):
    """A = E[w(Z)] and its derivatives, all relative to A.

    Attributes
    ----------
    log
        log A, (n, k).
    hermite
        E[w He_j]/A for j = 1 to 4, (4, n, k).
    first
        E[∂w/∂η_a He_j]/A for j = 0 to 2, (3, r, n, k).
    second
        E[∂²w/∂η_a∂η_b]/A, (r, r, n, k).
    """

    log: Array
    hermite: Array
    first: Array
    second: Array


class Observed(NamedTuple):
    """log w at the data, (n, k), with first (r, n, k) and second (r, r, n, k) derivatives in η."""

    log: Array
    first: Array
    second: Array


class Weighting(Protocol):
    """A selection function bound to the rows it applies to."""

    def integral(self, m: Array, s: Array, eta: Array) -> Integral:
        """A and its derivatives."""
        ...

    def observed(self, eta: Array) -> Observed:
        """Log w at the data and its derivatives."""
        ...

    def pick(self, index: Ints) -> Weighting:
        """Some of the n fits."""
        ...


def hermite(u: Array) -> tuple[Array, Array, Array]:
    """Hermite polynomials He₁, He₂ and He₃ (of the probabilists)."""
    square = u * u
    return u, square - 1.0, u * (square - 3.0)


def below(u: Array) -> Array:
    """∫ He_j φ from -∞ to u for j = 0 to 4, (5, ...): Φ(u), then -He_{j-1}(u) φ(u)."""
    density = np.exp(-0.5 * (u * u + LOG_2PI))
    h1, h2, h3 = hermite(u)
    return np.stack([special.ndtr(u), -density, -h1 * density, -h2 * density, -h3 * density])


class Steps(NamedTuple):
    """Relative probability δ_j = exp(η_j) constant between cutpoints of the p value; 1 for the smallest p values.

    Sources: Hedges 1992, doi:10.1214/ss/1177011364; Vevea & Hedges 1995, doi:10.1007/BF02294384.

    Attributes
    ----------
    edges
        z statistics at which the interval of the p value changes, ascending, (E,).
    incidence
        1 where a segment between edges belongs to an interval of p, (E + 1, r + 1).
    interval
        Interval of p of each row, from 0, (n, k).
    """

    edges: Array
    incidence: Array
    interval: Ints

    def integral(self, m: Array, s: Array, eta: Array) -> Integral:
        """A = Σ_j δ_j P_j with P_j the probability of interval j: differences of normal probabilities."""
        reached = below((self.edges - m[..., None]) / s[..., None])
        parts = np.empty((*reached.shape[:-1], self.edges.size + 1))
        parts[..., 0] = reached[..., 0]
        parts[..., 1:-1] = np.diff(reached, axis=-1)
        parts[..., -1] = -reached[..., -1]
        parts[0, ..., -1] = special.ndtr((m - self.edges[-1]) / s)
        by_interval = parts @ self.incidence
        delta = np.concatenate([np.ones((eta.shape[0], 1)), np.exp(eta)], axis=1)
        moments = np.einsum("jnkc,nc->jnk", by_interval, delta)
        first = np.moveaxis(by_interval[:3, ..., 1:] * delta[:, None, 1:], -1, 1) / moments[0]
        r = eta.shape[1]
        second = np.zeros((r, r, *m.shape))
        second[np.arange(r), np.arange(r)] = first[0]
        return Integral(np.log(moments[0]), moments[1:] / moments[0], first, second)

    def observed(self, eta: Array) -> Observed:
        """Log w = η of the row's interval."""
        r = eta.shape[1]
        member = (self.interval == np.arange(1, r + 1)[:, None, None]).astype(float)
        return Observed(np.einsum("ank,na->nk", member, eta), member, np.zeros((r, r, *self.interval.shape)))

    def pick(self, index: Ints) -> Steps:
        """Some of the n fits."""
        return self._replace(interval=self.interval[index])


class Conditional(NamedTuple):
    """No weights: each row's density is conditional on the side of the threshold it fell on (p-uniform*).

    Attributes
    ----------
    threshold
        z statistic from which a row is significant, (n, k).
    significant
        Which rows are, (n, k).
    """

    threshold: Array
    significant: Flags

    def integral(self, m: Array, s: Array, eta: Array) -> Integral:
        """A = P(Z on the side of the row); log-probabilities keep the ratios exact far in the tail."""
        u = (self.threshold - m) / s
        side = np.where(self.significant, 1.0, -1.0)
        log = special.log_ndtr(-side * u)
        ratio = side * np.exp(-0.5 * (u * u + LOG_2PI) - log)
        h1, h2, h3 = hermite(u)
        r = eta.shape[1]
        moments = np.stack([ratio, h1 * ratio, h2 * ratio, h3 * ratio])
        return Integral(log, moments, np.zeros((3, r, *m.shape)), np.zeros((r, r, *m.shape)))

    def observed(self, eta: Array) -> Observed:
        """Log w = 0."""
        r, shape = eta.shape[1], self.significant.shape
        return Observed(np.zeros(shape), np.zeros((r, *shape)), np.zeros((r, r, *shape)))

    def pick(self, index: Ints) -> Conditional:
        """Some of the n fits."""
        return Conditional(self.threshold[index], self.significant[index])

"""Log-likelihoods of counts as functions of a linear predictor, with two derivatives.

Every family is called with predictors of shape (..., k, J), k rows of J arms, and returns value, first and second
derivative of the same shape. All are concave in the predictor, and all constants are included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import expit, gammaln

if TYPE_CHECKING:
    from dualtrace.pooling.likelihood import Array


class Terms(NamedTuple):
    """Value, first and second derivative, one shape."""

    value: Array
    first: Array
    second: Array


class Binomial(NamedTuple):
    """y events among n, logit link: yη − n log(1 + e^η) + log C(n, y).

    Attributes
    ----------
    y, n
        Events and participants, (k, J).
    """

    y: Array
    n: Array

    def __call__(self, eta: Array) -> Terms:
        """Value y η − n log(1+e^η), derivatives y − n p and −n p (1−p)."""
        p = expit(eta)
        value = self.y * eta - self.n * np.logaddexp(0.0, eta) + log_choose(self.n, self.y)
        if self.n.max(initial=0.0) > MANY:
            value = self._near(eta, value)
        return Terms(value, self.y - self.n * p, -self.n * p * expit(-eta))

    def _near(self, eta: Array, value: Array) -> Array:
        """Value from the distance δ to the row's own estimate, free of the cancellation of large counts."""
        inner = (self.y > 0.0) & (self.y < self.n)
        y = np.where(inner, self.y, 0.5 * self.n)
        own = np.log(y) - np.log(self.n - y)
        top = y * np.log(y / self.n) + (self.n - y) * np.log1p(-y / self.n) + log_choose(self.n, y)
        delta = eta - own
        close = inner & (np.abs(delta) < 1.0)
        step = np.where(close, delta, 0.0)
        return np.where(close, top + y * step - self.n * np.log1p(y / self.n * np.expm1(step)), value)


class Poisson(NamedTuple):
    """y events over time t, log link: y(η + log t) − t e^η − log y!.

    Attributes
    ----------
    y, t
        Events and time at risk, (k, J).
    """

    y: Array
    t: Array

    @property
    def centre(self) -> float:
        """Log of the overall rate: rates have a unit, so 0 is no usual value."""
        return float(np.log(max(self.y.sum(), 0.5) / self.t.sum()))

    def __call__(self, eta: Array) -> Terms:
        """Value and derivatives y − t e^η and −t e^η."""
        mean = self.t * np.exp(np.minimum(eta, LARGEST))
        value = self.y * (eta + np.log(self.t)) - mean - gammaln(self.y + 1.0)
        if self.y.max(initial=0.0) > MANY:
            y = np.maximum(self.y, 1.0)
            delta = eta - np.log(y / self.t)
            close = (self.y > 0.0) & (np.abs(delta) < 1.0)
            step = np.where(close, delta, 0.0)  # as in Binomial: no cancellation of large counts
            value = np.where(close, y * np.log(y) - y - gammaln(y + 1.0) + y * (step - np.expm1(step)), value)
        return Terms(value, self.y - mean, -mean)


class Hypergeometric(NamedTuple):
    """Arm 1's events given both margins: P(S = s) ∝ C(n1, s) C(n2, m−s) e^{sη}, Fisher's non-central law.

    Sources: Fisher 1935, doi:10.2307/2342435; van Houwelingen, Zwinderman & Stijnen 1993,
    doi:10.1002/sim.4780122405.

    Attributes
    ----------
    y
        Arm 1's events, (k, 1).
    support
        Values S can take, (k, s); rows with fewer are padded.
    weight
        log of C(n1, s) C(n2, m−s), less its value at y; −inf in the padding, (k, s).
    """

    y: Array
    support: Array
    weight: Array

    def __call__(self, eta: Array) -> Terms:
        """Value −log Σ w e^{(s−y)η}, derivatives y − E S and −Var S."""
        exponent = self.weight + (self.support - self.y) * eta
        top = exponent.max(axis=-1, keepdims=True)
        share = np.exp(exponent - top)
        total = share.sum(axis=-1, keepdims=True)
        mean = (share * self.support).sum(axis=-1, keepdims=True) / total
        spread = (share * (self.support - mean) ** 2).sum(axis=-1, keepdims=True) / total
        return Terms(-top - np.log(total), self.y - mean, -spread)


Family = Binomial | Poisson | Hypergeometric

MANY = 1e4
"""Counts beyond this are compared with their own estimate, to save the digits that large terms would cancel."""

LARGEST = 500.0
"""Linear predictors beyond this are cut before e^η, which would overflow; no maximum lies there."""


def log_choose(n: Array, y: Array) -> Array:
    """Log of the binomial coefficient, for counts that need not be whole."""
    return np.asarray(gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0))


def hypergeometric(events1: Array, n1: Array, events2: Array, n2: Array) -> Hypergeometric:
    """Return the family of tables with whole counts, (k,) each."""
    m = events1 + events2
    low, high = np.maximum(0.0, m - n2), np.minimum(m, n1)
    steps = np.arange(int((high - low).max()) + 1, dtype=float)
    support = low[:, None] + steps
    inside = support <= high[:, None]
    s = np.where(inside, support, low[:, None])
    weight = log_choose(n1[:, None], s) + log_choose(n2[:, None], m[:, None] - s)
    own = log_choose(n1, events1) + log_choose(n2, events2)
    return Hypergeometric(events1[:, None], support, np.where(inside, weight - own[:, None], -np.inf))

"""The likelihood of interval rows in clusters: one integral over a normal effect per cluster, with its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dualtrace.pooling.interval import truncated
from dualtrace.pooling.likelihood import LOG_2PI

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualtrace.pooling.likelihood import Array, Ints
    from dualtrace.pooling.partial import Rows

FALL = 40.0
"""Fall of the log-integrand beyond which it carries no mass in double precision."""

NODES = np.polynomial.legendre.leggauss(64)
"""Nodes and weights of each side of the mode; more change the log-likelihood by less than 1e-10."""


class Terms(NamedTuple):
    """Log-probability of rows given their means, with its first two derivatives in the mean and that in s²."""

    value: Array
    first: Array
    second: Array
    in_variance: Array


class Nested(NamedTuple):
    """Rows with the number of each one's cluster, (k,), and how many clusters there are."""

    rows: Rows
    code: Ints
    clusters: int

    def sums(self, per_row: Array) -> Array:
        """Sums over the rows of each cluster: (k, ...) to (clusters, ...)."""
        out = np.zeros((self.clusters, *per_row.shape[1:]))
        np.add.at(out, self.code, per_row)
        return out


def row_terms(rows: Rows, mean: Array, tau2: float) -> Terms:
    """Log-probability of every row given its mean, (k, n).

    With Z = (y − mean)/s, known or truncated to the row's interval: ∂ = E Z/s, ∂² = (Var Z − 1)/s² (−1/s² where y is
    known), and ∂ in s² = (E Z² − 1)/(2 s²).
    """
    variance = (rows.v + tau2)[:, None]
    s = np.sqrt(variance)
    exact = rows.exact
    value, z, square, spread = (np.zeros(mean.shape) for _ in range(4))
    z[exact] = (rows.y[exact, None] - mean[exact]) / s[exact]
    square[exact] = z[exact] ** 2
    value[exact] = -0.5 * (square[exact] + LOG_2PI) - np.log(s[exact])
    if not exact.all():
        known = ~exact
        a, b = ((end[known, None] - mean[known]) / s[known] for end in (rows.lo, rows.hi))
        width = np.broadcast_to((rows.hi - rows.lo)[known, None] / s[known], a.shape)
        parts = truncated(a.ravel(), b.ravel(), width=width.ravel())
        value[known], z[known], square[known], spread[known] = (
            part.reshape(a.shape) for part in (parts.log_mass, parts.mean, parts.square, parts.var)
        )
    return Terms(value, z / s, (spread - 1.0) / variance, (square - 1.0) / (2.0 * variance))


def log_likelihood(given: Nested, x: Array) -> tuple[float, Array]:
    """Log-likelihood and its gradient at x = (β, τ, ω), (p + 2,).

    The gradient is the mean of the integrand's over the posterior of z.
    """
    p = len(x) - 2
    tau, omega = float(x[p]), float(x[p + 1])
    eta = given.rows.X @ x[:p]
    z, weight = _nodes(given, eta, tau**2, omega)
    at = row_terms(given.rows, eta[:, None] + omega * z[given.code], tau**2)
    height = given.sums(at.value) - 0.5 * (z**2 + LOG_2PI) + weight
    top = height.max(axis=1, keepdims=True)
    mass = np.exp(height - top)
    total = mass.sum(axis=1, keepdims=True)
    posterior = (mass / total)[given.code]
    slope = (posterior * at.first).sum(axis=1)
    gradient = np.empty(p + 2)
    gradient[:p] = given.rows.X.T @ slope
    gradient[p] = 2.0 * tau * (posterior * at.in_variance).sum()
    gradient[p + 1] = (posterior * at.first * z[given.code]).sum()
    return float((top + np.log(total)).sum()), gradient


def _nodes(given: Nested, eta: Array, tau2: float, omega: float) -> tuple[Array, Array]:
    """Nodes z and log weights, (clusters, n), on both sides of each integrand's mode."""

    def look(z: Array) -> tuple[Array, Array, Array]:
        at = row_terms(given.rows, eta[:, None] + omega * z[given.code], tau2)
        height = given.sums(at.value) - 0.5 * z**2
        return height, omega * given.sums(at.first) - z, omega**2 * given.sums(at.second) - 1.0

    z = np.zeros((given.clusters, 1))
    height, slope, bend = look(z)
    for _ in range(100):
        step = -slope / bend
        if np.abs(step).max() < 1e-9:
            break
        while ((tried := look(z + step))[0] < height - 1e-9 * (1.0 + np.abs(height))).any():
            step = np.where(tried[0] < height, 0.5 * step, step)
        z, (height, slope, bend) = z + step, tried
    unit, weights = NODES
    sides = []
    for sign in (-1.0, 1.0):

        def along(distance: Array, sign: float = sign) -> Array:
            return look(z + sign * distance)[0]

        reach = _reach(along, height)
        sides.append((z + sign * 0.5 * reach * (1.0 + unit), np.log(0.5 * reach * weights)))
    return np.concatenate([s[0] for s in sides], axis=1), np.concatenate([s[1] for s in sides], axis=1)


def _reach(height_at: Callable[[Array], Array], top: Array) -> Array:
    """Distance from the mode at which a log-concave integrand has fallen by FALL, within a tenth."""
    far = np.full(top.shape, np.sqrt(2.0 * FALL))  # the normal density alone falls so far by there
    near = np.zeros(top.shape)
    for _ in range(60):
        middle = 0.5 * (near + far)
        below = height_at(middle) < top - FALL
        near, far = np.where(below, near, middle), np.where(below, middle, far)
        if (far - near < 0.1 * far).all():
            break
    return far

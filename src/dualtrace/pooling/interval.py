"""A standard normal variable known to lie in an interval: log-probability and moments.

Two ways of computing are joined. Where the interval is wide and not far out, the textbook formulas lose no
digits. Where it is narrow or in a tail they cancel; there the density is integrated by Gauss-Legendre
quadrature over the part of the interval that carries mass, which is exact to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from dualtrace.pooling.likelihood import LOG_2PI, Array

FAR = 5.0
"""Distance of the nearer end from 0 beyond which the closed formulas lose digits."""

NARROW = 0.5
"""Width (times the distance of the middle from 0, where that exceeds 1) below which they do."""

NEGLIGIBLE = 40.0
"""Fall of the log-density beyond which the rest of an interval carries no mass in double precision."""

FEW = np.polynomial.legendre.leggauss(8)
MANY = np.polynomial.legendre.leggauss(32)
"""Nodes and weights: few where the density hardly changes (a narrow interval), many where it falls to nothing."""


class Truncated(NamedTuple):
    """Log-probability of a < Z < b and moments of Z given that, one array per quantity.

    Attributes
    ----------
    log_mass
        log[Φ(b) - Φ(a)].
    mean, square
        E[Z] and E[Z²].
    var, cov, var_square
        Var(Z), Cov(Z, Z²) and Var(Z²).
    """

    log_mass: Array
    mean: Array
    square: Array
    var: Array
    cov: Array
    var_square: Array


def truncated(a: Array, b: Array, *, width: Array | None = None) -> Truncated:
    """Moments of a standard normal Z given a < Z < b, elementwise; ends may be infinite, a < b.

    Parameters
    ----------
    a, b
        Ends of the intervals, (m,) each.
    width
        b - a, (m,), where the caller knows it to more digits than the difference has.
    """
    length = b - a if width is None else width
    nearest = np.where(a > 0.0, a, np.where(b < 0.0, -b, 0.0))
    with np.errstate(invalid="ignore"):
        reach = np.maximum(np.abs(a + b) / 2.0, 1.0)
        narrow = length * reach < NARROW
    far = (nearest > FAR) & ~narrow
    easy = ~(narrow | far)
    if easy.all():
        return _closed(a, b)
    parts = np.empty((6, a.size))
    parts[:, easy] = _closed(a[easy], b[easy])
    parts[:, narrow] = _quadrature(a[narrow], b[narrow], length[narrow], FEW)
    parts[:, far] = _quadrature(a[far], b[far], length[far], MANY)
    return Truncated(*parts)


def log_mass(a: Array, b: Array) -> Array:
    """log[Φ(b) - Φ(a)] from log-probabilities of the tail both ends lie in.

    Both ends are mirrored to the side where they are not positive; then
    log Φ(b) + log(1 - exp(log Φ(a) - log Φ(b))). An interval that holds 0 is 1 minus its two tails.
    """
    inside = (a < 0.0) & (b > 0.0)
    mass = np.empty(inside.shape)
    mass[inside] = np.log1p(-(special.ndtr(a[inside]) + special.ndtr(-b[inside])))
    one_tail = ~inside
    low, high = a[one_tail], b[one_tail]
    flip = low > 0.0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    upper = special.log_ndtr(high)
    mass[one_tail] = upper + np.log1p(-np.exp(special.log_ndtr(low) - upper))
    return mass


def _closed(a: Array, b: Array) -> Truncated:
    """Moments by recursion: m_r = (r-1) m_{r-2} + [a^{r-1} φ(a) - b^{r-1} φ(b)] / (Φ(b) - Φ(a))."""
    mass = log_mass(a, b)
    low, high = np.where(np.isinf(a), 0.0, a), np.where(np.isinf(b), 0.0, b)
    f = np.exp(-0.5 * (a * a + LOG_2PI) - mass)
    g = np.exp(-0.5 * (b * b + LOG_2PI) - mass)
    m1 = f - g
    f, g = f * low, g * high
    m2 = 1.0 + f - g
    f, g = f * low, g * high
    m3 = 2.0 * m1 + f - g
    m4 = 3.0 * m2 + f * low - g * high
    return Truncated(mass, m1, m2, m2 - m1 * m1, m3 - m1 * m2, m4 - m2 * m2)


def _quadrature(a: Array, b: Array, width: Array, rule: tuple[Array, Array]) -> Truncated:
    """Moments by integrating φ from the nearer end c inwards, over a length that carries all mass.

    With Z = ±(c + e), e >= 0, the density is proportional to exp(-c e - e²/2), and the length L at which it has
    fallen by exp(-40) solves c L + L²/2 = 40.
    """
    nodes, weights = rule
    flip = np.abs(b) < np.abs(a)
    sign = np.where(flip, -1.0, 1.0)
    c = np.where(flip, -b, a)  # the nearer end, mirrored so that the interval extends upwards
    reach = 2.0 * NEGLIGIBLE / (np.sqrt(c * c + 2.0 * NEGLIGIBLE) + c)
    length = np.where(c > 0.0, np.minimum(width, reach), width)  # around 0 it is narrow: integrate it whole
    e = 0.5 * length[:, None] * (1.0 + nodes)
    density = weights * np.exp(-e * (c[:, None] + 0.5 * e))
    total = density.sum(-1)
    density /= total[:, None]
    mass = -0.5 * (c * c + LOG_2PI) + np.log(0.5 * length * total)
    mean_e = (density * e).sum(-1)
    d = e - mean_e[:, None]
    square = d * d
    density *= square
    var = density.sum(-1)
    third = (density * d).sum(-1)
    fourth = (density * square).sum(-1)
    mean = c + mean_e
    # Z² - E[Z²] = 2·mean·d + d² - var, up to the sign that mirrors Z
    cov = 2.0 * mean * var + third
    var_square = 4.0 * mean * mean * var + 4.0 * mean * third + fourth - var * var
    return Truncated(mass, sign * mean, mean * mean + var, var, sign * cov, var_square)

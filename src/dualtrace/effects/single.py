"""Effect measures of one group: correlations, proportions, rates, means; and the way back from transformed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import expit, hyp2f1

from dualtrace.effects.means import weighted_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Pair = tuple[Floats, Floats]

SimpleVariance = Literal["LS", "UB", "AV"]
"""LS: large sample; UB: unbiased; AV: at the mean of the estimates, weighted by size."""


SERIES = 20.0
"""Third parameter of the hypergeometric function beyond which 80 terms of its series are exact to rounding."""


def correlation(r: Floats, n: Floats, variance: SimpleVariance = "LS") -> Pair:
    """Return r and (1 − r²)²/(n − 1), at the weighted mean of r for AV.

    Source: Hotelling 1953, doi:10.1111/j.2517-6161.1953.tb00135.x.
    """
    at = weighted_mean(r, n) if variance == "AV" else r
    return r, (1 - at**2) ** 2 / (n - 1)


def unbiased_correlation(r: Floats, n: Floats, variance: SimpleVariance = "LS") -> Pair:
    """Return Olkin and Pratt's r·F(½, ½; (n−2)/2; 1−r²), and its variance; NaN for n < 5.

    LS and AV as for :func:`correlation`, at the corrected estimate g. UB: g² less the unbiased estimate of ρ²,
    1 − (n−3)/(n−2) (1−r²) F(1, 1; n/2; 1−r²).

    Source: Olkin & Pratt 1958, doi:10.1214/aoms/1177706717.
    """
    g = np.where(n >= 5, r * _gauss(0.5, (n - 2) / 2, 1 - r**2), np.nan)
    if variance == "UB":
        square = 1 - (n - 3) / (n - 2) * (1 - r**2) * _gauss(1.0, n / 2, 1 - r**2)
        return g, g**2 - square
    return g, correlation(g, n, variance)[1]


def _gauss(a: float, c: Floats, z: Floats) -> Floats:
    """F(a, a; c; z) for 0 <= z <= 1, a <= 1; by its series, fast for large c, where scipy's is not a number."""
    small = np.minimum(c, SERIES)
    term = total = np.ones_like(z)
    large = np.maximum(c, SERIES)
    for i in range(80):
        term = term * (a + i) ** 2 / ((large + i) * (1 + i)) * z
        total = total + term
    with np.errstate(invalid="ignore"):
        return np.where(c > SERIES, total, hyp2f1(a, a, np.where(c > 0, small, np.nan), z))


def fisher_z(r: Floats, n: Floats) -> Pair:
    """Return artanh r and 1/(n − 3); NaN for n < 4 or |r| = 1 (Fisher 1921, Metron 1, 3-32)."""
    defined = (n > 3) & (np.abs(r) < 1)
    with np.errstate(divide="ignore"):
        return np.where(defined, np.arctanh(r), np.nan), np.where(defined, 1 / (n - 3), np.nan)


def proportion(x: Floats, n: Floats, variance: SimpleVariance = "LS") -> Pair:
    """Return p = x/n and p(1−p)/n; p(1−p)/(n−1) for UB; at the weighted mean of p for AV."""
    p = x / n
    at = weighted_mean(p, n) if variance == "AV" else p
    return p, at * (1 - at) / (n - 1 if variance == "UB" else n)


def log_proportion(x: Floats, n: Floats) -> Pair:
    """Return ln(x/n) and 1/x − 1/n; NaN where x = 0."""
    with np.errstate(divide="ignore"):
        return np.where(x > 0, np.log(x / n), np.nan), np.where(x > 0, 1 / x - 1 / n, np.nan)


def logit_proportion(x: Floats, n: Floats) -> Pair:
    """Return ln(x/(n−x)) and 1/x + 1/(n−x); NaN where either count is 0."""
    defined = (x > 0) & (x < n)
    with np.errstate(divide="ignore"):
        variance = np.where(defined, 1 / x + 1 / (n - x), np.nan)
        return np.where(defined, np.log(x) - np.log(n - x), np.nan), variance


def arcsine_proportion(x: Floats, n: Floats) -> Pair:
    """Return asin√(x/n) and 1/(4n) (Anscombe 1948, doi:10.1093/biomet/35.3-4.246)."""
    return np.arcsin(np.sqrt(x / n)), 1 / (4 * n)


def freeman_tukey_proportion(x: Floats, n: Floats) -> Pair:
    """Return ½[asin√(x/(n+1)) + asin√((x+1)/(n+1))] and 1/(4n+2).

    Source: Freeman & Tukey 1950, doi:10.1214/aoms/1177729756.
    """
    lower, upper = np.sqrt(x / (n + 1)), np.sqrt((x + 1) / (n + 1))
    return (np.arcsin(lower) + np.arcsin(upper)) / 2, 1 / (4 * n + 2)


def proportion_from_freeman_tukey(y: ArrayLike, n: ArrayLike) -> Floats:
    """Return the proportion whose double arcsine at size n is y; 0 or 1 beyond what n allows.

    p = ½{1 − sgn(cos 2y) √[1 − (sin 2y + (sin 2y − 1/sin 2y)/n)²]}. For a pooled value n is the harmonic mean of
    the sizes. Source: Miller 1978, doi:10.1080/00031305.1978.10479283.
    """
    value, size = np.asarray(y, dtype=float), np.asarray(n, dtype=float)
    inside = np.clip(2 * value, 1e-300, np.pi)
    with np.errstate(over="ignore", divide="ignore"):
        sine = np.sin(inside)
        core = np.clip(sine + (sine - 1 / sine) / size, -1.0, 1.0)
    p = (1 - np.sign(np.cos(inside)) * np.sqrt(1 - core**2)) / 2
    low, high = freeman_tukey_proportion(np.zeros_like(size), size)[0], freeman_tukey_proportion(size, size)[0]
    return np.where(value <= low, 0.0, np.where(value >= high, 1.0, p))


def rate(x: Floats, t: Floats) -> Pair:
    """Return x/t and x/t²."""
    return x / t, x / t**2


def log_rate(x: Floats, t: Floats) -> Pair:
    """Return ln(x/t) and 1/x; NaN where x = 0."""
    with np.errstate(divide="ignore"):
        return np.where(x > 0, np.log(x / t), np.nan), np.where(x > 0, 1 / x, np.nan)


def root_rate(x: Floats, t: Floats) -> Pair:
    """Return √(x/t) and 1/(4t)."""
    return np.sqrt(x / t), 1 / (4 * t)


def freeman_tukey_rate(x: Floats, t: Floats) -> Pair:
    """Return ½[√(x/t) + √((x+1)/t)] and 1/(4t) (Freeman & Tukey 1950, doi:10.1214/aoms/1177729756)."""
    return (np.sqrt(x / t) + np.sqrt((x + 1) / t)) / 2, 1 / (4 * t)


def rate_from_freeman_tukey(y: ArrayLike, t: ArrayLike) -> Floats:
    """Return the rate whose Freeman-Tukey value over time t is y: (1/t − 8y² + 16 t y⁴)/(16 t y²), 0 or more."""
    value, time = np.asarray(y, dtype=float), np.asarray(t, dtype=float)
    lowest = 1 / (2 * np.sqrt(time))
    square = np.maximum(value, lowest) ** 2
    return np.asarray((1 / time - 8 * square + 16 * time * square**2) / (16 * time * square))


def log_rate_ratio(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> Pair:
    """Return ln[(x1/t1)/(x2/t2)] and 1/x1 + 1/x2; NaN where an arm has no event."""
    (y1, v1), (y2, v2) = log_rate(x1, t1), log_rate(x2, t2)
    return y1 - y2, v1 + v2


def rate_difference(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> Pair:
    """Return x1/t1 − x2/t2 and x1/t1² + x2/t2²."""
    (y1, v1), (y2, v2) = rate(x1, t1), rate(x2, t2)
    return y1 - y2, v1 + v2


def root_rate_difference(x1: Floats, t1: Floats, x2: Floats, t2: Floats) -> Pair:
    """Return √(x1/t1) − √(x2/t2) and 1/(4t1) + 1/(4t2) (Bagos & Nikolopoulos 2009, doi:10.2202/1557-4679.1168)."""
    (y1, v1), (y2, v2) = root_rate(x1, t1), root_rate(x2, t2)
    return y1 - y2, v1 + v2


def log_mean(m: Floats, s: Floats, n: Floats) -> Pair:
    """Return ln m and s²/(n m²); NaN where m <= 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(m > 0, np.log(m), np.nan), np.where(m > 0, s**2 / (n * m**2), np.nan)


BACK_TRANSFORMS: dict[str, Callable[[Floats], Floats]] = {
    "exp": np.exp,
    "logistic": expit,
    "tanh": np.tanh,
    "squared sine": lambda y: np.sin(np.clip(y, 0.0, np.pi / 2)) ** 2,
    "square": lambda y: np.square(np.maximum(y, 0.0)),
}
"""From a pooled value to the scale people read, by name; the Freeman-Tukey ones need sizes and stand alone."""

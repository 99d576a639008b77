"""Effect measures of two-by-two tables; every function takes arrays and returns estimates and variances.

A table given here is already corrected for empty cells (see ``continuity``); what remains undefined is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from dualtrace.effects import binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dualtrace.effects.binary import TwoByTwo

    Pair = tuple[NDArray[np.float64], NDArray[np.float64]]

COX_SNELL = 1.65
"""Ratio of log odds ratio to standardised mean difference that Cox and Snell suggest for normal responses."""


def cells(table: TwoByTwo) -> tuple[NDArray[np.float64], ...]:
    """Return a, b, c, d: events and others of arm 1, events and others of arm 2."""
    return table.events1, table.n1 - table.events1, table.events2, table.n2 - table.events2


def odds_ratio(table: TwoByTwo) -> Pair:
    """Return ln(ad/bc) and 1/a + 1/b + 1/c + 1/d; NaN where a cell is empty."""
    return _where(~table.has_zero, binary.log_odds_ratio(table))


def risk_ratio(table: TwoByTwo) -> Pair:
    """Return ln(p1/p2) and 1/a − 1/n1 + 1/c − 1/n2; NaN where an arm has no event or the variance is 0."""
    a, _, c, _ = cells(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log(a / table.n1 * table.n2 / c)
        variance = 1 / a - 1 / table.n1 + 1 / c - 1 / table.n2
    return _where((a > 0) & (c > 0), (estimate, variance))


def arcsine_difference(table: TwoByTwo) -> Pair:
    """Return asin√p1 − asin√p2 and 1/(4n1) + 1/(4n2) (Rücker et al. 2009, doi:10.1002/sim.3511)."""
    p1, p2 = table.events1 / table.n1, table.events2 / table.n2
    return np.arcsin(np.sqrt(p1)) - np.arcsin(np.sqrt(p2)), 1 / (4 * table.n1) + 1 / (4 * table.n2)


def hypergeometric_moments(table: TwoByTwo) -> Pair:
    """Return mean and variance of arm 1's events given both margins and no effect.

    E = n1·m/N,  V = n1·n2·m·(N−m) / (N²(N−1)) with m events among N participants.
    """
    total, events = table.n1 + table.n2, table.events1 + table.events2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = table.n1 * table.n2 * events * (total - events) / (total**2 * (total - 1))
    return table.n1 * events / total, np.where(total > 1, variance, 0.0)


def peto_odds_ratio(table: TwoByTwo) -> Pair:
    """Return (a − E)/V and 1/V, Peto's log odds ratio (Yusuf et al. 1985, doi:10.1016/s0033-0620(85)80003-7).

    It needs no correction for one empty arm; NaN where no one or everyone had an event.
    """
    expected, variance = hypergeometric_moments(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _where(variance > 0, ((table.events1 - expected) / variance, 1 / variance))


def phi(table: TwoByTwo, *, stratified: bool = True) -> Pair:
    """Return the phi coefficient (ad − bc)/√(n1·n2·m·m') and its variance by the delta method.

    Stratified sampling (n1 and n2 fixed): φ = √(π1π2)(p1−p2)/√(P(1−P)) with π the arms' shares and P the overall
    risk, Var φ = Σ (∂φ/∂p_j)² p_j(1−p_j)/n_j. Cross-sectional sampling: with row shares r, column shares s,
    N·Var φ = 1 − φ² + φ(1 + φ²/2) Δr Δs/√(r1 r2 s1 s2) − ¾φ²(Δr²/(r1 r2) + Δs²/(s1 s2)).

    Source: Bishop, Fienberg & Holland 1975, Discrete Multivariate Analysis, isbn:9780262021135.
    """
    total = table.n1 + table.n2
    r1, r2 = table.n1 / total, table.n2 / total
    p1, p2 = table.events1 / table.n1, table.events2 / table.n2
    s1 = (table.events1 + table.events2) / total
    s2 = 1 - s1
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(r1 * r2 / (s1 * s2))
        estimate = root * (p1 - p2)
        if stratified:
            tilt = estimate * (1 - 2 * s1) / (2 * s1 * s2)
            variance = (root - r1 * tilt) ** 2 * p1 * (1 - p1) / table.n1
            variance = variance + (root + r2 * tilt) ** 2 * p2 * (1 - p2) / table.n2
        else:
            rows, columns = (r1 - r2) / np.sqrt(r1 * r2), (s1 - s2) / np.sqrt(s1 * s2)
            square = estimate**2
            skew = estimate * (1 + square / 2) * rows * columns - 0.75 * square * (rows**2 + columns**2)
            variance = (1 - square + skew) / total
    return _where((s1 > 0) & (s2 > 0), (estimate, variance))


def yule_q(table: TwoByTwo) -> Pair:
    """Return Q = (OR − 1)/(OR + 1) and ¼(1 − Q²)² Var(ln OR) (Yule 1912, doi:10.2307/2340126)."""
    log_or, variance = odds_ratio(table)
    q = np.tanh(log_or / 2)
    return q, (1 - q**2) ** 2 * variance / 4


def yule_y(table: TwoByTwo) -> Pair:
    """Return Y = (√OR − 1)/(√OR + 1) and (1 − Y²)² Var(ln OR)/16 (Yule 1912, doi:10.2307/2340126)."""
    log_or, variance = odds_ratio(table)
    y = np.tanh(log_or / 4)
    return y, (1 - y**2) ** 2 * variance / 16


def d_from_odds_ratio(table: TwoByTwo, *, normal: bool = False) -> Pair:
    """Return ln OR divided by π/√3 (logistic responses) or by 1.65 (normal ones), as a standardised difference.

    Sources: Chinn 2000, doi:10.1002/1097-0258(20001130)19:22<3127::aid-sim784>3.0.co;2-m; Cox & Snell 1989,
    Analysis of Binary Data, isbn:9780412306204.
    """
    factor = COX_SNELL if normal else binary.LOGISTIC_SD
    log_or, variance = odds_ratio(table)
    return log_or / factor, variance / factor**2


def probit_difference(table: TwoByTwo) -> Pair:
    """Return z1 − z2, z = Φ⁻¹(p), and Σ 2π p(1−p) exp(z²)/n; NaN where a risk is 0 or 1.

    Source: Sánchez-Meca, Marín-Martínez & Chacón-Moscoso 2003, doi:10.1037/1082-989X.8.4.448.
    """
    p1, p2 = table.events1 / table.n1, table.events2 / table.n2
    z1, z2 = ndtri(p1), ndtri(p2)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = 2 * np.pi * (p1 * (1 - p1) * np.exp(z1**2) / table.n1 + p2 * (1 - p2) * np.exp(z2**2) / table.n2)
        estimate = z1 - z2
    return _where(np.isfinite(variance) & np.isfinite(estimate), (estimate, variance))


def _where(defined: NDArray[np.bool_], pair: Pair) -> Pair:
    """Return NaN where the measure is not defined."""
    return np.where(defined, pair[0], np.nan), np.where(defined, pair[1], np.nan)

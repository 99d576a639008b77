"""Mantel-Haenszel and Peto: one common effect of many tables, no table's own estimate needed. Closed forms.

Every function takes arrays whose last axis runs over the tables of one meta-analysis and returns arrays without
it, so many meta-analyses run at once. Tables with an empty arm, or without events, contribute nothing or what
little they know; no cell is corrected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from dualtrace.effects.tables import cells, hypergeometric_moments

if TYPE_CHECKING:
    from dualtrace.effects.binary import TwoByTwo
    from dualtrace.pooling.likelihood import Array


class Rates(NamedTuple):
    """Events and time at risk of two arms, (..., k) each."""

    x1: Array
    t1: Array
    x2: Array
    t2: Array


class Common(NamedTuple):
    """A common effect and its standard error, (...); NaN where the tables do not determine it."""

    beta: Array
    se: Array


class Test(NamedTuple):
    """A chi-squared statistic, its degrees of freedom and p value, (...) each."""

    Q: Array
    df: Array
    p: Array


def odds_ratio(table: TwoByTwo) -> Common:
    """Log of Mantel and Haenszel's odds ratio Σ ad/N / Σ bc/N with the variance of Robins, Breslow & Greenland.

    With R = ad/N, S = bc/N, P = (a+d)/N, Q = (b+c)/N:
    Var = ΣPR/(2(ΣR)²) + Σ(PS+QR)/(2 ΣR ΣS) + ΣQS/(2(ΣS)²).

    Sources: Mantel & Haenszel 1959, doi:10.1093/jnci/22.4.719; Robins, Breslow & Greenland 1986,
    doi:10.2307/2531052.
    """
    a, b, c, d = cells(table)
    n = table.n1 + table.n2
    R, S, P, Q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    r, s = R.sum(-1), S.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (P * R).sum(-1) / r**2 + (P * S + Q * R).sum(-1) / (r * s) + (Q * S).sum(-1) / s**2
        return _determined((r > 0) & (s > 0), np.log(r / s), 0.5 * variance)


def risk_ratio(table: TwoByTwo) -> Common:
    """Log of Σ(a n2/N) / Σ(c n1/N) with the variance of Greenland & Robins.

    Var = Σ[(n1 n2 (a+c) − a c N)/N²] / (Σ a n2/N · Σ c n1/N).

    Source: Greenland & Robins 1985, doi:10.2307/2530643.
    """
    a, c = table.events1, table.events2
    n = table.n1 + table.n2
    r, s = (a * table.n2 / n).sum(-1), (c * table.n1 / n).sum(-1)
    spread = ((table.n1 * table.n2 * (a + c) - a * c * n) / n**2).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _determined((r > 0) & (s > 0), np.log(r / s), spread / (r * s))


def risk_difference(table: TwoByTwo) -> Common:
    """Σ w (a/n1 − c/n2) / Σ w, w = n1 n2/N, with the variance of Sato.

    Var = [δ ΣP + ΣQ] / (Σw)²,  P = (c n1² − a n2² + n1 n2 (n2 − n1)/2)/N²,  Q = (a(n2 − c) + c(n1 − a))/(2N):
    right whether there are few large tables or many small ones.

    Source: Sato 1989, Biometrics 45, 1323-1324 (On the variance estimator of the Mantel-Haenszel risk difference).
    """
    a, b, c, d = cells(table)
    n1, n2 = table.n1, table.n2
    n = n1 + n2
    weight = (n1 * n2 / n).sum(-1)
    delta = ((a * n2 - c * n1) / n).sum(-1) / weight
    tilt = ((c * n1**2 - a * n2**2 + n1 * n2 * (n2 - n1) / 2) / n**2).sum(-1)
    variance = (delta * tilt + ((a * d + c * b) / (2 * n)).sum(-1)) / weight**2
    return _determined(variance > 0, delta, variance)


def rate_ratio(given: Rates) -> Common:
    """Log of Σ(x1 t2/T) / Σ(x2 t1/T), T = t1 + t2, Var = Σ[(x1+x2) t1 t2/T²] / (product of the two sums).

    Source: Rothman, Greenland & Lash 2008, Modern Epidemiology, ch. 15, isbn:9780781755641.
    """
    x1, t1, x2, t2 = given
    time = t1 + t2
    r, s = (x1 * t2 / time).sum(-1), (x2 * t1 / time).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = ((x1 + x2) * t1 * t2 / time**2).sum(-1) / (r * s)
        return _determined((r > 0) & (s > 0), np.log(r / s), variance)


def rate_difference(given: Rates) -> Common:
    """Σ w (x1/t1 − x2/t2) / Σ w, w = t1 t2/T, Var = Σ w² (x1/t1² + x2/t2²) / (Σ w)².

    Source: Rothman, Greenland & Lash 2008, Modern Epidemiology, ch. 15, isbn:9780781755641.
    """
    x1, t1, x2, t2 = given
    weight = t1 * t2 / (t1 + t2)
    total = weight.sum(-1)
    variance = (weight**2 * (x1 / t1**2 + x2 / t2**2)).sum(-1) / total**2
    return _determined(variance > 0, (weight * (x1 / t1 - x2 / t2)).sum(-1) / total, variance)


def peto(table: TwoByTwo) -> tuple[Common, Test]:
    """Peto's log odds ratio Σ(a − E)/ΣV, variance 1/ΣV, and Q = Σ(a − E)²/V − (Σ(a − E))²/ΣV.

    Source: Yusuf et al. 1985, doi:10.1016/s0033-0620(85)80003-7.
    """
    expected, variance = hypergeometric_moments(table)
    informed = variance > 0
    surplus = np.where(informed, table.events1 - expected, 0.0)
    total = variance.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.where(informed, surplus**2 / np.where(informed, variance, 1.0), 0.0).sum(-1)
        common = _determined(total > 0, surplus.sum(-1) / total, 1.0 / total)
        q = squares - surplus.sum(-1) ** 2 / total
    return common, chi_squared(np.maximum(q, 0.0), informed.sum(-1) - 1)


def cochran_mantel_haenszel(table: TwoByTwo, *, correct: bool = True) -> Test:
    """Test of no effect in any table: (max(0, |Σ(a − E)| − ½))² / ΣV, one degree of freedom; ½ if ``correct``.

    Sources: Cochran 1954, doi:10.2307/3001616; Mantel & Haenszel 1959, doi:10.1093/jnci/22.4.719.
    """
    expected, variance = hypergeometric_moments(table)
    return _score(table.events1 - expected, variance, correct=correct)


def rate_score(given: Rates, *, correct: bool = True) -> Test:
    """As :func:`cochran_mantel_haenszel`, for rates: E = m t1/T, V = m t1 t2/T² with m = x1 + x2 events."""
    events, time = given.x1 + given.x2, given.t1 + given.t2
    surplus = given.x1 - events * given.t1 / time
    return _score(surplus, events * given.t1 * given.t2 / time**2, correct=correct)


def breslow_day(table: TwoByTwo, log_or: Array) -> tuple[Test, Test]:
    """Test that all tables have the odds ratio given: Breslow and Day's, and with Tarone's adjustment.

    Q = Σ (a − Ã)²/Ṽ with Ã the cell expected under the margins and the odds ratio, 1/Ṽ the sum of reciprocals of
    the expected cells; Tarone subtracts (Σ(a − Ã))²/ΣṼ. Tables without events, or with nothing else, are left out.

    Sources: Breslow & Day 1980, IARC Scientific Publications 32, isbn:9789283201328; Tarone 1985,
    doi:10.1093/biomet/72.1.91.
    """
    m = table.events1 + table.events2
    informed = (m > 0) & (m < table.n1 + table.n2)
    a = _expected_cell(table, np.exp(log_or)[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = 1.0 / (1.0 / a + 1.0 / (table.n1 - a) + 1.0 / (m - a) + 1.0 / (table.n2 - m + a))
        surplus = np.where(informed, table.events1 - a, 0.0)
        variance = np.where(informed, variance, 0.0)
        q = np.where(informed, surplus**2 / np.where(informed, variance, 1.0), 0.0).sum(-1)
        adjusted = q - surplus.sum(-1) ** 2 / variance.sum(-1)
    df = informed.sum(-1) - 1
    return chi_squared(q, df), chi_squared(np.maximum(adjusted, 0.0), df)


def _expected_cell(table: TwoByTwo, ratio: Array) -> Array:
    """Cell A of the table with the given margins and odds ratio ψ = A(n2 − m + A)/((n1 − A)(m − A)).

    The root of (ψ−1)A² − (ψ(n1+m) + n2 − m)A + ψ n1 m = 0 inside the margins, written so that ψ = 1 divides by
    no zero.
    """
    m = table.events1 + table.events2
    linear = ratio * (table.n1 + m) + table.n2 - m
    root = np.sqrt(np.maximum(linear**2 - 4.0 * (ratio - 1.0) * ratio * table.n1 * m, 0.0))
    return np.asarray(2.0 * ratio * table.n1 * m / (linear + root))


def _score(surplus: Array, variance: Array, *, correct: bool) -> Test:
    """(|Σ surplus| − ½)² / Σ variance, not below 0 before squaring."""
    distance = np.maximum(np.abs(surplus.sum(-1)) - (0.5 if correct else 0.0), 0.0)
    total = variance.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return chi_squared(np.where(total > 0, distance**2 / total, np.nan), np.ones_like(total))


def chi_squared(q: Array, df: Array) -> Test:
    """Test with its p value; NaN where there are no degrees of freedom."""
    df = np.asarray(df, dtype=float)
    q = np.where(df > 0, q, np.nan)
    return Test(q, df, np.where(df > 0, special.chdtrc(np.maximum(df, 1.0), q), np.nan))


def _determined(holds: Array, beta: Array, variance: Array) -> Common:
    """Estimate and standard error, NaN where they are not determined."""
    return Common(np.where(holds, beta, np.nan), np.sqrt(np.where(holds, variance, np.nan)))

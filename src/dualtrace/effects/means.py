"""Effect measures of two arms' means and standard deviations; arrays in, estimates and variances out.

Every function takes the columns m1, s1, n1, m2, s2, n2 (mean, standard deviation and size of each arm). The
last axis runs over the rows of one meta-analysis; only averaged variances look across it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from dualtrace.effects.binary import LOGISTIC_SD
from dualtrace.effects.continuous import hedges_correction, inverse_sizes, pooled_sd, smd_variance
from dualtrace.effects.tables import COX_SNELL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Pair = tuple[Floats, Floats]

SmdVariance = Literal["LS", "LS2", "UB", "AV"]
"""LS: large sample, at the corrected estimate; LS2: at the uncorrected one, times J²; UB: unbiased; AV: at the
mean of the estimates, weighted by size."""

RatioVariance = Literal["LS", "HO", "AV", "AVHO"]
"""LS: each arm's own variation; HO: pooled standard deviation; AV, AVHO: coefficients of variation averaged over
rows, per arm or over both."""


class Arms(NamedTuple):
    """Mean, standard deviation and size of two arms."""

    m1: Floats
    s1: Floats
    n1: Floats
    m2: Floats
    s2: Floats
    n2: Floats


def mean_difference(arms: Arms, *, homoscedastic: bool = False) -> Pair:
    """Return m1 − m2 and s1²/n1 + s2²/n2, or s_p²(1/n1 + 1/n2) under equal variances."""
    if homoscedastic:
        variance = pooled_sd(arms.s1, arms.n1, arms.s2, arms.n2) ** 2 * inverse_sizes(arms.n1, arms.n2)
    else:
        variance = arms.s1**2 / arms.n1 + arms.s2**2 / arms.n2
    return arms.m1 - arms.m2, variance


def correction(df: Floats) -> Floats:
    """Return Hedges' factor J(df); NaN for one degree of freedom or fewer, where d has no mean."""
    return np.where(df > 1, hedges_correction(np.where(df > 1, df, 2.0)), np.nan)


def standardised(arms: Arms, variance: SmdVariance = "LS") -> Pair:
    """Return Hedges' g with the pooled standard deviation, and its variance.

    g = J(m) d, m = n1 + n2 − 2, ñ = 1/n1 + 1/n2, N = n1 + n2:
    LS ñ + g²/(2N); LS2 J²(ñ + d²/(2N)); UB ñ + (1 − (m−2)/(m J²)) g²; AV as LS at the N-weighted mean of g.

    Sources: Hedges 1982, doi:10.1037/0033-2909.92.2.490; Hedges 1983, doi:10.1037/0033-2909.93.2.388.
    """
    df = arms.n1 + arms.n2 - 2
    j = correction(df)
    d = (arms.m1 - arms.m2) / pooled_sd(arms.s1, arms.n1, arms.s2, arms.n2)
    return j * d, _smd_variance(j, j * d, df, arms, arms.n1 + arms.n2, variance)


def glass(arms: Arms, variance: SmdVariance = "LS") -> Pair:
    """Return Glass' Δ = J(n2−1)(m1 − m2)/s2 and its variance, as :func:`standardised` with n2 in place of N.

    Source: Hedges 1981, doi:10.3102/10769986006002107.
    """
    df = arms.n2 - 1
    j = correction(df)
    g = j * (arms.m1 - arms.m2) / arms.s2
    return g, _smd_variance(j, g, df, arms, arms.n2, variance)


def _smd_variance(j: Floats, g: Floats, df: Floats, arms: Arms, size: Floats, kind: SmdVariance) -> Floats:
    """Variance of a standardised difference whose standard deviation rests on ``size`` participants."""
    base = inverse_sizes(arms.n1, arms.n2)
    if kind == "UB":
        return np.asarray(base + (1 - (df - 2) / (df * j**2)) * g**2)
    if kind == "LS2":
        return np.asarray(j**2 * (base + (g / j) ** 2 / (2 * size)))
    at = weighted_mean(g, arms.n1 + arms.n2) if kind == "AV" else g
    return np.asarray(base + at**2 / (2 * size))


def standardised_by_average(arms: Arms) -> Pair:
    """Return J(n1+n2−2)(m1 − m2)/s̄ with s̄² = (s1² + s2²)/2, and Bonett's variance for unequal variances.

    Var = J²[g²(s1⁴/(n1−1) + s2⁴/(n2−1))/(8 s̄⁴) + (s1²/(n1−1) + s2²/(n2−1))/s̄²].

    Sources: Bonett 2008, doi:10.1037/1082-989X.13.2.99; Bonett 2009, doi:10.1037/a0016619.
    """
    v1, v2 = arms.s1**2, arms.s2**2
    average = (v1 + v2) / 2
    j = correction(arms.n1 + arms.n2 - 2)
    d = (arms.m1 - arms.m2) / np.sqrt(average)
    spread = (v1**2 / (arms.n1 - 1) + v2**2 / (arms.n2 - 1)) / (8 * average**2)
    return j * d, j**2 * ((j * d) ** 2 * spread + (v1 / (arms.n1 - 1) + v2 / (arms.n2 - 1)) / average)


def glass_unequal(arms: Arms) -> Pair:
    """Return Glass' Δ with variance s1²/(s2²n1) + 1/n2 + Δ²/(2 n2): arms of unequal variance, large samples.

    Source: Bonett 2008, doi:10.1037/1082-989X.13.2.99.
    """
    g = glass(arms)[0]
    return g, arms.s1**2 / (arms.s2**2 * arms.n1) + 1 / arms.n2 + g**2 / (2 * arms.n2)


def ratio_of_means(arms: Arms, variance: RatioVariance = "LS") -> Pair:
    """Return ln(m1/m2) and its variance from the coefficients of variation c_j = s_j/m_j; NaN for opposite signs.

    LS c1²/n1 + c2²/n2; HO s_p²/(n1 m1²) + s_p²/(n2 m2²); AV with size-weighted means of c1 and of c2 over rows;
    AVHO with the mean over both arms and all rows.

    Sources: Hedges, Gurevitch & Curtis 1999, doi:10.1890/0012-9658(1999)080[1150:TMAORR]2.0.CO;2.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = arms.m1 / arms.m2
        estimate = np.where(ratio > 0, np.log(np.abs(ratio)), np.nan)
        if variance == "HO":
            sd = pooled_sd(arms.s1, arms.n1, arms.s2, arms.n2)
            c1, c2 = sd / arms.m1, sd / arms.m2
        else:
            c1, c2 = arms.s1 / arms.m1, arms.s2 / arms.m2
    if variance in {"AV", "AVHO"}:
        mean1, mean2 = weighted_mean(c1, arms.n1), weighted_mean(c2, arms.n2)
        if variance == "AVHO":
            both = weighted_mean(np.concatenate([c1, c2], axis=-1), np.concatenate([arms.n1, arms.n2], axis=-1))
            mean1 = mean2 = both
        c1, c2 = mean1, mean2
    return estimate, np.where(np.isnan(estimate), np.nan, c1**2 / arms.n1 + c2**2 / arms.n2)


def variability_ratio(s1: Floats, n1: Floats, s2: Floats, n2: Floats) -> Pair:
    """Return ln(s1/s2) + 1/(2(n1−1)) − 1/(2(n2−1)) and 1/(2(n1−1)) + 1/(2(n2−1)).

    Source: Nakagawa et al. 2015, doi:10.1111/2041-210X.12309.
    """
    one, two = 1 / (2 * (n1 - 1)), 1 / (2 * (n2 - 1))
    return np.log(s1 / s2) + one - two, one + two


def variation_ratio(arms: Arms) -> Pair:
    """Return the log ratio of coefficients of variation, corrected as :func:`variability_ratio`, and its variance.

    Var = Var(ln s1/s2) + s1²/(n1 m1²) + s2²/(n2 m2²): mean and variance of a normal sample are independent.

    Source: Nakagawa et al. 2015, doi:10.1111/2041-210X.12309.
    """
    spread, spread_variance = variability_ratio(arms.s1, arms.n1, arms.s2, arms.n2)
    ratio, ratio_variance = ratio_of_means(arms)
    return spread - ratio, spread_variance + ratio_variance


def log_odds_ratio_from_means(arms: Arms, *, normal: bool = False) -> Pair:
    """Return Cohen's d times π/√3 (logistic responses) or 1.65 (normal ones), as a log odds ratio.

    Sources: Chinn 2000, doi:10.1002/1097-0258(20001130)19:22<3127::aid-sim784>3.0.co;2-m; Cox & Snell 1989,
    Analysis of Binary Data, isbn:9780412306204.
    """
    factor = COX_SNELL if normal else LOGISTIC_SD
    d = (arms.m1 - arms.m2) / pooled_sd(arms.s1, arms.n1, arms.s2, arms.n2)
    return factor * d, factor**2 * smd_variance(d, arms.n1, arms.n2)


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Mean over the last axis, undefined values left out, kept as an axis of length 1."""
    known = np.isfinite(values)
    weight = np.where(known, weights, 0.0)
    total = (weight * np.where(known, values, 0.0)).sum(axis=-1, keepdims=True)
    return np.asarray(total / weight.sum(axis=-1, keepdims=True))

"""Standardised mean differences and their variances; every function works on arrays and on numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, stdtrit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def hedges_correction(df: ArrayLike) -> NDArray[np.float64]:
    """Return the small-sample factor J that makes d unbiased.

    J = Γ(m/2) / (√(m/2) Γ((m−1)/2)), m degrees of freedom (Hedges 1981, doi:10.3102/10769986006002107).
    """
    m = np.asarray(df, dtype=float)
    log_ratio: NDArray[np.float64] = gammaln(m / 2) - gammaln((m - 1) / 2)
    return np.asarray(np.exp(log_ratio) / np.sqrt(m / 2))


def pooled_sd(sd1: ArrayLike, n1: ArrayLike, sd2: ArrayLike, n2: ArrayLike) -> NDArray[np.float64]:
    """Return the pooled standard deviation √[((n1−1)s1² + (n2−1)s2²) / (n1+n2−2)]."""
    s1, m1, s2, m2 = (np.asarray(x, dtype=float) for x in (sd1, n1, sd2, n2))
    return np.asarray(np.sqrt(((m1 - 1) * s1**2 + (m2 - 1) * s2**2) / (m1 + m2 - 2)))


def inverse_sizes(n1: ArrayLike, n2: ArrayLike) -> NDArray[np.float64]:
    """Return 1/n1 + 1/n2, the squared standard error of d at d = 0."""
    return np.asarray(1 / np.asarray(n1, dtype=float) + 1 / np.asarray(n2, dtype=float))


def smd_variance(g: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> NDArray[np.float64]:
    """Return the large-sample variance 1/n1 + 1/n2 + g²/(2(n1+n2)) (Hedges 1982, doi:10.1037/0033-2909.92.2.490).

    The form metafor's ``escalc(measure="SMD")`` uses, g being the corrected estimate.
    """
    total = np.asarray(n1, dtype=float) + np.asarray(n2, dtype=float)
    return np.asarray(inverse_sizes(n1, n2) + np.asarray(g, dtype=float) ** 2 / (2 * total))


def smd_covariance(g1: float, g2: float, n_reference: float, n_total: float) -> float:
    """Return the covariance of two SMDs that share one reference arm.

    1/n_reference + g1·g2/(2 n_total), n_total over the three arms (Gleser & Olkin 2009, in The Handbook of
    Research Synthesis, isbn:9780871541635).
    """
    return 1 / n_reference + g1 * g2 / (2 * n_total)


def d_from_t(t: ArrayLike, n1: ArrayLike, n2: ArrayLike) -> NDArray[np.float64]:
    """Return d = t √(1/n1 + 1/n2) of an independent-groups t test."""
    return np.asarray(np.asarray(t, dtype=float) * np.sqrt(inverse_sizes(n1, n2)))


def t_from_r(r: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return t = r √df / √(1 − r²) of a (point-biserial) correlation."""
    rho = np.asarray(r, dtype=float)
    return np.asarray(rho * np.sqrt(np.asarray(df, dtype=float)) / np.sqrt(1 - rho**2))


def f_from_eta_squared(eta_squared: ArrayLike, df_error: ArrayLike) -> NDArray[np.float64]:
    """Return F(1, df) = η²/(1 − η²) · df of a one-degree-of-freedom partial η²."""
    eta2 = np.asarray(eta_squared, dtype=float)
    return np.asarray(eta2 / (1 - eta2) * np.asarray(df_error, dtype=float))


def t_from_p(p: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return |t| whose two-sided p-value is ``p``."""
    return np.asarray(-stdtrit(np.asarray(df, dtype=float), np.asarray(p, dtype=float) / 2))


def sd_from_ci(low: ArrayLike, high: ArrayLike, n: ArrayLike, level: float = 0.95) -> NDArray[np.float64]:
    """Return the SD behind a t interval of one arm's mean: √n (high − low) / (2 t)."""
    m = np.asarray(n, dtype=float)
    width = np.asarray(high, dtype=float) - np.asarray(low, dtype=float)
    return np.asarray(np.sqrt(m) * width / (2 * t_from_p(1 - level, m - 1)))

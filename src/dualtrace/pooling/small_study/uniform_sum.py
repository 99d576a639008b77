"""Distribution of a sum of independent variables uniform on (0, 1): the Irwin-Hall distribution."""

from __future__ import annotations

import numpy as np
from scipy import special

ALTERNATING_UP_TO = 25
"""Most variables for which the alternating sum keeps its digits."""

NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)


def irwin_hall(n: int, x: float) -> float:
    """P(U₁ + ... + U_n <= x).

    Few variables: Σ_j (-1)^j C(n, j) (x - j)^n / n! over j <= x, on the side of the middle where its terms are
    small. Many: inversion of the characteristic function,
    ½ + (1/π) ∫ sin(t (x - n/2)) [sin(t/2)/(t/2)]^n / t dt, whose integrand decays like exp(-n t²/24).

    Sources: Hall 1927, doi:10.1093/biomet/19.3-4.240; Gil-Pelaez 1951, doi:10.1093/biomet/38.3-4.481.
    """
    if x <= 0.0 or x >= n:
        return float(x > 0.0)
    if x > 0.5 * n:
        return 1.0 - irwin_hall(n, n - x)
    if n <= ALTERNATING_UP_TO:
        j = np.arange(int(np.floor(x)) + 1)
        terms = special.binom(n, j) * (x - j) ** n / special.gamma(n + 1.0)
        return float(np.clip((np.where(j % 2, -1.0, 1.0) * terms).sum(), 0.0, 1.0))
    reach = float(np.sqrt(24.0 * 45.0 / n))
    t = 0.5 * reach * (1.0 + NODES)
    integrand = np.sin(t * (x - 0.5 * n)) * np.sinc(t / (2.0 * np.pi)) ** n / t
    return float(np.clip(0.5 + 0.5 * reach * (WEIGHTS @ integrand) / np.pi, 0.0, 1.0))


def irwin_hall_quantile(n: int, probability: float) -> float:
    """Value below which the sum lies with this probability, by bisection."""
    low, high = 0.0, float(n)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if irwin_hall(n, middle) < probability else (low, middle)
    return 0.5 * (low + high)
